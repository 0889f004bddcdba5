r"""Measure a point-spread function from stars or beads.

1. The background is a mesh of clipped medians; what exceeds it by many deviations of the noise and is a local maximum
   is a point.
2. Points near the border, clipped, with missing pixels, blended with another, or of another width are rejected.
3. Each is centred by a Gaussian window, c <- c + 2 sum_p w_p I_p (p - c) / sum_p w_p I_p (XWIN_IMAGE of SExtractor,
   Bertin & Arnouts 1996), shifted to the common centre by the phases of its Fourier transform, divided by its light.
4. The kernel is their mean, weighted by their light, without what is far from the median over the points.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from acutance.errors import KernelError
from acutance.psf.doctor import widths
from acutance.psf.shapes import odd_size

Array = NDArray[np.float64]

BLEND = 0.05
"""Part of a point's peak from which on another maximum within the kernel is a blend."""

FEWEST = 3
"""Points that a kernel is made of, at least."""

_BOX = 64  # px, side of a box of the background's mesh
_MARGIN = 4  # px around the kernel: the local background, and room for the shift
_FIRST = 10  # px, half of the stamps that tell the width
_MOST = 500  # points that are used


@dataclass(frozen=True, eq=False)
class MeasuredPsf:
    """A kernel and what it rests on.

    Args:
        kernel: (1, 1, h, w) or (1, 1, d, h, w) float32, sum 1, odd sides.
        width: full width at half maximum of the points along (z,) y, x, pixels; the median.
        places: (n, 2 or 3), centres of the points that were used, pixels.
        rejected: how many points were not used, by the reason.
    """

    kernel: Tensor
    width: tuple[float, ...]
    places: Array
    rejected: Mapping[str, int] = field(default_factory=dict)


def measure_psf(
    values: NDArray[np.generic], *, size: int | None = None, threshold: float = 30.0, saturation: float | None = None
) -> MeasuredPsf:
    """The mean of the isolated points of a picture or a volume.

    Args:
        values: (H, W) or (D, H, W), real, linear in the light; NaN where missing.
        size: side, odd, pixels, along every axis; None: eight times the width, of a volume five times.
        threshold: peak of a point, in deviations of the smoothed noise above the background.
        saturation: values from here on are clipped; None: the largest value, if several pixels have it.

    Raises:
        KernelError: no such array, or fewer than three points are left.
    """
    found = find_points(values, size=size, threshold=threshold, saturation=saturation)
    kept = alike(found.stamps, found.width)
    rejected = found.rejected.copy()
    rejected["of another width"] += len(found.stamps) - int(kept.sum())
    if kept.sum() < FEWEST:
        raise KernelError(too_few(found.count, int(kept.sum()), rejected))
    kernel = torch.from_numpy(combined(np.stack(found.stamps)[kept], found.width).astype(np.float32))[None, None]
    return MeasuredPsf(kernel, found.width, np.array(found.centres)[kept], {k: n for k, n in rejected.items() if n})


@dataclass(frozen=True, eq=False)
class Points:
    """Isolated points of a picture or volume, centred.

    Args:
        stamps: of one size, the point in the middle of each, background removed. centres: their places, pixels.
        width: full width at half maximum along (z,) y, x, pixels, by which they were centred.
        count: points above the threshold. rejected: how many are left out, by the reason.
        shape: of the picture.
    """

    stamps: list[Array]
    centres: list[Array]
    width: tuple[float, ...]
    count: int
    rejected: Counter[str]
    shape: tuple[int, ...]


def find_points(
    values: NDArray[np.generic],
    *,
    size: int | None = None,
    threshold: float = 30.0,
    saturation: float | None = None,
    quantile: float = 0.5,
) -> Points:
    """Find the isolated points and centre them, see `measure_psf`.

    Args:
        quantile: of the points' widths that counts as their width; above 0.5 where the width varies.

    Raises:
        KernelError: no such array, or no bright point.
    """
    image = np.asarray(values, np.float64)
    if image.ndim not in (2, 3) or min(image.shape, default=0) < 5 or not np.isfinite(image).any():
        raise KernelError(f"an array of shape {image.shape}: give a picture (H, W) or a volume (D, H, W) with points")
    if size is not None and (size < 5 or size % 2 == 0):
        raise KernelError(f"a kernel of side {size}: give an odd number, at least 5")
    missing = ~np.isfinite(image)
    top = float(image[~missing].max())
    saturated = image >= (saturation if saturation is not None else top if (image == top).sum() > 2 else math.inf)
    flat = np.where(missing, 0, image - _background(np.where(missing, np.nan, image)))
    places, heights, deviation = _maxima(flat)
    bright = heights > threshold * deviation
    width = _typical_width(flat, places[bright], saturated | missing, quantile)
    factor = 8 if image.ndim == 2 else 5
    halves = [((size or odd_size(factor * w + 1)) - 1) // 2 for w in width]
    found = Points([], [], width, int(bright.sum()), Counter(), image.shape)
    for place, height in zip(places[bright], heights[bright], strict=True):
        box = tuple(slice(int(p) - h - _MARGIN, int(p) + h + _MARGIN + 1) for p, h in zip(place, halves, strict=True))
        blend = ((abs(places - place) <= halves).all(1) & (heights > BLEND * height)).sum() > 1
        why = _trouble(box, saturated, missing, blend=bool(blend))
        if why:
            found.rejected[why] += 1
        elif len(found.stamps) < _MOST:
            stamp, off = _centred(flat[box], width)
            if max(map(abs, off)) > max(2.0, max(width) / 2):
                found.rejected["not to be centred"] += 1
            else:
                found.stamps.append(stamp)
                found.centres.append(place + off)
    return found


def too_few(count: int, usable: int, rejected: Mapping[str, int]) -> str:
    """The message where not enough points are left."""
    why = ", ".join(f"{n} {reason}" for reason, n in rejected.items() if n) or "none is bright enough"
    return (
        f"{count} points were found and {usable} are usable ({why}); at least {FEWEST} are needed: "
        "lower the threshold, or give a smaller size"
    )


def _trouble(box: tuple[slice, ...], saturated: NDArray[np.bool_], missing: NDArray[np.bool_], *, blend: bool) -> str:
    """Why a point whose stamp is `box` is not used; "": it is."""
    if any(s.start < 0 or s.stop > n for s, n in zip(box, saturated.shape, strict=True)):
        return "near the border"
    if saturated[box].any():
        return "clipped"
    if missing[box].any():
        return "missing pixels"
    return "blended" if blend else ""


def _background(image: Array) -> Array:
    """Clipped medians of boxes, with linear steps between their middles."""
    edges = [np.linspace(0, n, max(1, n // _BOX) + 1).astype(int) for n in image.shape]
    mesh = np.empty([len(e) - 1 for e in edges])
    everywhere = float(np.nanmedian(image))
    for at in product(*(range(n) for n in mesh.shape)):
        box = image[tuple(slice(e[i], e[i + 1]) for e, i in zip(edges, at, strict=True))]
        box = box[np.isfinite(box)]
        for _ in range(5):
            if box.size < 20:
                break
            middle = np.median(box)
            box = box[abs(box - middle) <= 3 * 1.4826 * np.median(abs(box - middle)) + 1e-12 * abs(middle)]
        mesh[at] = np.median(box) if box.size >= 20 else everywhere
    mode = "bilinear" if image.ndim == 2 else "trilinear"
    found = F.interpolate(torch.from_numpy(mesh)[None, None], image.shape, mode=mode, align_corners=False)
    return np.asarray(found[0, 0].numpy(), np.float64)


def _maxima(flat: Array) -> tuple[Array, Array, float]:
    """Local maxima of the smoothed picture above five deviations, the highest first; heights; the deviation."""
    x = torch.from_numpy(flat)[None, None]
    conv, pool = (F.conv2d, F.max_pool2d) if flat.ndim == 2 else (F.conv3d, F.max_pool3d)
    line = torch.tensor([1.0, 4, 6, 4, 1], dtype=torch.float64) / 16
    for axis in range(2, x.ndim):
        shape = [1] * x.ndim
        shape[axis] = 5
        pads = [0 if a != axis else 2 for a in range(x.ndim - 1, 1, -1) for _ in (0, 1)]
        x = conv(F.pad(x, pads, mode="replicate"), line.reshape(shape))
    soft = x[0, 0].numpy()
    deviation = 1.4826 * float(np.median(abs(soft - np.median(soft))))
    best = pool(x, 3, 1, 1)[0, 0].numpy()
    found = np.argwhere((soft == best) & (soft > max(5 * deviation, 1e-9 * float(soft.max()))))
    heights = soft[tuple(found.T)]
    order = np.argsort(-heights)
    return found[order].astype(np.float64), heights[order], deviation


def _typical_width(flat: Array, places: Array, bad: NDArray[np.bool_], quantile: float) -> tuple[float, ...]:
    """A quantile of the widths of the brightest points that are whole."""
    found: list[tuple[float, ...]] = []
    for place in places:
        box = tuple(slice(max(int(p) - _FIRST, 0), int(p) + _FIRST + 1) for p in place)
        stamp = flat[box]
        if len(found) < 50 and not bad[box].any() and stamp.max() <= flat[tuple(place.astype(int))] * 1.3:
            found.append(widths(stamp))
    if not found:
        raise KernelError("no bright point was found; lower the threshold, and give a picture of stars or beads")
    return tuple(float(w) for w in np.quantile(np.array(found), quantile, 0))


def _centred(stamp: Array, width: tuple[float, ...]) -> tuple[Array, tuple[float, ...]]:
    """The kernel's part of a stamp with the point in its middle, and how far it was from there, pixels."""
    ring = np.ones(stamp.shape, bool)
    ring[(slice(_MARGIN // 2, -_MARGIN // 2),) * stamp.ndim] = False
    stamp = stamp - np.median(stamp[ring])
    axes = np.meshgrid(*(np.arange(n) - n // 2 for n in stamp.shape), indexing="ij", sparse=True)
    off = [0.0] * stamp.ndim
    for _ in range(30):
        away = [a - d for a, d in zip(axes, off, strict=True)]
        window = np.exp(-0.5 * sum((a * 2.3548 / w) ** 2 for a, w in zip(away, width, strict=True))) * stamp
        step = [2 * float((window * a).sum() / window.sum()) for a in away]
        off = [float(np.clip(d + s, -_MARGIN, _MARGIN)) for d, s in zip(off, step, strict=True)]
        if max(map(abs, step)) < 1e-4:
            break
    spectrum = np.fft.fftn(stamp)
    for axis, d in enumerate(off):
        phase = np.exp(2j * np.pi * d * np.fft.fftfreq(stamp.shape[axis]))
        spectrum = spectrum * phase.reshape([-1 if i == axis else 1 for i in range(stamp.ndim)])
    moved = np.fft.ifftn(spectrum).real
    return moved[(slice(_MARGIN, -_MARGIN),) * stamp.ndim], tuple(off)


def alike(stamps: list[Array], width: tuple[float, ...]) -> NDArray[np.bool_]:
    """Tell which points have the usual width; cosmic rays are narrower, galaxies wider."""
    if not stamps:
        return np.zeros(0, bool)
    core = _core(stamps[0].shape, width, 0.5)
    disc = _core(stamps[0].shape, width, 1.5)
    share = np.array([s[core].sum() / max(s[disc].sum(), 1e-300) for s in stamps])
    middle = float(np.median(share))
    spread = 1.4826 * float(np.median(abs(share - middle)))
    return np.asarray(abs(share - middle) <= max(4 * spread, 0.05 * middle))


def _core(shape: tuple[int, ...], width: tuple[float, ...], radius: float) -> NDArray[np.bool_]:
    """The ellipsoid of `radius` widths about the middle."""
    axes = np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij", sparse=True)
    return np.asarray(sum((a / w) ** 2 for a, w in zip(axes, width, strict=True)) <= radius**2)


def combined(stamps: Array, width: tuple[float, ...]) -> Array:
    """The clipped mean of stamps (n, ...), sum 1; what does not exceed its noise is averaged around the centre."""
    light = stamps[:, _core(stamps.shape[1:], width, 1.5)].sum(1)
    scaled = stamps / light.reshape(-1, *[1] * (stamps.ndim - 1))
    middle = np.median(scaled, 0)
    away = abs(scaled - middle)
    good = away <= 4 * 1.4826 * np.median(away, 0) + 1e-12
    weights = np.where(good, light.reshape(-1, *[1] * (stamps.ndim - 1)), 0)
    mean = (weights * scaled).sum(0) / weights.sum(0)
    noise = 1.4826 * np.median(away, 0) / math.sqrt(len(stamps))
    axes = np.meshgrid(*(np.arange(n) - n // 2 for n in mean.shape), indexing="ij", sparse=True)
    rings = np.rint(min(width) * np.sqrt(sum((a / w) ** 2 for a, w in zip(axes, width, strict=True)))).astype(int)
    counts = np.maximum(np.bincount(rings.ravel()), 1)
    around = (np.bincount(rings.ravel(), mean.ravel()) / counts)[rings]
    result: Array = np.maximum(np.where((mean < 5 * noise) & ~_core(mean.shape, width, 1.0), around, mean), 0)
    return result / float(result.sum())
