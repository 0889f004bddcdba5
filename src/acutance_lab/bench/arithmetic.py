"""Multiplications that a method spends on a picture: convolutions and matrix products, and Fourier transforms apart.

Counted while the method runs, from the shapes of what is really computed; halos of tiles are counted, too. A real
transform of N points is taken as 5/4 N log2 N multiply-accumulates (half of the usual 5/2 N log2 N operations).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from acutance.methods.spec import find
from acutance.restoration.restorer import Restorer
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.runner import MethodRunner, Runner
from acutance_lab.synth import kernels

KERNEL = 19
"""Side of the kernel, pixels."""


@dataclass(frozen=True)
class Count:
    """What one contender spends on one picture.

    Args:
        method: label. height, width, channels: of the picture. steps: taken.
        networks, transforms: 1e9 multiply-accumulates. weights: numbers that were learned.
    """

    method: str
    height: int
    width: int
    channels: int
    steps: int
    networks: float
    transforms: float
    weights: int

    @property
    def total(self) -> float:
        """Both, 1e9 multiply-accumulates."""
        return self.networks + self.transforms


def count(contender: Contender, height: int, width: int, *, channels: int = 3, untrained: bool = False) -> Count:
    """Restore a random picture of that size behind a kernel of `KERNEL` pixels, and count.

    untrained: without looking for weights, which the settings may not fit.
    """
    generator = torch.Generator().manual_seed(1)
    picture = torch.rand(1, channels, height, width, generator=generator)
    kernel = kernels.spline(1, KERNEL, generator)
    runner: Runner = _untrained(contender) if untrained else contender.load("cpu")
    transforms = 0

    def transform(x: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
        nonlocal transforms
        points = max(_points(x), _points(out_val))
        along = list(args[0])
        length = math.prod((x if x.numel() >= out_val.numel() else out_val).shape[d] for d in along)
        transforms += round(1.25 * points * math.log2(max(2, length)))
        return 0

    aten = torch.ops.aten
    mapping = dict.fromkeys((aten._fft_r2c, aten._fft_c2r, aten._fft_c2c), transform)
    transform._get_raw = True  # type: ignore[attr-defined]  # it wants tensors, not their shapes
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        attempt = runner(picture, kernel, 0.01)
    method = getattr(getattr(runner, "restorer", None), "method", None)
    weights = sum(p.numel() for p in method.parameters()) if isinstance(method, torch.nn.Module) else 0
    return Count(
        contender.label,
        height,
        width,
        channels,
        attempt.steps,
        counter.get_total_flops() / 2e9,
        transforms / 1e9,
        weights,
    )


def _untrained(contender: Contender) -> MethodRunner:
    spec = find(contender.name)
    method = spec.build(weights=None, device="cpu", precision="auto", tile=None, **contender.settings)
    return MethodRunner(Restorer(spec, method, torch.device("cpu")))


def _points(x: Any) -> int:
    """Numbers in a tensor: of a picture's half spectrum and of the picture, the larger one is the picture's."""
    return int(x.numel())


def arithmetic_table(counts: Sequence[Count]) -> str:
    """A row for each count; the last column says how many times less than the most expensive one of that size."""
    lines = [
        "| method | picture | channels | weights | steps | networks, GMAC | transforms, GMAC | share of the largest |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for c in counts:
        largest = max(o.total for o in counts if (o.height, o.width, o.channels) == (c.height, c.width, c.channels))
        share = "1" if c.total == largest else f"1/{largest / max(c.total, 1e-9):.0f}"
        lines.append(
            f"| {c.method} | {c.width}x{c.height} | {c.channels} | {c.weights:,} | {c.steps} | {c.networks:.2f} "
            f"| {c.transforms:.3f} | {share} |"
        )
    return "\n".join(lines)
