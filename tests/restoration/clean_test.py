"""A network that removes noise leaves graphics without noise as they are, and noise is still found."""

import pytest
import torch
from torch import Tensor

from acutance.restoration.restorer import Restorer


def graphic(kind: str) -> Tensor:
    """Text-like strokes, a chequerboard or bars, (1, 1, 96, 96)."""
    rows, cols = torch.arange(96)[:, None], torch.arange(96)[None]
    values = {
        "chequers": ((rows // 4 + cols // 4) % 2) * 0.6 + 0.2,
        "bars": (cols // 3 % 2 + 0 * rows) * 0.8 + 0.1,
        "strokes": 1.0 - ((rows % 16 < 8) & ((cols * 7 + rows // 16 * 5) % 11 < 3)).float(),
    }[kind]
    return (values[None, None] * 255).round() / 255


@pytest.mark.parametrize("kind", ["chequers", "bars", "strokes"])
@pytest.mark.parametrize("unit", [1.0, 1e-5, 1e4])
def test_clean_graphics_stay(kind: str, unit: float) -> None:
    x = unit * graphic(kind)
    done = Restorer.load("dgunet-denoise")(x)
    assert torch.equal(done.image.pixels, x)
    assert any("no noise" in note for note in done.notes)


@pytest.mark.parametrize("level", [0.05, 0.1])
def test_noise_is_removed(level: float) -> None:
    clean = graphic("bars")
    noisy = clean + level * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    restored = Restorer.load("dgunet-denoise")(noisy).image.pixels
    assert float((restored - clean).square().mean()) < 0.5 * float((noisy - clean).square().mean())
