r"""Blur that changes over the picture: a kernel for every node of a grid, blended in between.

    y = sum_i w_i (k_i * x),        sum_i w_i = 1,        A' y = sum_i k_i' (w_i y),        k': k turned by 180 degrees

w_i falls linearly from 1 at node i to 0 at its neighbours, so the kernel of a pixel is the bilinear mean of the kernels
of the four nodes around it. This is the efficient filter flow of Hirsch et al. (2010) with the windows behind the
convolution instead of before it: a kernel then says where the light of *one pixel of y* came from, as a path of the
camera does, and A leaves a constant picture as it is.

w_i is zero beyond its neighbours, so each node convolves one patch; the patches of a row of the grid go through one
batched transform.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import KernelError
from acutance.operators.base import LinearOperator
from acutance.operators.blur import Blur
from acutance.tensors import crop, fast_length, pad

NEIGHBOUR = 0.25
"""Share of |K|^2 of the nodes around that `Window.power` has at least. Where K_i is 0 and its neighbour's K is 1, the
kernel in between has |K|^2 = w^2, and a step by the blended inverse, w^2 ((1 - w) / share + w), exceeds 1 by 2 %."""

REMEMBERED = 1 << 25
"""Values of all transfer functions, at most, that are kept between two calls: 256 MB."""


class Span(NamedTuple):
    """What one node sees along one axis.

    Args:
        start: first pixel of the patch in y. weight: (length,), w along the axis.
    """

    start: int
    weight: Tensor


class Window(NamedTuple):
    """The part of a picture that is restored with the kernel of one node.

    Args:
        blur: of the node. around: the kernels of its neighbours and its own, (P, C or 1, h, w).
        rows, cols: of y. domain_rows, domain_cols: of x.
        weight: of what is restored, on the domain of that part of y; the weights of all windows sum to 1.
    """

    blur: Blur
    around: Tensor
    rows: slice
    cols: slice
    weight: Tensor
    domain_rows: slice
    domain_cols: slice

    def power(self, *size: int) -> Tensor:
        """|K|^2 of the node, nowhere so small that dividing by it would blow up what the kernels around let through.

        Returns:
            (1, C or 1, height, width // 2 + 1), as `torch.fft.rfft2` orders it.
        """
        largest = Blur(self.around).power(*size).amax(0, keepdim=True)
        return self.blur.power(*size).maximum(NEIGHBOUR * largest)


@dataclass(frozen=True, eq=False)
class BlurField(LinearOperator):
    """Convolution with a kernel that changes over the picture; a value, not a module.

    x is larger than y by the radius of the kernels on every side, as for `Blur` with the "valid" border. Differentiable
    in the picture and in the kernels.

    Args:
        kernels: (rows, columns, C or 1, h, w), the kernels of a grid of nodes, true convolution, centre at
            (h // 2, w // 2). The nodes divide the picture evenly: node i of n along an axis of H pixels is at
            (i + 1/2) H / n - 1/2. Beyond the outer nodes the kernel stays as it is. An even side is padded by one zero
            row or column behind.

    Raises:
        KernelError: not five dimensions, or an empty side.

    Example:
        >>> field = BlurField(torch.full((2, 3, 1, 3, 3), 1 / 9))
        >>> field.forward(torch.ones(1, 3, 22, 32)).shape
        torch.Size([1, 3, 20, 30])
    """

    kernels: Tensor
    _last: dict[tuple[int, int], list[Tensor]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kernels.ndim != 5 or 0 in self.kernels.shape:
            raise KernelError(
                f"a field of kernels must be a non-empty (rows, columns, C or 1, h, w) tensor, not "
                f"{tuple(self.kernels.shape)}"
            )
        h, w = self.kernels.shape[-2:]
        if h % 2 == 0 or w % 2 == 0:
            object.__setattr__(self, "kernels", F.pad(self.kernels, (0, 1 - w % 2, 0, 1 - h % 2)))

    @property
    def grid(self) -> tuple[int, int]:
        """Nodes (rows, columns)."""
        return self.kernels.shape[0], self.kernels.shape[1]

    @property
    def radius(self) -> tuple[int, int]:
        """(rows, columns) that the kernels reach beyond their centre."""
        return self.kernels.shape[-2] // 2, self.kernels.shape[-1] // 2

    def mean(self) -> Blur:
        """Convolution with the mean kernel, for methods that need one kernel."""
        return Blur(self.kernels.mean((0, 1))[None])

    def domain_size(self, *size: int) -> tuple[int, ...]:
        """Size of x for a y of the given size: larger by the radius on every side."""
        return tuple(n + 2 * r for n, r in zip(size, self.radius, strict=True))

    def start(self, y: Tensor) -> Tensor:
        """y, extended by replication to the domain of x."""
        return pad(y, *self.radius, border="replicate")

    def crop(self, x: Tensor) -> Tensor:
        """The part of x inside the frame of y."""
        return crop(x, *self.radius)

    def channel(self, index: int) -> BlurField:
        """See `LinearOperator.channel`."""
        one_for_all = self.kernels.shape[2] == 1
        return self if one_for_all else replace(self, kernels=self.kernels[:, :, index : index + 1])

    def forward(self, x: Tensor) -> Tensor:
        """A x: domain size -> picture size.

        Raises:
            KernelError: x is smaller than a kernel.
        """
        r, s = self.radius
        height, width = x.shape[-2] - 2 * r, x.shape[-1] - 2 * s
        if height < 1 or width < 1:
            raise KernelError(f"a {tuple(x.shape[-2:])} image is too small for kernels of radius {r, s}")
        rows, cols = self.spans(height, width, x)
        y = x.new_zeros(*self._leading(x), height, width)
        for row, otf in zip(rows, self._otfs(height, width, x), strict=True):
            p, q = len(row.weight), len(cols[0].weight)
            strip = x[..., row.start : row.start + p + 2 * r, :]
            patches = torch.stack([strip[..., c.start : c.start + q + 2 * s] for c in cols])
            blurred = _filtered(patches, otf, self._torus(p, q))[..., r : r + p, s : s + q]
            for patch, col in zip(blurred, cols, strict=True):
                weight = row.weight[:, None] * col.weight
                y[..., row.start : row.start + p, col.start : col.start + q] += patch * weight
        return y

    def adjoint(self, y: Tensor) -> Tensor:
        """A' y: picture size -> domain size."""
        r, s = self.radius
        height, width = y.shape[-2:]
        rows, cols = self.spans(height, width, y)
        x = y.new_zeros(*self._leading(y), *self.domain_size(height, width))
        for row, otf in zip(rows, self._otfs(height, width, y), strict=True):
            p, q = len(row.weight), len(cols[0].weight)
            strip = y[..., row.start : row.start + p, :] * row.weight[:, None]
            patches = torch.stack([strip[..., c.start : c.start + q] * c.weight for c in cols])
            patches = F.pad(patches, (s, s, r, r))
            spread = _filtered(patches, otf.conj(), self._torus(p, q))[..., : p + 2 * r, : q + 2 * s]
            for patch, col in zip(spread, cols, strict=True):
                x[..., row.start : row.start + p + 2 * r, col.start : col.start + q + 2 * s] += patch
        return x

    def power(self, *size: int, like: Tensor | None = None) -> Tensor:
        """The mean of |K_i|^2 over the nodes, (1, C or 1, height, width // 2 + 1): what A'A is on the average.

        It is the spectrum of the mean autocorrelation, so it costs one transform of that size.
        """
        h, w = self.kernels.shape[-2:]
        n, m = fast_length(2 * h - 1), fast_length(2 * w - 1)
        spectra = torch.fft.rfft2(self.kernels.detach(), s=(n, m))
        mean = torch.fft.irfft2((spectra.real.square() + spectra.imag.square()).mean((0, 1)), s=(n, m))
        centred = torch.roll(mean, (h - 1, w - 1), (-2, -1))[..., : 2 * h - 1, : 2 * w - 1]
        otf: Tensor = Blur(centred[None]).otf(*size)
        power = otf.real.clamp_min(0)
        return power if like is None else power.to(like)

    def spans(self, height: int, width: int, like: Tensor) -> tuple[list[Span], list[Span]]:
        """What the rows and the columns of nodes see of a picture of that size; patches of an axis are equally long."""
        rows, cols = self.grid
        return _spans(rows, height, like), _spans(cols, width, like)

    def windows(self, height: int, width: int, like: Tensor, margin: int = 0) -> Iterator[Window]:
        """The nodes one by one, for methods that know one kernel only.

        Args:
            height, width: of y. like: type and device of weights.
            margin: pixels by which a window is larger on every side than where its weight is above 0.
        """
        (rows, cols), (r, s) = self.grid, self.radius
        down, along = (_continued(node_weights(n, size), reach).to(like) for n, size, reach in (
            (rows, height, r), (cols, width, s)))  # fmt: skip
        for i in range(rows):
            for j in range(cols):
                rows_y, rows_x = _around(down[i], r, margin, height)
                cols_y, cols_x = _around(along[j], s, margin, width)
                weight = down[i, rows_x, None] * along[j, cols_x]
                around = self.kernels[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].flatten(0, 1)
                yield Window(Blur(self.kernels[i, j][None]), around, rows_y, cols_y, weight, rows_x, cols_x)

    def _leading(self, x: Tensor) -> tuple[int, int]:
        return x.shape[0], max(x.shape[1], self.kernels.shape[2])

    def _torus(self, height: int, width: int) -> tuple[int, int]:
        """Size of the transforms of a patch."""
        r, s = self.radius
        return fast_length(height + 2 * r), fast_length(width + 2 * s)

    def _otfs(self, height: int, width: int, like: Tensor) -> Iterator[Tensor]:
        """For each row of nodes the transfer functions of its kernels: (columns, 1, C or 1, n, m), complex."""
        if torch.is_grad_enabled() and self.kernels.requires_grad:
            yield from (self._otf(row, height, width, like) for row in self.kernels)
            return
        found = self._last.get((height, width))
        if found is not None:
            yield from found
            return
        kept: list[Tensor] = []
        total = 0
        for row in self.kernels:
            otf = self._otf(row, height, width, like)
            total += otf.numel()
            if total <= REMEMBERED:
                kept.append(otf)
            yield otf
        if total <= REMEMBERED:
            self._last.clear()
            self._last[height, width] = kept

    def _otf(self, kernels: Tensor, height: int, width: int, like: Tensor) -> Tensor:
        rows, cols = self.spans(height, width, like)
        return Blur(kernels).otf(*self._torus(len(rows[0].weight), len(cols[0].weight)))[:, None]


def _filtered(patches: Tensor, otf: Tensor, torus: tuple[int, int]) -> Tensor:
    """Patches (N, B, C, h, w) times transfer functions (N, 1, C or 1, n, m // 2 + 1) on a torus (n, m)."""
    out: Tensor = torch.fft.irfft2(torch.fft.rfft2(patches, s=torus) * otf, s=torus)
    return out


def node_weights(count: int, length: int) -> Tensor:
    """w of `count` nodes along an axis of `length` pixels, (count, length), float64; every column sums to 1."""
    pixel = torch.arange(length, dtype=torch.float64)
    place = ((pixel + 0.5) * count / length - 0.5).clamp(0, count - 1)  # in units of nodes
    return (1 - (place - torch.arange(count, dtype=torch.float64)[:, None]).abs()).clamp_min(0)


def _continued(weights: Tensor, reach: int) -> Tensor:
    """Weights (count, length), the same beyond the frame as at its border: (count, length + 2 reach)."""
    return F.pad(weights[None], (reach, reach), mode="replicate")[0]


def _around(weight: Tensor, reach: int, margin: int, length: int) -> tuple[slice, slice]:
    """Where a node's weight on the domain of an axis is above 0, and a margin: as pixels of y and of x."""
    seen = weight.nonzero().flatten()
    first, last = (int(seen[0]), int(seen[-1])) if len(seen) else (0, 0)
    start, stop = max(0, first - 2 * reach - margin), min(length, last + 1 + margin)
    return slice(start, stop), slice(start, stop + 2 * reach)


def _spans(count: int, length: int, like: Tensor) -> list[Span]:
    """Patches of `count` nodes along an axis of `length` pixels, all of one length."""
    weights = node_weights(count, length)
    seen = [w.nonzero().flatten() for w in weights]
    bounds = [(int(s[0]), int(s[-1]) + 1) if len(s) else (0, 1) for s in seen]
    size = max(end - start for start, end in bounds)
    starts = [min(start, length - size) for start, _ in bounds]
    return [Span(a, w[a : a + size].to(like)) for a, w in zip(starts, weights, strict=True)]
