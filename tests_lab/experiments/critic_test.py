"""Trials of the critic, and its training."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor

from acutance.blind.critic import CELL, expected
from acutance.errors import DataError
from acutance_lab.data.photographs import Photographs
from acutance_lab.experiments import critic, use_cases
from acutance_lab.experiments.alignment import best_shift, shifted
from acutance_lab.experiments.critic import Trial


@pytest.fixture(scope="module")
def made() -> list[Trial]:
    """Trials of noise with structure, small enough for a test."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 12, 12, generator=generator)
    picture = torch.nn.functional.interpolate(coarse, size=(420, 420), mode="nearest")
    flat = (255 * picture[0]).byte().permute(1, 2, 0).flatten()
    photographs = Photographs(flat, torch.tensor([[420, 420]]), torch.tensor([0]), ("one",), "none")
    return list(islice(critic.trials(photographs, 3), 3))


def test_a_trial_holds_what_the_critic_learns(made: list[Trial]) -> None:
    for trial in made:
        n, side = len(trial.kinds), critic.SIDE
        assert trial.before.shape == (2, 1, side, side)
        assert trial.linear.shape == (n,)
        assert trial.after.shape == (n, 1, side, side)
        assert trial.errors.shape == (n, 2, side // CELL, side // CELL)
        assert trial.known.shape == (n, 1, side // CELL, side // CELL)
        assert bool(torch.isfinite(trial.errors).all())
        assert bool(((trial.known == 0) | (trial.known == 1)).all())


def test_disturbed_kernels_are_seeded() -> None:
    draw = use_cases.Draw(1, torch.Generator().manual_seed(4))
    again = use_cases.Draw(1, torch.Generator().manual_seed(4))
    kernel = torch.ones(1, 1, 9, 9) / 81
    assert torch.equal(critic.disturbed(kernel, draw), critic.disturbed(kernel, again))


@pytest.mark.parametrize(("row", "col"), [(0.0, 0.0), (3.0, -2.0), (-0.25, 1.5)])
def test_a_moved_picture_is_found_again(made: list[Trial], row: float, col: float) -> None:
    truth = made[0].before[:1]
    moved = shifted(truth, row, col)
    assert best_shift(moved, truth, critic.FINE) == pytest.approx((row, col), abs=0.26)
    error, known = critic.squared_error(moved, truth)
    assert float((error * known).sum() / known.sum()) < 1e-4
    assert bool((known == 0).any()) == bool(row or col)


def test_the_loss_is_least_for_the_truth(made: list[Trial]) -> None:
    trial = made[0]

    def loss(told: Tensor) -> float:
        return float(critic.loss_of(told, trial.errors, trial.known))

    assert loss(trial.errors) == pytest.approx(0, abs=1e-6)
    assert loss(trial.errors + 0.5) > 0.1


def test_the_critic_is_trained_examined_and_written(made: list[Trial], tmp_path: Path) -> None:
    torch.save([vars(trial) for trial in made], tmp_path / "1-00003.pt")
    kept = critic.load(tmp_path)
    assert [trial.kinds for trial in kept] == [trial.kinds for trial in made]
    weights, found = critic.fit(kept, seed=1, minutes=0.03)
    assert found.pictures == 1
    assert found.hypotheses == len(made[0].kinds)
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())
    critic.write(tmp_path / "critic.safetensors", weights, found, pictures=3, minutes=0.03, seed=1)
    assert (tmp_path / "critic.json").is_file()
    assert bool(torch.isfinite(expected(made[0].errors, made[0].known)).all())


def test_a_folder_without_trials_and_a_damaged_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--make"):
        critic.load(tmp_path)
    (tmp_path / "1-00010.pt").write_bytes(b"cut o")
    with pytest.raises(DataError, match="remove it"):
        critic.load(tmp_path)
