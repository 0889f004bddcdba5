"""RGDN in its released form against stored results of the authors' implementation (`tests/golden/README.md`)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from acutance.errors import WeightsError
from acutance.frame import Frame
from acutance.methods.rgdn import AUTHORS, Rgdn, RgdnConfig, convert
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.tensors import flip

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
TOLERANCE = 1e-9


def drawn(index: int, name: str, shape: list[int]) -> Tensor:
    """The value of one tensor of the authors' state dict."""
    s = np.random.RandomState(index).standard_normal(shape)
    if name.endswith("num_batches_tracked"):
        value = np.zeros(shape)
    elif name.endswith("running_mean"):
        value = 0.05 * s
    elif name.endswith("running_var"):
        value = 1 + 0.25 * np.abs(s)
    elif len(shape) > 1:
        value = s / np.sqrt(np.prod(shape[1:]))
    elif s.size == 1:
        value = 0.3 + 0.1 * s
    else:
        value = 1 + 0.1 * s if name.endswith("weight") else 0.05 * s
    return torch.as_tensor(np.asarray(value), dtype=torch.float64)


@pytest.fixture(scope="module")
def theirs() -> dict[str, Tensor]:
    keys = json.loads((GOLDEN / "rgdn.keys.json").read_text())
    return {name: drawn(i, name, shape) for i, (name, shape) in enumerate(keys)}


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN / "rgdn.npz") as file:
        return {k: torch.from_numpy(file[k]) for k in file.files}


def released(theirs: dict[str, Tensor], frame: Frame, **settings: int) -> Rgdn:
    model = Rgdn(RgdnConfig(form="released", threshold=0, **settings), frame=frame).double()
    model.load_state_dict(convert(theirs))
    return model.eval()


@pytest.mark.parametrize(("tile", "steps"), [(None, 4), (30, 2)], ids=["whole", "tiled"])
def test_the_authors_numbers(
    tile: int | None, steps: int, theirs: dict[str, Tensor], golden: dict[str, Tensor]
) -> None:
    model = released(theirs, Frame(torch.float64, tile), steps=steps)
    problem = Problem(golden["input"], Blur(flip(golden["kernel"]), "zero"))
    result = model.solver().run(problem, keep=True)
    assert len(result.iterates) == steps
    for i, estimate in enumerate(result.iterates):
        reference = golden[f"output_{i}"]
        error = float((estimate - reference).abs().max() / reference.abs().max())
        assert error <= TOLERANCE, f"step {i + 1} is off by {error:.1e} of the largest value"


def test_every_tensor_has_its_place(theirs: dict[str, Tensor]) -> None:
    ours, model = convert(theirs), Rgdn(RgdnConfig(form="released"))
    assert set(ours) == set(model.state_dict())
    for key, value in model.state_dict().items():
        assert ours[key].shape == value.shape, key


@pytest.mark.parametrize("key", ["Other.main.0.weight", "module.CNNOptimizer.main.0.weight", "prior.main.0.weight"])
def test_what_is_not_the_authors_is_refused(key: str) -> None:
    with pytest.raises(WeightsError, match="is no tensor of the authors' RGDN") as caught:
        convert({key: torch.zeros(1)})
    assert all(prefix in str(caught.value) for prefix in AUTHORS)
