r"""What may be in the way of blind estimation, one thing at a time: conditions, and how a picture is made under one.

    y = jpeg( quantise( clip( valid(f * g x) + sigma n ) ) ),      truth = clip( g x )

with the gain g of the brightness. What a condition does not name is as in `BASE`: a photograph, a path of the camera
that fills a frame of 19 pixels, 0.5 % noise, g = 1, no JPEG. Generators are seeded with the seed and the picture, not
with the condition, so that all conditions meet the same scene, path and noise; a path grows with the frame of its
kernel.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor

from acutance.blind.shapes import widths
from acutance.images import Image, ImageInfo
from acutance.operators import Blur
from acutance.tensors import crop
from acutance_lab.synth import kernels, noise

SPAN, LARGEST = 19, 45
"""Sides of the usual and of the largest kernel, pixels."""

MARGIN = LARGEST // 2
"""Pixels that a scene has beyond the frame on every side."""

DRAWN = 4
"""Paths of which the widest is taken: one alone may fill a small part of its frame only."""

STATIC = 0.1
"""Standard deviation of pure noise around medium grey."""

INK, PAPER = 0.08, 0.92
"""The two values of a page; neither is so bright that it counts as clipped."""

Scene = Callable[[Tensor, torch.Generator], Tensor]
"""Makes what is seen of a photograph (1, 3, H, W) in [0, 1], the same size."""

DrawKernel = Callable[[torch.Generator], Tensor]
"""Draws a kernel (1, 1, s, s), s odd."""


def photographed(photograph: Tensor, _: torch.Generator) -> Tensor:
    """The photograph itself."""
    return photograph


def static(photograph: Tensor, generator: torch.Generator) -> Tensor:
    """Nothing but noise, another one in each channel."""
    return 0.5 + STATIC * torch.randn(photograph.shape, generator=generator)


def flat(photograph: Tensor, generator: torch.Generator) -> Tensor:
    """One colour, neither black nor white."""
    return (0.2 + 0.6 * torch.rand(1, 3, 1, 1, generator=generator)).expand_as(photograph)


def page(photograph: Tensor, generator: torch.Generator) -> Tensor:
    """A page of something like writing: lines of words of an alphabet of its own, in two values."""
    height, width = photograph.shape[-2:]
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    alphabet = [_sign(rng) for _ in range(24)]
    tall, wide = alphabet[0].shape
    ink = np.zeros((height + tall, width + wide), dtype=bool)
    for top in range(int(rng.integers(2, 8)), height, tall + 9):
        left = int(rng.integers(2, 12))
        while left < width:
            for letter in rng.integers(len(alphabet), size=int(rng.integers(2, 9))):
                if left < width:
                    ink[top : top + tall, left : left + wide] |= alphabet[letter]
                left += wide + 3
            left += wide
    values = np.where(ink[:height, :width], np.float32(INK), np.float32(PAPER))
    return torch.from_numpy(values).expand_as(photograph)


def _sign(rng: np.random.Generator, tall: int = 20, wide: int = 13) -> NDArray[np.bool_]:
    """Strokes of three pixels between the nodes of a grid, upright more often than slanted."""
    rows, cols = np.mgrid[:tall, :wide].astype(float)
    nodes = np.array([(i, j) for i in np.linspace(1, tall - 2, 3) for j in np.linspace(1, wide - 2, 3)])
    near = [(a, b) for a in range(9) for b in range(a + 1, 9) if max(abs(a // 3 - b // 3), abs(a % 3 - b % 3)) == 1]
    straight = np.array([1.0 if a // 3 == b // 3 or a % 3 == b % 3 else 0.4 for a, b in near])
    seen = np.zeros((tall, wide), dtype=bool)
    for stroke in rng.choice(len(near), size=int(rng.integers(4, 7)), replace=False, p=straight / straight.sum()):
        (i, j), (k, m) = nodes[list(near[stroke])]
        along = ((rows - i) * (k - i) + (cols - j) * (m - j)) / ((k - i) ** 2 + (m - j) ** 2)
        t = along.clip(0, 1)
        seen |= np.hypot(rows - i - t * (k - i), cols - j - t * (m - j)) <= 1.5
    return seen


def path(generator: torch.Generator, span: int = SPAN) -> Tensor:
    """Camera shake in a frame of `span` pixels; the same path for every span."""
    drawn = kernels.spline(DRAWN, span, generator)
    return max((drawn[i : i + 1] for i in range(DRAWN)), key=lambda kernel: math.hypot(*widths(kernel)))


@dataclass(frozen=True)
class Condition:
    """A condition: it says how pictures are made.

    Args:
        scene: what is seen. kernel: None: there is no blur to find, and the picture is to be left as it is.
        noise: fraction of the range. gain: of the brightness. quality: of JPEG, 1 to 100; None: no JPEG.
    """

    scene: Scene = photographed
    kernel: DrawKernel | None = path
    noise: float = 0.005
    gain: float = 1.0
    quality: int | None = None


BASE = Condition()

CONDITIONS: Mapping[str, Condition] = MappingProxyType(
    {f"noise {level:g} %": Condition(noise=level / 100) for level in (0.5, 1, 2, 3, 5)}
    | {f"JPEG {quality}": Condition(quality=quality) for quality in (95, 90, 75, 60)}
    | {f"brightness × {gain:g}": Condition(gain=gain) for gain in (1.25, 1.5, 2)}
    | {f"kernel of {span}": Condition(kernel=partial(path, span=span)) for span in (5, 9, 13, 31, LARGEST)}
    | {
        "disc of radius 3": Condition(kernel=lambda _: kernels.disc(3.0)),
        "Gaussian of 1.5": Condition(kernel=lambda _: kernels.gaussian(1.5)),
        "page of text": Condition(scene=page),
        "sharp": Condition(kernel=None),
        "sharp, JPEG 75": Condition(kernel=None, quality=75),
        "pure noise": Condition(scene=static, kernel=None, noise=0.0),
        "flat": Condition(scene=flat, kernel=None, noise=0.0),
        "flat, noise 0.5 %": Condition(scene=flat, kernel=None),
    }
)
"""Every condition by name; those of which nothing is said are as `BASE`."""


@dataclass(frozen=True, eq=False)
class Case:
    """A picture and what is known of it.

    Args:
        picture: (1, 3, side, side), a JPEG's as such. sharp: its truth, in [0, 1].
        kernel: (1, 1, s, s); None: there is no blur.
    """

    picture: Image
    sharp: Tensor
    kernel: Tensor | None


def make(condition: Condition, photograph: Tensor, name: str) -> Case:
    """A photograph (1, 3, H, W) under a condition: (1, 3, H - 2 `MARGIN`, W - 2 `MARGIN`).

    Args:
        name: of the draws; the same name, the same scene, path and noise.
    """
    scene = condition.gain * condition.scene(photograph, _generator(f"{name}/scene"))
    sharp = crop(scene, MARGIN, MARGIN)
    kernel, blurred = None, sharp
    if condition.kernel is not None:
        kernel = condition.kernel(_generator(f"{name}/kernel"))
        room = MARGIN - kernel.shape[-1] // 2
        blurred = Blur(kernel).forward(crop(scene, room, room))
    noisy = noise.gaussian(blurred, torch.tensor([condition.noise]), _generator(f"{name}/noise"))
    picture = Image(noise.quantise(noisy, 8))
    return Case(picture if condition.quality is None else jpeg(picture, condition.quality), sharp.clamp(0, 1), kernel)


def jpeg(picture: Image, quality: int) -> Image:
    """What is read from the file that Pillow writes, colours at half the resolution."""
    stream = io.BytesIO()
    levels = (255 * picture.pixels[0]).round().byte().permute(1, 2, 0).numpy()  # (H, W, 3)
    PillowImage.fromarray(levels).save(stream, "JPEG", quality=quality)
    with PillowImage.open(stream) as file:
        read = torch.from_numpy(np.array(file.convert("RGB")))
    return Image(read.permute(2, 0, 1)[None].float() / 255, info=ImageInfo(format="JPEG"))


def _generator(name: str) -> torch.Generator:
    return torch.Generator().manual_seed(int(hashlib.sha256(name.encode()).hexdigest()[:12], 16))
