"""Methods of other libraries as contenders, and the search for settings."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from acutance.errors import ConfigError, DataError, MissingExtra, UnknownMethod
from acutance.metrics import psnr
from acutance.operators import Blur
from acutance_lab.bench.case import bench_folder
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.peers import PEERS, load_peer
from acutance_lab.bench.report import table
from acutance_lab.bench.run import run
from acutance_lab.bench.scenes import leaves
from acutance_lab.bench.suites import find_suite
from acutance_lab.bench.tune import SIDE, SPANS, Tuned, cases, tune, tuned_table
from acutance_lab.cli.app import app
from acutance_lab.synth import kernels


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures that are large enough, one that is not."""
    folder = tmp_path_factory.mktemp("photographs")
    for n, side in enumerate((240, 235, 250, 100)):
        pixels = (leaves(side, side + 10, seed=n)[0].permute(1, 2, 0) * 255).byte().numpy()
        Image.fromarray(pixels).save(folder / f"{n}.png")
    return folder


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PEERS)
def test_a_peer_restores_to_the_very_frame(name: str, channels: int) -> None:
    """A lopsided kernel, a picture that is not square and neither odd nor even: turned or shifted would lose."""
    kernel = torch.zeros(1, 1, 7, 6)
    kernel[..., 1, 1:5] = 1
    kernel[..., 1:4, 1] = 1
    kernel /= kernel.sum()
    blur = Blur(kernel)
    sharp = leaves(101, 90, seed=3)[:, :channels]
    truth, clean = blur.crop(sharp), blur.forward(sharp)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    observed = (clean + 0.01 * noise).clamp(0, 1)
    attempt = load_peer(name, {})(observed, kernel, 0.01)
    assert attempt.pixels.shape == observed.shape
    assert attempt.pixels.dtype == torch.float32
    assert attempt.outcome == "COMPLETED"
    assert attempt.seconds > 0
    gain = psnr(attempt.pixels.clamp(0, 1), truth) - psnr(observed, truth)
    turned = load_peer(name, {})(observed, kernel.flip((-2, -1)), 0.01)
    assert float(gain) > 1
    assert psnr(turned.pixels.clamp(0, 1), truth) < psnr(attempt.pixels.clamp(0, 1), truth) - 1.5


@pytest.mark.parametrize("border", ["bridge", "edge", "reflect"])
@pytest.mark.parametrize("name", PEERS)
def test_rounds_serve_the_border(name: str, border: str) -> None:
    blur = Blur(kernels.line(11, 20))
    sharp = leaves(90, 90, seed=4)[:, :1]
    clean, truth = blur.forward(sharp), blur.crop(sharp)
    observed = clean + 0.01 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    scores = [
        float(psnr(load_peer(name, {"border": border, "rounds": n})(observed, blur.kernel, 0.01).pixels, truth))
        for n in (0, 4)
    ]
    assert scores[1] > scores[0]


def test_the_noise_level_matters_where_it_is_told() -> None:
    x, kernel = leaves(60, 60, seed=1)[:, :1], kernels.disc(2)
    wiener = load_peer("skimage-wiener", {})
    assert not torch.equal(wiener(x, kernel, 0.01).pixels, wiener(x, kernel, 0.05).pixels)
    noisy = x + 0.03 * torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    guessed = wiener(noisy, kernel, None).pixels
    errors = [float((guessed - wiener(noisy, kernel, s).pixels).square().mean()) for s in (0.005, 0.03, 0.15)]
    assert min(errors) == errors[1]
    counts = [load_peer("skimage-richardson-lucy", {"rounds": 0})(x, kernel, s).steps for s in (0.01, 0.02, 0.5, 0)]
    assert counts == [26, 13, 1, 300]
    assert load_peer("skimage-richardson-lucy", {"rounds": 1, "iterations": 7})(x, kernel, 0.01).steps == 14


def test_black_regions_do_not_overflow() -> None:
    x = torch.zeros(1, 1, 120, 120)
    x[..., 50:70, 50:70] = 1
    blur = Blur(kernels.line(41, 20))
    attempt = load_peer("skimage-richardson-lucy", {"iterations": 40})(blur.forward(x).clamp(0, 1), blur.kernel, 0.01)
    assert attempt.outcome == "COMPLETED"
    assert float(attempt.pixels.max()) < 3


def test_a_picture_that_is_not_finite_is_an_outcome() -> None:
    x = torch.full((1, 1, 40, 40), torch.nan)
    attempt = load_peer("skimage-wiener", {})(x, kernels.disc(2), 0.01)
    assert attempt.outcome == "DIVERGED"


def test_peers_run_beside_methods(data: Path, tmp_path: Path) -> None:
    rows = run("kodak24", ["wiener", *PEERS], data=data, noises=[0.01], limit=1, out=tmp_path)
    assert [row.method for row in rows] == ["wiener", *PEERS]
    assert all(row.weights is None and row.outcome == "COMPLETED" for row in rows)
    assert "skimage-wiener" in table(rows)


def test_settings_of_peers() -> None:
    contender = Contender.parse("skimage-wiener:reg=laplacian,balance=0.1,sigma=0.02")
    assert contender.label == "skimage-wiener:balance=0.1,reg=laplacian,sigma=0.02"
    with pytest.raises(ConfigError, match="its settings are border, rounds"):
        load_peer("skimage-wiener", {"speed": 1})
    with pytest.raises(ConfigError, match="its settings are border, rounds"):
        load_peer("skimage-wiener", {"device": "cpu"})
    with pytest.raises(ConfigError, match="bridge, edge"):
        load_peer("skimage-wiener", {"border": "none"})
    with pytest.raises(ConfigError, match="rounds=-1"):
        load_peer("skimage-wiener", {"rounds": -1})
    for name in ("skimage-wiener", "skimage-unsupervised-wiener"):
        with pytest.raises(ConfigError, match="laplacian or gradient"):
            load_peer(name, {"reg": "none"})
    with pytest.raises(ConfigError, match="told no noise level"):
        Contender.parse("skimage-unsupervised-wiener:sigma=0.1")
    with pytest.raises(UnknownMethod, match="skimage-wiener"):
        Contender.parse("skimage")


def test_a_missing_library_is_said_before_anything_runs(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("skimage"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"acutance\[lab\]"):
        run("set12", ["skimage-wiener"], data=data, limit=1)


def test_the_crops_depend_on_names_only(photographs: Path) -> None:
    found = [case for noise in (0.01, 0.03) for case in cases(photographs, noise, 3)]
    assert [case.noise for case in found] == [0.01] * 3 + [0.03] * 3
    assert {case.picture for case in found} == {"0", "1", "2"}
    for case, span in zip(found, SPANS[:3] * 2, strict=True):
        one, two = case.load(), case.load()
        assert one.observed.shape == (1, 1, SIDE, SIDE)
        assert one.truth is not None
        assert one.kernel is not None
        assert one.kernel.shape[-1] == span
        assert torch.equal(one.observed, two.observed)
    low, high = found[0].load(), found[3].load()
    assert low.truth is not None
    assert high.truth is not None
    assert torch.equal(low.truth, high.truth)
    assert low.kernel is not None
    assert high.kernel is not None
    assert torch.equal(low.kernel, high.kernel)
    with pytest.raises(DataError, match="has 3 photographs"):
        cases(photographs, 0.01, 4)


def test_the_search_for_settings(photographs: Path) -> None:
    result = CliRunner().invoke(
        app,
        [
            *["bench", "tune", "wiener:boundary=valid", "strength=0.01,1", "--noise", "1,3", "--cases", "2"],
            f"--photographs={photographs}",
        ],
    )
    assert result.exit_code == 0, result.output
    assert "| setting | 1 % | 3 % | mean |" in result.output
    assert "| strength=1 | **" in result.output
    found = tune("skimage-wiener", {"reg": ["laplacian"], "strength": ["1", "10"]}, photographs, noises=[0.01], count=1)
    assert [each.settings for each in found] == ["reg=laplacian,strength=1", "reg=laplacian,strength=10"]
    with pytest.raises(ConfigError, match="the same"):
        tune("wiener", {"strength": ["1", "1.0"]}, photographs, count=1)
    with pytest.raises(ConfigError, match="its settings are"):
        tune("wiener", {"speed": ["1"]}, photographs, count=1)
    refused = CliRunner().invoke(app, ["bench", "tune", "wiener", "strength", "--photographs", str(photographs)])
    assert isinstance(refused.exception, ConfigError)


def test_the_best_of_each_column_is_marked() -> None:
    lines = tuned_table([Tuned("a=1", {0.01: 30.0, 0.03: 20.0}), Tuned("a=2", {0.01: 29.0, 0.03: float("nan")})])
    assert "| a=1 | **30.00** | **20.00** | **25.00** |" in lines
    assert "| a=2 | 29.00 | nan | nan |" in lines


def test_a_suite_is_untouched_by_peers(data: Path) -> None:
    """Contents are shared between contenders; nobody may write into them."""
    content = find_suite("set12").cases(bench_folder(data), 0.01)[0].load()
    before = content.observed.clone()
    for name in PEERS:
        load_peer(name, {})(content.observed, content.kernel, 0.01)
    assert torch.equal(content.observed, before)
