r"""From a picture as it comes to a problem as a method wants it, and back: missing pixels, units, kernel, noise.

Results are true to their units: f(c y) = c f(y) for every c > 0 and every method. Methods and their weights know
pictures whose bright parts are near 1, so a picture is divided by

    range        1 for integer files and for values of the usual size; else the picture's brightness,
    scale        the brightness of what is left (after the tone curve, if it is decoded),

both of the valid pixels only and without a floor, and the result is multiplied by both. `Prepared` is the way back.
What lies on a large pedestal, as counts of a camera with an offset do, has it taken off before and put on again: a blur
of sum 1 does not change a constant, but a method sees little of a signal that is a small part of its range.
Whoever runs a method on a `Problem` of his own has to do that himself: `Method.run` is the published iteration.

A pixel is missing where it is NaN or infinite, where the user's mask says so, where the picture is fully transparent
and beside the picture (`acutance.surround`). Methods that use masks leave such pixels to their prior; for the others
they are filled with what is around them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real

import torch
from torch import Tensor

from acutance.errors import ConfigError, ImageError, KernelError
from acutance.images import Image, linear_to_srgb, srgb_to_linear
from acutance.images.source import is_eight_bits, is_lossy, is_measured, is_photograph
from acutance.kernel_fit import check_kernel, check_values, fitted_kernel
from acutance.methods.spec import MethodSpec, catalogue
from acutance.noise.level import Level, decide
from acutance.operators import Blur, BlurField, Boundary
from acutance.problem import Problem
from acutance.quantised import clipped
from acutance.saturation import heeding
from acutance.surround import surround
from acutance.tensors import brightness, filled

FAINTEST, LOUDEST = 0.01, 2.0
"""A picture that is not from an integer file has the range 1 if its brightness lies between these; a fainter or louder
one is in other units, and its brightness is its range."""

PEDESTAL = 0.75
"""Part of the brightness that the `LOW` quantile of a measurement has at least, for it to count as a pedestal."""

LOW = 0.001
"""The quantile that has to be so bright."""

NO_DATA = 1e30
"""Values from here on mark pixels without data: 3.4e38, 1e36 or -1e30 in files of instruments. No picture has such."""

MOST_SIGMA = 0.5
"""Largest noise level, a fraction of the range."""

ROUNDING = 1e-6
"""A brightness that differs from 1 by less is 1: that of pixels which were divided by their own. Processors round it
differently."""

NOTABLE = 0.002
"""Share of clipped pixels from which the user is told."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A problem in the form that a method wants, and the way back from its estimate.

    Args:
        problem: observed = pixels / (range scale). scale, range: see the module.
        channels: of the picture. linear: the tone curve was decoded.
        notes: for the user.
        noise: what the method is told of the noise, in its units, and why. assumed: nobody gave it.
        pedestal: what was taken off the pixels first, in their units.
        kept: pixels (1, C, H, W) that come back as they were where `where`, (1, 1, H, W) bool; None: there are none.
    """

    problem: Problem
    scale: float
    channels: int
    linear: bool
    noise: Level
    notes: tuple[str, ...] = ()
    assumed: bool = False
    range: float = 1.0
    pedestal: float = 0.0
    kept: Tensor | None = None
    where: Tensor | None = None

    @property
    def level(self) -> float | None:
        """The noise level that the method is told, a fraction of the picture's range; None: it is told none."""
        return None if self.noise.sigma is None else self.scale * float(self.noise.sigma)

    def finish(self, x: Tensor) -> Tensor:
        """Estimate on the domain of the blur -> pixels of the picture, (1, C, H, W)."""
        x = self.problem.crop(x)
        if x.shape[1] != self.channels:
            x = x.mean(1, keepdim=True).expand(-1, self.channels, -1, -1)
        x = x * self.scale
        x = (linear_to_srgb(x) if self.linear else x) * self.range + self.pedestal
        return x if self.kept is None or self.where is None else torch.where(self.where, self.kept, x)


def prepare(
    spec: MethodSpec,
    image: Image | Tensor,
    kernel: Tensor | BlurField | None = None,
    *,
    sigma: float | None = None,
    linear: bool = False,
    mask: Tensor | None = None,
    boundary: Boundary = "valid",
    device: torch.device | str = "cpu",
) -> Prepared:
    """The problem as the method wants it, of what has passed `check`; see `acutance.restoration.restorer.Restorer`."""
    needs = spec.needs
    pixels = checked_pixels(image).to(device, torch.float32)
    channels = pixels.shape[1]
    valid, where, notes = _valid_pixels(spec, image, pixels, mask)
    original = pixels
    full = clipped(pixels) if needs.mask else None
    if valid is not None:
        pixels = filled(pixels, valid.to(pixels))
        full = None if full is None else full & valid
        valid = valid if needs.mask else None
    whole = range_of(image, pixels, valid)
    blur: Blur | BlurField | None = None
    if isinstance(kernel, BlurField):
        blur = _field(kernel, pixels, channels, boundary)
    elif kernel is not None:
        fitted, said = fitted_kernel(kernel.to(device), channels, (pixels.shape[-2], pixels.shape[-1]))
        blur, notes = Blur(fitted, boundary), [*notes, *said]
    if needs.channels is None and channels == 3 and _is_grey(pixels, valid, kernel):
        pixels = pixels[:, :1]
        full = None if full is None else full[:, :1]
        valid = None if valid is None else valid[:, :1]
    pedestal = 0.0 if linear or needs.task == "sense" else pedestal_of(image, pixels, valid)
    pixels = pixels - pedestal if pedestal else pixels
    pixels = pixels / whole if whole != 1 else pixels
    pixels = srgb_to_linear(pixels) if linear else pixels
    scale = float(brightness(pixels, valid))
    scale = 1.0 if abs(scale - 1) < ROUNDING else scale  # of pixels that were divided by their own brightness
    pixels = pixels / scale
    if needs.channels is not None and channels == 1:
        pixels = pixels.expand(-1, needs.channels, -1, -1)
    known = not linear and whole == 1 and (not isinstance(image, Image) or is_eight_bits(image))
    believed = None if valid is None else valid.to(pixels)
    step = 1 / 255 / scale if known else None
    # of a photograph no kernel is exact: it was estimated or guessed, and the tone curve is about that of sRGB
    about = torch.ones(1, device=pixels.device) if isinstance(image, Image) and is_photograph(image) else None
    problem = Problem(pixels, blur, mask=believed, unit=scale, step=step, linear=linear, approximate=about)
    if full is not None and bool(full.any()):
        problem = heeding(problem, full)
        share = float(full.any(1).float().mean())
        if share > NOTABLE:
            notes.append(f"{100 * share:.1f} % of the pixels are burnt out; detail there cannot be recovered")
    lossy = isinstance(image, Image) and is_lossy(image)
    level, source = _stated(image, whole, notes, linear=linear) if sigma is None else (None, "")
    noise = decide(
        problem,
        needs,
        None if sigma is None else sigma / scale,
        lossy=lossy,
        stated=None if level is None else level / scale,
        source=source,
        counts=isinstance(image, Image) and not linear and not is_eight_bits(image),
    )
    problem = replace(problem, sigma=noise.sigma, background=noise.background)
    kept = None if where is None else original
    return Prepared(
        problem,
        scale,
        channels,
        linear,
        noise,
        tuple(notes),
        assumed=noise.sigma is not None and sigma is None and level is None,
        range=whole,
        pedestal=pedestal,
        kept=kept,
        where=where,
    )


def check(
    spec: MethodSpec,
    image: Image | Tensor,
    kernel: Tensor | BlurField | None,
    *,
    sigma: float | None,
    mask: Tensor | None,
) -> None:
    """Refuse what cannot be restored, before anything is computed.

    Raises:
        ImageError: no picture, or one of another form. KernelError: no kernel where one is needed, or see
            `acutance.kernel_fit.check_kernel`. ConfigError: several pictures; a noise level out of range; a mask of
            another size, with NaN, that leaves nothing, or for a method that uses none.
    """
    pixels = checked_pixels(image)
    check_level(sigma)
    if kernel is None and spec.needs.kernel:
        raise KernelError(f"{spec.name} needs the blur kernel; give one")
    if isinstance(kernel, BlurField):
        check_values(kernel.kernels)
    elif kernel is not None:
        check_kernel(kernel, pixels.shape[1])
    if mask is not None:
        _check_mask(spec, pixels, mask)


def checked_pixels(image: Image | Tensor) -> Tensor:
    """The pixels of one picture, (1, C, H, W).

    Raises:
        ImageError: anything but an Image or a float tensor (1, 1 or 3, H, W) that is not empty.
        ConfigError: several pictures.
    """
    form = "give an acutance.Image, as read_image makes it, or a float tensor (1, 1 or 3, H, W), white being 1"
    if isinstance(image, Image):
        return image.pixels
    if not isinstance(image, Tensor):
        raise ImageError(f"a picture cannot be a {type(image).__name__}; {form}")
    if image.ndim != 4 or 0 in image.shape or image.shape[1] not in (1, 3) or not image.is_floating_point():
        raise ImageError(f"a picture cannot be a tensor of {image.dtype} {tuple(image.shape)}; {form}")
    if image.shape[0] != 1:
        raise ConfigError(f"{image.shape[0]} pictures at once; a Restorer takes one, `Restorer.batch` takes several")
    return image


def check_level(sigma: object) -> None:
    """Refuse what is no noise level; None is one that is not known.

    Raises:
        ConfigError: no number above 0 and up to `MOST_SIGMA`.
    """
    if sigma is None:
        return
    if isinstance(sigma, bool) or not isinstance(sigma, Real) or not 0 < float(sigma) <= MOST_SIGMA:
        raise ConfigError(
            f"sigma={sigma!r}: give the noise level as a fraction of the range, above 0 and up to {MOST_SIGMA}; "
            "1 % is 0.01; leave it out to have it estimated"
        )


def _valid_pixels(
    spec: MethodSpec, image: Image | Tensor, pixels: Tensor, mask: Tensor | None
) -> tuple[Tensor | None, Tensor | None, list[str]]:
    """Where pixels count, (1, 1 or C, H, W) bool, None: everywhere; where they come back as they were; notes.

    Raises:
        ConfigError: no pixel is left.
    """
    notes: list[str] = []
    valid = torch.ones_like(pixels[:, :1], dtype=torch.bool)
    where = torch.zeros_like(valid)
    if mask is not None:
        valid = valid & (mask.to(pixels.device) > 0.5)
    finite = has_data(pixels) | ~valid
    finite = finite if bool((finite != finite[:, :1]).any()) else finite[:, :1]
    count = int((~finite).any(1).sum())
    if count:
        are = "pixel is" if count == 1 else "pixels are"
        notes.append(f"{count} {are} NaN or infinite, or marked as without data; what is missing was filled in")
    alpha = image.alpha if isinstance(image, Image) else None
    clear = torch.zeros_like(valid) if alpha is None else alpha.to(pixels.device) <= 0
    if bool(clear.any()) and not bool((clear | ~valid).all()):
        valid, where = valid & ~clear, where | clear
    if spec.needs.task == "deblur" and count == 0:
        beside = surround(pixels)
        if beside is not None and not bool((beside | ~valid).all()):
            valid, where = valid & ~beside, where | beside
            share = 100 * float(beside.float().mean())
            notes.append(f"{share:.1f} % of the picture is a constant region beside it; it is left as it is")
    valid = valid & finite if count else valid
    if not bool(valid.any()):
        raise ConfigError("no valid pixel is left: all are NaN, or masked out (in a mask, white means: use this pixel)")
    return None if bool(valid.all()) else valid, where if bool(where.any()) else None, notes


def _check_mask(spec: MethodSpec, pixels: Tensor, mask: Tensor) -> None:
    """Refuse a mask that is none; see `check`."""
    if not spec.needs.mask:
        heeding = ", ".join(s.name for s in catalogue().values() if s.needs.mask)
        raise ConfigError(f"{spec.name} heeds no mask; methods that do: {heeding}")
    if mask.shape != pixels[:, :1].shape:
        raise ConfigError(f"a mask of {tuple(mask.shape)} for a picture of {tuple(pixels.shape)}; give (1, 1, H, W)")
    if not bool(torch.isfinite(mask).all()):
        raise ConfigError("the mask has NaN or infinite values; give 1 where a pixel is to be used, else 0")
    if not bool((mask > 0.5).any()):
        top = mask.float().max()
        raise ConfigError(
            "the mask leaves no pixel to be believed; 1 (white) means: believe this pixel, the largest value found "
            f"is {top:g}"
        )


def has_data(values: Tensor) -> Tensor:
    """Tell where values are neither NaN nor infinite nor beyond `NO_DATA`."""
    return values.abs() < NO_DATA


def range_of(image: Image | Tensor, pixels: Tensor, valid: Tensor | None) -> float:
    """What counts as 1 in messages and for a given noise level, see the module."""
    if isinstance(image, Image) and not image.info.is_float:
        return 1.0
    bright = float(brightness(pixels, valid))
    unit = image.info.scale if isinstance(image, Image) and is_measured(image) else 1.0  # theirs are divided by it
    return 1.0 / unit if FAINTEST <= bright * unit <= LOUDEST else bright


def pedestal_of(image: Image | Tensor, pixels: Tensor, valid: Tensor | None) -> float:
    """Find what all of a measurement lies above, see the module; 0 of a photograph, or where there is no pedestal."""
    if isinstance(image, Image) and (is_photograph(image) or is_eight_bits(image)):
        return 0.0
    there = torch.isfinite(pixels) if valid is None else torch.isfinite(pixels) & (valid > 0)
    values = pixels[there.expand_as(pixels)].float()
    if values.numel() == 0:
        return 0.0
    part = values[:: max(1, values.numel() // 1_000_000)]
    low = float(part.kthvalue(1 + int(LOW * (part.numel() - 1))).values)
    return low if low > PEDESTAL * float(brightness(pixels, valid)) else 0.0


def _stated(image: Image | Tensor, whole: float, notes: list[str], *, linear: bool) -> tuple[float | None, str]:
    """The noise level that comes with a picture, a fraction of its range, and from what; (None, "") where none does.

    Args:
        whole: the range, in the units of the pixels. notes: gets one where the level cannot be.
        linear: that of linear light.
    """
    stated = image.info.noise if isinstance(image, Image) else None
    if stated is None:
        return None, ""
    told = stated.linear if linear else None
    level = (stated.level if told is None else told) / whole
    if level <= MOST_SIGMA:
        return level, stated.source
    notes.append(f"{stated.source}: {level:.3g} times the brightness of the picture cannot be its noise; not used")
    return None, ""


def steepness(encoded: Tensor) -> float:
    """Root mean square of the derivative of light by encoded values: what noise becomes by decoding."""
    x, step = encoded.nan_to_num(0).clamp(0, 1), 1e-3
    return float(((srgb_to_linear(x + step) - srgb_to_linear(x - step)) / (2 * step)).square().mean().sqrt())


def _field(field: BlurField, pixels: Tensor, channels: int, boundary: Boundary) -> BlurField:
    """A kernel for every place, on the picture's device.

    Raises:
        KernelError: it does not fit the picture, or another border is asked for.
    """
    h, w = field.kernels.shape[-2:]
    if boundary != "valid":
        raise KernelError(f"a kernel for every place has the border valid, not {boundary}")
    if field.kernels.shape[2] not in (1, channels):
        raise KernelError(f"kernels of {field.kernels.shape[2]} channels for a picture of {channels}")
    if h > pixels.shape[-2] or w > pixels.shape[-1]:
        size = f"{pixels.shape[-1]} x {pixels.shape[-2]}"
        raise KernelError(f"kernels of {w} x {h} pixels do not fit into a picture of {size}")
    return BlurField(field.kernels.to(pixels.device, torch.float32))


def _is_grey(pixels: Tensor, valid: Tensor | None, kernel: Tensor | BlurField | None) -> bool:
    """Three equal channels, which are restored as one: behind kernels that differ they may not stay equal."""

    def same(x: Tensor) -> bool:
        return bool((x[:, 1:] == x[:, :1]).all())

    planes = 1 if kernel is None else kernel.kernels.shape[2] if isinstance(kernel, BlurField) else kernel.shape[1]
    return same(pixels) and (valid is None or same(valid)) and planes == 1
