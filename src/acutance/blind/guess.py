"""A user's guess of the blur, made better: a disc, a Gaussian or a line near it that the critic expects more of.

    argmax_{s, a}  gain( k(s, a) ),      s within a factor of `SPAN` of the guess, a within `TURN` degrees

by coordinate search whose steps become smaller. Of a kernel from a file only the expected gain is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from torch import Tensor

from acutance.blind.base import MISFIT
from acutance.blind.critic import Panel
from acutance.blind.light import panels
from acutance.images import Image
from acutance.images.source import is_photograph
from acutance.psf import shapes

SPAN, TURN = 1.5, 25.0
"""Largest distance from the guess: a factor of its size, and degrees."""

STEPS = ((1.22, 12.0), (1.1, 6.0), (1.04, 3.0))
"""Factors of size and degrees of the steps, coarse to fine."""

LEAD = 0.15
"""Expected gain, dB, by which another kernel must be ahead of the guess."""

MAKERS: Mapping[str, Callable[[float, float], Tensor]] = MappingProxyType(
    {
        "disc": lambda size, _: shapes.disc(size),
        "gaussian": lambda size, _: shapes.gaussian(size),
        "line": shapes.line,
    }
)
"""Kernels by kind, from size (radius, standard deviation, length; pixels) and angle (degrees)."""


@dataclass(frozen=True)
class Guess:
    """A kernel in words. Args: kind: of `MAKERS`. size: pixels. angle: of a line, degrees."""

    kind: str
    size: float
    angle: float = 0.0

    @property
    def kernel(self) -> Tensor:
        """(1, 1, s, s)."""
        return MAKERS[self.kind](self.size, self.angle)

    def __str__(self) -> str:
        turned = f",{self.angle:.0f}" if self.kind == "line" else ""
        return f"{self.size:.3g}{turned}"


def refined(panel: Panel, guess: Guess) -> tuple[Guess, float, float]:
    """The best guess near a guess, and the expected gains of both in dB: of what is returned, of what was given."""
    gains = dict[Guess, float]()

    def gain(g: Guess) -> float:
        if g not in gains:
            gains[g] = panel.gain(g.kernel)
        return gains[g]

    best = guess
    for factor, degrees in STEPS:
        for _ in range(2):
            near = [replace(best, size=best.size * f) for f in (1 / factor, factor)]
            if guess.kind == "line":
                near += [replace(best, angle=best.angle + d) for d in (-degrees, degrees)]
            allowed = [g for g in near if _near(g, guess)]
            new = max([best, *allowed], key=gain)
            if new == best:
                break
            best = new
    if gain(best) < gain(guess) + LEAD:
        best = guess
    return best, gain(best), gain(guess)


def _near(g: Guess, guess: Guess) -> bool:
    return 1 / SPAN <= g.size / guess.size <= SPAN and abs(g.angle - guess.angle) <= TURN and g.size >= 0.3


def fitted(image: Image, guess: Guess) -> tuple[Guess, str | None]:
    """The guess for a photograph, made better where another one near it is expected to gain more, and what to say.

    What is no photograph (`acutance.images.source`) keeps its guess: the critic knows photographs only.
    """
    pixels = image.pixels.nan_to_num(0).clamp(0, 1)
    if not is_photograph(image) or min(pixels.shape[-2:]) < 2 * guess.kernel.shape[-1]:
        return guess, None
    panel = max(panels(pixels), key=lambda p: p.gain(guess.kernel))
    best, after, before = refined(panel, guess)
    if best != guess:
        gains = f"expected gain {after:.1f} dB instead of {before:.1f}"
        return best, f"{guess.kind} {best} fits better than your {guess} and was used ({gains})"
    if before < MISFIT:
        return guess, f"{guess.kind} {guess} does not seem to fit this picture: expect the result to be worse"
    return guess, None
