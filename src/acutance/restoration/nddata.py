"""NDData and CCDData of astropy as pictures and kernels, told by their attributes: astropy is not imported."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from acutance.errors import ImageError
from acutance.images import Image, ImageInfo
from acutance.images.measured import Kind, deviation, pixels_of, stated

KINDS: dict[str, Kind] = {"std": "std", "var": "var", "ivar": "ivar"}
"""`uncertainty_type` -> what it is."""

_POWER: dict[Kind, int] = {"std": 1, "var": 2, "ivar": -2}


@runtime_checkable
class NDDataLike(Protocol):
    """The attributes of astropy's NDData and its descendants."""

    @property
    def data(self) -> Any: ...  # noqa: D102
    @property
    def mask(self) -> Any: ...  # noqa: D102
    @property
    def uncertainty(self) -> Any: ...  # noqa: D102
    @property
    def unit(self) -> Any: ...  # noqa: D102
    @property
    def wcs(self) -> Any: ...  # noqa: D102
    @property
    def meta(self) -> Any: ...  # noqa: D102


def values_of(given: NDDataLike, what: str = "a picture") -> NDArray[Any]:
    """The data, (H, W), in the byte order of the machine.

    Raises:
        ImageError: not two-dimensional, empty, or not of real numbers.
    """
    values = np.asarray(given.data)
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "uif":
        raise ImageError(
            f"{type(given).__name__} of {values.dtype} {values.shape} is not {what}; give real numbers (H, W), one "
            "plane of a cube at a time"
        )
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def take_nddata(
    given: NDDataLike, rounded: Callable[[NDArray[Any], np.dtype[Any]], NDArray[Any]]
) -> tuple[Image, Callable[[Image], Any]]:
    """A picture, and the way back: the same class, with mask, unit, wcs and meta, and without an uncertainty.

    A pixel is missing where it is not finite, where the mask is True and where the uncertainty leaves it no weight. The
    uncertainty is that of the blurred values, so the result has none. It tells the noise level, by its median.

    Args:
        given: see there. rounded: whole numbers within a type, `acutance.restoration.given.rounded`.

    Raises:
        ImageError: see `values_of`; a mask or uncertainty of another shape; nothing but missing pixels.
    """
    values = values_of(given)
    missing = np.zeros(values.shape, np.bool_)
    if given.mask is not None:
        missing |= _fitting(given.mask, values.shape, "mask").astype(np.bool_)
    sigma = _deviation(given, values.shape)
    missing = missing if sigma is None else missing | ~np.isfinite(sigma)
    pixels, scale = pixels_of(values[None], missing)
    noise = None if sigma is None else stated(sigma, missing, scale, "median of the uncertainty")
    info = ImageInfo("FITS", bits=32, is_float=True, scale=scale, noise=noise)

    def back(image: Image) -> Any:
        restored: NDArray[Any] = image.pixels[0, 0].numpy().astype(np.float64) * image.info.scale
        restored = rounded(restored, values.dtype) if values.dtype.kind in "ui" else restored
        meta = copy.deepcopy(given.meta)
        add: Any = getattr(meta, "add_history", None)  # of a header of FITS
        for line in image.info.history if callable(add) else ():
            add(line)
        kept = {"mask": copy.deepcopy(given.mask), "wcs": given.wcs, "meta": meta, "unit": given.unit}
        return type(given)(restored.astype(np.asarray(given.data).dtype), **kept)  # type: ignore[call-arg]

    return Image(torch.from_numpy(pixels[None]), None, info), back


def _fitting(array: Any, shape: tuple[int, ...], what: str) -> NDArray[Any]:
    """An array of the shape of the data, or a single value for all.

    Raises:
        ImageError: it is of another shape.
    """
    found = np.asarray(array)
    if found.ndim and found.shape != shape:
        raise ImageError(f"the {what} has the shape {found.shape}, the data {shape}; give one of the same")
    return np.broadcast_to(found, shape)


def _deviation(given: NDDataLike, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    """The standard deviation of each pixel in the unit of the data; None where there is no uncertainty of a known kind.

    Raises:
        ImageError: its unit is not that of the data.
    """
    uncertainty = given.uncertainty
    kind = KINDS.get(getattr(uncertainty, "uncertainty_type", ""))
    if kind is None or uncertainty.array is None:
        return None
    array = _fitting(uncertainty.array, shape, "uncertainty").astype(np.float64)
    if uncertainty.unit is not None and given.unit is not None:
        try:
            array = array * float(uncertainty.unit.to(given.unit ** _POWER[kind]))
        except Exception as error:  # astropy's UnitConversionError, which is not imported here
            raise ImageError(f"the uncertainty is in {uncertainty.unit}, the data in {given.unit} ({error})") from None
    return deviation(array, kind)
