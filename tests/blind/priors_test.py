"""The latent pictures of pan-text, dark-channel and extreme-channels, and the kernels that they lead to."""

from __future__ import annotations

import pytest
import torch
from blind.scenes import likeness, page, shaken, town
from torch import Tensor

from acutance.blind.alternate import Alternating
from acutance.blind.base import estimate
from acutance.blind.channels import Bright, Dark, few_extremes, values
from acutance.blind.dark_channel import DarkChannel
from acutance.blind.extreme_channels import ExtremeChannels
from acutance.blind.kernel_step import differences
from acutance.blind.latent import few_gradients
from acutance.blind.pan_text import PanText
from acutance.errors import ConfigError
from acutance.metrics import psnr

ESTIMATORS = [PanText, DarkChannel, ExtremeChannels]


def windows(x: Tensor, patch: int) -> list[tuple[int, int, Tensor, int, int]]:
    """Each pixel, the window around it as far as it is in the picture, and where that begins."""
    half, (h, w) = patch // 2, x.shape[-2:]
    found = []
    for i in range(h):
        for j in range(w):
            top, left = max(0, i - half), max(0, j - half)
            found.append((i, j, x[0, 0, top : i + half + 1, left : j + half + 1], top, left))
    return found


@pytest.mark.parametrize(("size", "patch"), [((9, 12), 3), ((10, 7), 5), ((13, 13), 7), ((6, 8), 35)])
def test_the_dark_channel_and_where_it_is(generator: torch.Generator, size: tuple[int, int], patch: int) -> None:
    x = torch.rand(1, 1, *size, generator=generator, dtype=torch.float64)
    channel, least = torch.zeros_like(x), torch.zeros_like(x, dtype=torch.bool)
    for i, j, window, top, left in windows(x, patch):
        channel[0, 0, i, j] = window.min()
        at, along = divmod(int(window.flatten().argmin()), window.shape[-1])
        least[0, 0, top + at, left + along] = True
    assert torch.equal(Dark(patch).channel(x), channel)
    assert torch.equal(Dark(patch).least(x), least)


def test_few_values_against_brute_force(generator: torch.Generator) -> None:
    x, threshold = torch.randn(1, 1, 6, 7, generator=generator), 0.4
    grid = torch.cat((torch.zeros(1), torch.linspace(-4, 4, 8001)))
    cost = (grid - x[..., None]).square() + threshold * (grid.abs() > 1e-6)
    assert values(x, threshold) == pytest.approx(grid[cost.argmin(-1)], abs=1e-3)


def test_small_minima_become_zero_and_nothing_else_changes(generator: torch.Generator) -> None:
    x = torch.rand(1, 1, 20, 23, generator=generator)
    v = Dark(5)(x, 0.05**2)
    changed = v != x
    assert torch.equal(changed, Dark(5).least(x) & (x < 0.05))
    assert 0 < int(changed.sum()) < 60
    assert float(v[changed].abs().max()) == 0
    least = Dark(5).channel(v)
    assert float(least[least > 0].min()) >= 0.05


def test_the_bright_channel_is_the_dark_one_of_the_negative(generator: torch.Generator) -> None:
    x = torch.rand(1, 1, 16, 15, generator=generator, dtype=torch.float64)
    assert torch.allclose(Bright(5)(x, 0.01), 1 - Dark(5)(1 - x, 0.01))
    assert float(Bright(5)(x, 0.01).max()) == 1


def test_the_latent_picture_of_writing_has_few_values() -> None:
    x, y, k = shaken(scene=page)
    latent = few_extremes(y, k, 4e-3, 4e-3, [values])

    def gray(z: Tensor) -> float:
        return float(((z > 0.02) & (z < 0.8)).float().mean())

    assert latent.shape == y.shape
    assert gray(latent) < 0.7 * gray(few_gradients(y, k, 4e-3)) < gray(y)
    assert float(psnr(latent, x)) > float(psnr(y, x)) + 2


@pytest.mark.parametrize("terms", [[Dark(9)], [Dark(9), Bright(9)]])
def test_the_latent_picture_has_dark_minima(terms: list[Dark]) -> None:
    x, y, k = shaken()
    latent = few_extremes(y, k, 4e-3, 4e-3, terms)

    def dark(z: Tensor) -> float:
        return float(Dark(9).channel(z).mean())

    def share(z: Tensor) -> float:
        return float((differences(z).square().sum(1) > 1e-4).float().mean())

    assert latent.shape == y.shape
    assert dark(latent) < dark(few_gradients(y, k, 4e-3)) < dark(y)
    assert share(latent) < 0.5 * share(y)
    assert float(psnr(latent, x)) > float(psnr(y, x)) + 1


@pytest.mark.parametrize("size", [(31, 44), (36, 37)])
@pytest.mark.parametrize("build", ESTIMATORS)
def test_a_picture_that_the_prior_likes_stays(build: type[Alternating], size: tuple[int, int]) -> None:
    x = (town(44)[..., : size[0], : size[1]] > 0.5).float()
    point = torch.ones(1, 1, 1, 1)
    assert torch.allclose(build(size=9).latent(x, point, 4e-3), x, atol=0.02)


@pytest.mark.parametrize("build", ESTIMATORS)
def test_the_kernel_is_found(build: type[Alternating]) -> None:
    _, y, k = shaken()
    found = estimate(y, build(size=15))
    assert float(found.sum()) == pytest.approx(1)
    assert likeness(found, k) > 0.8


def test_the_kernel_of_writing_is_found() -> None:
    _, y, k = shaken(200, scene=page)
    assert likeness(estimate(y, PanText(size=15)), k) > 0.7


@pytest.mark.parametrize("build", ESTIMATORS)
@pytest.mark.parametrize("settings", [{"size": 8}, {"strength": 0.0}, {"weight": -1.0}, {"iterations": 0}])
def test_wrong_settings_of_all(build: type[Alternating], settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        build(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("build", "settings", "said"),
    [
        (PanText, {"intensity": 0.0}, "above 0"),
        (DarkChannel, {"dark": -1.0}, "above 0"),
        (DarkChannel, {"patch": 34}, "odd"),
        (ExtremeChannels, {"extremes": 0.0}, "above 0"),
        (ExtremeChannels, {"patch": 1}, "odd"),
        (PanText, {"intensity": float("nan")}, "above 0"),
    ],
)
def test_wrong_settings(build: type[Alternating], settings: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(**settings)  # type: ignore[arg-type]
