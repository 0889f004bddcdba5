r"""Point-spread functions of telescopes and microscopes with a closed form: Moffat, Airy, Gaussian ellipsoid.

Every function returns one kernel, (1, 1, h, w) or (1, 1, d, h, w), float32: not negative, sum 1, sides odd, centre at
(h // 2, w // 2). Values are integrals over the pixel, not samples at its centre, so a detector needs no further blur.
The part outside of the kernel is cut off, and the rest is divided by its sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from acutance.errors import KernelError
from acutance.psf.shapes import odd_size

FIRST_ZERO = 3.8317059702075125
"""The first zero of the Bessel function J1: the first dark ring of an Airy pattern."""

MAX_SIDE = 1025
"""Pixels; a larger kernel has to be asked for by its size."""

_MOFFAT_LIGHT = 0.995  # part of the light inside of a Moffat kernel whose size is not given
_AIRY_RINGS = 10.0  # radii of the first dark ring; 98.3 % of the light of a clear aperture lies within


def moffat(fwhm: float, beta: float = 2.5, size: int | None = None) -> Tensor:
    r"""A star behind the atmosphere: I(r) = (beta - 1) / (pi a^2) (1 + r^2 / a^2)^-beta.

    fwhm = 2 a sqrt(2^(1/beta) - 1). The part of the light within r is 1 - (1 + r^2 / a^2)^(1 - beta). Moffat 1969,
    A&A 3, 455-461.

    Args:
        fwhm: full width at half maximum, pixels, above 0.
        beta: how steep the wings are, above 1; 2.5 to 4.8 for seeing, large values tend to a Gaussian.
        size: side, odd, pixels; None: 99.5 % of the light lies within.

    Raises:
        KernelError: a value out of its range, or too large a kernel.

    Example:
        >>> moffat(3.1, 2.5).shape
        torch.Size([1, 1, 33, 33])
    """
    if not (fwhm > 0 and math.isfinite(fwhm)):
        raise KernelError(f"a Moffat profile of fwhm {fwhm:g} pixels: give a width above 0")
    if not (beta > 1 and math.isfinite(beta)):
        raise KernelError(f"a Moffat profile of beta {beta:g}: its light is finite for beta above 1 only; try 2.5")
    a = fwhm / (2 * math.sqrt(2 ** (1 / beta) - 1))
    if size is None:
        exponent = -math.log(1 - _MOFFAT_LIGHT) / (beta - 1)
        reach = a * math.sqrt(math.expm1(exponent)) if exponent < 500 else math.inf
        size = _automatic(reach, "its wings reach too far")
    return _radial(lambda r2: (1 + r2 / a**2) ** -beta, _checked(size), fwhm)


def airy(
    radius: float | None = None,
    *,
    wavelength: float | None = None,
    na: float | None = None,
    pixel: float | None = None,
    obscuration: float = 0.0,
    size: int | None = None,
) -> Tensor:
    r"""A point behind a round aperture, in focus, with a central obstruction of e times its diameter.

        I(r) = ( (2 J1(v) / v - e^2 2 J1(e v) / (e v)) / (1 - e^2) )^2,        v = 3.8317 r / radius

    The light within v of a clear aperture is 1 - J0(v)^2 - J1(v)^2. Born & Wolf, Principles of Optics, sections 8.5.2
    and 8.6.2.

    Args:
        radius: of the first dark ring of the aperture without its obstruction, pixels: 1.22 wavelength f / (D pixel)
            of a telescope. Or give `wavelength`, `na` and `pixel`.
        wavelength, pixel: in one unit of length; the pixel in the plane of the object. na: numerical aperture, above 0.
        obscuration: e, from 0 up to, not including, 1.
        size: side, odd, pixels; None: ten times the radius on each side.

    Raises:
        KernelError: a value out of its range, neither or both ways of giving the radius, too large a kernel.

    Example:
        >>> airy(2.0).shape
        torch.Size([1, 1, 41, 41])
    """
    given = (wavelength, na, pixel)
    if (radius is None) == any(v is None for v in given) or (radius is not None and any(v is not None for v in given)):
        raise KernelError("an Airy pattern needs its radius in pixels, or wavelength, na and pixel: one of both")
    if radius is None:
        assert wavelength is not None
        assert na is not None
        assert pixel is not None
        if min(wavelength, na, pixel) <= 0:
            raise KernelError(f"wavelength {wavelength:g}, na {na:g}, pixel {pixel:g}: give numbers above 0")
        radius = FIRST_ZERO / (2 * math.pi) * wavelength / (na * pixel)
    if not (radius > 0 and math.isfinite(radius)):
        raise KernelError(f"an Airy pattern of radius {radius:g} pixels: give a radius above 0")
    if not 0 <= obscuration < 1:
        raise KernelError(f"an obscuration of {obscuration:g}: give a part of the diameter, from 0 to below 1")
    size = _automatic(_AIRY_RINGS * radius, "the pixel is very small") if size is None else size
    scale, e = FIRST_ZERO / radius, obscuration

    def intensity(r2: Tensor) -> Tensor:
        v = scale * r2.sqrt()
        field = _jinc(v) - (e**2 * _jinc(e * v) if e else 0)
        return (field / (1 - e**2)).square()

    return _radial(intensity, _checked(size), radius * 0.84)  # its full width at half maximum


def gaussian_ellipsoid(sigmas: tuple[float, float, float], size: tuple[int, int, int] | None = None) -> Tensor:
    r"""I(z, y, x) = exp(-z^2 / 2 s_z^2 - y^2 / 2 s_y^2 - x^2 / 2 s_x^2), each factor integrated over the voxel.

    The variance along an axis is s^2 + 1/12: that of the Gaussian and that of the voxel. A fluorescence microscope in
    focus is near s_x = 0.21 wavelength / NA and s_z = 0.66 wavelength n / NA^2 (Zhang, Zerubia & Olivo-Marin 2007).

    Args:
        sigmas: standard deviations along (z, y, x), voxels, above 0.
        size: sides (d, h, w), odd; None: four standard deviations on each side.

    Returns:
        (1, 1, d, h, w).

    Raises:
        KernelError: a value out of its range, or too large a kernel.

    Example:
        >>> gaussian_ellipsoid((2.0, 1.0, 1.0)).shape
        torch.Size([1, 1, 17, 9, 9])
    """
    if len(sigmas) != 3 or not all(s > 0 and math.isfinite(s) for s in sigmas):
        raise KernelError(f"standard deviations {sigmas}: give three numbers above 0, along z, y and x")
    sides = tuple(_automatic(4 * s, "the standard deviation is large") for s in sigmas) if size is None else size
    if len(sides) != 3:
        raise KernelError(f"sides {sides}: give three, (d, h, w)")
    z, y, x = (_bell(s, _checked(n)) for s, n in zip(sigmas, sides, strict=True))
    return _kernel(z[:, None, None] * y[:, None] * x)


def pixel_nodes(width: float) -> tuple[Tensor, Tensor]:
    """Gauss-Legendre nodes in a pixel, from -1/2 to 1/2, and weights of sum 1, for a profile of `width` pixels."""
    count = min(max(math.ceil(3 + 8 / width), 4), 64)
    return legendre(count, -0.5, 0.5)


def legendre(count: int, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Nodes and weights, (count,) float64, of Gauss-Legendre quadrature over an interval (Golub & Welsch 1969)."""
    n = torch.arange(1, count, dtype=torch.float64)
    beside = n / (4 * n.square() - 1).sqrt()
    nodes, vectors = torch.linalg.eigh(torch.diag(beside, 1) + torch.diag(beside, -1))
    return low + (nodes + 1) * (high - low) / 2, vectors[0].square() * (high - low)


def _radial(intensity: Callable[[Tensor], Tensor], size: int, width: float) -> Tensor:
    """The integral of intensity(r^2) over each pixel: (1, 1, size, size)."""
    axis = torch.arange(size // 2 + 1, dtype=torch.float64)
    nodes, weights = pixel_nodes(width)
    part = torch.zeros(len(axis), len(axis), dtype=torch.float64)
    for dy, v in zip(nodes, weights, strict=True):
        for dx, u in zip(nodes, weights, strict=True):
            part += v * u * intensity((axis[:, None] + dy).square() + (axis + dx).square())
    return _kernel(whole_of_quadrant(part))


def whole_of_quadrant(part: Tensor) -> Tensor:
    """(..., h // 2 + 1, w // 2 + 1) from the centre on -> (..., h, w), mirrored along both axes."""
    half = torch.cat((part[..., 1:].flip(-1), part), -1)
    return torch.cat((half[..., 1:, :].flip(-2), half), -2)


def _bell(sigma: float, side: int) -> Tensor:
    """A Gaussian integrated over each of `side` pixels."""
    edges = (torch.arange(side + 1, dtype=torch.float64) - side / 2) / (sigma * math.sqrt(2))
    return torch.erf(edges).diff()


def _jinc(v: Tensor) -> Tensor:
    """2 J1(v) / v, which is 1 at 0."""
    small = v.abs() < 1e-4
    safe = torch.where(small, torch.ones_like(v), v)
    return torch.where(small, 1 - v.square() / 8, 2 * torch.special.bessel_j1(safe) / safe)


def _kernel(values: Tensor) -> Tensor:
    """(h, w) or (d, h, w) -> a kernel of sum 1."""
    return (values / values.sum()).float()[None, None]


def _automatic(reach: float, why: str) -> int:
    if 2 * reach + 1 > MAX_SIDE:
        raise KernelError(f"the kernel would be larger than {MAX_SIDE} pixels ({why}); give its size")
    return odd_size(2 * reach + 1)


def _checked(size: int) -> int:
    if size < 1 or size % 2 == 0 or size > 4 * MAX_SIDE:
        raise KernelError(f"a kernel of side {size}: give an odd number of pixels, at most {4 * MAX_SIDE}")
    return size
