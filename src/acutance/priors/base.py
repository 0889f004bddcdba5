"""What a prior can offer; a prior states it by having the method."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class HasProx(Protocol):
    """A denoiser: what half-quadratic splitting wants of a prior."""

    def prox(self, x: Tensor, sigma: Tensor, turn: int) -> Tensor:
        """The likeliest picture, or the mean one, behind x with white noise of level sigma.

        Args:
            x: (B, C, H, W). sigma: (B,), as a fraction of the range.
            turn: number of the call in a run, from 0; a prior that looks at a part of the picture in each call takes
                another part.
        """
        ...
