"""Lai et al. 2016, synthetic: colour pictures of five classes behind large kernels of camera shake."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from acutance.images import read_image
from acutance_lab.bench.case import Case, Content, Noise, Suite, files_in, unit_sum
from acutance_lab.bench.synthetic import synthetic_content


def cases(folder: Path, noise: Noise) -> list[Case]:
    """All pictures lai/sharp/CLASS_NN.png, class by class, with all kernels lai/kernels/kernel_NN.png."""
    kernels = files_in(folder / "lai" / "kernels", "kernel_*.png")
    return [
        Case("lai", picture.stem, _name(kernel), noise, partial(content, picture, kernel, noise or 0.0))
        for picture in sorted(files_in(folder / "lai" / "sharp", "*_*.png"))
        for kernel in kernels
    ]


def content(picture: Path, kernel: Path, noise: float) -> Content:
    """A picture blurred with a kernel; highlights are clipped after the blur and the noise."""
    values = unit_sum(read_image(kernel).pixels.double().mean(1, keepdim=True), kernel)
    return synthetic_content("lai", picture.stem, _name(kernel), noise, read_image(picture).pixels, values)


def classes(picture: str) -> str:
    """The class of a picture: the name without its number."""
    return picture.rpartition("_")[0]


def _name(kernel: Path) -> str:
    return kernel.stem.rpartition("_")[2].lstrip("0")


LAI = Suite(
    name="lai",
    summary="10 colour pictures of five classes x 4 large kernels",
    protocol=(
        "Valid convolution with kernels of 31 to 75 pixels, Gaussian noise, then clipped at 1 and 8 bits: highlights "
        "saturate after the blur. The sharp pictures hold no values above 1, so the class saturated is milder than a "
        "night scene is. Whole picture, not aligned."
    ),
    noises=(0.01,),
    make=cases,
    classes=classes,
    size=40,
    shown=5,
)
