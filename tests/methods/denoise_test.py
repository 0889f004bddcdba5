"""The choice between BM3D and non-local means."""

from __future__ import annotations

import pytest
import torch
from degraded import jpeg
from torch import Tensor

from acutance.errors import ConfigError
from acutance.methods import nlm
from acutance.methods.denoise import Denoise, build
from acutance.noise.level import for_denoiser
from acutance.operators import Blur
from acutance.priors import block_matching
from acutance.problem import Problem


def pictures() -> tuple[Tensor, Tensor]:
    """With white noise; with the blotches that JPEG leaves of it."""
    n = torch.randn(1, 3, 64, 56, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(n, 3, 1, 1)
    return 0.5 + 0.05 * n, jpeg(0.5 + 0.06 * smooth, 80)


def test_white_noise_is_left_to_bm3d_and_coarse_noise_to_nlm() -> None:
    white, coarse = pictures()
    for y, expected, name in ((white, block_matching.denoise, "bm3d"), (coarse, nlm.denoise, "nlm")):
        result = Denoise().run(Problem(y))
        assert torch.equal(result.x, expected(y, torch.tensor(for_denoiser(y).sigma)))
        assert result.ran == name
        assert result.levels == (pytest.approx(for_denoiser(y).sigma),)


def test_every_picture_of_a_batch_has_its_own() -> None:
    y = torch.cat(pictures())
    together = Denoise().run(Problem(y))
    assert together.ran == "bm3d+nlm"
    assert ["white" in remark for remark in together.remarks] == [True, False]
    for i in range(2):
        assert torch.equal(together.x[i : i + 1], Denoise().run(Problem(y[i : i + 1])).x)


def test_a_level_that_is_told_counts() -> None:
    _, coarse = pictures()
    sigma = torch.tensor([0.01])
    assert torch.equal(Denoise().run(Problem(coarse, sigma=sigma)).x, nlm.denoise(coarse, sigma))


@pytest.mark.parametrize("strength", [0.0, 0.4])
def test_strength_is_linear(strength: float) -> None:
    _, y = pictures()
    expected = torch.lerp(y, Denoise().run(Problem(y)).x, strength)
    torch.testing.assert_close(build(strength=strength).run(Problem(y)).x, expected)


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="use pnp"):
        Denoise().run(Problem(torch.rand(1, 1, 8, 8), Blur(torch.ones(1, 1, 1, 1))))
    with pytest.raises(ConfigError, match="strength"):
        build(strength=2.0)
