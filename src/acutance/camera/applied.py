"""Apply a profile to one picture: find its noise level, and the blur of every place of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from acutance.camera.profile import Profile
from acutance.errors import ImageError, KernelError
from acutance.images import Image, srgb_to_linear
from acutance.images.exif import orient
from acutance.images.image import StatedNoise
from acutance.images.shot import shot_of
from acutance.images.source import is_lossy, is_measured
from acutance.noise.curve import rounding, slope
from acutance.noise.level import behind_compression
from acutance.operators import BlurField
from acutance.psf import shapes
from acutance.psf.placed import node_places

TURNED = 6
"""EXIF orientation of a picture that stands upright in its file, where the profile's lie: the usual quarter turn."""

SAME_ASPECT = 0.01  # relative difference of width by height, up to which a picture was scaled and not cut
CENTRE = 0.1  # of half the diagonal: nearer to the middle there is no direction to it
FINEST = 1e-6  # the least noise level that is told, a fraction of the range


@dataclass(frozen=True)
class Box:
    """A piece of a picture. Args: top, left: of its first pixel. height, width: pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Fit:
    """The place of a picture in a profile. Args: scale: its pixels by those of the profile. orientation: as in EXIF."""

    scale: float
    orientation: int

    @property
    def is_scaled(self) -> bool:
        """Tell whether the picture was made smaller or larger."""
        return abs(self.scale - 1) > SAME_ASPECT


def step_of(image: Image) -> float:
    """The step between two values of the file of a picture; 0 of floating point."""
    return 0.0 if image.info.is_float else 1 / (2**image.info.bits - 1)


def fit_of(profile: Profile, size: tuple[int, int], orientation: int = 1) -> Fit | None:
    """Find the place of a picture in the profile; None: it has another aspect, so it was cut, or comes from elsewhere.

    Args:
        size: (H, W), upright. orientation: by which its stored pixels were turned.
    """
    for turn in dict.fromkeys((orientation, TURNED if orientation < 5 else 1)):
        height, width = size if turn < 5 else size[::-1]
        scales = height / profile.height, width / profile.width
        if abs(scales[1] / scales[0] - 1) <= SAME_ASPECT:
            return Fit(math.sqrt(scales[0] * scales[1]), turn)
    return None


def blur_of(profile: Profile, size: tuple[int, int], orientation: int = 1, box: Box | None = None) -> BlurField:
    """The blur of the lens in every place of a picture, or of a piece of it.

    A picture that was scaled has the blur scaled with it; what scaling itself blurs is not in it.

    Args:
        size: (H, W) of the whole picture, upright. orientation: see `fit_of`. box: a piece; None: all.

    Raises:
        KernelError: the profile holds no blur, or the picture has another aspect.
    """
    if profile.blur is None:
        raise KernelError("the profile holds no blur of a lens; calibrate again, with pictures of sharp edges")
    fit = fit_of(profile, size, orientation)
    if fit is None:
        raise KernelError(
            f"the profile is of pictures of {profile.width} x {profile.height} pixels, and this one has {size[1]} x "
            f"{size[0]}, another aspect: where it was cut from is not known; give the whole picture"
        )
    cells = profile.blur.deviations().permute(1, 2, 0).numpy() * fit.scale
    turned = torch.from_numpy(np.ascontiguousarray(orient(cells, fit.orientation))).permute(2, 0, 1)
    piece = box or Box(0, 0, *size)
    whole = box is None
    counts = [
        n if whole else math.ceil(n * part / side) + 1
        for n, part, side in zip(turned.shape[1:], (piece.height, piece.width), size, strict=True)
    ]
    ys, xs = (
        torch.from_numpy(node_places(n, part)) + first
        for n, part, first in zip(
            counts, (piece.height, piece.width), (piece.top, piece.left), strict=True
        )
    )  # fmt: skip
    return BlurField(_kernels(_sampled(turned, ys, xs, size), ys, xs, size).reshape(*counts, 1, *_side(turned)))


def noise_of(profile: Profile, image: Image, *, deblur: bool) -> StatedNoise:
    """The noise level of a picture by the profile, for encoded values and for linear light.

    Of lossy files the curve is that of smooth places; for deblurring it is raised as an estimate would be.

    Raises:
        ConfigError: the profile holds no noise. ImageError: a measurement, which has no curve.
    """
    if is_measured(image):
        raise ImageError("a profile is for photographs, and this is FITS; leave the profile out")
    line, which = profile.noise_at(shot_of(image.info.exif).iso)
    encoded = image.pixels.float().nan_to_num(0).clamp(0, 1)
    light = srgb_to_linear(encoded)
    step, steep = step_of(image), slope(light)
    variance = line.variance(light)
    levels = torch.stack(
        ((variance / steep.square()).mean() + step**2 / 12, (variance + rounding(light, step)).mean())
    ).sqrt()  # fmt: skip
    source = f"the profile {which}"
    if deblur and is_lossy(image):
        levels, source = behind_compression(levels), f"{source}, raised as compression hides noise"
    told = [float(v) for v in levels.clamp_min(FINEST)]
    return StatedNoise(told[0], source, linear=told[1])


def _side(deviations: Tensor) -> tuple[int, int]:
    """Sides of the kernels."""
    side = shapes.odd_size(6 * max(float(deviations.max()), 0.5) + 1)
    return side, side


def _sampled(cells: Tensor, ys: Tensor, xs: Tensor, size: tuple[int, int]) -> Tensor:
    """Values of cells (2, rows, columns) at places of a picture, bilinear: (2, len(ys), len(xs))."""
    for axis, places in ((1, ys), (2, xs)):
        n = cells.shape[axis]
        place = ((places + 0.5) * n / size[axis - 1] - 0.5).clamp(0, n - 1)
        low = place.floor().long().clamp(max=max(n - 2, 0))
        high = (low + 1).clamp(max=n - 1)
        share = (place - low).reshape([-1 if a == axis else 1 for a in range(3)])
        cells = torch.lerp(cells.index_select(axis, low), cells.index_select(axis, high), share)
    return cells


def _kernels(deviations: Tensor, ys: Tensor, xs: Tensor, size: tuple[int, int]) -> Tensor:
    """A Gaussian for each place, (n, 1, side, side)."""
    y, x = torch.meshgrid(ys - (size[0] - 1) / 2, xs - (size[1] - 1) / 2, indexing="ij")
    radial, tangential = deviations.clamp_min(0.1)
    middle = torch.hypot(y, x) < CENTRE * math.hypot(*size) / 2
    even = (radial * tangential).sqrt()
    radial, tangential = torch.where(middle, even, radial), torch.where(middle, even, tangential)
    angle = torch.rad2deg(torch.atan2(-y, x))
    return shapes.gaussian(
        radial.flatten().float(), _side(deviations)[0], ratio=(tangential / radial).flatten().float(),
        angle=angle.flatten().float(),
    )  # fmt: skip
