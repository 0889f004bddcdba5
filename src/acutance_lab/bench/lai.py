"""Lai et al. 2016, synthetic: colour pictures of five classes behind large kernels of camera shake."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from acutance.errors import DataError
from acutance.images import read_image
from acutance_lab.bench.case import Case, Content, Noise, Suite, with_shown
from acutance_lab.bench.synthetic import synthetic_content, synthetic_levels


def cases(folder: Path, noises: Sequence[Noise]) -> list[Case]:
    """For each level all pictures, class by class, with all kernels.

    Raises:
        DataError: no pictures or no kernels. ConfigError: a level that is none.
    """
    levels = synthetic_levels("lai", noises)
    pictures = _files(folder / "lai" / "sharp", "CLASS_NN.png")
    kernels = _files(folder / "lai" / "kernels", "kernel_NN.png")
    found = []
    for noise in levels:
        level = [
            Case("lai", picture.stem, _name(kernel), noise, partial(content, picture, kernel, noise))
            for picture in pictures
            for kernel in kernels
        ]
        found += with_shown(level, 5)
    return found


def content(picture: Path, kernel: Path, noise: float) -> Content:
    """A picture blurred with a kernel; highlights are clipped after the blur and the noise."""
    return synthetic_content("lai", picture.stem, _name(kernel), noise, read_image(picture).pixels, _kernel(kernel))


def classes(picture: str) -> str:
    """The class of a picture: the name without its number."""
    return picture.rpartition("_")[0]


def _kernel(file: Path) -> Tensor:
    """The values of the file as they are, sum 1: (1, 1, h, w) float64."""
    kernel = read_image(file).pixels.double().mean(1, keepdim=True)
    total = kernel.sum()
    if not torch.isfinite(total) or total <= 0:
        raise DataError(f"{file} is black, no kernel; get an intact copy")
    return kernel / total


def _name(kernel: Path) -> str:
    return kernel.stem.rpartition("_")[2].lstrip("0")


def _files(folder: Path, what: str) -> list[Path]:
    found = sorted(folder.glob("*_*.png"))
    if not found:
        raise DataError(f"{folder} is missing or empty; expected are files {what} there")
    return found


LAI = Suite(
    name="lai",
    summary="10 colour pictures of five classes x 4 large kernels",
    protocol=(
        "Valid convolution with kernels of 31 to 75 pixels, Gaussian noise, then clipped at 1 and 8 bits: highlights "
        "saturate after the blur. The sharp pictures hold no values above 1, so the class saturated is milder than a "
        "night scene is. Whole picture, not aligned."
    ),
    noises=(0.01,),
    cases=cases,
    classes=classes,
    size=40,
)
