r"""Kodak24 as a camera would have blurred it: in linear light, then encoded and compressed.

    y = jpeg( T( clip( valid(f * T^-1(x)) + sqrt(a z + b) n ) ) ),      z = valid(f * T^-1(x)), T the sRGB curve

n is drawn as in `acutance_lab.bench.synthetic`. The level is the root mean square of the noise in linear light; photons
have 0.8 of its variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from acutance.images import ImageInfo, linear_to_srgb, read_image, srgb_to_linear
from acutance.operators import Blur
from acutance_lab.bench import levin, pictures
from acutance_lab.bench.case import Case, Content, Noise, Suite
from acutance_lab.bench.synthetic import standard_normal, synthetic_levels
from acutance_lab.synth.noise import of_signal

NAME = "kodak24-linear"
QUALITY = 92
"""Quality of the JPEG, whose colours have half the resolution."""

PHOTONS = 0.8
"""Photons' part of the noise variance."""


def cases(folder: Path, noises: Sequence[Noise]) -> list[Case]:
    """One case for each picture and level, as of kodak24.

    Raises:
        DataError, ConfigError: as of kodak24.
    """
    found = []
    for noise in synthetic_levels(NAME, noises):
        for c in pictures.cases(folder, [noise], name="kodak24", every_kernel=False):
            load = partial(content, folder, c.picture, c.kernel_name, noise)
            found.append(Case(NAME, c.picture, c.kernel_name, noise, load, c.shown))
    return found


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
        compressed(file),
        kernel.float(),
        blur.crop(sharp).float(),
        sigma=_rms(file - linear_to_srgb(light)),
        info=ImageInfo(format="JPEG"),
        sigma_linear=_rms(noisy.clamp(0, 1) - light),
    )


def compressed(x: Tensor) -> Tensor:
    """Save (1, 3, H, W) in [0, 1] as JPEG and read it again."""
    samples = (x[0].permute(1, 2, 0) * 255).round().byte().numpy()
    file = BytesIO()
    Image.fromarray(samples).save(file, "JPEG", quality=QUALITY)
    read = np.asarray(Image.open(file))
    return torch.from_numpy(read.copy()).permute(2, 0, 1)[None].float() / 255


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
    cases=cases,
    size=24,
)
