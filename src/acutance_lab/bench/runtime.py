"""Seconds of the processor of a network in torch and in onnxruntime: one picture, one thread each, in turn."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from acutance.errors import DataError
from acutance.export import KINDS, Graph, converted, graph_of, session_of, to_onnx
from acutance.export.check import computed
from acutance_lab.bench.machine import hardware
from acutance_lab.bench.tables import markdown

INT8 = "int8"
"""Weights and activations of convolutions in 8 bits, which only the laboratory makes: see `docs/export.md`."""

FORMS = (*KINDS, INT8)


@dataclass(frozen=True)
class Timed:
    """One network in one form.

    Args:
        network: name. form: "torch", or the precision of the file.
        seconds: of the processor, which other work on the machine hardly changes; the least of all rounds.
        largest: largest difference from torch, a fraction of the range. size: of the file, bytes; 0 for torch.
    """

    network: str
    form: str
    seconds: float
    largest: float
    size: int


def timed(name: str, *, side: int, rounds: int, forms: Sequence[str], models: Path | None = None) -> list[Timed]:
    """Measure one network on a picture of `side` x `side` random pixels.

    Args:
        name: of `acutance.export.MAKERS`. rounds: after one to warm up. forms: precisions of the files.
        models: folder with NAME.onnx, in float32, to take instead of an export; None: export.

    Raises:
        DataError: `models` has no such file. MissingExtra, ConfigError: see `acutance.export`.
    """
    graph = graph_of(name)
    content = to_onnx(graph) if models is None else _read(models / f"{name}.onnx")
    inputs, _ = graph.trial(torch.Generator().manual_seed(0), 1, side, side)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        expected, runs, sizes = _torch(graph, inputs)(), {"torch": _torch(graph, inputs)}, {"torch": 0}
        for form in forms:
            smaller = quantised(content) if form == INT8 else converted(content, form)
            runs[form], sizes[form] = _onnx(smaller, inputs), len(smaller)
        seconds, largest = dict.fromkeys(runs, float("inf")), {}
        for number in range(rounds + 1):
            for form, run in runs.items():
                begin = time.process_time()
                found = run()
                if number:
                    seconds[form] = min(seconds[form], time.process_time() - begin)
                else:
                    largest[form] = max(float(abs(a - b).max()) for a, b in zip(found, expected, strict=True))
    finally:
        torch.set_num_threads(before)
    return [Timed(name, form, seconds[form], largest[form], sizes[form]) for form in runs]


def quantised(content: bytes) -> bytes:
    """A float32 file with convolutions in 8 bits; ranges of activations are found anew in each run."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "float32.onnx"), Path(folder, "int8.onnx")
        source.write_bytes(content)
        quantize_dynamic(source, target, weight_type=QuantType.QUInt8, op_types_to_quantize=["Conv"], per_channel=True)
        return target.read_bytes()


def runtime_table(rows: Sequence[Timed], side: int) -> str:
    """A table in Markdown, and what was measured on."""
    reference = {row.network: row.seconds for row in rows if row.form == "torch"}
    head = ["network", "form", "seconds", "of torch's time", "difference from torch", "MB"]
    lines = [
        [row.network, row.form, f"{row.seconds:.3f}", f"{row.seconds / reference[row.network]:.2f}",
         f"{row.largest:.1e}", f"{row.size / 1e6:.1f}" if row.size else ""]
        for row in rows
    ]  # fmt: skip
    return (
        f"{markdown(head, lines)}\n\nOne picture of {side} x {side} pixels; seconds of the processor, one thread each, "
        "least of all rounds. "
        f"{hardware(torch.device('cpu')).rpartition(',')[0]}, torch {torch.__version__}, onnxruntime {_version()}."
    )


def _version() -> str:
    import onnxruntime

    return str(onnxruntime.__version__)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: it cannot be read ({error.strerror}); export it first, or name no folder") from None


def _torch(graph: Graph, inputs: dict[str, torch.Tensor]) -> Callable[[], list[Any]]:
    @torch.no_grad()
    def run() -> list[Any]:
        return [z.numpy() for z in graph.module.eval()(*(inputs[port.name] for port in graph.inputs))]

    return run


def _onnx(content: bytes, inputs: dict[str, torch.Tensor]) -> Callable[[], list[Any]]:
    session = session_of(content)
    return lambda: computed(session, inputs)
