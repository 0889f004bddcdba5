r"""A Gaussian mixture over patches of pixels, and what it makes of noisy ones (Zoran & Weiss 2011).

    log p(z) = log sum_k w_k N(z; 0, C_k),      z: s x s pixels less their mean, C_k = V_k diag(l_k) V_k'

A patch with white noise of variance v is denoised by the component that explains it best and its Wiener filter:

    k* = argmax_k  log w_k + log N(z; 0, C_k + v I),      z -> V diag( l / (l + v) ) V' z   of k*

The density wants the Mahalanobis distance z' Q_k z, Q_k = (C_k + v I)^-1, of every patch to every component. It is
linear in the d (d + 1) / 2 products z_i z_j, so one matrix product of all patches with all components has it: exactly,
with half the multiplications of a product with the axes of each component.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import WeightsError
from acutance.tensors import cosine_matrix

STRIP = 1 << 16
"""Patches that are cut out at a time."""

CHUNK = 1 << 9
"""Patches whose products z_i z_j are made at a time, on a processor: they stay in its cache. A GPU takes `STRIP`."""

FLOOR = (0.25 / 255) ** 2
"""Least variance along an axis: photographs of 8 bits know no less."""


@dataclass(frozen=True, eq=False)
class PatchMixture:
    """K Gaussians of mean zero on patches of d = s^2 pixels.

    Args:
        log_weights: log w_k, (K,). values: variances along the axes, falling, (K, d). vectors: the axes as columns,
            (K, d, d).
    """

    log_weights: Tensor
    values: Tensor
    vectors: Tensor

    @staticmethod
    def of(tensors: Mapping[str, Tensor]) -> PatchMixture:
        """From the tensors of a weights file, see `tensors`.

        Raises:
            WeightsError: others are there, or their shapes do not fit together.
        """
        if sorted(tensors) != ["deviations", "log_weights", "vectors"]:
            raise WeightsError("these are no weights of a patch mixture; expected are log_weights, deviations, vectors")
        log_weights, deviations, vectors = (tensors[k].float() for k in ("log_weights", "deviations", "vectors"))
        k, d = (*deviations.shape, 0, 0)[:2]
        if vectors.shape != (k, d, d) or log_weights.shape != (k,) or d == 0 or math.isqrt(d) ** 2 != d:
            raise WeightsError(
                f"a patch mixture of K components needs log_weights (K,), deviations (K, s^2), vectors (K, s^2, s^2), "
                f"not {tuple(log_weights.shape)}, {tuple(deviations.shape)} and {tuple(vectors.shape)}"
            )
        if not bool((deviations > 0).all()):
            raise WeightsError("a variance of this patch mixture is not positive; the file is damaged")
        return PatchMixture(log_weights, deviations.square(), vectors)

    def tensors(self) -> dict[str, Tensor]:
        """For a weights file; deviations, which keep their digits in half precision, instead of variances."""
        return {"log_weights": self.log_weights, "deviations": self.values.sqrt(), "vectors": self.vectors}

    @staticmethod
    def untrained(side: int = 8, scales: int = 6) -> PatchMixture:
        """One spectrum, falling as that of photographs does, at several contrasts: cosines and 1 / frequency^2."""
        i = torch.arange(side, dtype=torch.float64)
        cosines = cosine_matrix(side).T
        vectors = torch.einsum("ai,bj->abij", cosines, cosines).reshape(side**2, side**2)
        power = (i[:, None] ** 2 + i**2).flatten()
        order = torch.argsort(torch.where(power == 0, torch.inf, power))
        shape = torch.where(power > 0, 1 / power.clamp_min(1), 0)[order]
        variances = 0.3 * 8.0 ** -torch.arange(scales, dtype=torch.float64)
        values = (variances[:, None] * shape).clamp_min(FLOOR)
        axes = vectors[:, order].expand(scales, -1, -1)
        return PatchMixture(torch.zeros(scales).log_softmax(0), values.float(), axes.float().contiguous())

    def to(self, like: Tensor) -> PatchMixture:
        """On the device and in the precision of `like`."""
        return PatchMixture(*(getattr(self, f.name).to(like) for f in fields(self)))

    @property
    def side(self) -> int:
        """s, pixels."""
        return math.isqrt(self.values.shape[1])

    def prox(self, x: Tensor, sigma: Tensor, turn: int, *, stride: int = 1) -> Tensor:
        """The mean of what is made of the patches around each pixel; the picture is a torus.

        Args:
            x: (B, C, H, W), channels on their own. sigma: (B,). turn: which of stride^2 grids of patches is taken.
            stride: of the grid in both directions.
        """
        if stride > 1:  # grids in an order in which neighbours come late
            order = [(i, (i + j) % stride) for j in range(stride) for i in range(stride)]
            shift = order[turn % len(order)]
            x = torch.roll(x, shift, (-2, -1))
        out = torch.stack([self._denoised(picture, float(s), stride) for picture, s in zip(x, sigma, strict=True)])
        return torch.roll(out, (-shift[0], -shift[1]), (-2, -1)) if stride > 1 else out

    def _denoised(self, x: Tensor, sigma: float, stride: int) -> Tensor:
        """Of one picture (C, H, W)."""
        s, (channels, height, width) = self.side, x.shape
        if not math.isfinite(float(x.sum())):
            return x
        rows, cols = -(-height // stride) * stride, -(-width // stride) * stride
        index = torch.arange(max(rows, cols) + s, device=x.device)
        wrapped = x[:, index[: rows + s - stride] % height][:, :, index[: cols + s - stride] % width]
        total = torch.zeros_like(wrapped)
        strip = max(1, STRIP // (cols // stride)) * stride
        for top in range(0, rows, strip):
            part = wrapped[:, top : top + strip + s - stride]
            patches = F.unfold(part[:, None], s, stride=stride)  # (C, d, n)
            z = patches.transpose(1, 2).reshape(-1, s * s)
            mean = z.mean(1, keepdim=True)
            z = self.denoised(z - mean, sigma**2) + mean
            z = z.reshape(channels, -1, s * s).transpose(1, 2)
            total[:, top : top + strip + s - stride] += F.fold(z, part.shape[1:], s, stride=stride)[:, 0]
        return _folded_back(total, height, width) / self._count(rows, cols, height, width, stride, x)

    def _count(self, rows: int, cols: int, height: int, width: int, stride: int, like: Tensor) -> Tensor:
        s = self.side
        ones = like.new_ones(1, s * s, (rows // stride) * (cols // stride))
        size = (rows + s - stride, cols + s - stride)
        return _folded_back(F.fold(ones, size, s, stride=stride)[0], height, width)

    def denoised(self, z: Tensor, variance: float) -> Tensor:
        """V diag(l / (l + v)) V' z of the component that explains it best, for patches (n, d) without their means.

        Args:
            z: patches. variance: v.
        """
        best = self.log_joint(z, variance).argmax(1)
        order = best.argsort()
        counts = torch.bincount(best, minlength=len(self.values)).tolist()
        gain = self.values / (self.values + variance)
        found = [
            (mine @ (self.vectors[k] * gain[k])) @ self.vectors[k].T
            for k, mine in enumerate(torch.split(z[order], counts))
            if len(mine)
        ]
        out = torch.empty_like(z)
        out[order] = torch.cat(found)
        return out

    def log_joint(self, z: Tensor, variance: float = 0.0) -> Tensor:
        """log w_k N(z_n; 0, C_k + variance I) for patches z (n, d) without their means: (n, K).

        The mean has been taken out, so one axis of d holds nothing; it is left out of the density.

        Args:
            z: patches. variance: v.
        """
        spread = self.values[:, :-1] + variance  # (K, d - 1)
        constant = self.log_weights - 0.5 * (spread.log() + math.log(2 * math.pi)).sum(1)
        axes = self.vectors[:, :, :-1] * spread.rsqrt()[:, None, :]
        i, j = torch.triu_indices(z.shape[1], z.shape[1], device=z.device)
        forms = (axes @ axes.mT)[:, i, j] * torch.where(i == j, -0.5, -1.0)  # -1/2 Q_k, (K, d (d + 1) / 2)
        at_once = CHUNK if z.device.type == "cpu" else STRIP
        return torch.cat(
            [torch.addmm(constant[:, None], forms, _products(chunk)) for chunk in torch.split(z, at_once)], 1
        ).T


def _products(z: Tensor) -> Tensor:
    """z_i z_j of patches (n, d), i <= j, in the order of `torch.triu_indices`: (d (d + 1) / 2, n)."""
    columns, d = z.T.contiguous(), z.shape[1]
    out = z.new_empty(d * (d + 1) // 2, len(z))
    for i, part in enumerate(torch.split(out, list(range(d, 0, -1)))):
        torch.mul(columns[i], columns[i:], out=part)
    return out


def principal_axes(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Variances (K, d), falling, and axes as columns (K, d, d) of covariances of patches without their means.

    The last axis is the constant patch.
    """
    d = covariance.shape[-1]
    one = torch.full((d,), d**-0.5, dtype=torch.float64, device=covariance.device)
    lifted = covariance.double() - 1.0 * one[:, None] * one[None, :]  # the constant becomes the least axis
    values, vectors = torch.linalg.eigh(lifted)
    values, vectors = values.flip(-1), vectors.flip(-1)
    values = values.clamp_min(FLOOR)
    return values.to(covariance.dtype), vectors.to(covariance.dtype)


def _folded_back(x: Tensor, height: int, width: int) -> Tensor:
    """Sum what lies beyond a torus of the given size back onto it: (C, H', W') -> (C, height, width)."""
    for dim, size in ((-2, height), (-1, width)):
        out = x.narrow(dim, 0, size).clone()
        beyond = x.shape[dim] - size
        done = 0
        while done < beyond:
            n = min(size, beyond - done)
            out.narrow(dim, 0, n).add_(x.narrow(dim, size + done, n))
            done += n
        x = out
    return x
