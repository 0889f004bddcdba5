"""The two functions that most users need: `acutance.restore` and `acutance.estimate_kernel`.

Both say what they assumed or changed to the logger of this module, at the level INFO.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor

from acutance.errors import ConfigError, KernelError
from acutance.images import Image
from acutance.images.counts import count_unit, is_count
from acutance.methods.spec import find
from acutance.methods.written import read_method
from acutance.prepare import check_level
from acutance.restoration.given import Kernel, Picture, take_kernel, take_mask, take_picture
from acutance.restoration.history import with_lines
from acutance.restoration.kernel import find_kernel
from acutance.restoration.nddata import NDDataLike
from acutance.restoration.restorer import BLIND, COUNTS, DEFAULT, Restorer

logger = logging.getLogger(__name__)

N = TypeVar("N", bound=NDDataLike)


@overload
def restore(
    picture: str | os.PathLike[str] | Image,
    kernel: Kernel | None = None,
    *,
    method: str | None = None,
    sigma: float | None = None,
    mask: Picture | None = None,
) -> Image: ...
@overload
def restore(
    picture: Tensor,
    kernel: Kernel | None = None,
    *,
    method: str | None = None,
    sigma: float | None = None,
    mask: Picture | None = None,
) -> Tensor: ...
@overload
def restore(
    picture: NDArray[Any],
    kernel: Kernel | None = None,
    *,
    method: str | None = None,
    sigma: float | None = None,
    mask: Picture | None = None,
) -> NDArray[Any]: ...
@overload
def restore(
    picture: PillowImage.Image,
    kernel: Kernel | None = None,
    *,
    method: str | None = None,
    sigma: float | None = None,
    mask: Picture | None = None,
) -> PillowImage.Image: ...
@overload
def restore(
    picture: N,
    kernel: Kernel | None = None,
    *,
    method: str | None = None,
    sigma: float | None = None,
    mask: Picture | None = None,
) -> N: ...
def restore(
    picture: Picture,
    kernel: Kernel | None = None,
    *,
    method: str | None = None,
    sigma: float | None = None,
    mask: Picture | None = None,
) -> Any:
    """Make a blurred picture sharp.

    Args:
        picture: a path, a Pillow image, an Image, NDData or CCDData of astropy, or an array or tensor (H, W),
            (H, W, C), (C, H, W) or (1, C, H, W), C = 1, 3 or 4 (alpha last), of any real type; see
            `acutance.restoration.given`. NaN is a missing pixel.
        kernel: the blur kernel (PSF), true convolution: a path, an array, tensor or NDData (h, w), a Blur or a
            BlurField. It is divided by its sum. None: it is estimated.
        method: name, or NAME:SETTING=VALUE,...; None: `blind` without a kernel, else `acute`, and `richardson-lucy` for
            FITS and NDData whose unit is one of counts (electron, adu ...).
        sigma: noise level, a fraction of the range, above 0 and up to 0.5; None: estimated.
        mask: (H, W), 1 or white where pixels are to be used, 0 where they are missing; None: all are used.

    Returns:
        The restored picture, of the kind, shape and type of `picture`; an Image where that is a path.

    Raises:
        ImageError, KernelError, ConfigError, UnknownMethod: what is given cannot be used. All is checked first.

    Example:
        >>> blurred = np.zeros((32, 40, 3), np.uint8)
        >>> restored = restore(blurred, np.ones((3, 3)), method="wiener", sigma=0.01)
        >>> restored.shape, restored.dtype
        ((32, 40, 3), dtype('uint8'))
    """
    name, settings = read_method(method if method is not None else BLIND if kernel is None else _default(picture))
    needs = find(name).needs
    if needs.task == "sense":
        raise ConfigError(f"{name} restores measurements, not pictures; see acutance.sensing")
    if needs.kernel and kernel is None:
        raise KernelError(f"{name} needs the blur kernel: give kernel=, or leave out method= to have it estimated")
    if kernel is not None and not needs.kernel:
        raise ConfigError(f"{name} takes no kernel: leave out kernel=, or give another method=")
    check_level(sigma)
    given = take_picture(picture)
    psf, notes = (None, ()) if kernel is None else take_kernel(kernel, given.image.size)
    usable = None if mask is None else take_mask(mask, given.image.size)
    done = Restorer.load(name, **settings)(given.image, psf, sigma=sigma, mask=usable)
    for note in (*given.image.info.notes, *notes, *done.notes):
        logger.info("%s", note)
    source = [f"kernel from {Path(kernel).name}"] if isinstance(kernel, str | os.PathLike) else []
    return given.back(with_lines(done.image, source))


def _default(picture: object) -> str:
    """The method for a known kernel where none is named."""
    counts = (
        count_unit(Path(picture)) is not None
        if isinstance(picture, str | os.PathLike)
        else isinstance(picture, NDDataLike) and is_count(getattr(picture, "unit", None))
    )
    return COUNTS if counts else DEFAULT


@overload
def estimate_kernel(picture: Tensor) -> Tensor: ...
@overload
def estimate_kernel(
    picture: str | os.PathLike[str] | Image | NDArray[Any] | PillowImage.Image,
) -> NDArray[np.float32]: ...
def estimate_kernel(picture: Picture) -> Any:
    """Estimate the blur kernel (PSF) of a picture. What was found, and how sure it is, goes to the log.

    Args:
        picture: as for `restore`.

    Returns:
        (s, s) float32, s odd, sum 1, true convolution, centre in the middle: a tensor for a tensor, else an array.

    Raises:
        ImageError: no picture. acutance.blind.Unknowable: nothing can be told from it.
    """
    image = take_picture(picture).image
    found = find_kernel(image)
    logger.info("%s", found.remark)
    kernel = found.kernel[0, 0].float()
    return kernel.to(picture.device) if isinstance(picture, Tensor) else kernel.cpu().numpy()
