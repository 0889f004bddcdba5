"""Large pictures: the task, a small run in its own process, and the bounded memory of large transforms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from acutance.errors import ConfigError, WeightsError
from acutance.methods.rgdn import build
from acutance.operators import Blur, blur
from acutance.weights import write_weights
from acutance_lab.bench.size import Measured, Task, blurred_scene, measure, measure_here, size_table

FEATURES = 6


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(4)
    file = tmp_path / "small.safetensors"
    write_weights(file, build(features=FEATURES).state_dict(), {"name": "small", "model": {"features": FEATURES}})
    return file


@pytest.mark.parametrize(("megapixels", "size"), [(24.0, (4000, 6000)), (6.0, (2000, 3000)), (0.06, (200, 300))])
def test_pictures_are_three_to_two(megapixels: float, size: tuple[int, int]) -> None:
    assert Task(megapixels=megapixels).size == size


@pytest.mark.parametrize("settings", [{"megapixels": 0.0}, {"megapixels": 1e6}, {"kernel": 0}, {"kernel": 502}])
def test_impossible_tasks_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Task(**settings)


def test_the_picture_is_the_blurred_scene_everywhere() -> None:
    picture, kernel = blurred_scene(Task(megapixels=1.6, kernel=6))  # larger than the scene that is repeated
    assert picture.shape == (1, 3, 1033, 1549)
    assert kernel.shape == (1, 1, 7, 7)
    repeated = picture[..., :33, :] - picture[..., 1000:, :]
    assert 0.005 < float(repeated.std()) < 0.02, "the scene is repeated, its noise is not"


def test_a_run_in_its_own_process(weights: Path) -> None:
    found = measure(Task(megapixels=0.05, kernel=9, steps=2, weights=weights, threads=1))
    assert found.steps == 2
    assert found.seconds > 0
    assert found.forecast > 0
    assert found.share > 0
    assert 0.05 < found.peak_gb < 2


def test_errors_come_back_from_the_process(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot read"):
        measure(Task(megapixels=0.05, weights=tmp_path / "none.safetensors"))


def test_the_same_here(weights: Path) -> None:
    assert measure_here(Task(megapixels=0.02, kernel=5, steps=1, weights=weights)).steps == 1


def test_the_table_says_how_far_off_the_forecast_was() -> None:
    found = Measured(Task(), forecast=120.0, seconds=100.0, share=0.5, steps=5, peak_gb=2.5, hardware="a processor")
    assert found.off == pytest.approx(0.2)
    assert "| 6000x4000 colour, 24 MP | 31x31 | 5 | 120.0 s | 100.0 s | +20 % | 50 % | 2.50 GB |" in size_table(found)


@pytest.mark.parametrize("kernel", [(1, 1, 5, 4), (1, 3, 3, 7), (2, 1, 6, 6), (2, 3, 9, 5)], ids=str)
@pytest.mark.parametrize("boundary", ["valid", "zero", "circular", "replicate"])
def test_channels_one_by_one_are_the_same_as_together(
    kernel: tuple[int, ...], boundary: Any, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = Blur(torch.randn(kernel, generator=generator, dtype=torch.float64), boundary, "fft")
    x = torch.randn(2, 3, *operator.domain_size(20, 23), generator=generator, dtype=torch.float64)
    y = torch.randn(2, 3, 20, 23, generator=generator, dtype=torch.float64)
    together = operator.forward(x), operator.adjoint(y)
    monkeypatch.setattr(blur, "LARGE", 1)
    torch.testing.assert_close(operator.forward(x), together[0], rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(operator.adjoint(y), together[1], rtol=1e-13, atol=1e-13)


def test_large_pictures_stay_differentiable(generator: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = Blur(torch.randn(1, 1, 5, 5, generator=generator, dtype=torch.float64), "valid", "fft")
    y = torch.randn(1, 3, 12, 13, generator=generator, dtype=torch.float64)
    x = torch.zeros(1, 3, 16, 17, dtype=torch.float64, requires_grad=True)
    monkeypatch.setattr(blur, "LARGE", 1)
    (operator.forward(x) * y).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, operator.adjoint(y), rtol=1e-12, atol=1e-12)
