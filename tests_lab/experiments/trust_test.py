"""The experiment about trust: fits and judgements on samples of which all is known, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from acutance.errors import ConfigError, DataError
from acutance.trust.uncertainty import INTERVAL
from acutance_lab.cli.app import app
from acutance_lab.experiments.trust import (
    MODELS,
    NOMINAL,
    Sample,
    Settings,
    collect,
    fit,
    judge,
    load,
    run,
    save,
    score,
)


def sample(level: int, *, held_out: bool, seed: int) -> Sample:
    """Errors that are normal with the deviation ((2 d)^2 + (0.5 u)^2)^(1/2)."""
    generator = torch.Generator().manual_seed(seed)
    d, u = (0.01 + 0.05 * torch.rand(4000, generator=generator) for _ in range(2))
    s = ((2 * d).square() + (0.5 * u).square()).sqrt()
    error = (s * torch.randn(4000, generator=generator)).abs()
    return Sample(seed, level, held_out, torch.stack([error, s, d, 0 * d, u]), (1.0, 1.2), (0.02, 0.1))


def test_a_model_that_is_right_holds_what_it_promises() -> None:
    samples = [sample(level, held_out=held, seed=4 * level + held) for level in (0, 1) for held in (False, True)]
    found = judge("draws and unsupported", samples, 2)
    for each in found.coefficients:
        assert each[0] == pytest.approx(2.0, rel=0.1)
    assert all(coverage == pytest.approx(0.9, abs=0.02) for coverage in found.coverage)
    assert found.curve == pytest.approx(NOMINAL, abs=0.03)
    alone = judge("unsupported", samples, 2)
    assert alone.score > found.score


@pytest.mark.parametrize("model", MODELS)
def test_nine_of_ten_that_were_fitted_to_are_held(model: str) -> None:
    values = sample(0, held_out=False, seed=1).values
    values[3] = values[2]
    s = MODELS[model][1](values, fit(model, values, rounds=60))
    assert float((values[0] <= INTERVAL * s).float().mean()) == pytest.approx(0.9, abs=0.01)


def test_the_score_is_least_at_the_right_width() -> None:
    error = torch.randn(100_000, generator=torch.Generator().manual_seed(0)).abs()
    at = [float(score(error, torch.full_like(error, factor * INTERVAL))) for factor in (0.8, 1.0, 1.25)]
    assert at[1] < min(at[0], at[2])


def test_the_command(photographs: Path, tmp_path: Path) -> None:
    options = ["experiment", "trust", "--method", "wiener", "--fitted", "1", "--held-out", "1", "--window", "64"]
    options += ["--out", str(tmp_path)]
    result = CliRunner().invoke(app, [*options, "--data", str(photographs)])
    assert result.exit_code == 0, result.output
    assert "| draws and unsupported |" in result.output
    assert "correlation with the true error" in result.output
    values = json.loads((tmp_path / "trust.json").read_text(encoding="utf-8"))
    assert [each["model"] for each in values["outcomes"]] == list(MODELS)
    assert (tmp_path / "coverage.png").is_file()
    again = CliRunner().invoke(app, [*options, "--samples", str(tmp_path / "samples.pt")])
    assert again.exit_code == 0
    assert again.output.partition("written")[0] == result.output.partition("written")[0]


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 64 pixels"):
        Settings(side=10)
    with pytest.raises(ConfigError, match="takes no kernel"):
        collect(tmp_path, Settings(method="nlm"))
    with pytest.raises(ConfigError, match="give a folder"):
        run(None, Settings(), output=tmp_path)
    save([sample(0, held_out=True, seed=0)], Settings(), tmp_path / "s.pt")
    assert len(load(tmp_path / "s.pt", Settings())) == 1
    for file, settings in (("s.pt", Settings(method="wiener")), ("none.pt", Settings())):
        with pytest.raises(DataError):
            load(tmp_path / file, settings)
