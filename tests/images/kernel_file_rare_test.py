"""Kernel files: enlarged pictures, formats that are rare, forms of a kernel to write, and a write that fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from kernel_values import grey, kernel, psf
from numpy.typing import NDArray
from PIL import Image

from acutance.errors import KernelError, OutputError
from acutance.images.kernel_file import read_kernel, write_kernel


@pytest.mark.parametrize("values", [psf(), np.eye(3), np.ones((1, 1))], ids=["track", "few values", "one pixel"])
def test_an_enlarged_picture_says_so_and_is_made_small_again(tmp_path: Path, values: NDArray[np.float64]) -> None:
    given = torch.from_numpy(values / values.sum()).float()[None, None]
    write_kernel(tmp_path / "k.png", given, bits=8, enlarge=20)
    with Image.open(tmp_path / "k.png") as image:
        assert image.size == (20 * values.shape[1], 20 * values.shape[0])
    back = read_kernel(tmp_path / "k.png")
    assert float((back.kernel - given).abs().max()) < 1e-3
    with pytest.raises(KernelError, match="enlarge=2"):
        write_kernel(tmp_path / "k.npy", given, enlarge=2)


@pytest.mark.parametrize(
    "form", [np.asarray, torch.from_numpy, lambda k: torch.from_numpy(k)[None, None]], ids=("array", "tensor", "4d")
)
def test_a_kernel_of_any_form_is_written(tmp_path: Path, form: Callable[[NDArray[np.float32]], object]) -> None:
    kernel = np.outer([1.0, 2.0, 1.0], [1.0, 1.0, 1.0]).astype(np.float32) / 12
    write_kernel(tmp_path / "k.npy", form(kernel))  # type: ignore[arg-type]
    assert torch.allclose(read_kernel(tmp_path / "k.npy").kernel[0, 0], torch.from_numpy(kernel))


@pytest.mark.parametrize(
    "kernel", [np.ones((3, 3), complex), np.ones((2, 3, 3)), [[1.0]]], ids=["complex", "3d", "list"]
)
def test_what_is_no_kernel_is_not_written(tmp_path: Path, kernel: object) -> None:
    with pytest.raises(KernelError, match="kernel to write"):
        write_kernel(tmp_path / "k.npy", kernel)  # type: ignore[arg-type]
    assert not (tmp_path / "k.npy").exists()


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_kernel(tmp_path / "k.npy", kernel())
    before = (tmp_path / "k.npy").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("acutance.images.atomic.os.fsync", full)
    with pytest.raises(OutputError):
        write_kernel(tmp_path / "k.npy", 2 * kernel(), overwrite=True)
    assert (tmp_path / "k.npy").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["k.npy"]


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_gif_and_webp(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(grey()).save(tmp_path / f"k.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    back = read_kernel(tmp_path / f"k.{suffix}")
    np.testing.assert_allclose(back.kernel[0, 0].numpy(), grey() / grey().sum(), atol=1e-6)
    Image.fromarray(grey()).save(tmp_path / "k.webp", quality=90)
    assert "WebP is lossy" in read_kernel(tmp_path / "k.webp").notes[0]


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "i2", "u2", "u1"])
def test_matlab_4(tmp_path: Path, dtype: str) -> None:
    values = grey().astype(dtype)
    scipy.io.savemat(tmp_path / "k.mat", {"psf": values, "n": 3.0}, format="4")
    back = read_kernel(tmp_path / "k.mat")
    np.testing.assert_allclose(back.kernel[0, 0].numpy(), grey() / grey().sum(), atol=1e-6)
    data = (tmp_path / "k.mat").read_bytes()
    for damaged in (data[:60], data[:-4], data + b"x"):
        (tmp_path / "k.mat").write_bytes(damaged)
        with pytest.raises(KernelError, match="-v7"):
            read_kernel(tmp_path / "k.mat")


def test_a_kernel_with_wide_tails_is_cut_to_the_largest_size(tmp_path: Path) -> None:
    r = np.arange(64) - 32
    np.save(tmp_path / "k.npy", (1 + np.add.outer(r**2, r**2) / 4) ** -3.0)
    back = read_kernel(tmp_path / "k.npy", max_size=41)
    assert back.kernel.shape[-2:] == (41, 41)
    assert "cut to 41 x 41" in back.notes[-1]
    np.save(tmp_path / "k.npy", np.random.default_rng(1).uniform(1, 2, (64, 64)))
    with pytest.raises(KernelError, match="a picture itself"):
        read_kernel(tmp_path / "k.npy", max_size=41)
