"""A restored picture and how it came about."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

from acutance.images import Image
from acutance.prepare import Prepared
from acutance.problem import Outcome, Result

if TYPE_CHECKING:
    from acutance.restoration.restorer import Restorer


@dataclass(frozen=True, eq=False)
class Origin:
    """Input and problem of a result. Args: image: the input. prepared: its problem. restorer: that solved it."""

    image: Image
    prepared: Prepared
    restorer: Restorer


@dataclass(frozen=True, eq=False)
class Restoration:
    """A restored picture and how it came about.

    Args:
        image: as the input, with restored pixels.
        result: of the method, on the domain of the blur, in the method's brightness.
        seconds: wall-clock time of the method.
        method, weights: names and versions (weights None for a method without).
        notes: what was assumed or converted on the way.
        scale: what a brightness of the method's is multiplied by to be one of the picture's.
        numbers: how many were measured, if not as many as the picture has.
        noise_level: that the method was told, as a fraction of the range; None: none. noise_assumed: nobody gave it.
        noise_reason: where it comes from.
        strength: share of the method's result in the picture, see `Restorer`. unchanged: no pixel is another one.
        origin: the input and the problem that was solved, for reports; None: they were not kept.
    """

    image: Image
    result: Result
    seconds: float
    method: str
    weights: str | None
    notes: tuple[str, ...] = ()
    scale: float = 1.0
    numbers: int | None = None
    noise_level: float | None = None
    noise_assumed: bool = False
    noise_reason: str = ""
    strength: float = 1.0
    unchanged: bool = False
    origin: Origin | None = field(default=None, repr=False)

    @property
    def ran(self) -> str:
        """The method that made the picture: `method`, or the one that it chose."""
        return self.result.ran or self.method

    @property
    def confidence(self) -> float | None:
        """How probable it is that the picture is better than the input, in [0, 1]; None: nothing was judged."""
        return min(self.result.confidences, default=None)

    @property
    def outcome(self) -> Outcome:
        """How the run ended."""
        return self.result.outcome

    @property
    def steps(self) -> int:
        """Steps behind the picture."""
        return max(self.result.steps)

    @property
    def fitting_error(self) -> float:
        """Root mean square of A x - y as a fraction of the range: of the order of the noise when all is well."""
        channels = self.result.x.shape[1] / self.image.pixels.shape[1]
        count = self.numbers or self.image.pixels[0].numel() * channels
        return self.scale * float((2 * self.result.trace[-1].sum() / count).sqrt())

    def uncertainty(self, *, draws: int = 4, seed: int = 0) -> Tensor:
        """The standard deviation of the error of each sample, (1, C, H, W) in the units of the picture.

        The method runs `draws` times more; see `acutance.restoration.uncertainty`.

        Args:
            draws: runs with noise added once more. seed: of the noise.

        Raises:
            ConfigError: too few or too many draws.
        """
        from acutance.restoration.uncertainty import uncertainty_of

        return uncertainty_of(self, draws=draws, seed=seed)

    def report(
        self,
        path: str | os.PathLike[str],
        *,
        name: str = "A picture",
        uncertainty: Tensor | None = None,
        overwrite: bool = False,
    ) -> None:
        """Write a report of how far to believe the picture: one HTML file, see `acutance.restoration.report`.

        Args:
            path: the file. name: of the picture. uncertainty: what `uncertainty` returned, to be shown as well.
            overwrite: replace a file that exists.

        Raises:
            OutputError: the file cannot be written.
        """
        from acutance.restoration.report import write_report

        write_report(path, self, name=name, uncertainty=uncertainty, overwrite=overwrite)

    def unsupported(self) -> Tensor | None:
        """The part without support by the data, (1, C, H, W) in units of the picture; see `acutance.trust.unsupported`.

        None where the method knows no kernel.
        """
        from acutance.restoration.doubt import unsupported_of

        return unsupported_of(self)
