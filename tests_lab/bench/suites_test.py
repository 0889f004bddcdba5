from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from acutance.errors import ConfigError, DataError, KernelError, MissingExtra
from acutance.methods.golf import Golf, GolfConfig
from acutance.operators import Blur
from acutance.restoration.restorer import Restorer
from acutance.weights import write_weights
from acutance_lab.bench.case import VARIABLE, Case, Content, Suite, bench_folder
from acutance_lab.bench.rows import read_rows
from acutance_lab.bench.run import run
from acutance_lab.bench.score import score
from acutance_lab.bench.suites import SUITES, find_suite
from acutance_lab.bench.synthetic import standard_normal, synthetic_content

WITHOUT_KERNEL = {
    "reds", "gopro_scene", "sharp", "bsd68-noise", "kodak24-noise", "real-noise", "rain", "rain-luma", "set11",
    "bsd68-sensing",
}  # fmt: skip


def cases(data: Path, name: str, *noises: float | None) -> list[Case]:
    return [c for noise in noises for c in find_suite(name).cases(bench_folder(data), noise)]


def contents(data: Path, name: str, *noises: float | None) -> list[Content]:
    return [case.load() for case in cases(data, name, *noises)]


@pytest.mark.parametrize("suite", SUITES.values(), ids=list(SUITES))
def test_every_suite_describes_and_yields_consistent_cases(suite: Suite, data: Path) -> None:
    assert SUITES[suite.name] is suite
    assert suite.summary
    assert suite.protocol
    noises = suite.noises[:2]
    found = [c for noise in noises for c in suite.cases(bench_folder(data), noise)]
    assert len({(c.picture, c.kernel_name, c.noise) for c in found}) == len(found) > 0
    assert list(dict.fromkeys(c.noise for c in found)) == list(noises)
    for noise in noises:
        assert 2 <= sum(c.shown for c in found if c.noise == noise) <= 12
    for case in pickle.loads(pickle.dumps(found)):
        assert case.suite == suite.name
        content = case.load()
        assert content.truth is None or content.observed.shape == content.truth.shape
        assert content.observed.dtype == torch.float32
        unclipped = suite.name in ("bsd68-noise", "kodak24-noise")
        assert unclipped or 0 <= float(content.observed.min()) <= float(content.observed.max()) <= 1
        assert (content.kernel is None) == (suite.name in WITHOUT_KERNEL)
        assert content.kernel is None or float(content.kernel.sum()) == pytest.approx(1, abs=1e-6)


def test_how_many_cases(data: Path) -> None:
    assert [(c.picture, c.kernel_name) for c in cases(data, "levin32_kernels", None)] == [
        ("1", "early_2006/2"), ("3", "early_2006/1"), ("1", "late_2016/2"),
    ]  # fmt: skip
    assert [(c.picture, c.kernel_name) for c in cases(data, "lai", 0.01)][:3] == [
        ("natural_01", "1"), ("natural_01", "2"), ("saturated_01", "1"),
    ]  # fmt: skip
    assert [(c.picture, c.kernel_name) for c in cases(data, "lai-real", None)] == [
        ("car", "09_cho"), ("car_house", "10_xu"),
    ]  # fmt: skip
    assert [c.picture for c in cases(data, "kohler", None)] == ["Blurry1_1", "Blurry1_4"]
    assert [c.picture for c in cases(data, "reds", None)] == ["000-3", "000-6", "001-3"]
    assert [c.picture for c in cases(data, "gopro_scene", None)] == ["1", "2", "3"]
    sharp = [c.picture for c in cases(data, "sharp", None)]
    assert sharp[:4] == ["kodak24-1", "kodak24-2", "kodak24-10", "reds-000-3"]
    assert len(sharp) == 3 + 3 + 3 + 10
    assert len(cases(data, "levin32", None)) == len(cases(data, "levin32", 0.01)) == 32
    assert len(cases(data, "set12", 0.01)) == 3 * 8
    assert [c.kernel_name for c in cases(data, "bsd68", 0.01)] == list("1234567812")
    assert [c.picture for c in cases(data, "kodak24", 0.01)] == ["1", "2", "10"]
    assert contents(data, "kodak24", 0.01)[0].observed.shape == (1, 3, 34, 34)
    assert contents(data, "set12", 0.01)[0].observed.shape == (1, 1, 34, 34)


def test_noise_alone_is_white_and_whole(data: Path) -> None:
    one, again = (contents(data, "kodak24-noise", 25 / 255) for _ in range(2))
    assert torch.equal(one[0].observed, again[0].observed)
    assert one[0].truth is not None
    d = one[0].observed - one[0].truth
    assert float(d.std()) == pytest.approx(25 / 255, rel=0.05)
    assert float(one[0].observed.min()) < 0, "nothing is clipped"
    assert one[0].sigma == 25 / 255
    assert not torch.equal(one[0].observed - one[0].truth, one[1].observed - one[1].truth)
    with pytest.raises(ConfigError, match="captured"):
        cases(data, "bsd68-noise", None)


def test_pairs_of_any_ending_and_luma_as_of_video(data: Path, tmp_path: Path) -> None:
    assert [c.picture for c in cases(data, "real-noise", None)] == ["0", "1"]
    colour, luma = (contents(data, name, None)[0] for name in ("rain", "rain-luma"))
    assert colour.truth is not None
    flat = torch.full_like(colour.truth, 0.4)
    apart = [score(flat + 0.1, flat, c.scoring).psnr for c in (colour, luma)]
    assert apart[1] - apart[0] == pytest.approx(20 * np.log10(255 / 219), abs=1e-3)
    shutil.copytree(data / "bench" / "rain", tmp_path / "rain")
    (tmp_path / "rain" / "clean" / "0.png").unlink()
    with pytest.raises(DataError, match="no partner"):
        find_suite("rain").cases(tmp_path, None)
    with pytest.raises(ConfigError, match="leave out --noise"):
        find_suite("set11").cases(tmp_path, 0.01)


@pytest.mark.parametrize("noise", [None, 0.0])
def test_kernels_are_turned_to_true_convolution(noise: float | None, data: Path) -> None:
    """Blurring the truth with the kernel of the case gives its observation; with the kernel unturned it does not."""
    for case in contents(data, "levin32", noise)[:2]:
        assert case.kernel is not None
        assert case.truth is not None
        again = Blur(case.kernel, boundary="circular").forward(case.truth)
        wrong = Blur(case.kernel.flip((-2, -1)), boundary="circular").forward(case.truth)
        scoring = replace(case.scoring, border=25, shift=5)
        assert score(again, case.observed, scoring).psnr > 50
        assert score(wrong, case.observed, scoring).psnr < 40


def test_noise_depends_on_the_names_only(data: Path) -> None:
    first, again = (contents(data, "set12", 0.01, 0.02) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a.observed, b.observed)
    alone = contents(data, "set12", 0.02)
    assert torch.equal(first[24].observed, alone[0].observed)
    assert not torch.equal(first[0].observed, first[24].observed)


def test_noise_is_what_the_protocol_says() -> None:
    """Pinned, since results are compared between machines and years."""
    drawn = standard_normal("set12/01/1/1", (1, 2, 3))
    expected = [
        -1.243142079050642,
        0.685573902742992,
        0.806533488518447,
        -0.415556172627212,
        0.984944937070463,
        -1.311512188676992,
    ]
    np.testing.assert_allclose(drawn.numpy().ravel(), expected, rtol=0, atol=1e-12)


def test_a_synthetic_case_by_hand() -> None:
    sharp = torch.full((1, 1, 150, 150), 0.5)
    case = synthetic_content("s", "p", "k", 0.02, sharp, torch.full((1, 1, 5, 3), 1 / 15))
    assert case.truth is not None
    assert case.observed.shape == case.truth.shape == (1, 1, 146, 148)
    assert case.sigma == 0.02
    assert torch.equal((case.observed * 255).round() / 255, case.observed)
    assert float(case.observed.std()) == pytest.approx(0.02, rel=0.03)
    expected = 0.5 + 0.02 * standard_normal("s/p/k/2", (1, 146, 148))
    assert float((case.observed[0] - expected).abs().max()) <= 0.5 / 255 + 1e-6


def test_estimated_kernels_are_turned_and_their_place_is_forgiven(data: Path) -> None:
    """A shift of the kernel moves the estimate the other way; the score is that of the true kernel."""
    (true,) = (c.load() for c in cases(data, "levin32", None) if (c.picture, c.kernel_name) == ("1", "2"))
    estimated = cases(data, "levin32_kernels", None)[0].load()
    assert true.truth is not None
    assert estimated.kernel is not None
    assert torch.equal(true.observed, estimated.observed)
    again = Blur(estimated.kernel, boundary="circular").forward(true.truth)
    scoring = replace(estimated.scoring, border=25)
    assert score(again, estimated.observed, scoring).psnr > 45
    restorer = Restorer.load("wiener", device="cpu")
    scores = [
        score(restorer(c.observed, c.kernel, sigma=0.006).image.pixels, true.truth, c.scoring).psnr
        for c in (true, estimated)
    ]
    assert scores[1] == pytest.approx(scores[0], abs=3)  # on 76 pixels the border counts for much


def test_highlights_are_clipped_after_the_blur(data: Path) -> None:
    case = next(c for c in cases(data, "lai", 0.01) if c.picture == "saturated_01")
    content = case.load()
    assert content.truth is not None
    assert float(content.truth.max()) == float(content.observed.max()) == 1
    assert content.observed.shape == (1, 3, 56, 56)
    suite = find_suite("lai")
    assert suite.classes is not None
    assert [suite.classes(name) for name in ("natural_01", "night_sky_02")] == ["natural", "night_sky"]


@pytest.mark.parametrize("name", ["lai-real", "kohler"])
def test_real_photographs_have_no_truth_and_a_kernel_that_fits(name: str, data: Path) -> None:
    content = cases(data, name, None)[0].load()
    assert content.truth is None
    assert content.sigma is None
    assert content.observed.shape == (1, 3, 270, 270)
    assert content.kernel is not None
    with pytest.raises(ConfigError, match="as captured"):
        cases(data, name, 0.01)


def test_wrong_files_are_named(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "bench", tmp_path / "bench")
    bench = tmp_path / "bench"
    (bench / "lai" / "real_kernels" / "car_09_cho_psf.png").write_bytes(b"not a picture")
    with pytest.raises(KernelError, match=r"car_09_cho_psf\.png"):
        cases(tmp_path, "lai-real", None)[0].load()
    black = bench / "levin32_kernels" / "early_2006" / "k_2_im_1_early_2006.png"
    Image.new("L", (29, 29)).save(black)
    with pytest.raises(DataError, match="black"):
        cases(tmp_path, "levin32_kernels", None)[0].load()
    Image.new("RGB", (29, 29)).save(bench / "lai" / "kernels" / "kernel_01.png")
    with pytest.raises(DataError, match="black"):
        cases(tmp_path, "lai", 0.01)[0].load()
    black.rename(black.with_name("other.png"))
    with pytest.raises(DataError, match="k_J_im_I"):
        cases(tmp_path, "levin32_kernels", None)


def test_the_folder_is_found(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert bench_folder(data) == bench_folder(data / "bench") == data / "bench"
    with pytest.raises(DataError, match=f"--data or in {VARIABLE}"):
        bench_folder()
    monkeypatch.setenv(VARIABLE, str(data))
    assert bench_folder() == data / "bench"
    with pytest.raises(DataError, match="is no folder"):
        bench_folder(data / "nowhere")


@pytest.mark.parametrize("suite", [s for s in SUITES.values() if s.name != "text"], ids=lambda s: s.name)
def test_an_empty_folder_is_told_what_is_missing(suite: Suite, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing"):
        suite.cases(tmp_path, suite.noises[0])


def test_a_damaged_archive(tmp_path: Path) -> None:
    (tmp_path / "levin32.npz").write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(DataError, match="cannot read"):
        find_suite("levin32").cases(tmp_path, None)


def test_another_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "levin32.npz", something=np.zeros(3))
    with pytest.raises(DataError, match="has no array 'kernel_1_1'"):
        find_suite("levin32").cases(tmp_path, None)


def test_impossible_levels(data: Path) -> None:
    with pytest.raises(ConfigError, match="no captured pictures"):
        cases(data, "set12", None)
    with pytest.raises(ConfigError, match=r"0\.01 for 1 %"):
        cases(data, "levin32", 2.0)


def test_text_is_rendered_and_needs_no_files(tmp_path: Path) -> None:
    found = find_suite("text").cases(tmp_path, 0.05)
    assert len(found) == 10
    assert {c.kernel_name for c in found} == {"9", "17", "25", "33", "41"}
    for case in found[:5]:
        content = case.load()
        assert content.kernel is not None
        span = int(case.kernel_name)
        assert content.kernel.shape[-2:] == (span, span)
        seen = content.kernel[0, 0] > 1e-4
        assert max(int(seen.any(0).sum()), int(seen.any(1).sum())) >= 0.7 * span
        assert content.truth is not None
        assert content.truth.shape == (1, 3, 320, 480)
        assert torch.equal(content.observed, case.load().observed)
        dark = float(content.truth.median()) < 0.5
        assert dark == ("-dark-" in case.picture)


def test_text_is_not_drawn_in_other_fonts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("acutance_lab.bench.text.font_files", lambda *, packaged: ())
    with pytest.raises(MissingExtra, match="text"):
        find_suite("text").cases(tmp_path, 0.01)


def test_light_is_blurred_before_it_is_encoded(data: Path) -> None:
    content = contents(data, "kodak24-linear", 0.01)[0]
    assert content.kernel is not None
    assert content.truth is not None
    assert content.sigma_linear is not None
    assert content.sigma_linear == pytest.approx(0.01, rel=0.05)
    assert content.info is not None
    assert content.info.format == "JPEG"
    quiet = contents(data, "kodak24-linear", 1e-6)[0]
    sharp = contents(data, "kodak24", 1e-6)[0].observed
    assert float((quiet.observed - sharp).abs().mean()) > 0.002, "blur of light is not blur of encoded values"
    files = 255 * quiet.observed
    torch.testing.assert_close(files, files.round(), rtol=0, atol=1e-3)


def test_methods_can_solve_in_linear_light(data: Path, tmp_path: Path) -> None:
    methods = ["wiener", "wiener:linear=true", "wiener:linear=false"]
    encoded, linear, again = run("kodak24-linear", methods, data=data, noises=[0.001], limit=1, out=tmp_path)
    assert (encoded.method, linear.method, again.method) == ("wiener", "wiener:linear=true", "wiener")
    assert linear.psnr != encoded.psnr == again.psnr
    content = contents(data, "kodak24-linear", 0.001)[0]
    restorer = Restorer.load("wiener", device="cpu")
    direct = restorer(content.given, content.kernel, sigma=content.sigma_linear, linear=True)
    assert content.truth is not None
    assert score(direct.image.pixels, content.truth).psnr == pytest.approx(linear.psnr, abs=1e-3)
    for text in ("wiener:linear=2", "skimage-wiener:linear=true"):
        with pytest.raises(ConfigError, match="linear"):
            run("kodak24-linear", [text], data=data, limit=1, out=tmp_path)


def test_an_unknown_suite() -> None:
    with pytest.raises(ConfigError, match=r"no suite 'levin'; there are levin32"):
        find_suite("levin")


def test_pairs_that_are_none_are_refused(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "bench" / "reds", tmp_path / "reds")
    Image.new("RGB", (30, 40)).save(tmp_path / "reds" / "001" / "sharp" / "3.png")
    with pytest.raises(DataError, match=r"3\.png is of"):
        contents(tmp_path, "reds", None)
    (tmp_path / "reds" / "001" / "sharp" / "3.png").unlink()
    with pytest.raises(DataError, match="has no partner"):
        cases(tmp_path, "reds", None)
    with pytest.raises(DataError, match=r"blurred/NAME\.png"):
        cases(tmp_path, "gopro_scene", None)
    with pytest.raises(ConfigError, match="leave out --noise"):
        cases(data, "gopro_scene", 0.01)


def test_a_method_that_needs_a_kernel_says_so_where_there_is_none(data: Path) -> None:
    with pytest.raises(KernelError, match="needs the blur kernel"):
        run("reds", ["wiener"], data=data, device="cpu")


def test_a_picture_that_is_left_alone_is_perfect(data: Path, tmp_path: Path) -> None:
    """Golf of a single, silent network gives the picture back; bits and rows survive being written."""
    golf = Golf(GolfConfig(drive=2, putt=2, putts=0))
    golf.drives[0].tail.weight.data.zero_()  # type: ignore[union-attr]
    write_weights(
        tmp_path / "golf.safetensors",
        golf.state_dict(),
        {"name": "silent", "model": {"drive": 2, "putt": 2, "putts": 0}},
    )
    method = f"golf:weights={tmp_path / 'golf.safetensors'}"
    rows = run("sharp", [method], data=data, out=tmp_path, device="cpu", limit=2)
    assert [row.psnr for row in rows] == [row.psnr_blurred for row in rows] == [100.0, 100.0]
    assert [row.psnr for row in read_rows(tmp_path / "sharp.jsonl")] == [100.0, 100.0]
