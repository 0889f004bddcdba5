"""FDN against stored results of the authors' network (`tests/golden/README.md`)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from acutance.frame import Frame
from acutance.methods.fdn import CONVERTED, GREYS, Fdn, FdnConfig, convert
from acutance.operators import Blur
from acutance.problem import Problem

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "fdn.npz"
TOLERANCE = 1e-9
EVERY = 4  # of the stored outputs
LAYERS = {f"conv{i}": (3, 3, 1 if i == 1 else 32, 1 if i == 6 else 32) for i in range(1, 7)} | {
    "dense1": (1, 16), "dense2": (16, 16), "dense3": (16, 16), "lambda": (16, 1),
}  # fmt: skip


def drawn() -> dict[str, Tensor]:
    """The authors' arrays in the order of their numbers, which seed them."""
    shapes: list[tuple[str, tuple[int, ...]]] = []
    for t in range(1, 11):
        for layer, shape in LAYERS.items():
            shapes += [(f"stage{t}/{layer}/bias", shape[-1:]), (f"stage{t}/{layer}/kernel", shape)]
        shapes.append((f"stage{t}/filter_weights", (24, 24)))
    found = {}
    for i, (name, shape) in enumerate(shapes):
        s = np.random.RandomState(i).standard_normal(shape)
        found[name] = torch.from_numpy(0.05 * s if name.endswith("bias") else s / np.sqrt(np.prod(shape[:-1])))
    return found


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN) as file:
        return {k: torch.from_numpy(file[k]) for k in file.files}


@pytest.mark.parametrize("tile", [None, 20], ids=["whole", "tiled"])
@torch.no_grad()
def test_the_authors_numbers(golden: dict[str, Tensor], tile: int | None) -> None:
    model = Fdn(FdnConfig(**CONVERTED), Frame(torch.float64, tile)).double()  # type: ignore[arg-type]
    model.load_state_dict(convert(drawn()))
    kernel, y = golden["kernel"], golden["y_tapered"][None, None]
    r = kernel.shape[-1] // 2
    problem = Problem(y[..., r:-r, r:-r], Blur(kernel[None, None]), golden["sigma"].reshape(1) / GREYS)
    steps = model.solver().steps
    state = steps[0].init(problem)
    assert state.scene.size == (64, 64)
    # they take the tapered picture for what was observed, in the frame as well
    state = replace(state, picture=y, scene=replace(state.scene, tapered=y, observed=y))
    worst = 0.0
    for t, step in enumerate(steps):
        weight = step.stage.weight(state.level)  # type: ignore[attr-defined]
        assert float(weight) == pytest.approx(float(golden[f"weight_{t}"]), rel=1e-12)
        state = step(problem, state)
        reference = golden[f"output_{t}"]
        found = state.picture[0, 0, ::EVERY, ::EVERY]
        worst = max(worst, float((found - reference).abs().max() / reference.abs().max()))
    print(f"largest deviation {worst:.1e} of the largest value")  # noqa: T201
    assert worst <= TOLERANCE


def test_every_array_has_its_place() -> None:
    ours, model = convert(drawn()), Fdn()
    assert set(ours) == set(model.state_dict())
    for key, value in model.state_dict().items():
        assert ours[key].shape == value.shape, key


def test_the_numbering_of_keras_is_taken_off() -> None:
    theirs = drawn()
    numbered = {}
    for name, value in theirs.items():
        stage, *rest = name.split("/")
        number = int(stage.removeprefix("stage"))
        layer = "x_out" if rest[0] == "filter_weights" else rest[0]
        numbered[f"model_{number + 1}/{layer}_{number}/{rest[-1]}:0"] = value
    ours, expected = convert(numbered), convert(theirs)
    assert ours.keys() == expected.keys()
    assert all(torch.equal(ours[k], expected[k]) for k in ours)
