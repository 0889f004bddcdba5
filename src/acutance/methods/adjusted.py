r"""The scene on a torus, its border adjusted to the estimate: for learned methods that divide in the Fourier domain.

A closed form wants y = K x with K circular, but nothing was observed beyond the frame. Kruse et al. (2017) put y on the
larger domain, and complete it from the estimate:

    Y_0 = y continued by its border and tapered three times          for the first division
    Y_t = y where it was observed, K x(t) elsewhere                  for every later one

One division with Y_t is one step of expectation maximisation for the honest problem (`acutance.linear`), and behind a
large kernel the border needs many. So the start may also be the regularised inverse of the honest problem; then every
division has Y_t. Masked pixels are not observed either; where y is saturated it is a lower bound, and
Y_t = max(y, K x(t)).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import ConfigError
from acutance.linear import EPSILON, ROUNDS, Torus, bridge, laplacian_power, scaled
from acutance.operators import Blur
from acutance.problem import Problem, State
from acutance.tensors import box, fast_length, filled, spread

STRENGTH = 300.0
"""1 / s^2 times the weight of |D x|^2 in a regularised inverse, s the noise level."""

Start = Literal["tapered", "inverse"]

TAPERS = 3
"""Number of times that the edges are tapered."""


@dataclass(frozen=True, eq=False)
class Scene:
    """The parts that all divisions share. A picture on the torus is (B, C, n, m).

    Args:
        size: (n, m). corner, domain: corner and size of the domain of the blur on it.
        otf: K, (B or 1, C or 1, n, m // 2 + 1). power: |K|^2.
        tapered: Y_0. observed: y on the torus, 0 elsewhere. seen: 1 where it was observed, bool.
        full: like `seen`, where y is a lower bound; None: nowhere.
    """

    size: tuple[int, int]
    corner: tuple[int, int]
    domain: tuple[int, int]
    otf: Tensor
    power: Tensor
    tapered: Tensor
    observed: Tensor
    seen: Tensor
    full: Tensor | None = None

    @staticmethod
    def of(problem: Problem) -> Scene:
        """The scene of a problem.

        A circular blur is solved on the picture itself; for the other borders there is room for the kernel around it.

        Raises:
            ConfigError: no blur, or one that is no convolution.
        """
        blur, y = problem.operator, problem.observed
        if not isinstance(blur, Blur) or y.ndim != 4:
            raise ConfigError("this method works in the Fourier domain and needs one kernel for the whole picture")
        frame = (y.shape[-2], y.shape[-1])
        known = y if problem.mask is None else filled(y, problem.mask)
        seen = torch.ones_like(y[:, :1], dtype=torch.bool)
        seen = seen if problem.mask is None else seen & (problem.mask > 0)
        full = None if problem.saturated is None else problem.saturated > 0
        if blur.boundary == "circular":
            otf = blur.otf(*frame)
            return Scene(frame, (0, 0), frame, otf, _power(otf), known, known, seen, full)
        r, s = blur.radius
        n, m = fast_length(frame[0] + 2 * r), fast_length(frame[1] + 2 * s)
        around = (s, m - frame[1] - s, r, n - frame[0] - r)
        otf = blur.otf(n, m)
        padded = F.pad(known, around, mode="replicate")
        place = box((r, s), frame)
        observed = torch.zeros_like(padded)
        observed[place] = known
        corner = (0, 0) if blur.boundary == "valid" else (r, s)
        return Scene(
            (n, m), corner, blur.domain_size(*frame), otf, _power(otf), taper(padded, blur.kernel, otf),  # type: ignore[arg-type]
            observed, F.pad(seen, around), None if full is None else F.pad(full, around),
        )  # fmt: skip

    def adjusted(self, x: Tensor) -> Tensor:
        """Y_t for an estimate on the torus."""
        blurred = torch.fft.irfft2(self.otf * torch.fft.rfft2(x), s=self.size)
        y = torch.where(self.seen, self.observed, blurred)
        return y if self.full is None else torch.where(self.full, torch.maximum(self.observed, blurred), y)

    def divided(self, y: Tensor, weight: Tensor, extra: Tensor, regulariser: Tensor) -> Tensor:
        """x = F^-1[ (w conj(K) Y + E) / (w |K|^2 + R) ].

        Args:
            y, extra: on the torus; E is the transform of `extra`. weight: w, (B,). regulariser: R, (n, m // 2 + 1).
        """
        w = weight.reshape(-1, 1, 1, 1)
        top = scaled(self.otf.conj() * torch.fft.rfft2(y), w) + torch.fft.rfft2(extra)
        below = (w * self.power + regulariser).clamp_min(torch.finfo(y.dtype).tiny)
        x: Tensor = torch.fft.irfft2(scaled(top, 1 / below), s=self.size)
        return x

    def crop(self, x: Tensor) -> Tensor:
        """The part of a picture on the torus that is the domain of the blur."""
        return x[box(self.corner, self.domain)]


@dataclass(frozen=True, eq=False)
class AdjustedState(State):
    """x, and what a division needs besides it.

    Args:
        picture: x on the torus, (B, C, n, m). scene: see there. level: of the noise, (B,). step: how many were taken.
        tapered: x(0) is y with tapered edges.
    """

    picture: Tensor
    scene: Scene
    level: Tensor
    step: int = 0
    tapered: bool = True

    @staticmethod
    def first(problem: Problem, level: Tensor, start: Start) -> AdjustedState:
        """x(0), the tapered picture, or the regularised inverse for noise levels (B,)."""
        scene = Scene.of(problem)
        picture = scene.tapered
        if start == "inverse":
            picture = inverse_on_torus(problem, level)
            for dim, n in zip((-2, -1), scene.size, strict=True):
                picture = bridge(picture, n, dim)
        return AdjustedState(scene.crop(picture), picture, scene, level, tapered=start == "tapered")

    def data(self) -> Tensor:
        """Y_t, or Y_0 before the first step from the tapered picture."""
        first = self.step == 0 and self.tapered
        return self.scene.tapered if first else self.scene.adjusted(self.picture)

    def then(self, picture: Tensor) -> AdjustedState:
        """The state after a step that found this picture."""
        return replace(self, x=self.scene.crop(picture), picture=picture, step=self.step + 1)


@torch.no_grad()
def inverse_on_torus(problem: Problem, level: Tensor) -> Tensor:
    """x that minimises ||M (A x - y)||^2 + STRENGTH s^2 ||D x||^2, as far as light reached the picture.

    Args:
        problem: its border counts as unknown, unless it is circular. level: s, (B,).

    Returns:
        (B, C, H + 2 r, W + 2 s) for a kernel of radius (r, s); of a circular blur (B, C, H, W).
    """
    torus = Torus.of(problem.observed, problem.operator, problem.mask)
    weight = STRENGTH * spread(level, problem.observed) ** 2
    prior = weight * laplacian_power(*torus.size, like=problem.observed) + EPSILON
    x = torus.picture(torus.solve(prior, start=None, rounds=ROUNDS).spectrum)
    return x[box((0, 0), [n + 2 * r for n, r in zip(torus.frame, torus.offset, strict=True)])]


def regularised_inverse(problem: Problem, level: Tensor) -> Tensor:
    """The same on the domain of the blur."""
    x = inverse_on_torus(problem, level)
    size = problem.start().shape[-2:]
    corner = [(n - m) // 2 for n, m in zip(x.shape[-2:], size, strict=True)]
    return x[box(corner, size)]


def taper(x: Tensor, kernel: Tensor, otf: Tensor) -> Tensor:
    """Blend the edges of x with a circularly blurred copy, `TAPERS` times, so that opposite ones meet.

    x <- a x + (1 - a) K x,  a = v_rows v_columns,  v = 1 - c / max c,  c the circular autocorrelation of the kernel's
    projection on that axis, one sample shorter than the axis and closed by its first value, as in MATLAB's `edgetaper`.

    Args:
        x: (B, C, n, m). kernel: (B or 1, C or 1, h, w), no longer than n - 1 and m - 1. otf: its transfer function.
    """
    n, m = x.shape[-2:]
    a = _ramp(kernel.sum(-1), n)[..., :, None] * _ramp(kernel.sum(-2), m)[..., None, :]
    for _ in range(TAPERS):
        x = a * x + (1 - a) * torch.fft.irfft2(otf * torch.fft.rfft2(x), s=(n, m))
    return x


def _ramp(projection: Tensor, n: int) -> Tensor:
    """v of `taper`: (..., n)."""
    spectrum = torch.fft.rfft(projection, n=n - 1)
    c = torch.fft.irfft(spectrum.real.square() + spectrum.imag.square(), n=n - 1)
    c = torch.cat((c, c[..., :1]), -1)
    return 1 - c / c.amax(-1, keepdim=True)


def _power(otf: Tensor) -> Tensor:
    return otf.real.square() + otf.imag.square()
