"""A graph as an ONNX file, with its model card inside."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from acutance.errors import ConfigError, MissingExtra
from acutance.export.graph import Graph
from acutance.version import VERSION

OPSET = 18
"""Version of the operators of ONNX that a file uses; onnxruntime has them since 1.14, onnxruntime-web as well."""

TRACED = (2, 40, 56)
"""Batch, height and width of the pictures that the network is traced with."""


def require_onnx(what: str) -> None:
    """Refuse to begin where the packages of the extra are missing.

    Args:
        what: what needs them, for the message.

    Raises:
        MissingExtra: onnx, onnxscript or onnxruntime cannot be imported.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtra(what, "onnx") from error


def to_onnx(graph: Graph) -> bytes:
    """The graph as the bytes of an ONNX file: float32, opset `OPSET`, batch, height and width free.

    Raises:
        MissingExtra: the packages of the extra "onnx" are missing.
        ConfigError: the exporter fixed a size that has to be free.
    """
    require_onnx("the export to ONNX")
    inputs, _ = graph.trial(torch.Generator().manual_seed(0), *TRACED)
    shapes = {port.name: port.free for port in graph.inputs}
    graph.module.eval().requires_grad_(False)
    with _quiet(), torch.enable_grad():  # with gradients networks take a picture as a whole, not in bands
        program = torch.onnx.export(
            graph.module,
            tuple(inputs[port.name].clone() for port in graph.inputs),
            dynamo=True,
            input_names=[port.name for port in graph.inputs],
            output_names=[port.name for port in graph.outputs],
            dynamic_shapes=tuple(shapes[port.name] for port in graph.inputs),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    _name_sizes(proto, graph)
    proto.producer_name, proto.producer_version, proto.doc_string = "acutance", VERSION, graph.does
    for key, value in metadata(graph).items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    content: bytes = proto.SerializeToString()
    return content


def metadata(graph: Graph) -> dict[str, str]:
    """The texts that a file carries: name, weights, licence, data, what each input and output means, the model card."""
    ports = {port.name: f"{'x'.join(map(str, port.shape))}: {port.meaning}" for port in graph.inputs + graph.outputs}
    found = {
        "name": graph.name,
        "does": graph.does,
        "weights": graph.version,
        "weights_sha256": graph.sha256,
        "licence": str(graph.card.get("licence", "unknown")),
        "data": str(graph.card.get("data", "unknown")),
        "inputs": json.dumps({port.name: ports[port.name] for port in graph.inputs}, ensure_ascii=False),
        "outputs": json.dumps({port.name: ports[port.name] for port in graph.outputs}, ensure_ascii=False),
        "card": json.dumps(dict(graph.card), ensure_ascii=False),
        "precision": "float32",
    }
    if graph.constants:
        found["constants"] = json.dumps(dict(graph.constants))
    return found


def _name_sizes(proto: Any, graph: Graph) -> None:
    """Give free sizes their names.

    Raises:
        ConfigError: a size that has to be free is a number.
    """
    for values, ports in ((proto.graph.input, graph.inputs), (proto.graph.output, graph.outputs)):
        for value, port in zip(values, ports, strict=True):
            for axis, name in port.free.items():
                size = value.type.tensor_type.shape.dim[axis]
                if size.HasField("dim_value"):
                    raise ConfigError(
                        f"{graph.name}: the exporter fixed the {name} of {value.name} at {size.dim_value}; use the "
                        "version of torch that constraints.txt names"
                    )
                size.dim_param = name


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the remarks of the exporter, on packages of others, away from the terminal."""
    loggers = [
        logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export", "torch.__trace")
    ]
    before = [each.level for each in loggers]
    try:
        for each in loggers:
            each.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)
