"""Set12, BSD68, Kodak24: folders of sharp pictures, blurred with Levin's kernels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from acutance.errors import DataError
from acutance.images import read_image
from acutance_lab.bench import levin
from acutance_lab.bench.case import Case, Content, Noise, Suite, with_shown
from acutance_lab.bench.cuts import SHARP_MARGIN
from acutance_lab.bench.synthetic import synthetic_content, synthetic_levels


def cases(folder: Path, noises: Sequence[Noise], *, name: str, every_kernel: bool, cuts: bool = False) -> list[Case]:
    """For each level and picture all the kernels, or the one whose turn it is: the n-th picture has kernel n mod 8.

    Pictures come in the order of their names, numbers as numbers: 1, 2, 10. With `cuts` every cut is recorded.

    Raises:
        DataError: no folder `name`, or no PNG in it, or no kernels.
        ConfigError: a level that is none.
    """
    levels = synthetic_levels(name, noises)
    files = sorted((folder / name).glob("*.png"), key=lambda p: (len(p.stem), p.stem))
    if not files:
        raise DataError(f"{folder / name} is missing or empty; the pictures of {name} are expected there as PNG")
    order = list(levin.kernels(folder))
    found = []
    for noise in levels:
        level = []
        for n, file in enumerate(files):
            for j in order if every_kernel else [order[n % len(order)]]:
                load = partial(content, folder, file, name, j, noise, cuts=cuts)
                level.append(Case(name, file.stem, j, noise, load))
        found += with_shown(level)
    return found


def content(folder: Path, file: Path, name: str, j: str, noise: float, *, cuts: bool) -> Content:
    """The picture of that file blurred with Levin's kernel j."""
    sharp = read_image(file).pixels
    return synthetic_content(name, file.stem, j, noise, sharp, levin.kernels(folder)[j], cuts=cuts)


def _suite(
    name: str, summary: str, noises: tuple[Noise, ...], size: int, *, every_kernel: bool, cuts: bool = False
) -> Suite:
    which = "each picture with all 8" if every_kernel else "each picture with one, in turn, of the 8"
    also = f" Also without {SHARP_MARGIN} pixels of the sharp picture, 8 bits: the published cut." if cuts else ""
    return Suite(
        name=name,
        summary=summary,
        protocol=(
            f"{which[0].upper()}{which[1:]} kernels of Levin et al., valid convolution, Gaussian noise, 8 bits; "
            f"whole picture, not aligned.{also}"
        ),
        noises=noises,
        cases=partial(cases, name=name, every_kernel=every_kernel, cuts=cuts),
        size=size,
    )


SET12 = _suite("set12", "12 grey pictures x 8 kernels", (0.01, 0.02, 0.03), 96, every_kernel=True, cuts=True)
BSD68 = _suite("bsd68", "68 grey photographs, one kernel each", (0.01, 0.03), 68, every_kernel=False)
KODAK24 = _suite("kodak24", "24 colour photographs, one kernel each", (0.01, 0.03), 24, every_kernel=False)
