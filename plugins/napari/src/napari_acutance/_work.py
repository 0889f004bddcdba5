"""From the values of a layer to restored values, with progress and a way to stop; knows nothing of windows.

A picture (Y, X) or (Y, X, 3) goes the way of `acutance.restore`, a volume (Z, Y, X) that of `acutance.restore_volume`.
Axes before those are restored one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from acutance.errors import AcutanceError, ConfigError, KernelError
from acutance.methods.spec import catalogue
from acutance.methods.written import read_method
from acutance.prepare import has_data
from acutance.problem import Progress
from acutance.restoration.given import take_kernel, take_picture
from acutance.restoration.restorer import Restorer
from acutance.restoration.volume import VolumeMethod, as_given, volume_of

Array = NDArray[Any]
Box = tuple[int, int, int, int]
"""First row, first column, height and width of a piece."""


class Cancelled(Exception):
    """The user asked to stop."""


@dataclass(frozen=True, eq=False)
class Request:
    """What is to be restored.

    Args:
        data: (..., Y, X), (..., Z, Y, X), or (..., Y, X, 3) where `rgb`. psf: (h, w) or (d, h, w).
        method: NAME or NAME:SETTING=VALUE,...; None: the default for the number of axes.
        rgb: the last axis is colour. box: only this piece of the plane, for a preview; None: all.
    """

    data: Array
    psf: Array
    method: str | None = None
    rgb: bool = False
    box: Box | None = None


def methods_for(psf_axes: int) -> list[str]:
    """Names of the methods that go with a kernel of so many axes."""
    able = [s for s in catalogue().values() if s.needs.kernel and s.needs.task == "deblur"]
    return [s.name for s in able if psf_axes == 2 or s.needs.volumes]


def box_around(centre: tuple[float, float], side: int, size: tuple[int, int]) -> Box:
    """A square of `side` pixels about (row, column), moved and cut to lie within a plane of that size."""
    sides = [min(side, n) for n in size]
    starts = [int(np.clip(round(c - s / 2), 0, n - s)) for c, s, n in zip(centre, sides, size, strict=True)]
    return starts[0], starts[1], sides[0], sides[1]


def restore(request: Request, progress: Callable[[float], None], cancelled: Callable[[], bool]) -> Array:
    """The restored values, of the shape and type of `request.data`, or of its piece.

    Args:
        progress: told the share that is done, 0 to 1. cancelled: asked after every step.

    Raises:
        Cancelled: `cancelled` said so. AcutanceError: what is given cannot be restored.
    """
    psf, axes = np.asarray(request.psf), 3 if request.rgb else np.ndim(request.psf)
    if psf.ndim not in (2, 3):
        raise KernelError(f"a layer of shape {psf.shape} is no point-spread function; give one of 2 or 3 axes")
    if request.rgb and psf.ndim != 2:
        raise KernelError("a picture in colour takes a point-spread function of 2 axes")
    if request.data.ndim < axes:
        raise ConfigError(f"a layer of shape {request.data.shape} and a PSF of {psf.ndim} axes: give one of 2 axes")
    data, inner = _piece(request)
    places = list(product(*(range(n) for n in data.shape[: data.ndim - axes])))
    out: Array | None = None
    for number, place in enumerate(places):

        def step(share: float, number: int = number) -> None:
            if cancelled():
                raise Cancelled
            progress((number + min(share, 1.0)) / len(places))

        step(0.0)
        part = np.asarray(data[place])
        whole = _volume(part, psf, request.method, step) if psf.ndim == 3 else _picture(part, psf, request.method, step)
        out = np.empty((*data.shape[: data.ndim - axes], *whole.shape), whole.dtype) if out is None else out
        out[place] = whole
    assert out is not None
    progress(1.0)
    return out[inner]


def _piece(request: Request) -> tuple[Array, tuple[Any, ...]]:
    """The values to restore, with a margin of the PSF's size around a piece, and where in them the piece lies."""
    if request.box is None:
        return request.data, (...,)
    last = 1 if request.rgb else 0
    sides, size = request.psf.shape[-2:], request.data.shape[request.data.ndim - 2 - last : request.data.ndim - last]
    outer, inner = [], []
    for start, length, margin, n in zip(request.box[:2], request.box[2:], sides, size, strict=True):
        low, high = max(start - margin, 0), min(start + length + margin, n)
        outer.append(slice(low, high))
        inner.append(slice(start - low, start - low + length))
    colour = (slice(None),) * last
    return request.data[(..., *outer, *colour)], (..., *inner, *colour)


def _picture(values: Array, psf: Array, method: str | None, step: Callable[[float], None]) -> Array:
    name, settings = read_method(method or "acute")
    given = take_picture(values)
    kernel, _ = take_kernel(psf, given.image.size)

    def on_step(told: Progress) -> None:
        step(told.step / max(told.steps, 1))

    done = Restorer.load(name, **settings)(given.image, kernel, on_step=on_step)
    return np.asarray(given.back(done.image))


def _volume(values: Array, psf: Array, method: str | None, step: Callable[[float], None]) -> Array:
    solver = VolumeMethod.load(psf, method)
    volume = volume_of(values)
    solver.check_size(volume.shape[2:])
    valid = has_data(volume)
    if not bool(valid.any()):
        return values
    units = solver.units(volume, valid)

    def on_step(told: Progress) -> None:
        step(told.step / max(told.steps, 1))

    return np.asarray(as_given(solver.run(volume, valid, units, on_step=on_step)[0], values))


def message_of(error: BaseException) -> str:
    """What to tell the user of an error."""
    if isinstance(error, AcutanceError):
        return str(error)
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return "not enough memory; try a preview, or a smaller piece"
    return f"unexpected {type(error).__name__}: {error}; please report it"
