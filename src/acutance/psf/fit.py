r"""A camera's movement from kernels of several places (after Hirsch et al. 2011).

    max_{W >= 0}  sum_i c_i sum_u k_i(u) log( m_i(u) + haze ),        m_i = sum_a W_a( . + (R(a) - I) p_i )

k_i is the kernel that was estimated at the place p_i, c_i its confidence; W_a says how much of the exposure the camera
spent at each shift while turned by a. The update of Richardson and Lucy keeps W positive and its sum:

    W_a <- W_a  sum_i c_i  moved back( (k_i + haze) / (m_i + haze) )  /  sum_i c_i

A kernel that was estimated blindly has no place of its own: it and its picture may be shifted against each other. So
each k_i is moved to where it fits m_i best, again and again, and c_i is multiplied by the fourth power of how similar
they are: what no movement of the camera explains has no say. What cannot be known is a turn or a shift of the whole
picture; the poses are centred.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import KernelError
from acutance.psf.poses import CameraPoses
from acutance.tensors import fast_length

ROUNDS, ALIGNED = 80, 10
"""Updates, and after how many of them kernels are moved to where they fit, and weighed by how well they do."""

PACE = 1.5
"""Exponent of the factor of an update; above 1 it arrives sooner."""

HAZE = 0.03
"""What both k and m are taken to have more of, spread evenly, so that specks which no pose explains do not decide."""

FAINT = 1e-3
"""Poses of less than this part of the largest weight are left out."""

MOST_ANGLES = 41
"""Turns that are told apart, at most."""


@dataclass(frozen=True, eq=False)
class PosesFit:
    """Poses, and how well they explain the kernels.

    Args:
        poses: centred. similarity: (P,), the correlation of each kernel and what the poses make of its place, 0 to 1.
    """

    poses: CameraPoses
    similarity: Tensor


@torch.no_grad()
def fit_poses(kernels: Tensor, places: Tensor, confidence: Tensor | None = None, *, most: float = 0.15) -> PosesFit:
    """The movement of a camera that explains kernels.

    Args:
        kernels: (P, 1, s, s), s odd, not negative, sum 1. places: (P, 2), pixels (x, y) from the centre of the picture.
        confidence: c, (P,), not negative; None: equal.
        most: largest turn to either side, radians; less is tried where the kernels are too small for it.

    Raises:
        KernelError: shapes that do not fit.
    """
    count, side = len(kernels), kernels.shape[-1]
    if kernels.ndim != 4 or kernels.shape[1] != 1 or kernels.shape[-2] != side or places.shape != (count, 2):
        raise KernelError("to fit poses give kernels (P, 1, s, s) and places (P, 2)")
    c = torch.ones(count) if confidence is None else confidence.float()
    c = (c / c.sum().clamp_min(1e-12)).to(kernels)
    far = float(places.norm(dim=1).max().clamp_min(1))
    largest = min(most, 0.75 * side / far)
    number = min(MOST_ANGLES, 2 * max(1, round(largest * far)) + 1)  # a pixel at the farthest place from turn to turn
    angles = torch.linspace(-largest, largest, number).to(kernels)
    turned = _Turned.of(angles, places.to(kernels), side)
    observed, trusted = turned.padded(kernels), c
    density = torch.full((number, *turned.size), 1 / (number * turned.size[0] * turned.size[1])).to(kernels)
    haze = HAZE / side**2
    for step in range(ROUNDS):
        model = turned.forward(density)
        if step and step % ALIGNED == 0:
            observed = aligned(observed, model)
            trusted = c * _correlation(observed, model) ** 4
            trusted = trusted / trusted.sum().clamp_min(1e-12)
        ratio = (observed + haze) / (model + haze)
        density = density * turned.adjoint(ratio * trusted[:, None, None]).clamp_min(0) ** PACE
        density = density / density.sum()
    model = turned.forward(density)
    similarity = _correlation(aligned(observed, model), model)
    return PosesFit(turned.poses(density).centred(), similarity)


@dataclass(frozen=True, eq=False)
class _Turned:
    """m_i of W, and its adjoint, on a torus of `size`; phases: (P, A, n, m // 2 + 1), complex."""

    angles: Tensor
    size: tuple[int, int]
    phases: Tensor

    @staticmethod
    def of(angles: Tensor, places: Tensor, side: int) -> _Turned:
        """For places (P, 2) and kernels of that side, with room for W to be wider than they are."""
        n = fast_length(side + side // 2)
        c, s = angles.cos() - 1, angles.sin()
        x, y = places[:, :1], places[:, 1:]
        right, down = -(c * x - s * y), -(s * x + c * y)  # the mass goes against the movement
        rows, cols = torch.fft.fftfreq(n).to(places), torch.fft.rfftfreq(n).to(places)
        return _Turned(angles, (n, n), _moving(down, rows)[..., :, None] * _moving(right, cols)[..., None, :])

    def padded(self, kernels: Tensor) -> Tensor:
        """Kernels (P, 1, s, s) with their centre at the origin of the torus: (P, n, n)."""
        side, n = kernels.shape[-1], self.size[0]
        wide = F.pad(kernels[:, 0], (0, n - side, 0, n - side))
        return torch.roll(wide, (-(side // 2), -(side // 2)), (-2, -1))

    def forward(self, density: Tensor) -> Tensor:
        """m of W (A, n, n): (P, n, n)."""
        spectrum = torch.einsum("pahw,ahw->phw", self.phases, torch.fft.rfft2(density))
        out: Tensor = torch.fft.irfft2(spectrum, s=self.size)
        return out.clamp_min(0)

    def adjoint(self, ratio: Tensor) -> Tensor:
        """What is (P, n, n), moved back and summed over the places: (A, n, n)."""
        spectrum = torch.einsum("pahw,phw->ahw", self.phases.conj(), torch.fft.rfft2(ratio))
        out: Tensor = torch.fft.irfft2(spectrum, s=self.size)
        return out

    def poses(self, density: Tensor) -> CameraPoses:
        """The places of W that are not faint."""
        keep = (density > FAINT * density.max()).nonzero()
        n = self.size[0]
        shift = -torch.where(keep[:, 1:] > n // 2, keep[:, 1:] - n, keep[:, 1:]).to(density)
        weights = density[keep[:, 0], keep[:, 1], keep[:, 2]]
        return CameraPoses(self.angles[keep[:, 0]], shift.flip(1), weights)


def _moving(by: Tensor, frequencies: Tensor) -> Tensor:
    """Transfer function of a movement by some pixels (P, A) with bilinear weights: (P, A, frequencies), complex."""
    whole = by.floor()
    share, turn = (by - whole)[..., None], -2 * torch.pi * frequencies
    one = torch.polar(torch.ones_like(turn), turn)
    return torch.polar(torch.ones_like(share), whole[..., None] * turn) * (1 - share + share * one)


def aligned(kernels: Tensor, model: Tensor) -> Tensor:
    """Kernels (P, n, n) on a torus, each moved by whole pixels to where it correlates best with its model."""
    n, m = kernels.shape[-2:]
    product = torch.fft.rfft2(model) * torch.fft.rfft2(kernels).conj()
    best = torch.fft.irfft2(product, s=(n, m)).flatten(1).argmax(1).tolist()
    return torch.stack([torch.roll(k, divmod(b, m), (-2, -1)) for k, b in zip(kernels, best, strict=True)])


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Of kernels (P, n, n), as they lie: (P,)."""
    product = (a * b).sum((-2, -1))
    return product / (a.square().sum((-2, -1)) * b.square().sum((-2, -1))).sqrt().clamp_min(1e-12)
