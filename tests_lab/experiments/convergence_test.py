"""The convergence of G: against strokes by hand, for every way to give weights and pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from acutance.errors import ConfigError, DataError, WeightsError
from acutance.images import read_image, write_image
from acutance.images.image import Image as Picture
from acutance.methods.golf import Golf, GolfConfig
from acutance.metrics import psnr
from acutance.restoration.restorer import Restorer
from acutance.tensors import brightness
from acutance.weights import write_weights
from acutance_lab.cli.app import app
from acutance_lab.experiments.convergence import (
    PICTURES,
    Case,
    Trajectory,
    from_pairs,
    from_photographs,
    in_words,
    load_golf,
    report,
    run,
    settled,
)
from acutance_lab.train import checkpoint

MODEL = {"drive": 3, "putt": 2, "putts": 5}


@pytest.fixture(scope="module")
def golf() -> Golf:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        network = Golf(GolfConfig(**MODEL)).eval()
    network.putt.tail.weight.data.mul_(10)  # so that putts are to be seen
    return network.requires_grad_(False)


@pytest.fixture(scope="module")
def weights(golf: Golf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "golf.safetensors"
    write_weights(path, golf.state_dict(), {"name": "golf-tiny", "model": MODEL})
    return path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, generator = tmp_path_factory.mktemp("pairs"), torch.Generator().manual_seed(2)
    for kind in ("blurred", "sharp"):
        (folder / kind).mkdir()
    for name in ("a", "b", "c"):
        sharp = torch.rand(1, 3, 20, 26, generator=generator)
        write_image(folder / "sharp" / f"{name}.png", Picture(sharp))
        write_image(folder / "blurred" / f"{name}.png", Picture(torch.nn.functional.avg_pool2d(sharp, 3, 1, 1)))
    return folder


def test_every_iterate_is_that_of_the_networks(golf: Golf, weights: Path, pairs: Path) -> None:
    restorer, trained = load_golf(weights, putts=4)
    found = run(from_pairs(pairs, PICTURES), restorer, source="pairs", trained_putts=trained)
    assert [t.name for t in found.trajectories] == ["a", "b", "c"]
    blurred, sharp = (read_image(pairs / kind / "b.png").pixels for kind in ("blurred", "sharp"))
    scale = brightness(blurred)
    x = golf.drives[0](blurred / scale)
    expected = [x]
    for _ in range(4):
        expected.append(x := golf.putt(x))
    values = [float(psnr((scale * x).clamp(0, 1), sharp)) for x in expected]
    assert found.trajectories[1].psnr == pytest.approx(values, abs=1e-3)
    assert found.trajectories[1].blurred == pytest.approx(float(psnr(blurred, sharp)), abs=1e-6)
    assert len(found.trajectories[1].moves) == 4
    assert all(0 < move < 1 for move in found.trajectories[1].moves)
    assert found.weights.startswith("golf-tiny-")


def test_a_runs_checkpoint_is_taken(golf: Golf, tmp_path: Path) -> None:
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    record = {"method": "golf", "model": {**MODEL, "putts": 0}, "clock": {"iteration": 70}}
    file = checkpoint.save(tmp_path / "night", golf, golf.state_dict(), optimiser, record)
    for path in (file, file.parent):
        restorer, trained = load_golf(path, putts=7)
        assert (restorer.weights, trained) == ("night, iteration 70", 0)
        assert isinstance(restorer.method, Golf)
        assert restorer.method.config == GolfConfig(drive=3, putt=2, putts=7)
        assert torch.equal(restorer.method.putt.head.weight, golf.putt.head.weight)
    checkpoint.save(tmp_path / "other", golf, golf.state_dict(), optimiser, {**record, "method": "rgdn"})
    with pytest.raises(WeightsError, match="a run of rgdn; give one of golf"):
        load_golf(tmp_path / "other")
    with pytest.raises(WeightsError):
        load_golf(tmp_path / "nothing.safetensors")


def test_without_weights_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str, settings: object) -> None:
        raise WeightsError(f"no weights named {name!r} are shipped")

    monkeypatch.setattr("acutance.restoration.restorer.embedded_for", nothing)
    with pytest.raises(WeightsError, match=r"shipped; or train some: `acutance-lab train golf"):
        load_golf(None)


def test_pictures_of_photographs(photographs: Path, pairs: Path, tmp_path: Path) -> None:
    one, two = (list(from_photographs(photographs, 2, side=40)) for _ in range(2))
    assert [case.name for case in one] == ["crop 1", "crop 2"]
    assert one[0].observed.shape == one[0].sharp.shape == (1, 3, 40, 40)
    assert all(torch.equal(a.observed, b.observed) for a, b in zip(one, two, strict=True))
    assert len(list(from_pairs(pairs, 2))) == 2
    with pytest.raises(DataError, match="has no pairs"):
        list(from_pairs(tmp_path, 1))


def test_where_a_picture_settles() -> None:
    def at(*values: float) -> int | None:
        return Trajectory("", 0.0, values, ()).settled

    assert at(30, 30.04, 30.02) == 0
    assert at(28, 29, 30, 30.04, 29.96) == 2
    assert at(28, 29, 30, 30.07, 30.03) == 3
    assert at(28, 29, 30, 31) is None
    assert at(28, 29, float("nan")) is None


def test_the_table_and_what_is_refused(weights: Path, pairs: Path) -> None:
    restorer, _ = load_golf(weights, putts=3)
    found = run(from_pairs(pairs, 2), restorer, source="pairs", trained_putts=0)
    table = report(found).text
    assert "| 0 (F alone) | " in table
    assert "G is at its random start" in table
    assert "usually converges after 2 to 4" in table
    assert sum(settled(found).values()) == 2
    assert in_words({"0": 0, "1": 3, "later": 2}) == "3 at N = 1, 2 later"
    with pytest.raises(ConfigError, match="at least one"):
        run(iter(()), restorer, source="nothing")
    case = Case("", "", torch.rand(1, 3, 20, 20), torch.rand(1, 3, 20, 20))
    with pytest.raises(ConfigError, match="about golf"):
        run([case], Restorer.load("wiener"), source="one")


def test_the_command(weights: Path, pairs: Path, photographs: Path, tmp_path: Path) -> None:
    options = ["experiment", "convergence", "--weights", str(weights), "--putts", "2", "--out", str(tmp_path / "new")]
    result = CliRunner().invoke(app, [*options, "--pairs", str(pairs)])
    assert result.exit_code == 0, result.output
    values = json.loads((tmp_path / "new" / "convergence.json").read_text(encoding="utf-8"))
    assert len(values["outcome"]["trajectories"]) == 3
    assert len(values["outcome"]["trajectories"][0]["psnr"]) == 3
    with Image.open(tmp_path / "new" / "convergence.png") as plot:
        assert plot.format == "PNG"
    neither = CliRunner().invoke(app, options)
    assert isinstance(neither.exception, ConfigError)
