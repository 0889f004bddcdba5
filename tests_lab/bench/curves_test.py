"""Curves say what one thing does, are continued where they stopped, and end in tables."""

from __future__ import annotations

import builtins
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from acutance.errors import ConfigError, MissingExtra
from acutance.metrics import psnr
from acutance.operators import Blur
from acutance.tensors import crop, pad
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.curves import (
    BASE,
    CURVES,
    GROUPS,
    KERNEL_ERROR,
    STEPS,
    Curve,
    Picture,
    content,
    curve_suite,
    find_curves,
    find_pictures,
)
from acutance_lab.bench.report_plots import curve_plot
from acutance_lab.bench.rows import Row, read_rows
from acutance_lab.bench.run import run
from acutance_lab.bench.scenes import leafy_picture
from acutance_lab.bench.tables import BLURRED, curve_means, curve_table
from acutance_lab.cli.app import app
from acutance_lab.plots import require_matplotlib
from acutance_lab.synth.kernel_error import centroid

SIDE = 48
ROW = Row(
    "made", "a|b", "a@48", "19", 0.02, 30.0, 0.8, 20.0, 0.5, 1, "COMPLETED", None, None, "abc1234", "cpu, 2",
    varied="noise", value=2.0, width=48,
)  # fmt: skip
FILE = "curves.jsonl"


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return [Picture("made", f"{seed}", leafy_picture(80, 80, seed=seed).mean(1, keepdim=True)) for seed in (1, 2)]


def only(name: str, *values: float) -> Curve:
    return replace(CURVES[name], values=values)


def measure(curve: Curve, methods: list[str], pictures: list[Picture], side: int = SIDE, **options: Any) -> list[Row]:
    suite = curve_suite(curve, pictures, side)
    return run(suite, methods, device="cpu", curve=curve.stepwise, steps=curve.steps, **options)


def test_an_unknown_curve_is_answered_with_the_known_ones() -> None:
    with pytest.raises(
        ConfigError, match=r"'sharpness'.*steps, kernel-size, noise, saturation, rotation.*kernel-error"
    ):
        find_curves(["noise", "sharpness"])
    with pytest.raises(ConfigError, match="no curve is named"):
        find_curves([])


def test_names_stand_for_curves() -> None:
    assert [c.name for c in find_curves(["scale", KERNEL_ERROR])] == ["scale", "rotation", "kernel-noise", "truncation"]
    assert [c.name for c in find_curves(["all"])] == list(CURVES)
    assert set(GROUPS[KERNEL_ERROR]) < set(CURVES)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("rotation", 0, 12),
        ("scale", 1, 1.1),
        ("kernel-noise", 0, 0.1),
        ("truncation", 0, 0.2),
        ("noise", 1, 6),
        ("saturation", 1, 3),
        ("kernel-size", 5, 19),
    ],
)
def test_what_is_worse_costs_decibels(pictures: list[Picture], name: str, good: float, bad: float) -> None:
    found = measure(only(name, good, bad), ["fd"], pictures)
    assert [r.value for r in found] == [good, good, bad, bad]
    psnr_of = curve_means(found)["fd"]
    assert psnr_of[bad] < psnr_of[good] - 0.3


def test_a_longer_rotation_hurts_more(pictures: list[Picture]) -> None:
    means = curve_means(measure(only("rotation", 0, 4, 8, 12), ["wiener", "fd"], pictures))
    for psnr_of in (means["wiener"], means["fd"]):
        assert psnr_of[12] < psnr_of[8] < psnr_of[4]
        assert psnr_of[12] < psnr_of[0] - 1


def test_points_are_not_measured_again(pictures: list[Picture], tmp_path: Path) -> None:
    plans: list[int] = []

    def again(*methods: str, values: tuple[float, ...] = (1, 4), side: int = SIDE) -> list[Row]:
        curve = only("noise", *values)
        return measure(curve, list(methods), pictures, side, out=tmp_path, on_plan=plans.append)

    first = again("wiener")
    assert repr(again("wiener")) == repr(first)
    assert repr([r for r in again("wiener", "wiener:strength=2") if r.method == "wiener"]) == repr(first)
    again("wiener", values=(1, 2, 4))
    again("wiener", side=SIDE - 8)
    assert plans == [4, 0, 4, 2, 4], "2 pictures x 2 values; nothing; another method; another value; other pictures"
    assert len(read_rows(tmp_path / FILE)) == sum(plans)
    assert repr(read_rows(tmp_path / FILE)[:4]) == repr(first)


def test_the_table_has_the_means_of_the_points(pictures: list[Picture]) -> None:
    found = measure(only("noise", 0.5, 3), ["wiener", "fd"], pictures)
    head, _, *rows, _, last = curve_table(found).splitlines()
    assert head == "| method | 0.5 | 3 |"
    for method, row in zip(("wiener", "fd"), rows[:2], strict=True):
        cells = [fmean(r.psnr for r in found if r.method == method and r.value == v) for v in (0.5, 3)]
        assert row == f"| {method} | {cells[0]:.2f} | {cells[1]:.2f} |"
    assert rows[2].startswith(f"| {BLURRED} | ")
    assert last == "Mean PSNR in dB, pictures: 2 of made, 48 pixels square."


def test_a_table_of_points_that_others_lack() -> None:
    more = replace(ROW, value=3.0, method="c", weights="w-1", width=40, picture="b@40")
    lines = curve_table([ROW, more]).splitlines()
    assert lines[2:4] == ["| a/b | 30.00 |  |", "| c (w-1) |  | 30.00 |"]
    assert "pictures: 2 of made, 40 to 48 pixels" in lines[-1]


def test_one_run_has_all_steps(pictures: list[Picture], tmp_path: Path) -> None:
    plans: list[int] = []
    methods = ["fd:steps=3", "richardson-lucy:discrepancy=1.5", "wiener"]
    found = measure(CURVES["steps"], methods, pictures[:1], out=tmp_path, on_plan=plans.append)
    made = content(pictures[0], BASE, SIDE)
    assert made.truth is not None
    whole = Contender.parse(f"fd:steps={STEPS}").load("cpu")(made.observed, made.kernel, made.sigma)
    end = float(psnr(whole.pixels.double().clamp(0, 1), made.truth.double()))
    by_method = {name: list(each.values()) for name, each in curve_means(found).items()}
    fd, lucy = (next(each for name, each in by_method.items() if name.startswith(kind)) for kind in ("fd", "rich"))
    assert all(len(each) == STEPS for each in by_method.values())
    assert fd[-1] == pytest.approx(end, abs=1e-3)
    assert fd[-1] > fd[0] + 0.5
    assert len(set(by_method["wiener"])) == 1, "no steps: a horizontal line"
    assert lucy[-1] == lucy[-2] > lucy[0], "a run that ends early stays where it ended"
    measure(CURVES["steps"], methods, pictures[:1], out=tmp_path, on_plan=plans.append)
    assert plans == [3, 0]


@pytest.mark.parametrize("name", CURVES)
def test_pictures_are_what_the_curve_says(pictures: list[Picture], name: str) -> None:
    for value in CURVES[name].values:
        condition = CURVES[name].condition(value)
        if condition.span > 31:
            continue
        made, again = (content(pictures[0], condition, SIDE) for _ in range(2))
        assert made.kernel is not None
        assert made.truth is not None
        assert made.observed.shape == made.truth.shape == (1, 1, SIDE, SIDE)
        assert torch.equal(made.observed, again.observed)
        assert float(made.truth.max()) <= 1
        assert float(made.kernel.sum()) == pytest.approx(1, abs=1e-5)
        assert made.kernel.shape[-1] >= condition.span
        true = content(pictures[0], replace(condition, spoil=None), SIDE)
        assert true.kernel is not None
        assert torch.equal(made.observed, true.observed), "the picture is blurred by the true kernel"
        room = (made.kernel.shape[-1] - condition.span) // 2
        off = centroid(made.kernel) - centroid(pad(true.kernel, room, room, border="zero"))
        assert float(off.abs().max()) < 0.005, "an estimate does not move the picture"
        if value in (0, 1) and name not in ("steps", "noise"):
            assert torch.allclose(crop(made.kernel, room, room), true.kernel, atol=1e-4), "nothing is wrong with it"


def test_noise_and_clipping_come_after_the_blur(pictures: list[Picture]) -> None:
    picture = pictures[0]
    made = content(picture, CURVES["noise"].condition(4), SIDE)
    assert made.kernel is not None
    blurred = Blur(made.kernel).forward(crop(picture.pixels, 7, 7))
    inside = (made.observed > 0) & (made.observed < 1)
    assert float((made.observed - blurred)[inside].std()) == pytest.approx(0.04, rel=0.1)
    assert made.sigma == pytest.approx(0.04, rel=1e-3)
    still = content(picture, CURVES["noise"].condition(0), SIDE)
    assert still.sigma == pytest.approx(float((still.observed - blurred).std()), rel=0.1), "eight bits are noise, too"
    bright = content(picture, CURVES["saturation"].condition(2), SIDE)
    doubled = 2 * blurred
    assert bright.truth is not None
    assert torch.equal(bright.truth, (2 * crop(picture.pixels, 16, 16)).clamp_max(1))
    assert bool((bright.observed[doubled > 1.05] == 1).all())
    assert float((bright.observed - doubled)[doubled < 0.9].std()) == pytest.approx(0.01, rel=0.1)


def test_a_larger_kernel_is_the_same_path(pictures: list[Picture]) -> None:
    small, large = (content(pictures[0], CURVES["kernel-size"].condition(n), 48).kernel for n in (13, 31))
    assert small is not None
    assert large is not None
    extents = [(k[0, 0] > 0).nonzero().aminmax(dim=0) for k in (small, large)]
    sides = [(most - least + 1).float() for least, most in extents]
    assert torch.allclose(sides[1] / sides[0], torch.tensor(31 / 13), rtol=0.15)
    assert float(sides[1].max()) > 0.8 * 31, "it fills its frame"


def test_what_does_not_fit_is_refused(pictures: list[Picture]) -> None:
    with pytest.raises(ConfigError, match="kernels of up to 75 pixels leave 6 of made/1, 75 are needed"):
        measure(CURVES["kernel-size"], ["wiener"], pictures, 192)
    with pytest.raises(ConfigError, match="32 are needed"):
        measure(CURVES["noise"], ["wiener"], pictures, 31)
    (found, *_) = measure(only("noise", 1), ["wiener"], pictures, 192)
    assert found.width == 80 - 19 + 1, "as large as the picture allows"


def test_the_command(data: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "bench", tmp_path / "out"
    (folder / "kodak24").mkdir(parents=True)
    shutil.copy(data / "bench" / "levin32.npz", folder)
    for n in (1, 2, 10):
        pixels = (leafy_picture(64, 70, seed=n)[0] * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(folder / "kodak24" / f"{n}.png")
    assert [p.name for p in find_pictures(folder, "kodak24", 2)] == ["1", "2"]
    assert [p.name for p in find_pictures(folder, "kodak24", 9)] == ["1", "2", "10"]
    command = ["bench", "curves", "truncation", "--methods", "wiener,wiener:strength=2", "--set", "kodak24"]
    command += ["--data", str(tmp_path), "--pictures", "2", "--side", "32", "--out", str(out), "--device", "cpu"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "| method | 0 | 0.02 | 0.05 | 0.1 | 0.2 |" in result.output
    assert "| wiener:strength=2 | " in result.output
    assert len(read_rows(out / FILE)) == 5 * 2 * 2
    with Image.open(out / "truncation.png") as plot:
        assert plot.format == "PNG"
    wrong = CliRunner().invoke(app, ["bench", "curves", "colour", "--data", str(tmp_path)])
    assert isinstance(wrong.exception, ConfigError)


def test_without_matplotlib_nothing_is_measured_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"acutance\[lab\]"):
        require_matplotlib()
    with pytest.raises(MissingExtra):
        curve_plot([ROW], "noise")
