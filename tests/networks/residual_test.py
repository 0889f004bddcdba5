"""The block of RGDN: its parameters, its two ways of evaluation, its start."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acutance.networks.residual import DIRECTIONS, HALO, KERNEL, ConvStack, FlippedConv2d


def settled(channels: int = 3, features: int = 8, seed: int = 3) -> ConvStack:
    """A stack with statistics and affine parameters away from their start, in float64 and evaluation mode."""
    g = torch.Generator().manual_seed(seed)
    stack = ConvStack(channels, features).double()
    for m in stack.main:
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d):
            m.weight.data = torch.randn(m.weight.shape, generator=g, dtype=torch.float64) / m.weight[0].numel() ** 0.5
        elif isinstance(m, nn.BatchNorm2d):
            assert m.running_mean is not None
            assert m.running_var is not None
            m.weight.data = 1 + 0.2 * torch.randn(features, generator=g, dtype=torch.float64)
            m.bias.data = 0.2 * torch.randn(features, generator=g, dtype=torch.float64)
            m.running_mean = 0.2 * torch.randn(features, generator=g, dtype=torch.float64)
            m.running_var = 1 + 0.5 * torch.rand(features, generator=g, dtype=torch.float64)
    return stack.eval()


def weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.ndim == 4)


@pytest.mark.parametrize(("channels", "features", "count"), [(3, 64, 419_200), (3, 8, 7_600)])
def test_the_convolutions_have_as_many_weights(channels: int, features: int, count: int) -> None:
    assert weights(ConvStack(channels, features)) == 25 * features * (2 * channels + 4 * features) == count


def test_the_published_block_has_419712_weights() -> None:
    assert sum(p.numel() for p in ConvStack(3, 64).parameters()) == 419_712


@pytest.mark.parametrize("shape", [(1, 3, 9, 10), (2, 3, 6, 5), (1, 3, 1, 1)], ids=str)
@pytest.mark.parametrize("features", [1, 8])
def test_plain_and_folded_are_the_published_layers(
    shape: tuple[int, ...], features: int, generator: torch.Generator
) -> None:
    stack = settled(features=features)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    before = x.clone()
    published = stack.main(x)
    torch.testing.assert_close(stack(x), published, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(stack.folded()(x), published, rtol=1e-12, atol=1e-13)
    assert torch.equal(x, before), "the first ReLU works in place, but never on the input"


def test_a_flipped_convolution_is_the_transposed_one(generator: torch.Generator) -> None:
    ours = FlippedConv2d(4, 6).double()
    x = torch.randn(2, 4, 7, 8, generator=generator, dtype=torch.float64)
    expected = F.conv_transpose2d(x, ours.weight, padding=KERNEL // 2)
    torch.testing.assert_close(ours(x), expected, rtol=1e-12, atol=1e-13)
    assert set(ours.state_dict()) == {"weight"}
    assert ours.weight.shape == nn.ConvTranspose2d(4, 6, 5).weight.shape


@pytest.mark.parametrize("training", [True, False], ids=["training", "kept statistics"])
def test_every_parameter_learns(training: bool, generator: torch.Generator) -> None:
    stack = settled(features=4).train(training)
    x = torch.randn(2, 3, 8, 8, generator=generator, dtype=torch.float64)
    stack(x).square().mean().backward()
    for name, p in stack.named_parameters():
        assert p.grad is not None, name
        assert float(p.grad.abs().max()) > 0, name


def test_gradients_of_both_evaluations_agree(generator: torch.Generator) -> None:
    x = torch.randn(1, 3, 8, 9, generator=generator, dtype=torch.float64)
    found = []
    for evaluate in ("plain", "published"):
        stack = settled(features=4)
        (stack(x) if evaluate == "plain" else stack.main(x)).square().sum().backward()
        found.append([p.grad for p in stack.parameters()])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_training_mode_uses_and_updates_statistics(generator: torch.Generator) -> None:
    stack = settled(features=4).train()
    x = torch.randn(2, 3, 8, 8, generator=generator, dtype=torch.float64)
    norm = next(m for m in stack.main if isinstance(m, nn.BatchNorm2d))
    assert norm.running_mean is not None
    before = norm.running_mean.clone()
    trained = stack(x)
    assert not torch.equal(norm.running_mean, before)
    assert float((trained - stack.eval()(x)).detach().abs().max()) > 1e-3


def test_the_halo_is_how_far_a_pixel_sees() -> None:
    stack = ConvStack(1, 2).double().eval()
    for m in stack.main:
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d):
            m.weight.data.fill_(0.1)
    x = torch.zeros(1, 1, 4 * HALO + 1, 4 * HALO + 1, dtype=torch.float64)
    x[..., 2 * HALO, 2 * HALO] = 1
    seen = torch.nonzero((stack(x) - stack(torch.zeros_like(x))).abs()[0, 0] > 0)
    assert (seen.min().item(), seen.max().item()) == (HALO, 3 * HALO)


@pytest.mark.parametrize("gain", [1.0, 16.0])
@pytest.mark.parametrize("factor", [1.0, -1.0, 0.2, -5.0])
def test_the_untrained_block_multiplies_nearly(factor: float, gain: float, generator: torch.Generator) -> None:
    torch.manual_seed(1)
    stack = ConvStack(3, 16).eval()
    stack.start_as_identity(factor, gain)
    x = torch.randn(1, 3, 24, 24, generator=generator) / gain
    off = stack(x) - factor * x
    assert float(off.detach().norm()) < 0.25 * float(x.norm())


def test_the_untrained_block_without_residue_multiplies_exactly(generator: torch.Generator) -> None:
    stack = ConvStack(3, 8)
    stack.start_as_identity(-1.0, 4.0, residue=0.0)
    stack.double().eval()
    x = torch.randn(2, 3, 9, 8, generator=generator, dtype=torch.float64)
    norms = (1 + 1e-5) ** -2  # four normalisations of variance 1 and eps 1e-5, each by 1 / sqrt(1 + eps)
    torch.testing.assert_close(stack(x), -norms * x, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("factor", "strength"), [(0.0, 0.12), (0.2, -0.12)])
def test_smoothing_is_the_gradient_of_the_huber_function(
    factor: float, strength: float, generator: torch.Generator
) -> None:
    """Against autograd on Omega(x) = sum_d w_d huber(x(p + d) - x(p)), away from the zero border."""
    knee, channels = 0.03, 2
    stack = ConvStack(channels, 2 * channels * (1 + 2 * len(DIRECTIONS)))
    stack.start_as_identity(factor, gain=2.0, residue=0.0)
    assert stack.add_smoothing(strength, knee, gain=2.0)
    stack.double().eval()
    for m in stack.main:
        if isinstance(m, nn.BatchNorm2d):
            m.eps = 0.0
    x = (0.05 * torch.randn(1, channels, 14, 15, generator=generator, dtype=torch.float64)).requires_grad_()
    omega = sum(
        share * F.huber_loss(torch.roll(x, (-row, -col), (-2, -1)), x, delta=knee, reduction="sum")
        for row, col, share in DIRECTIONS
    )
    assert isinstance(omega, Tensor)
    (gradient,) = torch.autograd.grad(omega, x)
    inner = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(stack(x)[inner], (factor * x + strength * gradient)[inner], rtol=1e-5, atol=1e-8)


def test_a_narrow_block_has_no_room_for_smoothing() -> None:
    stack = ConvStack(3, 8)
    before = {k: v.clone() for k, v in stack.state_dict().items()}
    assert not stack.add_smoothing(0.1, 0.03, gain=2.0)
    assert all(torch.equal(v, before[k]) for k, v in stack.state_dict().items())


def test_equal_seeds_give_equal_weights() -> None:
    drawn: list[Tensor] = []
    for _ in range(2):
        torch.manual_seed(5)
        drawn.append(ConvStack(3, 4).main[0].weight.detach())  # type: ignore[union-attr, arg-type]
    assert torch.equal(*drawn)
