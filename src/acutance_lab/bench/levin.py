"""Levin-32 (levin2009understanding): four pictures, eight camera-shake kernels, photographed; and blurred anew.

A second suite has kernels that five published blind methods estimated from the very pictures: what a method makes of a
kernel that is nearly right, as it is where nobody knows the true one.

The published kernels are those of a *correlation*, so they are turned by 180 degrees here.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from acutance.errors import DataError
from acutance.images import read_image
from acutance.tensors import flip
from acutance_lab.bench.case import Case, Content, Noise, Suite, unit_sum
from acutance_lab.bench.cuts import MARGIN, SHARP_MARGIN, Cut
from acutance_lab.bench.score import Scoring
from acutance_lab.bench.synthetic import synthetic_content

FILE, ESTIMATED = "levin32.npz", "levin32_kernels"
PICTURES = (1, 2, 3, 4)
KERNELS = (1, 2, 3, 4, 5, 6, 7, 8)
CAPTURED_SIGMA = 1.5 / 255
CAPTURED = Scoring(border=MARGIN, shift=5, fraction=4)


def kernels(folder: Path) -> dict[str, Tensor]:
    """The eight kernels by number, true convolution, sum 1: (1, 1, h, w) float64.

    Raises:
        DataError: levin32.npz is missing or holds something else.
    """
    found = {str(j): flip(_picture(folder, f"kernel_1_{j}")) for j in KERNELS}
    return {name: kernel / kernel.sum() for name, kernel in found.items()}


def cases(folder: Path, noise: Noise) -> list[Case]:
    """32 cases, picture by picture; None: as captured."""
    made = captured if noise is None else partial(blurred, noise=noise)
    return [Case("levin32", str(i), j, noise, partial(made, folder, i, j)) for i in PICTURES for j in kernels(folder)]


def estimated_cases(folder: Path, _: Noise) -> list[Case]:
    """A case for each file METHOD/k_J_im_I_*.png: by method, then picture I, then kernel J, which is named METHOD/J.

    Raises:
        DataError: there are none, or one is named otherwise.
    """
    kernels(folder)
    found = []
    for file in (folder / ESTIMATED).glob("*/*.png"):
        name = re.fullmatch(r"k_(\d)_im_(\d)_.*\.png", file.name)
        if name is None or int(name[1]) not in KERNELS or int(name[2]) not in PICTURES:
            raise DataError(f"{file} is not named k_J_im_I_METHOD.png with J = 1..8 and I = 1..4; move it away")
        load = partial(estimated, folder, file, int(name[2]), name[1])
        found.append(Case(ESTIMATED, name[2], f"{file.parent.name}/{name[1]}", None, load))
    if not found:
        raise DataError(f"{folder / ESTIMATED} is missing or empty; expected are METHOD/k_J_im_I_METHOD.png there")
    return sorted(found, key=lambda c: (c.kernel_name.partition("/")[0], c.picture, c.kernel_name))


def captured(folder: Path, i: int, j: str) -> Content:
    """Picture i behind kernel j, as photographed."""
    return Content(
        observed=_picture(folder, f"blurred_{i}_{j}").float(),
        kernel=kernels(folder)[j].float(),
        truth=_picture(folder, f"sharp_{i}_{j}").float(),
        sigma=CAPTURED_SIGMA,
        scoring=CAPTURED,
        radius=(0, 0),
    )


def blurred(folder: Path, i: int, j: str, noise: float) -> Content:
    """Picture i blurred anew with kernel j."""
    sharp = _picture(folder, f"sharp_{i}_1")
    return synthetic_content("levin32", str(i), j, noise, sharp, kernels(folder)[j], cuts=True)


def estimated(folder: Path, file: Path, i: int, j: str) -> Content:
    """Picture i behind kernel j, as photographed, with the kernel of that file; its values below zero become zero."""
    kernel = flip(read_image(file).pixels.double().mean(1, keepdim=True)).clamp_min(0)
    scoring = Scoring(border=MARGIN, shift=10, fraction=4)
    return replace(captured(folder, i, j), kernel=unit_sum(kernel, file).float(), scoring=scoring, radius=None)


def _picture(folder: Path, name: str) -> Tensor:
    array = _arrays(folder / FILE).get(name)
    if array is None or array.ndim != 2:
        raise DataError(
            f"{folder / FILE} has no array {name!r}; expected are sharp_I_J, blurred_I_J and kernel_I_J, "
            "I = 1..4, J = 1..8, each of two dimensions"
        )
    return torch.from_numpy(array.astype(np.float64))[None, None]


@lru_cache(maxsize=1)
def _arrays(file: Path) -> dict[str, np.ndarray]:
    """All arrays of the file: 17 MB, read once."""
    if not file.is_file():
        raise DataError(
            f"{file} is missing; it holds the pictures and kernels of Levin et al. (2009) as arrays sharp_I_J, "
            "blurred_I_J, kernel_I_J (I = 1..4, J = 1..8), pictures in [0, 1]"
        )
    try:
        with np.load(file, allow_pickle=False) as archive:
            return dict(archive.items())
    except Exception as error:  # whatever a damaged archive raises, the answer is the same
        raise DataError(f"cannot read {file} ({type(error).__name__}: {error}); get an intact copy") from None


LEVIN32 = Suite(
    name="levin32",
    summary="4 grey pictures x 8 camera-shake kernels, as photographed or blurred anew",
    protocol=(
        "As captured: the photographs; sigma 1.5/255 is told to methods that need it; 25 pixels cropped, the estimate "
        "moved by the best whole-pixel shift up to 5, then the best quarter-pixel shift. "
        "With noise: sharp_I_1, valid convolution, Gaussian noise, 8 bits; whole picture, not aligned. "
        f"Also in the published cut (without {SHARP_MARGIN} pixels of the sharp picture, 8 bits), as published figures "
        "are compared."
    ),
    noises=(None, 0.01, 0.02, 0.03),
    make=cases,
    size=len(PICTURES) * len(KERNELS),
    captured_cut=Cut.MARGIN,
)
LEVIN32_KERNELS = Suite(
    name=ESTIMATED,
    summary="the pictures of levin32 as photographed, with kernels that five blind methods estimated",
    protocol=(
        "The photographs, with kernels estimated from them by blind methods, turned by 180 degrees, sum 1; "
        "sigma 1.5/255 is told to methods that need it. Estimated kernels lie anywhere: 25 pixels cropped, the "
        "estimate moved by the best whole-pixel shift up to 10, then the best quarter-pixel shift."
    ),
    noises=(None,),
    make=estimated_cases,
    size=159,
    captured_cut=Cut.MARGIN,
    shown=5,
)
