"""Robustness of blind estimation: what the conditions are, that none breaks anything, that the numbers are right."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from acutance.blind import Estimate, Unknowable
from acutance.blind.shapes import widths
from acutance.errors import ConfigError, DataError
from acutance.images import Image as Picture
from acutance.metrics import kernel_similarity, psnr
from acutance.operators import Blur
from acutance.restoration.restorer import Restorer
from acutance.tensors import crop
from acutance_lab.cli.app import app
from acutance_lab.experiments import robustness
from acutance_lab.experiments.output import write_report
from acutance_lab.experiments.robustness import (
    BASE,
    CONDITIONS,
    INK,
    LARGEST,
    MARGIN,
    PAPER,
    STATIC,
    Bench,
    Robustness,
    Settings,
    Trial,
    Verdict,
    flat,
    make,
    page,
    path,
    static,
)
from acutance_lab.synth.files import through_jpeg

SIDE = 64
TINY = Settings(pictures=1, side=SIDE)
FEW = {name: CONDITIONS[name] for name in ("noise 1 %", "sharp", "flat")}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def scene() -> Tensor:
    """Flat shapes of several sizes with some texture, none of them black or white."""
    size = SIDE + 2 * MARGIN
    x = sum(torch.nn.functional.interpolate(torch.rand(1, 3, n, n, generator=seeded(n)), size) for n in (4, 9, 30))
    assert isinstance(x, Tensor)
    return 0.1 + 0.8 * x / 3


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench.load("learned", "fd")


def test_there_are_all_conditions() -> None:
    assert CONDITIONS["noise 0.5 %"] == BASE
    assert [c.noise for n, c in CONDITIONS.items() if n.startswith("noise")] == [0.005, 0.01, 0.02, 0.03, 0.05]
    assert [c.quality for n, c in CONDITIONS.items() if n.startswith("JPEG")] == [95, 90, 75, 60]
    assert [c.gain for c in CONDITIONS.values() if c.gain != 1] == [1.25, 1.5, 2]
    sides = [c.kernel(seeded()).shape[-1] for n, c in CONDITIONS.items() if n.startswith("kernel of") and c.kernel]
    assert sides == [5, 9, 13, 31, 45]
    assert max(sides) == LARGEST


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_picture_is_made_as_said(scene: Tensor, name: str) -> None:
    condition = CONDITIONS[name]
    case, again = make(condition, scene, "7/0"), make(condition, scene, "7/0")
    assert torch.equal(case.picture.pixels, again.picture.pixels)
    assert case.picture.pixels.shape == case.sharp.shape == (1, 3, SIDE, SIDE)
    for x in (case.picture.pixels, case.sharp):
        assert 0 <= float(x.min()) <= float(x.max()) <= 1
    levels = 255 * case.picture.pixels
    assert torch.allclose(levels, levels.round(), atol=1e-3)
    assert case.picture.info.format == ("PNG" if condition.quality is None else "JPEG")
    assert (case.kernel is None) == (condition.kernel is None)
    if case.kernel is not None:
        assert case.kernel.shape[-1] % 2 == 1
        assert float(case.kernel.min()) >= 0
        assert float(case.kernel.sum()) == pytest.approx(1)
    if condition.noise and condition.scene is not flat:
        assert not torch.equal(case.picture.pixels, make(condition, scene, "8/0").picture.pixels)


@pytest.mark.parametrize("name", ["noise 0.5 %", "noise 5 %", "disc of radius 3", "kernel of 5", "kernel of 45"])
def test_blur_and_noise(scene: Tensor, name: str) -> None:
    """The frame is the same for every kernel, and what is not blur is noise of that level."""
    case = make(CONDITIONS[name], scene, "7/0")
    assert case.kernel is not None
    assert torch.equal(case.sharp, crop(scene, MARGIN, MARGIN))
    room = MARGIN - case.kernel.shape[-1] // 2
    noise = case.picture.pixels - Blur(case.kernel).forward(crop(scene, room, room))
    assert float(noise.std()) == pytest.approx(math.hypot(CONDITIONS[name].noise, 1 / 255 / 12**0.5), rel=0.05)
    assert abs(float(noise.mean())) < 0.002


def test_saturation_clips_the_truth_too(scene: Tensor) -> None:
    case = make(CONDITIONS["brightness × 2"], scene, "7/0")
    assert torch.equal(case.sharp, (2 * crop(scene, MARGIN, MARGIN)).clamp(0, 1))
    assert float((case.picture.pixels == 1).float().mean()) > 0.1


def test_paths_grow_with_their_frame() -> None:
    small, large = path(seeded(3), 13), path(seeded(3), 25)
    assert (small.shape[-1], large.shape[-1]) == (13, 25)
    assert math.hypot(*widths(large)) == pytest.approx(2 * math.hypot(*widths(small)), rel=0.1)
    assert torch.equal(path(seeded(3), 13), small)
    assert not torch.equal(path(seeded(4), 13), small)


def test_jpeg_loses_more_at_lower_quality(scene: Tensor) -> None:
    given = Picture((255 * scene).round() / 255)
    losses = [float(psnr(through_jpeg(given.pixels, quality), given.pixels)) for quality in (95, 90, 75, 60)]
    assert losses == sorted(losses, reverse=True)
    assert 20 < losses[-1] < losses[0] < 60


def test_scenes_that_are_no_photographs(scene: Tensor) -> None:
    noise = static(scene, seeded())
    assert float(noise.std()) == pytest.approx(STATIC, rel=0.03)
    assert not torch.equal(noise[:, 0], noise[:, 1])
    colour = flat(scene, seeded())
    assert torch.equal(colour, colour[..., :1, :1].expand_as(colour))
    assert colour.shape == scene.shape
    assert 0.2 <= float(colour.min()) <= float(colour.max()) <= 0.8


def test_a_page_has_strokes_of_two_values() -> None:
    blank = torch.zeros(1, 3, 150, 210)
    text = page(blank, seeded())
    assert text.shape == blank.shape
    assert text.unique().tolist() == pytest.approx([INK, PAPER])
    assert torch.equal(text[:, 0], text[:, 2])
    assert torch.equal(text, page(blank, seeded()))
    assert not torch.equal(text, page(blank, seeded(1)))
    ink = text[0, 0] < 0.5
    assert 0.1 < float(ink.float().mean()) < 0.45
    assert float((~ink).all(1).float().mean()) > 0.1, "between lines there is nothing"


@pytest.mark.parametrize("name", CONDITIONS)
def test_no_condition_raises_or_gives_no_number(scene: Tensor, bench: Bench, name: str) -> None:
    found = robustness.attempt(bench, make(CONDITIONS[name], scene, "1/0"), name, "scene")
    blurred = CONDITIONS[name].kernel is not None
    numbers = (found.similarity, found.blurred, found.found, found.true, found.ratio)
    assert all(v is not None and math.isfinite(v) for v in numbers) if blurred else numbers == (None,) * 5
    assert (found.kept is None) == blurred
    assert found.kept is None or 0 < found.kept <= 100
    assert found.seconds > 0
    assert found.remark


def test_the_true_kernel_scores_as_the_true_kernel(
    scene: Tensor, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the estimate the truth, moved by two pixels, it would be as good."""
    case = make(BASE, scene, "1/0")
    assert case.kernel is not None
    wide = torch.nn.functional.pad(case.kernel, (4, 4, 4, 4))
    monkeypatch.setattr(
        "acutance.blind.method.Blind.estimate", lambda *_: Estimate(torch.roll(wide, (2, -1), (-2, -1)), 27, {})
    )
    monkeypatch.setattr("acutance.blind.method.Blind._trust", lambda *_: torch.ones(1, 1, 1, 1))  # not mixed with y
    trial = robustness.attempt(bench, case, "base", "scene")
    assert trial.verdict is Verdict.KERNEL
    assert trial.similarity == pytest.approx(1)
    assert trial.found == pytest.approx(trial.true, abs=0.5)
    assert trial.found is not None
    assert trial.blurred is not None
    assert trial.found > trial.blurred + 2
    assert not trial.harmed


def test_where_nothing_is_found_the_picture_stays(scene: Tensor, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    case, sharp = make(BASE, scene, "1/0"), make(CONDITIONS["sharp"], scene, "1/0")
    one = torch.ones(1, 1, 1, 1)
    monkeypatch.setattr("acutance.blind.method.Blind.estimate", lambda *_: Estimate(one, 1, {}, blurred=False))
    trial = robustness.attempt(bench, case, "base", "scene")
    assert trial.verdict is Verdict.SHARP
    assert trial.found == pytest.approx(trial.blurred, abs=1e-5)
    assert not trial.harmed
    assert case.kernel is not None
    assert trial.similarity == pytest.approx(float(kernel_similarity(one, case.kernel)))
    assert robustness.attempt(bench, sharp, "sharp", "scene").kept == 100

    def nothing(*_: object) -> Estimate:
        raise Unknowable("nothing to be seen")

    monkeypatch.setattr("acutance.blind.method.Blind.estimate", nothing)
    trial = robustness.attempt(bench, sharp, "sharp", "scene")
    assert (trial.verdict, trial.remark, trial.kept) == (Verdict.UNTOLD, "nothing to be seen", 100)


@pytest.mark.parametrize("name", ["noise 0.5 %", "JPEG 75", "brightness × 1.5"])
def test_a_user_gets_the_same(scene: Tensor, bench: Bench, name: str) -> None:
    """Estimating and restoring one after the other is what `blind` does."""
    case = make(CONDITIONS[name], scene, "1/0")
    found = bench.estimate(case.picture)
    assert isinstance(found, Estimate)
    done = Restorer.load("blind", method="fd", otherwise="nothing")(case.picture, linear=False)
    assert found.remark in done.notes
    assert torch.equal(bench.restore(case.picture, found).image.pixels, done.image.pixels)


def test_the_same_seed_the_same_pictures(photographs: Path) -> None:
    one, two = ([x for _, x in robustness.photographs(photographs, Settings(2, SIDE, seed=5))] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one[0], one[1]), "one photograph, two crops"
    assert one[0].shape[-1] == SIDE + 2 * MARGIN
    with pytest.raises(DataError, match="at least"):
        list(robustness.photographs(photographs, Settings(1, 200)))


def test_settings_are_checked(photographs: Path) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        Settings(pictures=0)
    with pytest.raises(ConfigError, match="64 pixels"):
        Settings(side=40)
    with pytest.raises(ConfigError, match="learned"):
        robustness.run(photographs, Settings(1, SIDE, estimator="magic"), conditions=FEW)
    with pytest.raises(ConfigError, match="takes no kernel"):
        robustness.run(photographs, Settings(1, SIDE, method="bm3d"), conditions=FEW)


def test_the_report(photographs: Path, tmp_path: Path) -> None:
    told: list[Trial] = []
    found = robustness.run(photographs, TINY, conditions=FEW, on_trial=told.append)
    assert tuple(told) == found.trials
    assert [t.condition for t in told] == list(FEW)
    assert {t.picture for t in told} == {"010.png"}
    made = robustness.report(found)
    assert "| noise 1 % | " in made.text
    assert "| flat | 0 | 0 | 0 | 1 | 100.00 | 100.00 | " in made.text
    numbers, plot = write_report(tmp_path, made)
    values = json.loads(numbers.read_text(encoding="utf-8"))
    assert [t["condition"] for t in values["trials"]] == list(FEW)
    assert values["trials"][2]["verdict"] == "cannot be told"
    assert values["settings"]["side"] == SIDE
    with Image.open(plot) as picture:
        assert picture.format == "PNG"


def test_means_and_shares() -> None:
    trials = (
        Trial("a", "1", Verdict.KERNEL, "", 1.0, 0.5, 20.0, 24.0, 26.0),
        Trial("a", "2", Verdict.LENS, "", 3.0, 0.7, 20.0, 18.0, 30.0),
        Trial("b", "1", Verdict.SHARP, "", 1.0, kept=100.0),
        Trial("b", "2", Verdict.KERNEL, "", 1.0, kept=40.0),
    )
    assert trials[0].ratio == pytest.approx(10**0.2)
    assert [t.harmed for t in trials] == [False, True, False, False]
    table = robustness.report(Robustness(Settings(), "here", "v1", trials, 8.0)).text
    assert "| a | 1 | 1 | 0 | 0 | 0.60 | 20.00 | 21.00 | 28.00 | 50 % | 1 | 2.0 |" in table
    assert "| b | 1 | 0 | 1 | 0 | 70.00 | 40.00 | 1.0 |" in table
    assert "Of 2 blurred pictures 1 have an error ratio below 3, 1 were better before." in table
    assert "Of 2 without blur 1 were left as they are." in table


def test_the_command(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Settings] = []

    def short(data: Path, settings: Settings, **_: object) -> Robustness:
        asked.append(settings)
        return robustness_run(data, settings, conditions={"sharp": CONDITIONS["sharp"]})

    robustness_run = robustness.run
    monkeypatch.setattr(robustness, "run", short)
    options = ["--data", str(photographs), "--pictures", "2", "--side", "64", "--seed", "3", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, ["experiment", "blind", *options])
    assert result.exit_code == 0, result.output
    assert asked == [Settings(2, 64, 3)]
    assert "| sharp | " in result.output
    assert (tmp_path / "blind.json").is_file()
    assert (tmp_path / "blind.png").is_file()
