"""Pictures that are made to measure on, and methods in turn on one of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from acutance.errors import ConfigError, DataError, ImageError, UnknownMethod
from acutance_lab.bench.case import Content
from acutance_lab.bench.rows import Row
from acutance_lab.bench.run import run
from acutance_lab.bench.scenes import large_suite, leafy_picture, leaves, scene_suite, shaken
from acutance_lab.bench.tables import size_table, times_table
from acutance_lab.cli.app import app
from acutance_lab.cli.measuring import split_methods
from acutance_lab.records import read_records

ROW = Row(
    "times", "a|b", "leaves", "9", 0.01, 30.0, 0.8, 20.0, 0.2, 1, "COMPLETED", None, None, "abc1234", "cpu, 2",
    width=48, height=64, channels=3, rounds=(0.1, 0.3, 0.2), begun="2025-01-01T00:00:00+00:00",
)  # fmt: skip


def made(*, height: int = 48, width: int = 48, kernel: int = 7, **options: object) -> Content:
    suite = scene_suite(height, width, kernel=kernel, **options)  # type: ignore[arg-type]
    (case,) = suite.cases(Path(), suite.noises[0])
    return case.load()


def test_contenders_take_turns() -> None:
    turns: list[str] = []
    found = run(
        scene_suite(48, 48, kernel=7), ["wiener", "wiener:strength=2"], rounds=2, device="cpu",
        on_case=lambda row, _: turns.append(row.method),
    )  # fmt: skip
    assert [r.method for r in found] == turns == ["wiener", "wiener:strength=2"]
    assert len({r.begun for r in found}) == 1
    for r in found:
        assert r.rounds is not None
        assert len(r.rounds) == 2
        assert min(r.rounds) > 0
        assert r.psnr > r.psnr_blurred + 1
        assert (r.width, r.height, r.channels, r.kernel, r.noise) == (48, 48, 1, "7", 0.01)


def test_the_scene_is_the_same_each_time() -> None:
    tiny, again, colour = made(), made(), made(channels=3)
    assert torch.equal(tiny.observed, again.observed)
    assert tiny.truth is not None
    assert tiny.observed.shape == tiny.truth.shape == (1, 1, 48, 48)
    assert colour.observed.shape == (1, 3, 48, 48)
    assert made(width=64).observed.shape == (1, 1, 48, 64)
    assert colour.kernel is not None
    assert tiny.kernel is not None
    assert torch.equal(colour.kernel, tiny.kernel)
    assert torch.equal((tiny.observed * 255).round() / 255, tiny.observed)


def test_the_made_picture_is_like_a_photograph() -> None:
    picture = leafy_picture(160, 200)
    assert picture.shape == (1, 3, 160, 200)
    assert float(picture.min()) >= 0
    assert float(picture.max()) <= 1
    assert 0.1 < float(picture.std()) < 0.25
    spectrum = torch.fft.rfft2(picture.mean(1)[0]).abs().square()
    f = (torch.fft.fftfreq(160)[:, None].square() + torch.fft.rfftfreq(200)[None].square()).sqrt()
    low, high = (float(spectrum[(f >= a) & (f < 2 * a)].mean()) for a in (0.03, 0.24))
    assert 2**4 < low / high < 2**12  # three octaves at 2 or so each


@pytest.mark.parametrize("side", [5, 25])
def test_the_kernel_fills_its_frame(side: int) -> None:
    kernel = shaken(side)
    assert kernel.shape == (1, 1, side, side)
    assert float(kernel.sum()) == pytest.approx(1)
    there = (kernel[0, 0] > 0).nonzero()
    assert int((there.amax(0) - there.amin(0)).amax()) >= 0.6 * side


def test_a_photograph_of_the_user(tmp_path: Path) -> None:
    file = tmp_path / "mine.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)).save(file)
    scene = scene_suite(64, 64, kernel=9, channels=3, photograph=file)
    (case,) = scene.cases(tmp_path, scene.noises[0])
    assert case.picture == "mine.png"
    truth = case.load().truth
    assert truth is not None
    assert truth.shape == (1, 3, 52, 64)  # what is left of 60 and 72 without the kernel's reach
    assert made(height=64, width=64, kernel=9, photograph=file).observed.shape == (1, 1, 52, 64)
    with pytest.raises(ConfigError, match="too small"):
        scene_suite(200, 200, kernel=41, photograph=file)
    with pytest.raises(ImageError):
        scene_suite(64, 64, kernel=9, photograph=tmp_path / "none.png")


@pytest.mark.parametrize("settings", [{"kernel": 8}, {"kernel": 31}, {"channels": 2}, {"noise": 2.0}, {"noise": -0.1}])
def test_scenes_that_there_are_not(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        scene_suite(48, 48, **settings)  # type: ignore[arg-type]


def test_the_ratio_is_of_rounds() -> None:
    slow = replace(ROW, method="slow", rounds=(0.2, 0.9, 0.8), seconds=0.8)
    assert slow.ratio(ROW) == pytest.approx(3)
    with pytest.raises(DataError, match="take turns"):
        slow.ratio(replace(ROW, rounds=None))
    text = times_table([ROW, slow])
    assert "| a/b | 0.2 | 0.1 to 0.3 | 1 | 30.00 | +10.00 | 1 |" in text
    assert "| slow | 0.8 | 0.2 to 0.9 | 3 |" in text
    assert "48x64, colour, kernel 9x9, noise 1 %" in text
    assert "Hardware: cpu, 2." in text
    assert "time / that of slow" in times_table([ROW, slow], "slow")
    with pytest.raises(ConfigError, match="--against"):
        times_table([ROW], "nobody")


def test_the_command(tmp_path: Path) -> None:
    command = ["bench", "times", "--size", "40", "--kernel", "5", "--runs", "1", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, [*command, "--methods", "wiener,wiener:strength=2", "--against", "wiener"])
    assert result.exit_code == 0, result.output
    assert "time / that of wiener" in result.output
    rows = read_records(tmp_path / "times.jsonl", Row, what="row")
    assert [r.method for r in rows] == ["wiener", "wiener:strength=2"]
    assert CliRunner().invoke(app, [*command, "--methods", "wiener"]).exit_code == 0
    assert len(read_records(tmp_path / "times.jsonl", Row, what="row")) == 3, "times are measured anew"
    wrong = CliRunner().invoke(app, [*command, "--methods", "wiener", "--against", "rgdn"])
    assert isinstance(wrong.exception, ConfigError)
    for methods in ("", "wiener,wiener"):
        twice = CliRunner().invoke(app, [*command, "--methods", methods])
        assert "every method once" in str(twice.exception)
    assert isinstance(CliRunner().invoke(app, [*command, "--methods", "magic"]).exception, UnknownMethod)


@pytest.mark.parametrize(
    ("text", "methods"),
    [
        ("a,b", ["a", "b"]),
        ("a:x=1,y=2 b", ["a:x=1,y=2", "b"]),
        ("a,b:x=1,c,d:weights=C:/w,y=2", ["a", "b:x=1", "c", "d:weights=C:/w,y=2"]),
        (" , ", []),
    ],
)
def test_methods_are_told_from_settings(text: str, methods: list[str]) -> None:
    assert split_methods(text) == methods


def test_the_scene_is_a_picture_on_a_torus() -> None:
    x = leaves(60, 50, seed=3)
    assert x.shape == (1, 3, 60, 50)
    assert 0 <= float(x.min()) < float(x.max()) <= 1
    assert torch.equal(x, leaves(60, 50, seed=3))
    assert not torch.equal(x, leaves(60, 50, seed=4))
    inside = float(x.diff(dim=-1).abs().mean())
    across = float((x[..., 0] - x[..., -1]).abs().mean())
    assert across < 2 * inside, "no seam where the picture is wrapped"


@pytest.mark.parametrize(("megapixels", "kernel"), [(0.0, 31), (1e6, 31), (24, 0), (24, 502)])
def test_impossible_sizes_are_refused(megapixels: float, kernel: int) -> None:
    with pytest.raises(ConfigError):
        large_suite(megapixels, kernel)


def test_a_large_picture_is_the_blurred_scene_everywhere() -> None:
    suite = large_suite(1.6, 6)  # larger than the scene that is repeated
    (case,) = suite.cases(Path(), suite.noises[0])
    content = case.load()
    assert content.observed.shape == (1, 3, 1033, 1549)
    assert content.kernel is not None
    assert content.kernel.shape == (1, 1, 7, 7)
    repeated = content.observed[..., :33, :] - content.observed[..., 1000:, :]
    assert 0.005 < float(repeated.std()) < 0.02, "the scene is repeated, its noise is not"


def test_the_table_says_how_far_off_the_forecast_was() -> None:
    row = replace(ROW, picture="24 MP", width=6000, height=4000, kernel="31", forecast=120.0, seconds=100.0,
                  processor_share=0.5, steps=5, peak_mb=2500.0)  # fmt: skip
    assert "| 6000x4000, 24 MP | 31x31 | 5 | 120.0 s | 100.0 s | +20 % | 50 % | 2.50 GB |" in size_table([row])
