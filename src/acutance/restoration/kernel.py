"""The blur kernel of a picture, from the picture alone."""

from __future__ import annotations

from dataclasses import replace

import torch

from acutance.blind.base import Estimate
from acutance.blind.choice import choose, pointed
from acutance.blind.cleaning import of_side
from acutance.blind.estimators import ESTIMATORS
from acutance.blind.hypothesis import Look
from acutance.blind.trail import Region
from acutance.images import Image, srgb_to_linear
from acutance.images.source import is_photograph
from acutance.problem import StageObserver
from acutance.tensors import brightness, filled

DEFAULT_ESTIMATOR = "learned"


def find_kernel(
    image: Image,
    *,
    estimator: str = DEFAULT_ESTIMATOR,
    size: int | None = None,
    encoded: bool = False,
    window: Region | None = None,
    trail: Region | None = None,
    on_stage: StageObserver | None = None,
) -> Estimate:
    """Estimate the kernel; of a photograph in linear light.

    Args:
        image: missing pixels are filled. estimator: a key of `ESTIMATORS`.
        size: side of the kernel in pixels, odd, and of the one that is returned; None: several are tried.
        encoded: take the values of a photograph as they are.
        window, trail: boxes where the kernel is estimated, or around the trail of a light; see `BlindConfig`.
        on_stage: hears how far the search is, and may raise to end it.

    Raises:
        Unknowable: nothing can be told from this picture.
        ConfigError: a box beyond the picture, or that cuts the trail off.
    """
    linear = is_photograph(image) and not encoded
    pixels = filled(image.pixels, torch.isfinite(image.pixels).to(image.pixels))
    pixels = srgb_to_linear(pixels) if linear else pixels
    grey = pixels.mean(1, keepdim=True) / float(brightness(pixels))
    quick = estimator == DEFAULT_ESTIMATOR and size is None
    make = None if quick else lambda side: ESTIMATORS[estimator](size=side)
    look = Look.of(grey, linear=linear)
    if trail is not None:
        return pointed(look, trail)
    look = look if window is None else look.within(window)
    found = choose(look, make, size, on_stage=on_stage, turns=window is None)
    return found if size is None else replace(found, kernel=of_side(found.kernel, size))
