"""A step of Acute by hand, what it starts from, remembers, is told and learns, and what its state says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from acute_problems import blur_of, masked, perturbed, quadratic, same_weights, step_of, untrained
from problems import dense, noisy, scene
from torch import Tensor, nn

from acutance.errors import ConfigError
from acutance.methods import acute
from acutance.methods.classical import FIRST, classical
from acutance.noise.level import level_of
from acutance.operators import Blur, LinearOperator


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
        for name in ("level", "unseen"):
            assert torch.equal(getattr(state, name), getattr(states[0], name)), f"{name} stays the same"
    assert float(states[0].memory.abs().max()) == 0
    torch.testing.assert_close(model.run(problem).x, states[-1].x, rtol=0, atol=0)


@pytest.mark.parametrize("told", [True, False])
@torch.no_grad()
def test_it_begins_where_a_classical_method_ends(told: bool) -> None:
    problem = masked(noisy(2, 3, 15, 18))
    problem = problem if told else replace(problem, sigma=None)
    state = step_of(perturbed()).init(problem)
    torch.testing.assert_close(state.level, level_of(problem))
    expected = FIRST.run(replace(problem, sigma=level_of(problem))).x
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
    problem = noisy(1, 3, 40, 36, sigma=0.005)
    truth = scene(1, 3, *blur_of(problem).domain_size(40, 36))
    model = untrained(steps=3)

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


@torch.no_grad()
def test_memory_is_remembered() -> None:
    model, problem = perturbed(), noisy(1, 3, 12, 12)
    step = step_of(model)
    state = step(problem, step.init(problem))
    forgetful = replace(state, memory=torch.zeros_like(state.memory))
    assert float(state.memory.abs().max()) > 1e-3
    assert float((step(problem, state).x - step(problem, forgetful).x).abs().max()) > 1e-4


def test_steps_beyond_the_moments_are_alike() -> None:
    """The network is told 0, 1, 2 and then 2 for good."""
    model, problem = perturbed(moments=3, steps=6), noisy(1, 1, 12, 12)
    conditions: list[Tensor] = []
    model.networks[0].register_forward_pre_hook(lambda module, inputs: conditions.append(inputs[1]))
    model.run(problem)
    assert [c[0, :3].tolist().index(1) for c in conditions] == [0, 1, 2, 2, 2, 2]
    assert all(c.shape == (1, 4) and float(c[0, :3].sum()) == 1 for c in conditions)


def test_two_units_are_one_for_the_first_step_and_one_for_the_others() -> None:
    model, problem = perturbed(units=2), noisy(1, 3, 12, 12)
    x = [same_weights(model, steps=n).run(problem).x for n in (1, 2)]
    model.networks[1].requires_grad_(False).gains.bias.add_(1)  # type: ignore[union-attr, operator]
    assert torch.equal(same_weights(model, steps=1).run(problem).x, x[0])
    assert float((same_weights(model, steps=2).run(problem).x - x[1]).abs().max()) > 1e-6
    assert step_of(model, 1).network is step_of(model, 2).network is model.networks[1]
    assert step_of(model, 0).network is model.networks[0]


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
    """A step knows what to do with it, and there is a start; views are refused."""
    model, problem = perturbed(), noisy(1, 3, 16, 14, boundary="circular", kernel=kernel)
    hidden, step = replace(problem, operator=Opaque(blur_of(problem))), step_of(model)
    with torch.no_grad():
        state = step.init(problem)
        torch.testing.assert_close(step(hidden, state).x, step(problem, state).x, rtol=1e-9, atol=1e-10)
        quadratic = FIRST.solver().steps[0].init(problem).x  # solved there in closed form
    begun, least = problem.start(), classical(hidden)
    assert float((least - quadratic).norm()) < 0.2 * float((begun - quadratic).norm())
    assert problem.fitting_error(same_weights(model, views=1).run(hidden).x).isfinite().all()
    with pytest.raises(ConfigError, match="give views=1"):
        same_weights(model, views=2).run(hidden)


@pytest.mark.parametrize("size", [(3, 4), (9, 9), (21, 8)])
def test_the_local_mean_is_that_of_the_pixels_there_are(size: tuple[int, int], generator: torch.Generator) -> None:
    x, r = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64), acute.WINDOW // 2
    expected = torch.empty_like(x)
    for i in range(size[0]):
        for j in range(size[1]):
            square = x[..., max(0, i - r) : i + r + 1, max(0, j - r) : j + r + 1]
            expected[..., i, j] = square.mean((-2, -1))
    torch.testing.assert_close(acute.local_mean(x), expected)


@torch.no_grad()
def test_the_network_is_told_whether_the_blur_is_exact() -> None:
    model, problem = perturbed(flagged=True), noisy(2, 3, 15, 18)
    assert model.networks[0].gains.weight.shape[1] == model.config.moments + 2
    step = step_of(model)

    def x(approximate: Tensor | None) -> Tensor:
        told = replace(problem, approximate=approximate)
        return step(told, step.init(told)).x

    exact, mixed = x(None), x(torch.tensor([0.0, 1.0]))
    assert torch.equal(x(torch.zeros(2)), exact)
    assert torch.equal(mixed[0], exact[0])
    assert not torch.equal(mixed[1], exact[1])
    assert torch.equal(x(torch.ones(())), x(torch.ones(2)))
    plain = step_of(perturbed())
    one, other = (replace(problem, approximate=a) for a in (None, torch.ones(2)))
    assert torch.equal(plain(one, plain.init(one)).x, plain(other, plain.init(other)).x)
