"""The perceptron on patches, against a loop over patches that is written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from acutance.frame import Frame
from acutance.networks.patches import HALO, STRIDE, PatchPerceptron, patches_of, picture_of


def lively() -> PatchPerceptron:
    torch.manual_seed(2)
    network = PatchPerceptron(7, 2)
    torch.nn.init.normal_(network.layers[-1].weight, std=0.3)  # type: ignore[arg-type]
    torch.nn.init.normal_(network.layers[-1].bias, std=0.3)  # type: ignore[arg-type]
    return network.double().requires_grad_(False)


def picture(height: int, width: int) -> Tensor:
    return torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def at(x: Tensor, row: int, col: int) -> float:
    """A pixel of (H, W), replicated beyond the frame."""
    return float(x[min(max(row, 0), x.shape[0] - 1), min(max(col, 0), x.shape[1] - 1)])


def directly(network: PatchPerceptron, x: Tensor, level: float) -> Tensor:
    """The mean of all patches that reach into (H, W), patch by patch and pixel by pixel."""
    height, width = x.shape
    total, weights = torch.zeros_like(x), torch.zeros_like(x)
    for top in range(-6, height, 3):
        for left in range(-6, width, 3):
            rows, cols = range(top - 4, top + 13), range(left - 4, left + 13)
            patch = torch.tensor([at(x, r, c) for r in rows for c in cols], dtype=torch.float64)
            z = torch.cat(((patch - patch.mean()) / 0.2, patch.new_tensor([math.log(level) / 2 + 2])))
            for i, layer in enumerate(network.layers):
                z = layer.weight[..., 0, 0] @ z + layer.bias  # type: ignore[index, operator, union-attr]
                z = torch.tanh(z) if i < len(network.layers) - 1 else z
            new = patch.reshape(17, 17)[4:13, 4:13] + 0.2 * z.reshape(9, 9)
            for r in range(9):
                for c in range(9):
                    if 0 <= top + r < height and 0 <= left + c < width:
                        weight = math.exp(-((r - 4) ** 2 + (c - 4) ** 2) / (2 * 2.25**2))
                        total[top + r, left + c] += weight * new[r, c]
                        weights[top + r, left + c] += weight
    return total / weights


@pytest.mark.parametrize("size", [(3, 3), (12, 21)], ids=str)
def test_it_is_the_mean_of_its_patches(size: tuple[int, int]) -> None:
    network, x = lively(), picture(*size)
    found = network(x, torch.full_like(x, 0.03))
    torch.testing.assert_close(found[0, 0], directly(network, x[0, 0], 0.03))
    assert float((found - x).abs().max()) > 0.02


def test_every_pixel_is_in_nine_patches() -> None:
    """Patches of one value each make a picture between the values that meet there."""
    patches = torch.arange(20, dtype=torch.float64).reshape(1, 1, 4, 5).expand(1, 81, 4, 5)
    x = picture_of(patches)
    assert x.shape == (1, 1, 6, 9)
    near = patches[0, 0].unfold(0, 3, 1).unfold(1, 3, 1)  # (2, 3, 3, 3): the nine of each square of 3 x 3 pixels
    for row in range(6):
        for col in range(9):
            low, high = near[row // 3, col // 3].min(), near[row // 3, col // 3].max()
            assert low < x[0, 0, row, col] < high
    assert patches_of(x).shape == (1, 289, 4, 5)


@pytest.mark.parametrize("size", [(66, 75), (61, 50)], ids=str)
def test_tiles_make_no_difference(size: tuple[int, int]) -> None:
    network, x = lively(), picture(*size)
    level = torch.full_like(x, 0.03)
    whole, tiled = (Frame(torch.float64, tile)(network, x, level, halo=HALO, multiple_of=STRIDE) for tile in (None, 21))
    torch.testing.assert_close(tiled, whole)


def test_an_untrained_one_changes_nothing() -> None:
    x = picture(9, 12).float()
    torch.testing.assert_close(PatchPerceptron(6, 3)(x, torch.full_like(x, 0.02)), x)


def test_its_size() -> None:
    assert sum(p.numel() for p in PatchPerceptron().parameters()) == 978_513
