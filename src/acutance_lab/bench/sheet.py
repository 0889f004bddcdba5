"""Real photographs whose truth nobody knows: restored by methods, put side by side for the eye, and scored.

The score needs no reference, see `acutance_lab.bench.score.sparsity`; it is a hint, and the sheet is what is looked at.
Rows and pictures are those of a suite (`acutance_lab.bench.real`), all of whose pictures are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image as Pillow
from PIL import ImageDraw
from torch import Tensor

from acutance.errors import ConfigError
from acutance.images import Image, read_image, write_image
from acutance.operators import gradients
from acutance_lab.bench import real
from acutance_lab.bench.case import Case, Noise, Suite
from acutance_lab.bench.gallery import KERNEL, place, safe
from acutance_lab.bench.real import centre_cut
from acutance_lab.bench.rows import Row
from acutance_lab.bench.suites import find_suite
from acutance_lab.bench.tables import markdown

CELL, GAP, LINE = 256, 8, 20
"""Side of a cell of the sheet, space between cells, height of the line of text above them; pixels."""


def sheet_suite(name: str, *, limit: int | None = 20, side: int = 1200) -> Suite:
    """A set of real photographs, all of which are kept as pictures.

    Args:
        name: one of `acutance_lab.bench.real.REAL`. limit: at most so many, evenly spread over the set.
        side: longer pictures are cut, about their centre, to this.

    Raises:
        ConfigError: no such set, or a side below that of a cell.
    """
    if name not in real.REAL:
        raise ConfigError(f"there is no sheet {name!r}; there are {', '.join(real.REAL)}")
    if side < CELL:
        raise ConfigError(f"side={side}: give at least {CELL} pixels, the side of a cell")

    def make(folder: Path, noise: Noise) -> list[Case]:
        every = real.cases(folder, noise, name=name, side=side)
        few = limit is not None and limit < len(every)
        chosen = [every[i * len(every) // limit] for i in range(limit)] if few and limit else every
        return [replace(case, shown=True) for case in chosen]

    return replace(find_suite(name), make=make, shown=0)


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


def draw(rows: Sequence[Row], out: Path) -> Tensor:
    """The sheet, (1, 3, H, W): for each photograph what was blurred, each restored, and the kernel, text above them.

    Args:
        rows: of a suite. out: the folder that they and their pictures were written to.
    """
    methods = list(dict.fromkeys(row.method for row in rows))
    width = GAP + (len(methods) + 2) * (CELL + GAP)
    parts = [text_line(f"{rows[0].suite if rows else ''}: blurred, restored at 100 %, kernel", width)]
    for picture, kernel in dict.fromkeys((row.picture, row.kernel) for row in rows):
        here = {row.method: row for row in rows if (row.picture, row.kernel) == (picture, kernel)}
        first = next(iter(here.values()))
        folder = place(out, first.suite, first.noise, picture, kernel)
        blurred = read_image(folder / "blurred.png").pixels
        top, left = most_textured(blurred)
        region = (..., slice(top, top + CELL), slice(left, left + CELL))
        cells, captions = [_cell(blurred[region])], ["blurred"]
        for method in methods:
            file = folder / f"{safe(method)}.png"
            cells.append(_cell(read_image(file).pixels[region]) if file.is_file() else _cell(torch.zeros(1, 1, 1, 1)))
            captions.append(_line(here[method]) if method in here else method)
        file = folder / f"{KERNEL}.png"
        cells.append(kernel_cell(read_image(file).pixels) if file.is_file() else _cell(torch.zeros(1, 1, 1, 1)))
        note = f"{picture}, {kernel}, {first.note}: s {first.sparsity_blurred or 0:.3f}"
        parts += [text_line(note, width), _beside([text_line(text, CELL) for text in [*captions, "kernel"]])]
        parts += [_beside(cells), torch.ones(1, 3, GAP, width)]
    return torch.cat(parts, -2)


def _line(row: Row) -> str:
    """What the sheet says above a cell."""
    misfit = "" if row.fitting_error is None else f"misfit {100 * row.fitting_error:.2f} %, "
    return f"{row.title}: s {row.sparsity or 0:.3f}, {misfit}{row.seconds:.1f} s"


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


def write_sheet(rows: Sequence[Row], out: Path) -> Path:
    """OUT/SUITE.png, which is replaced if it is there.

    Raises:
        OutputError: it cannot be written.
    """
    file = out / f"{rows[0].suite}.png"
    write_image(file, Image(draw(rows, out)), overwrite=True)
    return file


def sheet_table(rows: Sequence[Row]) -> str:
    """Markdown: a row for each photograph and method, the counts last."""
    head = ["photograph", "kernel", "pixels", "note", "method", "steps", "outcome", "seconds", "misfit", "s before",
            "after"]  # fmt: skip
    lines = [
        [
            r.picture, r.kernel, f"{r.width}x{r.height}", r.note, r.method, str(r.steps), r.outcome.lower(),
            f"{r.seconds:.1f}", "–" if r.fitting_error is None else f"{100 * r.fitting_error:.2f} %",
            f"{r.sparsity_blurred:.3f}", f"{r.sparsity:.3f}",
        ]
        for r in rows
    ]  # fmt: skip
    sparser: dict[str, list[bool]] = {}
    for r in rows:
        sparser.setdefault(r.method, []).append((r.sparsity or 0) < (r.sparsity_blurred or 0))
    counts = "; ".join(f"{sum(good)} of {len(good)} photographs by {method}" for method, good in sparser.items())
    return (
        f"{markdown(head, lines)}\n\ns: l1/l2 of the gradients; lower, which is sparser, than before in {counts}. "
        "misfit: of kernel * restored against blurred."
    )


def _cell(x: Tensor, side: int = CELL, ground: float = 1.0) -> Tensor:
    """(1, C, h, w) in the middle of a cell of three channels."""
    height, width = x.shape[-2:]
    cell = torch.full((1, 3, side, side), ground)
    top, left = (side - height) // 2, (side - width) // 2
    cell[..., top : top + height, left : left + width] = x.clamp(0, 1).cpu()
    return cell
