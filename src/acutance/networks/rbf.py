r"""Learned filters in the span of cosines, and learned functions of one variable: what shrinkage fields are made of.

    f_i   = sum_j c_ij b_j,        b_j: the cosine basis of side x side pixels without its constant, so f_i sums to 0
    phi(z) = sum_j w_j exp(-(z - m_j)^2 / (2 d^2)),      |z| <= reach;   a straight line beyond it

m_j lie evenly over [-reach, reach], d is their distance (Schmidt & Roth 2014; Chen & Pock 2017). The untrained filters
are such that sum_i |F_i|^2 = |D|^2, D the first differences: the cosines are the eigenvectors of the differences inside
a patch, whose squares, over all patches, count every difference side (side - 1) times.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acutance.errors import ConfigError
from acutance.tensors import cosine_matrix, flip

FINE = 32
"""Samples of a function between two centres; it is interpolated between them. The error is at most 1.3e-4 of its
largest weight."""


def cosine_basis(side: int) -> Tensor:
    """The orthonormal cosines of a square without the constant: (side^2 - 1, side, side), float64.

    Basis picture i - 1, i = a side + b, has frequency b down the rows and a along a row.
    """
    c = cosine_matrix(side)
    basis = torch.einsum("ay,bx->abxy", c, c).reshape(side**2, side, side)
    return basis[1:].clone()


class FilterBank(nn.Module):
    """Filters that sum to 0; (B, 1, H, W) -> (B, count, H - side + 1, W - side + 1).

    Args:
        side: of a filter, odd, pixels.
        count: number of filters; None: side^2 - 1, and the start is that of the module.

    Raises:
        ConfigError: a side that is even or too small, no filter.
    """

    basis: Tensor

    def __init__(self, side: int = 5, count: int | None = None) -> None:
        super().__init__()
        if side < 3 or side % 2 == 0 or side > 31:
            raise ConfigError(f"side={side}: give an odd number from 3 to 31")
        most = side**2 - 1
        count = most if count is None else count
        if not 1 <= count <= most:
            raise ConfigError(f"filters={count}: give 1 to {most}, {side}^2 - 1")
        self.side = side
        self.register_buffer("basis", cosine_basis(side).float(), persistent=False)
        order = torch.arange(side, dtype=torch.float64)
        bends = 2 - 2 * torch.cos(math.pi * order / side)  # eigenvalues of the differences of `side` points
        weight = ((bends[:, None] + bends).flatten()[1:] / (side * (side - 1))).sqrt()
        self.mixing = nn.Parameter(torch.diag(weight)[:, :count].float().contiguous())

    def kernels(self) -> Tensor:
        """f_i, (count, 1, side, side)."""
        basis = cosine_basis(self.side).to(self.mixing) if self.mixing.dtype is torch.float64 else self.basis
        return torch.einsum("ji,jhw->ihw", self.mixing, basis)[:, None]

    def power(self, size: tuple[int, int]) -> Tensor:
        """sum_i |F_i|^2 on a torus: (size[0], size[1] // 2 + 1), real.

        It is the transform of the sum of the autocorrelations of the filters, so one transform does for all.
        """
        k = self.kernels()
        r = self.side - 1
        auto = _autocorrelation(k)
        n, m = size
        rows = (torch.arange(-r, r + 1, device=k.device) % n)[:, None].expand(2 * r + 1, 2 * r + 1)
        cols = (torch.arange(-r, r + 1, device=k.device) % m).expand(2 * r + 1, 2 * r + 1)
        image = k.new_zeros(n, m).index_put((rows, cols), auto, accumulate=True)
        power: Tensor = torch.fft.rfft2(image).real.clamp_min(0)
        return power

    def forward(self, x: Tensor) -> Tensor:
        """f_i * x (as a correlation), where the filters lie inside x."""
        return F.conv2d(x, self.kernels().to(x.dtype))

    def adjoint(self, z: Tensor) -> Tensor:
        """sum_i f'_i * z_i, where the filters lie inside z: (B, count, H, W) -> (B, 1, H - side + 1, W - side + 1)."""
        return F.conv2d(z, flip(self.kernels()).transpose(0, 1).to(z.dtype))


def _autocorrelation(k: Tensor) -> Tensor:
    """sum_i of f_i correlated with itself, (2 side - 1, 2 side - 1)."""
    count, side = len(k), k.shape[-1]
    return F.conv2d(k.reshape(1, count, side, side), k.reshape(1, count, side, side), padding=side - 1)[0, 0]


class RadialBasis(nn.Module):
    """Functions phi_i, one for each feature: (B, count, H, W) -> the same, feature by feature.

    They are sampled `FINE` times between two centres, and interpolated: two look-ups a value, however many centres.

    Args:
        count: of features. centres: of each function. reach: largest |m_j|. slope: of the lines beyond the reach.

    Raises:
        ConfigError: fewer than 3 centres, a reach that is not above 0.
    """

    samples: Tensor

    def __init__(self, count: int, centres: int, reach: float, *, slope: float = 0.0) -> None:
        super().__init__()
        if centres < 3 or centres > 1001 or not reach > 0:
            raise ConfigError(f"centres={centres}, reach={reach}: give 3 to 1001 centres and a reach above 0")
        self.centres, self.reach, self.slope = centres, reach, slope
        self.register_buffer("samples", self._gaussians(self._places()).float(), persistent=False)
        self.weight = nn.Parameter(torch.zeros(count, centres))

    def _places(self) -> Tensor:
        """The places at which the functions are sampled, float64."""
        return torch.linspace(-self.reach, self.reach, FINE * (self.centres - 1) + 1, dtype=torch.float64)

    def _gaussians(self, z: Tensor) -> Tensor:
        """exp(-(z - m_j)^2 / (2 d^2)): (len(z), centres), float64."""
        m = torch.linspace(-self.reach, self.reach, self.centres, dtype=torch.float64)
        distance = (z[:, None] - m) / (2 * self.reach / (self.centres - 1))
        return torch.exp(-0.5 * distance.square())

    @torch.no_grad()
    def fit(self, values: Any) -> None:
        """Set all functions to nearly z -> values(z) on the reach, by least squares with a little damping."""
        z = self._places()
        g = self._gaussians(z)
        damped = g.T @ g + 1e-4 * torch.eye(self.centres, dtype=torch.float64)
        self.weight.copy_(torch.linalg.solve(damped, g.T @ values(z)).expand_as(self.weight))

    def forward(self, z: Tensor) -> Tensor:
        """phi_i(z_i)."""
        exact = self.weight.dtype is torch.float64
        samples = self._gaussians(self._places()).to(self.weight) if exact else self.samples
        table = self.weight @ samples.T
        inside = z.clamp(-self.reach, self.reach)
        scale = (table.shape[1] - 1) / (2 * self.reach)
        place = ((inside + self.reach) * scale).to(table.dtype)
        found: Tensor = _LookUp.apply(place, table)  # type: ignore[no-untyped-call]
        return found.to(z.dtype) + self.slope * (z - inside) if self.slope else found.to(z.dtype)


class _LookUp(torch.autograd.Function):
    """table[i](t_i), linear between samples. Args: t: (B, count, H, W), 0 to length - 1. table: (count, length)."""

    @staticmethod
    def forward(ctx: Any, t: Tensor, table: Tensor) -> Tensor:
        """See the class."""
        count, length = table.shape
        known = torch.nan_to_num(t)
        place = known.floor().clamp(0, length - 2)
        share = t - place
        index = place.long() + (torch.arange(count, device=t.device) * length)[:, None, None]
        flat = table.flatten()
        low, high = flat[index], flat[index + 1]
        rise = high - low
        ctx.save_for_backward(index, share, rise)
        ctx.shape = table.shape
        return low + share * rise

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of t and of the table."""
        index, share, rise = ctx.saved_tensors
        size = ctx.shape[0] * ctx.shape[1]
        high = grad * share
        flat = index.flatten()
        total = torch.bincount(flat, (grad - high).flatten(), size)
        total[1:] += torch.bincount(flat, high.flatten(), size)[:-1]
        return grad * rise, total.to(grad.dtype).reshape(ctx.shape)


def shrinkage(z: Tensor, knee: float) -> Tensor:
    """z - influence(z, knee): takes small values away and leaves large ones."""
    return z - influence(z, knee)


def influence(z: Tensor, knee: float) -> Tensor:
    """z / (1 + (z / knee)^2), the derivative of the Lorentzian error: z where it is small, nothing of what is large."""
    return z / (1 + (z / knee) ** 2)


class Field(nn.Module):
    """sum_i f'_i * phi_i(f_i * x) of one stage; x (B, 1, H, W) keeps its size, its border is replicated.

    Args:
        bank: the filters. functions: the phi_i.
    """

    def __init__(self, bank: FilterBank, functions: RadialBasis) -> None:
        super().__init__()
        self.bank, self.functions = bank, functions

    @property
    def halo(self) -> int:
        """Pixels that one output pixel sees on every side."""
        return self.bank.side - 1

    def forward(self, x: Tensor, gain: Tensor | None = None) -> Tensor:
        """See the class.

        Args:
            x: (B, C, H, W), each channel as if it were alone.
            gain: g > 0, (B,): phi(z) becomes g phi(z / g); None: 1.
        """
        batch, channels, height, width = x.shape
        pad = [self.halo] * 4
        z = self.bank(F.pad(x.reshape(-1, 1, height, width), pad, mode="replicate"))
        if gain is None:
            z = self.functions(z)
        else:
            g = gain.repeat_interleave(channels)[:, None, None, None].to(z)
            z = g * self.functions(z / g)
        return self.bank.adjoint(z).reshape(batch, channels, height, width)
