"""Contenders side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from acutance.errors import ConfigError, DataError, ImageError, UnknownMethod
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.times import Scene, leafy_picture, make_scene, shaken, times
from acutance_lab.bench.timing import Timing, append_times, ratio, read_times, times_table
from acutance_lab.cli.app import app
from acutance_lab.cli.measuring import split_methods

TIMING = Timing(
    "2025-01-01T00:00:00+00:00", "a|b", None, "leaves", 64, 48, 3, 9, 0.01, (0.1, 0.3, 0.2), 1, "CONVERGED", 30.0,
    20.0, "abc1234", "cpu, 2",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tiny() -> Scene:
    return make_scene(48, kernel=7)


def test_contenders_take_turns(tiny: Scene) -> None:
    turns: list[tuple[str, int]] = []
    contenders = [Contender.parse("wiener"), Contender.parse("wiener:strength=2")]
    found = times(tiny, contenders, runs=2, device="cpu", on_round=lambda label, n: turns.append((label, n)))
    assert turns == [(c.label, n) for n in range(3) for c in contenders]
    assert [t.method for t in found] == ["wiener", "wiener:strength=2"]
    assert len({t.run for t in found}) == 1
    for t in found:
        assert len(t.seconds) == 2
        assert min(t.seconds) > 0
        assert t.psnr > t.psnr_blurred + 1
        assert (t.width, t.height, t.channels, t.kernel, t.noise) == (48, 48, 1, 7, 0.01)


def test_who_cannot_run_is_said_before_anything_runs(tiny: Scene) -> None:
    with pytest.raises(ConfigError, match="every method once"):
        times(tiny, [Contender.parse("wiener")] * 2)
    with pytest.raises(ConfigError, match="at least one"):
        times(tiny, [], runs=1)
    with pytest.raises(ConfigError, match="at least one"):
        times(tiny, [Contender.parse("wiener")], runs=0)


def test_the_scene_is_the_same_each_time(tiny: Scene) -> None:
    again = make_scene(48, kernel=7)
    assert torch.equal(tiny.observed, again.observed)
    assert tiny.observed.shape == tiny.truth.shape == (1, 1, 48, 48)
    colour = make_scene(48, kernel=7, channels=3)
    assert colour.observed.shape == (1, 3, 48, 48)
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
    scene = make_scene(64, kernel=9, channels=3, photograph=file)
    assert scene.name == "mine.png"
    assert scene.truth.shape == (1, 3, 52, 64)  # what is left of 60 and 72 without the kernel's reach
    assert make_scene(64, kernel=9, photograph=file).truth.shape == (1, 1, 52, 64)
    with pytest.raises(ConfigError, match="too small"):
        make_scene(200, kernel=41, photograph=file)
    with pytest.raises(ImageError):
        make_scene(64, kernel=9, photograph=tmp_path / "none.png")


@pytest.mark.parametrize("settings", [{"kernel": 8}, {"kernel": 31}, {"channels": 2}, {"noise": 2.0}, {"noise": -0.1}])
def test_scenes_that_there_are_not(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        make_scene(48, **settings)  # type: ignore[arg-type]


def test_rows_survive_the_file(tmp_path: Path) -> None:
    later = replace(TIMING, run="2025-01-02T00:00:00+00:00", weights="w-1")
    file = append_times(tmp_path / "new", [TIMING, replace(TIMING, method="<b>")])
    assert append_times(tmp_path / "new", [later]) == file
    with file.open("a") as stream:
        stream.write('{"run": "20')
    assert read_times(file) == [[TIMING, replace(TIMING, method="<b>")], [later]]
    append_times(tmp_path / "new", [replace(later, method="c", psnr=float("inf"))])
    assert [t.method for t in read_times(file)[1]] == ["a|b", "c"]  # what was cut off took nothing with it
    file.write_text('{"run": "x"}\n')
    with pytest.raises(DataError, match="line 1"):
        read_times(file)
    assert read_times(tmp_path / "none") == []


def test_the_ratio_is_of_rounds() -> None:
    slow = replace(TIMING, method="slow", seconds=(0.2, 0.9, 0.8))
    assert ratio(slow, TIMING) == pytest.approx(3)
    text = times_table([TIMING, slow])
    assert "| a/b | 0.2 | 0.1 to 0.3 | 1 | 30.00 | +10.00 | 1 |" in text
    assert "| slow | 0.8 | 0.2 to 0.9 | 3 |" in text
    assert "48x64, colour, kernel 9x9, noise 1 %" in text
    assert "Hardware: cpu, 2." in text
    assert "time / that of slow" in times_table([TIMING, slow], "slow")
    with pytest.raises(ConfigError, match="--against"):
        times_table([TIMING], "nobody")


def test_the_command(tmp_path: Path) -> None:
    command = ["bench", "times", "--size", "40", "--kernel", "5", "--runs", "1", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, [*command, "--methods", "wiener,wiener:strength=2", "--against", "wiener"])
    assert result.exit_code == 0, result.output
    assert "time / that of wiener" in result.output
    assert [t.method for t in read_times(tmp_path / "times.jsonl")[0]] == ["wiener", "wiener:strength=2"]
    wrong = CliRunner().invoke(app, [*command, "--methods", "wiener", "--against", "rgdn"])
    assert isinstance(wrong.exception, ConfigError)
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
