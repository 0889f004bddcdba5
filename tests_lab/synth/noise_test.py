"""Noise has its level, its correlation and its source; JPEG and quantisation do what encoders do."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from acutance.metrics import psnr
from acutance.noise.level import level_of
from acutance.operators import Blur
from acutance.problem import Problem
from acutance_lab.synth import kernels, noise

Noise = Callable[[Tensor, torch.Generator], Tensor]


def flat(value: float, b: int = 2, side: int = 128) -> Tensor:
    return torch.full((b, 3, side, side), value)


def levels(*values: float) -> Tensor:
    return torch.tensor(values)


@pytest.mark.parametrize("sigma", [0.003, 0.01, 0.05])
def test_gaussian_noise_has_its_level(sigma: float, generator: torch.Generator) -> None:
    n = noise.gaussian(flat(0.5), levels(sigma, 3 * sigma), generator) - 0.5
    assert n.flatten(1).std(1).tolist() == pytest.approx([sigma, 3 * sigma], rel=0.02)
    assert float(n.mean()) == pytest.approx(0, abs=0.03 * sigma)
    correlation = torch.corrcoef(n[0].flatten(1))
    assert float((correlation - torch.eye(3)).abs().max()) < 0.03, "channels are independent"
    assert abs(float(torch.corrcoef(torch.stack((n[0, 0, :, 1:].flatten(), n[0, 0, :, :-1].flatten())))[0, 1])) < 0.03


def test_shared_noise_is_the_same_in_all_channels(generator: torch.Generator) -> None:
    shared = torch.tensor([True, False])
    for n in (
        noise.gaussian(flat(0.5), levels(0.1, 0.1), generator, shared=shared),
        noise.poisson(flat(0.5), levels(50, 50), generator, shared=shared),
    ):
        assert torch.equal(n[0, 0], n[0, 1])
        assert torch.equal(n[0, 0], n[0, 2])
        assert not torch.equal(n[1, 0], n[1, 1])
        assert float(n[0, 0].std()) == pytest.approx(0.1, rel=0.03)


@pytest.mark.parametrize("value", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("peak", [30.0, 400.0])
def test_photon_noise_has_the_variance_of_its_mean(peak: float, value: float, generator: torch.Generator) -> None:
    y = noise.poisson(flat(value), levels(peak, 4 * peak), generator)
    assert y.flatten(1).mean(1).tolist() == pytest.approx([value, value], rel=0.02)
    expected = [(value / p) ** 0.5 for p in (peak, 4 * peak)]
    assert y.flatten(1).std(1).tolist() == pytest.approx(expected, rel=0.02)


def test_no_light_has_no_photon_noise(generator: torch.Generator) -> None:
    assert float(noise.poisson(flat(-0.1), levels(30, 30), generator).abs().max()) == 0


def test_demosaiced_noise_is_correlated_between_pixels(generator: torch.Generator) -> None:
    sigma = 0.04
    n = noise.demosaiced(flat(0.5, 1, 256), levels(sigma), generator)[0] - 0.5

    def neighbours(z: Tensor) -> float:
        return float(torch.corrcoef(torch.stack((z[:, 1:].flatten(), z[:, :-1].flatten())))[0, 1])

    assert min(neighbours(z) for z in n) > 0.3
    # at its own sites a colour's noise is what the sensor had; in between it is a mean, so smaller
    assert float(n[0, 0::2, 0::2].std()) == pytest.approx(sigma, rel=0.02)
    assert float(n[1, 0::2, 1::2].std()) == pytest.approx(sigma, rel=0.02)
    assert float(n[2, 1::2, 1::2].std()) == pytest.approx(sigma, rel=0.02)
    assert float(n[0, 1::2, 1::2].std()) == pytest.approx(sigma / 2, rel=0.04)
    assert float(n[1, 0::2, 0::2].std()) == pytest.approx(sigma / 2, rel=0.04)


SOURCES: dict[str, Noise] = {
    "gaussian": lambda x, g: noise.gaussian(x, levels(0.1, 0.2), g),
    "poisson": lambda x, g: noise.poisson(x, levels(40, 60), g),
    "demosaiced": lambda x, g: noise.demosaiced(x, levels(0.1, 0.2), g),
}


@pytest.mark.parametrize("name", SOURCES)
def test_noise_comes_from_the_generator_alone(name: str) -> None:
    x = flat(0.5, side=16)
    before = x.clone()

    def drawn(seed: int) -> Tensor:
        return SOURCES[name](x, torch.Generator().manual_seed(seed))

    torch.manual_seed(0)
    first = drawn(1)
    torch.manual_seed(99)
    assert torch.equal(drawn(1), first)
    assert not torch.equal(drawn(2), first)
    assert not torch.equal(first[0], first[1])
    assert torch.equal(x, before)


@pytest.mark.parametrize("bits", [1, 8, 12, 16])
def test_quantise_rounds_to_so_many_levels(bits: int, generator: torch.Generator) -> None:
    x = 1.4 * torch.rand(1, 3, 20, 20, generator=generator) - 0.2
    y = noise.quantise(x, bits)
    top = 2**bits - 1
    torch.testing.assert_close(y * top, (y * top).round(), rtol=0, atol=1e-6 * top)
    assert (float(y.min()), float(y.max())) == (0, 1)
    assert float((y - x.clamp(0, 1)).abs().max()) <= 0.5 / top + 1e-6
    assert torch.equal(noise.quantise(y, bits), y)


def photograph(height: int, width: int) -> Tensor:
    """Smooth colour, an edge and some texture, in 8 bits: (1, 3, H, W)."""
    i, j = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    g = torch.Generator().manual_seed(1)
    x = torch.stack((i / height, 0.5 + 0.4 * torch.sin(j / 9), (i + j > height).float() * 0.8))
    return noise.quantise((x + 0.05 * torch.randn(x.shape, generator=g))[None], 8)


def pillow(x: Tensor, quality: int) -> Tensor:
    """The same picture through Pillow's encoder, without chroma subsampling."""
    file = io.BytesIO()
    array = (x[0] * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(array).save(file, "JPEG", quality=quality, subsampling=0)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("size", [(64, 64), (45, 51), (5, 3)], ids=str)
@pytest.mark.parametrize("quality", [20, 75, 98])
def test_jpeg_is_that_of_an_encoder(quality: int, size: tuple[int, int]) -> None:
    x = photograph(*size)
    ours, theirs = noise.jpeg(x, torch.tensor([float(quality)])), pillow(x, quality)
    assert ours.shape == x.shape
    loss, reference = float(psnr(ours, x)), float(psnr(theirs, x))
    assert loss == pytest.approx(reference, abs=1.0)
    assert float(psnr(ours, theirs)) > reference + 1, "closer to the encoder's picture than either is to the original"


def test_jpeg_qualities_of_a_batch_are_its_own() -> None:
    x = photograph(32, 40).expand(2, -1, -1, -1)
    y = noise.jpeg(x, torch.tensor([30.0, 95.0]))
    assert float(psnr(y[:1], x[:1])) < float(psnr(y[1:], x[1:])) - 5
    torch.testing.assert_close(y[1:], noise.jpeg(x[1:], torch.tensor([95.0])))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_jpeg_leaves_a_flat_picture_nearly_alone(value: float) -> None:
    x = flat(value, 1, 16)
    assert float((noise.jpeg(x, levels(80)) - x).abs().max()) <= 4 / 255


def test_demosaiced_noise_counts_as_a_whole(generator: torch.Generator) -> None:
    """The estimate behind a known blur: what the demosaicing has smoothed away of the noise is missing in it."""
    blur = Blur(kernels.spline(3, 21, generator, size=21), "valid")
    gravel = F.avg_pool2d(torch.rand(3, 3, 148, 148, generator=generator), 3, 1)
    clean = blur.forward(gravel)
    y = noise.demosaiced(clean, torch.full((3,), 0.03), generator)
    true = float((y - clean).square().mean().sqrt())
    for level in level_of(Problem(y, blur)).tolist():
        assert 0.5 * true < level < 1.3 * true
