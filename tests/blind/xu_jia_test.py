"""Xu-Jia: edges that are of use, the shock filter, the support of a kernel."""

from __future__ import annotations

import math

import pytest
import torch
from blind.scenes import hook, likeness, shaken

from acutance.blind import xu_jia
from acutance.blind.base import estimate
from acutance.blind.kernel_step import differences
from acutance.blind.xu_jia import EdgeState, Refinement, XuJia
from acutance.errors import ConfigError
from acutance.operators.filters import ALONG, DOWN
from acutance.problem import Problem
from acutance.psf import shapes


def test_usefulness_against_a_loop() -> None:
    g = torch.randn(1, 2, 9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = xu_jia.usefulness(g, 5)
    for i in range(9):
        for j in range(8):
            near = g[0, :, max(0, i - 2) : i + 3, max(0, j - 2) : j + 3].flatten(1)
            wanted = float(near.sum(1).norm() / (near.norm(dim=0).sum() + 0.5))
            assert float(found[0, 0, i, j]) == pytest.approx(wanted)


def test_an_edge_is_of_use_and_a_line_is_not() -> None:
    edge, line = torch.zeros(1, 1, 21, 21), torch.zeros(1, 1, 21, 21)
    edge[..., 10:] = 1
    line[..., 10] = 1
    r_edge, r_line = (float(xu_jia.usefulness(differences(x))[..., 10, 9]) for x in (edge, line))
    assert r_edge > 0.85
    assert r_line < 0.01


def test_the_shock_filter_steepens_and_does_not_overshoot() -> None:
    ramp = torch.sigmoid((torch.arange(42.0) - 20.5) / 3).expand(1, 1, 30, 42).contiguous()
    sharp = xu_jia.shocked(ramp)
    assert float(differences(sharp).abs().max()) > 1.5 * float(differences(ramp).abs().max())
    assert float(sharp.min()) >= float(ramp.min()) - 1e-5
    assert float(sharp.max()) <= float(ramp.max()) + 1e-5
    assert torch.allclose(xu_jia.shocked(ramp.mT.contiguous()), sharp.mT, atol=1e-5)
    flat = torch.full((1, 1, 9, 9), 0.3)
    assert torch.allclose(xu_jia.shocked(flat), flat, atol=1e-6)


def test_thresholds_leave_enough_of_every_direction() -> None:
    x = torch.randn(1, 1, 150, 150, generator=torch.Generator().manual_seed(3))
    g = differences(x)
    r = xu_jia.usefulness(g)
    t_r, t_s = xu_jia.thresholds(g, r, 15)
    angle = (torch.atan2(g[:, 0], g[:, 1]) % math.pi / (math.pi / 4)).long().clamp_max(3)
    n = r.numel()
    for b in range(4):
        assert int(((r >= t_r)[:, 0] & (angle == b)).sum()) >= round(0.5 * math.sqrt(n) * 15)
        assert int(((r > t_r) & (g.square().sum(1, keepdim=True).sqrt() >= t_s))[:, 0][angle == b].sum()) >= 2 * 15
    assert xu_jia.thresholds(torch.zeros(1, 2, 9, 9), torch.zeros(1, 1, 9, 9), 5) == (0, 0)


def test_the_prediction_solves_its_equations() -> None:
    y, k = torch.rand(1, 1, 23, 19, dtype=torch.float64), hook(7 + 4).double()
    edges = differences(torch.rand(1, 1, 23, 19, dtype=torch.float64))
    x = xu_jia.predicted(y, k, edges, 0.5)
    assert x.shape == y.shape
    flat = xu_jia.predicted(torch.full_like(y, 0.4), k, torch.zeros_like(edges), 0.5)
    assert torch.allclose(flat, torch.full_like(y, 0.4))
    # of a point there is nothing to deconvolve, and the normal equations hold inside, away from the ramps
    point = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    x = xu_jia.predicted(y, point, edges, 0.5)
    g = torch.nn.functional.pad(edges, (0, 1, 0, 1))
    smooth = DOWN.adjoint(DOWN.forward(x) - g[:, :1]) + ALONG.adjoint(ALONG.forward(x) - g[:, 1:])
    rest = x - y + 0.5 * smooth
    assert float(rest[..., 1:-1, 1:-1].abs().max()) < 1e-9


def test_the_support_is_what_is_above_the_first_gap() -> None:
    k = torch.full((1, 1, 5, 5), 0.001)
    k[0, 0, 2, 1:4] = torch.tensor([0.30, 0.40, 0.25])
    for n in (1, 2, 3):
        assert torch.equal(xu_jia.support(k, n), k > 0.01)
    k[0, 0, 0, 0] = 0.03  # a gap of 0.029, less than 0.4 / 10, more than 0.4 / 20
    assert not bool(xu_jia.support(k, 1)[0, 0, 0, 0])
    assert bool(xu_jia.support(k, 2)[0, 0, 0, 0])
    assert bool(xu_jia.support(torch.full((1, 1, 3, 3), 1 / 9), 1).all())


def test_the_refinement_takes_the_haze_away() -> None:
    x, y, k = shaken(level=0.002)
    haze = 0.8 * torch.nn.functional.pad(k, (2, 2, 2, 2)) + 0.2 * shapes.gaussian(3.0, 15)
    edges = torch.where(differences(x).abs() > 0.05, differences(x), 0.0)
    state = EdgeState(x, haze, 0, 0.0, 0.0, edges, 0.0)
    refined = Refinement(XuJia(size=15))(Problem(y), state).kernel
    assert float(refined.sum()) == pytest.approx(1)
    assert float(refined.min()) >= 0
    assert likeness(refined, k) > likeness(haze, k)


def test_the_kernel_is_found() -> None:
    _, y, k = shaken()
    found = estimate(y, XuJia(size=15))
    assert float(found.sum()) == pytest.approx(1)
    assert likeness(found, k) > 0.8


@pytest.mark.parametrize(
    "settings",
    [{"size": 8}, {"tie": 0}, {"weight": -1}, {"sparsity": -1}, {"detections": -1}, {"iterations": 0}, {"rounds": 0}],
)
def test_wrong_settings(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        XuJia(**settings)  # type: ignore[arg-type]
