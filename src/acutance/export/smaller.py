"""Files of half the size: numbers of 16 bits instead of 32."""

from __future__ import annotations

from typing import Literal

from acutance.errors import ConfigError
from acutance.export.onnx_file import require_onnx

Kind = Literal["float32", "float16"]
KINDS: tuple[Kind, ...] = ("float32", "float16")

KEPT = ("Range", "ReduceMean", "ReduceSum", "Sqrt", "Reciprocal", "Div", "Pow", "Log")
"""Operators that keep their precision: means over the whole picture, and what is divided by them."""


def converted(content: bytes, kind: str) -> bytes:
    """A float32 file in another precision; inputs and outputs stay float32.

    Args:
        content: of the file. kind: "float32", as it is, or "float16", all but means over the picture.

    Raises:
        ConfigError: another kind. MissingExtra: the packages of the extra "onnx" are missing.
    """
    if kind not in KINDS:
        raise ConfigError(f"precision={kind!r} of a file is not one of {', '.join(KINDS)}")
    if kind == "float32":
        return content
    require_onnx(f"a file in {kind}")
    import onnx
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    blocked = [*DEFAULT_OP_BLOCK_LIST, *KEPT]
    model = convert_float_to_float16(onnx.load_from_string(content), keep_io_types=True, op_block_list=blocked)
    for entry in model.metadata_props:
        if entry.key == "precision":
            entry.value = kind
    found: bytes = model.SerializeToString()
    return found
