"""RGDN: its update, its start, tiles, precision, batches, and the door it is built at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from acutance.errors import ConfigError, WeightsError
from acutance.frame import Frame
from acutance.methods.rgdn import SPEC, Rgdn, RgdnConfig, Unit, build
from acutance.operators import Blur
from acutance.problem import Problem, State
from acutance.solver import RelativeChange

FORMS = ("paper", "released")


def picture(*shape: int, seed: int = 1) -> Tensor:
    """A smooth picture with edges."""
    g = torch.Generator().manual_seed(seed)
    b, c, h, w = shape
    coarse = torch.rand(b, c, 2 + h // 12, 2 + w // 12, generator=g)
    smooth = nn.functional.interpolate(coarse, size=(h, w), mode="bicubic", align_corners=True)
    return 0.8 * smooth.clamp(0, 1) + 0.2 * (smooth > 0.5)


def blurred(b: int, h: int, w: int, *, boundary: Any = "valid", dtype: torch.dtype = torch.float32) -> Problem:
    g = torch.Generator().manual_seed(7)
    kernel = torch.rand(1, 1, 5, 5, generator=g) ** 3
    blur = Blur((kernel / kernel.sum()).to(dtype), boundary)
    y = blur.forward(picture(b, 3, *blur.domain_size(h, w)).to(dtype))
    return Problem(y + 0.01 * torch.randn(y.shape, generator=g).to(dtype), blur)


def perturbed(form: Any = "paper", *, features: int = 8, steps: int = 10, frame: Frame | None = None) -> Rgdn:
    """A network away from its start, yet still an optimiser that converges."""
    torch.manual_seed(11)
    model = Rgdn(RgdnConfig(form=form, features=features, steps=steps, threshold=0), frame=frame or Frame(tile=None))
    for p in model.parameters():
        p.data += 0.1 * p.data.std() * torch.randn(p.shape) if p.ndim > 1 else 0.05 * torch.randn(p.shape)
    return model.eval()


def same_weights(model: Rgdn, frame: Frame) -> Rgdn:
    other = Rgdn(model.config, frame=frame)
    other.load_state_dict(model.state_dict())
    return other.eval()


@pytest.mark.parametrize("form", FORMS)
def test_the_published_network_has_1259136_weights(form: Any) -> None:
    assert sum(p.numel() for p in Rgdn(RgdnConfig(form=form)).parameters()) == 1_259_136


@pytest.mark.parametrize("boundary", ["valid", "zero", "circular", "replicate"])
@pytest.mark.parametrize("form", FORMS)
def test_one_step_is_the_formula(form: Any, boundary: Any) -> None:
    model = perturbed(form, steps=1).double()
    problem = blurred(1, 20, 17, boundary=boundary, dtype=torch.float64)
    assert problem.operator is not None
    x = problem.operator.start(problem.observed)
    grad = problem.operator.adjoint(problem.operator.forward(x) - problem.observed)
    r, h, d = (stack.main for stack in (model.prior, model.adapter, model.scaler))
    with torch.no_grad():
        expected = x + d(h(grad) + r(x)) if form == "paper" else 0.8 * x + 0.2 * d(h(grad) - r(x))
    torch.testing.assert_close(model.run(problem).x, expected, rtol=1e-10, atol=1e-11)


def landweber(problem: Problem, steps: int) -> Tensor:
    x = problem.start()
    for _ in range(steps):
        x = x - problem.gradient(x)
    return x


@pytest.mark.parametrize("form", FORMS)
def test_without_its_random_part_the_untrained_network_is_landwebers_iteration(form: Any) -> None:
    model = Rgdn(RgdnConfig(form=form, features=8, steps=6, threshold=0), frame=Frame(tile=None))
    paper = form == "paper"
    model.adapter.start_as_identity(1.0, gain=16.0, residue=0.0)
    model.prior.start_as_identity(0.0 if paper else 0.2, gain=2.0, residue=0.0)
    model.scaler.start_as_identity(-1.0 if paper else -5.0, gain=8.0, residue=0.0)
    problem = blurred(1, 24, 21, dtype=torch.float64)
    expected = landweber(problem, 6)
    x = model.double().eval().run(problem).x
    # the normalisations' eps of 1e-5 is all that is left between the two
    assert float((x - expected).abs().max()) < 1e-3 * float((expected - problem.start()).abs().max())


@pytest.mark.parametrize("features", [16, 64])
@pytest.mark.parametrize("form", FORMS)
def test_the_untrained_network_is_an_optimiser(form: Any, features: int) -> None:
    torch.manual_seed(1)
    model = build(precision="float32", tile=None, form=form, features=features, steps=4, threshold=0)
    problem = blurred(1, 24, 21)
    result = model.run(problem)
    assert bool((result.trace.diff(dim=0) < 0).all()), "each step lowers the fitting error"
    assert float(result.trace[-1]) < 0.8 * float(result.trace[0])


@pytest.mark.parametrize("form", FORMS)
def test_explained_parts_add_up_to_the_step(form: Any) -> None:
    model, problem = perturbed(form).double(), blurred(1, 20, 17, dtype=torch.float64)
    unit = model.solver().steps[0]
    assert isinstance(unit, Unit)
    with torch.no_grad():
        state = State(problem.start() + 0.01)
        parts, after = unit.explain(problem, state), unit(problem, state).x
    assert list(parts) == ["H-input", "H-output", "R-output", "H+R", "D-output"]
    assert all(v.shape == state.x.shape for v in parts.values())
    sign = 1 if form == "paper" else -1
    torch.testing.assert_close(parts["H-input"], problem.gradient(state.x))
    torch.testing.assert_close(parts["H+R"], parts["H-output"] + sign * parts["R-output"])
    x, d = state.x, parts["D-output"]
    torch.testing.assert_close(after, x + d if form == "paper" else 0.8 * x + 0.2 * d, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("dtype", "steps", "bound"),
    [(torch.float32, 5, 1e-5), (torch.bfloat16, 10, 1 / 255)],
    ids=["float32", "bfloat16"],
)
def test_a_tiled_run_equals_the_whole_one(dtype: torch.dtype, steps: int, bound: float) -> None:
    model, problem = perturbed(steps=steps), blurred(1, 150, 135)
    whole = same_weights(model, Frame(dtype, None)).run(problem)
    tiled = same_weights(model, Frame(dtype, 64)).run(problem)
    assert whole.steps == tiled.steps == (steps,)
    assert float((whole.x - problem.start()).abs().max()) > 20 / 255, "the run is meant to do something"
    assert float((tiled.x - whole.x).abs().max()) < bound


def test_low_precision_stays_close() -> None:
    model, problem = perturbed(steps=5), blurred(1, 32, 30)
    exact = same_weights(model, Frame(torch.float32, None)).run(problem)
    low = same_weights(model, Frame(torch.bfloat16, None)).run(problem)
    assert low.x.dtype is torch.float32
    difference = (low.x - exact.x).abs()
    assert 0 < float(difference.max()) < 0.05
    assert float(difference.square().mean().sqrt()) < 1 / 255


@pytest.mark.parametrize(("form", "threshold"), [("paper", 0.02), ("released", 0.0)])
def test_a_batch_is_its_pictures(form: Any, threshold: float) -> None:
    model, problem = perturbed(form, steps=6).double(), blurred(3, 14, 17, dtype=torch.float64)
    problem = replace(problem, observed=problem.observed * torch.tensor([1.0, 0.3, 0.05]).reshape(3, 1, 1, 1))
    model.config = replace(model.config, threshold=threshold)
    together = model.run(problem)
    for i in range(3):
        alone = model.run(replace(problem, observed=problem.observed[i : i + 1]))
        assert together.steps[i] == alone.steps[0]
        torch.testing.assert_close(together.x[i : i + 1], alone.x, rtol=1e-9, atol=1e-10)


def test_training_and_evaluation_are_the_same_function_with_kept_statistics() -> None:
    model, problem = perturbed(steps=3).double(), blurred(1, 16, 16, dtype=torch.float64)
    folded = model.run(problem).x
    model.train()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.eval()
    *_, state = model.solver().iterate(problem)
    assert state.x.requires_grad
    torch.testing.assert_close(state.x.detach(), folded, rtol=1e-10, atol=1e-11)


def test_gradients_reach_every_weight() -> None:
    model, problem = perturbed(features=6, steps=2).train(), blurred(2, 16, 16)
    *_, state = model.solver().iterate(problem)
    state.x.square().mean().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert float(p.grad.abs().max()) > 0, name


def test_weights_go_round() -> None:
    model, problem = perturbed(features=6, steps=3), blurred(1, 16, 18)
    again = build(weights=model.state_dict(), precision="float32", tile=None, features=6, steps=3, threshold=0)
    assert torch.equal(again.run(problem).x, model.run(problem).x)


def test_the_run_does_not_touch_the_weights() -> None:
    model = perturbed(features=6, steps=3)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.run(blurred(1, 16, 16))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_any_kernel_size_and_none(scale: float) -> None:
    model = perturbed(features=6, steps=2)
    y = scale * picture(1, 3, 16, 18)
    for kernel in (torch.ones(1, 1, 1, 1), torch.ones(1, 1, 4, 9) / 36, torch.ones(1, 1, 15, 2) / 30, None):
        problem = Problem(y, None if kernel is None else Blur(kernel))
        x = model.run(problem).x
        assert problem.crop(x).shape == y.shape
        assert bool(torch.isfinite(x).all())


@pytest.mark.parametrize("steps", [1, 3])
def test_settings_reach_the_solver(steps: int) -> None:
    model = build(features=6, steps=steps, threshold=0.25)
    solver = model.solver()
    assert len(solver.steps) == steps
    assert solver.stop == RelativeChange(0.25)
    assert build(features=6, threshold=0).solver().stop is None
    assert not model.training


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"do not fit rgdn \(RgdnConfig\(.*features=6\b"):
        build(weights=Rgdn(RgdnConfig(features=8)).state_dict(), features=6)
    with pytest.raises(WeightsError, match="do not fit rgdn"):
        build(weights={"other": torch.zeros(1)}, features=6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "official"}, "form='official' is not one of paper, released"),
        ({"features": 5}, "features=5: at least 6"),
        ({"steps": 0}, "steps=0: at least one step"),
        ({"strength": 2}, "its settings are form, part, start, features, steps, threshold"),
        ({"precision": "half"}, "precision='half' is not one of"),
    ],
)
def test_settings_that_are_not_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**{"features": 6, **settings})


def test_its_row_of_the_catalogue() -> None:
    assert (SPEC.name, SPEC.aliases, SPEC.weights) == ("rgdn", ("rgdm",), "rgdn")
    assert SPEC.needs.channels == 3
    assert not SPEC.needs.sigma
