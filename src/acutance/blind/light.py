"""Linear light or encoded values: what does a known kernel explain better?"""

from __future__ import annotations

import torch
from torch import Tensor

from acutance.blind.evidence import Windows, evidence
from acutance.blind.hypothesis import Look
from acutance.images import srgb_to_linear

LEAD = 0.05
"""Lead that the evidence for encoded values needs over that for linear light; a photograph is blurred in light."""


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
    mean = torch.nn.functional.pad(mean, (room[1] // 2, room[1] - room[1] // 2, room[0] // 2, room[0] - room[0] // 2))
    full = (pixels >= 1 - 1e-3).any(1, keepdim=True)
    looks = (
        Look.of(pixels.mean(1, keepdim=True), full=full),
        Look.of(srgb_to_linear(pixels).mean(1, keepdim=True), linear=True, full=full),
    )
    encoded, linear = (float(evidence(Windows.of(v.picture, v.full), mean).mean()) for v in looks)
    return encoded < linear - LEAD
