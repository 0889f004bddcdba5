from __future__ import annotations

import json
import multiprocessing
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from acutance.cli.journal import NAME as JOURNAL
from acutance.errors import ConfigError, DataError, OutputError, UnknownMethod, WeightsError
from acutance.images import read_image
from acutance.methods.rgdn import Rgdn, RgdnConfig
from acutance.methods.spec import MethodSpec, Needs, find
from acutance.metrics import psnr
from acutance.problem import Observer, Problem, Result, direct_result
from acutance.restoration.restorer import Restorer
from acutance.weights import write_weights
from acutance_lab.bench.case import bench_folder, describe_noise
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.gallery import place
from acutance_lab.bench.published import PUBLISHED, Published
from acutance_lab.bench.report import APART, read_suites, report, table
from acutance_lab.bench.report_tables import BLURRED, mean_curve
from acutance_lab.bench.rows import Row, read_rows
from acutance_lab.bench.run import run
from acutance_lab.bench.runner import MethodRunner
from acutance_lab.bench.suites import find_suite
from acutance_lab.bench.work import Bench, Job, Plan, threads_each
from acutance_lab.cli.app import app
from acutance_lab.records import append_records

REFERENCES = Path(__file__).resolve().parents[2] / "docs" / "references.bib"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RGDN as it is before training: nearly Landweber's iteration."""
    file = tmp_path_factory.mktemp("weights") / "start.safetensors"
    torch.manual_seed(1)
    model = Rgdn(RgdnConfig(features=6))
    write_weights(file, dict(model.state_dict()), {"name": "start", "model": {"features": 6}})
    return file


@dataclass
class Listener:
    """A method that remembers what it was told and changes nothing."""

    told: list[Problem] = field(default_factory=list)

    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        self.told.append(problem)
        return direct_result(problem, problem.start())


@pytest.mark.parametrize("sigma", [True, False])
@pytest.mark.parametrize("kernel", [True, False])
def test_a_method_is_told_what_it_needs_and_no_more(
    sigma: bool, kernel: bool, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = find_suite("set12").cases(bench_folder(data), 0.02)[0]
    method = Listener()
    spec = MethodSpec("listener", "listens", "none", lambda **_: method, Needs(kernel=kernel, sigma=sigma))
    runner = MethodRunner(Restorer(spec, method, torch.device("cpu")))
    bench = Bench(Plan((Contender("listener"),), "cpu"))
    monkeypatch.setattr(bench, "runner", lambda _: runner)
    row = bench.measure(Job(case, 0))
    (problem,) = method.told
    assert (problem.sigma is not None) == sigma
    assert (problem.operator is not None) == kernel
    if problem.sigma is not None:
        assert float(problem.sigma) * problem.unit == pytest.approx(0.02)
    content = case.load()
    assert content.truth is not None
    assert row.psnr == row.psnr_blurred == pytest.approx(float(psnr(content.observed, content.truth)), abs=1e-3)


@pytest.mark.parametrize(
    ("text", "label", "told"),
    [
        ("wiener", "wiener", 0.05),
        ("wiener:sigma=true", "wiener", 0.05),
        ("wiener:strength=2,sigma=estimated", "wiener:sigma=estimated,strength=2", None),
        ("wiener:sigma=0.020", "wiener:sigma=0.02", 0.02),
        ("wiener:sigma=0", "wiener:sigma=0", 0.0),
        ("acute", "acute", None),
        ("acute:sigma=estimated", "acute", None),
        ("acute:sigma=true", "acute:sigma=true", 0.05),
        ("acute:sigma=0.01", "acute:sigma=0.01", 0.01),
    ],
)
def test_the_noise_level_told(text: str, label: str, told: float | None) -> None:
    contender = Contender.parse(text)
    assert (contender.label, contender.tell(0.05, find(contender.name).needs)) == (label, told)
    assert Contender.parse(label) == contender


def test_another_level_told_is_another_measurement(data: Path, tmp_path: Path) -> None:
    methods = ["wiener", "wiener:sigma=estimated", "wiener:sigma=0.2", "wiener:sigma=0.01"]
    rows = run("set12", methods, data=data, noises=[0.01], limit=1, out=tmp_path)
    true, estimated, far, same = (row.psnr for row in rows)
    assert far < true == same
    assert np.isfinite(estimated)
    assert len(read_rows(tmp_path / "set12.jsonl")) == 4


def test_a_run_restores_and_scores(data: Path) -> None:
    seen: list[tuple[Row, bool]] = []
    rows = run(
        "levin32", ["wiener"], data=data, noises=[None, 0.01], limit=2, on_case=lambda row, new: seen.append((row, new))
    )
    assert [(r.picture, r.kernel, r.noise) for r in rows] == [
        ("1", "1", None),
        ("1", "2", None),
        ("1", "1", 0.01),
        ("1", "2", 0.01),
    ]
    assert seen == [(row, True) for row in rows]
    for row in rows:
        assert row.psnr > row.psnr_blurred + 1
        assert 0 < row.ssim <= 1
        assert (row.weights, row.steps, row.outcome, row.curve) == (None, 1, "COMPLETED", None)
        assert row.peak_mb is None or row.peak_mb > 50
        assert row.revision
        assert "threads" in row.hardware


def test_a_begun_run_is_continued(data: Path, tmp_path: Path) -> None:
    def fresh(*methods: str, limit: int, noises: tuple[float, ...] = (0.01,)) -> tuple[int, int]:
        new: list[bool] = []
        rows = run(
            "set12",
            methods,
            data=data,
            noises=noises,
            limit=limit,
            out=tmp_path / "out",
            on_case=lambda _, is_new: new.append(is_new),
        )
        return len(rows), sum(new)

    assert fresh("wiener", limit=2) == (2, 2)
    assert fresh("wiener", limit=2) == (2, 0)
    assert fresh("wiener", limit=3) == (3, 1)
    assert fresh("wiener", "wiener:strength=2", limit=2) == (4, 2)
    assert fresh("wiener", limit=2, noises=(0.01, 0.02)) == (4, 2)
    assert len(read_rows(tmp_path / "out" / "set12.jsonl")) == 7


def test_what_there_is_to_do_is_known_beforehand_and_nothing_known_is_made_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[int] = []
    run("set12", ["wiener"], data=data, noises=[0.01], limit=3, out=tmp_path, on_plan=plans.append)
    monkeypatch.setattr("acutance_lab.bench.pictures.read_image", None)
    told: list[bool] = []
    run(
        "set12", ["wiener", "wiener"], data=data, noises=[0.01], limit=2, out=tmp_path,
        on_plan=plans.append, on_case=lambda _, fresh: told.append(fresh),
    )  # fmt: skip
    assert plans == [3, 0]
    assert told == [False, False]


def test_several_processes_measure_the_same_and_stop_at_once(data: Path, tmp_path: Path) -> None:
    methods, came = ["wiener", "wiener:strength=2"], list[Row]()

    def stop(row: Row, fresh: bool) -> None:
        came.append(row)
        if len(came) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("set12", methods, data=data, noises=[0.01], limit=3, out=tmp_path, jobs=2, on_case=stop)
    late = time.monotonic() + 20
    while multiprocessing.active_children() and time.monotonic() < late:  # the pool's own thread reaps them, not `join`
        time.sleep(0.05)
    assert not multiprocessing.active_children()
    kept = read_rows(tmp_path / "set12.jsonl")
    assert kept == came
    alone = {row.key: row for row in run("set12", methods, data=data, noises=[0.01], limit=3)}
    for row in kept:
        assert row.psnr == pytest.approx(alone[row.key].psnr, abs=1e-3)
        assert row.hardware == f"{alone[row.key].hardware}, 2 jobs"


def test_the_command_and_ctrl_c(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["bench", "set12", f"--data={data}", "--limit=1", "--noise=1", f"--out={tmp_path}"]
    result = CliRunner().invoke(app, [*words, "--methods=wiener:strength=2,sigma=0.01,skimage-wiener"])
    assert result.exit_code == 0, result.output
    assert "| wiener:sigma=0.01,strength=2 |" in result.output
    assert "| skimage-wiener |" in result.output

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("acutance_lab.bench.run.work", stop)
    stopped = CliRunner().invoke(app, [*words, "--methods=wiener"])
    assert stopped.exit_code == 130
    assert "the same command goes on" in stopped.output


def test_threads_are_shared_out() -> None:
    assert threads_each(1) == threads_each(1000) == 1


def test_rows_survive_the_file_and_a_crash(data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (row,) = run("kodak24", ["wiener"], data=data, noises=[0.01], limit=1, out=tmp_path)
    file = tmp_path / "kodak24.jsonl"
    assert read_rows(file) == [row]
    with file.open("a") as stream:
        stream.write('{"suite": "koda')
    later = replace(row, picture="2", curve=(1.5, 2.5))
    repeated = replace(row, psnr=30.0)
    append_records(file, [later, repeated])
    assert read_rows(file) == [later, repeated]
    assert "line 2 is cut off" in caplog.text
    append_records(file, [replace(row, picture="3", psnr=float("inf"), curve=(1.0, float("nan")))])
    assert json.loads(file.read_text().splitlines()[-1])["psnr"] is None
    file.write_text('{"suite": "kodak24"}\n')
    with pytest.raises(DataError, match="line 1 is no benchmark result"):
        read_rows(file)
    assert read_rows(tmp_path / "missing.jsonl") == []


def test_rows_of_earlier_versions_are_read(tmp_path: Path) -> None:
    """A row as it was before border, interior and sparsity."""
    old = {
        "suite": "set12", "method": "wiener", "picture": "01", "kernel": "1", "noise": 0.01, "psnr": 28.1, "ssim": 0.8,
        "psnr_blurred": 22.0, "seconds": 0.1, "steps": 1, "outcome": "CONVERGED", "peak_mb": 300.0, "weights": None,
        "revision": "abc1234", "hardware": "cpu", "curve": None,
    }  # fmt: skip
    (tmp_path / "set12.jsonl").write_text(json.dumps(old) + "\n")
    (row,) = read_rows(tmp_path / "set12.jsonl")
    assert (row.psnr, row.psnr_border, row.sparsity) == (28.1, None, None)
    del old["steps"]
    (tmp_path / "set12.jsonl").write_text(json.dumps(old) + "\n")
    with pytest.raises(DataError, match="line 1"):
        read_rows(tmp_path / "set12.jsonl")


def test_border_and_interior_of_whole_pictures(data: Path) -> None:
    synthetic, captured = run("levin32", ["wiener"], data=data, noises=[0.01, None], limit=1)
    assert captured.psnr_border is None
    assert synthetic.psnr_border is not None
    assert synthetic.psnr_interior is not None
    low, high = sorted((synthetic.psnr_border, synthetic.psnr_interior))
    assert low < synthetic.psnr < high


def test_without_a_truth(data: Path, tmp_path: Path) -> None:
    rows = run("kohler", ["wiener", "rgdn:steps=1"], data=data, out=tmp_path, curve=True, device="cpu")
    assert [np.isnan([r.psnr, r.ssim, r.psnr_blurred]).all() for r in rows] == [True] * 4
    for row in rows:
        assert row.sparsity is not None
        assert row.sparsity_blurred is not None
        assert 0 < row.sparsity < 1
        assert row.sparsity != row.sparsity_blurred
    assert [row.curve for row in rows] == [None, ()] * 2
    plans: list[int] = []
    again = run(
        "kohler", ["wiener", "rgdn:steps=1"], data=data, out=tmp_path, curve=True, device="cpu", on_plan=plans.append
    )
    assert plans == [0]
    assert repr(again) == repr(rows)
    assert json.loads((tmp_path / "kohler.jsonl").read_text().splitlines()[0])["psnr"] is None
    text = report(tmp_path)
    assert "nan" not in text
    assert f"{rows[0].sparsity_blurred:.3f}" in text


def test_pictures_that_are_shown_are_kept(data: Path, tmp_path: Path) -> None:
    run("set12", ["wiener:strength=2", "wiener"], data=data, noises=[0.025], limit=6, out=tmp_path)
    shown = [c for c in find_suite("set12").cases(bench_folder(data), 0.025)[:6] if c.shown]
    assert len(shown) == 1
    folder = tmp_path / "pictures" / "set12" / "2.5" / f"{shown[0].picture}-{shown[0].kernel_name}"
    assert folder == place(tmp_path, "set12", 0.025, shown[0].picture, shown[0].kernel_name)
    names = {"blurred.png", "truth.png", "kernel.png", "wiener.png", "wiener_strength=2.png"}
    assert {file.name for file in folder.iterdir()} == names
    assert list((tmp_path / "pictures" / "set12" / "2.5").iterdir()) == [folder]
    content = shown[0].load()
    torch.testing.assert_close(read_image(folder / "blurred.png").pixels, content.observed)
    assert content.truth is not None
    torch.testing.assert_close(read_image(folder / "truth.png").pixels, content.truth, atol=1 / 255, rtol=0)
    (folder / "wiener.png").unlink()
    run("set12", ["wiener"], data=data, noises=[0.025], limit=6, out=tmp_path)
    assert not (folder / "wiener.png").exists()  # pictures come with their row
    run("levin32_kernels", ["wiener"], data=data, limit=1, out=tmp_path)
    assert (tmp_path / "pictures" / "levin32_kernels" / "captured" / "1-early_2006_2" / "truth.png").is_file()
    run("kohler", ["wiener"], data=data, out=tmp_path)
    assert len(list((tmp_path / "pictures" / "kohler" / "captured").glob("*/wiener.png"))) == 2
    assert not list((tmp_path / "pictures" / "kohler").rglob("truth.png"))
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "pictures").touch()
    with pytest.raises(OutputError, match="cannot make the folder"):
        run("kohler", ["wiener"], data=data, out=tmp_path / "blocked")


def test_classes_are_reported_apart(data: Path) -> None:
    rows = run("lai", ["wiener"], data=data)
    text = table(rows)
    natural = [row.psnr for row in rows if row.picture.startswith("natural")]
    assert f"{sum(natural) / len(natural):.2f}" in text
    assert "| method | weights | noise | natural | saturated |" in text
    border = [row.psnr_border for row in rows if row.psnr_border is not None]
    assert "outer 20 pixels" in text
    assert f"{sum(border) / len(border):.2f}" in text


def test_other_weights_are_another_measurement(data: Path, weights: Path, tmp_path: Path) -> None:
    model = Rgdn(RgdnConfig(features=6))
    other = tmp_path / "other.safetensors"
    write_weights(other, dict(model.state_dict()), {"name": "other", "model": {"features": 6}})
    methods = [f"rgdn:steps=2,weights={file}" for file in (weights, other)]
    rows = run("set12", methods, data=data, noises=[0.01], limit=1, out=tmp_path, device="cpu")
    assert [r.method for r in rows] == ["rgdn:steps=2"] * 2
    assert [str(r.weights).split("-")[0] for r in rows] == ["start", "other"]
    assert len(read_rows(tmp_path / "set12.jsonl")) == 2


def test_the_curve_over_steps(data: Path, weights: Path, tmp_path: Path) -> None:
    plain = run(
        "set12", [f"rgdm:threshold=0,steps=4,weights={weights}"], data=data, noises=[0.01], limit=2, out=tmp_path
    )
    assert [row.curve for row in plain] == [None, None]
    rows = run(
        "set12", [f"rgdn:weights={weights}", "wiener"], steps=4, curve=True, data=data, noises=[0.01], limit=2,
        out=tmp_path,
    )  # fmt: skip
    rows, direct = rows[::2], rows[1::2]
    assert [(row.method, row.curve) for row in direct] == [("wiener", None)] * 2, "no steps: left as it is"
    for row, before in zip(rows, plain, strict=True):
        assert row.method == before.method == "rgdn:steps=4,threshold=0"
        assert row.curve is not None
        assert len(row.curve) == row.steps == 4
        assert row.curve[-1] == pytest.approx(row.psnr, abs=1e-3)
        assert row.psnr == pytest.approx(before.psnr, abs=1e-3)
    assert [row for row in read_rows(tmp_path / "set12.jsonl") if row.curve] == rows
    assert len(mean_curve(rows)) == 4
    text = report(tmp_path)
    assert "After each step" in text
    assert f"{mean_curve(rows)[2]:.2f}" in text


def test_curves_of_different_length() -> None:
    row = Row("s", "m", "p", "k", None, 1.0, 1.0, 1.0, 1.0, 2, "EXHAUSTED", None, None, "r", "h")
    assert mean_curve([row]) == ()
    assert mean_curve([replace(row, curve=(1.0, 2.0)), replace(row, curve=(3.0, 4.0, 6.0)), row]) == (2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    ("text", "label", "settings"),
    [
        ("wiener", "wiener", {}),
        (
            "rgdm: threshold=0 , steps=50",
            "rgdn:steps=50,threshold=0",
            {"threshold": 0, "steps": 50},
        ),
        ("rgdn:threshold=1e-3,tile=none", "rgdn:threshold=0.001,tile=none", {"threshold": 1e-3, "tile": None}),
        ("rgdn:form=released,weights=a.pth", "rgdn:form=released", {"form": "released", "weights": Path("a.pth")}),
    ],
)
def test_methods_with_settings(text: str, label: str, settings: dict[str, object]) -> None:
    found = Contender.parse(text)
    assert found.label == label
    assert found.settings == settings
    assert Contender.parse(label).label == label


def test_what_cannot_run_is_said_before_anything_runs(data: Path, tmp_path: Path) -> None:
    def attempt(method: str, limit: int = 1) -> None:
        run("set12", ["wiener", method], data=data, limit=limit, out=tmp_path)

    with pytest.raises(UnknownMethod):
        attempt("magic")
    with pytest.raises(ConfigError, match="is no setting"):
        attempt("wiener:strength")
    with pytest.raises(ConfigError, match="its settings are"):
        attempt("wiener:speed=3")
    with pytest.raises(WeightsError):
        attempt("rgdn:weights=nowhere.safetensors")
    with pytest.raises(ConfigError, match="sigma=estimated, or"):
        attempt("wiener:sigma=guessed")
    with pytest.raises(ConfigError, match="sigma=estimated, or"):
        attempt("wiener:sigma=-1")
    with pytest.raises(ConfigError, match="told no noise level"):
        attempt("rgdn:sigma=0.01")
    with pytest.raises(ConfigError, match="jobs=0"):
        run("set12", ["wiener"], data=data, jobs=0)
    with pytest.raises(ConfigError, match="limit=0"):
        attempt("wiener", limit=0)
    with pytest.raises(DataError, match="missing or empty"):
        run("set12", ["wiener"], data=tmp_path, out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_report(tmp_path: Path) -> None:
    base = Row(
        "levin32", "wiener", "1", "1", None, 30.0, 0.8, 20.0, 1.0, 1, "CONVERGED", 300.0, None, "abc1234", "cpu, 2"
    )
    rows = [
        base,
        replace(base, kernel="2", psnr=32.0, ssim=0.9, psnr_blurred=22.0, seconds=2.0),
        replace(base, noise=0.01, psnr=28.0, seconds=4.0, peak_mb=None),
        replace(base, method="rgdn:steps=50", weights="first-12345678", psnr=35.0),
    ]
    text = table(rows)
    lines = text.splitlines()
    two, one = "(2 of 32 cases)", "(1 of 32 cases)"
    assert f"| {BLURRED} |  | 21.00 {two} | 20.00 {one} |  |  |  |  |" in lines
    assert f"| wiener | – | 31.00 / 0.850 {two} | 28.00 / 0.800 {one} | 2.00 | 300 | 2, 1 | 1 |" in lines
    assert f"| rgdn:steps=50 | first-12345678 | 35.00 / 0.800 {one} | – | 1.00 | 300 | 1, 0 | 1 |" in lines
    assert "as captured: without 25 pixels; 1 %: whole picture" in text
    measured, published = text.index("**Measured.**"), text.index("**Published, not measured here.**")
    assert measured < text.index("wiener") < published < text.index("| FDN | [kruse2017fdn] | not stated | 35.09 | – |")
    assert "25 pixels cropped" in text
    assert "Revision abc1234; cpu, 2." in text
    append_records(tmp_path / "levin32.jsonl", rows)
    assert report(tmp_path) == text
    with pytest.raises(DataError, match=r"no SUITE\.jsonl"):
        report(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [*APART, JOURNAL])
def test_a_report_passes_over_what_is_no_suite(name: str, tmp_path: Path) -> None:
    """Times, curves, the log of a training, the journal of restored files; rows that vary one thing."""
    row = Row("set12", "wiener", "01", "1", 0.01, 30.0, 0.8, 20.0, 1.0, 1, "CONVERGED", 300.0, None, "abc1234", "cpu")
    append_records(tmp_path / "set12.jsonl", [row, replace(row, varied="around", value=64.0)])
    (tmp_path / name).write_text('{"iteration": 1}\n')
    assert read_suites(tmp_path) == {"set12": [row]}
    (tmp_path / "set12.jsonl").unlink()
    with pytest.raises(DataError, match=r"no SUITE\.jsonl"):
        read_suites(tmp_path)


@pytest.mark.parametrize("each", PUBLISHED, ids=lambda p: f"{p.suite}-{p.method}-{p.source}")
def test_published_figures_have_a_source(each: Published) -> None:
    assert f"{{{each.source}," in REFERENCES.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (None, "as captured"),
        (0.01, "1 %"),
        (0.005, "0.5 %"),
        (0.2, "20 %"),
        (25 / 255, "25 of 255"),
        (0.0123, "1.23 %"),
    ],
)
def test_levels_in_words(noise: float | None, words: str) -> None:
    assert describe_noise(noise) == words
