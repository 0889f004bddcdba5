"""What the readers of kernel files share: what a file held, and checks before anything is allocated for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acutance.errors import KernelError

Values = NDArray[np.generic]

MAX_PIXELS = 16_000_000
_NAMES = ("psf", "kernel", "ker", "k", "f", "h", "blur")  # what kernels are called in MATLAB files


@dataclass(frozen=True, eq=False)
class Found:
    """What a file held: an array, its depth if it has one, what there is to say, how much it says it is enlarged."""

    values: Values
    bits: int | None = None
    notes: tuple[str, ...] = ()
    enlarged: int = 1


def check_pixels(*sides: int) -> None:
    """Raises: KernelError: an empty array, or one of too many values."""
    if not sides or min(sides) < 1:
        raise KernelError(f"an array of shape {sides} is empty or not an array")
    if math.prod(sides) > MAX_PIXELS:
        size = " x ".join(map(str, sides))
        raise KernelError(f"{size} values are too many for a kernel (at most {MAX_PIXELS}); is it the right file?")


def pick(shapes: Mapping[str, Sequence[int]], everything: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """(name, notes) of the array that is the kernel, of those that can be one."""
    flat = [name for name, shape in shapes.items() if len(shape) == 2 and math.prod(shape) > 1]
    called = [name for wanted in _NAMES for name in flat if name.lower() == wanted]
    called = called[:1] if called and called[0].lower() in _NAMES[:2] else called
    if len(called) != 1:
        called = flat if len(flat) == 1 else list(shapes) if len(shapes) == 1 else []
    listed = ", ".join(everything)[:500]
    if not called:
        raise KernelError(
            f"which of its variables is the kernel cannot be told (it holds: {listed or 'nothing'}); "
            "save the kernel alone, or under the name psf, as a two-dimensional array of real numbers"
        )
    return called[0], (f"The variable {called[0]} was taken, of {listed}.",) if len(everything) > 1 else ()
