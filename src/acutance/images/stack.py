"""A stack: volumes in channels and moments, as microscopes write them into one file.

The axes are those of the field: moment T, channel C, depth Z, height Y, width X. A `Stack` always has all five; those
of length 1 that its file does not have are not among its `axes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from acutance.errors import ImageError

AXES = "TCZYX"

Form = Literal["plain", "ImageJ", "OME"]
"""The way in which a TIFF says what its pages are: not at all, as an ImageJ hyperstack, as OME-TIFF."""

_MICROMETRES = {
    "pm": 1e-6, "å": 1e-4, "angstrom": 1e-4, "nm": 1e-3, "nanometer": 1e-3, "µm": 1.0, "um": 1.0, "micron": 1.0,
    "microns": 1.0, "micrometer": 1.0, "mm": 1e3, "millimeter": 1e3, "cm": 1e4, "m": 1e6, "inch": 25400.0,
}  # fmt: skip


@dataclass(frozen=True)
class Voxel:
    """The size of a voxel.

    Args:
        z, y, x: along each axis, in `unit`, above 0; z None: unknown.
        unit: as the file writes it, "µm" or "micron" or "nm".
    """

    z: float | None
    y: float
    x: float
    unit: str = "µm"

    @property
    def micrometres(self) -> tuple[float | None, float, float] | None:
        """(z, y, x) in µm; None where the unit is not one of length, such as "pixel".

        Example:
            >>> Voxel(300, 100, 100, "nm").micrometres
            (0.3, 0.1, 0.1)
        """
        one = _MICROMETRES.get(self.unit.strip().lower().replace("\N{GREEK SMALL LETTER MU}", "µ"))
        return None if one is None else (None if self.z is None else self.z * one, self.y * one, self.x * one)

    def __str__(self) -> str:
        sides = " x ".join("?" if side is None else f"{side:.4g}" for side in (self.z, self.y, self.x))
        return f"{sides} {self.unit} (z, y, x)"


class Volumes(Protocol):
    """Volumes (Z, Y, X) by moment and channel: an array (T, C, Z, Y, X), or what makes them when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102
    def __getitem__(self, at: tuple[int, int]) -> NDArray[Any]: ...


@dataclass(frozen=True)
class StackForm:
    """The form of a stack's file beside its values, so that a result looks the same.

    Args:
        form: see `Form`. text: ImageJ's description, OME-XML, or the shape that tifffile notes; None: none.
        order: of the axes of its pages, the slowest first, e.g. "TZC".
        byteorder: "<" or ">". inverted: white is zero.
        resolution: tags XResolution, YResolution (two numbers each) and ResolutionUnit; None: none.
        tags: further tags as they are: code, type, count, value.
    """

    form: Form = "plain"
    text: bytes | None = None
    order: str = "TCZ"
    byteorder: Literal["<", ">"] = "<"
    inverted: bool = False
    resolution: tuple[tuple[int, int], tuple[int, int], int] | None = None
    tags: tuple[tuple[int, int, int, Any], ...] = ()


@dataclass(frozen=True)
class NgffForm:
    """The form of an OME-Zarr beside its values, so that a result looks the same (`acutance.images.ngff`).

    Args:
        version: of NGFF: "0.4" (Zarr 2) or "0.5" (Zarr 3).
        order: names of the axes of its arrays, e.g. "TCZYX". axes: their records, in the same order.
        chunks: of the arrays along (Z, Y, X).
        scale, translation: of the first level along `order`; translation may be empty.
        image: further entries of the image's record, such as its name. metadata: of its group, such as omero.
        outside: of metadata in 0.5: what stands beside "ome".
    """

    version: Literal["0.4", "0.5"]
    order: str
    axes: tuple[dict[str, Any], ...]
    chunks: tuple[int, int, int]
    scale: tuple[float, ...]
    translation: tuple[float, ...] = ()
    image: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    outside: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Stack:
    """Volumes in channels and moments.

    Replace the values with `dataclasses.replace(stack, values=restored)` and everything else is written back.

    Args:
        values: (T, C, Z, Y, X), a real type; an array, or volumes that are read when they are asked for.
        axes: those that the stack has, of "TCZYX" and in that order; Y and X at least.
        voxel: size of a voxel; None: unknown. channels: their names, or none at all.
        like: how its TIFF is written; None: it comes from none. ngff: how its OME-Zarr is; None: it comes from none.
        notes: one sentence for each thing that was assumed or left behind on reading.

    Raises:
        ImageError: values of another shape or type; axes that do not fit.
    """

    values: Volumes
    axes: str = "ZYX"
    voxel: Voxel | None = None
    channels: tuple[str, ...] = ()
    like: StackForm | None = None
    notes: tuple[str, ...] = ()
    ngff: NgffForm | None = None

    def __post_init__(self) -> None:
        shape, dtype = self.values.shape, self.values.dtype
        if len(shape) != 5 or 0 in shape or dtype.kind not in "uif":
            raise ImageError(f"values of {dtype}, shape {shape}; give real numbers (T, C, Z, Y, X), or Stack.of(array)")
        if "".join(a for a in AXES if a in self.axes) != self.axes or not self.axes.endswith("YX"):
            raise ImageError(f"axes {self.axes!r}; give some of {AXES}, in this order, Y and X among them")
        longer = [a for a, n in zip(AXES, shape, strict=True) if n > 1 and a not in self.axes]
        if longer:
            raise ImageError(f"axes {self.axes!r} for values of shape {shape}; name {', '.join(longer)} as well")

    @staticmethod
    def of(array: NDArray[Any], axes: str = "ZYX", *, voxel: Voxel | None = None) -> Stack:
        """A stack from an array whose axes are named.

        Example:
            >>> Stack.of(np.zeros((2, 8, 16, 16), np.uint16), "CZYX").shape
            (2, 8, 16, 16)
        """
        if len(axes) != array.ndim or len(set(axes)) != len(axes) or not set("YX") <= set(axes) <= set(AXES):
            raise ImageError(f"axes {axes!r} for an array of shape {array.shape}; name each axis once, by {AXES}")
        own = "".join(a for a in AXES if a in axes)
        moved = array.transpose([axes.index(a) for a in own])
        whole = moved.reshape([moved.shape[own.index(a)] if a in own else 1 for a in AXES])
        return Stack(whole, own, voxel)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each of `axes`."""
        return tuple(n for a, n in zip(AXES, self.values.shape, strict=True) if a in self.axes)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values, in the byte order of the machine."""
        return self.values.dtype.newbyteorder("=")

    @property
    def size(self) -> tuple[int, int, int]:
        """Depth, height and width of a volume."""
        d, h, w = self.values.shape[2:]
        return d, h, w

    @property
    def places(self) -> tuple[tuple[int, int], ...]:
        """Moment and channel of each volume."""
        moments, channels = self.values.shape[:2]
        return tuple((t, c) for t in range(moments) for c in range(channels))

    def volume(self, moment: int = 0, channel: int = 0) -> NDArray[Any]:
        """(Z, Y, X), in the byte order of the machine."""
        values = self.values[moment, channel]
        return values.astype(self.dtype, copy=False)

    def name_of(self, moment: int, channel: int) -> str:
        """The name of a volume: "moment 2, channel GFP"; "" of the only one."""
        moments, channels = self.values.shape[:2]
        said = [f"moment {moment + 1}"] if moments > 1 else []
        said += [f"channel {self.channel_name(channel)}"] if channels > 1 else []
        return ", ".join(said)

    def channel_name(self, channel: int) -> str:
        """The name of a channel, else its number from 1 on."""
        return self.channels[channel] if channel < len(self.channels) and self.channels[channel] else f"{channel + 1}"

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self.volume(t, c) for t, c in self.places)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """All values, with the axes that `axes` names: `np.asarray(stack)`."""
        array = np.stack(list(self)).reshape(self.shape)
        return array if dtype is None else array.astype(dtype)

    def __repr__(self) -> str:
        sides = ", ".join(f"{a} {n}" for a, n in zip(self.axes, self.shape, strict=True))
        return f"Stack({sides}, {self.dtype}, voxel {self.voxel or 'unknown'})"
