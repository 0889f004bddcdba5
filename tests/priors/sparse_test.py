"""The proximal map of |v|^a: against a search, against closed forms, and what it owes to its definition."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.priors.sparse import PIECE, REACH, SPACING, HyperLaplacian

EXPONENTS = (0.3, 0.5, 2 / 3, 0.8, 0.95, 1.0)
WEIGHTS = (1.0, 7.0, 256.0, 1e4)
LIKE = torch.empty(0, dtype=torch.float64)


def energy(w: Tensor, v: Tensor, exponent: float, weight: float) -> Tensor:
    return w.abs() ** exponent + weight / 2 * (w - v) ** 2


def jump(exponent: float, weight: float) -> tuple[float, float]:
    """Where zero and another w are equally good: |v| and |w| there (Zuo et al. 2013, eq. 12 with 2 weight^-1)."""
    w = (2 * (1 - exponent) / weight) ** (1 / (2 - exponent))
    return w + exponent / weight * w ** (exponent - 1) if exponent < 1 else 1 / weight, w


def values(exponent: float, weight: float) -> Tensor:
    """Of both signs, from far below the jump to half the table's reach."""
    place = jump(exponent, weight)[0]
    factors = torch.cat((torch.linspace(0, 2, 41), torch.tensor([0.999, 1.001, 5, 12.3, 25]))).to(LIKE)
    return torch.cat((place * factors, -place * factors))


def searched(v: Tensor, exponent: float, weight: float) -> Tensor:
    """The best w of a fine grid between 0 and v, refined twice."""
    low, high = torch.zeros_like(v), v.abs()
    for _ in range(3):
        grid = low + (high - low) * torch.linspace(0, 1, 2001, dtype=v.dtype)[:, None]
        best = energy(grid, v.abs(), exponent, weight).argmin(0, keepdim=True)
        low = grid.gather(0, (best - 1).clamp_min(0))[0]
        high = grid.gather(0, (best + 1).clamp_max(2000))[0]
        w = grid.gather(0, best)[0]
    return torch.sign(v) * w


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("exponent", EXPONENTS, ids=lambda a: f"{a:.2f}")
def test_nothing_on_a_fine_grid_is_better(exponent: float, weight: float) -> None:
    v = values(exponent, weight)
    got, best = HyperLaplacian.of(exponent, LIKE).prox(v, weight), searched(v, exponent, weight)
    scale = weight ** (-1 / (2 - exponent))
    excess = energy(got, v, exponent, weight) - energy(best, v, exponent, weight)
    assert float(excess.max()) < 1e-7 * scale**exponent
    clear = (v.abs() - jump(exponent, weight)[0]).abs() > 1e-6 * scale  # at the jump itself both are best
    torch.testing.assert_close(got[clear], best[clear], rtol=1e-5, atol=1e-4 * scale)


@pytest.mark.parametrize("weight", WEIGHTS)
def test_exponent_one_is_soft_thresholding(weight: float) -> None:
    v = (
        torch.cat((torch.linspace(-1.1, 1.1, 401), torch.linspace(1, 30, 50), torch.tensor([3e3, -4e5]))).to(LIKE)
        / weight
    )
    got = HyperLaplacian.of(1.0, LIKE).prox(v, weight)
    torch.testing.assert_close(got, torch.sign(v) * (v.abs() - 1 / weight).clamp_min(0), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("weight", WEIGHTS)
def test_exponent_one_half_has_a_closed_form(weight: float) -> None:
    """The roots of a cubic (Xu et al. 2012): u = 2/3 v (1 + cos(2/3 (pi - acos((3/v)^1.5 / 4)))) for weight 1."""
    prior, scale = HyperLaplacian.of(0.5, LIKE), weight ** (-1 / 1.5)
    v = jump(0.5, 1.0)[0] * torch.linspace(1.0001, 30, 400, dtype=torch.float64)
    u = 2 / 3 * v * (1 + torch.cos(2 / 3 * (math.pi - torch.acos(0.25 * (3 / v) ** 1.5))))
    torch.testing.assert_close(prior.prox(scale * v, weight), scale * u, rtol=0, atol=2e-5 * scale)


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("exponent", EXPONENTS, ids=lambda a: f"{a:.2f}")
def test_it_jumps_where_zero_is_no_longer_best(exponent: float, weight: float) -> None:
    place, w = jump(exponent, weight)
    v = torch.tensor([0.0, 0.5, 1 - 1e-9, 1 + 1e-9], dtype=torch.float64) * place
    got = HyperLaplacian.of(exponent, LIKE).prox(v, weight)
    assert got[:3].tolist() == [0, 0, 0]
    assert float(got[3]) == pytest.approx(w, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("exponent", EXPONENTS, ids=lambda a: f"{a:.2f}")
def test_it_is_odd_rising_and_shrinks(exponent: float) -> None:
    v = torch.linspace(0, 100, 50_001, dtype=torch.float64)  # to beyond the end of the table
    got = HyperLaplacian.of(exponent, LIKE).prox(v, 1.0)
    assert torch.equal(HyperLaplacian.of(exponent, LIKE).prox(-v, 1.0), -got)
    assert bool((got.diff() >= 0).all())
    assert bool((got <= v).all())
    assert bool((got >= 0).all())


@pytest.mark.parametrize("exponent", EXPONENTS, ids=lambda a: f"{a:.2f}")
def test_all_weights_are_one_up_to_scale(exponent: float, generator: torch.Generator) -> None:
    prior, v = HyperLaplacian.of(exponent, LIKE), 5 * torch.randn(300, generator=generator, dtype=torch.float64)
    for weight in WEIGHTS:
        scale = weight ** (-1 / (2 - exponent))
        torch.testing.assert_close(prior.prox(scale * v, weight), scale * prior.prox(v, 1.0), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("exponent", EXPONENTS, ids=lambda a: f"{a:.2f}")
def test_beyond_the_table_values_move_as_far_as_at_its_end(exponent: float) -> None:
    prior, end = HyperLaplacian.of(exponent, LIKE), jump(exponent, 1.0)[0] + REACH - 2 * SPACING
    v = torch.tensor([end, 1e3, 1e6, 1e12], dtype=torch.float64)
    moved = v - prior.prox(v, 1.0)
    torch.testing.assert_close(moved[1:3], moved[:1].expand(2), rtol=1e-3, atol=0)
    assert float(moved[3]) <= 1
    assert float(moved[0]) == pytest.approx(exponent * end ** (exponent - 1), rel=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nan_passes_and_infinity_is_far(dtype: torch.dtype) -> None:
    v = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, 2.0], dtype=dtype)
    got = HyperLaplacian.of(2 / 3, v).prox(v, 1.0)
    assert got.dtype is dtype
    assert got.isnan().tolist() == [True, False, False, False, False]
    assert got[1:4].tolist() == [math.inf, -math.inf, 0]
    assert 1 < float(got[4]) < 2


def test_single_precision_is_the_same_map(generator: torch.Generator) -> None:
    v = 3 * torch.randn(4, 500, generator=generator, dtype=torch.float64)
    for exponent in EXPONENTS:
        single = HyperLaplacian.of(exponent, v.float()).prox(v.float(), 30.0)
        place = jump(exponent, 30.0)[0]
        clear = (v.abs() - place).abs() > 1e-5
        double = HyperLaplacian.of(exponent, v).prox(v, 30.0)
        torch.testing.assert_close(single.double()[clear], double[clear], rtol=1e-5, atol=1e-5)


def test_its_value() -> None:
    v = torch.tensor([[-8.0, 0.0, 27.0]], dtype=torch.float64)
    torch.testing.assert_close(HyperLaplacian.of(2 / 3, v).value(v), torch.tensor([[4.0, 0.0, 9.0]]).to(v))


@pytest.mark.parametrize("exponent", [0.0, -0.5, 1.2, float("nan")])
def test_other_exponents_are_refused(exponent: float) -> None:
    with pytest.raises(ConfigError, match="above 0 and up to 1"):
        HyperLaplacian.of(exponent, LIKE)


@pytest.mark.parametrize("shape", [(3, PIECE), (2, PIECE - 1), (5, 100), (0, 4)], ids=str)
def test_large_pictures_are_mapped_piece_by_piece(shape: tuple[int, int], generator: torch.Generator) -> None:
    v = torch.randn(*shape, generator=generator).mT  # not contiguous
    prior = HyperLaplacian.of(2 / 3, v)
    expected = torch.stack([prior.prox(row, 7.0) for row in v.mT]).mT if shape[0] else v
    assert torch.equal(prior.prox(v, 7.0), expected)
