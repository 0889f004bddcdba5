"""Levin-32 with kernels that five published blind methods estimated from the very pictures.

What a method makes of a kernel that is nearly right, as it is where nobody knows the true one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import Tensor

from acutance.errors import ConfigError, DataError
from acutance.images import read_image
from acutance.tensors import flip
from acutance_lab.bench import levin
from acutance_lab.bench.case import Case, Content, Noise, Suite, with_shown
from acutance_lab.bench.cuts import MARGIN, Cut
from acutance_lab.bench.score import Scoring

FOLDER = "levin32_kernels"
SCORING = Scoring(border=MARGIN, shift=10, fraction=4)
_FILE = re.compile(r"k_(\d)_im_(\d)_.*\.png")


def cases(folder: Path, noises: Sequence[Noise]) -> list[Case]:
    """A case for each file METHOD/k_J_im_I_*.png: by method, then picture I, then kernel J, which is named METHOD/J.

    Raises:
        DataError: there are none. ConfigError: another level than "as captured".
    """
    if any(noise is not None for noise in noises):
        raise ConfigError("levin32_kernels has pictures as captured, to which the kernels belong; leave out --noise")
    levin.kernels(folder)
    found = []
    for file in (folder / FOLDER).glob("*/*.png"):
        name = _FILE.fullmatch(file.name)
        if name is None or int(name[1]) not in levin.KERNELS or int(name[2]) not in levin.PICTURES:
            raise DataError(f"{file} is not named k_J_im_I_METHOD.png with J = 1..8 and I = 1..4; move it away")
        load = partial(content, folder, file, int(name[2]), name[1])
        found.append(Case("levin32_kernels", name[2], f"{file.parent.name}/{name[1]}", None, load))
    if not found:
        raise DataError(f"{folder / FOLDER} is missing or empty; expected are METHOD/k_J_im_I_METHOD.png there")
    found.sort(key=lambda c: (c.kernel_name.partition("/")[0], c.picture, c.kernel_name))
    return with_shown(found, 5)


def content(folder: Path, file: Path, i: int, j: str) -> Content:
    """Picture i behind kernel j, as photographed, with the kernel of that file."""
    return replace(levin.captured(folder, i, j), kernel=_kernel(file).float(), scoring=SCORING, radius=None)


def _kernel(file: Path) -> Tensor:
    """As a true convolution, sum 1: (1, 1, h, w). Values below zero, as a file of floats may have, become zero."""
    kernel = flip(read_image(file).pixels.double().mean(1, keepdim=True)).clamp_min(0)
    if not kernel.sum() > 0:
        raise DataError(f"{file} is black, no kernel; get an intact copy")
    return kernel / kernel.sum()


LEVIN32_KERNELS = Suite(
    name="levin32_kernels",
    summary="the pictures of levin32 as photographed, with kernels that five blind methods estimated",
    protocol=(
        "The photographs, with kernels estimated from them by blind methods, turned by 180 degrees, sum 1; "
        "sigma 1.5/255 is told to methods that need it. Estimated kernels lie anywhere: 25 pixels cropped, the "
        "estimate moved by the best whole-pixel shift up to 10, then the best quarter-pixel shift."
    ),
    noises=(None,),
    cases=cases,
    size=159,
    captured_cut=Cut.MARGIN,
)
