"""Bands: equal to the whole for segments that keep, halve and double the size."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from acutance.networks import bands
from acutance.networks.bands import in_bands
from acutance.networks.dgunet import DGUNet, Size


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "BAND", 24 * 16)


@pytest.mark.parametrize("height", [16, 40, 104, 101])
def test_the_same_size(height: int, generator: torch.Generator) -> None:
    layer = nn.Sequential(nn.Conv2d(2, 3, 5, padding=2), nn.ReLU(), nn.Conv2d(3, 3, 5, padding=2)).double()
    x = torch.rand(2, 2, height, 24, generator=generator, dtype=torch.float64)
    calls = []

    def counted(x: Tensor) -> Tensor:
        calls.append(x.shape[-2])
        out: Tensor = layer(x)
        return out

    with torch.no_grad():
        torch.testing.assert_close(in_bands(counted, x, reach=4), layer(x))
    assert len(calls) == (1 if height <= 24 else -(-height // 16))
    in_bands(counted, x, reach=4)
    assert calls[-1] == height, "whole where gradients are wanted"


def test_halving_and_doubling(generator: torch.Generator) -> None:
    down, up = nn.Conv2d(2, 4, 4, stride=2, padding=1).double(), nn.ConvTranspose2d(4, 2, 2, stride=2).double()
    x = torch.rand(1, 2, 96, 24, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        half = down(x)
        torch.testing.assert_close(in_bands(down, x, reach=2), half)
        torch.testing.assert_close(in_bands(lambda z, x: up(z) + x, half, x, reach=2), up(half) + x)


@pytest.mark.parametrize(
    "size", [Size(8, 4, 4, stages=4), Size(8, 4, 0, plus=True, stages=4), Size(8, 4, 4, stages=4, rows=103)], ids=str
)
def test_dgunet_in_bands_is_dgunet_at_once(size: Size, generator: torch.Generator) -> None:
    torch.manual_seed(3)
    network = DGUNet(size).double()
    for p in network.parameters():
        p.data += 0.05 * torch.randn(p.shape, generator=generator, dtype=p.dtype)
    y = torch.rand(2, size.channels, 128, 64, generator=generator, dtype=torch.float64)
    whole, cut = network.begin(y), network.begin(y)
    for which in size.order:
        whole = network.stage(which, whole)
        with torch.no_grad():
            cut = network.stage(which, cut)
        apart = (cut.picture - whole.picture).abs().max() / whole.picture.abs().max()
        assert float(apart.detach()) < 1e-8
