"""How a network is evaluated on a picture: precision, memory layout, sizes, tiles.

States, operators and transforms act on the whole picture. Only the evaluation of a network goes through a `Frame`:
tile by tile with the network's halo, so that a tiled run equals the whole one up to rounding. At the border of the
picture a tile ends where the picture ends, so a network meets the same zero padding there as in the whole picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.tensors import to_multiple

Precision = Literal["auto", "bfloat16", "float32", "float64"]

TILE = 480
"""Side of a tile, pixels. With a halo of 12 around it, 64 features in bfloat16 stay below the 32 MiB from which glibc
takes fresh pages from the system with every layer: tiles of 512 take about a tenth longer."""


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether convolutions are faster in bfloat16 there than in float32.

    They are on GPUs from Ampere on, on processors with AMX, and on AMD's with AVX-512 BF16. Intel's with AVX-512 BF16
    but without AMX, as virtual machines show them, run at half the speed of float32 (92 against 180 GFLOP/s).
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        cpu = torch.cpu
        return bool(cpu._is_amx_tile_supported() or (cpu._is_avx512_bf16_supported() and "AuthenticAMD" in _vendor()))
    return False


@cache
def _vendor() -> str:
    """The line of /proc/cpuinfo that names the maker of the processor; empty where there is none."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line for line in lines if line.startswith("vendor_id")), "")


def resolve_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """The dtype in which networks run: bfloat16 where the processor has it, float32 elsewhere, unless forced."""
    if precision == "auto":
        return torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
    try:
        return {"bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}[precision]
    except KeyError:
        raise ConfigError(f"precision={precision!r} is not one of auto, bfloat16, float32, float64") from None


@dataclass(frozen=True)
class Frame:
    """Evaluates a network on pictures of any size.

    Args:
        dtype: bfloat16 runs the network under autocast; float32 and float64 as it is.
        tile: side of the square that is written at a time, in pixels; None evaluates the whole picture at once.
    """

    dtype: torch.dtype = torch.float32
    tile: int | None = TILE

    def __call__(self, network: Callable[..., Tensor], *inputs: Tensor, halo: int, multiple_of: int = 1) -> Tensor:
        """network(*inputs) for inputs of equal size (B, C_i, H, W) -> (B, C, H, W).

        Args:
            network: a translation-invariant map that keeps the size.
            inputs: pictures; all of the same height and width.
            halo: pixels that one output pixel sees on every side.
            multiple_of: sides that the network accepts; the picture is extended by reflection or replication.
        """
        height, width = inputs[0].shape[-2:]
        if self.tile is None or max(height, width) <= self.tile + 2 * halo:
            return self._evaluate(network, inputs, multiple_of)
        out: Tensor | None = None
        reach = -(-halo // multiple_of) * multiple_of
        side = -(-self.tile // multiple_of) * multiple_of
        for top, bottom in _spans(height, side, multiple_of):
            for left, right in _spans(width, side, multiple_of):
                t, l = max(0, top - reach), max(0, left - reach)  # noqa: E741
                b, r = min(height, bottom + reach), min(width, right + reach)
                piece = self._evaluate(network, [z[..., t:b, l:r] for z in inputs], multiple_of)
                if out is None:
                    out = piece.new_empty(*piece.shape[:2], height, width)
                out[..., top:bottom, left:right] = piece[..., top - t : bottom - t, left - l : right - l]
        assert out is not None
        return out

    def tiles(self, height: int, width: int) -> int:
        """How many pieces a picture is evaluated in."""
        if self.tile is None:
            return 1
        return len(list(_spans(height, self.tile))) * len(list(_spans(width, self.tile)))

    def _evaluate(
        self, network: Callable[..., Tensor], inputs: tuple[Tensor, ...] | list[Tensor], multiple: int
    ) -> Tensor:
        height, width = inputs[0].shape[-2:]
        prepared = [to_multiple(z.contiguous(memory_format=torch.channels_last), multiple) for z in inputs]
        low = self.dtype is torch.bfloat16
        with torch.autocast(inputs[0].device.type, dtype=torch.bfloat16) if low else nullcontext():
            out = network(*prepared)
        return out[..., :height, :width].to(inputs[0].dtype)


def _spans(length: int, side: int, multiple: int = 1) -> Iterator[tuple[int, int]]:
    """Cut [0, length) into nearly equal spans of at most `side`, a multiple of `multiple`, that begin at multiples."""
    n = max(1, -(-length // side))
    step = -(-length // (n * multiple)) * multiple
    for start in range(0, length, step):
        yield start, min(length, start + step)
