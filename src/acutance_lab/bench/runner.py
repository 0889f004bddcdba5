"""What a benchmark needs of whoever restores: told picture, kernel and noise level, it gives pixels and their price."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.images import Image
from acutance.methods.capabilities import solver_of
from acutance.methods.spec import Needs
from acutance.problem import Progress
from acutance.restoration.restored import Restoration
from acutance.restoration.restorer import Restorer

OnPixels = Callable[[Tensor], None]
"""Told the picture, (1, C, H, W), after each step."""


@dataclass(frozen=True, eq=False)
class Attempt:
    """A restored picture, (1, C, H, W), and its price.

    Args:
        seconds: wall-clock time without that of `OnPixels`. steps: behind the picture. outcome: name of an `Outcome`.
        kernel: (1, 1, h, w), where it was estimated. level: the noise level, a fraction of the range, where that is
            what was asked for.
    """

    pixels: Tensor
    seconds: float
    steps: int
    outcome: str
    kernel: Tensor | None = None
    level: float | None = None


class Runner(ABC):
    """A contender, loaded; one without a restorer has neither weights nor steps to show, and runs on the processor."""

    restorer: Restorer | None = None

    @property
    @abstractmethod
    def needs(self) -> Needs:
        """What it is to be told."""

    @property
    def weights(self) -> str | None:
        """Version of its weights, None for one without."""
        return None if self.restorer is None else self.restorer.weights

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return torch.device("cpu") if self.restorer is None else self.restorer.device

    @property
    def has_steps(self) -> bool:
        """It can show its picture after each step."""
        return self.restorer is not None and solver_of(self.restorer.method) is not None

    @abstractmethod
    def __call__(
        self, observed: Image | Tensor, kernel: Tensor | None, sigma: float | None, *, on_pixels: OnPixels | None = None
    ) -> Attempt:
        """Restore a picture, (1, C, H, W), with a kernel (1, 1, h, w), true convolution; the level may be unknown."""


@dataclass(frozen=True, eq=False)
class MethodRunner(Runner):
    """A method of the catalogue, behind its Restorer. linear: it solves in linear light."""

    restorer: Restorer
    linear: bool = False

    @property
    def needs(self) -> Needs:
        """See `Runner`."""
        return self.restorer.needs

    def __call__(
        self, observed: Image | Tensor, kernel: Tensor | None, sigma: float | None, *, on_pixels: OnPixels | None = None
    ) -> Attempt:
        """See `Runner`."""
        if on_pixels is None:
            done = self.restorer(observed, kernel, sigma=sigma, linear=self.linear)
            return _attempt(done)
        prepared = self.restorer.prepare(observed, kernel, sigma=sigma, linear=self.linear)
        away = 0.0

        def watch(progress: Progress) -> None:
            nonlocal away
            begun = time.perf_counter()
            on_pixels(prepared.finish(progress.state.x).cpu())
            away += time.perf_counter() - begun

        done = self.restorer(observed, kernel, sigma=sigma, linear=self.linear, on_step=watch)
        return _attempt(done, away)


def _attempt(done: Restoration, away: float = 0.0) -> Attempt:
    return Attempt(done.image.pixels, done.seconds - away, done.steps, done.outcome.name, done.result.kernel)
