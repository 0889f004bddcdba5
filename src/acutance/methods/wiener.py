r"""The Wiener filter (Wiener 1949), with the signal's spectrum estimated and the border unknown.

    X = conj(K) Y / ( |K|^2 + sigma^2 / S ),       S(f) = a / |D(f)|^2

S is the power spectrum of natural pictures, falling with the square of the frequency (D: first differences); its level
a is the geometric mean of |Y|^2 |D|^2 / |K|^2 over the frequencies that the blur let through. The border is met by
`acutance.linear.solve_on_torus`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.linear import laplacian_power, solve_on_torus
from acutance.methods.spec import MethodSpec, Needs, configure
from acutance.operators import Blur
from acutance.problem import Observer, Problem, Result, direct_result

DEFAULT_SIGMA = 0.01


@dataclass(frozen=True)
class Wiener:
    """The filter as a method; direct, no iterations.

    Args:
        strength: factor on sigma^2; above 1 smooths more.
    """

    strength: float = 1.0

    @torch.no_grad()
    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`. An unknown sigma is taken as 1 %."""
        if not isinstance(problem.blur, Blur):
            raise ConfigError("wiener needs a convolution; give a kernel")
        sigma = torch.as_tensor(DEFAULT_SIGMA if problem.sigma is None else problem.sigma).to(problem.observed)
        circular, width = problem.blur.boundary == "circular", problem.observed.shape[-1]
        variance = self.strength * sigma.reshape(-1, 1, 1, 1) ** 2

        def solve(spectrum: Tensor, otf: Tensor) -> Tensor:
            n = spectrum.shape[-2]
            m = width if circular else 2 * (spectrum.shape[-1] - 1)  # other tori are even
            difference = laplacian_power(n, m, problem.observed)
            power = otf.abs().square()
            seen = power > 0.03
            level = torch.log(spectrum.abs().square() * difference / (n * m) / power.clamp_min(1e-6) + 1e-12)
            mask = (seen & (difference > 0)).to(level.dtype).expand_as(level)
            signal = torch.exp(
                (level * mask).sum((-3, -2, -1), keepdim=True) / mask.sum((-3, -2, -1), keepdim=True).clamp_min(1)
            )
            return otf.conj() * spectrum / (power + variance * difference / signal + 1e-8)

        return direct_result(problem, solve_on_torus(problem.observed, problem.blur, solve))


def build(**settings: Any) -> Wiener:
    """The Wiener filter; its setting is `strength`."""
    return configure(Wiener, "wiener", settings)


SPEC = MethodSpec(
    name="wiener",
    summary="the classical filter, one pass; wants the noise level",
    reference="wiener1949",
    build=build,
    needs=Needs(kernel=True, sigma=True),
)
