"""acutance.restore and acutance.estimate_kernel: every kind of picture, and every refusal before anything is run."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage

import acutance
from acutance.errors import ConfigError, ImageError, InputError, KernelError, UnknownMethod
from acutance.restoration.restorer import Restorer

KERNEL = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16


def chessboard(channels: int = 3) -> NDArray[np.float32]:
    rows, columns = np.mgrid[0:40, 0:48]
    board = 0.2 + 0.6 * ((rows // 8 + columns // 8) % 2)
    return np.repeat(board[..., None], channels, -1).astype(np.float32) * np.linspace(0.7, 1, channels, dtype="f4")


def blurred(channels: int = 3) -> NDArray[np.float32]:
    padded = np.pad(chessboard(channels), ((1, 1), (1, 1), (0, 0)), "edge")
    moved = [padded[i : i + 40, j : j + 48] * KERNEL[i, j] for i in range(3) for j in range(3)]
    return np.sum(moved, 0).astype(np.float32)


def gain(restored: NDArray[Any], peak: float) -> float:
    def quality(y: NDArray[Any]) -> float:
        error = (y / peak - chessboard())[3:-3, 3:-3]
        return float(-10 * np.log10(np.square(error).mean()))

    return quality(restored.astype("f4")) - quality(blurred() * peak)


@pytest.mark.parametrize(
    ("dtype", "peak"), [("u1", 255), (">u2", 65535), ("f2", 1), (">f8", 1), ("f4", 1000), ("i4", 1000)]
)
def test_every_type_is_restored(dtype: str, peak: float) -> None:
    picture = (blurred() * peak).astype(dtype)
    before = picture.copy()
    restored = acutance.restore(picture, KERNEL, method="wiener", sigma=0.002)
    assert (restored.shape, restored.dtype) == (picture.shape, picture.dtype)
    assert gain(restored, peak) > 3
    np.testing.assert_array_equal(picture, before)


def test_every_kind_is_restored_alike(tmp_path: Path) -> None:
    array = (blurred() * 255).round().astype("u1")
    PillowImage.fromarray(array).save(tmp_path / "a.png")
    settings: dict[str, Any] = {"kernel": KERNEL, "method": "wiener", "sigma": 0.01}
    expected = acutance.restore(array, **settings)
    assert np.abs(expected.astype(int) - array).max() > 20
    tensor = acutance.restore(torch.from_numpy(array).permute(2, 0, 1), **settings)
    np.testing.assert_array_equal(tensor.permute(1, 2, 0), expected)
    pillow = acutance.restore(PillowImage.fromarray(array), **settings)
    np.testing.assert_array_equal(np.asarray(pillow), expected)
    for image in (
        acutance.restore(tmp_path / "a.png", **settings),
        acutance.restore(acutance.read_image(tmp_path / "a.png"), **settings),
    ):
        assert isinstance(image, acutance.Image)
        np.testing.assert_array_equal((np.asarray(image).clip(0, 1) * 255).round(), expected)


def test_with_a_kernel_and_without(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "acutance"):
        acutance.restore(blurred(), 3 * KERNEL)
    assert "summed to 3" in caplog.text
    assert acutance.restore(blurred(1)[..., 0]).shape == (40, 48)


def test_a_method_with_settings_and_a_mask() -> None:
    picture = blurred(1)
    mask = np.ones((40, 48), bool)
    mask[10:14, 10:14] = False
    spoilt = picture.copy()
    spoilt[10:14, 10:14] = np.nan
    restored = acutance.restore(picture, KERNEL, method="tv:steps=20", mask=mask)
    assert np.isfinite(restored).all()
    assert np.isfinite(acutance.restore(spoilt, KERNEL, method="tv:steps=20")).all()


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("something was computed")

    monkeypatch.setattr(Restorer, "_run", never)


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"method": "acut"}, UnknownMethod, "did you mean acute"),
        ({"method": "wiener:strenth=2"}, ConfigError, "did you mean strength"),
        ({"method": "wiener", "kernel": None}, KernelError, "needs the blur kernel"),
        ({"method": "blind"}, ConfigError, "takes no kernel"),
        ({"method": "dgunet-sense", "kernel": None}, ConfigError, "acutance.sensing"),
        ({"sigma": 0}, ConfigError, "above 0"),
        ({"sigma": -0.1}, ConfigError, "above 0"),
        ({"sigma": 2.55}, ConfigError, "up to 0.5"),
        ({"sigma": float("nan")}, ConfigError, "above 0"),
        ({"sigma": "1%"}, ConfigError, "1 % is 0.01"),
        ({"sigma": True}, ConfigError, "above 0"),
        ({"kernel": np.full((3, 3), np.nan)}, KernelError, "NaN"),
        ({"kernel": -KERNEL}, KernelError, "negative"),
        ({"kernel": np.zeros((3, 3))}, KernelError, "zero"),
        ({"kernel": np.ones((3, 200))}, KernelError, "kernel"),
        ({"picture": np.full((40, 48), np.nan)}, ImageError, "finite"),
        ({"picture": np.zeros((40, 48), complex)}, ImageError, "real"),
        ({"mask": np.ones((4, 4))}, ConfigError, "mask"),
        ({"mask": np.zeros((40, 48))}, ConfigError, "no valid pixel|leaves no pixel"),
        ({"mask": np.ones((40, 48)), "method": "rgdn"}, ConfigError, "mask"),
    ],
    ids=str,
)
def test_everything_is_checked_first(arguments: dict[str, Any], kind: type[InputError], message: str) -> None:
    with pytest.raises(kind, match=message):
        acutance.restore(**{"picture": blurred(), "kernel": KERNEL, **arguments})


def test_a_kernel_is_estimated(caplog: pytest.LogCaptureFixture) -> None:
    generator = np.random.default_rng(3)
    scene = np.kron(generator.random((18, 18)), np.ones((8, 8)))
    moved = np.mean([np.roll(scene, k, 1) for k in range(9)], 0)
    with caplog.at_level(logging.INFO, "acutance"):
        kernel = acutance.estimate_kernel(moved)
    assert kernel.ndim == 2
    assert kernel.shape[0] % 2 == kernel.shape[1] % 2 == 1
    assert float(kernel.sum()) == pytest.approx(1, abs=1e-4)
    spread = [float(np.sqrt(np.cov(np.arange(len(p)), aweights=p))) for p in (kernel.sum(0), kernel.sum(1))]
    assert spread[0] > 2 * spread[1], "the motion was along the rows"
    assert "found" in caplog.text
    tensor = acutance.estimate_kernel(torch.from_numpy(moved))
    torch.testing.assert_close(tensor, torch.from_numpy(kernel))


def test_no_kernel_in_nothing() -> None:
    with pytest.raises(acutance.AcutanceError):
        acutance.estimate_kernel(np.full((64, 64), 0.5))


USER = """
from pathlib import Path

import numpy as np

import acutance

blurred = np.random.default_rng(1).random((48, 40, 3)).astype(np.float32)
psf = np.full((3, 3), 1 / 9)
sharp = acutance.restore(blurred, psf, method="wiener", sigma=0.01)
kernel = acutance.estimate_kernel(Path("shaken.jpg"))
picture = acutance.restore("shaken.jpg", kernel)
print(sharp.shape, kernel.mean(), picture.size, np.asarray(picture).dtype)
"""


def test_a_users_program_has_types(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(USER, encoding="utf-8")
    package = Path(acutance.__file__).parent
    root = package.parents[1]  # strict, and with the cache of `make check`
    assert (package / "py.typed").is_file()
    how = ["--config-file", str(root / "pyproject.toml"), "--cache-dir", str(root / ".mypy_cache")]
    run = subprocess.run(
        [sys.executable, "-m", "mypy", *how, "program.py"],
        capture_output=True, text=True, cwd=tmp_path, timeout=600, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
