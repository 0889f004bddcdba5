"""Crops at 100 % of what a benchmark restored, side by side, as pictures that stand inside a page.

The pictures are those of `acutance_lab.bench.gallery`. Files are decoded and encoded anew, so that nothing but their
pixels reaches the page.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image as Pillow
from torch import Tensor

from acutance.errors import ImageError
from acutance.images import read_image
from acutance_lab.bench.case import Noise, describe_noise
from acutance_lab.bench.gallery import KERNEL, place, safe
from acutance_lab.bench.ranking import Name
from acutance_lab.bench.rows import Row

CROP = 160
"""Side of the crops, pixels."""

EDGE = 20
"""Pixels along the border that crops stay away from, where the picture is large enough."""

STRIPS = 4
"""At most so many pictures of each noise level."""


@dataclass(frozen=True)
class Crop:
    """A cut-out: title, PSNR of the whole picture in words or "", the PNG as a data URI."""

    title: str
    psnr: str
    uri: str


@dataclass(frozen=True)
class Strip:
    """Crops of one picture, blurred first, truth last; and what was left out."""

    title: str
    crops: tuple[Crop, ...]
    notes: tuple[str, ...]


def strips(out: Path, rows: Sequence[Row], order: Sequence[Name]) -> tuple[list[Strip], int]:
    """The first few pictures of each level that lie in OUT, see `gallery`, and how many more there are."""
    found: list[Strip] = []
    left_out = 0
    by_case: dict[tuple[Noise, str, str], list[Row]] = {}
    for row in rows:
        by_case.setdefault((row.noise, row.picture, row.kernel), []).append(row)
    levels: dict[Noise, int] = {}
    for (noise, picture, kernel), here in sorted(by_case.items(), key=lambda item: item[0][0] or -1.0):
        folder = place(out, here[0].suite, noise, picture, kernel)
        if not folder.is_dir():
            continue
        strip = _strip(folder, here, order) if levels.get(noise, 0) < STRIPS else None
        left_out += levels.get(noise, 0) >= STRIPS
        if strip is not None:
            levels[noise] = levels.get(noise, 0) + 1
            found.append(strip)
    return found, left_out


def _strip(folder: Path, rows: Sequence[Row], order: Sequence[Name]) -> Strip | None:
    """Crops of one picture; None if there is nothing to show."""
    notes: list[str] = []
    pictures: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.png")):
        if file.stem == KERNEL:
            continue
        try:
            pictures[file.stem] = read_image(file, max_pixels=100_000_000).pixels
        except ImageError:
            notes.append(f"{file.name} cannot be read")
    blurred, truth = pictures.pop("blurred", None), pictures.pop("truth", None)
    guide = truth if truth is not None else blurred
    if guide is None or not pictures:
        return None
    top, left = detail(guide) if truth is not None else _centre(guide)
    region = (..., slice(top, top + CROP), slice(left, left + CROP))
    scores = {row.method: row.psnr for row in rows}
    known = {safe(label): label for label, _ in order if label in scores}
    position = {label: i for i, (label, _) in enumerate(order)}
    stems = sorted(pictures, key=lambda stem: (position.get(known.get(stem, ""), len(order)), stem))
    before = next((row.psnr_blurred for row in rows if math.isfinite(row.psnr_blurred)), math.nan)
    shown = [
        ("blurred", before, blurred),
        *((known.get(s, s), scores.get(known.get(s, "")), pictures[s]) for s in stems),
    ]
    crops = []
    for title, psnr, pixels in [*shown, ("truth", None, truth)]:
        if pixels is not None and pixels.shape[-2:] != guide.shape[-2:]:
            notes.append(f"{title} has another size")
        elif pixels is not None:
            words = f"{psnr:.2f} dB" if psnr is not None and math.isfinite(psnr) else ""
            crops.append(Crop(title, words, png_uri(pixels[region])))
    title = f"picture {rows[0].picture}, kernel {rows[0].kernel}, {describe_noise(rows[0].noise)}"
    return Strip(title, tuple(crops), tuple(notes))


def detail(truth: Tensor) -> tuple[int, int]:
    """(top, left) of the crop of (1, C, H, W) with the largest variance, to 8 pixels, away from the border."""
    height, width = truth.shape[-2:]
    h, w = min(CROP, height), min(CROP, width)
    edge_h, edge_w = min(EDGE, (height - h) // 2), min(EDGE, (width - w) // 2)
    grey = truth.double().mean(1, keepdim=True)[..., edge_h : height - edge_h, edge_w : width - edge_w]
    fine = grey - F.avg_pool2d(grey, 9, stride=1, padding=4, count_include_pad=False)  # detail, not large shapes
    means = F.avg_pool2d(fine.square(), (h, w), stride=8)[0, 0]
    row, col = divmod(int(means.argmax()), means.shape[1])
    return edge_h + 8 * row, edge_w + 8 * col


def png_uri(pixels: Tensor) -> str:
    """(1, 1 or 3, h, w) in [0, 1] as a PNG of 8 bits in a data URI."""
    values = (pixels[0].clamp(0, 1) * 255).round().to(torch.uint8)
    picture = Pillow.fromarray((values[0] if values.shape[0] == 1 else values.permute(1, 2, 0)).numpy())
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return data_uri(stream.getvalue(), "png")


def data_uri(content: bytes, form: str) -> str:
    """A picture as an address inside a page; form: "png" or "svg+xml"."""
    return f"data:image/{form};base64,{base64.b64encode(content).decode('ascii')}"


def _centre(pixels: Tensor) -> tuple[int, int]:
    return max(0, (pixels.shape[-2] - CROP) // 2), max(0, (pixels.shape[-1] - CROP) // 2)
