"""The mixture over patches: its densities against scipy, its filter against the formula, the picture against loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import multivariate_normal
from torch import Tensor

from acutance.errors import WeightsError
from acutance.priors import mixture as module
from acutance.priors.mixture import FLOOR, PatchMixture, principal_axes

Array = NDArray[np.float64]


def covariances(k: int, side: int, generator: torch.Generator, *, rank: int | None = None) -> Tensor:
    """Of patches without their means, of contrasts that differ by powers of ten: (k, d, d), float64."""
    d = side**2
    m = torch.randn(k, d, rank or 2 * d, generator=generator, dtype=torch.float64)
    m = m * torch.logspace(0, -1.5, d, dtype=torch.float64)[torch.randperm(d, generator=generator)][:, None]
    m = m - m.mean(1, keepdim=True)
    scale = 0.1 * 0.2 ** torch.arange(k, dtype=torch.float64)
    return scale[:, None, None] ** 2 * (m @ m.mT) / m.shape[-1]


def mixture_of(k: int, side: int, generator: torch.Generator) -> PatchMixture:
    weights = torch.rand(k, generator=generator, dtype=torch.float64) + 0.2
    return PatchMixture((weights / weights.sum()).log(), *principal_axes(covariances(k, side, generator)))


def patches_of(mixture: PatchMixture, n: int, generator: torch.Generator) -> Tensor:
    """Draws from the components in turn, and some that none would make: (n, d)."""
    k, d = mixture.values.shape
    z = torch.randn(n, d, generator=generator, dtype=torch.float64)
    which = torch.arange(n) % (k + 1)
    drawn = torch.einsum("nij,nj->ni", mixture.vectors[which % k], mixture.values.sqrt()[which % k] * z)
    z = torch.where((which < k)[:, None], drawn, 0.3 * z)
    return z - z.mean(1, keepdim=True)


def covariance(mixture: PatchMixture) -> Array:
    """C_k, (K, d, d)."""
    v = mixture.vectors
    out: Array = (v * mixture.values[:, None, :] @ v.mT).numpy()
    return out


def mean_free(d: int) -> Array:
    """Orthonormal axes of the patches without a mean, (d, d - 1)."""
    q: Array = np.linalg.qr(np.concatenate((np.ones((d, 1)), np.eye(d)[:, : d - 1]), 1))[0][:, 1:]
    return q


def plain_log_joint(mixture: PatchMixture, z: Array, variance: float) -> Array:
    """By scipy, in coordinates of the patches without a mean: (n, K)."""
    q = mean_free(z.shape[1])
    logs = [
        weight + np.atleast_1d(multivariate_normal(cov=q.T @ c @ q + variance * np.eye(q.shape[1])).logpdf(z @ q))
        for weight, c in zip(mixture.log_weights.numpy(), covariance(mixture), strict=True)
    ]
    return np.stack(logs, 1)


def plain_denoised(mixture: PatchMixture, z: Array, variance: float) -> Array:
    best = plain_log_joint(mixture, z, variance).argmax(1)
    eye, c = np.eye(z.shape[1]), covariance(mixture)
    return np.stack([c[k] @ np.linalg.solve(c[k] + variance * eye, p) for k, p in zip(best, z, strict=True)])


def plain_prox(mixture: PatchMixture, x: Array, sigma: float) -> Array:
    """The mean of all patches, each wrapped around the picture (H, W)."""
    s, (height, width) = mixture.side, x.shape
    places = [
        ((i + np.arange(s)[:, None]) % height, (j + np.arange(s)) % width) for i in range(height) for j in range(width)
    ]
    z = np.stack([x[place].ravel() for place in places])
    mean = z.mean(1, keepdims=True)
    z = plain_denoised(mixture, z - mean, sigma**2) + mean
    total = np.zeros_like(x)
    for place, p in zip(places, z, strict=True):
        np.add.at(total, place, p.reshape(s, s))
    return total / s**2


@pytest.mark.parametrize("variance", [0.0, 1e-4, 0.04])
@pytest.mark.parametrize(("k", "side"), [(1, 2), (3, 3), (4, 5)])
def test_its_density_is_that_of_scipy(k: int, side: int, variance: float, generator: torch.Generator) -> None:
    mixture = mixture_of(k, side, generator)
    z = patches_of(mixture, 40, generator)
    got = mixture.log_joint(z, variance)
    assert tuple(got.shape) == (40, k)
    np.testing.assert_allclose(got.numpy(), plain_log_joint(mixture, z.numpy(), variance), rtol=1e-8, atol=1e-8)


def test_many_patches_are_as_few(generator: torch.Generator) -> None:
    mixture = mixture_of(3, 3, generator)
    z = patches_of(mixture, 9001, generator)
    parts = [mixture.log_joint(part, 0.01) for part in torch.split(z, 700)]
    torch.testing.assert_close(mixture.log_joint(z, 0.01), torch.cat(parts), rtol=1e-12, atol=1e-12)
    parts = [mixture.denoised(part, 0.01) for part in torch.split(z, 700)]
    torch.testing.assert_close(mixture.denoised(z, 0.01), torch.cat(parts), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("variance", [1e-5, 1e-3, 0.1])
@pytest.mark.parametrize(("k", "side"), [(1, 2), (3, 3), (5, 4)])
def test_a_patch_is_filtered_by_its_likeliest_component(
    k: int, side: int, variance: float, generator: torch.Generator
) -> None:
    """C (C + v I)^-1 z."""
    mixture = mixture_of(k, side, generator)
    z = patches_of(mixture, 60, generator)
    before = z.clone()
    got = mixture.denoised(z, variance)
    np.testing.assert_allclose(got.numpy(), plain_denoised(mixture, z.numpy(), variance), rtol=1e-8, atol=1e-11)
    if k > 1 and variance < 0.1:
        assert len(set(mixture.log_joint(z, variance).argmax(1).tolist())) > 1, "the test has something to choose"
    assert torch.equal(z, before)


@pytest.mark.parametrize("size", [(9, 10), (7, 4), (3, 9), (2, 2), (1, 6), (1, 1)], ids=str)
@pytest.mark.parametrize(("k", "side"), [(3, 3), (2, 4)])
def test_a_picture_is_the_mean_of_all_its_patches(
    k: int, side: int, size: tuple[int, int], generator: torch.Generator
) -> None:
    mixture = mixture_of(k, side, generator)
    x = 0.5 + 0.1 * torch.randn(1, 1, *size, generator=generator, dtype=torch.float64)
    got = mixture.prox(x, torch.tensor([0.05], dtype=torch.float64), 0)
    np.testing.assert_allclose(got[0, 0].numpy(), plain_prox(mixture, x[0, 0].numpy(), 0.05), rtol=0, atol=1e-10)


def test_patches_of_eight_pixels(generator: torch.Generator) -> None:
    mixture = PatchMixture.untrained().to(torch.empty(0, dtype=torch.float64))
    x = 0.5 + 0.1 * torch.randn(1, 1, 10, 9, generator=generator, dtype=torch.float64)
    got = mixture.prox(x, torch.tensor([0.04], dtype=torch.float64), 0)
    np.testing.assert_allclose(got[0, 0].numpy(), plain_prox(mixture, x[0, 0].numpy(), 0.04), rtol=0, atol=1e-6)


def test_a_large_picture_is_worked_on_in_strips(generator: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    mixture, sigma = mixture_of(3, 3, generator), torch.tensor([0.05], dtype=torch.float64)
    x = 0.5 + 0.1 * torch.randn(1, 2, 23, 15, generator=generator, dtype=torch.float64)
    for stride in (1, 2, 3):
        whole = mixture.prox(x, sigma, 1, stride=stride)
        for strip in (1, 40):
            with monkeypatch.context() as patch:
                patch.setattr(module, "STRIP", strip)
                torch.testing.assert_close(mixture.prox(x, sigma, 1, stride=stride), whole, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("side", "stride", "size"), [(4, 2, (10, 8)), (4, 4, (8, 12)), (6, 3, (9, 15)), (8, 2, (4, 2))]
)
def test_the_grids_of_a_stride_make_up_all_patches(
    side: int, stride: int, size: tuple[int, int], generator: torch.Generator
) -> None:
    """Each grid covers all pixels alike, so the mean of what they say is what all patches say."""
    mixture, sigma = mixture_of(3, side, generator), torch.tensor([0.05], dtype=torch.float64)
    x = 0.5 + 0.1 * torch.randn(1, 1, *size, generator=generator, dtype=torch.float64)
    turns = [mixture.prox(x, sigma, turn, stride=stride) for turn in range(stride**2)]
    torch.testing.assert_close(torch.stack(turns).mean(0), mixture.prox(x, sigma, 0), rtol=1e-11, atol=1e-12)
    distinct = {tuple(turn.flatten().round(decimals=9).tolist()) for turn in turns}
    assert len(distinct) == min(stride, size[0]) * min(stride, size[1])
    assert torch.equal(mixture.prox(x, sigma, stride**2 + 1, stride=stride), turns[1])


@pytest.mark.parametrize("stride", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("size", [(1, 1), (3, 9), (1, 17), (8, 8), (11, 13), (16, 21)], ids=str)
def test_every_pixel_is_counted_as_often_as_it_is_covered(
    size: tuple[int, int], stride: int, generator: torch.Generator
) -> None:
    """Without noise nothing is changed, whatever the grid and the size of the picture are."""
    mixture = PatchMixture.untrained().to(torch.empty(0, dtype=torch.float64))
    x = torch.rand(2, 1, *size, generator=generator, dtype=torch.float64)
    for turn in range(0, stride**2, 3):
        got = mixture.prox(x, torch.tensor([1e-7, 1e-8], dtype=torch.float64), turn, stride=stride)
        torch.testing.assert_close(got, x, rtol=0, atol=1e-5)


def test_pictures_and_channels_are_on_their_own(generator: torch.Generator) -> None:
    mixture, sigma = mixture_of(3, 3, generator), torch.tensor([0.02, 0.1], dtype=torch.float64)
    x = 0.5 + 0.1 * torch.randn(2, 3, 9, 8, generator=generator, dtype=torch.float64)
    together = mixture.prox(x, sigma, 2, stride=2)
    for b in range(2):
        for c in range(3):
            alone = mixture.prox(x[b : b + 1, c : c + 1], sigma[b : b + 1], 2, stride=2)
            torch.testing.assert_close(together[b : b + 1, c : c + 1], alone, rtol=1e-11, atol=1e-13)


def test_it_moves_with_the_picture(generator: torch.Generator) -> None:
    mixture, sigma = mixture_of(3, 3, generator), torch.tensor([0.05], dtype=torch.float64)
    x = 0.5 + 0.1 * torch.randn(1, 1, 9, 8, generator=generator, dtype=torch.float64)
    out = mixture.prox(x, sigma, 0)
    moved = mixture.prox(torch.roll(x, (2, 5), (-2, -1)), sigma, 0)
    torch.testing.assert_close(moved, torch.roll(out, (2, 5), (-2, -1)), rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(mixture.prox(x + 3, sigma, 0), out + 3, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(mixture.prox(1 - x, sigma, 0), 1 - out, rtol=1e-11, atol=1e-12)


def test_trouble_in_one_picture_is_its_own(generator: torch.Generator) -> None:
    mixture, sigma = mixture_of(3, 3, generator), torch.tensor([0.05, 0.05], dtype=torch.float64)
    x = 0.5 + 0.1 * torch.randn(2, 1, 9, 8, generator=generator, dtype=torch.float64)
    spoilt = x.clone()
    spoilt[1, 0, 2, 3] = float("nan")
    got = mixture.prox(spoilt, sigma, 0)
    torch.testing.assert_close(got[:1], mixture.prox(x, sigma, 0)[:1], rtol=1e-12, atol=1e-13)
    assert not bool(got[1].isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("side", [2, 3, 8])
def test_principal_axes_are_those_of_the_covariance(side: int, dtype: torch.dtype, generator: torch.Generator) -> None:
    c, d = covariances(4, side, generator).to(dtype), side**2
    values, vectors = principal_axes(c)
    assert values.dtype is vectors.dtype is dtype
    close = {"rtol": 1e-5, "atol": 1e-5 if dtype is torch.float32 else 1e-10}
    torch.testing.assert_close(vectors.mT @ vectors, torch.eye(d, dtype=dtype).expand(4, d, d), **close)
    assert bool((values.diff(dim=1) <= 0).all())
    assert bool((values >= FLOOR).all())
    torch.testing.assert_close(vectors[:, :, -1].abs(), torch.full((4, d), 1 / side, dtype=dtype), **close)
    kept = torch.where(values > FLOOR, values, 0.0)
    back = vectors * kept[:, None, :] @ vectors.mT
    torch.testing.assert_close(back, c, rtol=0, atol=1.01 * FLOOR)
    strong = values[:1, :-1] > FLOOR  # of the component of the highest contrast nothing is below the floor
    assert bool(strong.all())
    torch.testing.assert_close(back[0], c[0], rtol=1e-5, atol=1e-7 if dtype is torch.float32 else 1e-15)


def test_a_covariance_of_few_patches_has_a_floor(generator: torch.Generator) -> None:
    values, _ = principal_axes(covariances(2, 3, generator, rank=4))
    assert bool((values[:, 4:] == FLOOR).all())
    assert bool((values[0, :4] > FLOOR).all())


def test_tensors_and_back(generator: torch.Generator) -> None:
    mixture = mixture_of(3, 3, generator)
    again = PatchMixture.of(mixture.tensors())
    assert again.side == 3
    for name in ("log_weights", "values", "vectors"):
        assert getattr(again, name).dtype is torch.float32
        torch.testing.assert_close(getattr(again, name), getattr(mixture, name).float(), rtol=1e-6, atol=1e-12)
    half = PatchMixture.of({name: tensor.half() for name, tensor in mixture.tensors().items()})
    torch.testing.assert_close(half.values, mixture.values.float(), rtol=3e-3, atol=0)
    assert mixture.to(torch.empty(0)).vectors.dtype is torch.float32


def tensors(k: int, d: int) -> dict[str, Tensor]:
    return {"log_weights": torch.zeros(k), "deviations": torch.ones(k, d), "vectors": torch.eye(d).expand(k, d, d)}


@pytest.mark.parametrize(
    "wrong",
    [
        {"log_weights": torch.zeros(3)},
        {"log_weights": torch.zeros(2, 1)},
        {"deviations": torch.ones(3, 9)},
        {"deviations": torch.ones(9)},
        {"deviations": torch.ones(())},
        {"vectors": torch.eye(9)},
        {"vectors": torch.ones(2, 9, 8)},
        tensors(2, 8),
        tensors(2, 0),
    ],
    ids=lambda wrong: ", ".join(f"{k} {tuple(v.shape)}" for k, v in wrong.items()),
)
def test_wrong_shapes_are_refused(wrong: dict[str, Tensor]) -> None:
    assert PatchMixture.of(tensors(2, 9)).side == 3
    with pytest.raises(WeightsError, match="needs log_weights"):
        PatchMixture.of({**tensors(2, 9), **wrong})


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_damaged_variances_are_refused(value: float) -> None:
    damaged = tensors(2, 9)
    damaged["deviations"][1, 4] = value
    with pytest.raises(WeightsError, match="not positive"):
        PatchMixture.of(damaged)


def test_weights_of_something_else_are_refused() -> None:
    for wrong in ({}, {"a": torch.ones(1)}, {**tensors(2, 9), "more": torch.ones(1)}):
        with pytest.raises(WeightsError, match="no weights of a patch mixture"):
            PatchMixture.of(wrong)


@pytest.mark.parametrize(("side", "scales"), [(8, 6), (5, 2), (2, 1)])
def test_the_untrained_mixture_is_one(side: int, scales: int, generator: torch.Generator) -> None:
    mixture, d = PatchMixture.untrained(side, scales), side**2
    assert mixture.side == side
    assert float(mixture.log_weights.exp().sum()) == pytest.approx(1, rel=1e-6)
    assert bool((mixture.values.diff(dim=1) <= 0).all())
    assert bool((mixture.values >= 0.999 * FLOOR).all())
    eye = torch.eye(d).expand(scales, d, d)
    torch.testing.assert_close(mixture.vectors.mT @ mixture.vectors, eye, rtol=0, atol=1e-5)
    torch.testing.assert_close(mixture.vectors[:, :, -1].abs(), torch.full((scales, d), 1 / side))
    PatchMixture.of(mixture.tensors())
    z = torch.randn(5, d, generator=generator)
    assert bool(mixture.log_joint(z - z.mean(1, keepdim=True)).isfinite().all())


def test_the_untrained_mixture_takes_noise_away(generator: torch.Generator) -> None:
    i, j = torch.meshgrid(torch.arange(24), torch.arange(26), indexing="ij")
    clean = (0.5 + 0.2 * torch.sin(2 * math.pi * i / 24) + 0.1 * torch.cos(2 * math.pi * j / 26)).double()[None, None]
    noisy = clean + 0.05 * torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    mixture = PatchMixture.untrained().to(clean)
    restored = mixture.prox(noisy, torch.tensor([0.05], dtype=torch.float64), 0)
    assert float((restored - clean).square().mean()) < 0.2 * float((noisy - clean).square().mean())
