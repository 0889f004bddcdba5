"""Richardson-Lucy: the formula, scikit-image's, a likelihood that rises, light that is kept, the end of a run."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import problems
import pytest
import torch
from numpy.typing import NDArray
from problems import kernel_of
from scipy.signal import convolve2d
from skimage.restoration import richardson_lucy
from torch import Tensor

from acutance.errors import ConfigError
from acutance.methods.richardson_lucy import (
    DARK,
    FLAT,
    STABLE,
    RichardsonLucy,
    RichardsonLucyConfig,
    RichardsonLucyState,
    build,
)
from acutance.metrics import psnr
from acutance.operators import Blur
from acutance.problem import Outcome, Problem

scene = partial(problems.scene, cells=problems.COARSE)
noisy = partial(problems.noisy, cells=problems.COARSE)

Array = NDArray[np.float64]
PLAIN = RichardsonLucyConfig(steps=10, accelerated=False, strength=0.0, power=0.5, background=0.0, discrepancy=0.0)
FAST = replace(PLAIN, accelerated=True)
PENALISED = replace(PLAIN, strength=0.1)
BOTH = replace(FAST, strength=0.1)
READ_OUT = replace(BOTH, background=0.5)
NAMES = ["plain", "accelerated", "penalised", "both", "with a background"]


def states(problem: Problem, config: RichardsonLucyConfig) -> list[RichardsonLucyState]:
    """The start and what every step makes of it."""
    solver = RichardsonLucy(config).solver()
    return [solver.steps[0].init(problem), *solver.iterate(problem)]


def run(problem: Problem, config: RichardsonLucyConfig) -> Tensor:
    return RichardsonLucy(config).run(problem).x


def likelihood(problem: Problem, x: Tensor) -> float:
    """sum y log A x - A x."""
    model = problem.residual(x) + problem.observed
    return float((problem.observed * model.log() - model).sum())


def curvature(x: Array, prior: float) -> Array:
    """div(D x / |D x|) by loops over the pixels."""
    flat = max(FLAT, STABLE * prior)
    h, w = x.shape
    p = np.zeros((2, h, w))
    for i, j in np.ndindex(h, w):
        down = x[i + 1, j] - x[i, j] if i + 1 < h else 0.0
        along = x[i, j + 1] - x[i, j] if j + 1 < w else 0.0
        p[:, i, j] = np.array([down, along]) / np.sqrt(down**2 + along**2 + flat**2)
    out = np.zeros_like(x)
    for i, j in np.ndindex(h, w):
        out[i, j] = p[:, i, j].sum() - (p[0, i - 1, j] if i else 0.0) - (p[1, i, j - 1] if j else 0.0)
    return out


def plain(problem: Problem, config: RichardsonLucyConfig) -> list[Array]:
    """x(t) as the module's docstring says, with scipy's convolutions."""
    assert isinstance(problem.operator, Blur)
    assert problem.sigma is not None
    y, k = problem.observed[0, 0].numpy(), problem.operator.kernel[0, 0].numpy()
    there, back = ("valid", "full") if problem.operator.boundary == "valid" else ("same", "same")

    def adjoint(z: Array) -> Array:
        return np.asarray(convolve2d(z, k[::-1, ::-1], mode=back))

    x, seen = problem.start()[0, 0].numpy(), adjoint(np.ones_like(y))
    every, updates = [x], []
    for _ in range(config.steps):
        p = x
        if config.accelerated and len(updates) > 1:
            a = float((updates[-1] * updates[-2]).sum() / (updates[-2] ** 2).sum())
            p = x + min(1.0, max(0.0, a)) * (x - every[-2])
        b = config.background
        new = (p + b) * adjoint((y + b) / (convolve2d(p, k, mode=there) + b)) / seen
        if config.strength > 0:
            prior = config.strength * float(problem.sigma) ** config.power
            new = new / (1 - prior * curvature(p, prior))
        new = new - b
        new = new - (p + b) * float(((seen * new).sum() - y.sum()) / (seen * (p + b)).sum())  # nothing is cut off here
        updates.append(new - p)
        x = new
        every.append(x)
    return every


@pytest.mark.parametrize("boundary", ["valid", "zero"])
@pytest.mark.parametrize(
    "config",
    [PLAIN, FAST, PENALISED, BOTH, READ_OUT],
    ids=NAMES,
)
def test_its_steps_are_what_the_formula_says(config: RichardsonLucyConfig, boundary: Any) -> None:
    problem = noisy(1, 1, 12, 13, boundary=boundary)
    for state, expected in zip(states(problem, config), plain(problem, config), strict=True):
        np.testing.assert_allclose(state.x[0, 0].numpy(), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("steps", [1, 4])
def test_far_from_the_border_it_is_scikit_image_s(steps: int) -> None:
    """Which starts from 1/2 and does not divide by A'1; each step carries that four pixels further in."""
    problem = noisy(1, 1, 48, 47, boundary="zero")
    assert isinstance(problem.operator, Blur)
    solver = RichardsonLucy(PLAIN).solver()
    state = solver.steps[0].init(problem)
    half = torch.full_like(state.x, 0.5)
    state = replace(state, x=half, before=half, residual=problem.residual(half))
    for _ in range(steps):
        state = solver.steps[0](problem, state)
    kernel = problem.operator.kernel[0, 0].numpy()
    expected = richardson_lucy(problem.observed[0, 0].numpy(), kernel, num_iter=steps, clip=False)
    inside = slice(4 * steps, -4 * steps)
    got = state.x[0, 0].numpy()
    np.testing.assert_allclose(got[inside, inside], expected[inside, inside], rtol=1e-9)
    assert float(np.abs(got - expected).max()) > 0.01


@pytest.mark.parametrize("boundary", ["valid", "zero", "circular", "replicate"])
@pytest.mark.parametrize("kernel", [(5, 5), (4, 7)], ids=str)
def test_the_likelihood_rises_with_every_step(kernel: tuple[int, int], boundary: Any) -> None:
    problem = noisy(1, 1, 20, 23, boundary=boundary, kernel=kernel)
    every = [likelihood(problem, state.x) for state in states(problem, replace(PLAIN, steps=40))]
    assert all(after >= before - 1e-10 for before, after in itertools.pairwise(every))
    assert every[-1] > every[0]


@pytest.mark.parametrize("boundary", ["valid", "zero"])
@pytest.mark.parametrize("steps", [10, 40])
def test_acceleration_gets_further_in_as_many_steps(steps: int, boundary: Any) -> None:
    problem = noisy(1, 1, 40, 43, boundary=boundary)
    fast, slow = (likelihood(problem, run(problem, replace(c, steps=steps))) for c in (FAST, PLAIN))
    far = likelihood(problem, run(problem, replace(PLAIN, steps=2 * steps)))
    assert slow < far < fast


@pytest.mark.parametrize("config", [PLAIN, FAST, PENALISED, BOTH, READ_OUT], ids=NAMES)
@pytest.mark.parametrize("boundary", ["valid", "zero", "circular", "replicate"])
@pytest.mark.parametrize("light", [1.0, 0.0, -0.3], ids=["bright", "black", "below zero"])
def test_light_is_kept(light: float, boundary: Any, config: RichardsonLucyConfig) -> None:
    """After each step <x, A'M 1>, the light of x that reaches the picture, is that of each channel's valid pixels."""
    problem = noisy(1, 2, 20, 23, boundary=boundary, sigma=0.02)
    mask = torch.ones(1, 1, 20, 23, dtype=torch.float64)
    mask[..., 5:9, 11:13] = 0
    if light != 1.0:
        dark = torch.where(problem.observed > problem.observed.median(), problem.observed, 0.0)
        problem = replace(problem, observed=dark + light)
    for masked in (problem, replace(problem, mask=mask)):
        weight = torch.ones_like(problem.observed) if masked.mask is None else mask.expand_as(problem.observed)
        assert problem.operator is not None
        seen = problem.operator.adjoint(weight)
        for state in states(masked, config)[1:]:
            reached = (state.x * seen).sum((-2, -1))
            torch.testing.assert_close(reached, (problem.observed * weight).sum((-2, -1)), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("boundary", ["valid", "zero", "circular", "replicate"])
def test_with_a_kernel_of_one_pixel_the_picture_stays(boundary: Any, generator: torch.Generator) -> None:
    y = 0.1 + torch.rand(1, 2, 9, 10, generator=generator, dtype=torch.float64)
    kernel = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    for config in (PLAIN, FAST):
        x = run(Problem(y, Blur(kernel, boundary), torch.tensor(0.01)), config)
        torch.testing.assert_close(x, y, rtol=1e-12, atol=0)


@pytest.mark.parametrize("boundary", ["valid", "zero"])
def test_a_truth_without_noise_is_a_fixed_point(boundary: Any) -> None:
    blur = Blur(kernel_of(5, 5), boundary)
    truth = scene(1, 1, *blur.domain_size(12, 13))
    problem = Problem(blur.forward(truth), blur, torch.tensor(0.01))
    step = RichardsonLucy(PLAIN).solver().steps[0]
    state = replace(step.init(problem), x=truth, before=truth, residual=problem.residual(truth))
    torch.testing.assert_close(step(problem, state).x, truth, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "config",
    [PLAIN, FAST, PENALISED, BOTH, READ_OUT],
    ids=NAMES,
)
def test_nothing_becomes_black(config: RichardsonLucyConfig, generator: torch.Generator) -> None:
    y = 0.3 * torch.randn(1, 2, 16, 17, generator=generator, dtype=torch.float64)
    for state in states(Problem(y, Blur(kernel_of(5, 5)), torch.tensor(0.3)), replace(config, steps=30)):
        assert float((state.x - state.lowest).min()) >= 0.99 * DARK
        assert bool(state.x.isfinite().all())


@pytest.mark.parametrize(
    "config",
    [PLAIN, FAST, PENALISED, BOTH, READ_OUT],
    ids=NAMES,
)
def test_the_state_knows_its_residual(config: RichardsonLucyConfig) -> None:
    problem = noisy(2, 3, 12, 13)
    for state in states(problem, config):
        torch.testing.assert_close(state.residual, problem.residual(state.x), rtol=0, atol=1e-14)
    result = RichardsonLucy(config).run(problem)
    torch.testing.assert_close(result.trace[-1], problem.fitting_error(result.x), rtol=1e-10, atol=0)


@pytest.mark.parametrize("discrepancy", [1.0, 1.3])
def test_it_ends_when_the_residual_is_as_small_as_the_noise(discrepancy: float) -> None:
    problem = noisy(2, 1, 30, 33, sigma=0.02)
    sigma = torch.tensor([0.02, 0.05], dtype=torch.float64)
    problem = Problem(problem.observed, problem.operator, sigma)
    result = RichardsonLucy(replace(PLAIN, steps=300, discrepancy=discrepancy)).run(problem)
    bound = 0.5 * 30 * 33 * (discrepancy * sigma) ** 2
    assert result.outcomes == (Outcome.CONVERGED, Outcome.CONVERGED)
    assert 300 > result.steps[0] > result.steps[1] >= 1
    for i, steps in enumerate(result.steps):
        assert float(result.trace[steps, i]) <= float(bound[i])
        assert steps == 1 or float(result.trace[steps - 1, i]) > float(bound[i])
        alone = states(Problem(problem.observed[i : i + 1], problem.operator, sigma[i]), replace(PLAIN, steps=steps))[
            -1
        ]
        torch.testing.assert_close(result.x[i : i + 1], alone.x, rtol=1e-12, atol=0)
    endless = RichardsonLucy(replace(PLAIN, steps=30)).run(problem)
    assert endless.steps == (30, 30)


def test_the_penalty_smooths_and_has_a_fixed_point() -> None:
    """A'1 = 1 here, so in the end 1 - A'(y / A x) = l div(D x / |D x|) + m, m being the multiplier of the flux."""
    problem = noisy(1, 1, 14, 15, boundary="circular", kernel=(3, 3))
    assert problem.operator is not None

    def length(x: Tensor) -> float:
        return float(x.diff(dim=-1).abs().sum() + x.diff(dim=-2).abs().sum())

    lengths = []
    for factor in (0.0, 3e-4, 1e-3):
        x = states(problem, replace(FAST, steps=1000, strength=factor, power=0.0))[-1].x
        lengths.append(length(x))
        if factor > 0:
            slope = 1 - problem.operator.adjoint(problem.observed / problem.operator.forward(x))[0, 0].numpy()
            pull = factor * curvature(x[0, 0].numpy(), factor)
            m = float((slope - pull).mean())
            assert 0 < m < factor
            np.testing.assert_allclose(slope - m, pull, rtol=0, atol=0.02 * float(np.abs(pull).max()))
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[2] < 0.8 * lengths[0]


def test_a_pixel_of_which_nothing_is_seen_stays() -> None:
    kernel = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    kernel[..., range(5), range(5)] = 0.2  # a diagonal: two corners of the domain reach no pixel of the picture
    problem = Problem(noisy(1, 1, 16, 17).observed, Blur(kernel), torch.tensor(0.02))
    start, x = problem.start(), run(problem, FAST)
    assert torch.equal(x[..., :2, -2:], start[..., :2, -2:])
    assert torch.equal(x[..., -2:, :2], start[..., -2:, :2])
    assert not bool((x[..., :2, :2] == start[..., :2, :2]).any())


@pytest.mark.parametrize("boundary", ["valid", "circular", "zero"])
@pytest.mark.parametrize("dims", [(-2,), (-1,), (-2, -1)], ids=str)
def test_a_mirror_image_is_restored_like_the_picture(dims: tuple[int, ...], boundary: Any) -> None:
    """Without the penalty, whose difference down and along know at which corner they meet."""
    problem = noisy(1, 2, 16, 15, boundary=boundary)
    assert isinstance(problem.operator, Blur)
    mirror = Blur(problem.operator.kernel.flip(dims), boundary)
    mirrored = Problem(problem.observed.flip(dims), mirror, problem.sigma)
    torch.testing.assert_close(run(mirrored, FAST), run(problem, FAST).flip(dims), rtol=1e-9, atol=0)


@pytest.mark.parametrize("boundary", ["valid", "circular"])
def test_rows_are_as_good_as_columns(boundary: Any) -> None:
    problem = noisy(1, 2, 16, 13, boundary=boundary, kernel=(5, 3))
    assert isinstance(problem.operator, Blur)
    kernel = problem.operator.kernel.mT.contiguous()
    turned = Problem(problem.observed.mT.contiguous(), Blur(kernel, boundary), problem.sigma)
    torch.testing.assert_close(run(turned, BOTH), run(problem, BOTH).mT, rtol=1e-9, atol=0)


@pytest.mark.parametrize("scale", [0.1, 50.0])
@pytest.mark.parametrize("boundary", ["valid", "circular"])
def test_scale_is_shared(boundary: Any, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end too; the penalty where l is without a unit and a flat slope has that of the picture."""
    problem = noisy(1, 2, 16, 15, boundary=boundary)
    assert problem.sigma is not None
    scaled = Problem(scale * problem.observed, problem.operator, scale * problem.sigma)
    for config in (replace(FAST, steps=60, discrepancy=1.0), replace(BOTH, power=0.0)):
        with monkeypatch.context() as patch:
            expected = RichardsonLucy(config).run(problem)
            patch.setattr("acutance.methods.richardson_lucy.FLAT", scale * FLAT)
            patch.setattr("acutance.methods.richardson_lucy.STABLE", scale * STABLE)
            got = RichardsonLucy(config).run(scaled)
        assert got.steps == expected.steps
        torch.testing.assert_close(got.x, scale * expected.x, rtol=1e-7, atol=0)


@pytest.mark.parametrize("config", [PLAIN, FAST, BOTH], ids=["plain", "accelerated", "both"])
def test_pictures_are_on_their_own(config: RichardsonLucyConfig) -> None:
    problem = noisy(2, 3, 16, 15)
    sigma = torch.tensor([0.02, 0.05], dtype=torch.float64)
    together = run(Problem(problem.observed, problem.operator, sigma), config)
    for i in range(2):
        alone = run(Problem(problem.observed[i : i + 1], problem.operator, sigma[i]), config)
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-11, atol=0)


@pytest.mark.parametrize("config", [PLAIN, PENALISED], ids=["plain", "penalised"])
def test_channels_are_on_their_own_without_acceleration(config: RichardsonLucyConfig) -> None:
    problem = noisy(1, 3, 16, 15)
    together = run(problem, config)
    for c in range(3):
        alone = run(replace(problem, observed=problem.observed[:, c : c + 1]), config)
        torch.testing.assert_close(together[:, c : c + 1], alone, rtol=1e-11, atol=0)


@pytest.mark.parametrize("config", [FAST, replace(BOTH, steps=60, discrepancy=1.0)], ids=["accelerated", "all"])
def test_grey_is_colour_with_three_equal_channels(config: RichardsonLucyConfig) -> None:
    grey = noisy(1, 1, 16, 15)
    colour = replace(grey, observed=grey.observed.expand(-1, 3, -1, -1))
    torch.testing.assert_close(run(colour, config), run(grey, config).expand(-1, 3, -1, -1), rtol=1e-9, atol=0)


@pytest.mark.parametrize("config", [replace(FAST, steps=60, discrepancy=1.0), replace(BOTH, steps=40)], ids=str)
def test_it_restores(config: RichardsonLucyConfig) -> None:
    problem = noisy(1, 3, 48, 44, sigma=0.01)
    assert problem.operator is not None
    truth = problem.operator.crop(scene(1, 3, 52, 48))
    assert float(psnr(problem.crop(run(problem, config)), truth)) > float(psnr(problem.observed, truth)) + 3


def test_it_needs_a_blur() -> None:
    with pytest.raises(ConfigError, match="needs a blur"):
        run(Problem(torch.rand(1, 1, 8, 8), None, torch.tensor(0.01)), PLAIN)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"strength": -1.0}, {"discrepancy": -0.5}], ids=str)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    assert build(accelerated=False).config.accelerated is False
    with pytest.raises(ConfigError, match="must be at least 1"):
        build(**wrong)
