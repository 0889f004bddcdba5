r"""From a volume to a restored volume: `acutance.restore_volume`.

As for pictures (`acutance.prepare`), results are true to their units: a volume is divided by its brightness, over the
valid voxels only and without a floor, and multiplied again. With a kernel of three axes the methods that know volumes
see all of it at once. With a kernel of two, every plane is restored on its own, by any method that takes a kernel;
brightness and noise level are those of the whole volume.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acutance.errors import ConfigError, ImageError, KernelError
from acutance.kernel_fit import check_values
from acutance.methods.spec import MethodSpec, catalogue, find
from acutance.methods.written import read_method
from acutance.noise.level import level_of, photons_of
from acutance.noise.photons import of_the_light
from acutance.operators import Blur
from acutance.prepare import check_level, has_data, pedestal_of
from acutance.problem import Method, Observer, Outcome, Problem, worst
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
    solver = VolumeMethod.load(kernel, method)
    check_level(sigma)
    values = volume_of(volume)
    solver.check_size(values.shape[2:])
    valid = has_data(values)
    if mask is not None:
        valid = valid & _mask(mask, values)
    if not bool(valid.any()):
        raise ImageError("no voxel is left: all are NaN, infinite or masked")
    units = solver.units(values, valid, sigma)
    if units.sigma is not None:
        logger.info("noise level %s", units.reason)
    if solver.by_planes:
        logger.info("a kernel of two axes: every plane is restored on its own")
    return as_given(solver.run(values, valid, units)[0], volume)


@dataclass(frozen=True)
class Units:
    """The units of voxels while they are restored, y = (values - pedestal) / scale.

    Args:
        pedestal: what all of them lie above. scale: their brightness above it.
        sigma: noise level that the method is told, a fraction of `scale`; None: none. reason: where it comes from.
        background: see `acutance.problem.Problem`, a fraction of `scale`.
    """

    pedestal: float
    scale: float
    sigma: float | None = None
    reason: str = "the method is told none"
    background: float | None = None


@dataclass(frozen=True, eq=False)
class VolumeMethod:
    """A method and a kernel that go together, ready for volumes.

    Args:
        spec, method: see `acutance.methods.spec`. psf: (1, 1, h, w) or (1, 1, d, h, w), sum 1.
        device: where the method runs.
    """

    spec: MethodSpec
    method: Method
    psf: Tensor
    device: torch.device | str = "cpu"

    @staticmethod
    def load(kernel: object, method: str | None = None, **settings: Any) -> VolumeMethod:
        """The method by its name, or the default one, with its weights.

        Args:
            kernel, method: see `restore_volume`. settings: of `Restorer.load`, and of the method.

        Raises:
            KernelError, ConfigError, UnknownMethod, WeightsError: they cannot be used, or not together.
        """
        psf = _kernel(kernel)
        name, own = read_method(method or (DEFAULT_3D if psf.ndim == 5 else DEFAULT_PLANES))
        spec = find(name)
        _check_method(spec, psf)
        restorer = Restorer.load(name, **{**own, **settings})
        return VolumeMethod(spec, restorer.method, psf, restorer.device)

    def with_kernel(self, kernel: object) -> VolumeMethod:
        """The same method with another kernel of as many axes."""
        return replace(self, psf=_kernel(kernel))

    @property
    def by_planes(self) -> bool:
        """The kernel has two axes: every plane is restored on its own."""
        return self.psf.ndim == 4

    def check_size(self, size: Sequence[int]) -> None:
        """Refuse a kernel that reaches beyond a volume (D, H, W) whatever its place.

        Raises:
            KernelError: a side of it is at least twice as long as that of the volume.
        """
        sides = self.psf.shape[2:]
        if any(k >= 2 * n for k, n in zip(sides, size[-len(sides) :], strict=True)):
            raise KernelError(
                f"a kernel of {' x '.join(map(str, sides))} for a volume of {' x '.join(map(str, size))}; cut "
                "the kernel to where it has light, or give the kernel of this volume"
            )

    def units(self, values: Tensor, valid: Tensor, sigma: float | None = None) -> Units:
        """The units of a volume, and its noise level where the method is told one.

        Args:
            values: (1, 1, D, H, W). valid: where they count, bool. sigma: the level if it is known.
        """
        y = _whole(values, valid)
        pedestal = pedestal_of(y, y, valid)
        scale = float(brightness(y - pedestal, valid))
        needs = self.spec.needs
        seen = Problem((y - pedestal) / scale, mask=self._believed(valid))
        photons = photons_of(seen) if needs.photons else None
        background = photons.background if photons is not None and photons.dark else None
        if sigma is not None:
            return Units(pedestal, scale, float(sigma), f"given as {100 * sigma:.2g} %", background)
        if not (needs.sigma or needs.uses_sigma):
            return Units(pedestal, scale)
        if photons is not None:
            level = of_the_light(seen.observed[valid], photons)
            return Units(pedestal, scale, level, f"estimated by the photons' noise as {100 * level:.2g} %", background)
        level = float(level_of(seen))
        return Units(pedestal, scale, level, f"estimated in smooth places of its planes as {100 * level:.2g} %")

    def run(
        self,
        values: Tensor,
        valid: Tensor,
        units: Units,
        *,
        on_step: Observer | None = None,
        on_plane: Callable[[int, int], None] | None = None,
    ) -> tuple[Tensor, Outcome]:
        """Restore a volume; returns it, (1, 1, D, H, W) in its own units, and how the run ended.

        Args:
            values, valid: as for `units`, which says in what units.
            on_step: told every step, where all of the volume is restored at once.
            on_plane: told the number of each plane from 1 on, and of how many, where they are restored one by one.
        """
        outcomes, parts = [], []
        depth = values.shape[2]
        whole = self.problem(values, valid, units)
        for d in range(depth if self.by_planes else 1):
            problem = plane_of(whole, d) if self.by_planes else whole
            if self.by_planes and on_plane is not None:
                on_plane(d + 1, depth)
            result = self.method.run(problem, on_step=None if self.by_planes else on_step)
            outcomes.append(result.outcome)
            parts.append(problem.crop(result.x))
        x = torch.stack(parts, 2) if self.by_planes else parts[0]
        return x.cpu() * units.scale + units.pedestal, worst(outcomes)

    def problem(self, values: Tensor, valid: Tensor, units: Units) -> Problem:
        """What the method is to solve, of all planes. Args: see `run`."""
        y = ((_whole(values, valid) - units.pedestal) / units.scale).to(self.device)
        sigma, ground = (
            None if v is None else torch.tensor([v], device=self.device) for v in (units.sigma, units.background)
        )
        blur, mask = Blur(self.psf.to(self.device)), self._believed(valid.to(self.device))
        return Problem(y, blur, sigma=sigma, mask=mask, background=ground)

    def _believed(self, valid: Tensor) -> Tensor | None:
        return None if not self.spec.needs.mask or bool(valid.all()) else valid.float()


def plane_of(problem: Problem, depth: int) -> Problem:
    """One plane of a problem."""
    mask = None if problem.mask is None else problem.mask[:, :, depth]
    return replace(problem, observed=problem.observed[:, :, depth], mask=mask)


def _whole(values: Tensor, valid: Tensor) -> Tensor:
    """Float32, with what is missing filled."""
    return values.float() if bool(valid.all()) else filled(values.float().nan_to_num(0, 0, 0), valid.float())


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


def volume_of(volume: object) -> Tensor:
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


def as_given(x: Tensor, like: Any) -> Any:
    """(1, 1, D, H, W) in the form of what the caller gave."""
    if isinstance(like, Tensor):
        if not like.dtype.is_floating_point:
            limits = torch.iinfo(like.dtype)
            x = x.double().round().clamp(limits.min, limits.max)
        return x[0, 0].to(like.device, like.dtype)
    array = x[0, 0].numpy()
    return array.astype(like.dtype) if like.dtype.kind == "f" else rounded(array, like.dtype).astype(like.dtype)
