"""The table says what was measured, on photographs and on pairs."""

from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from acutance.errors import ConfigError, MissingExtra
from acutance_lab.bench.case import Content
from acutance_lab.bench.levels import (
    ALONE,
    BEHIND,
    BLURRED,
    KINDS,
    SHARP,
    photographs_suite,
    true_level,
    wavelet_level,
)
from acutance_lab.bench.rows import Row, read_rows
from acutance_lab.bench.run import run
from acutance_lab.bench.tables import level_table
from acutance_lab.cli.app import app
from acutance_lab.data.photographs import held_out


def save(path: Path, pixels: Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    eight = (pixels.clamp(0, 1) * 255).round().byte()
    Image.fromarray(eight.permute(1, 2, 0).numpy().astype(np.uint8)).save(path)


def test_pairs_are_compared_by_name(tmp_path: Path, generator: torch.Generator) -> None:
    clean = torch.full((3, 64, 64), 0.5)
    for name, level in (("a.png", 0.02), ("b.png", 0.04)):
        save(tmp_path / "real_noise" / "clean" / name, clean)
        save(tmp_path / "real_noise" / "noisy" / name, clean + level * torch.randn(clean.shape, generator=generator))
    found = run("real-noise", [ALONE], data=tmp_path)
    assert [r.level_true for r in found] == pytest.approx([0.02, 0.04], rel=0.05)
    assert [r.level for r in found] == pytest.approx([0.02, 0.04], rel=0.1)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    name = next(f"{n}.png" for n in range(1000) if held_out(f"{n}.png"))
    save(tmp_path / "photographs" / name, torch.linspace(0.2, 0.8, 420).expand(3, 420, 420))
    return tmp_path / "photographs"


def test_every_kind_is_measured_at_every_level(photographs: Path) -> None:
    found = run(photographs_suite(photographs, BLURRED, count=1, levels=(0.02,)), [ALONE, BEHIND])
    assert {(r.varied, r.method) for r in found} == {(kind, method) for kind in KINDS for method in (ALONE, BEHIND)}
    for r in found:
        if r.varied == "white":
            assert r.level_true == pytest.approx(0.02, rel=0.03)
            assert r.level == pytest.approx(r.level_true, rel=0.1)


def test_a_crop_has_the_same_noise_whatever_else_is_measured(photographs: Path) -> None:
    suites = [photographs_suite(photographs, SHARP, count=n, levels=(0.02,)) for n in (1, 2)]
    few, many = (suite.cases(photographs, 0.02) for suite in suites)
    assert torch.equal(few[1].load().observed, many[1].load().observed)


def test_the_true_level_is_that_inside_the_range() -> None:
    clean = torch.full((1, 1, 8, 8), 0.5)
    noisy = clean + 0.1
    noisy[..., :4] = 1.0
    assert true_level(Content(noisy, None, clean)) == pytest.approx(0.1)
    assert true_level(Content(noisy, None, clean, sigma=0.3)) == 0.3
    assert np.isnan(true_level(Content(noisy, None, None)))


ROW = Row("white", ALONE, "p", "none", 0.01, 0, 0, 0, 0.1, 1, "COMPLETED", None, None, "r", "h", level_true=0.01)


def test_the_table_shows_median_and_range() -> None:
    found = [replace(ROW, picture=str(i), level=0.01 * (1 + i / 10)) for i in range(11)]
    assert level_table(found).splitlines()[-1] == f"| white | 1 % | {ALONE} | 1.00-1.00 % | 1.50 | 1.05-1.95 | 11 |"


def test_the_command(photographs: Path, tmp_path: Path) -> None:
    words = ["bench", "noise", f"--photographs={photographs}", "--limit=1", f"--out={tmp_path / 'out'}"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert len(read_rows(tmp_path / "out" / "noise.jsonl")) == 3 * 4 * len(KINDS)
    assert f"| blurred: white | 0.5 % | {BEHIND} |" in result.output


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"levels like 0\.01"):
        photographs_suite(tmp_path, SHARP, levels=(5.0,))
    real_import = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("skimage"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match="PyWavelets"):
        wavelet_level(torch.rand(1, 3, 16, 16))


def test_suites_are_measured_with_and_without_their_kernel(data: Path) -> None:
    for name, cases in (("set12", 3 * 8), ("levin32", 4 * 8)):
        found = run(name, [BEHIND, ALONE], data=data, noises=[0.02])
        assert len(found) == 2 * cases
        assert all(r.level_true == r.noise == 0.02 for r in found)
    with pytest.raises(ConfigError, match="set12 and levin32"):
        run("bsd68-noise", [BEHIND], data=data, noises=[0.02], limit=1)
