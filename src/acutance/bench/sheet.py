r"""Real photographs whose truth nobody knows: restored, put side by side for the eye, and scored without a reference.

The score is the normalised sparsity of the gradients of the luma (Krishnan et al. 2011),

    s(x) = ||grad x||_1 / ( ||grad x||_2 sqrt(n) ),      in (0, 1],

lower for a sharp picture of few edges, higher for a blurred or a noisy one. It goes up with noise and with ringing; it
is a hint, and the sheet is what is looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image as Pillow
from PIL import ImageDraw
from torch import Tensor

from acutance.bench.case import bench_folder
from acutance.bench.machine import hardware, revision
from acutance.errors import AcutanceError, ConfigError, DataError, OutputError
from acutance.images import Image, read_image, write_image
from acutance.images.kernel_file import read_kernel
from acutance.operators import gradients
from acutance.orientation import Orientation, judge_orientation
from acutance.restore import Restorer
from acutance.synth.degradation import luma
from acutance.tensors import flip

CELL, GAP, LINE = 256, 8, 20
"""Side of a cell of the sheet, space between cells, height of the line of text above them; pixels."""


@dataclass(frozen=True)
class Photograph:
    """A picture and the kernel that somebody estimated for it."""

    picture: Path
    kernel: Path


@dataclass(frozen=True, eq=False)
class Entry:
    """A photograph restored.

    Args:
        picture, kernel: names of the files. width, height: as restored; cut: whether more was there.
        orientation: what `judge_orientation` says of the kernel; ROTATED: it was turned before it was used.
        steps, outcome, seconds, fitting_error: see `Restoration`.
        sparsity_blurred, sparsity_restored: the score, see the module; lower is sharper.
        region: (x, y) of the cells in what was restored. cells: blurred, restored, kernel, (1, 3, CELL, CELL) each.
        error: why there is no result; everything after it is empty then.
    """

    picture: str
    kernel: str
    width: int
    height: int
    cut: bool
    orientation: str
    steps: int = 0
    outcome: str = ""
    seconds: float = 0.0
    fitting_error: float = 0.0
    sparsity_blurred: float = 0.0
    sparsity_restored: float = 0.0
    region: tuple[int, int] = (0, 0)
    error: str = ""
    cells: tuple[Tensor, ...] = field(default=(), repr=False)

    @property
    def line(self) -> str:
        """What the sheet says above the cells."""
        said = self.error or (
            f"{self.steps} steps, {self.outcome.lower()}, {self.seconds:.1f} s, "
            f"fitting error {100 * self.fitting_error:.2f} %, "
            f"sparsity {self.sparsity_blurred:.3f} -> {self.sparsity_restored:.3f}"
        )
        return f"{self.picture}, {self.kernel}{', turned' if self.orientation == 'ROTATED' else ''}: {said}"


def lai_real(folder: Path) -> list[Photograph]:
    """The photographs of Lai et al. 2016 with an estimated kernel, NAME_METHOD_psf.png; of several the first by name.

    Raises:
        DataError: there are none.
    """
    pictures = {p.stem: p for p in sorted((folder / "lai" / "real").glob("*.jpg"))}
    found: dict[str, Photograph] = {}
    for kernel in sorted((folder / "lai" / "real_kernels").glob("*_psf.png")):
        parts = kernel.stem.split("_")
        names = ("_".join(parts[:n]) for n in range(len(parts) - 1, 0, -1))  # the longest name that there is
        name = next((n for n in names if n in pictures), None)
        if name is not None:
            found.setdefault(name, Photograph(pictures[name], kernel))
    if not found:
        raise DataError(
            f"{folder} has no photographs with kernels; expected are lai/real/NAME.jpg and "
            "lai/real_kernels/NAME_METHOD_psf.png"
        )
    return list(found.values())


SHEETS: MappingProxyType[str, Callable[[Path], list[Photograph]]] = MappingProxyType({"lai-real": lai_real})
"""Every set of real photographs, by name."""


def sheet(
    name: str,
    restorer: Restorer,
    *,
    data: Path | None = None,
    limit: int | None = 20,
    side: int = 1200,
    on_entry: Callable[[Entry], None] | None = None,
) -> list[Entry]:
    """Restore the photographs of a set.

    Args:
        name: one of `SHEETS`. restorer: of a method that takes a kernel. data: see `acutance.bench.case.bench_folder`.
        limit: at most so many, evenly spread over the set. side: longer pictures are cut, about their centre, to this.
        on_entry: told every entry as it comes.

    Raises:
        ConfigError: no such set. DataError: its files are missing.
    """
    if name not in SHEETS:
        raise ConfigError(f"there is no sheet {name!r}; there are {', '.join(SHEETS)}")
    if side < CELL:
        raise ConfigError(f"side={side}: give at least {CELL} pixels, the side of a cell")
    photographs = SHEETS[name](bench_folder(data))
    if limit is not None and limit < len(photographs):
        photographs = [photographs[i * len(photographs) // limit] for i in range(limit)]
    entries = []
    for photograph in photographs:
        entry = restored(photograph, restorer, side=side)
        entries.append(entry)
        if on_entry is not None:
            on_entry(entry)
    return entries


def restored(photograph: Photograph, restorer: Restorer, *, side: int) -> Entry:
    """One photograph; a file that cannot be used becomes an entry that says so."""
    entry = Entry(photograph.picture.name, photograph.kernel.name, 0, 0, cut=False, orientation="UNCLEAR")
    try:
        whole = read_image(photograph.picture).pixels
        pixels = centre_cut(whole, side)
        kernel = read_kernel(photograph.kernel).kernel
        verdict = judge_orientation(pixels, kernel).orientation
        if verdict is Orientation.ROTATED:
            kernel = flip(kernel)
        done = restorer(pixels, kernel)
    except AcutanceError as error:
        return replace(entry, error=str(error))
    result = done.image.pixels.clamp(0, 1)
    top, left = most_textured(pixels)
    return replace(
        entry,
        height=pixels.shape[-2],
        width=pixels.shape[-1],
        cut=whole.shape != pixels.shape,
        orientation=verdict.name,
        steps=done.steps,
        outcome=done.outcome.name,
        seconds=round(done.seconds, 2),
        fitting_error=round(done.fitting_error, 5),
        sparsity_blurred=round(sparsity(pixels), 4),
        sparsity_restored=round(sparsity(result), 4),
        region=(left, top),
        cells=(*(_cell(z[..., top : top + CELL, left : left + CELL]) for z in (pixels, result)), kernel_cell(kernel)),
    )


def sparsity(pixels: Tensor) -> float:
    """The score of (1, C, H, W), see the module; 0 for a picture without any gradient."""
    grey = luma(pixels.double()) if pixels.shape[1] == 3 else pixels.double()
    rows, cols = gradients(grey[:, :1])
    values = torch.cat((rows.flatten(), cols.flatten()))
    root = float(values.norm()) * values.numel() ** 0.5
    return float(values.abs().sum()) / root if root > 0 else 0.0


def most_textured(pixels: Tensor) -> tuple[int, int]:
    """(top, left) of the cell with the most gradient energy, to 8 pixels."""
    rows, cols = gradients(pixels.mean(1, keepdim=True))
    energy = (rows[..., :-1].square() + cols[..., :-1, :].square()).sqrt()  # (1, 1, H - 1, W - 1)
    window = (min(CELL, energy.shape[-2]), min(CELL, energy.shape[-1]))
    means = F.avg_pool2d(energy, window, stride=8)[0, 0]
    best = divmod(int(means.argmax()), means.shape[1])
    return 8 * best[0], 8 * best[1]


def centre_cut(pixels: Tensor, side: int) -> Tensor:
    """At most `side` pixels each way, about the centre."""
    height, width = pixels.shape[-2:]
    h, w = min(side, height), min(side, width)
    top, left = (height - h) // 2, (width - w) // 2
    return pixels[..., top : top + h, left : left + w]


def kernel_cell(kernel: Tensor) -> Tensor:
    """The kernel enlarged by whole pixels, its maximum white, in a cell."""
    shown = kernel.float().mean(1, keepdim=True)
    factor = max(1, CELL // max(shown.shape[-2:]))
    large = (shown / shown.max()).repeat_interleave(factor, -2).repeat_interleave(factor, -1)
    return _cell(centre_cut(large, CELL), ground=0.25)


def draw(entries: Sequence[Entry], title: str) -> Tensor:
    """The sheet, (1, 3, H, W): a row of blurred, restored and kernel for each entry, with a line of text above it."""
    width = 4 * GAP + 3 * CELL
    rows = [text_line(title, width)]
    for entry in entries:
        rows.append(text_line(entry.line, width))
        if entry.cells:
            gap = torch.ones(1, 3, CELL, GAP)
            rows.append(torch.cat([part for cell in entry.cells for part in (gap, cell)] + [gap], -1))
            rows.append(torch.ones(1, 3, GAP, width))
    return torch.cat(rows, -2)


def text_line(text: str, width: int) -> Tensor:
    """A line of text, black on white: (1, 3, LINE, width); what does not fit is set smaller, then cut."""
    probe = ImageDraw.Draw(Pillow.new("L", (1, 1)))
    room = width - 2 * GAP
    size = next((s for s in (13.0, 12.0, 11.0, 10.0, 9.0) if probe.textlength(text, font_size=s) <= room), 9.0)
    picture = Pillow.new("L", (width, LINE), 255)
    ImageDraw.Draw(picture).text((GAP, 3), text, fill=0, font_size=size)
    grey = torch.from_numpy(np.asarray(picture).copy()).float() / 255
    return grey.expand(1, 3, LINE, width)


def write_sheet(entries: Sequence[Entry], name: str, restorer: Restorer, folder: Path) -> tuple[Path, Path]:
    """FOLDER/NAME.png and FOLDER/NAME.json; those that are there are replaced.

    Raises:
        OutputError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from None
    picture, record = folder / f"{name}.png", folder / f"{name}.json"
    label = restorer.weights or "no weights"
    title = f"{name}: blurred, restored at 100 %, kernel. {restorer.spec.name}, {label}"
    write_image(picture, Image(draw(entries, title)), overwrite=True)
    rows = [{k: v for k, v in asdict(replace(e, cells=())).items() if k != "cells"} for e in entries]
    content = {
        "sheet": name,
        "method": restorer.spec.name,
        "weights": restorer.weights,
        "score": "l1/l2 of the gradients of the luma over the square root of their number; lower is sparser",
        "hardware": hardware(restorer.device),
        "revision": revision(),
        "entries": rows,
    }
    try:
        record.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {record}: {error.strerror}") from None
    return picture, record


def sheet_table(entries: Sequence[Entry]) -> str:
    """Markdown: a row for each photograph, the means last."""
    lines = [
        "| photograph | kernel | pixels | kernel is | steps | outcome | seconds | fitting error | s, before | after |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for e in entries:
        size = f"{e.width}x{e.height}{' (cut)' if e.cut else ''}"
        tail = (
            f"{e.steps} | {e.outcome.lower()} | {e.seconds:.1f} | {100 * e.fitting_error:.2f} % | "
            f"{e.sparsity_blurred:.3f} | {e.sparsity_restored:.3f}"
        )
        lines.append(
            f"| {e.picture} | {e.kernel} | {size} | {e.orientation.lower()} | "
            f"{tail if not e.error else f'– | {e.error} | – | – | – | –'} |"
        )
    good = [e for e in entries if not e.error]
    sparser = sum(e.sparsity_restored < e.sparsity_blurred for e in good)
    lines += [
        "",
        f"s: l1/l2 of the gradients; lower, which is sparser, in {sparser} of {len(good)} photographs.",
    ]
    return "\n".join(lines)


def _cell(x: Tensor, ground: float = 1.0) -> Tensor:
    """(1, C, h, w) in the middle of a cell of three channels."""
    height, width = x.shape[-2:]
    cell = torch.full((1, 3, CELL, CELL), ground)
    top, left = (CELL - height) // 2, (CELL - width) // 2
    cell[..., top : top + height, left : left + width] = x.clamp(0, 1).cpu()
    return cell
