"""How exact the adjoint of every blur is: the dot test, over borders, evaluations and shapes of kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import get_args

import torch

from acutance.operators import Blur, Boundary, adjoint_error
from acutance.operators.blur import Evaluation
from acutance_lab.bench.tables import markdown

LARGEST = 1e-12
"""Errors above this are a mistake, not rounding, in float64."""

KERNELS = MappingProxyType(
    {
        "1x1": (1, 1, 1, 1),
        "odd 5x5": (1, 1, 5, 5),
        "even 4x4": (1, 1, 4, 4),
        "2x7": (1, 1, 2, 7),
        "row 1x9": (1, 1, 1, 9),
        "column 8x1": (1, 1, 8, 1),
        "per channel 3x5": (1, 3, 3, 5),
        "batch 2, 7x5": (2, 1, 7, 5),
        "batch 2, per channel, 4x3": (2, 3, 4, 3),
        "31x31": (1, 1, 31, 31),
    }
)
"""Shapes of kernels, (B or 1, C or 1, h, w), by name."""

SIZES = ((33, 40), (36, 31), (64, 64))
"""Pictures (H, W), two at a time and of three channels."""


@dataclass(frozen=True)
class AdjointError:
    """The largest error of one kind of blur, over the sizes of pictures."""

    boundary: Boundary
    evaluation: Evaluation
    kernel: str
    error: float


def adjoint_errors(*, seed: int = 0) -> list[AdjointError]:
    """Every border x evaluation x kernel, in float64; the kernels' values are random, of both signs."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for boundary in get_args(Boundary):
        for evaluation in ("spatial", "fft"):
            for name, shape in KERNELS.items():
                blur = Blur(torch.randn(shape, generator=generator, dtype=torch.float64), boundary, evaluation)
                worst = max(adjoint_error(blur, (2, 3, *size), generator=generator) for size in SIZES)
                found.append(AdjointError(boundary, evaluation, name, worst))
    return found


def worst(found: Sequence[AdjointError]) -> float:
    """The largest of all."""
    return max(each.error for each in found)


def operators_table(found: Sequence[AdjointError]) -> str:
    """Markdown: a row for each border and evaluation, a column for each kernel."""
    names = list(dict.fromkeys(each.kernel for each in found))
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for each in found:
        rows.setdefault((each.boundary, each.evaluation), {})[each.kernel] = each.error
    lines = [
        [*kind, *(f"{errors[name]:.0e}" for name in names), f"{max(errors.values()):.1e}"]
        for kind, errors in rows.items()
    ]
    verdict = "as it should be" if worst(found) < LARGEST else f"more than {LARGEST:.0e}: an adjoint is WRONG"
    return (
        f"{markdown(['border', 'evaluation', *names, 'largest'], lines)}\n\n"
        f"Largest |<Ax, y> - <x, A'y>| / (|Ax| |y|), float64, {len(found)} kinds: {worst(found):.1e}, {verdict}."
    )
