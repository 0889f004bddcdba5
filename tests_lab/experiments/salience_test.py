"""Samples of the learned estimator, and its training."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from acutance.blind.salience import Salience
from acutance.errors import ConfigError, DataError, WeightsError
from acutance.operators import Blur
from acutance.tensors import crop
from acutance.weights import embedded, read_weights
from acutance_lab.cli import training_estimator
from acutance_lab.cli.app import app
from acutance_lab.data.photographs import Photographs
from acutance_lab.experiments import salience, use_cases
from acutance_lab.experiments.salience import Examination, Sample
from acutance_lab.train.optimiser import optimiser_for

SIDE = 96


@pytest.fixture(scope="module")
def made(photographs: Path) -> list[Sample]:
    return list(islice(salience.samples(use_cases.load(photographs, SIDE, validation=False), 1, SIDE), 12))


def test_samples_are_seeded_by_their_numbers(made: list[Sample], photographs: Path) -> None:
    again = salience.samples(use_cases.load(photographs, SIDE, validation=False), 1, SIDE, first=3)
    for sample, other in zip(made[3:5], again, strict=False):
        assert all(torch.equal(a, b) for a, b in zip(vars(sample).values(), vars(other).values(), strict=True))
    assert len({sample.kernel.shape[-1] for sample in made}) > 3


def test_the_kernel_makes_the_blurred_picture_of_the_sharp_one(made: list[Sample]) -> None:
    for sample in made:
        k, reach = sample.kernel.float(), sample.kernel.shape[-1] // 2
        blurred, sharp, believed = (
            crop(x.float(), reach, reach) for x in (sample.blurred, sample.sharp, sample.believed)
        )

        def rms(x: Tensor, weight: Tensor = believed) -> float:
            return float(((x.square() * weight).sum() / weight.sum()).sqrt())

        error = rms(Blur(k).forward(sample.sharp.float()) - blurred)
        assert error < 0.02
        assert error < 0.6 * rms(sharp - blurred)
        assert float(k.sum()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("row", "col"), [(0, 0), (3, -2), (-4, 1)])
def test_alignment_moves_kernels_back_and_pictures_the_other_way(row: int, col: int) -> None:
    generator = torch.Generator().manual_seed(2)
    truth = torch.nn.functional.pad(torch.rand(2, 1, 5, 5, generator=generator), (6,) * 4)
    truth = truth / truth.sum((-2, -1), keepdim=True)
    sharp = torch.rand(2, 1, 40, 40, generator=generator)
    kernel = torch.roll(truth, (row, col), (-2, -1))
    moved, shifted = salience.aligned(kernel, truth, sharp)
    assert float(salience.similarity(moved, kernel).min()) > 0.99
    for k, x, a, b in zip(truth, sharp, moved, shifted, strict=True):
        before, after = (Blur(v[None], "circular").forward(u[None]) for v, u in ((k, x), (a, b)))
        assert float((before - after).abs().max()) < 0.02


@pytest.mark.parametrize("part", [-0.4, 0.25])
def test_alignment_finds_parts_of_a_pixel(part: float) -> None:
    at = torch.arange(21) - 10.0

    def bump(middle: float) -> Tensor:
        row = torch.exp(-((at - middle) ** 2) / 8)
        k = torch.exp(-(at[:, None] ** 2) / 8) * row
        return (k / k.sum())[None, None]

    moved, _ = salience.aligned(bump(part), bump(0.0), torch.zeros(1, 1, 40, 40))
    assert float((moved - bump(part)).abs().max()) < 0.02 * float(bump(0.0).max())


def test_the_loss_is_nothing_for_the_truth_and_more_for_anything_else(made: list[Sample]) -> None:
    k, x = made[0].kernel.float(), made[0].sharp.float()
    everywhere = torch.ones_like(x)
    assert float(salience.loss_of(k, k, x, x, everywhere)) == pytest.approx(0, abs=1e-6)
    assert float(salience.loss_of(k.square(), k, x, x, everywhere)) > 0.1
    assert float(salience.loss_of(k, k, 0.5 * x, x, everywhere)) == pytest.approx(0.5 * 0.3, abs=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_a_batch_fits_together_at_every_level(made: list[Sample], seed: int) -> None:
    given = salience.batch(random.Random(seed), made)
    n = len(given.kernels)
    assert n >= 3
    assert given.size % 2 == 1
    assert 2 * given.size <= given.blurred.shape[-1]
    for level in (0, 1):
        here = given.at(level)
        assert here.blurred.shape == here.sharp.shape == here.believed.shape
        assert here.blurred.mean((-2, -1)).abs().max() < 1e-4
        assert all(k.shape == (1, 1, here.size, here.size) for k in here.kernels)
        assert all(float(k.sum()) == pytest.approx(1, abs=1e-3) for k in here.kernels)


def test_a_sample_is_turned_together_with_its_kernel(made: list[Sample]) -> None:
    sample = next(sample for sample in made if 9 < sample.kernel.shape[-1] < 25)
    for seed in range(6):
        given = salience.batch(random.Random(seed), [sample])
        k, reach = given.kernels[0], given.kernels[0].shape[-1] // 2
        error = Blur(k).forward(given.sharp[:1]) - crop(given.blurred[:1], reach, reach)
        assert float((error * crop(given.believed[:1], reach, reach)).square().mean().sqrt()) < 0.02


def test_updates_on_two_samples_lower_the_loss(made: list[Sample]) -> None:
    torch.manual_seed(0)
    host, net = random.Random(0), Salience()
    given = salience.batch(host, sorted(made, key=lambda sample: sample.kernel.shape[-1])[:2])
    optimiser, losses = optimiser_for(list(net.parameters()), "muon", 2e-3), list[float]()
    for _ in range(5):
        optimiser.zero_grad()
        losses.append(salience.passes(net, given, host=host)[0])
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
    assert losses[-1] < 0.95 * losses[0]


def test_the_shipped_weights_pass_the_examination() -> None:
    generator = torch.Generator().manual_seed(1)
    parts = [torch.rand(1, 3, n, n, generator=generator) for n in (9, 23, 60)]
    x = sum(torch.nn.functional.interpolate(part, (260, 260)) for part in parts)
    assert isinstance(x, Tensor)
    flat = (85 * x[0]).byte().permute(1, 2, 0).flatten()
    photographs = Photographs(flat, torch.tensor([[260, 260]]), torch.tensor([0]), ("one",), "none")
    held = list(islice(salience.samples(photographs, 1, 160), 6))
    shipped = salience.examine(embedded("salience").tensors, held)
    new = salience.examine(Salience().state_dict(), held)
    assert shipped.samples == new.samples == len(held)
    assert shipped.mean > new.mean + 0.05


def run(*options: object) -> None:
    """The command, its errors raised."""
    result = CliRunner().invoke(app, ["train-estimator", *map(str, options)])
    if result.exception is not None:
        raise result.exception


@pytest.fixture
def place(tmp_path: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[object, ...]:
    """Small samples, in a folder of their own; the options that say where everything is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(salience, "SIDES", (SIDE, SIDE + 8))
    monkeypatch.setattr(training_estimator, "SHIPPED", tmp_path)
    return ("--data", photographs, "--samples", tmp_path / "samples")


def test_the_command_makes_samples_trains_and_goes_on(place: tuple[object, ...], tmp_path: Path) -> None:
    run(*place, "--make", 0.005, "--minutes", 0)
    taught, held = salience.load(tmp_path / "samples"), salience.load(tmp_path / "samples" / salience.HELD)
    assert {sample.blurred.shape[-1] for sample in taught} <= set(salience.SIDES)
    assert len(taught) >= len(held) >= 1
    run(*place, "--make", 0.002, "--minutes", 0.02)
    assert len(salience.load(tmp_path / "samples")) > len(taught)
    first = read_weights(training_estimator.WRITTEN)
    assert first.card["start"] is None
    run(*place, "--minutes", 0.02, "--init", training_estimator.WRITTEN)
    card = json.loads(training_estimator.WRITTEN.with_suffix(".json").read_text())
    assert card["name"] == "salience-2"
    assert card["start"] == first.version
    assert 0 < card["scores"][0]["mean"] < 1


@pytest.mark.parametrize(("start", "minutes"), [(None, 46.3), ("salience", 91.3)])
def test_the_card_counts_all_minutes(start: str | None, minutes: float, tmp_path: Path) -> None:
    before = None if start is None else replace(embedded(start), card={"name": "one", "minutes": 45.0})
    file, found = tmp_path / "new.safetensors", Examination(60, 0.8, 30)
    salience.write(file, Salience().state_dict(), found, pictures=7, minutes=46.3, seed=1, start=before)
    card = read_weights(file).card
    assert card["minutes"] == pytest.approx(minutes)
    assert card["pictures"] == 7
    assert card["scores"] == [{"samples": 60, "mean": 0.8, "good": 30}]


@pytest.mark.parametrize("better", [False, True])
def test_only_better_weights_are_shipped(
    place: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, better: bool
) -> None:
    shipped = embedded("salience").tensors

    def examine(weights: dict[str, Tensor], held: list[Sample]) -> Examination:
        same = all(torch.equal(value, shipped[name]) for name, value in weights.items())
        return Examination(len(held), 0.6 if same else 0.7 if better else 0.6, 0)

    monkeypatch.setattr(salience, "examine", examine)
    options = (*place, "--make", 0.002, "--minutes", 0.01, "--publish")
    if better:
        run(*options)
    else:
        with pytest.raises(
            ConfigError, match=r"what is shipped is better or as good .* --init out/salience\.safetensors"
        ):
            run(*options)
    assert training_estimator.WRITTEN.is_file()
    assert (tmp_path / "salience.safetensors").exists() == better


def test_weights_of_another_network_are_refused_before_work(place: tuple[object, ...], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"another network; .*--init salience"):
        run(*place, "--make", 1, "--init", "critic")
    assert not (tmp_path / "samples").exists()


def test_a_folder_without_samples_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--make"):
        salience.load(tmp_path)


@pytest.mark.parametrize("content", [b"nothing", [{"blurred": 1}], {"a": torch.ones(2)}, "uneven"])
def test_files_that_hold_something_else_are_refused(content: object, made: list[Sample], tmp_path: Path) -> None:
    file = tmp_path / "1-000000.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        uneven = [{**vars(made[0]), "kernel": torch.ones(1, 1, 4, 4)}]
        torch.save(uneven if content == "uneven" else content, file)
    with pytest.raises(DataError, match="remove it"):
        salience.load(tmp_path)
