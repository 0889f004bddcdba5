"""`acutance-lab bench volumes`: peers are right, scores are right, the command measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from acutance.errors import ConfigError, DataError
from acutance_lab.bench.volumes import (
    made,
    measure_bars,
    measure_times,
    plain_richardson_lucy,
    solver,
    times_table,
)
from acutance_lab.cli.app import app


def test_plain_richardson_lucy_is_its_formula() -> None:
    data, psf = made((8, 10, 12), (3, 3, 5))
    n = data.size
    shifts = np.stack(np.meshgrid(*(np.arange(m) - m // 2 for m in psf.shape), indexing="ij"), -1).reshape(-1, 3)
    matrix = np.zeros((n, n))
    index = np.arange(n).reshape(data.shape)
    for shift, weight in zip(shifts, psf.ravel(), strict=True):
        matrix[index.ravel(), np.roll(index, shift, (0, 1, 2)).ravel()] += weight
    x, y = np.full(n, data.mean(dtype=np.float64)), data.ravel().astype(np.float64)
    for _ in range(3):
        x = x * (matrix.T @ (y / (matrix @ x)))
    assert np.allclose(plain_richardson_lucy(data, psf, 3).ravel(), x, rtol=1e-8, atol=1e-10)


def test_a_psf_larger_than_the_volume_is_wrapped() -> None:
    data, psf = made((6, 12, 12), (9, 3, 3))
    assert np.isclose(plain_richardson_lucy(data, psf, 5).sum(), data.sum(), rtol=1e-6)


def bars(folder: Path) -> Path:
    place = folder / "science" / "microscopy_bars"
    place.mkdir(parents=True)
    random = np.random.default_rng(1)
    truth = np.zeros((16, 24, 24), np.float32)
    truth[4:12, 5:8] = truth[4:12, 14:16] = 1000.0
    psf = np.zeros((5, 5, 5), np.float32)
    psf[1:4, 1:4, 1:4] = 1.0
    around = np.pad(truth, 1)
    blurred = (
        sum(np.roll(around, (i, j, k), (0, 1, 2)) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)) / 27
    )
    data = random.poisson(blurred[1:-1, 1:-1, 1:-1]).astype(np.float32)
    for name, values in (("actual", truth), ("data", data), ("kernel", psf)):
        tifffile.imwrite(place / f"{name}.tif", values)
    return folder


def test_every_method_is_nearer_to_the_truth_than_the_data(tmp_path: Path) -> None:
    before, *after = measure_bars(["richardson-lucy", "plain-rl:20", "skimage-rl:20"], bars(tmp_path))
    assert before.method == "(data)"
    for each in after:
        assert each.correlation > before.correlation
        assert each.psnr > before.psnr
        assert each.seconds > 0


def test_times_and_memory() -> None:
    (found,) = measure_times(["plain-rl:2"], (16, 32, 32), 1)
    assert found.method == "plain-rl:2"
    assert found.seconds > 0
    assert 0 < found.megabytes < 1000
    assert "| 1.0 |" in times_table([found])


@pytest.mark.parametrize("text", ["plain-rl:many", "skimage-rl:0", "plain-rl:-3"])
def test_a_peer_wants_iterations(text: str) -> None:
    with pytest.raises(ConfigError, match="ITERATIONS"):
        solver(text)


def test_missing_bars_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"actual\.tif"):
        measure_bars(["wiener"], tmp_path)


def test_the_command(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["bench", "volumes", "--methods", "wiener,plain-rl:3", "--timed", "", "--data", str(bars(tmp_path))]
    )
    assert done.exit_code == 0, done.output
    assert "| plain-rl:3 |" in done.output
    assert "peak memory" not in done.output
