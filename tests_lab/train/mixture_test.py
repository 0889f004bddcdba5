"""Expectation maximisation: it climbs, it finds a mixture that is known, and the same photographs give the same one."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor

from acutance.priors.mixture import FLOOR, PatchMixture, principal_axes
from acutance_lab.data.photographs import Photographs
from acutance_lab.train.mixture import (
    Fitted,
    MixtureFit,
    draw_patches,
    fit_mixture,
    held_out_likelihood,
    maximised,
)

SHARES = (0.5, 0.3, 0.2)
SMALL = MixtureFit(components=4, side=4, patches=(4000,) * 4)

LUMA = (0.299, 0.587, 0.114)


@pytest.fixture
def loaded(photographs: Path) -> Photographs:
    return Photographs.load(photographs, device=torch.device("cpu"))


def known(generator: torch.Generator) -> PatchMixture:
    """Three components of 3 x 3 pixels that point elsewhere."""
    m = torch.randn(3, 9, 9, generator=generator, dtype=torch.float64)
    m = m * torch.tensor([0.3, 0.1, 0.1, 0.03, 0.03, 0.01, 0.01, 0.01, 0.01], dtype=torch.float64)
    m = m - m.mean(1, keepdim=True)
    return PatchMixture(torch.tensor(SHARES, dtype=torch.float64).log(), *principal_axes(m @ m.mT))


def drawn(mixture: PatchMixture, n: int, generator: torch.Generator) -> Tensor:
    """Patches of the mixture without their means, (n, d)."""
    which = torch.multinomial(mixture.log_weights.exp(), n, replacement=True, generator=generator)
    z = torch.randn(n, mixture.values.shape[1], generator=generator, dtype=torch.float64)
    z = torch.einsum("nij,nj->ni", mixture.vectors[which], mixture.values.sqrt()[which] * z)
    return z - z.mean(1, keepdim=True)


def covariance(mixture: PatchMixture) -> Tensor:
    axes = mixture.vectors[:, :, :-1]  # the last one, the constant patch, holds nothing
    return axes * mixture.values[:, None, :-1] @ axes.mT


def away(mixture: PatchMixture, generator: torch.Generator) -> PatchMixture:
    """A start: the components blurred into each other."""
    c = covariance(mixture)
    noise = torch.randn(3, 9, 9, generator=generator, dtype=torch.float64) * 0.05
    noise = noise - noise.mean(1, keepdim=True)
    return PatchMixture(torch.full((3,), 1 / 3).double().log(), *principal_axes(0.3 * c + c.mean(0) + noise @ noise.mT))


def test_one_iteration_is_what_the_formulas_say(generator: torch.Generator) -> None:
    truth = known(generator)
    patches, start = drawn(truth, 3000, generator), away(truth, generator)
    after, likelihood = maximised(start, patches)
    logs = start.log_joint(patches)
    assert likelihood == pytest.approx(float(logs.logsumexp(1).mean()), rel=1e-12)
    r = logs.softmax(1)
    torch.testing.assert_close(after.log_weights.exp(), r.mean(0), rtol=1e-9, atol=1e-12)
    expected = torch.einsum("nk,ni,nj->kij", r, patches, patches) / r.sum(0)[:, None, None]
    assert bool((after.values[:, :-1] > FLOOR).all())
    torch.testing.assert_close(covariance(after), expected, rtol=1e-2, atol=1e-5)  # shares below 1e-4 are left out


def test_patches_in_parts_are_the_same(generator: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = known(generator)
    patches, start = drawn(truth, 1000, generator), away(truth, generator)
    whole, likelihood = maximised(start, patches)
    monkeypatch.setattr("acutance_lab.train.mixture.CHUNK", 77)
    parts, again = maximised(start, patches)
    assert again == pytest.approx(likelihood, rel=1e-12)
    torch.testing.assert_close(covariance(parts), covariance(whole), rtol=1e-9, atol=1e-14)


def test_the_likelihood_rises_and_the_mixture_is_found(generator: torch.Generator) -> None:
    truth = known(generator)
    patches, mixture = drawn(truth, 8000, generator), away(truth, generator)
    likelihoods = []
    for _ in range(40):
        mixture, likelihood = maximised(mixture, patches)
        likelihoods.append(likelihood)
    assert all(after > before - 1e-9 for before, after in itertools.pairwise(likelihoods))
    assert likelihoods[-1] > likelihoods[0] + 0.5
    assert likelihoods[-1] > float(truth.log_joint(patches).logsumexp(1).mean()), "it fits its patches best"
    order = mixture.log_weights.argsort(descending=True)
    torch.testing.assert_close(mixture.log_weights.exp()[order], torch.tensor(SHARES).double(), rtol=0, atol=0.02)
    for k, c in zip(order, covariance(truth), strict=True):
        assert float((covariance(mixture)[k] - c).norm() / c.norm()) < 0.1
    fresh = drawn(truth, 8000, generator)
    gap = truth.log_joint(fresh).logsumexp(1).mean() - mixture.log_joint(fresh).logsumexp(1).mean()
    assert 0 < float(gap) < 0.05, "and patches that it has not seen hardly worse than the truth"


@pytest.mark.parametrize("lost", [0, 2])
def test_a_lost_component_takes_half_of_the_heaviest(lost: int, generator: torch.Generator) -> None:
    truth = known(generator)
    patches = drawn(truth, 4000, generator)
    weights = truth.log_weights.clone()
    weights[lost] = -1e12  # explains nothing
    start = PatchMixture(weights, truth.values, truth.vectors)
    after, _ = maximised(start, patches)
    heaviest = int(start.log_joint(patches).softmax(1).sum(0).argmax())
    share = after.log_weights.exp()
    assert float(share.sum()) == pytest.approx(1, rel=1e-9)
    assert float(share[lost]) == pytest.approx(float(share[heaviest]), rel=1e-9)
    assert torch.equal(after.vectors[lost], after.vectors[heaviest])
    ratio = after.values[heaviest, :-1] / after.values[lost, :-1]
    torch.testing.assert_close(ratio[:3], torch.full((3,), 1.6 * 2.5).double(), rtol=1e-9, atol=0)
    mixture, likelihoods = after, []
    for _ in range(10):
        mixture, likelihood = maximised(mixture, patches)
        likelihoods.append(likelihood)
    rises = [after > before - 1e-9 for before, after in itertools.pairwise(likelihoods)]
    assert all(rises), "from there on it climbs again"
    assert float(mixture.log_weights.exp().min()) > 0.02


def test_a_fit_is_repeatable_and_a_valid_mixture(loaded: Photographs) -> None:
    seen: list[Fitted] = []
    first = fit_mixture(loaded, SMALL, on_iteration=seen.append)
    again = fit_mixture(loaded, SMALL)
    other = fit_mixture(loaded, MixtureFit(components=4, side=4, patches=(4000,) * 4, seed=2))
    for name in ("log_weights", "values", "vectors"):
        assert torch.equal(getattr(first, name), getattr(again, name)), name
        assert not torch.equal(getattr(first, name), getattr(other, name)), name
    assert [f.iteration for f in seen] == [1, 2, 3, 4]
    assert all(0 <= f.minutes < 1 for f in seen)
    assert seen[-1].likelihood > seen[0].likelihood
    assert float(first.log_weights.exp().sum()) == pytest.approx(1, rel=1e-5)
    assert first.side == 4
    torch.testing.assert_close(first.vectors.mT @ first.vectors, torch.eye(16).expand(4, 16, 16), rtol=0, atol=1e-4)
    assert bool((first.values >= 0.999 * FLOOR).all())
    torch.testing.assert_close(first.vectors[:, :, -1].abs(), torch.full((4, 16), 0.25), rtol=0, atol=1e-4)
    PatchMixture.of(first.tensors())


def test_contrasts_of_one_direction_are_components_of_their_own(loaded: Photographs) -> None:
    mixture = fit_mixture(loaded, MixtureFit(components=10, side=4, patches=(4000,)))
    assert len(mixture.log_weights) == 10
    assert bool(mixture.log_weights.isfinite().all())
    assert float(mixture.values[:, 0].max() / mixture.values[:, 0].min()) > 10


def test_a_fit_goes_on_from_a_mixture(loaded: Photographs) -> None:
    start = fit_mixture(loaded, SMALL)
    seen: list[Fitted] = []
    fit_mixture(
        loaded, MixtureFit(components=4, side=4, patches=(2000,), seed=3), start=start, on_iteration=seen.append
    )
    fresh: list[Fitted] = []
    fit_mixture(loaded, MixtureFit(components=4, side=4, patches=(2000,), seed=3), on_iteration=fresh.append)
    assert seen[0].likelihood > fresh[0].likelihood


def test_patches_are_those_of_the_luma_without_a_mean(loaded: Photographs, generator: torch.Generator) -> None:
    z = draw_patches(loaded, 9000, 4, generator)
    assert tuple(z.shape) == (9000, 16)
    assert float(z.mean(1).abs().max()) < 1e-6
    again = draw_patches(loaded, 100, 4, torch.Generator().manual_seed(generator.initial_seed()))
    assert torch.equal(z[:100], again)
    crop = loaded.crops(512, 16, torch.Generator().manual_seed(generator.initial_seed()), candidates=1)[0]
    grey = sum(weight * channel for weight, channel in zip(LUMA, crop, strict=True))
    assert isinstance(grey, Tensor)
    for n in range(16):  # the patches of a crop, row by row
        i, j = 4 * (n // 4), 4 * (n % 4)
        patch = grey[i : i + 4, j : j + 4].flatten()
        torch.testing.assert_close(z[n], patch - patch.mean(), rtol=0, atol=1e-6)


def test_the_held_out_likelihood_is_always_of_the_same_patches(loaded: Photographs) -> None:
    mixture = PatchMixture.untrained(side=4, scales=3)
    first = held_out_likelihood(mixture, loaded, count=9000)
    assert held_out_likelihood(mixture, loaded, count=9000) == first
    z = draw_patches(loaded, 9000, 4, torch.Generator().manual_seed(0))
    assert first == pytest.approx(float(mixture.log_joint(z).logsumexp(1).mean()), rel=1e-5)
    assert held_out_likelihood(fit_mixture(loaded, SMALL), loaded, count=9000) > first
