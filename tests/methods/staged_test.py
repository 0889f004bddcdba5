"""FDN, CSF, TNRD and GradNet: each stage against its formula on a small problem, and what untrained stages are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from acutance.errors import ConfigError, WeightsError
from acutance.methods import csf, fdn, gradnet
from acutance.methods.adjusted import STRENGTH, AdjustedState, Scene, regularised_inverse, taper
from acutance.methods.spec import find
from acutance.metrics import psnr
from acutance.operators import Blur, BlurField
from acutance.problem import Problem
from acutance.restoration.restorer import Restorer
from acutance.weights import embedded_names

SIDE = 8
KERNEL = torch.tensor([[0.0, 0.1, 0.3], [0.2, 0.2, 0.1], [0.0, 0.1, 0.0]], dtype=torch.float64)[None, None]
LEVEL = torch.tensor([0.02], dtype=torch.float64)
NAMES = ("fdn", "csf", "tnrd", "gradnet")


def drawn(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def built(name: str, **settings: Any) -> Any:
    """The method in float64, its weights a little off their start, the same each time."""
    torch.manual_seed(0)
    method = find(name).build(weights=None, precision="float64", tile=None, **settings).double()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for p in method.parameters():
            p += 0.05 * torch.randn(p.shape, generator=generator, dtype=torch.float64)
    return method


def circular_problem() -> Problem:
    return Problem(drawn(1, 1, SIDE, SIDE), Blur(KERNEL, "circular"), LEVEL)


def matrix(apply: Any) -> Tensor:
    """The matrix of a linear map between pictures of SIDE x SIDE."""
    units = torch.eye(SIDE**2, dtype=torch.float64).reshape(-1, 1, SIDE, SIDE)
    return torch.stack([apply(u[None])[0].flatten() for u in units], 1)


def filters(bank: Any) -> list[Tensor]:
    """Circular correlations with each filter as matrices."""
    around = bank.side // 2

    def one(i: int) -> Tensor:
        return matrix(lambda x: torch.nn.functional.conv2d(
            torch.nn.functional.pad(x, [around] * 4, mode="circular"), bank.kernels()[i : i + 1]))  # fmt: skip

    return [one(i) for i in range(len(bank.kernels()))]


@pytest.mark.parametrize("name", ["fdn", "csf"])
@torch.no_grad()
def test_a_division_is_the_dense_solution(name: str) -> None:
    method, problem = built(name, stages=1, side=3, start="tapered"), circular_problem()
    stage, y = method.stages[0], problem.observed
    k = matrix(problem.operator.forward)  # type: ignore[union-attr]
    bank = stage.filters if name == "fdn" else stage.field.bank
    f = filters(bank)
    if name == "fdn":
        extra = stage(y).flatten()
    else:
        gain = float((LEVEL / csf.STANDARD) ** stage.gain)
        response = torch.stack([m @ y.flatten() for m in f])[None, :, None] / gain
        shrunk = gain * stage.field.functions(response)[0, :, 0]
        extra = torch.stack([m.T @ z for m, z in zip(f, shrunk, strict=True)]).sum(0)
    w = float(stage.weight(LEVEL))
    expected = torch.linalg.solve(w * k.T @ k + sum(m.T @ m for m in f), w * k.T @ y.flatten() + extra)
    torch.testing.assert_close(method.run(problem).x.flatten(), expected)


@torch.no_grad()
def test_gradnet_is_the_preconditioned_gradient() -> None:
    method, problem = built("gradnet", stages=1, side=3), circular_problem()
    stage, y = method.stages[0], problem.observed
    k, f = matrix(problem.operator.forward), filters(stage.field.bank)  # type: ignore[union-attr]
    residual = k @ y.flatten() - y.flatten()
    uncertain = float(torch.exp(2 * stage.log_uncertain)) * float(KERNEL.square().sum())
    w = float(torch.exp(stage.log_weight)) / (float(residual.square().mean()) + uncertain)
    g = w * k.T @ residual + stage(y).flatten()
    expected = y.flatten() - torch.linalg.solve(w * k.T @ k + sum(m.T @ m for m in f), g)
    torch.testing.assert_close(method.run(problem).x.flatten(), expected)


@torch.no_grad()
def test_tnrd_is_a_gradient_step() -> None:
    method, problem = built("tnrd", stages=1), circular_problem()
    stage = method.stages[0]
    x = regularised_inverse(problem, LEVEL)
    data, prior = stage.weights(LEVEL)
    expected = x - data * problem.gradient(x) - prior * stage(x, LEVEL)
    torch.testing.assert_close(method.run(problem).x, expected)


@torch.no_grad()
def test_the_start_of_tnrd_is_the_dense_solution() -> None:
    problem = circular_problem()
    k = matrix(problem.operator.forward)  # type: ignore[union-attr]
    d = [matrix(lambda x, dim=dim: torch.roll(x, -1, dim) - x) for dim in (-2, -1)]
    weight = STRENGTH * float(LEVEL) ** 2
    normal = k.T @ k + weight * sum(m.T @ m for m in d)
    expected = torch.linalg.solve(normal, k.T @ problem.observed.flatten())
    found = regularised_inverse(problem, LEVEL).flatten()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_the_adjusted_picture_is_what_was_observed_and_the_blurred_estimate() -> None:
    mask, saturated = torch.ones(1, 1, 10, 12).double(), torch.zeros(1, 1, 10, 12).double()
    mask[..., 3:5, 3:5], saturated[..., 6, 7:10] = 0, 1
    y, blur = drawn(1, 1, 10, 12), Blur(KERNEL)
    scene = Scene.of(Problem(y, blur, LEVEL, mask=mask, saturated=saturated))
    x = drawn(1, 1, *scene.size, seed=2)
    adjusted = scene.adjusted(x)[..., 1:11, 1:13]
    blurred = blur.forward(x)[..., :10, :12]  # the domain begins in the corner of the torus
    expected = torch.where(saturated > 0, torch.maximum(y, blurred), torch.where(mask > 0, y, blurred))
    torch.testing.assert_close(adjusted, expected)


def test_tapered_edges_meet() -> None:
    x = torch.linspace(0, 1, 24, dtype=torch.float64).expand(1, 1, 24, 24)
    blur = Blur(torch.full((1, 1, 7, 7), 1 / 49, dtype=torch.float64))
    tapered = taper(x, blur.kernel, blur.otf(24, 24))
    jump = float((tapered[..., 0] - tapered[..., -1]).abs().max())
    assert jump < 0.4
    torch.testing.assert_close(tapered[..., 9:15, 9:15], x[..., 9:15, 9:15], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_channels_are_restored_alone(name: str) -> None:
    method = built(name, stages=2)
    y = drawn(1, 3, 9, 11)
    problem = Problem(y, Blur(KERNEL), LEVEL)
    together = method.run(problem).x
    torch.testing.assert_close(together[:, 1:2], method.run(problem.channel(1)).x)


@pytest.mark.parametrize("name", NAMES)
def test_fewer_stages_are_the_first_ones(name: str) -> None:
    method, problem = built(name, stages=3), Problem(drawn(1, 1, 9, 11), Blur(KERNEL), LEVEL)
    first = method.solver().run(problem, keep=True).iterates[1]
    method.config = replace(method.config, steps=2)
    torch.testing.assert_close(method.run(problem).x, first)


@pytest.mark.parametrize("boundary", ["valid", "zero", "circular"])
@torch.no_grad()
def test_the_inverse_is_where_the_blur_expects_it(boundary: Any) -> None:
    """Without noise, blurring it gives the observed picture back inside the frame."""
    blur = Blur(KERNEL, boundary)
    smooth = torch.sin(torch.arange(24, dtype=torch.float64) / 3)[:, None] * torch.cos(torch.arange(20) / 4.0).double()
    problem = Problem(blur.forward(smooth[None, None]), blur, torch.tensor([1e-4], dtype=torch.float64))
    state = AdjustedState.first(problem, torch.tensor([1e-4], dtype=torch.float64), "inverse")
    inside = (..., slice(3, -3), slice(3, -3))
    torch.testing.assert_close(blur.forward(state.x)[inside], problem.observed[inside], rtol=0, atol=1e-3)
    torch.testing.assert_close(state.x, regularised_inverse(problem, state.level))
    assert state.picture.shape[-2:] == state.scene.size


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("stages", "steps", "message"), [(0, None, "stages=0"), (3, 4, "steps=4"), (3, 0, "steps=0")])
def test_impossible_numbers_of_stages_are_refused(name: str, stages: int, steps: int | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find(name).build(weights=None, stages=stages, steps=steps)


@pytest.mark.parametrize("name", ["fdn", "csf", "tnrd"])
def test_an_unknown_start_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="start='warm' is not one of"):
        find(name).build(weights=None, start="warm")


@pytest.mark.parametrize("name", ["fdn", "csf", "gradnet"])
def test_a_blur_that_changes_over_the_picture_is_refused(name: str) -> None:
    field = BlurField(KERNEL.float()[None].expand(2, 2, -1, -1, -1))
    with pytest.raises(ConfigError, match="one kernel for the whole picture"):
        find(name).build(weights=None, stages=1).run(Problem(torch.rand(1, 1, 12, 12), field, torch.tensor([0.01])))


@pytest.mark.parametrize("name", NAMES)
def test_it_has_weights_or_says_what_is_missing(name: str) -> None:
    if name in embedded_names():
        assert Restorer.load(name).weights is not None
        return
    with pytest.raises(WeightsError, match=f"no weights named '{name}' are shipped; give a file"):
        Restorer.load(name)


def chessboard() -> tuple[Problem, Tensor]:
    """A chessboard behind a line of 7 pixels, with 0.2 % of noise, and the sharp picture in its frame."""
    rows, columns = torch.meshgrid(torch.arange(60), torch.arange(60), indexing="ij")
    sharp = ((rows // 9 + columns // 9) % 2).double()[None, None]
    blur = Blur(torch.full((1, 1, 1, 7), 1 / 7, dtype=torch.float64))
    y = blur.forward(sharp)
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Problem(y + 0.002 * noise, blur, torch.tensor([0.002], dtype=torch.float64)), blur.crop(sharp)


@pytest.mark.parametrize(("name", "decibels"), [("fdn", 3), ("csf", 3), ("tnrd", 3), ("gradnet", 1)])
def test_untrained_stages_sharpen(name: str, decibels: float) -> None:
    """They start as a regularised inverse; GradNet, which is not told the level, trusts the picture step by step."""
    problem, sharp = chessboard()
    method = find(name).build(weights=None, precision="float64").double()
    restored = problem.crop(method.run(problem).x)
    assert float(psnr(restored, sharp)) > float(psnr(problem.observed, sharp)) + decibels


def test_states_of_a_chain_count_their_steps() -> None:
    method, problem = built("fdn", stages=2, features=4), Problem(drawn(1, 1, 9, 11), Blur(KERNEL), LEVEL)
    with torch.no_grad():
        states = list(method.solver().iterate(problem))
    assert [s.step for s in states] == [1, 2]
    assert all(isinstance(s, AdjustedState) for s in states)


def model(seed: int, side: int) -> tuple[list[list[Tensor]], Tensor, Tensor, Tensor]:
    """A model of CSF in the form of the authors: two stages of two filters."""
    bank = [[drawn(side, side, seed=seed + 2 * t + i) for i in range(2)] for t in range(2)]
    bank = [[f - f.mean() for f in stage] for stage in bank]
    means = torch.arange(-40.0, 41, 10, dtype=torch.float64)
    return bank, 10 * drawn(2, 2, 9, seed=seed), drawn(2, seed=seed) + 0.1, means


@torch.no_grad()
def test_converted_csf_is_the_authors_stage() -> None:
    bank, weights, data, means = model(3, 3)
    tensors, settings = csf.convert(bank, weights, data, means, 2.55)
    method = find("csf").build(weights=tensors, precision="float64", tile=None, **settings).double()
    method.load_state_dict(tensors)
    x = 255 * drawn(1, 1, SIDE, SIDE)
    total = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.float64)
    for f, w in zip(bank[0], weights[0], strict=True):  # convolve, shrink, correlate; the authors' units are greys
        convolved = torch.nn.functional.conv2d(
            torch.nn.functional.pad(x, [1] * 4, mode="circular"), torch.flip(f, (0, 1))[None, None]
        )
        z = convolved.clamp(-40, 40)
        shrunk = (w * torch.exp(-0.5 * ((z[..., None] - means) / 10) ** 2)).sum(-1) + convolved - z
        total += torch.nn.functional.conv2d(torch.nn.functional.pad(shrunk, [1] * 4, mode="circular"), f[None, None])
    stage = method.stages[0]
    found = 255 * stage(csf.circular(x / 255, 2), LEVEL)[..., 2:-2, 2:-2]
    torch.testing.assert_close(found, total, rtol=1e-3, atol=0.05)
    assert float(stage.weight(LEVEL)) == pytest.approx(float(data[0]))


def test_filters_that_do_not_sum_to_0_are_refused() -> None:
    bank, weights, data, means = model(3, 3)
    bank[1][0] = bank[1][0] + 1
    with pytest.raises(WeightsError, match="stage 2 does not sum to 0"):
        csf.convert(bank, weights, data, means, 2.55)


@pytest.mark.parametrize("name", ["stage1/conv9/kernel", "conv1/kernel", "stage1/kernel", "stage1/conv1/gamma"])
def test_what_is_not_the_authors_fdn_is_refused(name: str) -> None:
    with pytest.raises(WeightsError, match="is no array of the authors' FDN"):
        fdn.convert({name: torch.zeros(3, 3, 1, 32)})


def test_gradnet_is_blind_to_the_told_level() -> None:
    method, problem = built("gradnet", stages=2), Problem(drawn(1, 1, 9, 11), Blur(KERNEL), LEVEL)
    assert torch.equal(method.run(problem).x, method.run(replace(problem, sigma=10 * LEVEL)).x)
    assert not gradnet.SPEC.needs.sigma
