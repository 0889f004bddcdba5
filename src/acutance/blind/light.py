"""Linear light or encoded values: what does a known kernel explain better?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.blind.critic import Panel
from acutance.blind.hypothesis import Look
from acutance.images import srgb_to_linear

LEAD = 0.2
"""Expected gain, dB, by which encoded values must be ahead of linear light; a photograph is blurred in light."""

CLIPPED = 1 - 1e-3
"""Value from which a sample counts as clipped."""


def panels(pixels: Tensor) -> tuple[Panel, Panel]:
    """Make the panels of encoded pixels (1, C, H, W) in [0, 1]: one in linear light, one in encoded values."""
    full = (pixels >= CLIPPED).any(1, keepdim=True)
    seen = pixels.mean(1, keepdim=True)
    light = Look.of(srgb_to_linear(pixels).mean(1, keepdim=True), linear=True, full=full, seen=seen)
    return Panel.of(light), Panel.of(light.encoded())


@torch.no_grad()
def prefers_encoded(pixels: Tensor, kernel: Tensor) -> bool:
    """Whether a kernel (1, C or 1, h, w) explains encoded pixels (1, C, H, W) in [0, 1] better than their light."""
    if kernel.shape[-1] * kernel.shape[-2] == 1:
        return True  # there is no blur, and nothing to decode for
    if min(pixels.shape[-2:]) < 2 * max(kernel.shape[-2:]) or not bool(torch.isfinite(pixels).all()):
        return False
    mean = kernel.mean(1, keepdim=True).to(pixels)
    side = max(mean.shape[-2:]) | 1
    room = [side - n for n in mean.shape[-2:]]
    mean = F.pad(mean, (room[1] // 2, room[1] - room[1] // 2, room[0] // 2, room[0] - room[0] // 2))
    linear, encoded = (panel.gain(mean) for panel in panels(pixels))
    return encoded > linear + LEAD
