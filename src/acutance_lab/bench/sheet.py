"""Real photographs whose truth nobody knows: restored by methods, put side by side for the eye, and scored.

The score needs no reference, see `acutance_lab.bench.score.sparsity`; it is a hint, and the sheet is what is looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image as Pillow
from PIL import ImageDraw
from torch import Tensor

from acutance.errors import AcutanceError, ConfigError, OutputError
from acutance.images import Image, write_image
from acutance.operators import Blur, gradients
from acutance_lab.bench.case import bench_folder
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.machine import hardware, revision
from acutance_lab.bench.real import REAL, Photograph, centre_cut, load
from acutance_lab.bench.runner import Runner
from acutance_lab.bench.score import sparsity

CELL, GAP, LINE, INSET = 256, 8, 20, 64
"""Side of a cell of the sheet, space between cells, height of the line of text above them, side of the corner that
shows the kernel that a method found itself; pixels."""


class Column(NamedTuple):
    """A method of the sheet: its label, itself, and the noise level that it is told, if any."""

    label: str
    runner: Runner
    sigma: float | None = None


@dataclass(frozen=True, eq=False)
class Restored:
    """What one method made of a photograph.

    Args:
        method, weights: label and version. steps, outcome, seconds: see `acutance_lab.bench.runner.Attempt`.
        fitting_error: root mean square of k * x - y inside the frame, a fraction of the range, k being the kernel that
            the method found if it found one.
        sparsity: the score; lower is sharper. cell: (1, 3, CELL, CELL).
    """

    method: str
    weights: str | None
    steps: int
    outcome: str
    seconds: float
    fitting_error: float
    sparsity: float
    cell: Tensor = field(repr=False)

    @property
    def line(self) -> str:
        """What the sheet says above the cell."""
        return f"{self.method}: s {self.sparsity:.3f}, misfit {100 * self.fitting_error:.2f} %, {self.seconds:.1f} s"


@dataclass(frozen=True, eq=False)
class Entry:
    """A photograph restored.

    Args:
        picture, kernel: names of the files. width, height: as restored; cut: whether more was there.
        orientation: what `judge_orientation` says of the kernel; ROTATED: it was turned before it was used.
        sparsity: the score of the blurred picture. region: (x, y) of the cells in what was restored.
        results: of each method. cells: blurred and kernel, (1, 3, CELL, CELL) each.
        error: why there is no result; everything after `kernel` is empty then.
    """

    picture: str
    kernel: str
    width: int = 0
    height: int = 0
    cut: bool = False
    orientation: str = "UNCLEAR"
    sparsity: float = 0.0
    region: tuple[int, int] = (0, 0)
    results: tuple[Restored, ...] = ()
    error: str = ""
    cells: tuple[Tensor, ...] = field(default=(), repr=False)

    @property
    def line(self) -> str:
        """What the sheet says above the row."""
        said = self.error or f"s {self.sparsity:.3f}"
        return f"{self.picture}, {self.kernel}{', turned' if self.orientation == 'ROTATED' else ''}: {said}"


def columns(methods: Sequence[str], device: torch.device | str = "auto") -> list[Column]:
    """Methods, ready to run; as "rgdn:steps=50", see `Contender.parse`.

    Raises:
        ConfigError: none; and the reasons of `Contender`.
    """
    contenders = [Contender.parse(method) for method in methods]
    loaded = [c.load(device) for c in contenders]
    found = [Column(c.label, r, c.tell(None, r.needs)) for c, r in zip(contenders, loaded, strict=True)]
    if not found:
        raise ConfigError("a sheet wants at least one method")
    return found


def sheet(
    name: str,
    methods: Sequence[Column],
    *,
    data: Path | None = None,
    limit: int | None = 20,
    side: int = 1200,
    on_entry: Callable[[Entry], None] | None = None,
) -> list[Entry]:
    """Restore the photographs of a set.

    Args:
        name: one of `REAL`. methods: see `columns`. data: see `acutance_lab.bench.case.bench_folder`.
        limit: at most so many, evenly spread over the set. side: longer pictures are cut, about their centre, to this.
        on_entry: told every entry as it comes.

    Raises:
        ConfigError: no such set. DataError: its files are missing.
    """
    if name not in REAL:
        raise ConfigError(f"there is no sheet {name!r}; there are {', '.join(REAL)}")
    if side < CELL:
        raise ConfigError(f"side={side}: give at least {CELL} pixels, the side of a cell")
    photographs = REAL[name](bench_folder(data))
    if limit is not None and limit < len(photographs):
        photographs = [photographs[i * len(photographs) // limit] for i in range(limit)]
    entries = []
    for photograph in photographs:
        entry = restored(photograph, methods, side=side)
        entries.append(entry)
        if on_entry is not None:
            on_entry(entry)
    return entries


def restored(photograph: Photograph, methods: Sequence[Column], *, side: int) -> Entry:
    """One photograph; a file that cannot be used becomes an entry that says so."""
    entry = Entry(photograph.picture.name, photograph.kernel.name)
    try:
        loaded = load(photograph, side)
        top, left = most_textured(loaded.pixels)
        place = (..., slice(top, top + CELL), slice(left, left + CELL))
        results = tuple(_result(column, loaded.image, loaded.kernel, place) for column in methods)
    except AcutanceError as error:
        return replace(entry, error=str(error))
    return replace(
        entry,
        height=loaded.pixels.shape[-2],
        width=loaded.pixels.shape[-1],
        cut=loaded.cut,
        orientation=loaded.orientation.name,
        sparsity=round(sparsity(loaded.pixels), 4),
        region=(left, top),
        results=results,
        cells=(_cell(loaded.pixels[place]), kernel_cell(loaded.kernel)),
    )


def _result(column: Column, image: Image, kernel: Tensor, place: tuple[object, ...]) -> Restored:
    label, runner, sigma = column
    pixels, attempt = image.pixels, runner(image, kernel if runner.needs.kernel else None, sigma)
    blur = Blur((kernel if attempt.kernel is None else attempt.kernel.cpu()).float())
    misfit = blur.forward(attempt.pixels.float()) - blur.crop(pixels)  # of the part of y that x alone decides
    shown = attempt.pixels.clamp(0, 1)
    cell = _cell(shown[place])  # type: ignore[index]
    if attempt.kernel is not None:
        cell[..., -INSET:, -INSET:] = kernel_cell(attempt.kernel.cpu(), INSET)
    return Restored(
        method=label,
        weights=runner.weights,
        steps=attempt.steps,
        outcome=attempt.outcome,
        seconds=round(attempt.seconds, 2),
        fitting_error=round(float(misfit.square().mean().sqrt()), 5),
        sparsity=round(sparsity(shown), 4),
        cell=cell,
    )


def most_textured(pixels: Tensor) -> tuple[int, int]:
    """(top, left) of the cell with the most gradient energy, to 8 pixels."""
    rows, cols = gradients(pixels.mean(1, keepdim=True))
    energy = (rows[..., :-1].square() + cols[..., :-1, :].square()).sqrt()  # (1, 1, H - 1, W - 1)
    window = (min(CELL, energy.shape[-2]), min(CELL, energy.shape[-1]))
    means = F.avg_pool2d(energy, window, stride=8)[0, 0]
    best = divmod(int(means.argmax()), means.shape[1])
    return 8 * best[0], 8 * best[1]


def kernel_cell(kernel: Tensor, side: int = CELL) -> Tensor:
    """The kernel enlarged by whole pixels, its maximum white, in a cell of `side` pixels."""
    shown = kernel.float().mean(1, keepdim=True)
    factor = max(1, side // max(shown.shape[-2:]))
    large = (shown / shown.max()).repeat_interleave(factor, -2).repeat_interleave(factor, -1)
    return _cell(centre_cut(large, side), side, ground=0.25)


def draw(entries: Sequence[Entry], title: str, methods: int = 1) -> Tensor:
    """The sheet, (1, 3, H, W): a row of blurred, each restored and kernel for each entry, lines of text above it."""
    width = GAP + (methods + 2) * (CELL + GAP)
    rows = [text_line(title, width)]
    for entry in entries:
        rows.append(text_line(entry.line, width))
        if entry.cells:
            blurred, kernel = entry.cells
            captions = ["blurred", *(result.line for result in entry.results), "kernel"]
            rows.append(_beside([text_line(text, CELL) for text in captions]))
            rows.append(_beside([blurred, *(result.cell for result in entry.results), kernel]))
            rows.append(torch.ones(1, 3, GAP, width))
    return torch.cat(rows, -2)


def _beside(parts: Sequence[Tensor]) -> Tensor:
    """(1, 3, h, CELL) each, with gaps."""
    gap = torch.ones(1, 3, parts[0].shape[-2], GAP)
    return torch.cat([each for part in parts for each in (gap, part)] + [gap], -1)


def text_line(text: str, width: int) -> Tensor:
    """A line of text, black on white: (1, 3, LINE, width); what does not fit is set smaller, then cut."""
    probe = ImageDraw.Draw(Pillow.new("L", (1, 1)))
    room = width - 2 * GAP
    size = next((s for s in (13.0, 12.0, 11.0, 10.0, 9.0) if probe.textlength(text, font_size=s) <= room), 9.0)
    picture = Pillow.new("L", (width, LINE), 255)
    ImageDraw.Draw(picture).text((GAP, 3), text, fill=0, font_size=size)
    grey = torch.from_numpy(np.asarray(picture).copy()).float() / 255
    return grey.expand(1, 3, LINE, width)


def write_sheet(entries: Sequence[Entry], name: str, methods: Sequence[Column], folder: Path) -> tuple[Path, Path]:
    """FOLDER/NAME.png and FOLDER/NAME.json; those that are there are replaced.

    Raises:
        OutputError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from None
    picture, record = folder / f"{name}.png", folder / f"{name}.json"
    who = "; ".join(f"{label}, {runner.weights or 'no weights'}" for label, runner, _ in methods)
    title = f"{name}: blurred, restored at 100 %, kernel. {who}"
    write_image(picture, Image(draw(entries, title, len(methods))), overwrite=True)
    content = {
        "sheet": name,
        "score": "l1/l2 of the gradients of the luma over the square root of their number; lower is sparser",
        "methods": [
            {"method": label, "weights": runner.weights, "hardware": hardware(runner.device)}
            for label, runner, _ in methods
        ],
        "revision": revision(),
        "entries": [_record(entry) for entry in entries],
    }
    try:
        record.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {record}: {error.strerror}") from None
    return picture, record


def sheet_table(entries: Sequence[Entry]) -> str:
    """Markdown: a row for each photograph and method, the counts last."""
    lines = [
        "| photograph | kernel | pixels | kernel is | method | steps | outcome | seconds | misfit | s before | after |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    sparser: dict[str, list[bool]] = {}
    for e in entries:
        start = (
            f"| {e.picture} | {e.kernel} | {e.width}x{e.height}{' (cut)' if e.cut else ''} | {e.orientation.lower()} |"
        )
        if e.error:
            lines.append(f"{start} – | – | {e.error.replace('|', '/')} | – | – | – | – |")
        for r in e.results:
            sparser.setdefault(r.method, []).append(r.sparsity < e.sparsity)
            lines.append(
                f"{start} {r.method} | {r.steps} | {r.outcome.lower()} | {r.seconds:.1f} | "
                f"{100 * r.fitting_error:.2f} % | {e.sparsity:.3f} | {r.sparsity:.3f} |"
            )
    lines += [
        "",
        "s: l1/l2 of the gradients; lower, which is sparser, than before in "
        + (
            "; ".join(f"{sum(good)} of {len(good)} photographs by {method}" for method, good in sparser.items())
            or "none"
        )
        + ". misfit: of kernel * restored against blurred.",
    ]
    return "\n".join(lines)


def _record(entry: Entry) -> dict[str, object]:
    """An entry as plain values."""
    empty = torch.empty(0)
    values = asdict(replace(entry, cells=(), results=tuple(replace(r, cell=empty) for r in entry.results)))
    del values["cells"]
    for result in values["results"]:
        del result["cell"]
    return values


def _cell(x: Tensor, side: int = CELL, ground: float = 1.0) -> Tensor:
    """(1, C, h, w) in the middle of a cell of three channels."""
    height, width = x.shape[-2:]
    cell = torch.full((1, 3, side, side), ground)
    top, left = (side - height) // 2, (side - width) // 2
    cell[..., top : top + height, left : left + width] = x.clamp(0, 1).cpu()
    return cell
