r"""The point-spread function of a fluorescence microscope: Gibson and Lanni's scalar model.

    I(r, z) = | int_0^1 J0(k NA r rho) exp(i k L(rho, z)) rho d rho |^2,        k = 2 pi / wavelength

with the difference of the optical paths from those for which the objective was designed (marked by *)

    L = p s(n_s) + t s(n_i) - t* s(n_i*) + g s(n_g) - g* s(n_g*),        s(n) = sqrt(n^2 - NA^2 rho^2)

where p is the depth of the point below the cover glass, t = t* + z the thickness of the immersion, g of the glass.
Gibson & Lanni 1992, JOSA A 9(1), 154-166; in the form of Li, Xue & Blu 2017, JOSA A 34(6), 1029-1034. The integral is
done by Gauss-Legendre quadrature, with nodes enough for the largest phase.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.errors import KernelError
from acutance.psf.models import FIRST_ZERO, legendre, whole_of_quadrant
from acutance.psf.shapes import odd_size

MAX_VOXELS = 16_000_000
"""The most voxels of a kernel; files of kernels have the same limit."""

_CHUNK = 4096  # radii at once
_AXIAL = 4.0  # n wavelength / NA^2 on each side of the focus, of a kernel whose size is not given


@dataclass(frozen=True)
class Layers:
    """The layers between the objective and the sample. Lengths in µm.

    Args:
        immersion, glass: refractive indices as they are. immersion_design, glass_design: as the objective expects
            them; None: the same.
        thickness: of the cover glass; thickness_design: as expected. working_distance: t*, of the immersion layer.
    """

    immersion: float = 1.515
    immersion_design: float | None = None
    glass: float = 1.515
    glass_design: float | None = None
    thickness: float = 170.0
    thickness_design: float = 170.0
    working_distance: float = 150.0


def gibson_lanni(
    na: float,
    wavelength: float,
    voxel: tuple[float, float, float],
    size: tuple[int, int, int] | None = None,
    *,
    sample: float = 1.33,
    depth: float = 0.0,
    layers: Layers = Layers(),
) -> Tensor:
    """The point-spread function of a wide-field fluorescence microscope.

    It is integrated over the pixel along y and x, and sampled along z, where a section has no thickness. The central
    plane is the one in which the point is brightest on the axis: with a mismatch of indices that is not where the
    stage says. From plane to plane the immersion layer grows, so the focus moves towards the cover glass; flip the
    kernel for a stack that was taken the other way. Light at angles beyond the smallest refractive index does not pass.

    Args:
        na: numerical aperture, above 0, below the index of the immersion.
        wavelength: of the emitted light in vacuum, µm.
        voxel: its sides (z, y, x), µm, in the space of the object; z is the step of the stage.
        size: (d, h, w), odd; None: 4 n wavelength / NA^2 above and below the focus, and what the cone of light covers.
        sample: refractive index of the sample. depth: of the point below the cover glass, µm, at least 0.
        layers: immersion and cover glass.

    Returns:
        (1, 1, d, h, w) float32, not negative, sum 1.

    Raises:
        KernelError: a value out of its range, or too large a kernel.

    Example:
        >>> gibson_lanni(1.4, 0.52, (0.3, 0.1, 0.1), (9, 31, 31), depth=2.0).shape
        torch.Size([1, 1, 9, 31, 31])
    """
    _check(na, wavelength, voxel, sample, depth, layers)
    d, h, w = sides = _default_size(na, wavelength, voxel, layers.immersion) if size is None else size
    if len(sides) != 3 or min(sides) < 1 or not all(n % 2 for n in sides):
        raise KernelError(f"sides {tuple(sides)}: give three odd numbers, (d, h, w)")
    if math.prod(sides) > MAX_VOXELS:
        raise KernelError(f"{d} x {h} x {w} voxels are more than {MAX_VOXELS:,}: give a smaller size, or larger voxels")
    pupil = _Pupil(na, wavelength, sample, depth, layers)
    reach = max(d // 2, 1) * voxel[0]
    z = pupil.focus(reach) + (torch.arange(d, dtype=torch.float64) - d // 2) * voxel[0]
    part = torch.zeros(d, h // 2 + 1, w // 2 + 1, dtype=torch.float64)
    ys, xs = (torch.arange(n // 2 + 1, dtype=torch.float64) for n in (h, w))
    rules = [legendre(math.ceil(3 + 8 * side * na / wavelength), -0.5, 0.5) for side in voxel[1:]]
    for dy, v in zip(*rules[0], strict=True):
        for dx, u in zip(*rules[1], strict=True):
            r2 = ((ys[:, None] + dy) * voxel[1]).square() + ((xs + dx) * voxel[2]).square()
            part += v * u * pupil.intensity(r2.flatten().sqrt(), z).reshape(part.shape)
    whole = whole_of_quadrant(part)
    return (whole / whole.sum()).float()[None, None]


class _Pupil:
    """The integral over the pupil."""

    def __init__(self, na: float, wavelength: float, sample: float, depth: float, layers: Layers) -> None:
        self.k, self.na, self.immersion = 2 * math.pi / wavelength, na, layers.immersion
        self.sample, self.depth, self.layers = sample, depth, layers
        design = layers.immersion if layers.immersion_design is None else layers.immersion_design
        glass = layers.glass if layers.glass_design is None else layers.glass_design
        self.design, self.glass_design = design, glass
        indices = [layers.immersion, design, glass, layers.glass, *([sample] if depth > 0 else [])]
        self.edge = min(1.0, *(n / na for n in indices))
        # The paraxial focus: there the path differences have no term in rho^2.
        self.paraxial = layers.immersion * (
            layers.thickness_design / glass
            - layers.thickness / layers.glass
            + layers.working_distance / design
            - depth / sample
        ) - (layers.working_distance)

    def paths(self, rho: Tensor) -> Tensor:
        """L at the paraxial focus, µm, up to a constant."""
        layers = self.layers
        t = layers.working_distance + self.paraxial
        terms = (
            (self.depth, self.sample), (t, layers.immersion), (-layers.working_distance, self.design),
            (layers.thickness, layers.glass), (-layers.thickness_design, self.glass_design),
        )  # fmt: skip
        return torch.stack([length * (self.root(n, rho) - n) for length, n in terms]).sum(0)

    def root(self, n: float, rho: Tensor) -> Tensor:
        """s(n)."""
        return (n**2 - (self.na * rho).square()).clamp_min(0).sqrt()

    def intensity(self, r: Tensor, z: Tensor) -> Tensor:
        """I at radii (R,), µm, and distances z (D,) of the stage from the paraxial focus: (D, R)."""
        ends = torch.linspace(0, self.edge, 257, dtype=torch.float64)
        far = float(z.abs().max()) * float(self.immersion - self.root(self.immersion, ends[-1:]))
        cycles = self.k * (self.na * float(r.max()) * self.edge + far + float(self.paths(ends).diff().abs().sum()))
        rho, weights = legendre(min(64 + math.ceil(cycles), 4096), 0, self.edge)
        phase = self.k * (self.paths(rho) + z[:, None] * (self.root(self.immersion, rho) - self.immersion))
        waves = torch.polar((weights * rho).expand_as(phase), phase)  # (D, N)
        parts = []
        for piece in torch.split(r, _CHUNK):
            bessel = torch.special.bessel_j0(self.k * self.na * rho[:, None] * piece)  # (N, R)
            parts.append((waves.real @ bessel).square() + (waves.imag @ bessel).square())
        return torch.cat(parts, 1)

    def focus(self, reach: float) -> float:
        """The distance from the paraxial focus at which a point is brightest on the axis, µm."""
        spread = float(self.paths(torch.linspace(0, self.edge, 257, dtype=torch.float64)).abs().max())
        depth_of_focus = self.immersion * 2 * math.pi / (self.k * self.na**2)
        if self.k * spread < 1e-6:
            return 0.0
        margin = max(reach, 3 * spread / max(self.immersion - self.root_at_edge(), 1e-9), depth_of_focus)
        axis = torch.zeros(1, dtype=torch.float64)
        middle = 0.0
        for _ in range(3):
            count = min(max(401, math.ceil(16 * margin / depth_of_focus)), 4001)
            z = middle + torch.linspace(-margin, margin, count, dtype=torch.float64)
            middle = float(z[self.intensity(axis, z)[:, 0].argmax()])
            margin = 2 * margin / count * 2
        return middle

    def root_at_edge(self) -> float:
        """s(n_i) at the edge of the pupil."""
        return float(self.root(self.immersion, torch.tensor(self.edge, dtype=torch.float64)))


def _check(
    na: float, wavelength: float, voxel: tuple[float, float, float], sample: float, depth: float, layers: Layers
) -> None:
    if len(voxel) != 3 or not all(side > 0 and math.isfinite(side) for side in (*voxel, wavelength)):
        raise KernelError(f"wavelength {wavelength}, voxel {voxel}: give lengths above 0, in µm, voxel as (z, y, x)")
    if wavelength > 20:
        raise KernelError(f"a wavelength of {wavelength:g} µm: give µm, 0.52 for 520 nm")
    if not (0 < na < layers.immersion):
        raise KernelError(f"na {na:g}: give a numerical aperture above 0 and below the index of the immersion, "
                          f"{layers.immersion:g}")  # fmt: skip
    indices = (sample, layers.immersion, layers.immersion_design or 1.5, layers.glass, layers.glass_design or 1.5)
    if not all(1 <= n < 4 for n in indices):
        raise KernelError(f"refractive indices {', '.join(f'{n:g}' for n in indices)}: give numbers from 1 to 4")
    lengths = (depth, layers.thickness, layers.thickness_design, layers.working_distance)
    if not all(0 <= length < 1e4 for length in lengths):
        raise KernelError(f"lengths {', '.join(f'{n:g}' for n in lengths)}: give µm, at least 0 and below 10,000")


def _default_size(
    na: float, wavelength: float, voxel: tuple[float, float, float], index: float
) -> tuple[int, int, int]:
    far = _AXIAL * index * wavelength / na**2
    wide = far * math.tan(math.asin(min(na / index, 0.95))) + 3 * FIRST_ZERO / (2 * math.pi) * wavelength / na
    return odd_size(2 * far / voxel[0] + 1), odd_size(2 * wide / voxel[1] + 1), odd_size(2 * wide / voxel[2] + 1)
