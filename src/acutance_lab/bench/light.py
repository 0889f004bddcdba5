r"""Kodak24 as a camera would have blurred it: in linear light, then encoded and compressed.

    y = jpeg( T( clip( valid(f * T^-1(x)) + sqrt(a z + b) n ) ) ),      z = valid(f * T^-1(x)), T the sRGB curve

n is drawn as in `acutance_lab.bench.synthetic`. The level is the root mean square of the noise in linear light; photons
have 0.8 of its variance.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from acutance.images import ImageInfo, linear_to_srgb, read_image, srgb_to_linear
from acutance.operators import Blur
from acutance_lab.bench import levin, pictures
from acutance_lab.bench.case import Case, Content, Noise, Suite
from acutance_lab.bench.synthetic import standard_normal
from acutance_lab.synth.files import through_jpeg
from acutance_lab.synth.noise import of_signal

NAME = "kodak24-linear"
QUALITY = 92
"""Quality of the JPEG, whose colours have half the resolution."""

PHOTONS = 0.8
"""Photons' part of the noise variance."""


def cases(folder: Path, noise: Noise) -> list[Case]:
    """One case for each picture, as of kodak24."""
    return [
        replace(c, suite=NAME, load=partial(content, folder, c.picture, c.kernel_name, noise or 0.0))
        for c in pictures.cases(folder, noise, name="kodak24", every_kernel=False)
    ]


def content(folder: Path, picture: str, j: str, noise: float) -> Content:
    """A picture blurred in linear light with Levin's kernel j, in a JPEG file."""
    sharp = read_image(folder / "kodak24" / f"{picture}.png").pixels.double()
    kernel = levin.kernels(folder)[j]
    blur = Blur(kernel.double())
    light = blur.forward(srgb_to_linear(sharp))
    spread = of_signal(light, torch.tensor([noise]).double(), torch.tensor([PHOTONS]).double())
    noisy = light + spread * standard_normal(f"{NAME}/{picture}/{j}/{100 * noise:g}", light.shape[1:])
    file = linear_to_srgb(noisy.clamp(0, 1))
    return Content(
        through_jpeg(file, QUALITY),
        kernel.float(),
        blur.crop(sharp).float(),
        sigma=_rms(file - linear_to_srgb(light)),
        info=ImageInfo(format="JPEG"),
        sigma_linear=_rms(noisy.clamp(0, 1) - light),
    )


def _rms(error: Tensor) -> float:
    return float(error.square().mean().sqrt())


KODAK24_LINEAR = Suite(
    name=NAME,
    summary="24 colour photographs blurred in linear light and compressed, one kernel each",
    protocol=(
        "Each picture with one, in turn, of the 8 kernels of Levin et al.: decoded by the sRGB curve, valid "
        "convolution, noise of photons and reading, its root mean square in linear light being the level, encoded, "
        "JPEG of quality 92. Methods with linear=true solve in linear light, the others in encoded values; whoever is "
        "told the noise level is told that of the values it solves, before compression. PSNR of encoded values, whole "
        "picture, not aligned."
    ),
    noises=(0.01,),
    make=cases,
    size=24,
)
