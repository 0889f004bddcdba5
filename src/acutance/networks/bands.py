"""A large picture through a network, segment by segment, each in bands of rows: exact, in little memory.

Between two statistics over the whole picture (the mean of a feature, its moments, a projection) a network is local:
what it makes of a row depends on few rows around it. So each such segment is taken over the picture in bands, with that
many rows more on either side. Its result is a whole map, from which the statistic is gathered before the next segment
is applied. What comes out is that of the picture at once, up to rounding; in memory are the maps that segments hand on,
and what lies within a segment stays in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

BAND = 1 << 17
"""Pixels of a band, about."""

STEP = 8
"""Bands begin at multiples of so many rows, so that they may be halved and doubled."""


def in_bands(segment: Callable[..., Tensor], *maps: Tensor, reach: int) -> Tensor:
    """segment(*maps), band by band; as it is where gradients are wanted or the picture is small.

    Args:
        segment: of maps (B, C_i, h_i, w_i), whose sizes differ by powers of 2 at most, to one map; local.
        maps: at least one. reach: rows of the finest map, even, that a row of the result depends on beyond itself.
    """
    height = max(m.shape[-2] for m in maps)
    width = max(m.shape[-1] for m in maps)
    rows = max(STEP, reach, BAND // width) // STEP * STEP
    if torch.is_grad_enabled() or height <= rows + 2 * reach:
        return segment(*maps)
    out: Tensor | None = None
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        first, last = max(0, top - reach), min(height, bottom + reach)
        part = segment(*(m[..., first * m.shape[-2] // height : last * m.shape[-2] // height, :] for m in maps))
        tall = part.shape[-2] * height // (last - first)  # of the result
        if out is None:
            size = (*part.shape[:2], tall, part.shape[-1])
            out = torch.empty(size, dtype=part.dtype, device=part.device, memory_format=torch.channels_last)
        begin, end, skip = (n * tall // height for n in (top, bottom, first))
        out[..., begin:end, :] = part[..., begin - skip : end - skip, :]
    assert out is not None
    return out
