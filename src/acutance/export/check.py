"""Does a file compute the numbers of the library? Random tasks of ten sizes, by onnxruntime and by torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from acutance.export.graph import Graph, Tensors
from acutance.export.onnx_file import require_onnx

if TYPE_CHECKING:
    import onnxruntime

SIZES = (
    (1, 32, 32), (1, 33, 47), (2, 40, 40), (3, 17, 29), (1, 64, 100), (1, 128, 24), (2, 31, 50), (1, 96, 96),
    (1, 57, 129), (1, 90, 160),
)  # fmt: skip
"""Batch, height and width of the ten tasks: even and odd, small and large, none of them the size of the tracing."""

LARGEST = 1e-4
"""Difference from torch, a fraction of the range, above which a float32 file is refused."""


@dataclass(frozen=True)
class Deviation:
    """Largest absolute difference from torch, a fraction of the range, over all outputs of a task of this size."""

    batch: int
    height: int
    width: int
    largest: float


def session_of(content: bytes, *, threads: int = 1) -> onnxruntime.InferenceSession:
    """A session of onnxruntime on the processor.

    Args:
        content: of an ONNX file. threads: for one operator.

    Raises:
        MissingExtra: onnxruntime is missing.
    """
    require_onnx("a session of onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def computed(session: onnxruntime.InferenceSession, inputs: Tensors) -> list[Any]:
    """The outputs as arrays; inputs that the graph does not use are left out."""
    used = {each.name for each in session.get_inputs()}
    found: list[Any] = session.run(None, {name: z.numpy() for name, z in inputs.items() if name in used})
    return found


def deviations(content: bytes, graph: Graph, *, sizes: tuple[tuple[int, int, int], ...] = SIZES) -> Iterator[Deviation]:
    """Compare a file with the library, size by size.

    Args:
        content: of an ONNX file. graph: what it was made of. sizes: batch, height and width of the tasks.

    Raises:
        MissingExtra: onnxruntime is missing.
    """
    session = session_of(content)
    for number, (batch, height, width) in enumerate(sizes):
        with torch.no_grad():
            inputs, outputs = graph.trial(torch.Generator().manual_seed(number), batch, height, width)
        found = computed(session, inputs)
        differences = [float(abs(a - b.numpy()).max()) for a, b in zip(found, outputs.values(), strict=True)]
        yield Deviation(batch, height, width, max(differences))
