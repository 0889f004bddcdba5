"""What every method of the catalogue promises; a new one is tested without being named here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_methods import SMALL, kernel_of
from torch import Tensor, nn

from acutance.errors import ConfigError, UnknownMethod
from acutance.methods.capabilities import Explains, Iterative
from acutance.methods.spec import MethodSpec, catalogue, find
from acutance.noise.level import level_of
from acutance.operators import Blur
from acutance.problem import Method, Outcome, Problem, Progress, Result

BIBLIOGRAPHY = Path(__file__).resolve().parents[2] / "docs" / "references.bib"


@pytest.fixture(params=list(catalogue()))
def spec(request: pytest.FixtureRequest) -> MethodSpec:
    return catalogue()[request.param]


def network(spec: MethodSpec) -> dict[str, Any]:
    """What a method with weights takes besides its settings."""
    return {} if spec.weights is None else {"weights": None, "device": "cpu", "precision": "float32", "tile": None}


@pytest.fixture
def method(spec: MethodSpec) -> Iterator[Method]:
    torch.manual_seed(1)
    yield spec.build(**network(spec), **SMALL.get(spec.name, {}))
    assert torch.is_grad_enabled(), "a run leaves the gradient mode as it was"


def point(side: int) -> Tensor:
    k = torch.zeros(1, 1, side, side)
    k[..., side // 2, side // 2] = 1
    return k


def problem_for(
    spec: MethodSpec,
    *,
    batch: int = 1,
    channels: int = 3,
    size: tuple[int, int] = (20, 23),
    kernel: Tensor | None = None,
    boundary: Any = "valid",
    level: float = 0.5,
) -> Problem:
    """A blurred noisy picture in the form that the method asks for; grey in equal channels where it takes colour."""
    g = torch.Generator().manual_seed(5)
    blur = Blur(kernel_of(5, 4) if kernel is None else kernel, boundary)
    sharp = level * torch.rand(batch, channels, *blur.domain_size(*size), generator=g)
    y = blur.forward(sharp)
    y = y + 0.01 * torch.randn(y.shape, generator=g)
    if spec.needs.channels is not None and channels == 1:
        y = y.expand(-1, spec.needs.channels, -1, -1)
    return Problem(y, blur if spec.needs.kernel else None, torch.full((batch,), 0.01) if spec.needs.sigma else None)


def check(problem: Problem, result: Result) -> None:
    batch = problem.observed.shape[0]
    assert result.x.shape == problem.start().shape
    assert result.x.dtype is problem.observed.dtype
    assert problem.crop(result.x).shape == problem.observed.shape
    assert bool(torch.isfinite(result.x).all())
    assert bool(torch.isfinite(result.trace).all())
    assert result.trace.ndim == 2
    assert result.trace.shape[0] >= 2
    assert result.trace.shape[1] == len(result.outcomes) == len(result.steps) == batch
    assert not result.x.requires_grad
    if result.kernel is not None and result.kernel.shape[-1] > 1:
        return  # the errors are those behind the kernel that was found
    torch.testing.assert_close(result.trace[0], problem.fitting_error(problem.start()))
    torch.testing.assert_close(result.trace[-1], problem.fitting_error(result.x), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(20, 23), (17, 16)], ids=str)
def test_any_size_grey_and_colour(spec: MethodSpec, method: Method, channels: int, size: tuple[int, int]) -> None:
    problem = problem_for(spec, channels=channels, size=size)
    result = method.run(problem)
    check(problem, result)
    assert result.outcome is not Outcome.DIVERGED


@pytest.mark.parametrize("boundary", ["valid", "zero", "circular", "replicate"])
def test_any_boundary(spec: MethodSpec, method: Method, boundary: Any) -> None:
    problem = problem_for(spec, boundary=boundary)
    check(problem, method.run(problem))


@pytest.mark.parametrize(
    "kernel", [point(1), point(2), point(5), kernel_of(1, 7), kernel_of(13, 13)], ids=lambda k: f"{tuple(k.shape)}"
)
def test_any_kernel(spec: MethodSpec, method: Method, kernel: Tensor) -> None:
    problem = problem_for(spec, kernel=kernel)
    check(problem, method.run(problem))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 1)], ids=str)
def test_the_smallest_pictures(spec: MethodSpec, method: Method, size: tuple[int, int], channels: int) -> None:
    problem = problem_for(spec, size=size, kernel=torch.ones(1, 1, 1, 1), channels=channels)
    check(problem, method.run(problem))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_pictures(spec: MethodSpec, method: Method, value: float) -> None:
    problem = problem_for(spec)
    problem = replace(problem, observed=torch.full_like(problem.observed, value))
    check(problem, method.run(problem))


def test_a_batch_is_its_pictures(spec: MethodSpec, method: Method) -> None:
    problem = problem_for(spec, batch=3)
    problem = replace(problem, observed=problem.observed * torch.tensor([1.0, 0.3, 1.5]).reshape(3, 1, 1, 1))
    together = method.run(problem)
    check(problem, together)
    for i in range(3):
        sigma = None if problem.sigma is None else problem.sigma[i : i + 1]
        alone = method.run(replace(problem, observed=problem.observed[i : i + 1], sigma=sigma))
        torch.testing.assert_close(together.x[i : i + 1], alone.x, rtol=1e-3, atol=1e-4)
        assert together.outcomes[i] is alone.outcomes[0]
        assert together.steps[i] == alone.steps[0]


def test_kernels_of_a_batch(spec: MethodSpec, method: Method) -> None:
    if not spec.needs.kernel:
        pytest.skip("it finds the kernel")
    both = torch.cat((kernel_of(5, 5), torch.flip(kernel_of(5, 5), (-1,))))
    problem = problem_for(spec, batch=2, kernel=both)
    together = method.run(problem)
    check(problem, together)
    for i in range(2):
        sigma = None if problem.sigma is None else problem.sigma[i : i + 1]
        alone = method.run(Problem(problem.observed[i : i + 1], Blur(both[i : i + 1]), sigma))
        torch.testing.assert_close(together.x[i : i + 1], alone.x, rtol=1e-3, atol=1e-4)


def test_a_run_is_repeatable_and_changes_nothing(spec: MethodSpec, method: Method) -> None:
    problem = problem_for(spec)
    tensors = [problem.observed, problem.sigma, getattr(problem.operator, "kernel", None)]
    state = {k: v.clone() for k, v in method.state_dict().items()} if isinstance(method, nn.Module) else {}
    before = [None if t is None else t.clone() for t in tensors]
    torch.manual_seed(1)
    first = method.run(problem)
    for t, b in zip(tensors, before, strict=True):
        assert t is None or (b is not None and torch.equal(t, b))
    if isinstance(method, nn.Module):
        assert all(torch.equal(v, state[k]) for k, v in method.state_dict().items())
    torch.manual_seed(2)
    again = method.run(problem)
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.trace, again.trace)


def test_a_run_builds_no_graph(spec: MethodSpec, method: Method) -> None:
    problem = problem_for(spec)
    result = method.run(replace(problem, observed=problem.observed.clone().requires_grad_()))
    assert not result.x.requires_grad
    assert not result.trace.requires_grad


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_trouble_in_one_picture_is_its_own(spec: MethodSpec, method: Method, value: float) -> None:
    problem = problem_for(spec, batch=2)
    spoilt = problem.observed.clone()
    spoilt[1, 0, 3, 4] = value
    result = method.run(replace(problem, observed=spoilt))
    assert result.outcomes[1] is Outcome.DIVERGED
    sigma = None if problem.sigma is None else problem.sigma[:1]
    alone = method.run(replace(problem, observed=problem.observed[:1], sigma=sigma))
    torch.testing.assert_close(result.x[:1], alone.x, rtol=1e-3, atol=1e-4)
    assert result.outcomes[0] is alone.outcomes[0]


def test_an_unknown_noise_level_is_no_obstacle(spec: MethodSpec, method: Method) -> None:
    problem = replace(problem_for(spec), sigma=None)
    check(problem, method.run(problem))


def test_steps_are_reported(method: Method, spec: MethodSpec) -> None:
    seen: list[Progress] = []
    result = method.run(problem_for(spec), on_step=seen.append)
    if isinstance(method, Iterative):
        assert [p.step for p in seen] == list(range(1, len(seen) + 1))
        assert len(seen) == len(result.trace) - 1 >= max(result.steps)
        assert all(p.steps == len(method.solver().steps) for p in seen)


def test_what_steps_explain_are_pictures(method: Method, spec: MethodSpec) -> None:
    step = method.solver().steps[0] if isinstance(method, Iterative) else None
    if not isinstance(step, Explains):
        pytest.skip("it has nothing to show")
    problem = problem_for(spec)
    with torch.no_grad():
        state = step.init(problem)  # type: ignore[attr-defined]
        pictures = step.explain(problem, state)
    assert pictures
    for name, picture in pictures.items():
        assert picture.shape == state.x.shape, name
        assert bool(torch.isfinite(picture).all()), name


def test_it_says_what_it_is(spec: MethodSpec) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", spec.name)
    assert 10 < len(spec.summary) < 100
    assert "\n" not in spec.summary
    assert re.search(rf"^@\w+{{{re.escape(spec.reference)},", BIBLIOGRAPHY.read_text(), re.MULTILINE)
    assert spec.build.__doc__


def test_its_needs_make_sense(spec: MethodSpec) -> None:
    assert spec.needs.channels in (None, 1, 3)


def test_it_is_found_by_all_its_names(spec: MethodSpec) -> None:
    assert find(spec.name) is spec
    assert all(find(alias) is spec for alias in spec.aliases)
    others = [n for s in catalogue().values() if s is not spec for n in (s.name, *s.aliases)]
    assert not {spec.name, *spec.aliases} & set(others)


def test_an_unknown_setting_is_refused(spec: MethodSpec) -> None:
    with pytest.raises(ConfigError, match="its settings are"):
        spec.build(**network(spec), no_such_setting=1)


def test_an_unknown_method_is_told_the_known_ones() -> None:
    with pytest.raises(UnknownMethod, match="acutance methods"):
        find("magic")
    with pytest.raises(UnknownMethod, match="did you mean wiener"):
        find("weiner")


def test_the_catalogue_is_sorted_and_cannot_be_changed() -> None:
    assert list(catalogue()) == sorted(catalogue())
    assert {"rgdn", "wiener"} <= set(catalogue())
    with pytest.raises(TypeError):
        catalogue()["magic"] = find("wiener")  # type: ignore[index]


@pytest.mark.parametrize("value", [0.0, 5.0, float("nan")])
def test_what_lies_under_the_mask_does_not_matter(spec: MethodSpec, method: Method, value: float) -> None:
    if not spec.needs.mask:
        pytest.skip("heeds no mask")
    mask = torch.ones(1, 1, 20, 23)
    mask[..., 4:9, 12:16] = 0
    problem = replace(problem_for(spec, channels=1, size=(20, 23)), mask=mask, sigma=None)
    other = replace(problem, observed=torch.where(mask > 0, problem.observed, value))
    torch.testing.assert_close(level_of(problem), level_of(other))
    first, second = method.run(problem), method.run(other)
    check(problem, first)
    torch.testing.assert_close(first.x, second.x, rtol=0, atol=0)
