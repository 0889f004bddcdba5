"""The uncertainty of a restoration: a few more runs, and what they disagree about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.restoration.doubt import Known, in_units, origin_of
from acutance.restoration.restored import Restoration
from acutance.restoration.restorer import Restorer
from acutance.trust.calibration import METHOD
from acutance.trust.uncertainty import deviation
from acutance.trust.unsupported import local_rms, unsupported

MOST_DRAWS = 64
"""More tell nothing new: the deviation of 64 is known to 9 %."""


@dataclass
class Spread:
    """Mean and standard deviation of pictures that come one by one (Welford 1962)."""

    count: int = 0
    mean: Tensor | None = None
    squares: Tensor | None = None

    def add(self, x: Tensor) -> None:
        """Take one more."""
        self.count += 1
        if self.mean is None or self.squares is None:
            self.mean, self.squares = x.clone(), torch.zeros_like(x)
            return
        apart = x - self.mean
        self.mean = self.mean + apart / self.count
        self.squares = self.squares + apart * (x - self.mean)

    @property
    def deviation(self) -> Tensor:
        """The standard deviation, of at least two."""
        assert self.squares is not None
        return (self.squares / (self.count - 1)).clamp_min(0).sqrt()


@torch.no_grad()
def uncertainty_of(
    done: Restoration, *, draws: int = 4, seed: int = 0, on_run: Callable[[int, int], None] | None = None
) -> Tensor:
    """The standard deviation of the error of each sample, (1, C, H, W) in the units of the picture.

    It is that behind the kernel that was given or found: if the kernel is wrong, so is this. The method runs `draws`
    times more. It was calibrated with `acute`; of other methods it is a rough guide.

    Args:
        done: the restoration. draws: runs with noise added once more. seed: of the noise.
        on_run: hears which of how many runs is done.

    Raises:
        ConfigError: too few or too many draws; or the restoration does not hold its problem.
    """
    if isinstance(draws, bool) or not isinstance(draws, int) or not 2 <= draws <= MOST_DRAWS:
        raise ConfigError(f"draws={draws!r}: give 2 to {MOST_DRAWS}")
    origin = origin_of(done)
    if done.unchanged:
        return torch.zeros_like(done.image.pixels)
    known = Known.of(done)
    problem = replace(known.problem, sigma=torch.tensor([known.sigma]).to(known.x))
    restorer, spread = _restorer_of(done), Spread()
    generator = torch.Generator().manual_seed(seed)
    for n in range(draws):
        noise = torch.randn(problem.observed.shape, generator=generator).to(problem.observed)
        again = replace(problem, observed=problem.observed + known.sigma * noise)
        spread.add(problem.crop(restorer.solve(again)))
        if on_run is not None:
            on_run(n + 1, draws)
    lost = torch.zeros_like(known.x)
    if known.blurred:
        lost = unsupported(known.x, known.operator, known.sigma, measured=known.measured)
    s = deviation(local_rms(spread.deviation), lost, known.sigma * origin.prepared.scale)
    return done.strength * in_units(origin.prepared, known, s).cpu()


def is_calibrated(done: Restoration) -> bool:
    """Tell whether the uncertainty was calibrated with the method that made the picture."""
    return done.ran == METHOD


def _restorer_of(done: Restoration) -> Restorer:
    """The method that made the picture, for a problem whose kernel is known."""
    restorer = origin_of(done).restorer
    if done.ran == restorer.spec.name:
        return restorer
    half = restorer.precision == torch.bfloat16
    return Restorer.load(done.ran, device=restorer.device, precision="bfloat16" if half else "float32")
