"""`acutance restore` as a person types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from degraded import shake
from PIL import Image as PillowImage
from typer.testing import CliRunner

from acutance.cli.app import app
from acutance.errors import AcutanceError
from acutance.images import read_image
from acutance.images.kernel_file import write_kernel
from acutance.methods.acute import Acute, AcuteConfig
from acutance.operators import Blur
from acutance.weights import write_weights

runner = CliRunner()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A narrow untrained Acute: regularised least squares, nearly."""
    path = tmp_path_factory.mktemp("weights") / "narrow.safetensors"
    torch.manual_seed(0)
    model = {"widths": "8,8", "blocks": "1,1"}
    write_weights(path, Acute(AcuteConfig(**model)).state_dict(), {"name": "narrow", "model": model})
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two blurred pictures and their kernel."""
    generator = torch.Generator().manual_seed(3)
    kernel = shake(1, 9, generator)
    write_kernel(tmp_path / "psf.npy", kernel)
    rows, cols = np.mgrid[0:72, 0:80]
    sharp = np.stack([(rows // 9 + cols // 7) % 2, (rows // 5) % 2, (cols // 11) % 2], -1) * 0.8 + 0.1
    for name, scale in (("one.png", 1.0), ("two.png", 0.7)):
        x = torch.from_numpy(sharp * scale).permute(2, 0, 1)[None].float()
        y = Blur(kernel).forward(x)[0].permute(1, 2, 0)
        PillowImage.fromarray((y.clamp(0, 1) * 255).round().byte().numpy()).save(tmp_path / name)
    return tmp_path


def call(*arguments: object) -> str:
    """Run a command that has to succeed; returns what it printed."""
    result = runner.invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_picture_comes_out_beside_its_source(folder: Path, weights: Path) -> None:
    output = call("restore", folder / "one.png", "--kernel", folder / "psf.npy", "--weights", weights, "--steps", 3)
    restored = read_image(folder / "one-restored.png")
    assert restored.pixels.shape == read_image(folder / "one.png").pixels.shape
    assert "3 steps" in output
    assert "narrow-" in output


@pytest.mark.parametrize(
    "kernel", [("--motion", "9,30"), ("--disc", "2.5"), ("--gaussian", "1.2"), ("--kernel", "psf.npy", "--flip-kernel")]
)
def test_every_way_to_give_a_kernel(folder: Path, weights: Path, kernel: tuple[str, ...], monkeypatch) -> None:
    monkeypatch.chdir(folder)
    call("restore", "one.png", *kernel, "--weights", weights, "--steps", 1, "-o", "out.png")
    assert (folder / "out.png").is_file()


def test_without_a_kernel_the_error_names_the_four_ways(folder: Path, weights: Path) -> None:
    with pytest.raises(AcutanceError) as caught:
        call("restore", folder / "one.png", "--method", "acute", "--weights", weights)
    for option in ("--kernel", "--motion", "--disc", "--gaussian"):
        assert option in str(caught.value)


def test_without_a_kernel_it_is_estimated(folder: Path) -> None:
    said = call("restore", folder / "one.png", "-o", folder / "blind.png")
    assert "no kernel given: it is estimated" in said
    assert any(words in said for words in ("was found", "along a line", "no blur found", "no single kernel"))
    said = call("restore", folder / "one.png", "-o", folder / "insist.png", "--method", "blind:otherwise=nothing")
    assert any(words in said for words in ("was found", "along a line", "no blur found"))
    before, after = (read_image(folder / name).pixels for name in ("one.png", "blind.png"))
    assert after.shape == before.shape


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """A dark picture with one lamp, whose trail is an L."""
    x = torch.full((1, 1, 90, 100), 0.02)
    x[..., 30:70, 60:90] = 0.1
    x[..., 40, 30] = 6.0
    kernel = torch.zeros(1, 1, 9, 9)
    kernel[..., 1:8, 2] = kernel[..., 7, 2:8] = 1 / 12
    y = Blur(kernel / kernel.sum()).forward(x)
    y = y + 0.005 * torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    PillowImage.fromarray((y.clamp(0, 1) * 255).round().byte()[0, 0].numpy()).save(tmp_path / "night.png")
    return tmp_path / "night.png"


def test_a_trail_is_pointed_at(night: Path, tmp_path: Path) -> None:
    said = call("restore", night, "--trail", "14,24,25,25", "--candidates", tmp_path / "guesses")
    assert "the trail gives a kernel of" in said
    kernel = np.load(tmp_path / "guesses" / "candidate-1.npy").squeeze()
    assert kernel.sum(0).max() > 0.45, "the upright of the L"
    assert (tmp_path / "guesses" / "sheet.png").is_file()
    assert "--kernel" in said
    call("kernel", night, "--trail", "14,24,25,25", "-o", tmp_path / "k.png")
    assert np.load(tmp_path / "k.npy").shape == kernel.shape


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--trail", "90,80,30,30"), "reaches beyond the picture of 92 x 82"),
        (("--window", "0,0,200,10"), "reaches beyond the picture"),
        (("--trail", "1,2,3"), "--trail 1,2,3: give X,Y,W,H"),
        (("--trail", "14,24,25,25", "--window", "0,0,50,50"), "leave out the window"),
        (("--trail", "14,24,25,25", "--preview", "0,0,50,50"), "with --preview"),
        (("--trail", "14,24,25,25", "--disc", "3"), "the kernel is given"),
        (("--candidates", "guesses", "--method", "golf"), "golf does not look for the blur"),
    ],
)
def test_boxes_that_cannot_be_are_refused(night: Path, options: tuple[str, ...], part: str) -> None:
    with pytest.raises(AcutanceError) as caught:
        call("restore", night, *options)
    assert part in str(caught.value)
    assert not night.with_name("night-restored.png").exists()


def test_a_trail_that_the_box_cuts_is_refused(night: Path) -> None:
    result = runner.invoke(app, ["restore", str(night), "--trail", "22,30,8,8"])
    assert result.exit_code == 1
    assert "draw it larger" in result.output
    assert "it is estimated" not in result.output
    assert not night.with_name("night-restored.png").exists()


def test_the_forecast_comes_from_the_steps_themselves(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acutance.cli.batch.FORECAST_PIXELS", 1)
    monkeypatch.setattr("acutance.restoration.restorer.Restorer.forecast", None)  # no trial is run
    pictures = (folder / "one.png", folder / "two.png")
    command = ("restore", *pictures, "--disc", 2, "--method", "fd", "-o", folder / "f", "--json")
    result = runner.invoke(app, [str(a) for a in command], catch_exceptions=False)
    assert result.stderr.count("if it needs all its steps") == 1, "once for several pictures"
    assert [json.loads(line)["forecast_seconds"] >= 0 for line in result.stdout.splitlines()] == [True, True]


def test_a_folder_is_restored_once(folder: Path, weights: Path) -> None:
    command = ("restore", folder, "-o", folder / "out", "--disc", 2, "--weights", weights, "--steps", 1)
    call(*command)
    first = {p.name: p.stat().st_mtime_ns for p in (folder / "out").glob("*.png")}
    assert set(first) == {"one.png", "two.png"}
    again = call(*command)
    assert again.count(": done already") == 2
    assert "\n2 done already, 2 skipped\n" in again
    assert {p.name: p.stat().st_mtime_ns for p in (folder / "out").glob("*.png")} == first
    other = runner.invoke(app, [str(a) for a in (*command[:-1], 2)])
    assert other.exit_code == 1  # other settings: not done, and not overwritten unasked
    assert "--overwrite" in other.output


def test_an_existing_result_is_not_replaced_unasked(folder: Path, weights: Path) -> None:
    (folder / "out.png").write_bytes(b"precious")
    command = [
        "restore",
        str(folder / "one.png"),
        "--disc",
        "2",
        "--weights",
        str(weights),
        "-o",
        str(folder / "out.png"),
    ]
    result = runner.invoke(app, command)
    assert result.exit_code == 1
    assert (folder / "out.png").read_bytes() == b"precious"
    call(*command, "--overwrite", "--steps", 1)
    assert (folder / "out.png").read_bytes() != b"precious"


def test_one_bad_picture_does_not_stop_the_others(folder: Path, weights: Path) -> None:
    (folder / "a-broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    result = runner.invoke(
        app,
        ["restore", str(folder), "-o", str(folder / "out"), "--disc", "2", "--weights", str(weights), "--steps", "1"],
    )
    assert result.exit_code == 1
    assert sorted(p.name for p in (folder / "out").glob("*.png")) == ["one.png", "two.png"]


def test_json_is_one_object_for_each_picture(folder: Path, weights: Path) -> None:
    result = runner.invoke(
        app, ["restore", str(folder / "one.png"), "--disc", "2", "--weights", str(weights), "--steps", "2", "--json"]
    )
    record = json.loads(next(line for line in result.stdout.splitlines() if line.startswith("{")))
    assert record["steps"] == 2
    assert record["outcome"] in ("completed", "exhausted", "converged")
    assert 0 < record["fitting_error"] < 1


def test_explain_and_compare(folder: Path, weights: Path) -> None:
    call("restore", folder / "one.png", "--disc", 2, "--weights", weights, "--steps", 2,
         "--explain", folder / "inside", "--compare", folder / "cmp.png")  # fmt: skip
    names = {p.name for p in (folder / "inside").glob("*.png")}
    for part in ("estimate", "x-g1", "x-g4", "network"):
        assert f"step-02-{part}.png" in names
    with PillowImage.open(folder / "cmp.png") as both:
        assert both.size[0] > 2 * 72 - 20


def test_preview_equals_the_whole_away_from_its_margin(folder: Path, weights: Path) -> None:
    common = ("--disc", 1.5, "--weights", weights, "--steps", 2, "--precision", "float32")
    call("restore", folder / "one.png", *common, "-o", folder / "whole.png")
    call("restore", folder / "one.png", *common, "-o", folder / "piece.png", "--preview", "20,16,24,20")
    whole, piece = read_image(folder / "whole.png").pixels, read_image(folder / "piece.png").pixels
    assert piece.shape[-2:] == (20, 24)
    assert float((whole[..., 16:36, 20:44] - piece).abs().max()) <= 1.01 / 255


def test_without_fast_bfloat16_the_result_is_the_same(folder: Path, weights: Path) -> None:
    for precision in ("bfloat16", "float32"):
        call("restore", folder / "one.png", "--kernel", folder / "psf.npy", "--weights", weights, "--steps", 3,
             "--precision", precision, "-o", folder / f"{precision}.png")  # fmt: skip
    low, high = (read_image(folder / f"{p}.png").pixels for p in ("bfloat16", "float32"))
    assert float((low - high).abs().mean()) < 1 / 255


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--sigma", "much", "--disc", "2"), "2.55/255"),
        (("--motion", "9"), "LENGTH,ANGLE"),
        (("--disc", "-1"), "above 0"),
        (("--disc", "2", "--gaussian", "1"), "one kernel"),
        (("--disc", "2", "--preview", "0,0,500,500"), "beyond the picture"),
        (("--disc", "2", "--device", "abacus"), "--device cpu"),
        (("--disc", "2", "--method", "magic"), "acutance methods"),
        (("--disc", "2", "--bits", "12"), "8, 16 or 32"),
        (("--disc", "2", "--precision", "half"), "bfloat16"),
        (("--disc", "200"), "cut to fit"),
        (("--disc", "2", "--quality", "superb"), "fast, balanced, best"),
        (("--disc", "2", "--mask", "psf.npy"), "psf.npy"),
    ],
)
def test_wrong_options_say_what_is_right(folder: Path, weights: Path, options: tuple[str, ...], part: str) -> None:
    use = () if "magic" in options else ("--weights", str(weights))
    result = runner.invoke(app, ["restore", str(folder / "one.png"), *use, *options])
    text = result.output + str(result.exception or "")
    assert result.exit_code != 0
    assert part in text.replace("\n", " ")
    assert not (folder / "one-restored.png").exists()


def test_a_mask_and_a_quality(folder: Path, weights: Path) -> None:
    height, width = read_image(folder / "one.png").pixels.shape[-2:]
    mask = np.full((height, width), 255, np.uint8)
    mask[:, : width // 2] = 0
    PillowImage.fromarray(mask).save(folder / "mask.png")
    PillowImage.fromarray(mask[1:]).save(folder / "small.png")
    common = ("restore", folder / "one.png", "--disc", 2, "--sigma", "1%", "--weights", weights, "--quality", "fast")
    assert "2 steps" in call(*common, "-o", folder / "plain.png")
    call(*common, "--mask", folder / "mask.png", "-o", folder / "masked.png")
    plain, masked = (read_image(folder / f"{name}.png").pixels for name in ("plain", "masked"))
    far = (plain - masked).abs().mean((0, 1, 2))
    assert float(far[: width // 3].mean()) > 4 * float(far[-width // 4 :].mean())
    result = runner.invoke(app, [str(a) for a in (*common, "--mask", folder / "small.png", "-o", folder / "no.png")])
    assert result.exit_code == 1
    assert "size of the picture" in result.output.replace("\n", " ")


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 1), (np.uint16, 1), (np.uint16, 65535), (bool, 1)])
def test_a_mask_of_zeros_and_ones(folder: Path, dtype: type, white: int) -> None:
    """What 1 is in a file of 8 or 16 bits depends on what else is in it."""
    height, width = read_image(folder / "one.png").pixels.shape[-2:]
    mask = np.full((height, width), 255, np.uint8)
    mask[10:20, 30:45] = 0
    PillowImage.fromarray(mask).save(folder / "mask.png")
    PillowImage.fromarray(((mask > 0) * white).astype(dtype)).save(folder / "other.png")
    common = ("restore", folder / "one.png", "--kernel", folder / "psf.npy", "--method", "wiener", "--sigma", "1%")
    call(*common, "--mask", folder / "mask.png", "-o", folder / "a.png")
    said = call(*common, "--mask", folder / "other.png", "-o", folder / "b.png")
    assert ("1 was taken for white" in said.replace("\n", " ")) == (white == 1 and dtype is not bool)
    assert torch.equal(read_image(folder / "a.png").pixels, read_image(folder / "b.png").pixels)


@pytest.mark.parametrize("kind", ["?", "u1", "f4"])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_mask_in_an_array(folder: Path, kind: str, suffix: str) -> None:
    """It does what the picture of it does; of another size it is refused before the picture is decoded."""
    height, width = read_image(folder / "one.png").pixels.shape[-2:]
    mask = np.ones((height, width))
    mask[10:20, 30:45] = 0
    PillowImage.fromarray((mask * 255).astype(np.uint8)).save(folder / "mask.png")
    save = np.save if suffix == "npy" else np.savez
    save(folder / f"mask.{suffix}", mask.astype(kind))
    save(folder / f"other.{suffix}", mask[1:].astype(kind))
    common = ("restore", folder / "one.png", "--kernel", folder / "psf.npy", "--method", "wiener", "--sigma", "1%")
    call(*common, "--mask", folder / "mask.png", "-o", folder / "a.png")
    call(*common, "--mask", folder / f"mask.{suffix}", "-o", folder / "b.png")
    assert torch.equal(read_image(folder / "a.png").pixels, read_image(folder / "b.png").pixels)
    whole = (folder / "one.png").read_bytes()
    (folder / "one.png").write_bytes(whole[: len(whole) // 2])
    command = [*common, "--mask", folder / f"other.{suffix}", "-o", folder / "c.png"]
    result = runner.invoke(app, [str(a) for a in command])
    assert result.exit_code == 1
    assert "size of the picture" in result.output.replace("\n", " ")


@pytest.mark.parametrize("c", [1e-5, 1.0, 4e4])
def test_a_float_file_with_missing_samples(folder: Path, c: float) -> None:
    """It is restored in its own units; what was missing is filled in, which is said."""
    samples = c * read_image(folder / "one.png").pixels[0].permute(1, 2, 0).numpy()
    whole, holes = samples.astype(np.float32), samples.astype(np.float32)
    holes[20:22, 30] = np.nan
    tifffile.imwrite(folder / "whole.tif", whole, photometric="rgb")
    tifffile.imwrite(folder / "holes.tif", holes, photometric="rgb")
    common = ("--kernel", folder / "psf.npy", "--method", "fd", "--sigma", "1%", "--overwrite")
    call("restore", folder / "whole.tif", *common, "-o", folder / "a.tif")
    said = call("restore", folder / "holes.tif", *common, "-o", folder / "b.tif", "--compare", folder / "both.png")
    assert "2 pixels are NaN or infinite" in said.replace("\n", " ")
    first, second = (tifffile.imread(folder / f"{name}.tif") / c for name in "ab")
    assert np.isfinite(second).all()
    assert np.abs(first - second).mean() < 0.01
    assert 0.5 < first.mean() / (whole / c).mean() < 1.5


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_method_with_settings_and_an_estimated_noise_level(folder: Path) -> None:
    kernel = ("--kernel", folder / "psf.npy")
    said = call("restore", folder / "one.png", *kernel, "--method", "tv:steps=3", "-o", folder / "a.png")
    assert "restored by tv, 3 steps" in said
    assert "% noise. Grainy or ringed? --sigma" in said
    said = call("restore", folder / "one.png", *kernel, "--method", "tv", "--sigma", "1%", "-o", folder / "b.png")
    assert "tv, 30 steps" in said
    assert "assuming" not in said


@pytest.mark.parametrize(("setting", "option"), [("linear=true", "--linear"), ("sigma=0.01", "--sigma")])
def test_what_has_an_option_is_no_setting(folder: Path, setting: str, option: str) -> None:
    given = ("--kernel", folder / "psf.npy", "--method", f"wiener:{setting}", "-o", folder / "a.png")
    result = runner.invoke(app, ["restore", *map(str, (folder / "one.png", *given))])
    assert result.exit_code != 0
    assert f"give the option {option}" in str(result.exception) + result.output
    assert not (folder / "a.png").exists()


def test_ctrl_c_ends_cleanly(folder: Path, weights: Path) -> None:
    rng = np.random.default_rng(0)
    PillowImage.fromarray(rng.integers(0, 255, (320, 320, 3), dtype=np.uint8)).save(folder / "large.png")
    command = [sys.executable, "-m", "acutance", "restore", str(folder / "large.png"), "--disc", "3",
               "--weights", str(weights), "--steps", "1000", "-o", str(folder / "out.png")]  # fmt: skip

    def heeding() -> None:  # a shell's background job has SIGINT ignored, and hands that on
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heeding)
    assert process.stderr is not None
    while "about" not in process.stderr.readline():  # the forecast: now it begins
        assert process.poll() is None
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert not (folder / "out.png").exists()
    assert not list(folder.glob(".*partial*"))
