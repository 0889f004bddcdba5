"""The table says what was measured, on photographs and on pairs."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from acutance.errors import ConfigError, DataError, MissingExtra
from acutance_lab.bench.noise_levels import (
    KINDS,
    Estimate,
    noise_table,
    real_levels,
    suite_levels,
    synthetic_levels,
    wavelet_level,
)
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
    save(tmp_path / "real_noise" / "noisy" / "without truth.png", clean)
    found = list(real_levels(tmp_path))
    assert [each.true for each in found] == pytest.approx([0.02, 0.04], rel=0.05)
    assert [each.estimated for each in found] == pytest.approx([0.02, 0.04], rel=0.1)


def test_every_kind_is_measured_at_every_level(tmp_path: Path, generator: torch.Generator) -> None:
    name = next(f"{n}.png" for n in range(1000) if held_out(f"{n}.png"))
    ramp = torch.linspace(0.2, 0.8, 420).expand(3, 420, 420)
    save(tmp_path / name, ramp)
    found = list(synthetic_levels(tmp_path, limit=1, levels=(0.02,)))
    assert len({each.kind for each in found}) == len(found) == 3 * len(KINDS)
    behind = next(each for each in found if each.kind == "behind the kernel: white")
    assert behind.estimated == pytest.approx(behind.true, rel=0.1)
    white = next(each for each in found if each.kind == "blurred: white")
    assert white.true == pytest.approx(0.02, rel=0.03)
    assert white.estimated == pytest.approx(white.true, rel=0.1)


def test_the_table_shows_median_and_range() -> None:
    found = [Estimate("white", 0.01, 0.01, 0.01 * (1 + i / 10)) for i in range(11)]
    assert noise_table(found).splitlines()[-1] == "| white | 1 % | 1.00-1.00 % | 1.50 | 1.05-1.95 | 11 |"
    compared = noise_table([Estimate("real", None, 0.02, 0.01, 0.005)]).splitlines()
    assert compared[-1] == "| real | as captured | 2.00-2.00 % | 0.50 | 0.50-0.50 | 1 | 0.25 | 0.25-0.25 |"
    assert compared[0].count("|") == compared[-1].count("|")


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="noisy/NAME"):
        next(real_levels(tmp_path))
    with pytest.raises(ConfigError, match=r"levels like 0\.01"):
        next(synthetic_levels(tmp_path, levels=(5.0,)))
    real_import = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("skimage"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match="PyWavelets"):
        wavelet_level(torch.rand(1, 3, 16, 16))


def test_suites_are_measured_with_and_without_their_kernel(data: Path) -> None:
    found = list(suite_levels(data / "bench", ["set12", "levin32"], levels=(0.02,)))
    assert len(found) == 2 * (3 * 8 + 4 * 8)
    assert {each.kind for each in found} == {
        f"{name}, {how}" for name in ("set12", "levin32") for how in ("behind the kernel", "blurred")
    }
    assert all(each.true == each.nominal == 0.02 for each in found)
    with pytest.raises(ConfigError, match="set12 and levin32"):
        next(suite_levels(data / "bench", ["bsd68-noise"], levels=(0.02,)))
