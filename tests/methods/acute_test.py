"""Acute: its bank against dense solves, its step by hand, masks, channels, tiles, precision, views, and its door."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from problems import dense, kernel_of, noisy, scene
from torch import Tensor, nn

from acutance.errors import ConfigError, WeightsError
from acutance.frame import Frame
from acutance.methods import acute
from acutance.methods.acute import SPEC, VIEWS, Acute, AcuteConfig, AcuteState, Bank, Descend, build
from acutance.methods.spec import settings_for
from acutance.networks.unet import UNetConfig
from acutance.operators import Blur, LinearOperator
from acutance.operators.filters import Difference
from acutance.problem import Outcome, Problem, Progress
from acutance.solver import Standstill

TINY: dict[str, Any] = {"widths": "8,8", "blocks": "1,1", "steps": 3}


def perturbed(frame: Frame | None = None, **settings: Any) -> Acute:
    """A small network away from its start, in float64: everything that can matter does."""
    g = torch.Generator().manual_seed(11)
    torch.manual_seed(11)
    model = Acute(AcuteConfig(**{**TINY, **settings}), frame or Frame(torch.float64, None)).double()
    for network in model.networks:
        network.gains.weight.data = 0.2 * torch.randn(network.gains.weight.shape, generator=g, dtype=torch.float64)  # type: ignore[union-attr]
        for layer in network.exits:  # type: ignore[union-attr]
            layer.weight.data.mul_(2)  # type: ignore[union-attr, operator]
    for p in model.bank.parameters():
        p.data *= 1 + 0.1 * torch.rand(p.shape, generator=g, dtype=torch.float64)
    return model.eval()


def same_weights(model: Acute, frame: Frame | None = None, **settings: Any) -> Acute:
    other = Acute(replace(model.config, **settings), frame or model.frame).to(model.bank.weight.dtype)
    other.load_state_dict(model.state_dict())
    return other.eval()


def untrained(**settings: Any) -> Acute:
    """The network adds nothing at all: what is left is the mean of the bank."""
    model = perturbed(**settings)
    for network in model.networks:
        for layer in network.exits:  # type: ignore[union-attr]
            layer.weight.data.zero_()  # type: ignore[union-attr, operator]
    return model


def step_of(model: Acute, number: int = 0) -> Descend:
    step = model.solver().steps[number]
    assert isinstance(step, Descend)
    return step


def masked(problem: Problem, share: float = 0.2) -> Problem:
    """The problem with some pixels not to be believed; their values are far off."""
    y = problem.observed
    g = torch.Generator().manual_seed(5)
    mask = (torch.rand(y.shape[0], 1, *y.shape[-2:], generator=g) > share).to(y)
    return replace(problem, observed=torch.where(mask > 0, y, 1 + y), mask=mask)


def blur_of(problem: Problem) -> Blur:
    assert isinstance(problem.blur, Blur)
    return problem.blur


def taps(*shape: int, seed: int = 8) -> Tensor:
    k = torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) ** 2
    return k / k.sum((-2, -1), keepdim=True)


def bank(size: int = 3, seed: int = 3) -> Bank:
    """Preconditioners away from their start, all different in all respects."""
    g = torch.Generator().manual_seed(seed)
    out = Bank(size).double()
    for p in out.parameters():
        p.data *= 1 + 0.3 * torch.rand(p.shape, generator=g, dtype=torch.float64)
    return out.requires_grad_(False)


def quadratic(bank: Bank, j: int, level: float, size: tuple[int, int]) -> Tensor:
    """R_j as a matrix: c s^(2 p) (e + D'D)."""
    rows, cols = (dense(Difference(axis, circular=True), size) for axis in ("rows", "columns"))  # type: ignore[arg-type]
    c, p, e = float(bank.log_strength[j].exp()), float(bank.power[j]), float(bank.log_constant[j].exp())
    identity = torch.eye(size[0] * size[1], dtype=torch.float64)
    return c * level ** (2 * p) * (e * identity + rows.T @ rows + cols.T @ cols)


# --- the bank ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", [(1, 1, 3, 5), (2, 1, 5, 4), (1, 3, 5, 5), (2, 3, 3, 3), (1, 1, 1, 1)], ids=str)
def test_the_bank_is_the_dense_solve(kernel: tuple[int, ...], generator: torch.Generator) -> None:
    """(A'A + R_j)^-1 A' r with matrices, for every picture, channel and preconditioner."""
    size, levels, preconditioners = (8, 10), (0.01, 0.04), bank()
    blur = Blur(taps(*kernel), "circular")
    residual = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64)
    gradient = blur.adjoint(residual)
    g = preconditioners(blur, gradient, torch.tensor(levels, dtype=torch.float64), torch.float64)
    assert g.shape == (2, 3, 3, *size)
    each = blur.kernel.expand(2, 3, -1, -1)
    for b in range(2):
        for c in range(3):
            a = dense(Blur(each[b : b + 1, c : c + 1], "circular"), size)
            for j in range(3):
                left = a.T @ a + quadratic(preconditioners, j, levels[b], size)
                expected = torch.linalg.solve(left, a.T @ residual[b, c].flatten())
                torch.testing.assert_close(g[b, j, c].flatten(), expected, rtol=1e-9, atol=1e-10)


def test_behind_an_unknown_border_it_is_the_solve_on_a_torus_that_is_fast(generator: torch.Generator) -> None:
    preconditioners, blur = bank(2), Blur(kernel_of(5, 3))
    gradient = blur.adjoint(torch.randn(1, 1, 7, 9, generator=generator, dtype=torch.float64))
    assert gradient.shape[-2:] == (11, 11)
    torus = (12, 12)
    g = preconditioners(blur, gradient, torch.tensor([0.02], dtype=torch.float64), torch.float64)
    extended = torch.zeros(torus, dtype=torch.float64)
    extended[:11, :11] = gradient[0, 0]
    k = dense(Blur(blur.kernel, "circular"), torus)
    for j in range(2):
        left = k.T @ k + quadratic(preconditioners, j, 0.02, torus)
        expected = torch.linalg.solve(left, extended.flatten()).reshape(torus)[:11, :11]
        torch.testing.assert_close(g[0, j, 0], expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kernel", [(1, 1, 5, 5), (2, 1, 3, 3), (1, 3, 3, 3), (2, 3, 5, 4)], ids=str)
@pytest.mark.parametrize("size", [(16, 16), (13, 11)], ids=str)
@torch.no_grad()
def test_large_pictures_are_solved_one_by_one(
    kernel: tuple[int, ...], size: tuple[int, int], generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    preconditioners, blur = bank(4), Blur(taps(*kernel))
    gradient = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64)
    level = torch.tensor([0.01, 0.05], dtype=torch.float64)
    for dtype in (torch.float64, torch.bfloat16):
        plain = preconditioners(blur, gradient, level, dtype)
        with monkeypatch.context() as patch:
            patch.setattr(acute, "LARGE", 1)
            large = preconditioners(blur, gradient, level, dtype)
        assert large.dtype is plain.dtype is dtype
        assert large.shape == plain.shape == (2, 4, 3, *size)
        torch.testing.assert_close(large, plain, rtol=1e-12, atol=1e-13)


def test_a_run_on_a_large_picture_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model, problem = perturbed(), masked(noisy(2, 3, 20, 17))
    plain = model.run(problem).x
    for module in ("acutance.methods.acute.LARGE", "acutance.operators.blur.LARGE"):
        monkeypatch.setattr(module, 1)
    torch.testing.assert_close(model.run(problem).x, plain, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("side", [1, 3, 5])
def test_kernels_of_the_channels_are_one_channel_problems(side: int, generator: torch.Generator) -> None:
    kernel, preconditioners = taps(1, 3, side, side), bank()
    gradient = torch.randn(1, 3, 14, 12, generator=generator, dtype=torch.float64)
    level = torch.tensor([0.02], dtype=torch.float64)
    together = preconditioners(Blur(kernel), gradient, level, torch.float64)
    for c in range(3):
        alone = preconditioners(Blur(kernel[:, c : c + 1]), gradient[:, c : c + 1], level, torch.float64)
        torch.testing.assert_close(together[:, :, c : c + 1], alone, rtol=1e-12, atol=1e-13)


def test_gradients_pass_through_the_bank_to_all_it_has_learned(generator: torch.Generator) -> None:
    preconditioners, blur = bank(2).requires_grad_(), Blur(kernel_of(3, 3))
    gradient = torch.randn(1, 1, 6, 5, generator=generator, dtype=torch.float64).requires_grad_()
    level = torch.tensor([0.02], dtype=torch.float64)
    learned = list(preconditioners.parameters())[:-1]  # the weight is not used in it

    def solved(gradient: Tensor, *_: Tensor) -> Tensor:
        out: Tensor = preconditioners(blur, gradient, level, torch.float64)
        return out

    assert torch.autograd.gradcheck(solved, (gradient, *learned))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_an_untrained_bank_goes_from_weak_to_strong(size: int) -> None:
    preconditioners = Bank(size)
    strengths = preconditioners.log_strength.detach().exp()
    assert bool((strengths.diff() > 0).all())
    assert float(preconditioners.weight.detach().sum()) == pytest.approx(1)
    if size == 4:
        assert strengths.tolist() == pytest.approx(acute.STRENGTHS, rel=1e-5)
    if size > 1:
        assert [float(strengths[0]), float(strengths[-1])] == pytest.approx([30, 10000], rel=1e-5)


def test_levels_below_the_least_are_the_least(generator: torch.Generator) -> None:
    preconditioners, blur = bank(), Blur(kernel_of(3, 3))
    gradient = torch.randn(1, 1, 8, 8, generator=generator, dtype=torch.float64)
    level = torch.tensor([0.0], dtype=torch.float64)
    none = preconditioners(blur, gradient, level, torch.float64)
    assert bool(torch.isfinite(none).all())
    assert torch.equal(none, preconditioners(blur, gradient, level + acute.LEAST_LEVEL, torch.float64))


# --- a step -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("boundary", ["valid", "zero", "circular", "replicate"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_step_is_the_formula(channels: int, boundary: Any) -> None:
    model, problem = perturbed(moments=3), masked(noisy(2, channels, 19, 18, boundary=boundary))
    problem = replace(problem, sigma=torch.tensor([0.01, 0.04], dtype=torch.float64))
    blur, config, mask = blur_of(problem), model.config, problem.mask
    assert mask is not None
    step, state = step_of(model), step_of(model).init(problem)
    x, memory = state.x, None
    for t in range(5):
        residual = mask * (blur.forward(x) - problem.observed)
        assert isinstance(problem.sigma, Tensor)
        g = model.bank(blur, blur.adjoint(residual), problem.sigma, torch.float64)
        height, width = x.shape[-2:]
        memory = x.new_zeros(2, config.memory, height, width) if memory is None else memory
        noise = 5 * problem.sigma.reshape(2, 1, 1, 1).expand(2, 1, height, width)
        unseen = 1 - blur.adjoint(mask)
        z = torch.cat((x, 5 * g.flatten(1, 2), noise, unseen, memory), 1)
        z = nn.functional.pad(z, (0, -width % 4, 0, -height % 4), mode="reflect")
        near = nn.functional.avg_pool2d(z[:, :channels], 9, 1, 4, count_include_pad=False)
        z = torch.cat((4 * (z[:, :channels] - near), z[:, channels:]), 1)
        moment = torch.nn.functional.one_hot(torch.tensor([min(t, 2)]), 3).double()
        condition = torch.cat((moment.expand(2, -1), 0.5 * problem.sigma.log()[:, None] + 2), 1)
        with torch.no_grad():
            out = model.networks[0](z, condition, (1, 3).index(channels))[..., :height, :width]
            mean = sum(w * g[:, j] for j, w in enumerate(model.bank.weight))
            x, memory = x - mean + out[:, :channels], out[:, channels:]
            state = step(problem, state)
        torch.testing.assert_close(state.x, x, rtol=1e-10, atol=1e-11)
        torch.testing.assert_close(state.memory, memory, rtol=1e-10, atol=1e-11)
        assert state.step == t + 1


@torch.no_grad()
def test_what_the_state_says_of_itself_is_true() -> None:
    model, problem = perturbed(steps=4), masked(noisy(2, 3, 15, 18))
    step, states = step_of(model), [step_of(model).init(problem)]
    for _ in range(4):
        states.append(step(problem, states[-1]))
    for t, state in enumerate(states):
        torch.testing.assert_close(state.residual, problem.residual(state.x), rtol=0, atol=1e-14)
        assert state.step == t
        assert state.memory.shape == (2, 4, *state.x.shape[-2:])
        for name in ("level", "condition", "unseen"):
            assert torch.equal(getattr(state, name), getattr(states[0], name)), f"{name} stays the same"
    assert float(states[0].memory.abs().max()) == 0
    torch.testing.assert_close(model.run(problem).x, states[-1].x, rtol=0, atol=0)


@pytest.mark.parametrize("told", [True, False])
@torch.no_grad()
def test_it_begins_where_a_classical_method_ends(told: bool) -> None:
    problem = masked(noisy(2, 3, 15, 18))
    problem = problem if told else replace(problem, sigma=None)
    state = step_of(perturbed()).init(problem)
    torch.testing.assert_close(state.level, problem.level())
    expected = acute.FIRST.run(replace(problem, sigma=problem.level())).x
    torch.testing.assert_close(state.x, expected, rtol=1e-10, atol=1e-11)


def test_with_one_preconditioner_and_no_network_it_is_regularised_least_squares() -> None:
    """On a circular problem one step answers argmin |A x - y|^2 + (x - x0)' R (x - x0)."""
    problem = noisy(1, 1, 8, 10, boundary="circular", kernel=(3, 3), sigma=0.03)
    model = untrained(bank=1, steps=1)
    model.bank.weight.data.fill_(1.0)
    k, y = dense(blur_of(problem), (8, 10)), problem.observed.flatten()
    r = quadratic(model.bank.requires_grad_(False), 0, 0.03, (8, 10))
    start = step_of(model).init(problem).x.flatten()
    expected = torch.linalg.solve(k.T @ k + r, k.T @ y + r @ start)
    torch.testing.assert_close(model.run(problem).x.flatten(), expected, rtol=1e-10, atol=1e-11)


def test_without_its_network_it_sharpens() -> None:
    torch.manual_seed(1)
    problem = noisy(1, 3, 40, 36, sigma=0.005)
    truth = scene(1, 3, *blur_of(problem).domain_size(40, 36))
    model = untrained(steps=3)
    for layer in model.networks[0].exits:
        nn.init.zeros_(layer.weight)

    def off(x: Tensor) -> float:
        return float(problem.crop(x - truth).square().mean())

    assert off(model.run(problem).x) < 0.7 * off(problem.start())


@pytest.mark.parametrize(("boundary", "mask"), [("valid", False), ("valid", True), ("circular", False)])
def test_unseen_is_the_light_that_was_not_observed(boundary: Any, mask: bool) -> None:
    problem = noisy(2, 3, 12, 13, boundary=boundary)
    problem = masked(problem) if mask else problem
    unseen = step_of(perturbed()).init(problem).unseen
    assert unseen.shape[-2:] == problem.start().shape[-2:]
    assert float(unseen.min()) > -1e-12
    assert float(unseen.max()) <= 1 + 1e-12
    inner = unseen[..., 4:-4, 4:-4]  # twice the radius from the border everything was seen
    if boundary == "circular":
        assert float(unseen.abs().max()) < 1e-12
    elif not mask:
        assert float(inner.abs().max()) < 1e-12
        assert float(unseen[..., 0, 0].min()) > 0.9
    else:
        assert float(inner.max()) > 0.1


@pytest.mark.parametrize("kernel", [(1, 1, 3, 3), (1, 3, 3, 3), (2, 3, 1, 3), (2, 1, 3, 3), (1, 3, 5, 5)], ids=str)
@pytest.mark.parametrize("mask", [None, 1, 2], ids=["no mask", "one mask", "two masks"])
def test_any_mixture_of_kernels_and_masks_runs(kernel: tuple[int, ...], mask: int | None) -> None:
    """Kernels and masks for each picture or for all, small kernels too, which are not convolved by FFT."""
    model, blur = perturbed(steps=2), Blur(taps(*kernel))
    y = blur.forward(scene(2, 3, *blur.domain_size(13, 14)))
    believed = None if mask is None else masked(Problem(y)).mask
    problem = Problem(y, blur, torch.tensor(0.01).double(), None if believed is None else believed[:mask])
    together = model.run(problem).x
    for i in range(2):
        own = None if problem.mask is None else problem.mask[i : i + 1] if mask == 2 else problem.mask
        single = Blur(blur.kernel[i : i + 1] if kernel[0] == 2 else blur.kernel)
        alone = model.run(Problem(y[i : i + 1], single, problem.sigma, own)).x
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-9, atol=1e-10)


# --- masks ------------------------------------------------------------------------------------------------------------


def test_a_masked_pixel_has_no_say() -> None:
    """Its value moves no gradient, none of g, none of a step: not by a bit, and autograd agrees."""
    model, problem = perturbed(), masked(noisy(1, 3, 14, 15))
    mask = problem.mask
    assert mask is not None
    other = replace(problem, observed=torch.where(mask > 0, problem.observed, -7.0))
    x = scene(1, 3, *problem.start().shape[-2:])
    step = step_of(model)
    with torch.no_grad():
        states = []
        for p in (problem, other):
            assert torch.equal(p.gradient(x), problem.gradient(x))
            state = replace(step.init(p), x=x, residual=p.residual(x))
            states.append(step(p, step(p, state)))
    for name in ("x", "residual", "memory", "unseen"):
        assert torch.equal(getattr(states[0], name), getattr(states[1], name)), name
    y = problem.observed.clone().requires_grad_()
    varied = replace(problem, observed=y, sigma=torch.tensor(0.02).double())
    state = replace(step.init(varied), x=x, residual=varied.residual(x))
    (felt,) = torch.autograd.grad(step(varied, state).x.square().sum(), y)
    assert float((felt * (1 - mask)).abs().max()) == 0
    assert float(felt.abs().max()) > 1e-3


def test_a_mask_of_ones_is_no_mask() -> None:
    model, problem = perturbed(), noisy(2, 3, 14, 15)
    ones = replace(problem, mask=torch.ones(1, 1, 14, 15))
    torch.testing.assert_close(model.run(ones).x, model.run(problem).x, rtol=1e-12, atol=1e-13)


def test_masks_help_where_pixels_are_wrong() -> None:
    """Without any training: the mean of the bank iterated fills in what is missing."""
    problem = noisy(1, 1, 30, 30, sigma=0.005)
    spoilt = masked(problem, 0.05)
    truth = problem.crop(scene(1, 1, *problem.start().shape[-2:]))
    model = untrained(steps=20)

    def off(p: Problem) -> float:
        return float((p.crop(model.run(p).x) - truth).square().mean())

    assert off(spoilt) < 0.3 * off(replace(spoilt, mask=None))


# --- channels ---------------------------------------------------------------------------------------------------------


def watched(model: Acute) -> list[tuple[str, tuple[int, ...]]]:
    """Which entrances and exits are gone through from now on, and by what."""
    seen: list[tuple[str, tuple[int, ...]]] = []

    def watch(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: seen.append((name, tuple(inputs[0].shape)))

    for name, module in model.named_modules():
        if ".entrances." in name or ".exits." in name:
            module.register_forward_hook(watch(name))
    return seen


@pytest.mark.parametrize(("channels", "which"), [(1, 0), (3, 1)])
def test_grey_costs_one_channel(channels: int, which: int) -> None:
    model, problem = perturbed(steps=2), noisy(1, channels, 16, 12)
    seen = watched(model)
    result = model.run(problem)
    assert result.x.shape == (1, channels, 20, 16)
    entrance = 4 * (channels * (1 + 4) + 2 + 4)  # x and four g, the noise level, what is unseen, four of memory
    assert (
        seen
        == [
            (f"networks.0.entrances.{which}", (1, entrance, 10, 8)),
            (f"networks.0.exits.{which}", (1, 8, 10, 8)),
        ]
        * 2
    )


@pytest.mark.parametrize("channels", [2, 4])
def test_other_numbers_of_channels_are_refused(channels: int) -> None:
    with pytest.raises(ConfigError, match=f"a picture of {channels} channels; acute takes 1 or 3"):
        perturbed().run(noisy(1, channels, 12, 12))


def test_without_a_blur_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs the blur"):
        perturbed().run(Problem(scene(1, 3, 12, 12)))


# --- what the settings do ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 5, 6, 7, 20])
def test_any_number_of_steps(steps: int) -> None:
    problem = noisy(1, 3, 14, 15)
    torch.manual_seed(3)
    result = build(**{**TINY, "steps": steps, "precision": "float32"}).double().run(problem)
    assert result.steps == (steps,)
    assert result.outcomes == (Outcome.COMPLETED,)
    assert result.trace.shape == (steps + 1, 1)
    assert bool(torch.isfinite(result.x).all())
    torch.testing.assert_close(result.trace[-1], problem.fitting_error(result.x))


def test_steps_beyond_the_moments_are_alike() -> None:
    """The network is told 0, 1, 2 and then 2 for good."""
    model, problem = perturbed(moments=3, steps=6), noisy(1, 1, 12, 12)
    conditions: list[Tensor] = []
    model.networks[0].register_forward_pre_hook(lambda module, inputs: conditions.append(inputs[1]))
    model.run(problem)
    assert [c[0, :3].tolist().index(1) for c in conditions] == [0, 1, 2, 2, 2, 2]
    assert all(c.shape == (1, 4) and float(c[0, :3].sum()) == 1 for c in conditions)


@pytest.mark.parametrize(
    "settings",
    [
        {"memory": 0},
        {"bank": 1},
        {"bank": 2, "memory": 1},
        {"bank": 7},
        {"units": 2},
        {"units": 2, "steps": 1},
        {"informed": False},
        {"moments": 1},
        {"widths": "8", "blocks": "2"},
        {"widths": "5,7,3", "blocks": "0,1,1"},
    ],
    ids=str,
)
@pytest.mark.parametrize("channels", [1, 3])
def test_any_setting_runs_and_learns(settings: dict[str, Any], channels: int) -> None:
    model, problem = perturbed(**settings), masked(noisy(2, channels, 13, 15))
    x = model.run(problem).x
    assert bool(torch.isfinite(x).all())
    assert float((x - problem.start()).abs().max()) > 1e-3
    *_, state = model.train().solver().iterate(problem)
    torch.testing.assert_close(state.x.detach(), x, rtol=1e-10, atol=1e-11)
    state.x.square().mean().backward()
    other = 1 if channels == 1 else 0
    for name, p in model.named_parameters():
        unused = f"entrances.{other}." in name or f"exits.{other}." in name
        unused |= name.startswith("networks.1.") and model.config.steps == 1
        assert (p.grad is None) == unused, name
        assert p.grad is None or float(p.grad.abs().max()) > 0, name


def test_two_units_are_one_for_the_first_step_and_one_for_the_others() -> None:
    model, problem = perturbed(units=2), noisy(1, 3, 12, 12)
    x = [same_weights(model, steps=n).run(problem).x for n in (1, 2)]
    model.networks[1].requires_grad_(False).gains.bias.add_(1)  # type: ignore[union-attr, operator]
    assert torch.equal(same_weights(model, steps=1).run(problem).x, x[0])
    assert float((same_weights(model, steps=2).run(problem).x - x[1]).abs().max()) > 1e-6
    assert step_of(model, 1).network is step_of(model, 2).network is model.networks[1]
    assert step_of(model, 0).network is model.networks[0]


@torch.no_grad()
def test_memory_is_remembered() -> None:
    model, problem = perturbed(), noisy(1, 3, 12, 12)
    step = step_of(model)
    state = step(problem, step.init(problem))
    forgetful = replace(state, memory=torch.zeros_like(state.memory))
    assert float(state.memory.abs().max()) > 1e-3
    assert float((step(problem, state).x - step(problem, forgetful).x).abs().max()) > 1e-4


def test_the_noise_level_is_used_where_it_may_be() -> None:
    problem = noisy(1, 3, 16, 16)
    low, high = (replace(problem, sigma=torch.tensor(s, dtype=torch.float64)) for s in (0.01, 0.05))
    unknown = replace(problem, sigma=None)
    model = perturbed()
    estimated = replace(problem, sigma=unknown.level())
    assert torch.equal(model.run(unknown).x, model.run(estimated).x), "estimated where it is not told"
    assert float((model.run(low).x - model.run(high).x).abs().max()) > 1e-3
    blind = perturbed(informed=False)
    assert torch.equal(blind.run(low).x, blind.run(high).x)
    assert torch.equal(blind.run(low).x, same_weights(blind, informed=True).run(low).x), "1 % is assumed"


def test_a_batch_is_its_pictures() -> None:
    model, problem = perturbed(), noisy(3, 3, 14, 17)
    problem = replace(problem, observed=problem.observed * torch.tensor([1.0, 0.3, 0.05]).reshape(3, 1, 1, 1))
    problem = masked(replace(problem, sigma=torch.tensor([0.01, 0.02, 0.005], dtype=torch.float64)))
    together = model.run(problem)
    for i in range(3):
        assert problem.mask is not None
        assert problem.sigma is not None
        one = replace(
            problem, observed=problem.observed[i : i + 1], sigma=problem.sigma[i], mask=problem.mask[i : i + 1]
        )
        torch.testing.assert_close(together.x[i : i + 1], model.run(one).x, rtol=1e-10, atol=1e-11)


def test_explained_parts_add_up_to_the_step() -> None:
    model, problem = perturbed(bank=3), masked(noisy(2, 3, 13, 14))
    step = step_of(model)
    with torch.no_grad():
        state = step(problem, step.init(problem))
        parts, after = step.explain(problem, state), step(problem, state)
    assert list(parts) == ["x-g1", "x-g2", "x-g3", "network"]
    assert all(v.shape == state.x.shape for v in parts.values())
    weights = model.bank.weight.detach()
    mean = sum(w * (state.x - parts[f"x-g{j + 1}"]) for j, w in enumerate(weights))
    torch.testing.assert_close(after.x, state.x - mean + parts["network"], rtol=1e-10, atol=1e-12)


class Opaque(LinearOperator):
    """A blur that does not tell that it is one."""

    def __init__(self, blur: Blur) -> None:
        self.blur = blur

    def forward(self, x: Tensor) -> Tensor:
        return self.blur.forward(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.blur.adjoint(y)


@pytest.mark.parametrize("kernel", [(3, 3), (5, 5)])
def test_an_operator_that_is_no_blur(kernel: tuple[int, int]) -> None:
    """A step knows what to do with it; but the classical method that it begins with does not, nor do views."""
    model, problem = perturbed(), noisy(1, 3, 16, 14, boundary="circular", kernel=kernel)
    hidden, step = replace(problem, blur=Opaque(blur_of(problem))), step_of(model)
    with torch.no_grad():
        state = step.init(problem)
        torch.testing.assert_close(step(hidden, state).x, step(problem, state).x, rtol=1e-9, atol=1e-10)
    for views in (1, 2):
        with pytest.raises(ConfigError, match=r"one kernel for the whole picture|give views=1"):
            same_weights(model, views=views).run(hidden)


# --- views ------------------------------------------------------------------------------------------------------------


def turned(z: Tensor, view: tuple[bool, bool, bool]) -> Tensor:
    transposed, rows, cols = view
    z = z.mT if transposed else z
    return z.flip([d for d, flip in ((-2, rows), (-1, cols)) if flip]) if rows or cols else z


def back(z: Tensor, view: tuple[bool, bool, bool]) -> Tensor:
    z = turned(z, (False, *view[1:]))
    return z.mT if view[0] else z


def seen_as(problem: Problem, view: tuple[bool, bool, bool]) -> Problem:
    assert problem.mask is not None
    blur = Blur(turned(blur_of(problem).kernel, view), blur_of(problem).boundary)
    return replace(problem, observed=turned(problem.observed, view), blur=blur, mask=turned(problem.mask, view))


def test_the_first_view_is_the_picture_itself_and_no_two_are_alike(generator: torch.Generator) -> None:
    assert VIEWS[0] == (False, False, False)
    x = torch.rand(1, 1, 5, 5, generator=generator)
    assert len({tuple(turned(x, v).flatten().tolist()) for v in VIEWS}) == len(VIEWS) == 8


@pytest.mark.parametrize("count", [2, 5, 8])
def test_views_are_the_mean_of_turned_problems(count: int) -> None:
    model, problem = perturbed(), masked(noisy(2, 3, 12, 17, kernel=(3, 5)))
    result = same_weights(model, views=count).run(problem)
    each = [back(model.run(seen_as(problem, v)).x, v) for v in VIEWS[:count]]
    torch.testing.assert_close(result.x, torch.stack(each).mean(0), rtol=1e-12, atol=1e-13)
    assert float((each[0] - each[1]).abs().max()) > 1e-4, "views differ, or there would be no point"
    torch.testing.assert_close(result.trace[-1], problem.fitting_error(result.x))
    assert result.trace.shape == (4, 2)


@pytest.mark.parametrize("view", VIEWS[1:], ids=str)
def test_with_all_views_it_does_not_matter_how_the_picture_is_held(view: tuple[bool, bool, bool]) -> None:
    model, problem = perturbed(steps=2, views=8), masked(noisy(1, 3, 12, 17, kernel=(3, 5)))
    expected = model.run(problem).x
    torch.testing.assert_close(back(model.run(seen_as(problem, view)).x, view), expected, rtol=1e-11, atol=1e-12)


def test_views_are_reported_one_after_the_other() -> None:
    seen: list[Progress] = []
    problem = noisy(1, 1, 12, 12)
    y = problem.observed.clone().requires_grad_()
    result = perturbed(views=3).run(replace(problem, observed=y), on_step=seen.append)
    assert [p.step for p in seen] == list(range(1, 10))
    assert all(p.steps == 9 for p in seen)
    assert not result.trace.requires_grad
    assert not result.x.requires_grad
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("views", [1, 4])
def test_seconds_end_a_run(views: int) -> None:
    problem = noisy(1, 1, 12, 12)
    result = perturbed(steps=20, seconds=1e-9, views=views).run(problem)
    assert result.steps == (1,), "one step at least"
    assert result.outcomes == (Outcome.EXHAUSTED,)
    patient = perturbed(steps=4, seconds=100.0, views=views).run(problem)
    assert patient.steps == (4,)
    assert patient.outcomes == (Outcome.COMPLETED,)
    torch.testing.assert_close(patient.x, perturbed(steps=4, views=views).run(problem).x, rtol=0, atol=0)


def test_the_seconds_are_those_of_all_views_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by a second with every step: 12 seconds are three for each of four views."""
    now = [0.0]
    call = Descend.__call__

    def slow(self: Descend, problem: Problem, state: AcuteState) -> AcuteState:
        now[0] += 1
        return call(self, problem, state)

    monkeypatch.setattr(Descend, "__call__", slow)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    result = perturbed(steps=20, seconds=12.0, views=4).run(noisy(1, 1, 12, 12))
    assert now == [12.0]
    assert result.steps == (3,)


def test_a_standstill_ends_a_run() -> None:
    problem = noisy(1, 1, 16, 16)
    result = untrained(steps=60, threshold=2e-3).run(problem)
    assert result.outcomes == (Outcome.CONVERGED,)
    assert 1 < result.steps[0] < 60


# --- tiles and precision ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_a_tiled_run_equals_the_whole_one(channels: int) -> None:
    problem = masked(noisy(1, channels, 90, 101))
    whole, tiled = perturbed(), perturbed(Frame(torch.float64, 16))
    calls = watched(tiled)
    x = tiled.run(problem).x
    assert len(calls) > 2 * 3 * 8, "many tiles"
    torch.testing.assert_close(x, whole.run(problem).x, rtol=0, atol=1e-11)


def test_low_precision_stays_close() -> None:
    model, problem = perturbed(steps=5).float(), noisy(1, 3, 33, 30)
    single = Problem(problem.observed.float(), Blur(blur_of(problem).kernel.float()), torch.tensor(0.02))
    exact = same_weights(model, Frame(torch.float32, None)).run(single)
    low = same_weights(model, Frame(torch.bfloat16, None)).run(single)
    assert low.x.dtype is torch.float32
    difference = (low.x - exact.x).abs()
    assert 0 < float(difference.max()) < 0.05
    assert float(difference.square().mean().sqrt()) < 1 / 255
    tiled = same_weights(model, Frame(torch.bfloat16, 8)).run(single)
    assert float((tiled.x - low.x).abs().max()) < 1 / 255


def test_single_precision_is_nearly_double() -> None:
    model, problem = perturbed(), noisy(1, 3, 24, 20)
    single = Problem(problem.observed.float(), Blur(blur_of(problem).kernel.float()), torch.tensor(0.02))
    exact = model.run(problem).x
    found = same_weights(model.float(), Frame(torch.float32, None)).run(single)
    assert found.x.dtype is found.trace.dtype is torch.float32
    assert float((found.x - exact).abs().max()) < 1e-4


def test_a_mask_of_another_type_changes_no_type() -> None:
    problem = noisy(1, 3, 14, 12)
    single = Problem(problem.observed.float(), Blur(blur_of(problem).kernel.float()), torch.tensor(0.02))
    mask = masked(problem).mask
    assert mask is not None
    model = build(precision="float32", **TINY)
    results = [model.run(replace(single, mask=mask.to(t))) for t in (torch.float32, torch.float64, torch.bool)]
    for result in results:
        assert result.x.dtype is result.trace.dtype is torch.float32
        assert torch.equal(result.x, results[0].x)


# --- the door ---------------------------------------------------------------------------------------------------------


def test_weights_go_round() -> None:
    model = perturbed().float()
    problem = noisy(1, 3, 16, 18)
    single = Problem(problem.observed.float(), Blur(blur_of(problem).kernel.float()))
    again = build(weights=model.state_dict(), precision="float32", tile=None, **TINY)
    assert torch.equal(again.run(single).x, same_weights(model, Frame(tile=None)).run(single).x)
    assert not again.training


def test_settings_of_use_do_not_change_the_weights() -> None:
    """What is trained with one of them runs with another."""
    model = perturbed().float()
    for settings in ({"steps": 9}, {"views": 8}, {"threshold": 0.1}, {"seconds": 1.0}, {"informed": False}):
        build(weights=model.state_dict(), **{**TINY, **settings})


@pytest.mark.parametrize(
    "settings",
    [{"widths": "8,10"}, {"blocks": "1,2"}, {"memory": 3}, {"bank": 5}, {"moments": 7}, {"units": 2}],
    ids=str,
)
def test_weights_of_another_network_are_refused(settings: dict[str, Any]) -> None:
    weights = perturbed().float().state_dict()
    with pytest.raises(WeightsError, match=r"do not fit acute \(AcuteConfig\(widths="):
        build(weights=weights, **{**TINY, **settings})


def test_weights_of_something_else_are_refused() -> None:
    with pytest.raises(WeightsError, match="do not fit acute"):
        build(weights={"other": torch.zeros(1)}, **TINY)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps=0: at least one step"),
        ({"bank": 0}, "bank=0, .*: out of range"),
        ({"bank": 65}, "bank=65, .*: out of range"),
        ({"memory": -1}, "memory=-1, .*: out of range"),
        ({"moments": 0}, "moments=0: out of range"),
        ({"views": 0}, "views=0: between 1 and 8"),
        ({"views": 9}, "views=9: between 1 and 8"),
        ({"units": 3}, "units=3: 1 or 2"),
        ({"widths": "8,x"}, "widths='8,x': write whole numbers"),
        ({"widths": ""}, "widths='': write whole numbers"),
        ({"blocks": "1,,1"}, "blocks='1,,1': write whole numbers"),
        ({"blocks": "1"}, "give one of each for every level"),
        ({"widths": "8,0"}, "out of any sensible range"),
        ({"widths": 8}, "widths=8 is no str"),
        ({"informed": 1}, "informed=1 is no bool"),
        ({"threshold": math.inf}, "threshold=inf is no finite number"),
        ({"strength": 2}, "its settings are widths, blocks, memory, bank"),
        ({"precision": "half"}, "precision='half' is not one of"),
    ],
    ids=str,
)
def test_settings_that_are_not_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**{**TINY, **settings})


def test_settings_reach_the_solver() -> None:
    model = build(**{**TINY, "steps": 7, "threshold": 0.25, "seconds": 3.0})
    solver = model.solver()
    assert len(solver.steps) == 7
    assert solver.stop == Standstill(0.25)
    assert solver.seconds == 3.0
    assert build(**TINY).solver().stop is None


def test_its_row_of_the_catalogue() -> None:
    assert (SPEC.name, SPEC.weights) == ("acute", "acute")
    assert SPEC.needs.channels is None
    assert SPEC.needs.mask
    assert not SPEC.needs.sigma
    assert SPEC.needs.halo == AcuteConfig().halo == UNetConfig().halo + 8
    assert UNetConfig() == AcuteConfig().unet, "the defaults are said twice"


@pytest.mark.parametrize("quality", SPEC.qualities)
def test_its_qualities_are_settings(quality: str) -> None:
    model = build(**{**TINY, **settings_for(SPEC, quality)})
    assert model.run(Problem(torch.rand(1, 1, 12, 12), Blur(kernel_of(3, 3).float()))).steps == (model.config.steps,)


def test_equal_seeds_give_equal_weights() -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(5)
        drawn.append(build(**TINY).state_dict())
    assert all(torch.equal(v, drawn[1][k]) for k, v in drawn[0].items())
