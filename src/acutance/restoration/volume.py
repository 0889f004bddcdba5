r"""From a volume to a restored volume: `acutance.restore_volume`.

As for pictures (`acutance.prepare`), results are true to their units: a volume is divided by its brightness, over the
valid voxels only and without a floor, and multiplied again. With a kernel of three axes the methods that know volumes
see all of it at once. With a kernel of two, every plane is restored on its own, by any method that takes a kernel;
brightness and noise level are those of the whole volume.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acutance.errors import ConfigError, ImageError, KernelError
from acutance.kernel_fit import check_values
from acutance.methods.spec import MethodSpec, catalogue, find
from acutance.methods.written import read_method
from acutance.noise.level import level_of
from acutance.operators import Blur
from acutance.prepare import check_level, pedestal_of
from acutance.problem import Method, Problem
from acutance.restoration.given import rounded
from acutance.restoration.restorer import Restorer
from acutance.tensors import brightness, filled

DEFAULT_3D, DEFAULT_PLANES = "richardson-lucy", "acute"
"""The methods where nobody asks for another: with a kernel of three axes and of two."""

logger = logging.getLogger(__name__)


@overload
def restore_volume(
    volume: Tensor,
    kernel: Tensor | NDArray[Any],
    *,
    method: str | None = None,
    sigma: float | None = None,
    mask: Tensor | NDArray[Any] | None = None,
) -> Tensor: ...
@overload
def restore_volume(
    volume: NDArray[Any],
    kernel: Tensor | NDArray[Any],
    *,
    method: str | None = None,
    sigma: float | None = None,
    mask: Tensor | NDArray[Any] | None = None,
) -> NDArray[Any]: ...
def restore_volume(
    volume: Any,
    kernel: Tensor | NDArray[Any],
    *,
    method: str | None = None,
    sigma: float | None = None,
    mask: Tensor | NDArray[Any] | None = None,
) -> Any:
    """Make a blurred volume sharp, such as a stack of a microscope.

    Args:
        volume: an array or tensor (D, H, W) of any real type and any units. NaN is a missing voxel.
        kernel: the point-spread function, true convolution, centre at (d // 2, h // 2, w // 2): (d, h, w); or (h, w),
            with which every plane is restored on its own. It is divided by its sum.
        method: name, or NAME:SETTING=VALUE,...; None: `richardson-lucy` with (d, h, w), `acute` with (h, w).
        sigma: noise level, a fraction of the brightness of the volume, above 0 and up to 0.5; None: estimated.
        mask: (D, H, W), above 0 where voxels are to be used; None: all are used.

    Returns:
        The restored volume, of the kind, shape and type of `volume`; whole numbers are rounded and kept in range.

    Raises:
        ImageError, KernelError, ConfigError, UnknownMethod: what is given cannot be used. All is checked first.

    Example:
        >>> counts = np.random.default_rng(0).poisson(20, (8, 32, 32)).astype(np.uint16)
        >>> restored = restore_volume(counts, np.ones((3, 3, 3)))
        >>> restored.shape, restored.dtype
        ((8, 32, 32), dtype('uint16'))
    """
    psf = _kernel(kernel)
    name, settings = read_method(method or (DEFAULT_3D if psf.ndim == 5 else DEFAULT_PLANES))
    spec = find(name)
    _check_method(spec, psf)
    check_level(sigma)
    values = _values(volume)
    _check_size(values, psf)
    valid = torch.isfinite(values)
    if mask is not None:
        valid = valid & _mask(mask, values)
    if not bool(valid.any()):
        raise ImageError("no voxel is left: all are NaN, infinite or masked")
    solve = Restorer.load(name, **settings).method
    whole = bool(valid.all())
    y = values.float() if whole else filled(values.float().nan_to_num(0, 0, 0), valid.float())
    pedestal = pedestal_of(y, y, None if whole else valid)
    scale = float(brightness(y - pedestal, valid))
    y = (y - pedestal) / scale
    believed = None if whole or not spec.needs.mask else valid.float()
    told = None if sigma is None else torch.tensor([float(sigma)])
    if told is None and (spec.needs.sigma or spec.needs.uses_sigma):
        told = level_of(Problem(y, mask=believed))
    if told is not None:
        said = "estimated" if sigma is None else "given"
        logger.info("noise level %.2g %% of the brightness, %s", 100 * float(told), said)
    if psf.ndim == 5:
        problem = Problem(y, Blur(psf), sigma=told, mask=believed)
        x = problem.crop(solve.run(problem).x)
    else:
        logger.info("a kernel of two axes: every plane is restored on its own")
        x = torch.stack(list(_planes(solve, y, psf, told, believed)), 2)
    return _back(x * scale + pedestal, volume)


def _planes(method: Method, y: Tensor, psf: Tensor, sigma: Tensor | None, mask: Tensor | None) -> Iterator[Tensor]:
    """Every plane (1, 1, H, W) of (1, 1, D, H, W), restored."""
    for d in range(y.shape[2]):
        problem = Problem(y[:, :, d], Blur(psf), sigma=sigma, mask=None if mask is None else mask[:, :, d])
        yield problem.crop(method.run(problem).x)


def _check_method(spec: MethodSpec, psf: Tensor) -> None:
    """Refuse a method that cannot use the kernel.

    Raises:
        ConfigError: it takes no kernel, wants colour, or knows no volumes.
    """
    if not spec.needs.kernel or spec.needs.channels not in (None, 1):
        raise ConfigError(f"{spec.name} does not take grey planes and a kernel; {_those_for(psf)}")
    if psf.ndim == 5 and not spec.needs.volumes:
        raise ConfigError(
            f"{spec.name} sees single planes only; give a kernel (h, w) for each of them, or another method: "
            f"{_those_for(psf)}"
        )


def _those_for(psf: Tensor) -> str:
    able = [s.name for s in catalogue().values() if s.needs.kernel and (psf.ndim == 4 or s.needs.volumes)]
    return "there are " + ", ".join(able)


def _kernel(kernel: object) -> Tensor:
    """(1, 1, h, w) or (1, 1, d, h, w), float32, sum 1.

    Raises:
        KernelError: no array, another number of axes, NaN, clearly negative, a sum of zero or less.
    """
    found = _tensor(kernel)
    if found is None or found.ndim not in (2, 3) or 0 in found.shape or found.is_complex():
        shape = "" if found is None else f" of shape {tuple(found.shape)}"
        raise KernelError(
            f"a {type(kernel).__name__}{shape} is no kernel of a volume; give an array (d, h, w) or (h, w)"
        )
    psf = found.float()
    check_values(psf.reshape(1, 1, 1, -1))
    return (psf.clamp_min(0) / psf.clamp_min(0).sum())[None, None]


def _values(volume: object) -> Tensor:
    """(1, 1, D, H, W), float32 or float64.

    Raises:
        ImageError: no real array of three axes.
    """
    found = None if "bool" in str(getattr(volume, "dtype", "")) else _tensor(volume)
    if found is None or found.ndim != 3 or 0 in found.shape or found.is_complex():
        shape = "" if found is None else f" of {found.dtype}, shape {tuple(found.shape)}"
        raise ImageError(
            f"a {type(volume).__name__}{shape} is no volume; give an array or tensor (D, H, W) of real numbers, one "
            "channel and one moment at a time"
        )
    return (found if found.dtype == torch.float64 else found.float())[None, None]


def _tensor(values: object) -> Tensor | None:
    if isinstance(values, Tensor):
        return values.detach().cpu()
    if isinstance(values, np.ndarray) and values.dtype.kind in "uibf":
        native = values.astype(values.dtype.newbyteorder("="), copy=False)
        return torch.from_numpy(native.astype(np.float64 if native.dtype.itemsize > 4 else np.float32))
    return None


def _check_size(values: Tensor, psf: Tensor) -> None:
    """Refuse a kernel that reaches beyond the volume whatever its place.

    Raises:
        KernelError: a side of it is longer than twice that of the volume.
    """
    sides, size = psf.shape[2:], values.shape[-(psf.ndim - 2) :]
    if any(k >= 2 * n for k, n in zip(sides, size, strict=True)):
        raise KernelError(
            f"a kernel of {' x '.join(map(str, sides))} for a volume of {' x '.join(map(str, values.shape[2:]))}; cut "
            "the kernel to where it has light, or give the kernel of this volume"
        )


def _mask(mask: object, values: Tensor) -> Tensor:
    """(1, 1, D, H, W), bool.

    Raises:
        ConfigError: no mask, or one of another shape.
    """
    found = _tensor(mask)
    if found is None or found.shape != values.shape[2:]:
        shape = type(mask).__name__ if found is None else str(tuple(found.shape))
        raise ConfigError(f"mask: {shape} for a volume of {tuple(values.shape[2:])}; give an array of that shape")
    return (found > 0)[None, None]


def _back(x: Tensor, like: Any) -> Any:
    """(1, 1, D, H, W) in the form of what the caller gave."""
    if isinstance(like, Tensor):
        if not like.dtype.is_floating_point:
            limits = torch.iinfo(like.dtype)
            x = x.double().round().clamp(limits.min, limits.max)
        return x[0, 0].to(like.device, like.dtype)
    array = x[0, 0].numpy()
    return array.astype(like.dtype) if like.dtype.kind == "f" else rounded(array, like.dtype).astype(like.dtype)
