r"""The Wiener filter (Wiener 1949), with the signal's spectrum estimated and the border unknown.

    min_x  1/2 ||A x - y||^2 + 1/2 x' R x,        R(f) = sigma^2 / S(f),      S(f) = a / |D(f)|^g

S is the power spectrum of natural pictures, falling with about the square of the frequency (D: first differences); its
level a is the geometric mean of |Y|^2 |D|^g / |K|^2 over the frequencies that the blur let through. Where A is circular
the solution is the filter X = conj(K) Y / (|K|^2 + sigma^2 / S); the unknown border is `acutance.linear.Torus`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from acutance.linear import ROUNDS, Torus, laplacian_power
from acutance.methods.spec import MethodSpec, Needs, configure
from acutance.problem import Observer, Problem, Result, direct_result

SEEN = 0.03
"""|K|^2 above which a frequency counts as let through."""


@dataclass(frozen=True)
class Wiener:
    """The filter as a method; direct, no steps.

    Args:
        strength: factor on sigma^2; above 1 smooths more.
        fall: g, how fast the signal's power falls with the frequency.
        rounds: of conjugate gradients, for the border.
    """

    strength: float = 1.0
    fall: float = 2.4
    rounds: int = ROUNDS

    @torch.no_grad()
    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`."""
        torus = Torus.of(problem.observed, problem.blur)
        variance = self.strength * problem.level().reshape(-1, 1, 1, 1) ** 2
        shape = laplacian_power(*torus.size, problem.observed) ** (self.fall / 2)
        x = torus.solve(variance * shape / self._level(torus, shape), start=None, rounds=self.rounds)
        return direct_result(problem, torus.crop(torus.picture(x.spectrum)))

    def _level(self, torus: Torus, shape: Tensor) -> Tensor:
        """a, for each picture: (B, 1, 1, 1)."""
        n, m = torus.size
        power = torus.spectrum(torus.observed).abs().square() / (n * m)
        logs = torch.log(power * shape / torus.power.clamp_min(1e-6) + 1e-12)
        used = ((torus.power > SEEN) & (shape > 0)).to(logs).expand_as(logs)
        count = used.sum((-3, -2, -1), keepdim=True)
        return torch.exp((logs * used).sum((-3, -2, -1), keepdim=True) / count.clamp_min(1))


def build(**settings: Any) -> Wiener:
    """The Wiener filter; its settings are `strength`, `fall` and `rounds`."""
    return configure(Wiener, "wiener", settings)


SPEC = MethodSpec(
    name="wiener",
    summary="the classical filter, one pass; wants the noise level",
    reference="wiener1949",
    build=build,
    needs=Needs(kernel=True, sigma=True),
)
