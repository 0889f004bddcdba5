"""Lines for the HISTORY of a FITS file, which say what was done to the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from acutance.images import Image
from acutance.operators import Blur, BlurField, LinearOperator
from acutance.version import VERSION

if TYPE_CHECKING:
    from acutance.restoration.restored import Restoration


def lines_of(done: Restoration, task: str, blur: LinearOperator | None) -> tuple[str, ...]:
    """The lines: version, method, weights, kernel, noise level.

    Args:
        done: the restoration. task: what its method does. blur: what it was told, or found.
    """
    if done.unchanged:
        return (f"acutance {VERSION}: left unchanged by {done.method}",)
    by = done.ran if done.ran == done.method else f"{done.ran}, chosen by {done.method}"
    found = [f"acutance {VERSION}: {task} by {by}" + (f", {done.steps} steps" if done.steps > 1 else "")]
    found += [] if done.weights is None else [f"weights: {done.weights}"]
    match blur:
        case Blur():
            h, w = blur.kernel.shape[-2:]
            found.append(f"kernel: {w} x {h} pixels, sum 1, centre of mass {_centre(blur)} its centre")
        case BlurField():
            found.append(f"kernel: one for every place, {blur.grid[0]} x {blur.grid[1]} nodes")
    level = "" if done.noise_level is None else f"; used: {done.noise_level:.4g} of the range"
    return (*found, f"noise level: {done.noise_reason}{level}")


def with_lines(image: Image, lines: Sequence[str]) -> Image:
    """The picture with further lines."""
    return replace(image, info=replace(image.info, history=(*image.info.history, *lines))) if lines else image


def _centre(blur: Blur) -> str:
    """The centre of mass of the mean kernel of all channels, pixels from (h // 2, w // 2): down, across."""
    kernel = blur.kernel.mean((0, 1)).double().cpu()
    offsets = []
    for axis in (0, 1):
        profile = kernel.sum(1 - axis)
        place = profile.new_tensor(range(len(profile))) - len(profile) // 2
        offsets.append(float((profile * place).sum() / profile.sum()))
    return f"{offsets[0]:.2f} rows, {offsets[1]:.2f} columns off"
