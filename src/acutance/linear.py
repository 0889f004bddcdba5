r"""Linear solves: conjugate gradients, and the one piece by which spectral methods meet an unknown border.

A closed form in the Fourier domain wants y = K x with K circular. A photograph is a window M of that: beyond its frame
nothing was observed. So the scene is put on a torus with room around the frame, where K is diagonal, and what every
spectral method has to solve in each of its steps is

    ( K' M K + R ) x = K' M y + b,           R >= 0 diagonal in the Fourier domain: the method's quadratic

(masked data terms: Reeves 2005; Almeida & Figueiredo 2013; Matakos et al. 2013). With nothing masked the solution is
x = (|K|^2 + R)^-1 (conj(K) y + b), and that very inverse preconditions conjugate gradients where something is. Iterated
plainly (x <- x + (|K|^2 + R)^-1 r) it would be expectation maximisation, which fills what is beyond the frame with what
the current x says of it; conjugate gradients pay the same two transforms for an iteration and need far fewer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.operators import Blur, LinearOperator
from acutance.tensors import box, fast_length, filled, spatial

MARGIN = 8
"""Pixels of the torus, at least, between one edge of the scene and the opposite one."""

ROUNDS = 10
"""Iterations of conjugate gradients for a solve from a cold start."""

EPSILON = 1e-8
"""What a regulariser is given where it would be zero, as that of differences is for the mean of a picture."""

Linear = Callable[[Tensor], Tensor]


def conjugate_gradients(
    apply: Linear,
    rhs: Tensor,
    start: Tensor,
    *,
    rounds: int,
    residual: Tensor | None = None,
    precondition: Linear | None = None,
    inner: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Solve apply(x) = rhs, self-adjoint and positive, for every image and channel of its own.

    Args:
        apply: (B, C, ...) -> the same shape. rhs, start: (B, C, ...), real or complex.
        residual: rhs - apply(start), where it is known already.
        rounds: iterations. precondition: approximate inverse of `apply`; None: the identity.
        inner: <a, b> as (B, C), the product in which both are self-adjoint; None: the sum of the products.

    Returns:
        x, and rhs - apply(x).
    """
    product = inner or _inner
    solve = precondition or (lambda r: r)
    x, r = start, rhs - apply(start) if residual is None else residual
    z = solve(r)
    p, rz = z, product(r, z)
    x = x + torch.where(torch.isnan(rz), torch.nan, 0.0).reshape(*rz.shape, *(1,) * (rhs.ndim - 2))  # no silent rest
    extra = (1,) * (rhs.ndim - 2)
    for _ in range(rounds):
        q = apply(p)
        pq = product(p, q)
        moves = (rz > 0) & (pq > 0)  # rests at the solution, where 0 / 0 would follow, and on NaN
        a = torch.where(moves, rz / torch.where(moves, pq, 1.0), 0.0).reshape(*rz.shape, *extra)
        x, r = x + a * p, r - a * q
        z = solve(r)
        before, rz = rz, product(r, z)
        b = torch.where(moves, rz / torch.where(moves, before, 1.0), 0.0).reshape(*rz.shape, *extra)
        p = z + b * p
    return x, r


def _inner(a: Tensor, b: Tensor) -> Tensor:
    product = a.conj() * b
    return (product.real if product.is_complex() else product).flatten(2).sum(-1)


@dataclass(frozen=True, eq=False)
class Estimate:
    """The spectrum of a picture x on a torus, and K' M K x, which comes with it and saves the next solve a product."""

    spectrum: Tensor
    normal: Tensor


@dataclass(frozen=True, eq=False)
class Torus:
    """A picture or a volume, its blur, and the torus on which the scene is solved for.

    A spectrum is what `torch.fft.rfftn` makes of a picture on the torus. Shapes are those of pictures; of volumes there
    is one axis more.

    Args:
        size: of the torus. offset, frame: corner and size of what was observed.
        corner, domain: corner and size of what is wanted, the domain of the blur.
        otf: K, (B or 1, C or 1, n, m // 2 + 1), complex. power: |K|^2.
        observed: y on the torus, continued beyond the frame by a smooth bridge, (B, C, n, m).
        data: K' M y, a spectrum. mask: M inside the frame, (B or 1, C or 1, H, W); None: all of it was observed.
    """

    size: tuple[int, ...]
    offset: tuple[int, ...]
    frame: tuple[int, ...]
    corner: tuple[int, ...]
    domain: tuple[int, ...]
    otf: Tensor
    power: Tensor
    observed: Tensor
    data: Tensor
    mask: Tensor | None = None

    @staticmethod
    def of(observed: Tensor, blur: LinearOperator | None, mask: Tensor | None = None) -> Torus:
        """The torus for y (B, C, H, W).

        A blur with a "circular" border is solved on the picture itself; every other border is an unknown one, of which
        the domain of the blur says how much is wanted. No blur is a kernel of one pixel. Where the mask (B or 1, C or
        1, H, W) is 0, y was not observed either.

        Raises:
            ConfigError: a blur that is no convolution.
        """
        blur = blur if blur is not None else Blur(observed.new_ones((1,) * observed.ndim))
        if mask is not None:
            observed = filled(observed, mask)
        if not isinstance(blur, Blur):
            raise ConfigError("this method works in the Fourier domain and needs one kernel for the whole picture")
        frame, axes = tuple(observed.shape[2:]), spatial(observed)
        nowhere = (0,) * len(frame)
        if blur.boundary == "circular":
            size, offset, corner = frame, nowhere, nowhere
            y = masked = observed
        else:
            offset = blur.radius
            size = tuple(fast_length(a + 2 * b + max(2 * b, MARGIN)) for a, b in zip(frame, offset, strict=True))
            corner = nowhere if blur.boundary == "valid" else offset
            y = observed
            for dim, n in zip(axes, size, strict=True):
                y = bridge(y, n, dim)
            y = torch.roll(y, offset, axes)
            masked = torch.zeros_like(y)
            masked[box(offset, frame)] = observed
        if mask is not None:
            masked = masked.clone()
            masked[box(offset, frame)] *= mask
        otf = blur.otf(*size)
        power, data = otf.real.square() + otf.imag.square(), otf.conj() * torch.fft.rfftn(masked, dim=axes)
        return Torus(size, offset, frame, corner, blur.domain_size(*frame), otf, power, y, data, mask)

    @property
    def whole(self) -> bool:
        """Nothing is masked: the border is known to be circular."""
        return self.size == self.frame and self.mask is None

    def spectrum(self, x: Tensor) -> Tensor:
        """Of a picture on the torus."""
        out: Tensor = torch.fft.rfftn(x, dim=spatial(x))
        return out

    def picture(self, spectrum: Tensor) -> Tensor:
        """On the torus, (B, C, n, m)."""
        out: Tensor = torch.fft.irfftn(spectrum, s=self.size, dim=spatial(spectrum))
        return out

    def crop(self, x: Tensor) -> Tensor:
        """The part of a picture on the torus that is wanted."""
        return x[box(self.corner, self.domain)]

    def solve(
        self, regulariser: Tensor, extra: Tensor | None = None, *, start: Estimate | None, rounds: int
    ) -> Estimate:
        """x in (K' M K + R) x = K' M y + b.

        Args:
            regulariser: R, real, positive but where |K| is, broadcastable to a spectrum.
            extra: b, a spectrum; None: zero.
            start: what to start from; None: the solution for the bridged picture.
            rounds: iterations; none are needed and done where nothing is masked.
        """
        rhs = self.data if extra is None else self.data + extra
        inverse = 1 / (self.power + regulariser).clamp_min(torch.finfo(regulariser.dtype).tiny)
        if self.whole:
            x = scaled(rhs, inverse)
            return Estimate(x, scaled(x, self.power))
        if start is None:
            bridged = self.otf.conj() * self.spectrum(self.observed)
            x = scaled(bridged if extra is None else bridged + extra, inverse)
            start = Estimate(x, self.normal(x))
        x, residual = conjugate_gradients(
            lambda x: self.normal(x) + scaled(x, regulariser),
            rhs,
            start.spectrum,
            rounds=rounds,
            residual=rhs - start.normal - scaled(start.spectrum, regulariser),
            precondition=lambda r: scaled(r, inverse),
            inner=self.inner,
        )
        return Estimate(x, rhs - residual - scaled(x, regulariser))

    def normal(self, spectrum: Tensor) -> Tensor:
        """K' M K x, from spectrum to spectrum."""
        y = self.picture(self.otf * spectrum)
        for dim, r, n in zip(spatial(y), self.offset, self.frame, strict=True):
            y.narrow(dim, 0, r).zero_()
            y.narrow(dim, r + n, y.shape[dim] - r - n).zero_()
        if self.mask is not None:
            y[box(self.offset, self.frame)] *= self.mask
        return self.otf.conj() * self.spectrum(y)

    def inner(self, a: Tensor, b: Tensor) -> Tensor:
        """Of pictures, from their half spectra: the columns in between stand for two."""
        product = torch.view_as_real(a) * torch.view_as_real(b)
        inside = tuple(range(2, product.ndim - 1))  # axes of one column of the half spectrum, and its two parts
        total = 2 * product.sum((*inside, -1)) - product[..., 0, :].sum(inside)
        return total - product[..., -1, :].sum(inside) if self.size[-1] % 2 == 0 else total


def scaled(spectrum: Tensor, by: Tensor) -> Tensor:
    """spectrum * by, `by` real: without the complex copy of it that the plain product makes."""
    return torch.view_as_complex(torch.view_as_real(spectrum) * by.unsqueeze(-1))


def bridge(x: Tensor, length: int, dim: int) -> Tensor:
    """Extend x along `dim` to `length` so that it closes to a torus without a step: a cosine ramp from end to start."""
    gap = length - x.shape[dim]
    if gap <= 0:
        return x
    t = (torch.arange(gap, device=x.device, dtype=x.dtype) + 0.5) / gap
    shape = [1] * x.ndim
    shape[dim] = gap
    ramp = (0.5 - 0.5 * torch.cos(torch.pi * t)).reshape(shape)
    end, start = x.narrow(dim, x.shape[dim] - 1, 1), x.narrow(dim, 0, 1)
    return torch.cat((x, end * (1 - ramp) + start * ramp), dim)


def difference_powers(*size: int, like: Tensor) -> tuple[Tensor, ...]:
    """|D_j|^2 of the circular first difference along each axis, broadcastable to (height, width // 2 + 1), real."""
    found = []
    for i, n in enumerate(size):
        frequencies = torch.fft.rfftfreq if i == len(size) - 1 else torch.fft.fftfreq
        power = 2 - 2 * torch.cos(2 * torch.pi * frequencies(n, dtype=like.dtype, device=like.device))
        found.append(power.reshape(-1, *(1,) * (len(size) - 1 - i)))
    return tuple(found)


def laplacian_power(*size: int, like: Tensor) -> Tensor:
    """The sum of the `difference_powers`: (height, width // 2 + 1), real."""
    total, *others = difference_powers(*size, like=like)
    for power in others:
        total = total + power
    return total
