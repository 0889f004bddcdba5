"""DGUNet against stored results of the authors' implementation (`tests/golden/README.md`).

The four networks of moderate width are held against them in every run, the four wide ones, which are the same code in
other widths and take half a minute and 1 GB, where ACUTANCE_ALL_GOLDEN is set.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from acutance.errors import WeightsError
from acutance.frame import Frame
from acutance.methods.dgunet import DeblurConfig, DenoiseConfig, DerainConfig, DGUNetConfig, SenseConfig, Unfolded
from acutance.methods.spec import find
from acutance.problem import Problem

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
TOLERANCE = 1e-9
ALL = bool(os.environ.get("ACUTANCE_ALL_GOLDEN"))


@dataclass(frozen=True)
class Case:
    """A stored network: file, method, settings; elements of its state dict, and of those the ones we do not keep."""

    file: str
    method: str
    elements: int
    unused: int = 0
    shared: int = 19
    wide: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> DGUNetConfig:
        kinds: dict[str, type[DGUNetConfig]] = {
            "dgunet-deblur": DeblurConfig,
            "dgunet-denoise": DenoiseConfig,
            "dgunet-derain": DerainConfig,
            "dgunet-sense": SenseConfig,
        }
        return kinds[self.method](**self.settings)

    def tensors(self) -> list[tuple[str, list[int]]]:
        return [(name, shape) for name, shape in json.loads((GOLDEN / f"{self.file}.keys.json").read_text())]


PLUS = {"plus": True}
RESIDUAL = 2 * (2 * 3 * 64 * 9 + 64 + 3)  # phi and phit without their PReLU: never used in sensing
PATHWAYS = sum(b * 9 * (a + b) + 2 * b for a, b in ((32, 48), (48, 64), (64, 80)))  # of the first stage, neither
CASES = (
    Case("dgunet_deblurring", "dgunet-deblur", 17_331_518, 2 * 80 * 80 * 9, 6, wide=True),
    Case("dgunet_denoising", "dgunet-denoise", 17_331_518, 2 * 80 * 80 * 9, 6, wide=True),
    Case("dgunet_deraining", "dgunet-derain", 3_661_918, 2 * 40 * 40 * 9, 6),
    Case("dgunet_plus_deblurring", "dgunet-deblur", 69_572_934, wide=True, settings=PLUS),
    Case("dgunet_plus_denoising", "dgunet-denoise", 48_362_006, wide=True, settings=PLUS),
    Case("dgunet_plus_deraining", "dgunet-derain", 12_176_126, settings=PLUS),
    Case("dgunet_cs10", "dgunet-sense", 2_390_078, RESIDUAL + 2 + PATHWAYS, 1),
    Case("dgunet_plus_cs25", "dgunet-sense", 7_072_294, 5 * (RESIDUAL + 2) + PATHWAYS, 1,
         settings={"plus": True, "ratio": 0.25}),
)  # fmt: skip


@pytest.fixture(params=CASES, ids=lambda case: case.file)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def drawn(index: int, name: str, shape: list[int]) -> Tensor:
    """The value of one tensor of the authors' state dict."""
    s = np.random.RandomState(index).standard_normal(shape)
    if len(shape) > 1:
        value = s / np.sqrt(np.prod(shape[1:]))
    elif s.size == 1:
        value = 0.3 + 0.1 * s
    else:
        value = 1 + 0.1 * s if name.endswith("weight") else 0.05 * s
    return torch.as_tensor(np.asarray(value), dtype=torch.float64)


def empty(case: Case) -> Unfolded:
    """Shapes alone."""
    with torch.device("meta"):
        return Unfolded(case.config, Frame(torch.float64))


def shapes(case: Case) -> dict[str, Tensor]:
    """The authors' state dict, without values."""
    return {name: torch.empty(shape, device="meta") for name, shape in case.tensors()}


def test_the_authors_numbers(case: Case) -> None:
    if case.wide and not ALL:
        pytest.skip("wide: set ACUTANCE_ALL_GOLDEN")
    theirs = {name: drawn(i, name, shape) for i, (name, shape) in enumerate(case.tensors())}
    convert = find(case.method).convert
    assert convert is not None
    model = empty(case).eval().requires_grad_(False)
    model.load_state_dict(convert(theirs), assign=True)
    with np.load(GOLDEN / f"{case.file}.npz") as file:
        golden = {k: torch.from_numpy(file[k]) for k in file.files}
    with torch.no_grad():
        estimates = [state.x for state in model.solver().iterate(Problem(golden["input"]))]
    assert len(estimates) == 7
    for i, estimate in enumerate(estimates):
        reference = golden[f"output_{i}"]
        error = float((estimate - reference).abs().max() / reference.abs().max())
        assert error <= TOLERANCE, f"stage {i + 1} is off by {error:.1e} of the largest value"


def test_every_tensor_has_its_place(case: Case) -> None:
    convert = find(case.method).convert
    assert convert is not None
    ours, there = convert(shapes(case)), empty(case).state_dict()
    assert set(ours) == set(there)
    for key, value in there.items():
        assert ours[key].shape == value.shape, key


def test_the_sizes_of_the_paper(case: Case) -> None:
    """What is one weight under many of the authors' names is one weight here; what they never use is not there."""
    assert sum(prod(shape) for _, shape in case.tensors()) == case.elements
    weights = sum(p.numel() for p in empty(case).parameters())
    assert weights == case.elements - case.unused - case.shared


def test_of_a_shared_weight_the_last_name_counts() -> None:
    theirs = {"basic.r1": torch.zeros(1), "phi_0.body.1.weight": torch.zeros(1), "phit_6.body.1.weight": torch.ones(1)}
    theirs |= {"shallow_feat1.1.body.1.weight": torch.zeros(1), "shallow_feat7.1.body.1.weight": torch.ones(1)}
    theirs |= {"basic.shallow_feat2.1.body.1.weight": torch.full((1,), 2.0)}
    convert = find("dgunet-deblur").convert
    assert convert is not None
    ours = {key: float(value) for key, value in convert(theirs).items()}
    assert ours == {
        "network.stages.1.length": 0,
        "network.degradation_slope": 1,
        "network.feature_slopes.0": 1,
        "network.feature_slopes.1": 2,
    }


@pytest.mark.parametrize("name", ["dgunet-deblur", "dgunet-denoise", "dgunet-derain"])
def test_weights_for_sensing_are_told_apart(name: str) -> None:
    convert, sense = find(name).convert, find("dgunet-sense").convert
    assert convert is not None
    assert sense is not None
    with pytest.raises(WeightsError, match="use them with dgunet-sense"):
        convert(shapes(CASES[-1]))
    with pytest.raises(WeightsError, match=f"no sampling matrix Phi.*{name}"):
        sense(shapes(CASES[0]))


@pytest.mark.parametrize(
    "key",
    ["CNNOptimizer.main.0.weight", "r7", "stage8_encoder.body.0.conv_1.weight", "sam12.conv4.weight", "phi_0.weight",
     "network.stages.0.length", "body.9.r", "shallow_feat0.0.weight"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["dgunet-deblur", "dgunet-sense"])
def test_what_is_not_the_authors_is_refused(name: str, key: str) -> None:
    convert = find(name).convert
    assert convert is not None
    theirs = {"Phi": torch.zeros(1)} if name == "dgunet-sense" else {}
    with pytest.raises(WeightsError, match="is no tensor of the authors' DGUNet"):
        convert({**theirs, key: torch.zeros(1)})
