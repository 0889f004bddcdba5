"""Krishnan: shrinkage under the normalised sparsity, and the kernel."""

from __future__ import annotations

import pytest
import torch
from blind.scenes import hook, likeness, shaken, town

from acutance.blind import krishnan
from acutance.blind.base import estimate
from acutance.blind.kernel_step import differences, estimated
from acutance.blind.krishnan import Krishnan, Shrinkage
from acutance.errors import ConfigError
from acutance.operators import Blur


def scene() -> tuple[Shrinkage, torch.Tensor]:
    blur = Blur(hook().double(), "valid")
    y = differences(blur.forward(town(70).double()))
    return Shrinkage(blur, y * 6 / y.square().sum((-2, -1), keepdim=True).sqrt(), 20.0), blur.start(y)


def test_the_objective_against_the_formula() -> None:
    shrinkage, x = scene()
    residual = shrinkage.blur.forward(x) - shrinkage.y
    wanted = 10.0 * float(residual.square().sum()) + sum(float(x[0, c].abs().sum() / x[0, c].norm()) for c in range(2))
    assert shrinkage.objective(x) == pytest.approx(wanted)


def test_a_shrinkage_is_the_proximal_step() -> None:
    """By brute force over one pixel: 1/2 (u - v)^2 + d |u|."""
    u = torch.linspace(-2, 2, 40001, dtype=torch.float64)
    for v in (-1.5, -0.2, 0.0, 0.3, 0.9):
        best = float(u[(0.5 * (u - v) ** 2 + 0.4 * u.abs()).argmin()])
        assert float(krishnan.shrunk(torch.tensor(v), 0.4)) == pytest.approx(best, abs=2e-4)


def test_with_the_norm_held_the_objective_falls() -> None:
    shrinkage, x = scene()
    b = 20.0 * krishnan.norm(x)
    values = [shrinkage.held(x, b)]
    for _ in range(5):
        x = shrinkage.inner(x, b)
        values.append(shrinkage.held(x, b))
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.8 * values[0]


def test_the_objective_falls_from_step_to_step() -> None:
    shrinkage, x = scene()
    values = [shrinkage.objective(x)]
    for _ in range(4):
        x = shrinkage.improved(x)
        values.append(shrinkage.objective(x))
    assert values == sorted(values, reverse=True)


def test_the_ratio_prefers_sharp_pictures() -> None:
    x, y, _ = shaken(level=0.0)

    def ratio(z: torch.Tensor) -> float:
        return float(differences(z).abs().sum() / differences(z).norm())

    assert ratio(x) < ratio(y)


def test_sparsity_of_the_kernel_is_a_linear_term() -> None:
    x, y, k = shaken(level=0.0)
    start = torch.full((1, 1, 15, 15), 1 / 225)

    def found(sparsity: float) -> torch.Tensor:
        return estimated(differences(x), differences(y), start, weight=1.0, rounds=300, sparsity=sparsity)

    free, bound = found(0.0), found(0.05 * float(differences(x).square().sum()))
    assert float(bound.min()) >= 0
    assert float(bound.sum()) < float(free.sum())
    assert int((bound > 0).sum()) <= int((free > 0).sum())
    assert likeness(bound, k) > 0.9


def test_the_kernel_is_found() -> None:
    _, y, k = shaken()
    found = estimate(y, Krishnan(size=15))
    assert float(found.sum()) == pytest.approx(1)
    assert likeness(found, k) > 0.8


@pytest.mark.parametrize("settings", [{"size": 8}, {"fidelity": 0}, {"sparsity": -1}, {"iterations": 0}, {"rounds": 0}])
def test_wrong_settings(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Krishnan(**settings)  # type: ignore[arg-type]
