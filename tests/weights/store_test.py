"""Weights files: there and back, damaged, hostile, of the wrong kind."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from acutance.errors import WeightsError
from acutance.weights import embedded, embedded_for, embedded_names, read_weights, write_weights
from acutance.weights import store as store_module

FOREIGN = (".pth", ".pt", ".ckpt", ".bin")


@pytest.fixture
def tensors(generator: torch.Generator) -> dict[str, Tensor]:
    return {
        "conv.weight": torch.randn(4, 3, 5, 5, generator=generator),
        "norm.bias": torch.randn(4, generator=generator),
        "norm.num_batches_tracked": torch.tensor(7),
    }


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return set(a) == set(b) and all(torch.equal(v, b[k]) and v.dtype is b[k].dtype for k, v in a.items())


def test_there_and_back(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    path = tmp_path / "small.safetensors"
    digest = write_weights(path, tensors, {"name": "small-1", "model": {"features": 4}})
    found = read_weights(path)
    assert equal(found.tensors, tensors)
    assert digest == found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.card == {"name": "small-1", "model": {"features": 4}, "sha256": digest}
    assert found.version == f"small-1-{digest[:8]}"
    assert not found.foreign
    assert sorted(p.name for p in tmp_path.iterdir()) == ["small.json", "small.safetensors"], "nothing partial is left"


def test_without_a_card_the_file_gives_the_name(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    save_file(tensors, tmp_path / "mine.safetensors")
    found = read_weights(tmp_path / "mine.safetensors")
    assert found.card == {"name": "mine"}
    assert found.version.startswith("mine-")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_in_the_file_is_single_in_memory(
    tmp_path: Path, tensors: dict[str, Tensor], dtype: torch.dtype
) -> None:
    path = tmp_path / "half.safetensors"
    write_weights(path, tensors, {}, dtype=dtype)
    found = read_weights(path).tensors
    assert {k: v.dtype for k, v in found.items()} == {k: v.dtype for k, v in tensors.items()}
    assert torch.equal(found["conv.weight"], tensors["conv.weight"].to(dtype).float())
    assert torch.equal(found["norm.bias"], tensors["norm.bias"]), "vectors are few and stay exact"
    single = tmp_path / "single.safetensors"
    write_weights(single, tensors, {})
    assert path.stat().st_size < 0.7 * single.stat().st_size


def test_writing_replaces_at_once(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    path = tmp_path / "small.safetensors"
    first = write_weights(path, tensors, {})
    second = write_weights(path, {k: v + 1 for k, v in tensors.items()}, {})
    assert first != second
    assert read_weights(path).sha256 == second == json.loads(path.with_suffix(".json").read_text())["sha256"]


def test_strided_and_learning_tensors_are_written(tmp_path: Path) -> None:
    weight = torch.arange(24.0).reshape(2, 3, 2, 2).contiguous(memory_format=torch.channels_last).requires_grad_()
    write_weights(tmp_path / "a.safetensors", {"w": weight}, {})
    assert torch.equal(read_weights(tmp_path / "a.safetensors").tensors["w"], weight)


@pytest.mark.parametrize("keep", [0, 5, 40, -1])
def test_a_damaged_file_is_refused(tmp_path: Path, tensors: dict[str, Tensor], keep: int) -> None:
    path = tmp_path / "small.safetensors"
    write_weights(path, tensors, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match=r"small\.safetensors is no valid safetensors file"):
        read_weights(path)


@pytest.mark.parametrize("content", [b"hello, this is text", b"\xff" * 64, b"\x08" + 7 * b"\0" + b"not json"], ids=repr)
def test_what_is_no_weights_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="is no valid safetensors file"):
        read_weights(tmp_path / "a.safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", *FOREIGN])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_are_refused(
    tmp_path: Path, tensors: dict[str, Tensor], value: float, suffix: str
) -> None:
    tensors["conv.weight"][1, 2, 3, 4] = value
    path = tmp_path / f"a{suffix}"
    if suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    with pytest.raises(WeightsError, match=r"'conv\.weight' holds values that are not finite"):
        read_weights(path)


def test_no_tensors_are_no_weights(tmp_path: Path) -> None:
    save_file({}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="holds no tensors"):
        read_weights(tmp_path / "a.safetensors")


@pytest.mark.parametrize("text", ["{", "[1, 2", "nonsense", "5"])
def test_a_broken_card_is_named(tmp_path: Path, tensors: dict[str, Tensor], text: str) -> None:
    save_file(tensors, tmp_path / "a.safetensors")
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(WeightsError, match=r"the model card .*a\.json is no valid JSON"):
        read_weights(tmp_path / "a.safetensors")


@pytest.mark.parametrize("name", ["none.safetensors", "none.pth", "."])
def test_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match="cannot read the weights"):
        read_weights(tmp_path / name)


def test_an_enormous_file_is_refused(
    tmp_path: Path, tensors: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_weights(tmp_path / "a.safetensors", tensors, {})
    monkeypatch.setattr(store_module, "LARGEST", 100)
    with pytest.raises(WeightsError, match="weights files up to"):
        read_weights(tmp_path / "a.safetensors")


@pytest.mark.parametrize("wrap", ["", "state_dict", "model", "params"])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("suffix", FOREIGN)
def test_a_foreign_state_dict(tmp_path: Path, tensors: dict[str, Tensor], suffix: str, prefix: str, wrap: str) -> None:
    content: Any = {prefix + k: v for k, v in tensors.items()}
    torch.save({wrap: content, "epoch": 3} if wrap else content, tmp_path / f"a{suffix}")
    found = read_weights(tmp_path / f"a{suffix}")
    assert found.foreign
    assert equal(found.tensors, tensors)
    assert found.version.startswith("a-")


class Hostile:
    """Unpickling this makes a folder."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.where,)


@pytest.mark.parametrize("form", ["archive", "legacy", "plain pickle"])
def test_a_hostile_pickle_is_refused_and_never_run(tmp_path: Path, form: str) -> None:
    trap, path = tmp_path / "trap", tmp_path / "a.pth"
    content = {"weight": Hostile(str(trap))}
    if form == "plain pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "archive")
    with pytest.raises(WeightsError, match="only tensors are accepted"):
        read_weights(path)
    assert not trap.exists()
    pickle.loads(pickle.dumps(Hostile(str(trap))))
    assert trap.exists(), "the trap is meant to work"


@pytest.mark.parametrize(
    "content",
    [{}, [torch.zeros(1)], torch.zeros(3), {"epoch": 3}, {"state_dict": {"epoch": 3}}, {"state_dict": 5}, "text"],
    ids=lambda c: type(c).__name__ + (str(list(c)) if isinstance(c, dict) else ""),
)
def test_what_holds_no_state_dict_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="holds no state dict"):
        read_weights(tmp_path / "a.pth")


def test_a_state_dict_inside_itself_is_refused(tmp_path: Path) -> None:
    content: dict[str, Any] = {"epoch": 3}
    content["state_dict"] = content
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="holds no state dict"):
        read_weights(tmp_path / "a.pth")


@pytest.fixture
def shipped(tmp_path: Path, tensors: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of embedded weights with one file."""
    write_weights(tmp_path / "small.safetensors", tensors, {"name": "small-2"}, dtype=torch.bfloat16)
    monkeypatch.setattr(store_module, "_folder", lambda: tmp_path)
    return tmp_path


def test_embedded_weights(shipped: Path, tensors: dict[str, Tensor]) -> None:
    assert embedded_names() == ["small"]
    found = embedded("small")
    assert found.card["name"] == "small-2"
    assert found.tensors["conv.weight"].dtype is torch.float32
    assert set(found.tensors) == set(tensors)


def test_damaged_embedded_weights_are_found_by_their_hash(shipped: Path) -> None:
    file = shipped / "small.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    with pytest.raises(WeightsError, match="are damaged"):
        embedded("small")


def test_weights_that_are_not_shipped(shipped: Path) -> None:
    with pytest.raises(WeightsError, match=r"no weights named 'large' are shipped.*Shipped: small"):
        embedded("large")


def test_settings_say_which_of_several(shipped: Path, tensors: dict[str, Tensor]) -> None:
    for name, ratio in (("small", 0.1), ("small-25", 0.25), ("smaller", 0.5)):
        write_weights(shipped / f"{name}.safetensors", tensors, {"name": f"{name}-1", "model": {"ratio": ratio}})

    def chosen(**settings: Any) -> str:
        return str(embedded_for("small", settings).card["name"])

    assert chosen() == chosen(ratio=0.1) == chosen(strength=0.5) == "small-1"
    assert chosen(ratio=0.25, strength=0.5) == "small-25-1"
    assert chosen(ratio=0.5) == "small-1", "of another method, or of none"


@pytest.mark.parametrize("name", embedded_names())
def test_what_is_shipped_is_whole(name: str) -> None:
    found = embedded(name)
    assert found.sha256 == found.card["sha256"]
    assert found.card.get("name")
    assert all(bool(torch.isfinite(v.double()).all()) for v in found.tensors.values())
