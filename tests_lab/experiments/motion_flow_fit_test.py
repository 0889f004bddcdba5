"""Training of motion flow: the true motion of a moving camera, its symmetries, and the command."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from acutance.errors import ConfigError, WeightsError
from acutance.methods.motion_flow import build, field_of, lines
from acutance.psf.shapes import line
from acutance.weights import read_weights, write_weights
from acutance_lab.cli.app import app
from acutance_lab.experiments import motion_flow_fit as flow
from acutance_lab.synth import DynamicBlur
from acutance_lab.synth.camera import Camera
from acutance_lab.synth.motion import MOMENTS, Movement
from acutance_lab.train.config import Phase, TrainConfig, ValidationConfig
from acutance_lab.train.loop import Budget, train

PLAIN = Camera(encoded=1.0, lights=0.0, defocus=0.0, noisy=0.0, jpeg=0.0, bits=0)
TIMES = torch.linspace(-0.5, 0.5, MOMENTS)

TOML = """
method = "motion-flow"
[model]
features = 4
[[phases]]
until = 1.0
batch = 2
crop = 48
steps = 1
windows = 1
spans = [9]
[motion]
extent = [2.0, 9.0]
[validation]
crops = 2
crop = 48
"""


def config(**changes: Any) -> TrainConfig:
    phase = Phase(until=1.0, batch=2, crop=48, steps=1, windows=1, spans=(9,))
    given = TrainConfig("motion-flow", (phase,), model={"features": 4}, motion=DynamicBlur(extent=(2.0, 9.0)),
                        validation=ValidationConfig(crops=2, crop=48))  # fmt: skip
    return replace(given, **changes)


def shifted(dx: float, dy: float) -> Tensor:
    """Maps of a camera that moves straight by (dx, dy) pixels, (1, MOMENTS, 3, 3)."""
    maps = torch.eye(3).repeat(1, MOMENTS, 1, 1)
    maps[0, :, 0, 2], maps[0, :, 1, 2] = dx * TIMES, dy * TIMES
    return maps


def test_a_straight_camera_blurs_as_the_lines_of_its_motion_do() -> None:
    """The picture of the synthesis, against the blur by the line that its true motion stands for."""
    maps, n = shifted(7.0, -4.0), 64
    none = torch.zeros(1, 0, 2)
    movement = Movement(maps[:, None], torch.zeros(1, dtype=torch.long), none, none, torch.full((1, 1), 8.06),
                        torch.tensor([MOMENTS]))  # fmt: skip
    blur = DynamicBlur(extent=(1.0, 9.0), clipped=0.0, grey=0.0, objects=(1.0,), camera=PLAIN)
    margin, g = blur.margin(), torch.Generator().manual_seed(1)
    coarse = torch.rand(1, 3, 30, 30, generator=g)
    sharp = torch.nn.functional.interpolate(coarse, size=(n + 2 * margin,) * 2, mode="bicubic").clamp(0, 1)
    y = blur.expose(sharp, movement, g).problem.observed
    q = flow.path_motion(maps, (n, n))
    length, angle = lines(q[0])
    assert float(length.mean()) == pytest.approx(math.hypot(7, 4), rel=0.03)
    assert float(angle.mean()) == pytest.approx(math.degrees(math.atan2(4, 7)), abs=1e-3)
    field = field_of(q[0, :, ::4, ::4])
    r, s = (margin - a for a in field.radius)
    found = field.forward(sharp[..., r : r + n + 2 * field.radius[0], s : s + n + 2 * field.radius[1]])
    assert float((found - y).abs().mean()) < 0.1 * float(
        (found - sharp[..., margin:-margin, margin:-margin]).abs().mean()
    )


def test_the_motion_of_a_turn_by_a_loop_over_places() -> None:
    maps = torch.eye(3).repeat(1, MOMENTS, 1, 1)
    for t, angle in enumerate((0.1 * TIMES).tolist()):
        maps[0, t, :2, :2] = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    found = flow.path_motion(maps, (32, 48))
    assert found.shape == (1, 2, 4, 6)
    for row in range(4):
        for col in range(6):
            x, y = 8 * col + 3.5 - 23.5, 8 * row + 3.5 - 15.5
            length, angle = (float(v) for v in lines(found[0, :, row : row + 1, col : col + 1]))
            assert length == pytest.approx(0.1 * math.hypot(x, y), rel=0.03)
            across = math.degrees(math.atan2(-y, x)) + 90  # a turn moves every place at right angles to its radius
            assert math.sin(math.radians(angle - across)) == pytest.approx(0, abs=1e-3)


def test_what_rests_does_not_move() -> None:
    assert not bool(flow.path_motion(torch.eye(3).repeat(2, MOMENTS, 1, 1), (16, 16)).any())


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_motion_turns_with_its_picture(turns: int, mirrored: bool) -> None:
    """A kernel is the picture of a point behind its motion."""
    twice = math.radians(2 * 25.0)
    q = 8 * torch.tensor([math.cos(twice), math.sin(twice)]).reshape(1, 2, 1, 1)
    done = flow.turned(flow.Scenes(line(9.0, 25.0, 15), q), turns, mirrored)
    length, angle = lines(done.motion[0])
    torch.testing.assert_close(done.pictures, line(1 + float(length), float(angle), 15), rtol=1e-3, atol=1e-4)


def test_the_loss_is_least_at_the_truth() -> None:
    truth, w = torch.randn(2, 2, 3, 3), torch.zeros(2, 1, 3, 3)
    right, wrong = flow.loss_of(truth, w, truth), flow.loss_of(truth + 5, w, truth)
    assert float(right) < 0.01 < float(wrong) == pytest.approx(math.hypot(5, 5) / 10, rel=1e-3)
    assert float(flow.loss_of(truth + 5, w - 1, truth)) == pytest.approx(math.hypot(5, 5) / 10 / math.e + 2, rel=1e-3)


def test_scenes_are_seeded_and_used_again(photographs: Path) -> None:
    kept, held = flow.read(config(), photographs)
    first, second = flow.held_out(config(), held), flow.held_out(config(), held)
    assert all(torch.equal(a.pictures, b.pictures) for a, b in zip(first, second, strict=True))
    supply = flow.Supply(config(), kept, 3)
    batches = [supply(0.0) for _ in range(12)]
    assert 2 <= supply.made < 24
    assert all(b.pictures.shape == (2, 1, 48, 48) and b.motion.shape == (2, 2, 6, 6) for b in batches)


def test_updates_on_one_batch_lower_the_loss(photographs: Path) -> None:
    kept, _ = flow.read(config(), photographs)
    scene = flow.scenes(config().motion, kept, config().phases[0], 9, 1)  # type: ignore[arg-type]
    torch.manual_seed(1)
    net = flow.network(config(model={"features": 8}))
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = flow.loss_of(*net.cells(scene.pictures), scene.motion)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.3


def test_the_command_trains_and_goes_on(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("flow.toml").write_text(TOML)
    options = ["train-flow", "--data", str(photographs), "--config", "flow.toml", "--minutes", "0.01"]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    assert "motion is off by" in result.output
    weights = read_weights(Path("out/motion-flow.safetensors"))
    assert weights.card["method"] == "motion-flow"
    method = build(weights=weights.tensors, method="richardson-lucy", **weights.card["model"])
    assert method.flow(torch.rand(1, 3, 50, 60)).shape == (1, 2, 1, 1)
    again = CliRunner().invoke(app, [*options, "--init", "out/motion-flow.safetensors"])
    assert again.exit_code == 0, again.output
    assert json.loads(Path("out/motion-flow.json").read_text())["start"] == weights.version


def test_an_untrained_network_is_as_good_as_telling_none(photographs: Path) -> None:
    _, held = flow.read(config(), photographs)
    found = flow.examine(flow.network(config()).state_dict(), flow.held_out(config(), held), config())
    assert found.scenes == 2
    assert found.error == found.nothing > 0


def test_what_makes_no_sense_is_refused(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no table \[motion\]"):
        flow.network(config(motion=None))
    with pytest.raises(ConfigError, match="this training is for motion-flow"):
        flow.network(config(method="golf"))
    with pytest.raises(ConfigError, match="crop=50"):
        flow.network(config(validation=ValidationConfig(crop=50)))
    small = flow.network(config())
    path = tmp_path / "small.safetensors"
    write_weights(path, small.state_dict(), {"name": "small"})
    with pytest.raises(WeightsError, match="of another network"):
        flow.network(config(model={"features": 8}), read_weights(path))
    with pytest.raises(ConfigError, match="a command of its own"):
        train(config(model={"features": 4, "method": "richardson-lucy"}), photographs, tmp_path, Budget(iterations=1))
