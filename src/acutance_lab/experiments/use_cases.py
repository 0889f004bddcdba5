r"""Pictures as users have them: blurred in linear light by a camera, and written as a JPEG file.

    y = jpeg( resize( T( clip( blur(L) + noise ) ) ) ),      L = T^-1(photograph),      T: the camera's tone curve

The truth is `resize(T(clip(L)))`. The blur is one kernel for the whole picture, or a camera that turns. Noise is that
of photons and of reading, with a level of 0.5 to 1 % after the tone curve. The draws of a case are seeded by its kind
and number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.blind.shapes import widths
from acutance.operators import Blur
from acutance.tensors import crop
from acutance_lab.data.photographs import Photographs
from acutance_lab.synth import graphics, kernels
from acutance_lab.synth.camera import Draw, Tone, exposed, lit
from acutance_lab.synth.files import jpeg_bytes, seeded
from acutance_lab.synth.noise import before_encoding

LARGEST = 91
"""Side of the largest kernel, pixels."""

MARGIN = LARGEST // 2
"""Pixels that a scene has beyond the frame on every side."""

MOMENTS = 41
"""Moments of a turn of the camera."""

FACTORS = (0.6, 0.85)
"""How much smaller a resized picture becomes."""

DrawKernel = Callable[[Draw], Tensor]
"""Draws a kernel (1, 1, s, s), s odd, up to `LARGEST`."""


@dataclass(frozen=True)
class Kind:
    """What the cases of a kind have in common.

    Args:
        kernel: of the blur; None: no single kernel.
        turn: range of the camera's rotation about a point of the picture, degrees; None: it does not turn.
        scene: "photograph", "night" (dark, with lamps beyond white), "page" or "graphic" (of any kind that we draw).
        share: how many cases of 30 are of this kind. encoded: whether the blur is of encoded values, as many programs
            make it, and not of light.
    """

    kernel: DrawKernel | None = None
    turn: tuple[float, float] | None = None
    scene: str = "photograph"
    share: int = 2
    encoded: bool = False

    @property
    def blurred(self) -> bool:
        """Whether there is a blur to remove."""
        return self.kernel is not None or self.turn is not None


def shaken(draw: Draw, low: int, high: int) -> Tensor:
    """A path of the camera that fills a square of `low` to `high` pixels, log-uniform: the widest of four draws."""
    span = round(float(draw.log_uniform((low, high)))) // 2 * 2 + 1
    make = kernels.spline if bool(draw.pick(0.5)) else kernels.shake
    drawn = make(4, span, draw.generator)
    return max((drawn[i : i + 1] for i in range(4)), key=lambda kernel: math.hypot(*widths(kernel)))


def disc(draw: Draw) -> Tensor:
    """A lens out of focus."""
    return kernels.disc(draw.log_uniform((1.5, 8.0)))


def soft(draw: Draw) -> Tensor:
    """A Gaussian."""
    return kernels.gaussian(draw.log_uniform((1.0, 3.0)))


def straight(draw: Draw) -> Tensor:
    """A straight line."""
    return kernels.line(draw.log_uniform((6.0, 30.0)), draw.uniform((0.0, 180.0)))


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "shake 5-15": Kind(partial(shaken, low=5, high=15), share=4),
        "shake 16-35": Kind(partial(shaken, low=16, high=35), share=6),
        "large 41-91": Kind(partial(shaken, low=41, high=LARGEST), share=3),
        "turn": Kind(turn=(1.0, 5.0), share=3),
        "disc": Kind(disc, share=3),
        "gaussian": Kind(soft, share=1),
        "line": Kind(straight, share=2),
        "night": Kind(partial(shaken, low=9, high=31), scene="night", share=2),
        "text": Kind(partial(shaken, low=5, high=21), scene="page", share=2),
        "sharp": Kind(share=4),
    }
)
"""Every kind by name; 30 cases in all."""


@dataclass(frozen=True, eq=False)
class Case:
    """One picture and its truth.

    Args:
        kind, name: of the case. file: the bytes of a JPEG file. truth: (1, 3, H, W) in [0, 1], encoded.
        kernel: (1, 1, s, s) in pixels of the file; None: no single kernel, or no blur.
    """

    kind: str
    name: str
    file: bytes
    truth: Tensor
    kernel: Tensor | None

    @property
    def blurred(self) -> bool:
        """Whether there is a blur to remove."""
        return KINDS[self.kind].blurred


def cases(
    photographs: Photographs, *, side: int, seed: int, portion: float = 1.0, kinds: Sequence[str] = ()
) -> Iterator[Case]:
    """All cases, kind after kind. A case is the same whatever other kinds are asked for.

    Args:
        photographs: sharp ones, at least `room(side)` pixels a side. side: of a picture, pixels. seed: of all draws.
        portion: 1: as many cases as the shares of the kinds say; 0.5: half as many, at least one of each kind.
        kinds: names of the kinds that are wanted; none: all of them.
    """
    number = 0
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(photographs.names), generator=generator).tolist()
    for name, kind in KINDS.items():
        for i in range(max(1, round(portion * kind.share))):
            number += 1
            if kinds and name not in kinds:
                continue
            one = photographs.only(order[(number - 1) % len(order)])
            yield make(name, kind, one, i, side, Draw(1, seeded(f"{seed}/{name}/{i}")), seed)


def room(side: int) -> int:
    """Pixels that a photograph needs a side; a resized case takes as much more as the photograph has."""
    return side + 2 * MARGIN


@torch.no_grad()
def make(name: str, kind: Kind, photograph: Photographs, number: int, side: int, draw: Draw, seed: int) -> Case:
    """One case. Args: name, kind: of it. photograph: a single one. number: among those of the kind. draw: seeded."""
    factor = float(draw.uniform(FACTORS)) if bool(draw.pick(0.2)) else 1.0
    size = round(side / factor) + 2 * MARGIN
    if kind.scene in ("photograph", "night"):
        size = min(size, int(photograph.sizes.min()))
    factor = side / (size - 2 * MARGIN)
    if kind.scene in ("page", "graphic"):
        if kind.scene == "page":
            page = graphics.page(seed, 1000 + number, size=(size, size), kind="article", packaged=True, dark=False)
        else:
            at = int(torch.randint(1 << 30, (1,), generator=draw.generator))
            page = graphics.page(seed, at, size=(size, size))
        sharp = torch.from_numpy(page.copy()).permute(2, 0, 1)[None].float() / 255
    else:
        sharp = photograph.crops(1, size, draw.generator, candidates=1)
    tone = Tone(draw.uniform((2.0, 2.4)), draw.pick(0.5), draw.uniform((1.0, 1.15)))
    if kind.encoded:
        tone = Tone(torch.ones(1), torch.zeros(1, dtype=torch.bool), torch.ones(1))
    light = tone.decode(sharp)
    if kind.scene == "night":
        light = lit(0.3 * light, draw.log_uniform((3.0, 30.0)))
    kernel = None if kind.kernel is None else kind.kernel(draw)
    if kind.turn is not None:
        blurred, middle = turned(light, draw, kind.turn)
    else:
        middle = crop(light, MARGIN, MARGIN)
        reach = MARGIN if kernel is None else MARGIN - kernel.shape[-1] // 2
        blurred = crop(light, reach, reach)
        blurred = blurred if kernel is None else Blur(kernel).forward(blurred)
    written = recorded(blurred, tone, draw)
    truth = tone.encode(middle)
    if factor != 1:
        written, truth = (
            F.interpolate(x, size=(side, side), mode="bicubic", antialias=True).clamp(0, 1) for x in (written, truth)
        )
        kernel = None if kernel is None else smaller(kernel, factor)
    quality, subsampling = round(float(draw.uniform((75, 95)))), 0 if bool(draw.pick(0.5)) else 2
    return Case(name, f"{name} {number + 1}", jpeg_bytes(written, quality, subsampling), truth, kernel)


def turned(light: Tensor, draw: Draw, degrees: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Light (1, 3, H, W) seen by a camera that turns and shifts evenly, and its middle moment, without `MARGIN`."""
    side = light.shape[-1] - 2 * MARGIN
    angle = math.radians(float(draw.uniform(degrees)))
    centre = 0.25 * side * draw.uniform((-1.0, 1.0), 2)[0]
    shift = 4 * draw.normal(2)[0]
    time = torch.linspace(-0.5, 0.5, MOMENTS)
    maps = torch.zeros(1, 1, MOMENTS, 3, 3)
    cos, sin = torch.cos(angle * time), torch.sin(angle * time)
    maps[0, 0, :, 0, 0], maps[0, 0, :, 0, 1] = cos, -sin
    maps[0, 0, :, 1, 0], maps[0, 0, :, 1, 1] = sin, cos
    maps[0, 0, :, 0, 2] = centre[0] - cos * centre[0] + sin * centre[1] + shift[0] * time
    maps[0, 0, :, 1, 2] = centre[1] - sin * centre[0] - cos * centre[1] + shift[1] * time
    maps[0, 0, :, 2, 2] = 1
    never = torch.full((1,), math.inf)
    return exposed(light, maps, torch.tensor([MOMENTS]), (), never, MARGIN)


def recorded(light: Tensor, tone: Tone, draw: Draw) -> Tensor:
    """Encoded values of light (1, 3, H, W) with the noise of a sensor, in [0, 1]."""
    spread = (light.clamp_min(0) + float(draw.log_uniform((0.01, 0.3)))).sqrt()
    spread = before_encoding(light, spread, draw.uniform((0.005, 0.01)))
    return tone.encode(light + spread * torch.randn(light.shape, generator=draw.generator))


def smaller(kernel: Tensor, factor: float) -> Tensor:
    """A kernel (1, 1, s, s) after a resize of the picture by `factor`, s odd again."""
    size = math.ceil(factor * kernel.shape[-1])
    size += 1 - size % 2
    room_ = round(size / factor) + 1 - round(size / factor) % 2
    wide = F.pad(kernel, ((room_ - kernel.shape[-1]) // 2,) * 4)
    small = F.interpolate(wide, size=(size, size), mode="bilinear", antialias=True).clamp_min(0)
    return small / small.sum()


def load(data: Path, side: int, *, validation: bool = True) -> Photographs:
    """The photographs that the cases are made of: held-out ones, or those of the training.

    Raises:
        DataError: there is none that is large enough.
    """
    return Photographs.load(data, device=torch.device("cpu"), validation=validation, least=room(side))
