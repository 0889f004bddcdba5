r"""Blur: true convolution with a kernel, under an honest or a convenient border.

    y[i] = sum_k  f[k] x[i + c - k],      c = (h // 2, w // 2), of volumes (d // 2, h // 2, w // 2)

With ``boundary="valid"`` the scene beyond the frame was blurred into the picture as well: x is larger than y by the
kernel's radius on every side and A = crop . convolve. With "zero", "circular", "replicate" x has the size of y and is
extended by that rule first. So A = V P, P the extension (nothing for "valid") and V the valid convolution, and
A' = P' V': every border shares one convolution and one adjoint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import KernelError
from acutance.operators.base import LinearOperator
from acutance.tensors import Border, box, crop, fast_length, flip, pad, pad_adjoint, spatial

Boundary = Literal["valid", "zero", "circular", "replicate"]
Evaluation = Literal["auto", "spatial", "fft"]

SPATIAL_TAPS = 9
"""Kernels up to this many taps are convolved directly, larger ones through the FFT (see `docs/decisions/0002`)."""

LARGE = 1 << 20
"""Pixels above which channels are transformed one by one: the same numbers with a fraction of the memory."""


@dataclass(frozen=True, eq=False)
class Blur(LinearOperator):
    """Convolution with a kernel; a value, not a module.

    Differentiable in the image and in the kernel. The kernel says whether it is for pictures or for volumes.

    Args:
        kernel: (B or 1, C or 1, h, w), of volumes (B or 1, C or 1, d, h, w), any size, centre at (h // 2, w // 2). An
            even side is padded by one zero row or column behind, so nothing moves. Values are taken as they are:
            normalise a kernel where it comes in (`acutance.images.kernel_file`).
        boundary: what lies beyond the frame, see the module.
        evaluation: "spatial", "fft", or "auto": by the size of the kernel.

    Raises:
        KernelError: neither four nor five dimensions, an empty side, or an unknown boundary.

    Example:
        >>> blur = Blur(torch.full((1, 1, 3, 3), 1 / 9))
        >>> blur.forward(torch.ones(1, 3, 10, 12)).shape
        torch.Size([1, 3, 8, 10])
    """

    kernel: Tensor
    boundary: Boundary = "valid"
    evaluation: Evaluation = "auto"
    _last: dict[tuple[int, ...], Tensor] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kernel.ndim not in (4, 5) or 0 in self.kernel.shape:
            raise KernelError(
                f"a kernel must be a non-empty (B or 1, C or 1, h, w) tensor, (B or 1, C or 1, d, h, w) for volumes, "
                f"not {tuple(self.kernel.shape)}; a plain (h, w) array becomes one with kernel[None, None]"
            )
        if self.boundary not in get_args(Boundary):
            raise KernelError(f"boundary={self.boundary!r} is not one of {', '.join(get_args(Boundary))}")
        sides = self.kernel.shape[2:]
        if any(n % 2 == 0 for n in sides):
            more = [m for n in reversed(sides) for m in (0, 1 - n % 2)]
            object.__setattr__(self, "kernel", F.pad(self.kernel, more))

    @property
    def radius(self) -> tuple[int, ...]:
        """(rows, columns), of volumes (planes, rows, columns), that the kernel reaches beyond its centre."""
        return tuple(n // 2 for n in self.kernel.shape[2:])

    def domain_size(self, *size: int) -> tuple[int, ...]:
        """Size of x for a y of the given size: larger by the kernel's radius on every side if valid."""
        if self.boundary != "valid":
            return size
        return tuple(n + 2 * r for n, r in zip(size, self.radius, strict=True))

    def start(self, y: Tensor) -> Tensor:
        """y, extended by replication to the domain of x."""
        return pad(y, *self.radius, border="replicate") if self.boundary == "valid" else y

    def crop(self, x: Tensor) -> Tensor:
        """The part of x inside the frame of y."""
        return crop(x, *self.radius) if self.boundary == "valid" else x

    def forward(self, x: Tensor) -> Tensor:
        """A x: domain size -> picture size."""
        if self.boundary != "valid":
            x = pad(x, *self.radius, border=self._border)
        return self._convolve(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """A' y: picture size -> domain size."""
        z = self._correlate(y)
        return z if self.boundary == "valid" else pad_adjoint(z, *self.radius, border=self._border)

    def otf(self, *size: int) -> Tensor:
        """Transfer function on a torus of the given size, as `torch.fft.rfftn` orders it.

        Returns:
            (B or 1, C or 1, height, width // 2 + 1), complex. A kernel larger than the torus is wrapped around it.
        """
        k, axes = self.kernel, spatial(self.kernel)
        sides = k.shape[2:]
        wide = [-(-n // whole) * whole for n, whole in zip(sides, size, strict=True)]
        k = F.pad(k, [m for n, n_wide in zip(reversed(sides), reversed(wide), strict=True) for m in (0, n_wide - n)])
        if tuple(wide) != size:  # longer than the torus: fold it
            parts = [m for n_wide, whole in zip(wide, size, strict=True) for m in (n_wide // whole, whole)]
            k = k.reshape(*k.shape[:2], *parts).sum(tuple(range(2, 2 + len(parts), 2)))
        spectrum: Tensor = torch.fft.rfftn(torch.roll(k, [-(n // 2) for n in sides], axes), dim=axes)
        return spectrum

    def channel(self, index: int) -> Blur:
        """See `LinearOperator.channel`."""
        return self if self.kernel.shape[1] == 1 else replace(self, kernel=self.kernel[:, index : index + 1])

    def power(self, *size: int, like: Tensor | None = None) -> Tensor:
        """|K|^2, see `LinearOperator.power`."""
        otf = self._remembered(size)
        return otf.real.square() + otf.imag.square()

    def _remembered(self, size: tuple[int, ...]) -> Tensor:
        """`otf`, computed once for the size that was last asked for; always anew where it is differentiated."""
        if torch.is_grad_enabled() and self.kernel.requires_grad:
            return self.otf(*size)
        found = self._last.get(size)
        if found is None:
            found = self.otf(*size)
            self._last.clear()
            self._last[size] = found
        return found

    @property
    def _border(self) -> Border:
        assert self.boundary != "valid"
        return self.boundary

    @property
    def _spatial(self) -> bool:
        if self.evaluation == "auto":
            return math.prod(self.kernel.shape[2:]) <= SPATIAL_TAPS
        return self.evaluation == "spatial"

    def _convolve(self, x: Tensor) -> Tensor:
        """Valid convolution: (B, C, H + 2r, W + 2s) -> (B, C, H, W)."""
        self._check(x)
        size = tuple(n - 2 * r for n, r in zip(x.shape[2:], self.radius, strict=True))
        if min(size) < 1:
            raise KernelError(f"a {tuple(x.shape[2:])} image is too small for a kernel of radius {self.radius}")
        if self._spatial:
            return _depthwise(x, flip(self.kernel))
        return self._filter(x, size, adjoint=False)

    def _correlate(self, y: Tensor) -> Tensor:
        """Adjoint of the valid convolution: (B, C, H, W) -> (B, C, H + 2r, W + 2s)."""
        self._check(y)
        if self._spatial:
            return _depthwise(pad(y, *(2 * r for r in self.radius), border="zero"), self.kernel)
        return self._filter(y, tuple(n + 2 * r for n, r in zip(y.shape[2:], self.radius, strict=True)), adjoint=True)

    def _check(self, x: Tensor) -> None:
        if x.ndim != self.kernel.ndim:
            kinds = {4: "pictures", 5: "volumes"}
            raise KernelError(
                f"a kernel of {kinds[self.kernel.ndim]} {tuple(self.kernel.shape[2:])} for {tuple(x.shape)}; give "
                f"{'(B, C, H, W)' if self.kernel.ndim == 4 else '(B, C, D, H, W)'}, or a kernel with as many axes"
            )

    def _filter(self, x: Tensor, size: tuple[int, ...], *, adjoint: bool) -> Tensor:
        """Multiply by the transfer function on a torus large enough that nothing that is kept wraps around.

        Args:
            x: (B, C, H, W). size: of what is kept: of the convolution, which begins at the kernel's radius; or of the
                correlation, before which x is moved by the radius.

        Returns:
            (B, C, *size).
        """
        offset = self.radius
        torus = tuple(fast_length(n) for n in (size if adjoint else x.shape[2:]))
        otf = self._remembered(torus)
        if adjoint:
            otf = otf.conj()
        axes = spatial(x)
        kept = box((0,) * len(size) if adjoint else offset, size)

        def filtered(z: Tensor, otf: Tensor) -> Tensor:
            if adjoint:
                n_z = z.shape[axes[0] :]
                z = F.pad(z, [m for r, n, whole in zip(offset[::-1], n_z[::-1], torus[::-1], strict=True)
                              for m in (r, whole - r - n)])  # fmt: skip
            z = torch.fft.rfftn(z, s=torus, dim=axes)
            y: Tensor = torch.fft.irfftn(z * otf, s=torus, dim=axes)
            return y[kept]

        batch, channels = max(x.shape[0], otf.shape[0]), max(x.shape[1], otf.shape[1])
        differentiable = torch.is_grad_enabled() and (x.requires_grad or otf.requires_grad)
        if math.prod(torus) < LARGE or differentiable:
            return filtered(x, otf)
        out = x.new_empty(batch, channels, *size, dtype=torch.result_type(x, self.kernel))
        x, otf = (z.expand(batch, channels, *z.shape[2:]) for z in (x, otf))
        for b in range(batch):
            for c in range(channels):
                out[b, c] = filtered(x[b, c], otf[b, c])
        return out


def _depthwise(x: Tensor, weight: Tensor) -> Tensor:
    """Valid correlation of each channel of x (B or 1, C or 1, H, W) with weight (B or 1, C or 1, h, w)."""
    size, sides = x.shape[2:], weight.shape[2:]
    b, c = max(x.shape[0], weight.shape[0]), max(x.shape[1], weight.shape[1])
    taps = weight.expand(b, c, *sides).reshape(b * c, 1, *sides)
    correlate = F.conv2d if len(sides) == 2 else F.conv3d
    y = correlate(x.expand(b, c, *size).reshape(1, b * c, *size), taps, groups=b * c)
    return y.reshape(b, c, *y.shape[2:])
