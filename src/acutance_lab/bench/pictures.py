"""Set12, BSD68, Kodak24: folders of sharp pictures, blurred with Levin's kernels."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from acutance.images import read_image
from acutance_lab.bench import levin
from acutance_lab.bench.case import Case, Content, Noise, Suite, files_in
from acutance_lab.bench.cuts import SHARP_MARGIN
from acutance_lab.bench.synthetic import synthetic_content


def cases(folder: Path, noise: Noise, *, name: str, every_kernel: bool, cuts: bool = False) -> list[Case]:
    """For each picture all the kernels, or the one whose turn it is: the n-th picture has kernel n mod 8.

    With `cuts` every cut is recorded.
    """
    files, order = files_in(folder / name, "*.png"), list(levin.kernels(folder))
    return [
        Case(name, file.stem, j, noise, partial(content, folder, file, name, j, noise or 0.0, cuts=cuts))
        for n, file in enumerate(files)
        for j in (order if every_kernel else [order[n % len(order)]])
    ]


def content(folder: Path, file: Path, name: str, j: str, noise: float, *, cuts: bool) -> Content:
    """The picture of that file blurred with Levin's kernel j."""
    sharp = read_image(file).pixels
    return synthetic_content(name, file.stem, j, noise, sharp, levin.kernels(folder)[j], cuts=cuts)


def _suite(
    name: str, summary: str, noises: tuple[Noise, ...], size: int, *, every_kernel: bool, cuts: bool = False
) -> Suite:
    which = "Each picture with all 8" if every_kernel else "Each picture with one, in turn, of the 8"
    also = f" Also without {SHARP_MARGIN} pixels of the sharp picture, 8 bits: the published cut." if cuts else ""
    protocol = (
        f"{which} kernels of Levin et al., valid convolution, Gaussian noise, 8 bits; whole picture, not aligned.{also}"
    )
    make = partial(cases, name=name, every_kernel=every_kernel, cuts=cuts)
    return Suite(name, summary, protocol, noises, make, size=size)


SET12 = _suite("set12", "12 grey pictures x 8 kernels", (0.01, 0.02, 0.03), 96, every_kernel=True, cuts=True)
BSD68 = _suite("bsd68", "68 grey photographs, one kernel each", (0.01, 0.03), 68, every_kernel=False)
KODAK24 = _suite("kodak24", "24 colour photographs, one kernel each", (0.01, 0.03), 24, every_kernel=False)
