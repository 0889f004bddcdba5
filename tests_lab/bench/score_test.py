from __future__ import annotations

import builtins
import importlib.util
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from acutance.errors import ConfigError, MissingExtra
from acutance.metrics import psnr
from acutance_lab.bench.score import (
    BLIND,
    PERFECT,
    Scoring,
    aligned,
    border_and_interior,
    moved_along,
    score,
    structural_similarity,
)

ALIGN = Scoring(border=12, shift=5, fraction=4)


def waves(row: float, col: float, size: int = 64) -> Tensor:
    """The same smooth scene, looked at from another place: exact at any sub-pixel shift."""
    y = torch.arange(size, dtype=torch.float64)[:, None] + row
    x = torch.arange(size, dtype=torch.float64)[None, :] + col
    picture = 0.5 + 0.2 * torch.sin(0.31 * y + 0.2 * x) + 0.15 * torch.cos(0.5 * x - 0.11 * y) * torch.sin(0.07 * x)
    return picture[None, None]


@pytest.mark.parametrize(
    ("row", "col"), [(0, 0), (3, -5), (0.25, 0), (-1.5, 2.75), (4.25, -0.5), (-0.75, -4.75), (5, 5)]
)
def test_alignment_finds_a_known_shift(row: float, col: float) -> None:
    found = score(waves(-row, -col), waves(0, 0), ALIGN)
    assert found.shift == (row, col)
    assert found.psnr > 45
    assert found.ssim > 0.999


def test_a_shift_between_the_quarters_goes_to_the_nearest() -> None:
    assert score(waves(-1.1, 0.5), waves(0, 0), ALIGN).shift == (1.0, -0.5)


def test_without_alignment_a_shift_counts() -> None:
    found = score(waves(-1, 0), waves(0, 0), Scoring(border=12))
    assert found.shift == (0, 0)
    assert found.psnr < 30


def test_colours_move_together() -> None:
    truth = torch.cat((waves(0, 0), waves(9, 3), waves(1, 20)), 1)
    moved = torch.cat((waves(-1.25, 2), waves(7.75, 5), waves(-0.25, 22)), 1)
    found = score(moved, truth, ALIGN)
    assert found.shift == (1.25, -2.0)
    assert found.psnr > 45


@pytest.mark.parametrize("dim", [-2, -1])
@pytest.mark.parametrize("size", [32, 33])
def test_moving_there_and_back_keeps_the_picture(dim: int, size: int) -> None:
    x = waves(0, 0, size)
    back = moved_along(moved_along(x, 0.25, dim), -0.25, dim)
    torch.testing.assert_close(back[..., 6:-6, 6:-6], x[..., 6:-6, 6:-6], atol=2e-3, rtol=0)


def test_scores_clip_and_do_not_round() -> None:
    truth = torch.full((1, 1, 16, 16), 1.0)
    assert score(truth + 0.5, truth).psnr == PERFECT
    assert score(truth - 0.001, truth).psnr == pytest.approx(60, abs=1e-3)


def test_the_border_is_left_out() -> None:
    truth = waves(0, 0)
    estimate = truth.clone()
    estimate[..., :4, :] = 0
    assert score(estimate, truth, Scoring(border=4)).psnr == PERFECT
    assert score(estimate, truth).psnr == pytest.approx(float(psnr(estimate, truth)))


def test_ssim_is_that_of_scikit_image() -> None:
    from skimage.metrics import structural_similarity as theirs

    truth = waves(0, 0)
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    estimate = (truth + 0.05 * noise).clamp(0, 1)
    expected = theirs(
        truth[0, 0].numpy(),
        estimate[0, 0].numpy(),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
    )
    assert structural_similarity(estimate, truth) == pytest.approx(float(np.asarray(expected)), abs=1e-5)


def test_ssim_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("torchmetrics"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    assert importlib.util.find_spec("torchmetrics") is not None
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"acutance\[lab\]"):
        structural_similarity(waves(0, 0), waves(0, 0))


@pytest.mark.parametrize("wrong", [{"shift": 5}, {"border": 5, "shift": 5, "fraction": 4}, {"fraction": 0}])
def test_impossible_protocols_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="border"):
        Scoring(**wrong)


def test_the_frame_and_the_rest() -> None:
    truth = torch.full((1, 1, 60, 50), 0.5)
    estimate = truth.clone()
    estimate[..., :20, :] += 0.1
    outer, inner = border_and_interior(estimate, truth) or (0.0, 0.0)
    share = 20 * 50 / (60 * 50 - 20 * 10)
    assert outer == pytest.approx(20 - 10 * np.log10(share), abs=1e-4)
    assert inner == float("inf")
    assert border_and_interior(truth[..., :40, :], truth[..., :40, :]) is None


def test_too_little_left_is_refused() -> None:
    with pytest.raises(ConfigError, match="window of SSIM"):
        aligned(waves(0, 0, 30), waves(0, 0, 30), Scoring(border=10))


def test_what_a_blind_method_makes_may_lie_anywhere() -> None:
    g = torch.Generator().manual_seed(8)
    truth = torch.rand(1, 1, 120, 130, generator=g)
    moved = torch.roll(truth, (14, -9), (-2, -1)) + 0.01 * torch.randn(1, 1, 120, 130, generator=g)
    found = score(moved, truth, BLIND)
    assert found.psnr == pytest.approx(40, abs=0.3)
    assert found.shift == (14.0, -9.0)
    assert score(moved, truth).psnr < 10
