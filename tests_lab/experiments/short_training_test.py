"""What small trainings share: pairs that can be made again, a start, a loop that descends."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from acutance_lab.data.photographs import Photographs
from acutance_lab.experiments.short_training import (
    CEILING,
    CHUNK,
    Pairs,
    fit,
    material,
    mean_psnr,
    mean_square,
    start,
)


@pytest.fixture(scope="module")
def few(photographs: Path) -> Photographs:
    return Photographs.load(photographs, device=torch.device("cpu"), least=64)


def test_pairs_are_blurred_and_drawn_again_the_same(few: Photographs) -> None:
    one, two = (Pairs.draw(few, CHUNK + 1, 24, torch.Generator().manual_seed(5)) for _ in range(2))
    assert one.blurred.shape == one.sharp.shape == (CHUNK + 1, 3, 24, 24)
    assert torch.equal(one.blurred, two.blurred)
    assert 10 < mean_psnr(one.blurred, one.sharp) < 40
    some = one.some(6, torch.Generator().manual_seed(1))
    assert all(any(torch.equal(x, y) for y in one.sharp) for x in some.sharp)


def test_the_pairs_to_judge_by_do_not_depend_on_the_seed(photographs: Path) -> None:
    one, two = (material(photographs, iterations=1, seed=seed, judged=(2, 24)) for seed in (1, 2))
    assert torch.equal(one.judged.sharp, two.judged.sharp)
    assert not torch.equal(one.trained.sharp, two.trained.sharp)


def test_the_start_is_the_seeds_and_disturbs_nothing() -> None:
    before = torch.get_rng_state()
    a, b, c = (start(3, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(a.head.weight, b.head.weight)
    assert not torch.equal(a.head.weight, c.head.weight)


def test_the_loop_descends_and_tells(few: Photographs) -> None:
    pairs, network, seen, done = Pairs.draw(few, 2, 24, torch.Generator().manual_seed(1)), start(3, 1), [], []

    def loss(i: int) -> torch.Tensor:
        value = mean_square(network(pairs.sharp), pairs.sharp)
        seen.append((i, float(value.detach())))
        return value

    fit(network, loss, 25, after=done.append)
    assert [i for i, _ in seen] == list(range(25))
    assert done == list(range(1, 26))
    assert seen[-1][1] < 0.5 * seen[0][1]


def test_a_perfect_picture_counts_as_the_ceiling() -> None:
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    assert mean_psnr(x, x) == CEILING
    assert mean_psnr(torch.stack((x[0], x[1] - 0.1)), x) < CEILING
    assert float(mean_square(x, x)) == 0
