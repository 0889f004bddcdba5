"""BM3D: its transforms, a plain reference with loops, and what a denoiser owes to scale, colour and size."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from acutance.errors import ConfigError
from acutance.methods.bm3d import Bm3d, build
from acutance.metrics import psnr
from acutance.operators import Blur
from acutance.priors import block_matching
from acutance.priors.block_matching import (
    ROUNDNESS,
    BlockMatching,
    cosine_matrix,
    denoise,
    grid,
    haar_matrix,
    match,
    wavelet_matrix,
)
from acutance.problem import Outcome, Problem

Array = NDArray[np.float64]
QUICK = BlockMatching(radius=5, first=8, second=8)


def scene(*shape: int) -> Tensor:
    """Stripes and boxes, (B, C, H, W), float64."""
    i, j = torch.meshgrid(torch.arange(shape[-2]), torch.arange(shape[-1]), indexing="ij")
    picture = ((i // 8 + j // 9) % 3).double() / 3 + 0.1 * torch.sin(i / 5 + j / 7)
    shifted = [0.2 + 0.6 * torch.roll(picture, 3 * n, -1) for n in range(shape[0] * shape[1])]
    return torch.stack(shifted).reshape(shape)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("matrix", [cosine_matrix(8), cosine_matrix(3), haar_matrix(1), haar_matrix(32)])
def test_orthonormal_transforms(matrix: Tensor) -> None:
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(len(matrix), dtype=torch.float64))
    torch.testing.assert_close(matrix[0], torch.full_like(matrix[0], len(matrix) ** -0.5))


def test_the_wavelet_has_an_inverse_and_keeps_the_level_of_noise() -> None:
    m = wavelet_matrix()
    torch.testing.assert_close(m.norm(dim=1), torch.ones(8, dtype=torch.float64))
    torch.testing.assert_close(m[1:].sum(1), torch.zeros(7, dtype=torch.float64), atol=1e-12, rtol=0)
    assert float(torch.linalg.cond(m)) < 2
    # The finest details are differences of neighbours.
    fine = m[4:] @ torch.arange(8, dtype=torch.float64)
    torch.testing.assert_close(fine, torch.full_like(fine, -math.sqrt(0.5)))


def plain_stage(z: Array, p: Array | None, settings: BlockMatching) -> Array:
    """One stage in numpy as one would explain it, for a picture with sigma 1."""
    transform = (wavelet_matrix() if p is None else cosine_matrix(8)).numpy()
    inverse = np.linalg.inv(transform)
    window = np.outer(np.kaiser(8, ROUNDNESS), np.kaiser(8, ROUNDNESS))
    k = settings.first if p is None else settings.second
    haar = haar_matrix(k).numpy()
    h, w = z.shape[0] - 7, z.shape[1] - 7
    guide = z if p is None else p
    above, below = np.zeros_like(z), np.zeros_like(z)
    for y in grid(h, settings.step):
        for x in grid(w, settings.step):
            near = []
            for v in range(max(0, y - settings.radius), min(h, y + settings.radius + 1)):
                for u in range(max(0, x - settings.radius), min(w, x + settings.radius + 1)):
                    difference = guide[y : y + 8, x : x + 8] - guide[v : v + 8, u : u + 8]
                    near.append((float((difference**2).sum()), v, u))
            places = [(v, u) for _, v, u in sorted(near)[:k]]

            def stack(
                source: Array,
                places: list[tuple[int, int]] = places,
            ) -> Array:
                patches = [transform @ source[v : v + 8, u : u + 8] @ transform.T for v, u in places]
                return np.einsum("kl,lij->kij", haar, np.stack(patches))

            s = stack(z)
            shrink = (np.abs(s) > settings.threshold) * 1.0 if p is None else stack(p) ** 2 / (stack(p) ** 2 + 1)
            shrink[0, 0, 0] = 1
            weight = 1 / (shrink**2).sum()
            back = np.einsum("kl,kij->lij", haar, shrink * s)
            for patch, (v, u) in zip(back, places, strict=True):
                above[v : v + 8, u : u + 8] += weight * window * (inverse @ patch @ inverse.T)
                below[v : v + 8, u : u + 8] += weight * window
    return above / below


@pytest.mark.parametrize("size", [(19, 22), (18, 34)], ids=str)
def test_it_is_what_the_formulas_say(size: tuple[int, int]) -> None:
    settings = BlockMatching(radius=4, first=4, second=8)
    y, sigma = scene(1, 1, *size) + 0.1 * noise(1, 1, *size), 0.1
    z = ((y - y.mean()) / sigma)[0, 0].numpy()
    expected = plain_stage(z, plain_stage(z, None, settings), settings) * sigma + float(y.mean())
    got = denoise(y, torch.tensor(sigma, dtype=torch.float64), settings)[0, 0]
    torch.testing.assert_close(got, torch.from_numpy(expected), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("step", "radius"), [(1, 3), (3, 5), (4, 30)])
def test_the_nearest_patches_are_found(step: int, radius: int) -> None:
    guide = noise(21, 30)
    h, w = 14, 23
    patches = guide.unfold(0, 8, 1).unfold(1, 8, 1).reshape(h * w, 64)
    at = torch.stack(torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij"), -1).reshape(-1, 2)
    found = match(guide, grid(h, step), 6, step=step, radius=radius)
    assert {int(i) for i in found[:, 0]} == {y * w + x for y in grid(h, step) for x in grid(w, step)}
    assert len(found) == len(grid(h, step)) * len(grid(w, step))
    for row in found:
        allowed = (at - at[row[0]]).abs().amax(1) <= radius
        distance = (patches - patches[row[0]]).square().sum(1).where(allowed, torch.inf)
        torch.testing.assert_close(distance[row], distance.topk(6, largest=False).values)


@pytest.mark.parametrize("channels", [1, 3])
def test_noise_on_nothing_is_removed(channels: int) -> None:
    n = noise(1, channels, 64, 60).float()
    x = denoise(0.5 + 0.2 * n, torch.tensor(0.2))
    assert float((x - 0.5).std()) < 0.1 * 0.2


def test_a_picture_gains() -> None:
    """10 dB on a drawing; and colour helps."""
    sharp = scene(1, 1, 64, 64).expand(1, 3, 64, 64) * torch.tensor([1.0, 0.8, 0.5]).reshape(1, 3, 1, 1)
    y, sigma = (sharp + 0.1 * noise(1, 3, 64, 64)).float(), torch.tensor(0.1)
    together, separate = denoise(y, sigma), denoise(y, sigma, BlockMatching(separate=True))
    assert float(psnr(separate, sharp.float())) > float(psnr(y, sharp.float())) + 8
    assert float(psnr(together, sharp.float())) > float(psnr(separate, sharp.float())) + 0.5


@pytest.mark.parametrize("scale", [1e-3, 255.0, 65536.0])
def test_scale_and_offset_pass_through(scale: float) -> None:
    y, sigma = scene(1, 3, 24, 27) + 0.1 * noise(1, 3, 24, 27), torch.tensor(0.1, dtype=torch.float64)
    expected = scale * denoise(y, sigma, QUICK) + 3 * scale
    torch.testing.assert_close(denoise(scale * y + 3 * scale, scale * sigma, QUICK), expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("dims", [(-1,), (-2,), (-2, -1)], ids=str)
def test_a_flipped_picture_is_restored_alike(dims: tuple[int, ...]) -> None:
    """On sides of 8 + a multiple of the step the grid is the same; the wavelet and Haar are not quite symmetric."""
    sharp, sigma = scene(1, 1, 44, 47), torch.tensor(0.1, dtype=torch.float64)
    y = sharp + 0.1 * noise(1, 1, 44, 47)
    one, other = denoise(y, sigma), denoise(y.flip(dims), sigma).flip(dims)
    assert float((one - other).square().mean().sqrt()) < 0.01
    assert float(psnr(one, sharp)) == pytest.approx(float(psnr(other, sharp)), abs=0.2)


def test_transposed_pictures_are_restored_alike() -> None:
    """Rows and columns are treated the same: no asymmetry but the order of equally good patches."""
    y, sigma = scene(1, 1, 29, 40) + 0.1 * noise(1, 1, 29, 40), torch.tensor(0.1, dtype=torch.float64)
    torch.testing.assert_close(denoise(y.mT, sigma, QUICK).mT, denoise(y, sigma, QUICK), rtol=0, atol=1e-10)


def test_without_noise_nothing_changes() -> None:
    y = scene(2, 3, 20, 21).float()
    assert torch.equal(denoise(y, torch.tensor(0.0)), y)
    torch.testing.assert_close(denoise(y, torch.tensor(1e-7), QUICK), y, rtol=0, atol=1e-5)


def test_each_picture_of_a_batch_has_its_own_noise() -> None:
    sigma = torch.tensor([0.05, 0.2, 0.0])
    y = (scene(3, 3, 24, 30) + sigma.reshape(-1, 1, 1, 1) * noise(3, 3, 24, 30)).float()
    together = denoise(y, sigma, QUICK)
    for i in range(3):
        assert torch.equal(together[i : i + 1], denoise(y[i : i + 1], sigma[i], QUICK))


@pytest.mark.parametrize("channels", [2, 3])
def test_grey_in_equal_channels_is_grey(channels: int) -> None:
    grey = (scene(1, 1, 24, 30) + 0.1 * noise(1, 1, 24, 30)).float()
    expected = denoise(grey, torch.tensor(0.1), QUICK).expand(-1, channels, -1, -1)
    assert torch.equal(denoise(grey.expand(-1, channels, -1, -1), torch.tensor(0.1), QUICK), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2), (8, 8), (9, 30), (31, 7)], ids=str)
def test_any_size_and_precision(size: tuple[int, int], dtype: torch.dtype) -> None:
    y = (scene(1, 2, *size) + 0.1 * noise(1, 2, *size)).to(dtype)
    x = denoise(y, torch.tensor(0.1))
    assert x.shape == y.shape
    assert x.dtype is dtype
    assert bool(torch.isfinite(x).all())


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0])
def test_a_flat_picture_stays_flat(value: float) -> None:
    y = torch.full((1, 3, 16, 17), value)
    torch.testing.assert_close(denoise(y, torch.tensor(0.1)), y)


def test_strips_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    y, sigma = scene(1, 1, 50, 33) + 0.1 * noise(1, 1, 50, 33), torch.tensor(0.1, dtype=torch.float64)
    whole = denoise(y, sigma, QUICK)
    monkeypatch.setattr(block_matching, "POSITIONS", 500)
    torch.testing.assert_close(denoise(y, sigma, QUICK), whole, rtol=0, atol=1e-10)


def test_an_unknown_noise_level_is_estimated() -> None:
    y = (scene(1, 1, 48, 50) + 0.1 * noise(1, 1, 48, 50)).float()
    result = Bm3d().run(Problem(y))
    assert result.outcome is Outcome.COMPLETED
    assert float(psnr(result.x, scene(1, 1, 48, 50).float())) > float(psnr(y, scene(1, 1, 48, 50).float())) + 6


def test_a_blur_is_refused() -> None:
    with pytest.raises(ConfigError, match="use pnp"):
        Bm3d().run(Problem(torch.rand(1, 1, 8, 8), Blur(torch.ones(1, 1, 1, 1))))


def test_settings() -> None:
    assert build(radius=10) == Bm3d(radius=10)
    for wrong in ({"step": 9}, {"step": 0}, {"radius": 0}, {"first": 12}, {"second": 0}, {"threshold": 0.0}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            build(**wrong)
