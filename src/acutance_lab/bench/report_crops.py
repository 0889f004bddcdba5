"""Crops at 100 % of what a benchmark restored, side by side, as pictures that stand inside a page.

A folder of pictures is PICTURES/SUITE/NOISE/PICTURE-KERNEL/ with blurred.png, truth.png and METHOD.png; NOISE is
"captured" or the level in percent; in names everything but letters, digits and ``._=,-`` is "_". Files are decoded and
encoded anew, so that nothing but their pixels reaches the page.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import ImageError
from acutance.images import read_image
from acutance_lab.bench.case import Noise, describe_noise
from acutance_lab.bench.gallery import KERNEL
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
    """A cut-out: title, PSNR of the whole picture in dB or None, the PNG as a data URI, size, whether it is best."""

    title: str
    psnr: float | None
    uri: str
    width: int
    height: int
    best: bool = False


@dataclass(frozen=True)
class Strip:
    """Crops of one picture, blurred first, truth last; (row, column) of their corner and what was left out."""

    picture: str
    noise: str
    crops: tuple[Crop, ...]
    corner: tuple[int, int]
    notes: tuple[str, ...]


def strips(folder: Path, rows: Sequence[Row], order: Sequence[Name]) -> tuple[list[Strip], int]:
    """The first few pictures of each level, and how many more there are."""
    found, left_out = [], 0
    by_place: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        where = (_level_folder(row.noise), _file_name(f"{row.picture}-{row.kernel}"))
        by_place.setdefault(where, []).append(row)
    levels: dict[str, int] = {}
    ordered = sorted(by_place.items(), key=lambda item: -1.0 if item[1][0].noise is None else item[1][0].noise)
    for (level, place), here in ordered:
        if not (folder / level / place).is_dir():
            continue
        if levels.get(level, 0) >= STRIPS:
            left_out += 1
            continue
        strip = _strip(folder / level / place, here, order)
        if strip is not None:
            levels[level] = levels.get(level, 0) + 1
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
    place = (..., slice(top, top + CROP), slice(left, left + CROP))
    scores = {row.method: row.psnr for row in rows if math.isfinite(row.psnr)}
    known = {_file_name(label): label for label, _ in order if label in {row.method for row in rows}}
    position = {label: i for i, (label, _) in enumerate(order)}
    stems = sorted(pictures, key=lambda stem: (position.get(known.get(stem, ""), len(order)), stem))
    best = max((scores.get(known.get(stem, ""), -math.inf) for stem in stems), default=-math.inf)
    crops = []
    if blurred is not None and blurred.shape[-2:] == guide.shape[-2:]:
        before = next((row.psnr_blurred for row in rows if math.isfinite(row.psnr_blurred)), None)
        crops.append(_crop("blurred", before, blurred[place]))
    for stem in stems:
        if pictures[stem].shape[-2:] != guide.shape[-2:]:
            notes.append(f"{stem}.png has another size")
            continue
        score = scores.get(known.get(stem, ""))
        crops.append(_crop(known.get(stem, stem), score, pictures[stem][place], best=score == best))
    if truth is not None:
        crops.append(_crop("truth", None, truth[place]))
    title = f"picture {rows[0].picture}, kernel {rows[0].kernel}"
    return Strip(title, describe_noise(rows[0].noise), tuple(crops), (top, left), tuple(notes))


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
    from PIL import Image as Pillow

    values = (pixels[0].clamp(0, 1) * 255).round().to(torch.uint8)
    picture = Pillow.fromarray((values[0] if values.shape[0] == 1 else values.permute(1, 2, 0)).numpy())
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def _crop(title: str, psnr: float | None, pixels: Tensor, *, best: bool = False) -> Crop:
    return Crop(title, psnr, png_uri(pixels), pixels.shape[-1], pixels.shape[-2], best)


def _centre(pixels: Tensor) -> tuple[int, int]:
    return max(0, (pixels.shape[-2] - CROP) // 2), max(0, (pixels.shape[-1] - CROP) // 2)


def _file_name(label: str) -> str:
    """As pictures of a benchmark are named."""
    return re.sub(r"[^A-Za-z0-9._=,-]", "_", label)


def _level_folder(noise: Noise) -> str:
    return "captured" if noise is None else f"{100 * noise:g}"
