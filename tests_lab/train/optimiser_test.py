"""Muon beside Adam."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from acutance.errors import ConfigError
from acutance_lab.train.optimiser import Muon, is_hidden, optimiser_for, orthogonal


@pytest.mark.parametrize("shape", [(16, 16), (16, 400), (64, 16)])
def test_a_direction_has_singular_values_near_one(shape: tuple[int, int], generator: torch.Generator) -> None:
    matrix = torch.randn(shape, generator=generator)
    values = torch.linalg.svdvals(orthogonal(matrix))
    assert float(values.min()) > 0.3
    assert float(values.max()) < 1.3
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    assert float((orthogonal(matrix) * (u @ v)).sum() / orthogonal(matrix).norm() / (u @ v).norm()) > 0.95


def test_zeros_stay_zeros() -> None:
    assert not orthogonal(torch.zeros(4, 9)).any()


def net() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Conv2d(16, 3, 3))


def test_only_hidden_convolutions_are_orthogonalised() -> None:
    hidden = [name for name, p in net().named_parameters() if is_hidden(p)]
    assert hidden == ["2.weight"]


def stepped(kind: str, steps: int, learning_rate: float = 3e-3) -> tuple[nn.Sequential, list[float]]:
    model = net()
    optimiser = optimiser_for(list(model.parameters()), kind, learning_rate)
    x = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(5))
    losses = []
    for _ in range(steps):
        loss = (model(x) - x[..., 3:-3, 3:-3]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return model, losses


def test_what_is_not_hidden_is_updated_as_by_adam() -> None:
    ours, theirs = stepped("muon", 1)[0], stepped("adam", 1)[0]
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine, other, atol=1e-6) == (name != "2.weight")


def test_an_update_has_the_size_of_adams() -> None:
    before, after = net()[2].weight, stepped("muon", 1, 1e-2)[0][2].weight
    rms = float((after - before).square().mean().sqrt())  # type: ignore[operator]
    assert rms == pytest.approx(0.2 * 1e-2, rel=0.3)


def test_it_lowers_a_loss() -> None:
    losses = stepped("muon", 60)[1]
    assert losses[-1] < 0.3 * losses[0]


def test_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="neither 'adam' nor 'muon'"):
        optimiser_for([nn.Parameter(torch.zeros(1))], "sgd", 1.0)


def test_parameters_without_a_gradient_stay() -> None:
    p = nn.Parameter(torch.ones(16, 16, 1, 1))
    Muon([{"params": [p], "orthogonal": True}], lr=1.0).step()
    assert torch.equal(p, torch.ones(16, 16, 1, 1))
