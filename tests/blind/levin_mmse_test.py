"""Levin-MMSE: weights of the mixture, mean and variances against dense matrices, the kernel."""

from __future__ import annotations

import math

import pytest
import torch
from blind.scenes import likeness, shaken
from torch import Tensor

from acutance.blind import levin_mmse
from acutance.blind.base import estimate
from acutance.blind.kernel_step import estimated
from acutance.blind.levin_mmse import SHARES, SPREADS, LevinMmse
from acutance.errors import ConfigError
from acutance.operators import Blur


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def kernel(side: int = 3) -> Tensor:
    k = noise(1, 1, side, side).abs()
    return k / k.sum()


def dense(blur: Blur, height: int, width: int) -> Tensor:
    """K as a matrix, of pictures of that size."""
    units = torch.eye(height * width, dtype=torch.float64).reshape(-1, 1, height, width)
    return torch.cat([blur.forward(u[None]).flatten()[:, None] for u in units], 1)


def test_the_mixture_is_one() -> None:
    assert sum(SHARES) == pytest.approx(1, abs=2e-3)
    assert sorted(SPREADS) == list(SPREADS)


def test_weights_against_the_formula() -> None:
    power = torch.tensor([0.0, 1e-6, 1e-4, 1e-2, 1.0], dtype=torch.float64)
    found = levin_mmse.weights(power)
    for e, w in zip(power.tolist(), found.tolist(), strict=True):
        q = [p / s * math.exp(-e / (2 * s * s)) for p, s in zip(SHARES, SPREADS, strict=True)]
        assert w == pytest.approx(sum(a / s**2 for a, s in zip(q, SPREADS, strict=True)) / sum(q))
    single = levin_mmse.weights(torch.tensor([0.0, 1e3], dtype=torch.float32))
    assert bool(torch.isfinite(single).all())
    assert float(single[1]) == pytest.approx(SPREADS[-1] ** -2, rel=1e-4)


def test_the_mean_against_a_dense_solve() -> None:
    k, y, sigma = kernel(), noise(1, 2, 6, 5), 0.3
    blur = Blur(k, "valid", "spatial")
    w = 1 + 5 * noise(1, 2, 8, 7, seed=2).abs()
    found = levin_mmse.mean(blur, y, w, sigma, torch.zeros_like(w), 200)
    K = dense(blur, 8, 7)
    for c in range(2):
        precision = K.mT @ K / sigma**2 + torch.diag(w[0, c].flatten())
        wanted = torch.linalg.solve(precision, K.mT @ y[0, c].flatten() / sigma**2)
        assert torch.allclose(found[0, c].flatten(), wanted, atol=1e-9)


def test_variances_against_a_dense_diagonal() -> None:
    k, sigma = kernel(), 0.3
    blur = Blur(k, "valid", "spatial")
    w = 1 + 5 * noise(1, 2, 8, 7, seed=2).abs()
    K = dense(blur, 8, 7)
    found = levin_mmse.variances(k, w, sigma)
    for c in range(2):
        wanted = 1 / ((K.mT @ K).diagonal() / sigma**2 + w[0, c].flatten())
        assert torch.allclose(found[0, c].flatten(), wanted)


def test_the_quadratic_of_the_kernel_holds_the_variances() -> None:
    """E || x * k - y ||^2 of independent pixels, its minimum by a dense non-negative solve."""
    m, y = noise(1, 2, 12, 11), noise(1, 2, 12, 11, seed=3).abs()
    m = m.abs()
    variance = 0.4 * torch.ones_like(m)
    side = 3
    found = estimated(m, y, torch.full((1, 1, side, side), 1 / 9).double(), weight=float(variance.sum()), rounds=4000)
    H, b = torch.zeros(9, 9, dtype=torch.float64), torch.zeros(9, dtype=torch.float64)
    for c in range(2):
        wide = torch.nn.functional.pad(m[0, c], (4, 4, 4, 4))  # shifts of m, whole, one a column
        columns = [torch.roll(wide, (i - 1, j - 1), (0, 1)).flatten() for i in range(side) for j in range(side)]
        X = torch.stack(columns, 1)
        H += X.mT @ X + torch.eye(9, dtype=torch.float64) * variance[0, c].sum()
        b += X.mT @ torch.nn.functional.pad(y[0, c], (4, 4, 4, 4)).flatten()
    gradient = H @ found.flatten() - b
    assert float(found.min()) >= 0
    inside = found.flatten() > 1e-9
    assert float(gradient[inside].abs().max()) < 1e-6 * float(b.abs().max())
    assert float(gradient[~inside].min()) > -1e-6 * float(b.abs().max()) if bool((~inside).any()) else True


def test_the_noise_falls_at_every_scale() -> None:
    steps = LevinMmse(size=9, iterations=3).solver().steps
    sigmas = [step.sigma for step in steps]  # type: ignore[attr-defined]
    assert len(sigmas) % 3 == 0
    assert sigmas[:3] == pytest.approx([0.01 * 1.15**2, 0.01 * 1.15, 0.01])


def test_the_kernel_is_found() -> None:
    _, y, k = shaken()
    found = estimate(y, LevinMmse(size=15))
    assert float(found.sum()) == pytest.approx(1)
    assert likeness(found, k) > 0.8


@pytest.mark.parametrize(
    "settings", [{"size": 8}, {"sigma": 0}, {"iterations": 0}, {"rounds": 0}, {"kernel_rounds": 0}]
)
def test_wrong_settings(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        LevinMmse(**settings)  # type: ignore[arg-type]
