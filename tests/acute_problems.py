"""Small networks of Acute away from their start and problems for them, which its tests share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from problems import dense
from torch import Tensor

from acutance.frame import Frame
from acutance.methods.acute import Acute, AcuteConfig, Bank, Descend
from acutance.operators import Blur
from acutance.operators.filters import Difference
from acutance.problem import Problem

TINY: dict[str, Any] = {"widths": "8,8", "blocks": "1,1", "steps": 3}


def perturbed(frame: Frame | None = None, **settings: Any) -> Acute:
    """A small network away from its start, in float64: everything that can matter does."""
    g = torch.Generator().manual_seed(11)
    torch.manual_seed(11)
    model = Acute(AcuteConfig(**{**TINY, **settings}), frame or Frame(torch.float64, None)).double()
    for network in model.networks:
        network.gains.weight.data = 0.2 * torch.randn(network.gains.weight.shape, generator=g, dtype=torch.float64)  # type: ignore[union-attr]
        for layer in network.exits:  # type: ignore[union-attr]
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=g)  # type: ignore[union-attr, arg-type]
            layer.weight.data.mul_(0.04)  # type: ignore[union-attr, operator]
    model.bank.weight.data.fill_(1 / len(model.bank.weight))
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


def single(problem: Problem) -> Problem:
    """The same in float32."""
    assert isinstance(problem.sigma, Tensor)
    blur = replace(blur_of(problem), kernel=blur_of(problem).kernel.float())
    return replace(problem, observed=problem.observed.float(), operator=blur, sigma=problem.sigma.float())


def blur_of(problem: Problem) -> Blur:
    assert isinstance(problem.operator, Blur)
    return problem.operator


def taps(*shape: int, seed: int = 8) -> Tensor:
    k = torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) ** 2
    return k / k.sum((-2, -1), keepdim=True)


def quadratic(bank: Bank, j: int, level: float, size: tuple[int, int]) -> Tensor:
    """R_j as a matrix: c s^(2 p) (e + D'D)."""
    rows, cols = (dense(Difference(axis, circular=True), size) for axis in ("rows", "columns"))  # type: ignore[arg-type]
    c, p, e = float(bank.log_strength[j].exp()), float(bank.power[j]), float(bank.log_constant[j].exp())
    identity = torch.eye(size[0] * size[1], dtype=torch.float64)
    return c * level ** (2 * p) * (e * identity + rows.T @ rows + cols.T @ cols)
