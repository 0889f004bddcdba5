"""IRCNN: each step against a dense solve, the level map, and the same denoiser alone and inside pnp."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import problems
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import ConfigError
from acutance.frame import Frame
from acutance.methods.ircnn import (
    SPECS,
    Ircnn,
    IrcnnConfig,
    IrcnnDenoise,
    IrcnnDenoiseConfig,
    LevelDenoiser,
    build,
    build_denoise,
)
from acutance.methods.pnp import Denoiser, Pnp, PnpConfig
from acutance.networks.dilated import DILATIONS, HALO, DilatedDenoiser
from acutance.problem import Problem

noisy = partial(problems.noisy, cells=problems.COARSE)


def lively(model: Any) -> Any:
    """A network that changes a picture a good deal, in float64."""
    torch.manual_seed(4)
    torch.nn.init.normal_(model.denoiser.layers[-1].weight, std=0.1)
    return model.double().eval().requires_grad_(False)


def direct(network: DilatedDenoiser, x: Tensor, level: float) -> Tensor:
    """x - r of one plane (H, W), written out."""
    z = torch.stack((x - x.mean(), torch.full_like(x, 5 * level)))[None]
    for i, (layer, dilation) in enumerate(zip(network.layers, DILATIONS, strict=True)):
        z = F.conv2d(z, layer.weight, padding=dilation, dilation=dilation)  # type: ignore[arg-type]
        z = z.clamp_min(0) if i < 6 else z
    return x - z[0, 0]


def test_the_papers_size() -> None:
    assert sum(p.numel() for p in DilatedDenoiser().parameters()) == 186_048
    assert HALO == 16


def test_every_channel_is_denoised_alone_at_the_level_of_its_picture() -> None:
    network, x = lively(IrcnnDenoise(IrcnnDenoiseConfig(features=5))), problems.scene(2, 3, 21, 18)
    levels = [0.01, 0.15]
    found = network.run(Problem(x, None, torch.tensor(levels, dtype=torch.float64))).x
    for b, level in enumerate(levels):
        for c in range(3):
            torch.testing.assert_close(found[b, c], direct(network.denoiser, x[b, c], level))
    assert float((found[0] - x[0]).abs().max()) > 0.05


def test_the_level_matters_and_brightness_does_not() -> None:
    """D(a x + b; a s) = a D(x; s) + b."""
    network, x = lively(IrcnnDenoise(IrcnnDenoiseConfig(features=5))), problems.scene(1, 1, 20, 22)

    def denoised(x: Tensor, level: float) -> Tensor:
        out: Tensor = network.run(Problem(x, None, torch.tensor([level], dtype=torch.float64))).x
        return out

    torch.testing.assert_close(denoised(3 * x + 0.4, 0.06), 3 * denoised(x, 0.02) + 0.4)
    assert float((denoised(x, 0.2) - denoised(x, 0.02)).abs().max()) > 0.01


def test_tiles_make_no_difference() -> None:
    network, x = lively(IrcnnDenoise(IrcnnDenoiseConfig(features=4))), problems.scene(1, 1, 70, 81)
    level = torch.tensor([0.03], dtype=torch.float64)
    whole, tiled = (LevelDenoiser(network.denoiser, Frame(torch.float64, tile))(x, level) for tile in (None, 24))
    torch.testing.assert_close(tiled, whole)


@pytest.mark.parametrize("boundary", ["circular", "valid"])
def test_a_step_is_a_dense_solve_and_the_denoiser(boundary: Any) -> None:
    """(A'A + c (sigma / s)^2) x = A'y + c (sigma / s)^2 z, then z = D(x; s), s from 49/255 to sigma."""
    problem, config = noisy(1, 1, 9, 10, boundary=boundary, kernel=(3, 4)), IrcnnConfig(features=4, steps=3, rounds=200)
    method = lively(Ircnn(config))
    assert problem.operator is not None
    first = 49 / 255 * float(problem.observed.max())
    every = [state := method.solver().steps[0].init(problem)]
    for step in method.solver().steps:
        every.append(state := step(problem, state))
    a, y = problems.observed_part(problem, every[0].torus)
    for turn, s in enumerate((first, (first * 0.02) ** 0.5, 0.02)):
        tie = 0.3 * (0.02 / s) ** 2
        rhs = a.T @ y + tie * every[turn].picture.flatten()
        x = torch.linalg.solve(a.T @ a + tie * torch.eye(len(rhs)), rhs).reshape(every[0].torus.size)
        solved = every[turn + 1].torus.picture(every[turn + 1].estimate.spectrum)[0, 0]
        torch.testing.assert_close(solved, x, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(every[turn + 1].picture[0, 0], direct(method.denoiser, solved, s))
    torch.testing.assert_close(method.run(problem).x, every[-1].x)


def test_its_denoiser_serves_pnp() -> None:
    problem = replace(noisy(1, 1, 9, 10, boundary="circular", kernel=(3, 3)), sigma=torch.tensor([0.02]).double())
    denoiser = lively(IrcnnDenoise(IrcnnDenoiseConfig(features=4)))
    config = PnpConfig(steps=1, closing=1.0)
    step = Pnp(replace(config, closing=0.0), Denoiser(denoiser))
    before = step.run(problem).x
    torch.testing.assert_close(
        Pnp(config, Denoiser(denoiser)).run(problem).x[0, 0], direct(denoiser.denoiser, before[0, 0], 0.02)
    )


def test_both_take_the_same_weights() -> None:
    torch.manual_seed(1)
    weights = build(features=6).state_dict()
    assert torch.equal(build_denoise(weights=weights, features=6).state_dict()["denoiser.layers.0.weight"],
                       weights["denoiser.layers.0.weight"])  # fmt: skip
    assert {spec.weights for spec in SPECS} == {"ircnn"}


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="leave the kernel out"):
        build_denoise(features=4).run(noisy(1, 1, 9, 10))
    for make in (build, build_denoise):
        with pytest.raises(ConfigError, match="features=0"):
            make(features=0)
