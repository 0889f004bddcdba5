"""Real blurred photographs with a kernel that somebody estimated for each; nobody knows the truth.

Two sets: photographs of all kinds with the kernels of several blind methods (Lai et al. 2016), and pictures of a
camera on a machine that shakes it (Köhler et al. 2012). Kernels whose file turns out to be rotated by 180 degrees
are turned, as `acutance.orientation` judges from the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from torch import Tensor

from acutance.errors import DataError
from acutance.images import read_image
from acutance.images.kernel_file import read_kernel
from acutance.orientation import Orientation, judge_orientation
from acutance.tensors import flip
from acutance_lab.bench.case import Case, Content, Noise, Suite

SIDE = 800
"""The suites cut longer pictures to this, about their centre; pixels."""


@dataclass(frozen=True)
class Photograph:
    """Files of a picture and of the kernel that somebody estimated for it; and who."""

    picture: Path
    kernel: Path
    source: str


def lai_real(folder: Path) -> list[Photograph]:
    """The photographs of Lai et al. 2016 with an estimated kernel, NAME_METHOD_psf.png; of several the first by name.

    Raises:
        DataError: there are none.
    """
    pictures = {p.stem: p for p in sorted((folder / "lai" / "real").glob("*.jpg"))}
    found: dict[str, Photograph] = {}
    for kernel in sorted((folder / "lai" / "real_kernels").glob("*_psf.png")):
        parts = kernel.stem.split("_")
        names = ("_".join(parts[:n]) for n in range(len(parts) - 1, 0, -1))  # the longest name that there is
        name = next((n for n in names if n in pictures), None)
        if name is not None:
            source = kernel.stem.removeprefix(f"{name}_").removesuffix("_psf")
            found.setdefault(name, Photograph(pictures[name], kernel, source))
    if not found:
        raise DataError(
            f"photographs with kernels are missing in {folder}; expected are lai/real/NAME.jpg and "
            "lai/real_kernels/NAME_METHOD_psf.png"
        )
    return list(found.values())


def kohler(folder: Path) -> list[Photograph]:
    """The pictures of Köhler et al. 2012 that have an estimated kernel beside them, NAME_kernel.png.

    Raises:
        DataError: there are none.
    """
    kernels = sorted((folder / "kohler").glob("*_kernel.png"))
    pairs = [(kernel.with_name(kernel.name.replace("_kernel.png", ".png")), kernel) for kernel in kernels]
    found = [Photograph(picture, kernel, "estimated") for picture, kernel in pairs if picture.is_file()]
    if not found:
        raise DataError(f"{folder / 'kohler'} is missing or empty; expected are NAME.png with NAME_kernel.png there")
    return found


REAL: MappingProxyType[str, Callable[[Path], list[Photograph]]] = MappingProxyType(
    {"lai-real": lai_real, "kohler": kohler}
)
"""Every set of real photographs, by name."""


def centre_cut(pixels: Tensor, side: int) -> Tensor:
    """At most `side` pixels each way, about the centre."""
    height, width = pixels.shape[-2:]
    h, w = min(side, height), min(side, width)
    top, left = (height - h) // 2, (width - w) // 2
    return pixels[..., top : top + h, left : left + w]


def content(photograph: Photograph, side: int = SIDE) -> Content:
    """A photograph as a case: no truth, no noise level; its note says what was done to picture and kernel.

    Raises:
        ImageError, KernelError: a file that cannot be used, by name.
    """
    whole, kernel = read_image(photograph.picture), read_kernel(photograph.kernel).kernel
    pixels = centre_cut(whole.pixels, side)
    orientation = judge_orientation(pixels, kernel).orientation
    kernel = flip(kernel) if orientation is Orientation.ROTATED else kernel
    note = f"kernel {orientation.name.lower()}{', cut' if whole.pixels.shape != pixels.shape else ''}"
    return Content(pixels, kernel, truth=None, info=whole.info, note=note)


def cases(folder: Path, _: Noise, *, name: str, side: int = SIDE) -> list[Case]:
    """The photographs of a set, in the order of their names, cut to `side` pixels about the centre."""
    return [
        Case(name, p.picture.stem, p.source, None, partial(content, p, side))
        for p in sorted(REAL[name](folder), key=lambda p: p.picture.stem)
    ]


PROTOCOL = (
    f"Nobody knows the truth: look at the pictures. Cut to {SIDE} pixels about the centre; the kernel turned where its "
    "file is judged to be rotated. No noise level is told, only that a file is lossy. The score needs no reference: "
    "l1/l2 of the gradients of the luma over the square root of their number, lower for a sharp picture of few edges, "
    "higher for a blurred, noisy or ringing one; it is a hint."
)
LAI_REAL, KOHLER = (
    Suite(name, summary, PROTOCOL, (None,), partial(cases, name=name), size=size, shown=12, turn=0)
    for name, summary, size in (
        ("lai-real", "30 real photographs with kernels estimated by known methods; no truth", 30),
        ("kohler", "12 photographs of a shaken camera with estimated kernels; no truth", 12),
    )
)
