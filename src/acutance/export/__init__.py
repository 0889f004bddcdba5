"""Networks as ONNX files, for programs without torch; needs the extra "onnx".

content = to_onnx(graph_of("golf"))
worst = max(d.largest for d in deviations(content, graph_of("golf")))
"""

from acutance.export.catalogue import MAKERS, graph_of
from acutance.export.check import LARGEST, SIZES, Deviation, deviations, session_of
from acutance.export.graph import Graph, Port
from acutance.export.onnx_file import OPSET, metadata, require_onnx, to_onnx
from acutance.export.smaller import KINDS, converted

__all__ = [
    "KINDS",
    "LARGEST",
    "MAKERS",
    "OPSET",
    "SIZES",
    "Deviation",
    "Graph",
    "Port",
    "converted",
    "deviations",
    "graph_of",
    "metadata",
    "require_onnx",
    "session_of",
    "to_onnx",
]
