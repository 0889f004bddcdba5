"""The balance of the losses, in the smallest: what the weight does, what is recorded, and that it can be run again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

from acutance.errors import ConfigError, WeightsError
from acutance_lab.bench.sheet import GAP, LINE
from acutance_lab.cli.app import app
from acutance_lab.experiments import balance, short_training
from acutance_lab.experiments.balance import CLAIMS, Balance, report, run
from acutance_lab.train.judges import SqueezeNet

WEIGHTS = (1e-10, 10.0)


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in (
            (short_training, "SIDE", 32), (short_training, "POOL", 8), (balance, "SIDE", 32), (balance, "JUDGED", 3),
            (balance, "JUDGED_SIDE", 36), (balance, "SHOWN", 2),
        ):  # fmt: skip
            patch.setattr(module, name, value)
        yield


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("judge") / "squeezenet.safetensors"
    weights = {k: v * 6**0.5 if v.ndim > 1 else v for k, v in SqueezeNet().state_dict().items()}
    save_file(weights, path)  # larger than PyTorch starts them, so that features keep their range from layer to layer
    return str(path)


@pytest.fixture(scope="module")
def found(photographs: Path, judge: str) -> Balance:
    return run(photographs, judge, weights=WEIGHTS, seed=1, iterations=4, features=3)


def test_all_begin_alike_and_part_by_the_weight(found: Balance) -> None:
    little, much = found.runs
    assert (little.weight, much.weight) == WEIGHTS
    assert (little.content[0], little.perceptual[0]) == (much.content[0], much.perceptual[0])
    assert little.content[1:] != much.content[1:]
    assert len(little.content) == len(little.perceptual) == 4
    assert little.final(2)[0] == pytest.approx(sum(little.content[2:]) / 2)
    assert found.judge == "SqueezeNet 1.1"


def test_at_the_balance_both_terms_are_equal(photographs: Path, judge: str, found: Balance) -> None:
    assert found.balanced > 0
    fewer = run(photographs, judge, weights=[found.balanced], seed=7, iterations=1, features=2)
    assert fewer.balanced == found.balanced, "judged by the same pictures, whatever the seed"
    assert fewer.blurred == found.blurred
    assert 10 < found.blurred.psnr < 40
    assert 0 < found.blurred.ssim < 1


def test_a_seed_gives_the_same_again(photographs: Path, judge: str, found: Balance) -> None:
    again = run(photographs, judge, weights=WEIGHTS, seed=1, iterations=4, features=3)
    for one, two in zip(found.runs, again.runs, strict=True):
        assert (one.content, one.perceptual, one.quality) == (two.content, two.perceptual, two.quality)
        assert torch.equal(one.shown, two.shown)
        assert one.shown.shape == (2, 3, 36, 36)


def test_what_cannot_be_run_is_refused(photographs: Path, judge: str, tmp_path: Path) -> None:
    for weights in ((), (1.0, 1.0), (-1.0,), (float("nan"),)):
        with pytest.raises(ConfigError, match="give at least one"):
            run(photographs, judge, weights=weights)
    with pytest.raises(ConfigError, match="at least 1"):
        run(photographs, judge, iterations=0)
    with pytest.raises(WeightsError):
        run(photographs, str(tmp_path / "nothing.pth"))


def test_the_table_names_the_judge(found: Balance) -> None:
    table = report(found).text
    assert "| 1e-10 | " in table
    assert "(a) blurred output" in table
    assert "SqueezeNet 1.1, not the VGG-11-bn of the paper" in table
    assert tuple(CLAIMS) == balance.WEIGHTS
    assert len({line.count("|") for line in table.splitlines() if line.startswith("|")}) == 1


def test_the_command(photographs: Path, judge: str, tmp_path: Path) -> None:
    options = ["--data", str(photographs), "--judge", judge, "--iterations", "2", "--features", "2", "--weight", "0.5"]
    result = CliRunner().invoke(app, ["experiment", "balance", *options, "--out", str(tmp_path / "new")])
    assert result.exit_code == 0, result.output
    values = json.loads((tmp_path / "new" / "balance.json").read_text(encoding="utf-8"))
    assert [each["weight"] for each in values["outcome"]["runs"]] == [0.5]
    assert len(values["outcome"]["runs"][0]["perceptual"]) == 2
    with Image.open(tmp_path / "new" / "balance.png") as plot:
        assert plot.format == "PNG"
    with Image.open(tmp_path / "new" / "balance-crops.png") as strip:
        assert strip.size == (3 * (36 + GAP), LINE + 2 * (36 + GAP)), "three columns, two rows, pixel by pixel"
