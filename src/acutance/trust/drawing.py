"""Pictures and plots of a report: data URIs and files by Pillow, curves as inline SVG."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor

from acutance.images.atomic import write_atomically

HEAT = ((0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164))
"""Colours of a map from 0 to its largest value: dark to light, so that it reads in grey print as well."""

SIGNED = ((5, 48, 97), (146, 197, 222), (247, 247, 247), (244, 165, 130), (103, 0, 31))
"""Colours from -1 over 0, white, to 1."""

VEIL = (230, 0, 230)
"""Colour of a map that lies over its picture: magenta, which is rare in photographs."""

LOSSLESS = 250_000
"""Pixels up to which a picture is embedded without loss."""

Pixels = NDArray[np.uint8]


def eight_bits(pixels: Tensor) -> Pixels:
    """(1, C, H, W) in [0, 1] as (H, W) or (H, W, 3); NaN is black."""
    values = pixels[0].detach().float().cpu().nan_to_num(0).clamp(0, 1).mul(255).round().byte()
    return np.ascontiguousarray((values[0] if len(values) == 1 else values.permute(1, 2, 0)).numpy())


def coloured(values: Tensor, low: float, high: float, colours: Sequence[tuple[int, int, int]] = HEAT) -> Pixels:
    """(H, W) as (H, W, 3): `low` is the first colour, `high` the last."""
    share = ((values.detach().float().cpu() - low) / max(high - low, 1e-12)).nan_to_num(0).clamp(0, 1).numpy()
    places = np.linspace(0, 1, len(colours))
    parts = [np.interp(share, places, [colour[c] for colour in colours]) for c in range(3)]
    return np.stack(parts, -1).round().astype(np.uint8)


def top_of(values: Tensor) -> float:
    """The value that the last colour of a map stands for: the 99.5 % quantile."""
    flat = values.flatten()
    return max(float(flat[:: max(1, flat.numel() // 500_000)].quantile(0.995)), 1e-9)


def veil(values: Tensor, most: int) -> Pixels:
    """A map (H, W) as (H', W', 4), to be laid over its picture: clear at 0, `VEIL` from `top_of` the values on.

    Args:
        values: 0 or more. most: pixels of the longer side of what is returned, at most.
    """
    share = (values.detach().float().cpu() / top_of(values)).nan_to_num(0).clamp(0, 1).mul(255).round().byte()
    opacity = reduced(np.ascontiguousarray(share.numpy()), most)
    colour = np.broadcast_to(np.array(VEIL, np.uint8), (*opacity.shape, 3))
    return np.concatenate((colour, opacity[..., None]), -1)


def write_png(path: Path, picture: Pixels) -> None:
    """Write (H, W), (H, W, 3) or (H, W, 4) as a PNG; replaces a file that exists."""
    file = BytesIO()
    PillowImage.fromarray(picture).save(file, "PNG")
    write_atomically(path, file.getvalue(), overwrite=True)


def uri(picture: Pixels) -> str:
    """A picture as a data URI: PNG where it is small, else JPEG at quality 90."""
    file = BytesIO()
    small = picture.shape[0] * picture.shape[1] <= LOSSLESS
    PillowImage.fromarray(picture).save(file, "PNG" if small else "JPEG", **({} if small else {"quality": 90}))
    return f"data:image/{'png' if small else 'jpeg'};base64,{base64.b64encode(file.getvalue()).decode()}"


def reduced(picture: Pixels, most: int) -> Pixels:
    """The picture with no side above `most` pixels."""
    height, width = picture.shape[:2]
    if max(height, width) <= most:
        return picture
    factor = most / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(PillowImage.fromarray(picture).resize(size, PillowImage.Resampling.LANCZOS))


def curves(
    lines: Sequence[tuple[str, Sequence[float]]], first: float, *, band: float, x_label: str, size: tuple[int, int]
) -> str:
    """Curves over whole numbers from `first` on, in an inline SVG, with a grey band from -band to band.

    Args:
        lines: names and values, alike long. size: width and height in pixels.
    """
    width, height = size
    left, bottom, top = 40, height - 34, 10
    values = [v for _, each in lines for v in each]
    high, low = 1.0, min(-0.25, *values)
    count = len(lines[0][1])

    def x_of(i: float) -> float:
        return left + (width - left - 10) * i / max(count - 1, 1)

    def y_of(value: float) -> float:
        return top + (bottom - top) * (high - value) / (high - low)

    parts = [f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">']
    parts.append(
        f'<rect x="{left}" y="{y_of(band):.1f}" width="{width - left - 10}" height="{y_of(-band) - y_of(band):.1f}" '
        'fill="#d8dee4"/>'
    )
    for tick in (0.0, 0.5, 1.0):
        y = y_of(tick)
        parts.append(f'<line x1="{left}" x2="{width - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="#c6ccd2"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for i in range(0, count, max(1, (count - 1) // 4)):
        parts.append(f'<text x="{x_of(i):.1f}" y="{bottom + 16}" text-anchor="middle">{first + i:g}</text>')
    parts.append(f'<text x="{(left + width) / 2:.0f}" y="{height - 3}" text-anchor="middle">{escape(x_label)}</text>')
    for n, (name, each) in enumerate(lines):
        colour = ("#0072b2", "#d55e00", "#009e73")[n % 3]
        points = " ".join(f"{x_of(i):.1f},{y_of(v):.1f}" for i, v in enumerate(each))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        place = f'x="{width - 14}" y="{top + 14 + 15 * n}" text-anchor="end" style="fill:{colour}"'
        parts.append(f"<text {place}>{escape(name)}</text>")
    return "".join([*parts, "</svg>"])


def colour_bar(high: str, low: str = "0", colours: Sequence[tuple[int, int, int]] = HEAT) -> str:
    """The legend of a map's colours, as HTML."""
    stops = ", ".join(f"rgb({r},{g},{b})" for r, g, b in colours)
    return (
        f'<div class="bar"><span>{escape(low)}</span><i style="background:linear-gradient(to right, {stops})"></i>'
        f"<span>{escape(high)}</span></div>"
    )
