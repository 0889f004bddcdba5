"""What seems to be wrong with a picture, before anything is done: a look at one window and at the noise.

The blur is judged as in a restoration, but on one window of `WINDOW` pixels, as encoded values, and without the method
that restores in the end: 1 to 1.5 seconds of a core instead of 7. So it misses blurs of more than some 40 pixels, turns
and things that moved on their own. There is no estimate of rain in the library, so rain is never named.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from acutance.blind.base import Estimate, Unknowable
from acutance.blind.choice import ALIKE, choose
from acutance.blind.hypothesis import Look
from acutance.blind.shapes import nearest
from acutance.images import Image
from acutance.noise.blocks import noise_level
from acutance.problem import StageObserver
from acutance.serve.orders import Report
from acutance.texture import where_textured

WINDOW = 256
"""Side of the window that is looked at, pixels."""

MIDDLE = 1400
"""Side of the middle of a picture in which the window is looked for, pixels. Of 12 megapixels that takes 3 s less."""

NOISY = 0.02
"""Noise level, a fraction of the range, from which noise is named. It is what people begin to see; not measured."""

KINDS = {"disc": "focus", "gaussian": "soft", "line": "line"}
"""Names of the shapes of kernels as faults; a kernel without a shape is that of a shaken camera."""


@torch.no_grad()
def look(image: Image, on_stage: StageObserver) -> Report:
    """The faults of a picture.

    Args:
        image: the picture. on_stage: hears how far the search for a blur is; it may raise to end the look.

    Returns:
        "faults": the blur and the noise, each with "what" (shaken, line, focus, soft, noise); of a blur also its
        "size" in pixels, its "angle" in degrees and the "confidence" that removing it improves the picture.
        "noise": the level as a fraction of the range. "confidence": that there is no blur, where none is named; None
        where nothing can be told.
    """
    pixels = middle(image.pixels).float().nan_to_num(0, 0, 0)
    top = 1.0 if image.info.bits <= 16 else max(float(pixels.max()), 1e-30)
    grey = (pixels / top).mean(1, keepdim=True).clamp(0, 1)
    noise = float(noise_level(pixels)) / top
    faults: list[dict[str, Any]] = []
    sure: float | None = None
    window = Look.of(grey[..., *where_textured(grey, WINDOW)])
    try:
        found = choose(window, on_stage=on_stage, turns=False)
        if found.blurred:
            faults.append(fault(found))
        else:
            sure = 1 - max(e.confidence or 0.0 for e in (found, *found.others))
    except Unknowable:
        pass
    if noise >= NOISY:
        faults.append({"what": "noise"})
    return {"faults": faults, "noise": round(noise, 4), "confidence": None if sure is None else round(sure, 3)}


def fault(found: Estimate) -> dict[str, Any]:
    """A blur as a fault; a kernel that is like a shape has its name."""
    shape = found.shape or max(nearest(found.kernel), key=lambda s: s.similarity, default=None)
    if shape is not None and shape.similarity < ALIKE:
        shape = None
    return {
        "what": "shaken" if shape is None else KINDS[shape.kind],
        "size": found.kernel.shape[-1] if shape is None else round(shape.size, 2),
        "angle": round(shape.angle) if shape is not None and shape.kind == "line" else None,
        "confidence": None if found.confidence is None else round(found.confidence, 3),
    }  # fmt: skip


def middle(pixels: Tensor) -> Tensor:
    """The middle of a large picture (1, C, H, W), `MIDDLE` pixels on a side at most."""
    rows, columns = (slice((n - min(n, MIDDLE)) // 2, (n + min(n, MIDDLE)) // 2) for n in pixels.shape[-2:])
    return pixels[..., rows, columns]
