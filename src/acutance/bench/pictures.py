"""Set12, BSD68, Kodak24: folders of sharp pictures, blurred with Levin's kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from acutance.bench import levin
from acutance.bench.case import Case, Noise, Suite
from acutance.bench.synthetic import synthetic_case, synthetic_levels
from acutance.errors import DataError
from acutance.images import read_image


def cases(folder: Path, noises: Sequence[Noise], *, name: str, every_kernel: bool) -> Iterator[Case]:
    """For each level and picture all the kernels, or the one whose turn it is: the n-th picture has kernel n mod 8.

    Pictures come in the order of their names, numbers as numbers: 1, 2, 10.

    Raises:
        DataError: no folder `name`, or no PNG in it, or no kernels.
        ConfigError: a level that is none.
    """
    levels = synthetic_levels(name, noises)
    files = sorted((folder / name).glob("*.png"), key=lambda p: (len(p.stem), p.stem))
    if not files:
        raise DataError(f"{folder / name} is missing or empty; the pictures of {name} are expected there as PNG")
    psfs = levin.kernels(folder)
    order = list(psfs)
    for level in levels:
        for n, file in enumerate(files):
            sharp = read_image(file).pixels
            for kernel in order if every_kernel else [order[n % len(order)]]:
                yield synthetic_case(name, file.stem, kernel, level, sharp, psfs[kernel])


def _suite(name: str, summary: str, *, every_kernel: bool) -> Suite:
    which = "each picture with all 8" if every_kernel else "each picture with one, in turn, of the 8"
    return Suite(
        name=name,
        summary=summary,
        protocol=(
            f"{which[0].upper()}{which[1:]} kernels of Levin et al., valid convolution, Gaussian noise, 8 bits; "
            "whole picture, not aligned."
        ),
        noises=(0.01, 0.02, 0.03),
        cases=partial(cases, name=name, every_kernel=every_kernel),
    )


SET12 = _suite("set12", "12 grey pictures x 8 kernels", every_kernel=True)
BSD68 = _suite("bsd68", "68 grey photographs, one kernel each", every_kernel=False)
KODAK24 = _suite("kodak24", "24 colour photographs, one kernel each", every_kernel=False)
