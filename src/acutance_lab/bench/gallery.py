"""Pictures of a run that are kept for people to look at: OUT/pictures/SUITE/NOISE/PICTURE-KERNEL/.

There lie blurred.png, truth.png and kernel.png where they are known, and LABEL.png of each contender, 8 bits. NOISE is
"captured" or the level in percent. In names everything but letters, digits and ``._=,-`` is "_". Crops of them at 100 %
stand in a page: decoded and encoded anew, so that nothing but their pixels reaches it.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image as Pillow
from torch import Tensor

from acutance.errors import ImageError, OutputError
from acutance.images import read_image, write_image
from acutance_lab.bench.case import Case, Content, Noise, describe_noise
from acutance_lab.bench.ranking import Name
from acutance_lab.bench.rows import Row

FOLDER, KERNEL = "pictures", "kernel"


def place(out: Path, suite: str, noise: Noise, picture: str, kernel_name: str) -> Path:
    """The folder of a case."""
    level = "captured" if noise is None else f"{100 * noise:g}"
    return out / FOLDER / suite / level / safe(f"{picture}-{kernel_name}")


def safe(name: str) -> str:
    """A label as the name of a file."""
    return re.sub(r"[^A-Za-z0-9._=,-]", "_", name)


def keep(out: Path, case: Case, content: Content, label: str, restored: Tensor) -> None:
    """Write the pictures of a case; what was blurred and the truth only if they are not there yet.

    Raises:
        OutputError: the folder cannot be made or written.
    """
    folder = place(out, case.suite, case.noise, case.picture, case.kernel_name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; give another --out") from None
    kernel = None if content.kernel is None else content.kernel.mean(1, keepdim=True)
    shown = None if kernel is None else (kernel / kernel.max()).clamp_min(0)
    for name, pixels in (("blurred", content.observed), ("truth", content.truth), (KERNEL, shown)):
        if pixels is not None and not (folder / f"{name}.png").exists():
            write_image(folder / f"{name}.png", pixels, overwrite=True)
    if bool(torch.isfinite(restored).all()):
        write_image(folder / f"{safe(label)}.png", restored, overwrite=True)


CROP = 160
"""Side of the crops, pixels."""

EDGE = 20
"""Pixels along the border that crops stay away from, where the picture is large enough."""

STRIPS = 4
"""At most so many pictures of each noise level."""


@dataclass(frozen=True)
class Strip:
    """Crops (title, PSNR in words or "", data URI) of one picture, blurred first, truth last; and what was left out."""

    title: str
    crops: Sequence[tuple[str, str, str]]
    notes: Sequence[str]


def strips(out: Path, rows: Sequence[Row], order: Sequence[Name]) -> tuple[list[Strip], int]:
    """The first few pictures of each level that lie in OUT, see `gallery`, and how many more there are."""
    cases: dict[tuple[float, str, str], list[Row]] = {}
    for row in rows:
        cases.setdefault((-1.0 if row.noise is None else row.noise, row.picture, row.kernel), []).append(row)
    found: list[Strip] = []
    left_out = 0
    levels: Counter[float] = Counter()
    for (level, picture, kernel), here in sorted(cases.items(), key=lambda case: case[0][0]):
        folder = place(out, here[0].suite, here[0].noise, picture, kernel)
        if folder.is_dir() and levels[level] >= STRIPS:
            left_out += 1
        elif folder.is_dir() and (strip := _strip(folder, here, order)):
            levels[level] += 1
            found.append(strip)
    return found, left_out


def _strip(folder: Path, rows: Sequence[Row], order: Sequence[Name]) -> Strip | None:
    """Crops of one picture; None if there is nothing to show."""
    notes: list[str] = []
    pictures: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.png")):
        try:
            pictures |= {} if file.stem == KERNEL else {file.stem: read_image(file, max_pixels=100_000_000).pixels}
        except ImageError:
            notes.append(f"{file.name} cannot be read")
    blurred, truth = pictures.pop("blurred", None), pictures.pop("truth", None)
    guide = blurred if truth is None else truth
    if guide is None or not pictures:
        return None
    top, left = _centre(guide) if truth is None else detail(guide)
    scores = {row.method: row.psnr for row in rows}
    labels = {safe(label): label for label, _ in order if label in scores}
    known = {labels[stem]: pictures[stem] for stem in labels if stem in pictures}
    known |= {stem: pictures[stem] for stem in pictures if stem not in labels}
    scores["blurred"] = next((row.psnr_blurred for row in rows if math.isfinite(row.psnr_blurred)), math.nan)
    crops = []
    for title, pixels in {"blurred": blurred, **known, "truth": truth}.items():
        if pixels is not None and pixels.shape[-2:] != guide.shape[-2:]:
            notes.append(f"{title} has another size")
        elif pixels is not None:
            psnr = scores.get(title, math.nan)
            words = f"{psnr:.2f} dB" if math.isfinite(psnr) else ""
            crops.append((title, words, png_uri(pixels[..., top : top + CROP, left : left + CROP])))
    title = f"picture {rows[0].picture}, kernel {rows[0].kernel}, {describe_noise(rows[0].noise)}"
    return Strip(title, crops, notes)


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
