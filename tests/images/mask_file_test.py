"""Masks in arrays of numpy: every way to write one is read as the same mask, and others are refused with the remedy."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from acutance.errors import ConfigError
from acutance.images.mask_file import is_mask_array, read_mask_array
from acutance.restoration.given import take_mask

KEPT = np.ones((6, 9), dtype=bool)
KEPT[2:4, 5:] = False
WAYS: dict[str, NDArray[Any]] = {
    "bool": KEPT,
    "0 and 1": KEPT.astype(np.uint8),
    "0 and 255": KEPT.astype(np.uint8) * np.uint8(255),
    "0 and 65535": KEPT.astype(np.uint16) * np.uint16(65535),
    "signed": KEPT.astype(np.int64),
    "float": KEPT.astype(np.float64),
    "half": KEPT.astype(np.float16),
    "weights": np.where(KEPT, 0.8, 0.3),
    "float of 0 and 255": np.where(KEPT, 255.0, 0.0).astype(np.float32),
    "big-endian": KEPT.astype(">f4"),
    "NaN": np.where(KEPT, 1.0, np.nan),
    "columns first": np.asfortranarray(KEPT.astype(np.uint8)),
    "(1, H, W)": KEPT[None],
    "(H, W, 1)": KEPT[..., None].astype(np.uint8),
    "(1, 1, H, W)": KEPT[None, None].astype(np.float32),
}


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("save", [np.save, np.savez, np.savez_compressed], ids=["npy", "npz", "compressed"])
def test_every_way_to_write_a_mask(tmp_path: Path, name: str, save: Any) -> None:
    path = tmp_path / ("m.npy" if save is np.save else "m.npz")
    save(path, WAYS[name])
    assert is_mask_array(path)
    mask = read_mask_array(path, 1000)
    assert mask.shape == (1, 1, 6, 9)
    assert mask.dtype == torch.float32
    assert np.array_equal(mask[0, 0].numpy(), KEPT)
    assert torch.equal(take_mask(path, (6, 9)), mask)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.zeros((6, 9)), "0 everywhere"),
        (np.full((6, 9), np.nan), "0 everywhere"),
        (np.ones((3, 6, 9)), "(height, width)"),
        (np.ones(54), "(height, width)"),
        (np.ones((0, 9)), "(height, width)"),
        (np.ones((6, 9), dtype=complex), "is not a mask"),
        (np.array([["a"]]), "is not a mask"),
        (np.ones((60, 90)), "more than 1000"),
    ],
    ids=["zero", "NaN", "three planes", "a row", "empty", "complex", "text", "large"],
)
def test_what_is_no_mask(tmp_path: Path, values: NDArray[Any], says: str) -> None:
    np.save(tmp_path / "m.npy", values)
    with pytest.raises(ConfigError, match=r"m\.npy: ") as caught:
        read_mask_array(tmp_path / "m.npy", 1000)
    assert says in str(caught.value)


def test_two_arrays_are_no_mask(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", mask=KEPT, other=KEPT)
    with pytest.raises(ConfigError, match="it holds mask, other; save the mask alone"):
        read_mask_array(tmp_path / "m.npz", 1000)


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_damage_is_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"m.{kind}"
    (np.save if kind == "npy" else np.savez_compressed)(path, KEPT)
    data = path.read_bytes()
    for i in range(0, len(data), 7):
        for damaged in (data[:i], data[:i] + bytes([data[i] ^ 0xFF]) + data[i + 1 :]):
            path.write_bytes(damaged)
            if is_mask_array(path):
                with suppress(ConfigError):
                    assert read_mask_array(path, 1000).shape[:2] == (1, 1)


def test_another_size_is_told(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", KEPT)
    with pytest.raises(ConfigError, match="a mask of 9 x 6 for a picture of 6 x 9"):
        take_mask(tmp_path / "m.npy", (9, 6))
