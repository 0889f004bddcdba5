r"""PSNR as a function of one thing at a time: steps, size of the kernel, noise, saturation, errors of the kernel.

    y = quantise( clip( valid(f * g x) + sigma n ) ),      truth = clip( g x )

as in `acutance_lab.bench.synthetic`, with the gain g of the brightness. What a curve does not vary stays at the base: a
kernel of 19 pixels, 1 % noise, g = 1, and f itself is given to the methods. All is drawn from generators that are
seeded with names, so every method meets the same pictures wherever it runs. A picture has one path of the camera, which
grows with the size of the kernel, so that a curve compares sizes and not paths.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.images import read_image
from acutance.tensors import crop, pad
from acutance_lab.bench import pictures
from acutance_lab.bench.case import Case, Content, Noise, Suite
from acutance_lab.bench.scenes import widest
from acutance_lab.bench.synthetic import synthetic_content
from acutance_lab.synth import kernels
from acutance_lab.synth.files import seeded
from acutance_lab.synth.kernel_error import centred_like, cut, speckled, turned

SIDE, LEAST = 192, 32
"""Of the blurred pictures, pixels: unless said otherwise, and at least."""

STEPS = 20
"""The number of steps on the curve `steps`."""

DRAWN = 16
"""Kernels of which the widest is taken: a random path may fill a small part of its frame only."""

FAINT = 1e-4
"""Part of its maximum up to which the margin of a kernel is empty."""

SIMPLE = 5
"""Span up to which a kernel is any of what cameras do, not only a path."""

ROUNDING = 1 / 255**2 / 12
"""Variance that eight bits add. It belongs to the level that methods are told: none is never true of such pictures,
and a method that is told so divides by it."""

Spoil = Callable[[Tensor, torch.Generator], Tensor]
"""Makes a wrong kernel of the true one, both (1, 1, s, s), s odd; it may move it."""


@dataclass(frozen=True)
class Condition:
    """A condition: it says how pictures are made.

    Args:
        span: side of the kernel, pixels. noise: fraction of the range. gain: brightness of the sharp picture.
        spoil: None: the true kernel is given.
    """

    span: int = 19
    noise: float = 0.01
    gain: float = 1.0
    spoil: Spoil | None = None


BASE = Condition()


@dataclass(frozen=True)
class Curve:
    """One thing that is varied.

    Args:
        name: as on the command line. axis: what is varied, with its unit. values: of it.
        condition: how pictures are made at a value.
        stepwise: the values are numbers of steps, so that one run has them all: its curve over the steps.
    """

    name: str
    axis: str
    values: tuple[float, ...]
    condition: Callable[[float], Condition]
    stepwise: bool = False

    @property
    def steps(self) -> int | None:
        """The number of steps that every method takes, where the values are steps; None elsewhere."""
        return len(self.values) if self.stepwise else None

    @property
    def reach(self) -> int:
        """Side of its largest kernel, pixels."""
        return max(self.condition(value).span for value in self.values)


def _linear(degrees: float = 0.0, scale: float = 1.0) -> Condition:
    def spoil(kernel: Tensor, _: torch.Generator) -> Tensor:
        room = kernel.shape[-1] // 4  # for corners that are turned, and for what grows
        return turned(pad(kernel, room, room, border="zero"), torch.tensor([degrees]), torch.tensor([scale]))

    return Condition(spoil=spoil)


def _specks(strength: float) -> Condition:
    return Condition(spoil=lambda kernel, generator: speckled(kernel, torch.tensor([strength]), generator))


def _threshold(share: float) -> Condition:
    return Condition(spoil=lambda kernel, _: cut(kernel, torch.tensor([share])))


_ALL = (
    Curve("steps", "steps", tuple(map(float, range(1, STEPS + 1))), lambda _: BASE, stepwise=True),
    Curve(
        "kernel-size", "side of the kernel, pixels", (3, 5, 9, 13, 19, 25, 31, 45, 61, 75),
        lambda span: Condition(span=round(span)),
    ),
    Curve("noise", "noise, % of the range", (0, 0.5, 1, 2, 3, 4, 5, 6), lambda level: Condition(noise=level / 100)),
    Curve("saturation", "gain of the brightness before clipping", (1, 1.25, 1.5, 2, 3), lambda g: Condition(gain=g)),
    Curve("rotation", "the kernel is turned by, degrees", (0, 2, 4, 8, 12), lambda angle: _linear(degrees=angle)),
    Curve("scale", "the kernel is stretched by", (0.9, 0.95, 1, 1.05, 1.1), lambda scale: _linear(scale=scale)),
    Curve("kernel-noise", "specks in the kernel, mean / its maximum", (0, 0.01, 0.02, 0.05, 0.1), _specks),
    Curve("truncation", "the kernel is cut off below, part of its maximum", (0, 0.02, 0.05, 0.1, 0.2), _threshold),
)  # fmt: skip

CURVES: Mapping[str, Curve] = MappingProxyType({curve.name: curve for curve in _ALL})
"""Every curve by name."""

KERNEL_ERROR = "kernel-error"
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {KERNEL_ERROR: ("rotation", "scale", "kernel-noise", "truncation"), "all": tuple(CURVES)}
)
"""Names that stand for several curves."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A sharp picture: pixels (1, C, H, W) in [0, 1]."""

    suite: str
    name: str
    pixels: Tensor


def find_curves(names: Sequence[str]) -> list[Curve]:
    """The curves of these names, each once; "kernel-error" and "all" stand for several.

    Raises:
        ConfigError: no name, or one that there is not, with those that there are.
    """
    found: dict[str, Curve] = {}
    for name in names:
        if name not in CURVES and name not in GROUPS:
            raise ConfigError(f"there is no curve {name!r}; give some of {', '.join((*CURVES, *GROUPS))}")
        found |= {each: CURVES[each] for each in GROUPS.get(name, (name,))}
    if not found:
        raise ConfigError(f"no curve is named; give some of {', '.join((*CURVES, *GROUPS))}")
    return list(found.values())


def find_pictures(folder: Path, suite: str, count: int) -> list[Picture]:
    """`count` pictures of a test set, spread evenly over it; all if it has fewer.

    Args:
        folder: what `bench_folder` found. suite: a folder of sharp pictures in it, such as set12.

    Raises:
        DataError: there is none. ConfigError: `count` below 1.
    """
    if count < 1:
        raise ConfigError(f"{count} pictures: give at least 1")
    cases = pictures.cases(folder, BASE.noise, name=suite, every_kernel=False)
    names = [cases[i * len(cases) // count].picture for i in range(count)] if count < len(cases) else [
        case.picture for case in cases
    ]  # fmt: skip
    return [Picture(suite, name, read_image(folder / suite / f"{name}.png").pixels.clamp(0, 1)) for name in names]


def curve_suite(curve: Curve, found: Sequence[Picture], side: int = SIDE) -> Suite:
    """The pictures at every value of a curve; at one where the values are steps.

    Args:
        side: of the blurred pictures, cut from the middle; less where a picture has no room for the largest kernel of
            the curve, so that all its values are scored on the same pixels.

    Raises:
        ConfigError: a picture is too small.
    """

    def make(_: Path, noise: Noise) -> list[Case]:
        return [
            Case(
                each.suite, f"{each.name}@{size}", str(made.span), made.noise, partial(content, each, made, size),
                varied=curve.name, value=None if curve.stepwise else float(value),
            )
            for value in (curve.values[:1] if curve.stepwise else curve.values)
            for made in [curve.condition(value)]
            for each, size in zip(found, sides, strict=True)
        ]  # fmt: skip

    sides = [_fitting(curve, picture, side) for picture in found]
    return Suite(
        "curves", curve.axis, "See `acutance_lab.bench.curves`.", (None,), make, files=False, ssim=False, shown=0
    )


def _fitting(curve: Curve, picture: Picture, side: int) -> int:
    fitting = min(side, *(n - curve.reach + 1 for n in picture.pixels.shape[-2:]))
    if fitting < max(LEAST, curve.reach):
        raise ConfigError(
            f"{curve.name}: kernels of up to {curve.reach} pixels leave {fitting} of {picture.suite}/{picture.name}, "
            f"{max(LEAST, curve.reach)} are needed; give larger pictures, a larger --side, or leave that curve out"
        )
    return fitting


def content(picture: Picture, condition: Condition, side: int) -> Content:
    """The middle of a picture, blurred to (1, C, side, side); its kernel is the one that methods are given."""
    name = f"curves/{picture.suite}/{picture.name}"
    height, width = picture.pixels.shape[-2:]
    size = side + condition.span - 1
    top, left = (height - size) // 2, (width - size) // 2
    sharp = condition.gain * picture.pixels[..., top : top + size, left : left + size]
    draw = kernels.mixture if condition.span <= SIMPLE else kernels.spline
    kernel = widest(draw(DRAWN, condition.span, seeded(f"{name}/kernel"), size=condition.span))
    made = synthetic_content(
        f"curves/{picture.suite}", picture.name, str(condition.span), condition.noise, sharp, kernel
    )
    given = kernel
    if condition.spoil is not None:
        given = _centred(condition.spoil(kernel, seeded(f"{name}/spoil")), kernel)
    assert made.truth is not None
    level = math.sqrt(condition.noise**2 + ROUNDING)
    return replace(made, kernel=given, truth=made.truth.clamp(0, 1), sigma=level)


def _centred(wrong: Tensor, kernel: Tensor) -> Tensor:
    """The wrong kernel where the true one is, in a frame of at least the true one's size.

    A kernel of which a whole arm was cut off moves by pixels, so nothing may be lost at the frame meanwhile.
    """
    size = 2 * kernel.shape[-1] + 1
    wide, true = (pad(k, (size - k.shape[-1]) // 2, (size - k.shape[-1]) // 2, border="zero") for k in (wrong, kernel))
    moved = centred_like(wide, true)
    there = (moved[0, 0] > FAINT * moved.max()).nonzero()
    reach = max(kernel.shape[-1] // 2, int((there - size // 2).abs().max()))
    return kernels.normalised(crop(moved, size // 2 - reach, size // 2 - reach))
