"""Fine-tuning on a user's own pictures: what is gathered, what is held out, when weights are written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image as PillowImage
from typer.testing import CliRunner

from acutance.errors import ConfigError, DataError
from acutance.weights import embedded, read_weights
from acutance_lab.cli.app import app
from acutance_lab.cli.training_finetune import gain_table
from acutance_lab.data.photographs import PLANE, Photographs, held_out
from acutance_lab.synth.cells import cells
from acutance_lab.train import finetune as module
from acutance_lab.train.config import ValidationConfig
from acutance_lab.train.finetune import finetune, gather, settings_for
from acutance_lab.train.loop import Budget

CPU = torch.device("cpu")


def draw(kind: str, folder: Path, count: int) -> Path:
    done = CliRunner().invoke(app, ["draw", kind, str(folder), "--count", str(count)])
    assert done.exit_code == 0, done.output
    return folder


def test_cells_are_the_same_each_time() -> None:
    one = cells(1, 3, size=96)
    assert one.shape == (96, 96)
    assert float(one.max()) == 1.0
    assert float(one.min()) >= 0.0
    assert torch.equal(one, cells(1, 3, size=96))
    assert not torch.equal(one, cells(2, 3, size=96))


def test_planes_and_deep_pictures_are_scaled_by_their_own_bright_end(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    ramp = np.linspace(0, 4095, 200 * 240).reshape(200, 240)
    tifffile.imwrite(mine / "stack.tif", np.stack([ramp * (i + 1) / 40 for i in range(40)]).astype(np.uint16))
    tifffile.imwrite(mine / "deep.tif", ramp.astype(np.uint16))
    PillowImage.fromarray(np.full((210, 220), 77, np.uint8)).save(mine / "plain.png")
    count, grey = gather(mine, tmp_path / "run" / "pictures")
    assert (count, grey) == (module.PLANES + 2, True)
    loaded = Photographs.load(tmp_path / "run" / "pictures", device=CPU, one_in=10**9)
    planes = [name for name in loaded.names if PLANE in name]
    assert len(planes) == module.PLANES
    for one_in in (2, 3, 5, 7):
        assert len({held_out(name, one_in) for name in planes}) == 1  # what is held out is not a neighbour of the rest
    brightest = [float(loaded.picture(i).max()) / (65535 if loaded.picture(i).dtype == np.uint16 else 255) for i in
                 range(len(loaded.names))]  # fmt: skip
    assert sorted(set(brightest)) == [77 / 255, 1.0]
    PillowImage.fromarray(np.zeros((210, 220, 3), np.uint8)).save(mine / "colour.png")
    assert gather(mine, tmp_path / "run" / "pictures") == (count + 1, False)


@pytest.mark.parametrize("count", [0, 9])
def test_too_few_pictures_are_refused(count: int, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for i in range(count):
        PillowImage.new("L", (200, 200)).save(mine / f"{i}.png")
    with pytest.raises(DataError, match="give at least 10" if count else "no photograph"):
        gather(mine, tmp_path / "run")


def test_the_run_is_not_put_among_the_pictures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="another folder"):
        gather(tmp_path, tmp_path / "run")


def test_the_network_is_that_of_the_shipped_weights() -> None:
    assert settings_for(grey=False).model == embedded("acute").card["model"]
    assert settings_for(grey=False).one_channel == 0.5
    assert settings_for(grey=True).one_channel == 1.0


@pytest.mark.parametrize("better", [True, False])
def test_weights_are_written_only_where_they_are_better(
    better: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = draw("cells", tmp_path / "mine", 12)
    monkeypatch.setattr(
        module, "EXAMINATION", ValidationConfig(crops=1, crop=48, steps=(1,), levels=(0.01,), spans=(5,))
    )
    shorter = replace(settings_for(grey=True), pool=None)  # a pool is filled first
    monkeypatch.setattr(module, "settings_for", lambda grey: shorter)
    real, calls = module.examine, []

    def examine(*args: object, **options: object) -> object:
        score = real(*args, **options)  # type: ignore[arg-type]
        calls.append(score)
        shift = (1.0 if better else -1.0) * (len(calls) - 1)
        return replace(score, psnr=tuple(p + shift for p in calls[0].psnr))

    monkeypatch.setattr(module, "examine", examine)
    out = tmp_path / "mine.safetensors"
    tuned = finetune(mine, out, run_folder=tmp_path / "run", budget=Budget(iterations=1))
    assert tuned.pictures + tuned.held == 12
    assert tuned.held >= 1
    assert out.exists() == better
    assert "+1.00" in gain_table(tuned) if better else "−1.00" in gain_table(tuned)
    if better:
        written = read_weights(out)
        assert written.card["method"] == "acute"
        assert written.card["scores"][0]["psnr"] == [p + 1.0 for p in calls[0].psnr]
        assert {k: v.shape for k, v in written.tensors.items()} == {
            k: v.shape for k, v in embedded("acute").tensors.items()
        }


def test_wrong_names_are_told_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.safetensors"):
        finetune(tmp_path, tmp_path / "x.pth", run_folder=tmp_path / "run", budget=Budget(iterations=1))
    for words, told in (
        (["draw", "trees", "x"], "cells, stars, pages"),
        (["draw", "cells", str(tmp_path)], "a new folder"),
    ):
        done = CliRunner().invoke(app, words)
        assert isinstance(done.exception, ConfigError)
        assert told in str(done.exception)


def test_pages_are_drawn(tmp_path: Path) -> None:
    folder = draw("pages", tmp_path / "pages", 2)
    assert [p.name for p in sorted(folder.iterdir())] == ["page-1-0000.png", "page-1-0001.png"]
