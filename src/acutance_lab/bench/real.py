"""Real blurred photographs with a kernel that somebody estimated for each; nobody knows the truth.

Two sets: photographs of all kinds with the kernels of several blind methods (Lai et al. 2016), and pictures of a
camera on a machine that shakes it (Köhler et al. 2012). Kernels whose file turns out to be rotated by 180 degrees
are turned, as `acutance.orientation` judges from the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from torch import Tensor

from acutance.errors import ConfigError, DataError
from acutance.images import Image, read_image
from acutance.images.kernel_file import read_kernel
from acutance.orientation import Orientation, judge_orientation
from acutance.tensors import flip
from acutance_lab.bench.case import Case, Content, Noise, Suite, with_shown

SIDE = 800
"""The suites cut longer pictures to this, about their centre; pixels."""


@dataclass(frozen=True)
class Photograph:
    """Files of a picture and of the kernel that somebody estimated for it; and who."""

    picture: Path
    kernel: Path
    source: str


@dataclass(frozen=True, eq=False)
class Loaded:
    """A photograph, cut if it was larger, and its kernel, (1, 1, h, w), the right way round."""

    image: Image
    kernel: Tensor
    cut: bool
    orientation: Orientation

    @property
    def pixels(self) -> Tensor:
        """Of the photograph, (1, C, H, W)."""
        return self.image.pixels


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


def load(photograph: Photograph, side: int = SIDE) -> Loaded:
    """Picture and kernel of a photograph.

    Raises:
        ImageError, KernelError: a file that cannot be used, by name.
    """
    whole = read_image(photograph.picture)
    pixels = centre_cut(whole.pixels, side)
    kernel = read_kernel(photograph.kernel).kernel
    orientation = judge_orientation(pixels, kernel).orientation
    if orientation is Orientation.ROTATED:
        kernel = flip(kernel)
    cut = whole.pixels.shape != pixels.shape
    return Loaded(Image(pixels, info=whole.info), kernel, cut=cut, orientation=orientation)


def centre_cut(pixels: Tensor, side: int) -> Tensor:
    """At most `side` pixels each way, about the centre."""
    height, width = pixels.shape[-2:]
    h, w = min(side, height), min(side, width)
    top, left = (height - h) // 2, (width - w) // 2
    return pixels[..., top : top + h, left : left + w]


def content(photograph: Photograph, side: int = SIDE) -> Content:
    """A photograph as a case: no truth, no noise level; its note says what was done to picture and kernel."""
    loaded = load(photograph, side)
    note = ", ".join([f"kernel {loaded.orientation.name.lower()}", *(["cut"] if loaded.cut else [])])
    return Content(loaded.pixels, loaded.kernel, truth=None, info=loaded.image.info, note=note)


def cases(folder: Path, noises: Sequence[Noise], *, name: str, side: int = SIDE) -> list[Case]:
    """The photographs of a set, in the order of their names, cut to `side` pixels about the centre.

    Raises:
        DataError: there are none. ConfigError: another level than "as captured".
    """
    if any(noise is not None for noise in noises):
        raise ConfigError(f"{name} has photographs as captured, to which no noise is added; leave out --noise")
    found = [
        Case(name, p.picture.stem, p.source, None, partial(content, p, side))
        for p in sorted(REAL[name](folder), key=lambda p: p.picture.stem)
    ]
    return with_shown(found, 12, turn=0)


PROTOCOL = (
    f"Nobody knows the truth: look at the pictures. Cut to {SIDE} pixels about the centre; the kernel turned where its "
    "file is judged to be rotated. No noise level is told, only that a file is lossy. The score needs no reference: "
    "l1/l2 of the gradients of the luma over the square root of their number, lower for a sharp picture of few edges, "
    "higher for a blurred, noisy or ringing one; it is a hint."
)
LAI_REAL = Suite(
    name="lai-real",
    summary="30 real photographs with kernels estimated by known methods; no truth",
    protocol=PROTOCOL,
    noises=(None,),
    cases=partial(cases, name="lai-real"),
    size=30,
)
KOHLER = Suite(
    name="kohler",
    summary="12 photographs of a shaken camera with estimated kernels; no truth",
    protocol=PROTOCOL,
    noises=(None,),
    cases=partial(cases, name="kohler"),
    size=12,
)
