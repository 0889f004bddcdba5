"""Weights: embedded safetensors with a model card in JSON beside them, and files of users.

Only safetensors, and foreign ``.pth`` state dicts with ``weights_only=True``; nothing is ever unpickled freely.
"""

from acutance.weights.store import (
    Weights,
    embedded,
    embedded_for,
    embedded_hashes,
    embedded_names,
    find_weights,
    read_weights,
    write_weights,
)

__all__ = [
    "Weights",
    "embedded",
    "embedded_for",
    "embedded_hashes",
    "embedded_names",
    "find_weights",
    "read_weights",
    "write_weights",
]
