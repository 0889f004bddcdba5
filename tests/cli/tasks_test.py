"""`acutance sense`, `restore` of what it wrote, `denoise` and `derain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from acutance.cli.app import app
from acutance.errors import AcutanceError
from acutance.images import read_image, write_image
from acutance.methods.dgunet import DenoiseConfig, SenseConfig, Unfolded
from acutance.problem import Problem
from acutance.weights import write_weights

runner = CliRunner()
MODEL: dict[str, Any] = {"width": 8, "growth": 4, "tail": 4, "stages": 3}


def call(*arguments: object) -> str:
    result = runner.invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: object) -> str:
    with pytest.raises(AcutanceError) as caught:
        runner.invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    x = torch.nn.functional.interpolate(torch.rand(1, 3, 7, 6), size=(70, 60), mode="bilinear")
    write_image(tmp_path / "photo.png", x)
    sensing = {**MODEL, "ratio": 0.25}
    write_weights(
        tmp_path / "s.safetensors", Unfolded(SenseConfig(**sensing)).state_dict(), {"name": "s", "model": sensing}
    )
    write_weights(tmp_path / "n.safetensors", Unfolded(DenoiseConfig(**MODEL)).state_dict(), {"model": MODEL})
    return tmp_path


def test_sense_and_restore(folder: Path) -> None:
    photo, weights, y = folder / "photo.png", folder / "s.safetensors", folder / "photo.cs"
    said = call("sense", photo, "--ratio", 25, "--weights", weights)
    assert "4,608 numbers" in said  # 3 x 2 blocks of 256 in 3 channels
    assert y.stat().st_size < 4608 * 2 + 600
    record = json.loads(call("restore", y, "--weights", weights, "--json").splitlines()[0])
    assert record["method"] == "dgunet-sense"
    again = read_image(folder / "photo-restored.png").pixels
    original = read_image(photo).pixels
    assert again.shape == original.shape
    assert float((again - original).abs().mean()) < 0.05, "an untrained network hands on what was measured"
    assert "exists" in refused("sense", photo, "--ratio", 25, "--weights", weights)
    assert "25 %, not 10 %" in refused("sense", photo, "-o", folder / "b.cs", "--weights", weights)
    assert ".cs" in refused("sense", photo, "-o", folder / "b.png")
    assert "two commands" in refused("restore", y, photo)
    none = str(folder / "no.safetensors")
    bad = runner.invoke(app, ["restore", str(y), "-o", str(folder / "x.png"), "--weights", none])
    assert bad.exit_code == 1
    assert not (folder / "x.png").exists()


def test_denoise_with_strength_and_stages(folder: Path) -> None:
    photo, weights = folder / "photo.png", folder / "n.safetensors"
    call("denoise", photo, "--weights", weights, "--strength", 0, "-o", folder / "none.png")
    assert torch.equal(read_image(folder / "none.png").pixels, read_image(photo).pixels)
    call("denoise", photo, "--weights", weights, "-o", folder / "all.png", "--explain", folder / "stages")
    call("restore", photo, "--task", "denoise", "--weights", weights, "--strength", 1, "-o", folder / "same.png")
    assert torch.equal(read_image(folder / "all.png").pixels, read_image(folder / "same.png").pixels)
    assert len(list((folder / "stages").glob("step-*-estimate.png"))) == 3
    assert len(list((folder / "stages").glob("step-*-change.png"))) == 3


def test_noise_is_removed_without_being_told_how(folder: Path) -> None:
    photo = folder / "photo.png"
    half, all_ = (
        json.loads(call("denoise", photo, "--strength", s, "-o", folder / f"{s}.png", "--json").splitlines()[0])
        for s in (0.5, 1)
    )
    assert half["asked"] == all_["asked"] == "denoise"
    assert half["method"] == all_["method"]
    assert all_["method"] in ("bm3d", "nlm")
    assert 0 < all_["noise_level"] < 0.5
    assert all_["noise_assumed"]
    assert any(note.startswith("the noise is") for note in all_["notes"])
    original, middle, end = (read_image(folder / f).pixels for f in ("photo.png", "0.5.png", "1.png"))
    assert float((middle - (original + end) / 2).abs().max()) < 1.01 / 255
    other = call("denoise", photo, "--method", "dgunet-denoise", "-o", folder / "other.png", "--json")
    assert json.loads(other.splitlines()[0])["method"] == "dgunet-denoise"
    assert "strength" in refused("denoise", photo, "--method", "bm3d:strength=2", "-o", folder / "no.png")


def test_tasks_that_there_are(folder: Path) -> None:
    assert "deblur, denoise, derain" in refused("restore", folder / "photo.png", "--task", "dance")
    assert "takes no kernel" in refused("restore", folder / "photo.png", "--task", "derain", "--disc", 2)
    assert "takes no kernel" in refused("restore", folder / "photo.png", "--method", "golf", "--disc", 2)
    assert "did you mean acute?" in refused("restore", folder / "photo.png", "--method", "acut")


@pytest.mark.parametrize("method", ["wiener", "acute", "richardson-lucy"])
def test_strength_is_a_blend_where_a_method_has_no_own(folder: Path, method: str) -> None:
    common = ("restore", folder / "photo.png", "--disc", 2, "--method", method, "--sigma", "1%")
    for strength in (0, 0.5, 1):
        call(*common, "--strength", strength, "-o", folder / f"{strength}.png")
    original, none, middle, end = (read_image(folder / f).pixels for f in ("photo.png", "0.png", "0.5.png", "1.png"))
    assert torch.equal(none, original)
    assert float((end - original).abs().max()) > 4 / 255
    assert float((middle - (original + end.clamp(0, 1)) / 2).abs().mean()) < 1 / 255


def test_strength_goes_along_the_stages() -> None:
    torch.manual_seed(1)
    x, model = Problem(torch.rand(1, 3, 24, 24)), Unfolded(DenoiseConfig(**MODEL)).eval()
    for p in model.parameters():
        p.data += 0.02 * torch.randn_like(p)
    path = [x.observed, *(s.x.detach() for s in model.solver().iterate(x))]
    for strength, expected in ((0.0, path[0]), (1 / 3, path[1]), (0.5, (path[1] + path[2]) / 2), (1.0, path[3])):
        part = Unfolded(DenoiseConfig(**MODEL, strength=strength)).eval()
        part.load_state_dict(model.state_dict())
        torch.testing.assert_close(part.run(x).x, expected)
