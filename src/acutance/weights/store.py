"""Reading and writing weights files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from acutance.errors import WeightsError

LARGEST = 2 * 1024**3
"""Bytes above which a weights file is refused."""


@dataclass(frozen=True, eq=False)
class Weights:
    """A state dict and what is known of it.

    Args:
        tensors: name -> tensor; half-precision storage is widened to float32 on reading.
        sha256: of the file's bytes. card: the model card: recipe, data with licences, scores, settings of the model.
        foreign: True for a ``.pth`` of the method's authors, which needs the method's converter.
    """

    tensors: dict[str, Tensor]
    sha256: str
    card: dict[str, Any] = field(default_factory=dict)
    foreign: bool = False

    @property
    def version(self) -> str:
        """Name for people: what the card calls it, and the first eight digits of the hash."""
        name = self.card.get("name", "unnamed")
        return f"{name}-{self.sha256[:8]}"


def embedded_names() -> list[str]:
    """Names of the weights that are shipped in the package."""
    return sorted(p.name.removesuffix(".safetensors") for p in _folder().iterdir() if p.name.endswith(".safetensors"))


def embedded_hashes() -> dict[str, str]:
    """SHA-256 of all weights that are shipped, by their names, as their cards tell them."""
    cards = {name: json.loads((_folder() / f"{name}.json").read_text(encoding="utf-8")) for name in embedded_names()}
    return {name: str(card["sha256"]) for name, card in cards.items()}


def embedded(name: str) -> Weights:
    """Shipped weights, checked against the SHA-256 in their card.

    Raises:
        WeightsError: there are none of that name, or the installation is damaged.
    """
    file = _folder() / f"{name}.safetensors"
    if not file.is_file():
        raise WeightsError(
            f"no weights named {name!r} are shipped; give a file with --weights. Shipped: {', '.join(embedded_names())}"
        )
    raw = file.read_bytes()
    card = json.loads((_folder() / f"{name}.json").read_text())
    digest = hashlib.sha256(raw).hexdigest()
    if digest != card["sha256"]:
        raise WeightsError(
            f"the shipped weights {name!r} are damaged (SHA-256 {digest[:12]}...); install acutance again"
        )
    return Weights(_widen(_parse(raw, name)), digest, card)


def embedded_for(name: str, settings: Mapping[str, Any]) -> Weights:
    """The shipped weights of a method: those named after it or, where others of its are for these settings, those.

    Example:
        >>> embedded_for("dgunet-sense", {"ratio": 0.1}).version.rpartition("-")[0]
        'dgunet-sense-1'

    Raises:
        WeightsError: see `embedded`.
    """
    first = embedded(name)

    def differs(card: Mapping[str, Any]) -> bool:
        model = card.get("model", {})
        return any(key in model and model[key] != value for key, value in settings.items())

    if differs(first.card):
        for other in embedded_names():
            if other.startswith(f"{name}-") and not differs(json.loads((_folder() / f"{other}.json").read_text())):
                return embedded(other)
    return first


def find_weights(path: Path) -> Weights:
    """Weights from a file, or, where there is none and it is the name of shipped ones, those.

    Raises:
        WeightsError: see `read_weights`.
    """
    shipped = not path.exists() and str(path) in embedded_names()
    return embedded(str(path)) if shipped else read_weights(path)


def read_weights(path: Path) -> Weights:
    """Weights from a safetensors file and the card ``NAME.json`` beside it, if any, or from an authors' ``.pth``.

    Raises:
        WeightsError: unreadable, too large, no tensors in it, or not the file of its card.
    """
    try:
        if path.exists() and not path.is_file():
            raise WeightsError(f"cannot read the weights {path}: it is not an ordinary file")
        if path.stat().st_size > LARGEST:
            raise WeightsError(f"{path} has {path.stat().st_size / 1e9:.1f} GB; weights files up to 2 GB are read")
        raw = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error.strerror or error}") from None
    digest = hashlib.sha256(raw).hexdigest()
    if path.suffix.lower() in (".pth", ".pt", ".ckpt", ".bin"):
        return Weights(_unpickle(path, len(raw)), digest, {"name": path.stem}, foreign=True)
    beside = path.with_suffix(".json")
    card = {"name": path.stem, **(_read_card(beside) if beside.is_file() else {})}
    tensors = _widen(_parse(raw, str(path)))
    if card.get("sha256", digest) != digest:
        raise WeightsError(
            f"{path} is not the file that its card {beside.name} describes (SHA-256 {digest[:12]}...); get both again, "
            "or remove the card"
        )
    return Weights(tensors, digest, card)


def write_weights(
    path: Path, tensors: dict[str, Tensor], card: dict[str, Any], *, dtype: torch.dtype = torch.float32
) -> str:
    """Write weights and their card (with the file's SHA-256), atomically; returns the hash."""
    stored = {
        k: (v.to(dtype) if v.is_floating_point() and v.ndim > 1 else v).detach().cpu().contiguous()
        for k, v in tensors.items()
    }
    raw = save_safetensors(stored)
    digest = hashlib.sha256(raw).hexdigest()
    text = json.dumps({**card, "sha256": digest}, indent=2, ensure_ascii=False) + "\n"
    for target, content in ((path, raw), (path.with_suffix(".json"), text.encode())):
        partial = target.with_name(f".{target.name}.partial")
        partial.write_bytes(content)
        partial.replace(target)
    return digest


def _folder() -> Any:
    return resources.files("acutance.weights")


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise WeightsError(f"the model card {path} is no valid JSON ({error}); repair or remove it") from None
    if not isinstance(card, dict) or not isinstance(card.get("model", {}), dict):
        raise WeightsError(f"the model card {path} is no valid JSON object, with an object `model` if any; remove it")
    if not isinstance(card.get("name", ""), str):
        raise WeightsError(f"the model card {path} names the weights {card['name']!r}; a text is expected")
    return card


def _parse(raw: bytes, name: str) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_safetensors(raw)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError, RuntimeError) as error:
        raise WeightsError(f"{name} is no valid safetensors file ({error}); download or export it again") from None
    if not tensors:
        raise WeightsError(f"{name} holds no tensors")
    return _finite(tensors, name)


def _finite(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    for key, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise WeightsError(f"{name}: the tensor {key!r} holds values that are not finite; the file is damaged")
    return tensors


def _widen(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    low = (torch.bfloat16, torch.float16)
    return {k: v.float() if v.dtype in low else v for k, v in tensors.items()}


def _unpickle(path: Path, size: int) -> dict[str, Tensor]:
    """The tensors of a state dict, each of them no larger than the file."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged archive raises, the answer is the same
        raise WeightsError(
            f"{path} cannot be read as a plain state dict ({type(error).__name__}); only tensors are accepted: "
            "save it again with torch.save(model.state_dict(), ...)"
        ) from None
    for _ in range(3):  # as deep as wrappers are nested; a dictionary may hold itself
        if isinstance(content, dict) and not all(isinstance(v, Tensor) for v in content.values()):
            wrapped = (content.get(k) for k in ("state_dict", "model", "params"))
            content = next((inner for inner in wrapped if isinstance(inner, dict)), None)
    if not isinstance(content, dict) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise WeightsError(f"{path} holds no state dict; expected names with tensors")
    for name, value in content.items():
        if (
            value.layout is not torch.strided or value.numel() * value.element_size() > size
        ):  # stretched by strides of 0
            raise WeightsError(f"{path}: the tensor {str(name)[:80]!r} claims more numbers than there are in the file")
    return _finite({str(k).removeprefix("module."): v for k, v in content.items()}, str(path))
