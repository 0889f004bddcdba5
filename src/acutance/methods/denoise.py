r"""The denoiser that suits the noise: BM3D for white noise, non-local means for the coarse noise of cameras and JPEG.

y = x + n,      x = `bm3d`(y, sigma) or `nlm`(y, sigma),      sigma and the choice by `acutance.noise_told`

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
from acutance.noise_told import level_to_tell
from acutance.priors import block_matching
from acutance.problem import Observer, Problem, Result, direct_result


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
        if problem.blur is not None:
            raise ConfigError("denoise removes noise; leave the kernel out, or use pnp to deblur with a denoiser")
        y = problem.observed
        levels = [None] * len(y) if problem.sigma is None else problem.level().tolist()
        done = [_one(replace(problem, observed=p, sigma=None), s) for p, s in zip(y[:, None], levels, strict=True)]
        x = torch.lerp(y, torch.cat([picture for picture, _ in done]), self.strength)
        return replace(direct_result(problem, x), remarks=tuple(remark for _, remark in done))


def _one(problem: Problem, level: float | None) -> tuple[Tensor, str]:
    """The one picture of a problem, (1, C, H, W), without its noise, and what was done."""
    picture = problem.observed
    told = level_to_tell(picture, level, unit=problem.unit, step=problem.step)
    sigma = picture.new_tensor(told.sigma)
    if told.coarse:
        return nlm.denoise(picture, sigma), f"{told.reason}: nlm"
    return block_matching.denoise(picture, sigma), f"{told.reason}: bm3d"


def build(**settings: Any) -> Denoise:
    """The choice; its setting is `strength`."""
    return configure(Denoise, "denoise", settings)


SPEC = MethodSpec(
    name="denoise",
    summary="removes noise, no blur: bm3d where it is white, nlm where a camera or JPEG has smoothed it",
    reference="buades2005nonlocal",
    build=build,
    needs=Needs(task="denoise", kernel=False, heeds_sigma=True),
)
