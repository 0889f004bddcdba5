r"""Blur: true convolution with a kernel, under an honest or a convenient border.

    y[i] = sum_k  f[k] x[i + c - k],      c = (h // 2, w // 2)

With ``boundary="valid"`` the scene beyond the frame was blurred into the picture as well: x is larger than y by the
kernel's radius on every side and A = crop . convolve. With "zero", "circular", "replicate" x has the size of y and is
extended by that rule first. So A = V P, P the extension (nothing for "valid") and V the valid convolution, and
A' = P' V': every border shares one convolution and one adjoint.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import KernelError
from acutance.operators.base import LinearOperator
from acutance.tensors import Border, crop, fast_length, flip, pad, pad_adjoint

Boundary = Literal["valid", "zero", "circular", "replicate"]
Evaluation = Literal["auto", "spatial", "fft"]

SPATIAL_TAPS = 9
"""Kernels up to this many taps are convolved directly, larger ones through the FFT (see `docs/decisions/0002`)."""

LARGE = 1 << 20
"""Pixels above which channels are transformed one by one: the same numbers with a fraction of the memory."""


@dataclass(frozen=True, eq=False)
class Blur(LinearOperator):
    """Convolution with a kernel; a value, not a module.

    Differentiable in the image and in the kernel.

    Args:
        kernel: (B or 1, C or 1, h, w), any size, centre at (h // 2, w // 2). An even side is padded by one zero row or
            column behind, so nothing moves. Values are taken as they are: normalise a kernel where it comes in
            (`acutance.images.kernel_file`).
        boundary: what lies beyond the frame, see the module.
        evaluation: "spatial", "fft", or "auto": by the size of the kernel.

    Raises:
        KernelError: not four dimensions, an empty side, or an unknown boundary.

    Example:
        >>> blur = Blur(torch.full((1, 1, 3, 3), 1 / 9))
        >>> blur.forward(torch.ones(1, 3, 10, 12)).shape
        torch.Size([1, 3, 8, 10])
    """

    kernel: Tensor
    boundary: Boundary = "valid"
    evaluation: Evaluation = "auto"
    _last: dict[tuple[int, int], Tensor] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kernel.ndim != 4 or 0 in self.kernel.shape:
            raise KernelError(
                f"a kernel must be a non-empty (B or 1, C or 1, h, w) tensor, not {tuple(self.kernel.shape)}; "
                "a plain (h, w) array becomes one with kernel[None, None]"
            )
        if self.boundary not in get_args(Boundary):
            raise KernelError(f"boundary={self.boundary!r} is not one of {', '.join(get_args(Boundary))}")
        h, w = self.kernel.shape[-2:]
        if h % 2 == 0 or w % 2 == 0:
            object.__setattr__(self, "kernel", F.pad(self.kernel, (0, 1 - w % 2, 0, 1 - h % 2)))

    @property
    def radius(self) -> tuple[int, int]:
        """(rows, columns) that the kernel reaches beyond its centre."""
        return self.kernel.shape[-2] // 2, self.kernel.shape[-1] // 2

    def domain_size(self, height: int, width: int) -> tuple[int, int]:
        """Size of x for a y of the given size: larger by the kernel's radius on every side if valid."""
        r, s = self.radius
        return (height + 2 * r, width + 2 * s) if self.boundary == "valid" else (height, width)

    def start(self, y: Tensor) -> Tensor:
        """y, extended by replication to the domain of x."""
        return pad(y, *self.radius, "replicate") if self.boundary == "valid" else y

    def crop(self, x: Tensor) -> Tensor:
        """The part of x inside the frame of y."""
        return crop(x, *self.radius) if self.boundary == "valid" else x

    def forward(self, x: Tensor) -> Tensor:
        """A x: domain size -> picture size."""
        if self.boundary != "valid":
            x = pad(x, *self.radius, self._border)
        return self._convolve(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """A' y: picture size -> domain size."""
        z = self._correlate(y)
        return z if self.boundary == "valid" else pad_adjoint(z, *self.radius, self._border)

    def otf(self, height: int, width: int) -> Tensor:
        """Transfer function on a torus of the given size, as `torch.fft.rfft2` orders it.

        Returns:
            (B or 1, C or 1, height, width // 2 + 1), complex. A kernel larger than the torus is wrapped around it.
        """
        k = self.kernel
        h, w = k.shape[-2:]
        rows, cols = -(-h // height) * height, -(-w // width) * width
        k = F.pad(k, (0, cols - w, 0, rows - h))
        if (rows, cols) != (height, width):  # longer than the torus: fold it
            b, c = k.shape[:2]
            k = k.reshape(b, c, rows // height, height, cols // width, width).sum((2, 4))
        spectrum: Tensor = torch.fft.rfft2(torch.roll(k, (-(h // 2), -(w // 2)), (-2, -1)))
        return spectrum

    def channel(self, index: int) -> Blur:
        """See `LinearOperator.channel`."""
        return self if self.kernel.shape[1] == 1 else replace(self, kernel=self.kernel[:, index : index + 1])

    def power(self, height: int, width: int, like: Tensor | None = None) -> Tensor:
        """|K|^2, see `LinearOperator.power`."""
        otf = self._remembered(height, width)
        return otf.real.square() + otf.imag.square()

    def _remembered(self, n: int, m: int) -> Tensor:
        """`otf`, computed once for the size that was last asked for; always anew where it is differentiated."""
        if torch.is_grad_enabled() and self.kernel.requires_grad:
            return self.otf(n, m)
        found = self._last.get((n, m))
        if found is None:
            found = self.otf(n, m)
            self._last.clear()
            self._last[n, m] = found
        return found

    @property
    def _border(self) -> Border:
        assert self.boundary != "valid"
        return self.boundary

    @property
    def _spatial(self) -> bool:
        if self.evaluation == "auto":
            return self.kernel.shape[-2] * self.kernel.shape[-1] <= SPATIAL_TAPS
        return self.evaluation == "spatial"

    def _convolve(self, x: Tensor) -> Tensor:
        """Valid convolution: (B, C, H + 2r, W + 2s) -> (B, C, H, W)."""
        r, s = self.radius
        height, width = x.shape[-2] - 2 * r, x.shape[-1] - 2 * s
        if height < 1 or width < 1:
            raise KernelError(f"a {tuple(x.shape[-2:])} image is too small for a kernel of radius {r, s}")
        if self._spatial:
            return _depthwise(x, flip(self.kernel))
        return self._filter(x, (r, s), (height, width), adjoint=False)

    def _correlate(self, y: Tensor) -> Tensor:
        """Adjoint of the valid convolution: (B, C, H, W) -> (B, C, H + 2r, W + 2s)."""
        r, s = self.radius
        if self._spatial:
            return _depthwise(F.pad(y, (2 * s, 2 * s, 2 * r, 2 * r)), self.kernel)
        return self._filter(y, (r, s), (y.shape[-2] + 2 * r, y.shape[-1] + 2 * s), adjoint=True)

    def _filter(self, x: Tensor, offset: tuple[int, int], size: tuple[int, int], *, adjoint: bool) -> Tensor:
        """Multiply by the transfer function on a torus large enough that nothing that is kept wraps around.

        Args:
            x: (B, C, H, W). offset: (r, s), the kernel's radius.
            size: of what is kept: of the convolution, which begins at the offset; or of the correlation, before which
                x is moved by the offset.

        Returns:
            (B, C, *size).
        """
        (r, s), (height, width) = offset, size
        whole = size if adjoint else (x.shape[-2], x.shape[-1])
        n, m = fast_length(whole[0]), fast_length(whole[1])
        otf = self._remembered(n, m)
        if adjoint:
            otf = otf.conj()

        def filtered(z: Tensor, otf: Tensor) -> Tensor:
            if adjoint:
                z = F.pad(z, (s, m - s - z.shape[-1], r, n - r - z.shape[-2]))
            z = torch.fft.rfft2(z, s=(n, m))
            y: Tensor = torch.fft.irfft2(z * otf, s=(n, m))
            return y[..., :height, :width] if adjoint else y[..., r : r + height, s : s + width]

        batch, channels = max(x.shape[0], otf.shape[0]), max(x.shape[1], otf.shape[1])
        differentiable = torch.is_grad_enabled() and (x.requires_grad or otf.requires_grad)
        if n * m < LARGE or differentiable:
            return filtered(x, otf)
        out = x.new_empty(batch, channels, height, width, dtype=torch.result_type(x, self.kernel))
        x, otf = x.expand(batch, channels, -1, -1), otf.expand(batch, channels, -1, -1)
        for b in range(batch):
            for c in range(channels):
                out[b, c] = filtered(x[b, c], otf[b, c])
        return out


def _depthwise(x: Tensor, weight: Tensor) -> Tensor:
    """Valid correlation of each channel of x (B or 1, C or 1, H, W) with weight (B or 1, C or 1, h, w)."""
    (height, width), (h, w) = x.shape[-2:], weight.shape[-2:]
    b, c = max(x.shape[0], weight.shape[0]), max(x.shape[1], weight.shape[1])
    taps = weight.expand(b, c, h, w).reshape(b * c, 1, h, w)
    y = F.conv2d(x.expand(b, c, height, width).reshape(1, b * c, height, width), taps, groups=b * c)
    return y.reshape(b, c, *y.shape[-2:])
