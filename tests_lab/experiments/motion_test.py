"""Synthetic beside real motion blur: the same blur is not told apart, another is, and the numbers are right."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from acutance.errors import ConfigError, DataError, OutputError
from acutance_lab.cli.app import app
from acutance_lab.experiments import motion
from acutance_lab.experiments.motion import (
    CAMERA_ONLY,
    CLEAN,
    PATCH,
    PHOTOGRAPHS,
    REAL,
    SHIPPED,
    VIEWS,
    WHOLE,
    Motion,
    Settings,
    patch_psnr,
    patches,
)
from acutance_lab.experiments.motion_classifier import Patches, auc, halves, matched, network, tell_apart
from acutance_lab.experiments.motion_windows import (
    GRID,
    HIGHEST,
    RADII,
    STATISTICS,
    Windows,
    cut,
    distance,
    frames,
    from_frames,
    high_passed,
    places,
    portrait,
    spectra,
    statistics,
)
from acutance_lab.experiments.output import write_report
from acutance_lab.synth import Camera, DynamicBlur

BLUR = DynamicBlur(extent=(1.0, 4.0))
SIDE = 128
"""Of the pictures on disc, pixels."""

SETTINGS = Settings(windows=3, side=PATCH, seeds=1, iterations=3, blur=BLUR)


def texture(seed: int, side: int = SIDE) -> Tensor:
    """A random colour picture with coarse and fine detail, (1, 3, side, side)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, side // 8, side // 8, generator=generator)
    coarse = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return (0.8 * coarse + 0.2 * torch.rand(1, 3, side, side, generator=generator)).clamp(0, 1)


def smeared(x: Tensor, length: int) -> Tensor:
    """Mean over so many columns."""
    around = torch.nn.functional.pad(x, (length // 2, length // 2, 0, 0), mode="replicate")
    return torch.nn.functional.avg_pool2d(around, (1, length), 1)


def save(file: Path, x: Tensor) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((255 * x[0]).round().byte().permute(1, 2, 0).numpy()).save(file)


def windows_of(sharp: Tensor, blurred: Tensor, groups: str = "a") -> Windows:
    n = len(sharp)
    names = tuple(groups[i % len(groups)] for i in range(n))
    return Windows(sharp, blurred, names, tuple(f"{g}{i}" for i, g in enumerate(names)), ((0, 0),) * n)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pairs/ of two scenes of two frames, single/ of three frames in one scene, photographs/."""
    folder = tmp_path_factory.mktemp("motion")
    for scene, base in (("pairs/one", 0), ("pairs/two", 10), ("single", 20)):
        for n in range(3 if scene == "single" else 2):
            x = texture(base + n)
            save(folder / scene / "sharp" / f"{n}.png", x)
            save(folder / scene / "blurred" / f"{n}.png", smeared(x, 5))
    for n in range(8):
        save(folder / "photographs" / f"{n}.png", texture(30 + n))
    return folder


@pytest.fixture(scope="module")
def found(root: Path) -> Motion:
    return motion.run(root / "photographs", [root / "pairs"], SETTINGS)


def test_synthetic_windows_show_the_places_of_the_real_ones(root: Path) -> None:
    """A blur that does nothing gives back the sharp window, to a rounding; real ones are cut out of the files."""
    clean = Camera(contrast=(1.0, 1.0), lights=0.0, defocus=0.0, noisy=0.0, jpeg=0.0)
    still = DynamicBlur(extent=(1.0, 4.0), still=1.0, objects=(1.0,), grey=0.0, camera=clean)
    heard: list[str] = []
    given = frames([root / "pairs"])
    real, made = from_frames(given, {"still": still, "shipped": BLUR}, count=3, side=PATCH, seed=5, heard=heard.append)
    assert heard == [frame.name for frame in given]
    assert [frame.name for frame in given] == ["pairs/one/0", "pairs/one/1", "pairs/two/0", "pairs/two/1"]
    assert len(real) == len(made["still"]) == len(made["shipped"]) == 12
    assert real.groups == made["shipped"].groups == ("pairs/one",) * 6 + ("pairs/two",) * 6
    assert float((made["still"].sharp - real.sharp).abs().max()) < 1e-4
    assert float((made["still"].blurred - real.sharp).abs().max()) < 1e-4
    assert float((made["shipped"].blurred - real.sharp).abs().max()) > 0.1
    x = (255 * smeared(texture(10), 5)).round() / 255
    assert torch.allclose(cut(x, real.places[6:9], PATCH), real.blurred[6:9], atol=1e-6)
    again, _ = from_frames(given[2:], {"shipped": BLUR}, count=3, side=PATCH, seed=5, heard=heard.append)
    assert again.places == real.places[6:], "whatever other pictures are there"


def test_places_lie_on_the_grid_and_leave_a_margin() -> None:
    x, generator = torch.zeros(1, 3, 100, 120), torch.Generator().manual_seed(1)
    at = places(x, 200, 64, 11, generator, "a.png")
    assert {left for left, _ in at} == {16, 24, 32, 40}
    assert {top for _, top in at} == {16, 24}
    assert all(v % GRID == 0 for place in at for v in place)
    with pytest.raises(DataError, match=r"a.png has 120x100 pixels.*smaller --window"):
        places(x, 1, 64, 20, generator, "a.png")


def test_one_scene_is_held_out_frame_by_frame(root: Path) -> None:
    assert [frame.group for frame in frames([root / "single"])] == ["single/0", "single/1", "single/2"]
    both = frames([root / "single", root / "pairs"])
    assert {frame.group for frame in both} == {"single", "pairs/one", "pairs/two"}


def test_pairs_that_cannot_be_used_are_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is missing or has no pairs; expected are"):
        frames([tmp_path / "nowhere"])
    with pytest.raises(DataError, match="two folders are named 'single'"):
        frames([root / "single", root / "single"])
    save(tmp_path / "blurred" / "a.png", texture(0))
    with pytest.raises(DataError, match="has no partner; its sharp picture is expected at"):
        frames([tmp_path])
    save(tmp_path / "sharp" / "a.png", texture(0))
    with pytest.raises(DataError, match="the only pair; give at least two"):
        frames([tmp_path])
    save(tmp_path / "sharp" / "b.png", texture(0))
    save(tmp_path / "blurred" / "b.png", texture(0, 64))
    with pytest.raises(DataError, match=r"blurred/b.png is of \(1, 3, 64, 64\)"):
        motion.run(root / "photographs", [tmp_path], SETTINGS)


def test_photographs_that_are_too_small_or_few_are_refused(root: Path, tmp_path: Path) -> None:
    for n in range(6):
        save(tmp_path / f"{n}.png", texture(n, 64 if n else SIDE))
    with pytest.raises(DataError, match=r"1 photographs below .* give at least 2 of them, or a smaller --window"):
        motion.run(tmp_path, [root / "pairs"], SETTINGS)


@pytest.mark.parametrize("wrong", [{"side": 100}, {"side": 0}, {"windows": 0}, {"seeds": 0}, {"iterations": 0}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="give"):
        replace(SETTINGS, **wrong)


def test_the_distance_of_differences_is_that_of_sorted_samples() -> None:
    """Levels in grey are whole, so bins lose nothing: W1 = mean |sort a - sort b|."""
    generator = torch.Generator().manual_seed(2)
    a, b = (torch.randint(60, (2, 1, 16, 16), generator=generator).expand(-1, 3, -1, -1) / 255 for _ in range(2))
    b = b * 2
    pa, pb = (portrait(windows_of(x, x)) for x in (a, b))
    d = distance(pa, pb)
    for dim, value in ((-1, d.horizontal), (-2, d.vertical)):
        u, v = ((255 * x[:, 0]).diff(dim=dim).flatten().sort().values for x in (a, b))
        assert value == pytest.approx(float((u - v).abs().mean()), rel=1e-4)
    assert distance(pa, pa) == motion.Distance(0, 0, 0)
    d64 = (255 * a[:, 0]).diff(dim=-1).flatten().double()
    d64 = d64 - d64.mean()
    assert pa.kurtosis[0] == pytest.approx(float((d64**4).mean() / (d64**2).mean() ** 2), rel=1e-4)
    assert set(pa.psnr) == {HIGHEST}


def test_the_spectrum_of_a_wave_is_at_its_frequency() -> None:
    n, f = 64, 0.25
    wave = torch.cos(2 * math.pi * f * torch.arange(n)).expand(1, n, n)
    for x in (wave, wave.mT):
        assert int(spectra(x)[0].argmax()) == int(f * 2 * RADII)
    noise = torch.randn(4, n, n, generator=torch.Generator().manual_seed(0))
    flat = spectra(noise).mean(0)
    assert float(flat.max() - flat.min()) < 5, "white noise has all frequencies"
    assert torch.allclose(spectra(10 * noise), spectra(noise) + 20)


def test_smearing_takes_high_frequencies_and_horizontal_differences() -> None:
    x = torch.cat([texture(n, 64) for n in range(4)])
    p = portrait(windows_of(x, smeared(x, 5)))
    assert float(p.ratio[0, 0]) > -1.5
    assert float(p.ratio[0, RADII // 2 :].max()) < -3
    assert bool((p.ratio[1] <= p.ratio[2]).all())
    summary = p.psnr_summary
    assert summary["p10"] <= summary["p50"] <= summary["p90"] < 40


@pytest.mark.parametrize(
    ("change", "name", "sign"),
    [
        (lambda x: smeared(x, 5), "direction", -1),
        (lambda x: smeared(x, 5), "fineness", -1),
        (lambda x: smeared(x, 5).mT, "coherence", 1),
        (lambda x: 0.5 * x, "brightness", -1),
        (lambda x: x.mean(1, keepdim=True).expand_as(x), "colour", -1),
        (lambda x: (1.5 * x).clamp(0, 1), "white", 1),
        (lambda x: (x - 0.4).clamp(0, 1), "black", 1),
        (lambda x: 0.5 * x + 0.5 * smeared(x, 9), "noise", -1),
        (lambda x: x.unflatten(-1, (8, 8)).mean(-1).repeat_interleave(8, -1), "blocks", 1),
    ],
)  # fmt: skip
def test_a_statistic_tells_what_it_says(change: motion.Callable[[Tensor], Tensor], name: str, sign: int) -> None:
    x = torch.cat([texture(n, 64) for n in range(4)])
    column = [text.partition(":")[0] for text in STATISTICS].index(name)
    before, after = (statistics(kind)[:, column] for kind in (x, change(x)))
    assert bool((sign * (after - before) > 0).all())
    flat = statistics(torch.full((1, 3, 64, 64), 0.5))
    assert bool(flat.isfinite().all()), "also of nothing at all"


def test_what_is_seen_of_patches() -> None:
    x = torch.cat([texture(n, 2 * PATCH) for n in range(2)])
    blurred = smeared(x, 3)
    kind = windows_of(x, blurred, "ab")
    plain = patches(kind, lambda p: p)
    assert len(plain) == 8
    assert plain.groups == ("a",) * 4 + ("b",) * 4
    assert torch.allclose(plain.x[5], blurred[1, :, :PATCH, PATCH:], atol=1 / 500)
    assert torch.allclose(patches(kind, lambda p: p, sharp=True).x[2], x[0, :, PATCH:, :PATCH], atol=1 / 500)
    shapes = {name: tuple(patches(kind, view).x.shape[1:]) for name, view in VIEWS.items()}
    assert list(shapes.values()) == [(4, PATCH, PATCH), (1, PATCH, PATCH), (3, 16, 16), (len(STATISTICS),)]
    assert float(high_passed(torch.full((1, 3, 8, 8), 0.3)).abs().max()) < 1e-5
    assert patch_psnr(kind).shape == (8,)


def test_matching_leaves_as_many_of_each_level_and_group() -> None:
    def kind(groups: str) -> Patches:
        x = torch.arange(len(groups)).float()[:, None]
        return Patches(x, tuple(groups), tuple(groups))

    levels = (torch.tensor([20.1, 20.2, 30.0, 20.3]), torch.tensor([20.9, 31.0, 30.9, 20.0, 30.1]))
    a, b = matched(kind("aaab"), kind("aaabb"), levels, 0)
    assert sorted(a.groups) == sorted(b.groups) == ["a", "a", "b"]
    assert sorted(int(v) // 10 for v in levels[0][a.x[:, 0].long()]) == [2, 2, 3]
    assert sorted(int(v) // 10 for v in levels[1][b.x[:, 0].long()]) == [2, 2, 3]


def test_halves_are_of_whole_pictures() -> None:
    kind = Patches(torch.zeros(6, 1), ("a",) * 4 + ("b",) * 2, ("p", "p", "q", "r", "s", "t"))
    first, second = halves(kind)
    assert (first.pictures, second.pictures) == (("p", "p", "r", "s"), ("q", "t"))


def test_auc_is_the_share_of_pairs_in_order() -> None:
    generator = torch.Generator().manual_seed(3)
    a, b = (torch.randint(5, (n,), generator=generator) for n in (40, 30))
    pairs = (a[:, None] > b).double() + 0.5 * (a[:, None] == b).double()
    assert auc(a, b) == pytest.approx(float(pairs.mean()), abs=1e-12)
    assert auc(b, a) == pytest.approx(1 - auc(a, b), abs=1e-12)


def test_a_network_tells_noise_from_none_and_not_the_same_from_the_same() -> None:
    def kind(seed: int, noise: float) -> Patches:
        x = torch.cat([texture(seed + n, 32) for n in range(24)])
        x = smeared(x, 5) + noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
        groups = tuple("abc"[n % 3] for n in range(24))
        return Patches(VIEWS[WHOLE](x), groups, tuple(f"{g}{n // 3 % 4}" for n, g in enumerate(groups)))

    heard: list[str] = []
    clean, noisy, other = kind(0, 0.0), kind(100, 0.03), kind(200, 0.0)
    told = tell_apart("noise", noisy, clean, seeds=range(2), iterations=15, heard=heard.append)
    assert heard == ["noise: a", "noise: b", "noise: c"]
    assert told.auc > 0.95
    assert told.interval[0] <= told.auc <= told.interval[1] <= 1
    assert list(told.by_group) == ["a", "b", "c"]
    assert told.auc == pytest.approx(sum(told.by_seed) / 2)
    again = [tell_apart("again", noisy, other, seeds=[7], iterations=3) for _ in range(2)]
    assert again[0] == again[1]
    same = tell_apart("same", other, clean, seeds=[0], iterations=15)
    assert 0.2 < same.auc < 0.8
    alone = Patches(clean.x, ("z",) * len(clean), clean.pictures)
    assert math.isnan(tell_apart("no group in common", noisy, alone, seeds=[0], iterations=1).auc)
    assert sum(p.numel() for p in network(4).parameters()) == 4393
    assert sum(p.numel() for p in network(1).parameters()) == 3793


def test_the_outcome(found: Motion) -> None:
    assert list(found.portraits) == [REAL, SHIPPED, CLEAN, CAMERA_ONLY, PHOTOGRAPHS]
    assert found.groups == ["pairs/one", "pairs/two"]
    assert len(found.windows[PHOTOGRAPHS]) == 8, "fewer photographs than windows"
    assert set(found.windows[PHOTOGRAPHS].groups) == set(found.groups)
    assert set(found.distances) == set(found.portraits) - {REAL}
    assert all(0 <= v.auc <= 1 for v in found.verdicts if "matched" not in v.name), "matching may leave nothing"
    assert not math.isnan(found.verdicts[-1].auc), "a frame of each scene in each half"
    assert len(found.singles) == len(STATISTICS)
    strength = [abs(single.auc[SHIPPED] - 0.5) for single in found.singles]
    assert strength == sorted(strength, reverse=True)
    assert all(set(single.matched) <= {SHIPPED, CLEAN, CAMERA_ONLY} for single in found.singles)
    by_name = {single.name: single for single in found.singles}
    assert by_name["direction"].auc[SHIPPED] > 0.8, "real pictures here are smeared along rows"


def test_the_tables(found: Motion) -> None:
    table = motion.report(found).text
    for start in ("| blurred windows |", "| told apart |", "| one statistic of a patch |"):
        rows = table[table.index(start) :].split("\n\n")[0].splitlines()
        assert len({row.count("|") for row in rows}) == 1
    assert "| real, pairs/one |" in table
    assert "2 scenes are few" in table


def test_a_single_scene_says_so(root: Path) -> None:
    one = motion.run(root / "photographs", [root / "single"], replace(SETTINGS, windows=1, iterations=1))
    assert "There is one scene" in motion.report(one).text
    assert math.isnan(one.verdicts[-1].auc), "no frame is in both halves"


def test_the_command(root: Path, tmp_path: Path, found: Motion, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    def run(*args: object, **_: object) -> Motion:
        asked.append(args)
        return found

    monkeypatch.setattr(motion, "run", run)
    out = tmp_path / "new" / "folder"
    folders = [str(root / "pairs"), str(root / "single")]
    options = [
        "experiment",
        "motion",
        "--data",
        str(root / "photographs"),
        "--pairs",
        folders[0],
        "--pairs",
        folders[1],
    ]
    result = CliRunner().invoke(app, [*options, "--windows", "3", "--window", "64", "--out", str(out)])
    assert result.exit_code == 0, result.output
    data, pairs, settings = asked[0]
    assert (data, pairs) == (root / "photographs", [Path(folder) for folder in folders])
    assert isinstance(settings, Settings)
    assert (settings.windows, settings.side) == (3, 64)
    assert f"| {SHIPPED}: {WHOLE} | " in result.output
    pictures = ["classifier.png", "gradients.png", "psnr.png", "sheet-photographs.png", "sheet.png", "spectra.png"]
    assert sorted(p.name for p in out.iterdir()) == sorted([*pictures, "motion.json"])
    for name in pictures:
        with Image.open(out / name) as picture:
            assert picture.format == "PNG"
    values = json.loads((out / "motion.json").read_text(encoding="utf-8"))
    assert values["settings"]["blur"]["extent"] == [1.0, 4.0]
    assert values["settings"]["weights"] == 4393
    assert len(values["classifier"]) == len(found.verdicts)
    assert set(values["portraits"]) == set(found.portraits)
    assert {"acutance", "torch", "python"} == set(values["versions"])


def test_results_that_cannot_be_written(found: Motion, tmp_path: Path) -> None:
    made = motion.report(found)
    for part in (made, replace(made, plots={}), replace(made, pictures={})):
        with pytest.raises(OutputError):
            write_report(tmp_path / "nowhere", part)
