"""The words of the search for a kernel: Look and Hypothesis."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from acutance.blind.base import Estimator, Unknowable
from acutance.blind.kernel_step import differences
from acutance.blind.pyramid import reduced
from acutance.blind.shapes import Shape
from acutance.errors import ConfigError
from acutance.images import linear_to_srgb
from acutance.psf.poses import CameraPoses
from acutance.texture import quarters, where_textured


@dataclass(frozen=True, eq=False)
class Look:
    """A grey picture, as estimators want it.

    Args:
        picture: (1, 1, H, W), its gradients of the size that those of encoded values have. linear: linear light.
        usable: bool, (1, 1, H, W), False where the picture is saturated, or missing and filled in; None: nowhere.
        full: bool, (1, 1, H, W), True where it is saturated; None: nowhere.
        scale: what linear light was multiplied by. seen: the picture as people see it, encoded, (1, 1, H, W) in [0, 1].
    """

    picture: Tensor
    linear: bool
    usable: Tensor | None = None
    full: Tensor | None = None
    scale: float = 1.0
    seen: Tensor | None = None

    @staticmethod
    def of(
        picture: Tensor, *, linear: bool = False, usable: Tensor | None = None, full: Tensor | None = None,
        seen: Tensor | None = None,
    ) -> Look:  # fmt: skip
        """Look at a grey picture (1, 1, H, W) in [0, 1]; linear light is multiplied so that its gradients are as large.

        Linear light is dark in the mean, and so are its gradients; estimators have thresholds for encoded values.

        Args:
            seen: the encoded picture in grey; None: what sRGB makes of `picture`.
        """
        if not linear:
            return Look(picture, False, usable, full, seen=picture.clamp(0, 1))
        seen = linear_to_srgb(picture.clamp(0, 1)) if seen is None else seen.clamp(0, 1)
        large, small = (float(differences(x).abs().mean()) for x in (seen, picture))
        factor = large / small if math.isfinite(large) and small > 0 else 1.0
        return Look(factor * picture, True, usable, full, factor, seen)

    def encoded(self) -> Look:
        """The same as encoded values."""
        return self if self.seen is None else Look(self.seen, False, self.usable, self.full, seen=self.seen)

    def reduced(self, level: int) -> Look:
        """The same at a level of the pyramid, without its mask."""
        picture, seen = (None if x is None else reduced(x, level) for x in (self.picture, self.seen))
        full = None if self.full is None else reduced(self.full.to(self.picture), level) > 0.5
        assert picture is not None
        return Look(picture, self.linear, None, full, self.scale, None if seen is None else seen.clamp(0, 1))

    def within(self, box: tuple[int, int, int, int]) -> Look:
        """A piece of it: X, Y of its upper left corner, width, height; pixels.

        Raises:
            ConfigError: it reaches beyond the picture.
        """
        x, y, w, h = box
        height, width = self.picture.shape[-2:]
        if min(x, y) < 0 or min(w, h) < 1 or x + w > width or y + h > height:
            raise ConfigError(f"the box {x},{y},{w},{h} reaches beyond the picture of {width} x {height} pixels")
        place = (..., slice(y, y + h), slice(x, x + w))
        usable, full, seen = (None if m is None else m[place] for m in (self.usable, self.full, self.seen))
        return replace(self, picture=self.picture[place], usable=usable, full=full, seen=seen)

    @property
    def side(self) -> int:
        """The shorter side, pixels."""
        return min(self.picture.shape[-2:])

    def window(self, side: int) -> tuple[Tensor, Tensor | None]:
        """The most textured window of at most `side` pixels, and its mask: 0 where it is not to be believed."""
        place = (..., *where_textured(self.picture, side))
        mask = None
        if self.usable is not None and not bool(self.usable[place].all()):
            mask = self.usable[place].to(self.picture)
        return self.picture[place], mask

    def windows(self, side: int) -> tuple[Tensor, Tensor | None]:
        """The most textured window of each quarter, (n, 1, side, side), and their masks; one of a small picture."""
        places = [(..., rows, cols) for rows, cols in quarters(self.picture, side)]
        pictures = torch.cat([self.picture[place] for place in places])
        if self.usable is None or all(bool(self.usable[place].all()) for place in places):
            return pictures, None
        return pictures, torch.cat([self.usable[place].to(self.picture) for place in places])


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A kernel that may be the picture's.

    Args:
        kernel: (1, 1, s, s), not negative, sum 1. linear: whether it is applied to linear light.
        size: side that the estimator was given, pixels. shape: the disc, Gaussian or line that it is, if it is one.
        poses: of a camera that turned; `kernel` is then that of the middle of the picture.
    """

    kernel: Tensor
    linear: bool
    size: int
    shape: Shape | None = None
    poses: CameraPoses | None = None


MakeEstimator = Callable[[int], Estimator]
"""An estimator of a kernel of that many pixels."""


def checked(look: Look) -> None:
    """See that a kernel can be told from a picture at all.

    Raises:
        Unknowable: it cannot.
    """
    if look.usable is not None and not bool(look.usable.any()):
        raise Unknowable("all of the picture is missing or saturated")
    if not bool(torch.isfinite(look.picture).all()):
        raise Unknowable("the picture holds values that are no numbers; no kernel can be told from it")
