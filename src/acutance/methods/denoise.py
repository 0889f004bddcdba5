r"""The denoiser that suits the noise: BM3D for white noise, non-local means for the coarse noise of cameras and JPEG.

y = x + n,      x = `bm3d`(y, sigma) or `nlm`(y, sigma),      sigma and the choice by `acutance.noise.level`

BM3D takes noise for white: of coarse noise it keeps the blotches, as they look like detail. Non-local means averages
whole pixels and asks nothing of the spectrum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.methods import nlm
from acutance.methods.spec import MethodSpec, Needs, configure
from acutance.noise.level import DenoiserLevel, for_denoiser, level_of
from acutance.priors import block_matching
from acutance.problem import Observer, Problem, Result, direct_result

KINDS = {True: "the noise is coarse, as cameras and JPEG leave it", False: "the noise is white"}
"""What is said of a picture, by `acutance.noise.level.DenoiserLevel.coarse`."""


@dataclass(frozen=True)
class Denoise:
    """The choice as a method; direct, no iterations.

    Args:
        strength: from 0, the picture as it is, to 1, what the denoiser makes of it; linear.
    """

    strength: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"strength={self.strength}: from 0 (nothing) to 1 (all)")

    @torch.no_grad()
    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`. Every picture of a batch has its own level and denoiser.

        Raises:
            ConfigError: the problem has a blur.
        """
        if problem.operator is not None:
            raise ConfigError("denoise removes noise; leave the kernel out, or use pnp to deblur with a denoiser")
        y = problem.observed
        levels = [None] * len(y) if problem.sigma is None else level_of(problem).tolist()
        done = [_one(replace(problem, observed=p, sigma=None), s) for p, s in zip(y[:, None], levels, strict=True)]
        x = torch.lerp(y, torch.cat([picture for picture, _ in done]), self.strength)
        return replace(
            direct_result(problem, x),
            remarks=tuple(dict.fromkeys(KINDS[told.coarse] for _, told in done)),
            ran="+".join(dict.fromkeys(_denoiser(told) for _, told in done)),
            levels=tuple(told.sigma for _, told in done),
        )


def _one(problem: Problem, level: float | None) -> tuple[Tensor, DenoiserLevel]:
    """The one picture of a problem, (1, C, H, W), without its noise, and what was taken for it."""
    picture = problem.observed
    told = for_denoiser(picture, level, unit=problem.unit, step=problem.step)
    remove = nlm.denoise if told.coarse else block_matching.denoise
    return remove(picture, picture.new_tensor(told.sigma)), told


def _denoiser(told: DenoiserLevel) -> str:
    return "nlm" if told.coarse else "bm3d"


def build(**settings: Any) -> Denoise:
    """The choice; its setting is `strength`."""
    return configure(Denoise, "denoise", settings)


SPEC = MethodSpec(
    name="denoise",
    summary="removes noise, no blur: bm3d where it is white, nlm where a camera or JPEG has smoothed it",
    reference="buades2005nonlocal",
    build=build,
    needs=Needs(task="denoise", kernel=False, uses_sigma=True),
    own_strength=True,
)
