"""Non-local means: a plain reference with loops, scikit-image's, and what a denoiser owes to scale, colour and size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from acutance.errors import ConfigError
from acutance.methods import nlm
from acutance.methods.nlm import NonLocalMeans, build, denoise, half_of_the_shifts
from acutance.metrics import psnr
from acutance.operators import Blur
from acutance.problem import Outcome, Problem

Array = NDArray[np.float64]
SMALL = NonLocalMeans(radius=3, patch=3)


def scene(*shape: int) -> Tensor:
    """Stripes and boxes, (B, C, H, W), float64."""
    i, j = torch.meshgrid(torch.arange(shape[-2]), torch.arange(shape[-1]), indexing="ij")
    picture = ((i // 8 + j // 9) % 3).double() / 3 + 0.1 * torch.sin(i / 5 + j / 7)
    shifted = [0.2 + 0.6 * torch.roll(picture, 3 * n, -1) for n in range(shape[0] * shape[1])]
    return torch.stack(shifted).reshape(shape)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def level(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def plain(y: Array, sigma: float, settings: NonLocalMeans) -> Array:
    """(C, H, W), pixel by pixel as one would explain it."""
    k, r = settings.patch // 2, settings.radius
    z = np.pad(y, ((0, 0), (k + r, k + r), (k + r, k + r)), mode="reflect")
    out = np.zeros_like(y)

    def patch(i: int, j: int) -> Array:
        return z[:, i + r : i + r + 2 * k + 1, j + r : j + r + 2 * k + 1]

    for i in range(y.shape[1]):
        for j in range(y.shape[2]):
            weights = 0.0
            for v in range(i - r, i + r + 1):
                for u in range(j - r, j + r + 1):
                    d = float(((patch(i, j) - patch(v, u)) ** 2).mean())
                    w = np.exp(-max(d - 2 * sigma**2, 0) / (settings.h * sigma) ** 2)
                    weights += w
                    out[:, i, j] += w * patch(v, u)[:, k, k]
            out[:, i, j] /= weights
    return out


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("patch", "radius", "h"), [(3, 4, 0.8), (5, 2, 0.3), (1, 3, 2.0)])
def test_it_is_what_the_formulas_say(channels: int, patch: int, radius: int, h: float) -> None:
    settings = NonLocalMeans(patch=patch, radius=radius, h=h)
    y = scene(1, channels, 17, 21) + 0.1 * noise(1, channels, 17, 21)
    expected = torch.from_numpy(plain(y[0].numpy(), 0.1, settings))
    torch.testing.assert_close(denoise(y, level(0.1), settings)[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [0.03, 0.1])
def test_that_of_scikit_image_lies_between_patches_of_3_and_5(channels: int, sigma: float) -> None:
    """Its fast form sums 4 x 4 differences of a patch of 5 and divides by 25, so that its h is 4/5 of ours."""
    restoration = pytest.importorskip("skimage.restoration")
    sharp = scene(1, channels, 60, 64)
    y = sharp + sigma * noise(1, channels, 60, 64)
    theirs = restoration.denoise_nl_means(
        y[0].permute(1, 2, 0).numpy(), patch_size=5, patch_distance=6, h=0.8 * sigma, sigma=sigma, channel_axis=-1
    )
    reference = torch.from_numpy(theirs).reshape(60, 64, channels).permute(2, 0, 1)[None]
    small, large = (denoise(y, level(sigma), NonLocalMeans(patch=patch, radius=6, h=1.0)) for patch in (3, 5))
    assert psnr(small, sharp) > psnr(reference, sharp) > psnr(large, sharp) > psnr(y, sharp) + 1
    for ours in (small, large):
        assert float((ours - reference).square().mean().sqrt()) < 0.36 * sigma


@pytest.mark.parametrize("radius", [1, 4])
def test_every_shift_or_its_opposite_is_taken_once(radius: int) -> None:
    half = list(half_of_the_shifts(radius))
    both = {*half, *((-dy, -dx) for dy, dx in half)}
    assert len(both) == 2 * len(half) == (2 * radius + 1) ** 2 - 1


@pytest.mark.parametrize("scale", [1e-3, 255.0, 65536.0])
def test_scale_and_offset_pass_through(scale: float) -> None:
    y = scene(1, 3, 24, 27) + 0.1 * noise(1, 3, 24, 27)
    expected = scale * denoise(y, level(0.1), SMALL) + 3 * scale
    torch.testing.assert_close(denoise(scale * y + 3 * scale, scale * level(0.1), SMALL), expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("turn", [lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.mT], ids=["-1", "-2", "T"])
def test_a_turned_picture_is_restored_alike(turn: Any) -> None:
    y = scene(1, 1, 29, 40) + 0.1 * noise(1, 1, 29, 40)
    torch.testing.assert_close(denoise(turn(y), level(0.1), SMALL), turn(denoise(y, level(0.1), SMALL)))


def test_channels_share_their_weights() -> None:
    """An edge that only one channel shows is kept in the others, and grey in equal channels stays grey."""
    grey = (scene(1, 1, 24, 30) + 0.1 * noise(1, 1, 24, 30)).expand(-1, 3, -1, -1)
    torch.testing.assert_close(denoise(grey, level(0.1), SMALL)[:, :1], denoise(grey[:, :1], level(0.1), SMALL))
    y = torch.cat((scene(1, 1, 24, 30), 1e-3 * noise(1, 1, 24, 30)), 1)
    alone, together = (denoise(x, level(0.03), SMALL)[:, -1] for x in (y[:, 1:], y))
    assert float(together.std()) > 1.2 * float(alone.std())


def test_without_noise_nothing_changes() -> None:
    y = scene(2, 3, 20, 21).float()
    assert torch.equal(denoise(y, torch.tensor(0.0)), y)
    torch.testing.assert_close(denoise(y, torch.tensor(1e-6), SMALL), y, rtol=0, atol=1e-4)


def test_each_picture_of_a_batch_has_its_own_noise() -> None:
    sigma = torch.tensor([0.05, 0.2, 0.0])
    y = (scene(3, 3, 24, 30) + sigma.reshape(-1, 1, 1, 1) * noise(3, 3, 24, 30)).float()
    y[2, 0, 3, 4] = torch.nan
    together = denoise(y, sigma, SMALL)
    for i in range(3):
        torch.testing.assert_close(
            together[i : i + 1], denoise(y[i : i + 1], sigma[i], SMALL), rtol=0, atol=0, equal_nan=True
        )


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2), (31, 7)], ids=str)
def test_any_size_and_precision(size: tuple[int, int], dtype: torch.dtype) -> None:
    y = (scene(1, 2, *size) + 0.1 * noise(1, 2, *size)).to(dtype)
    x = denoise(y, torch.tensor(0.1))
    assert x.shape == y.shape
    assert x.dtype is dtype
    assert bool(torch.isfinite(x).all())


def test_strips_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    y = scene(1, 2, 50, 33) + 0.1 * noise(1, 2, 50, 33)
    whole = denoise(y, level(0.1), SMALL)
    monkeypatch.setattr(nlm, "STRIP", 400)
    torch.testing.assert_close(denoise(y, level(0.1), SMALL), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_an_unknown_noise_level_is_estimated_and_strength_is_linear(strength: float) -> None:
    sharp = scene(1, 1, 48, 50).float()
    y = sharp + 0.1 * noise(1, 1, 48, 50).float()
    all_ = NonLocalMeans().run(Problem(y))
    assert all_.outcome is Outcome.COMPLETED
    assert float(psnr(all_.x, sharp)) > float(psnr(y, sharp)) + 4
    part = NonLocalMeans(strength=strength).run(Problem(y))
    torch.testing.assert_close(part.x, torch.lerp(y, all_.x, strength))


def test_a_blur_is_refused() -> None:
    with pytest.raises(ConfigError, match="use pnp"):
        NonLocalMeans().run(Problem(torch.rand(1, 1, 8, 8), Blur(torch.ones(1, 1, 1, 1))))


def test_settings() -> None:
    assert build(radius=10) == NonLocalMeans(radius=10)
    for wrong in ({"h": 0.0}, {"patch": 4}, {"patch": -1}, {"radius": 0}, {"strength": 1.5}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            build(**wrong)
