"""Multiplications that a method spends on a picture: convolutions and matrix products, and Fourier transforms apart.

Counted while the method runs, from the shapes of what is really computed; halos of tiles are counted, too. A real
transform of N points is taken as 5/4 N log2 N multiply-accumulates (half of the usual 5/2 N log2 N operations).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from acutance_lab.bench.runner import Runner


@contextmanager
def counting(runner: Runner) -> Iterator[dict[str, Any]]:
    """Count what is computed inside; what it gives is filled at the end with fields of a `Row`."""
    transforms = 0

    def transform(x: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
        nonlocal transforms
        larger = x if x.numel() >= out_val.numel() else out_val  # of a half spectrum and a picture, the picture
        length = math.prod(larger.shape[d] for d in args[0])
        transforms += round(1.25 * larger.numel() * math.log2(max(2, length)))
        return 0

    aten = torch.ops.aten
    mapping = dict.fromkeys((aten._fft_r2c, aten._fft_c2r, aten._fft_c2c), transform)
    transform._get_raw = True  # type: ignore[attr-defined]  # it wants tensors, not their shapes
    found: dict[str, Any] = {}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        yield found
    method = None if runner.restorer is None else runner.restorer.method
    found["gmac_networks"] = counter.get_total_flops() / 2e9
    found["gmac_transforms"] = transforms / 1e9
    found["parameters"] = sum(p.numel() for p in method.parameters()) if isinstance(method, torch.nn.Module) else 0
