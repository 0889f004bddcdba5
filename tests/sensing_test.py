"""Measure, and bring back: with the same weights, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from acutance.errors import ConfigError, WeightsError
from acutance.images.measurement_file import Measurements, read_measurements, write_measurements
from acutance.methods.dgunet import SenseConfig, Unfolded
from acutance.operators import Sensing
from acutance.restoration.restorer import Restorer
from acutance.sensing import load, matrix_of, measure, recover
from acutance.weights import write_weights

MODEL: dict[str, Any] = {"width": 8, "growth": 4, "tail": 4, "stages": 3, "ratio": 0.25}


@pytest.fixture
def restorer(tmp_path: Path) -> Restorer:
    torch.manual_seed(2)
    write_weights(
        tmp_path / "w.safetensors", Unfolded(SenseConfig(**MODEL)).state_dict(), {"name": "w", "model": MODEL}
    )
    return load(weights=tmp_path / "w.safetensors", device="cpu", precision="float32")


@pytest.mark.parametrize("channels", [1, 3])
def test_measured_and_brought_back_is_what_the_method_makes_of_the_picture(
    channels: int, restorer: Restorer, tmp_path: Path, generator: torch.Generator
) -> None:
    x = torch.rand(1, channels, 50, 64, generator=generator)
    measured = measure(restorer, x)
    assert measured.numbers.shape == (1, 256 * channels, 2, 2)
    write_measurements(tmp_path / "y.cs", measured, bits=32)
    done = recover(restorer, read_measurements(tmp_path / "y.cs"))
    assert done.image.pixels.shape == x.shape
    torch.testing.assert_close(done.image.pixels, restorer(x).image.pixels, rtol=0, atol=1e-5)
    left = Sensing(matrix_of(restorer), (50, 64)).forward(done.result.x) - measured.numbers
    assert done.fitting_error == pytest.approx(measured.scale * float(left.square().mean().sqrt()), rel=1e-3)
    faint = measure(restorer, 2.0**-20 * x)
    assert torch.equal(faint.numbers, measured.numbers)
    assert faint.scale == 2.0**-20 * measured.scale


def test_the_start_is_the_smooth_part(restorer: Restorer) -> None:
    x = torch.full((1, 1, 32, 64), 0.4)
    first = next(iter(restorer.method.solver().iterate(_problem(restorer, x))))  # type: ignore[attr-defined]
    assert float((0.4 * first.x - x).detach().abs().max()) < 0.2


def _problem(restorer: Restorer, x: torch.Tensor) -> Any:
    return restorer.prepare(x).problem


def test_another_matrix_is_refused(restorer: Restorer, tmp_path: Path) -> None:
    measured = measure(restorer, torch.rand(1, 1, 32, 32))
    other = Measurements(measured.numbers, measured.size, 1, "0" * 64, "theirs-1")
    with pytest.raises(WeightsError, match="theirs-1"):
        recover(restorer, other)
    with pytest.raises(WeightsError, match="not made with the matrix"):
        load(matrix="0" * 64, weights=tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="25 %, not 10 %"):
        load(0.1, weights=tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="no weights with this matrix"):
        load(matrix="0" * 64)
    with pytest.raises(WeightsError, match=r"no weights for 33 %"):
        load(0.33)


def test_a_method_that_does_not_measure() -> None:
    with pytest.raises(ConfigError, match="does not measure"):
        matrix_of(Restorer.load("wiener"))
