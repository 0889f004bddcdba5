r"""BM3D (Dabov et al. 2007): noise and nothing else, removed by filtering stacks of similar patches together.

y = x + n,      x = two stages of `acutance.priors.block_matching` at the noise level sigma
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from acutance.errors import ConfigError
from acutance.methods.spec import MethodSpec, Needs, configure
from acutance.noise.level import level_of
from acutance.priors.block_matching import BlockMatching, denoise
from acutance.problem import Observer, Problem, Result, direct_result


@dataclass(frozen=True)
class Bm3d(BlockMatching):
    """The denoiser as a method; direct, no iterations. Its settings are those of `BlockMatching`, and:

    Args:
        strength: from 0, the picture as it is, to 1, what the denoiser makes of it; linear.
    """

    strength: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"strength={self.strength}: from 0 (nothing) to 1 (all)")

    @torch.no_grad()
    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`. An unknown sigma is estimated.

        Raises:
            ConfigError: the problem has a blur.
        """
        if problem.operator is not None:
            raise ConfigError("bm3d removes noise; leave the kernel out, or use pnp to deblur with it")
        y = problem.observed
        sigma = level_of(problem)
        return direct_result(problem, torch.lerp(y, denoise(y, sigma, self), self.strength))


def build(**settings: Any) -> Bm3d:
    """BM3D; its settings are `step`, `radius`, `threshold`, `first`, `second`, `separate` and `strength`."""
    return configure(Bm3d, "bm3d", settings)


SPEC = MethodSpec(
    name="bm3d",
    summary="removes noise by filtering similar patches together, no blur; wants the noise level",
    reference="dabov2007bm3d",
    build=build,
    needs=Needs(task="denoise", kernel=False, sigma=True),
)
