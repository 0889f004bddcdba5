"""Golf's network: its size, the layers by hand, and bands that equal the whole."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acutance.networks import blocks
from acutance.networks.blocks import EPSILON, BasicBlocks, Block, Moments, drift


def random(features: int = 4, channels: int = 3, *, keep_mean: bool = False) -> BasicBlocks:
    g = torch.Generator().manual_seed(7)
    net = BasicBlocks(features, channels, keep_mean=keep_mean).double().requires_grad_(False)
    for p in net.parameters():
        p.data = torch.randn(p.shape, generator=g, dtype=torch.float64) * (0.2 if p.ndim == 1 else p[0].numel() ** -0.5)
        p.data += float(p.ndim == 1)
    return net


@pytest.mark.parametrize(("features", "weights", "megabytes"), [(16, 120_188, 0.46), (32, 466_348, 1.78)])
def test_the_papers_sizes(features: int, weights: int, megabytes: float) -> None:
    count = sum(p.numel() for p in BasicBlocks(features).parameters())
    assert count == weights
    assert round(4 * count / 2**20, 2) == megabytes


@pytest.mark.parametrize(
    ("features", "rows"),
    [(32, (4704, 151_808, 151_808, 151_808, 5779, 441)), (16, (2352, 38_016, 38_016, 38_016, 3347, 441))],
    ids=["F", "G"],
)
def test_every_row_of_table_1(features: int, rows: tuple[int, ...]) -> None:
    """The first convolution, the blocks two by two, the last convolution."""
    net = BasicBlocks(features)
    made = [block for block in net.blocks if isinstance(block, Block)]
    parts = [[net.head], *(made[i : i + 2] for i in range(0, len(made), 2)), [net.tail]]
    assert tuple(sum(p.numel() for m in part for p in m.parameters()) for part in parts) == rows


@pytest.mark.parametrize("features", [16, 32])
def test_fifty_layers(features: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Head, eight blocks of six, tail; the projection does not count (Table 1)."""
    called: list[str] = []
    net = BasicBlocks(features).requires_grad_(False)
    projection = [m for m in net.modules() if isinstance(m, Block) and m.project is not None]
    assert len(projection) == 1
    apart = {id(projection[0].project), id(projection[0].projected)}
    leaves = [m for m in net.modules() if not list(m.children()) and id(m) not in apart]
    for leaf in leaves:
        leaf.register_forward_hook(lambda module, *_: called.append(type(module).__name__))
    relu, count = F.relu_, 0

    def counted(z: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return relu(z)

    monkeypatch.setattr(F, "relu_", counted)
    with torch.enable_grad():
        net(torch.rand(1, 3, 9, 9))
    assert len(called) + count == 50


@pytest.mark.parametrize(("inputs", "outputs"), [(5, 5), (5, 3)])
def test_a_block_by_torchs_own_layers(inputs: int, outputs: int, generator: torch.Generator) -> None:
    block = Block(inputs, outputs).double().requires_grad_(False)
    z = torch.randn(2, inputs, 12, 11, generator=generator, dtype=torch.float64)

    def norm(z: Tensor, m: nn.Module) -> Tensor:
        return F.instance_norm(z, weight=m.weight, bias=m.bias, eps=EPSILON)  # type: ignore[arg-type]

    for p in block.parameters():
        p.data += 0.3 * torch.randn(p.shape, generator=generator, dtype=torch.float64)
    u = F.conv2d(F.relu(norm(z, block.before)), block.first.weight, padding=3)
    u = F.conv2d(F.relu(norm(u, block.between)), block.second.weight, padding=2)
    shortcut = z
    if block.project is not None and block.projected is not None:
        shortcut = norm(F.conv2d(z, block.project.weight), block.projected)
    torch.testing.assert_close(block(z), shortcut + u)


@pytest.mark.parametrize("share", [1, 7, 19])
def test_moments_of_two_parts_are_those_of_the_whole(share: int, generator: torch.Generator) -> None:
    z = torch.randn(2, 3, 20, 5, generator=generator, dtype=torch.float64) + torch.arange(20.0)[:, None]
    whole, parts = Moments.of(z), Moments.of(z[..., :share, :]) + Moments.of(z[..., share:, :])
    assert parts.count == whole.count == 100
    torch.testing.assert_close(parts.mean, whole.mean)
    torch.testing.assert_close(parts.variance, whole.variance)


def test_moments_do_not_depend_on_what_was_in_memory(
    monkeypatch: pytest.MonkeyPatch, generator: torch.Generator
) -> None:
    z, empty = torch.randn(2, 3, 9, 7, generator=generator), torch.empty

    def garbage(*args: object, **kwargs: object) -> Tensor:
        return empty(*args, **kwargs).fill_(float("nan"))  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(torch, "empty", garbage)
    with torch.no_grad():
        found = Moments.of(z)
    torch.testing.assert_close(found.mean, z.mean((2, 3), keepdim=True))
    torch.testing.assert_close(found.variance, z.var((2, 3), correction=0, keepdim=True))


@pytest.mark.parametrize("size", [(37, 11), (1, 40), (64, 3)], ids=str)
@pytest.mark.parametrize("band", [1, 150, 1 << 20])
@pytest.mark.parametrize("keep_mean", [False, True])
def test_bands_are_the_whole(
    size: tuple[int, int], band: int, keep_mean: bool, monkeypatch: pytest.MonkeyPatch, generator: torch.Generator
) -> None:
    monkeypatch.setattr(blocks, "BAND", band)
    net, x = random(keep_mean=keep_mean), torch.rand(2, 3, *size, generator=generator, dtype=torch.float64)
    before = x.clone()
    with torch.enable_grad():
        whole = net(x)
    with torch.no_grad():
        torch.testing.assert_close(net(x), whole, rtol=0, atol=1e-11)
    assert torch.equal(x, before)
    assert float((whole - x).abs().max()) > 0.1


@pytest.mark.parametrize("grad", [False, True], ids=["bands", "training"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
def test_the_mean_is_kept_for_each_colour(grad: bool, precision: torch.dtype, generator: torch.Generator) -> None:
    """As a file shows it, clipped; but for an offset the output is that of the paper's network."""
    x = torch.rand(2, 3, 33, 20, generator=generator) * torch.tensor([0.2, 0.5, 1.0])[:, None, None]
    free, held = (random(keep_mean=keep).float() for keep in (False, True))
    for net in (free, held):
        net.tail.weight.data.mul_(0.3)
    with torch.set_grad_enabled(grad), torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision != torch.float32):
        drifting, kept = free(x).float(), held(x)
    assert kept.dtype is torch.float32
    assert float((kept - x).abs().max()) > 0.1
    assert float((drifting.clamp(0, 1) - x).mean((2, 3)).abs().min()) > 1e-3, "without the rule it drifts"
    assert bool(((kept < 0) | (kept > 1)).any()), "some of it is clipped"
    assert float((kept.clamp(0, 1) - x).mean((2, 3)).abs().max()) < 1e-5
    offset = drifting - kept
    torch.testing.assert_close(offset, offset.mean((2, 3), keepdim=True).expand_as(offset), rtol=0, atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_where_all_is_clipped_the_offset_is_that_of_plain_means(level: float) -> None:
    before = torch.full((1, 3, 5, 5), level)
    after = before + (0.2 if level else -0.2)
    torch.testing.assert_close(drift(before, after), (after - before).mean((2, 3), keepdim=True))


def test_what_is_clipped_counts_as_clipped(generator: torch.Generator) -> None:
    """Half of a picture is black and falls far below: the other half must not be brightened for it."""
    x = torch.zeros(1, 1, 10, 10, dtype=torch.float64)
    x[..., 5:] = 0.5
    after = torch.where(x > 0, x + 0.01, x - 0.4)
    torch.testing.assert_close(drift(x, after), torch.full((1, 1, 1, 1), 0.01, dtype=torch.float64))


@pytest.mark.parametrize("grad", [False, True])
def test_a_gain_is_a_part_of_the_residual(grad: bool, generator: torch.Generator) -> None:
    x = torch.rand(1, 3, 20, 17, generator=generator, dtype=torch.float64)
    net = random()
    whole = net(x) - x
    net.gain = 0.25
    with torch.set_grad_enabled(grad):
        torch.testing.assert_close(net(x), x + 0.25 * whole)


def test_low_precision_stays_close(generator: torch.Generator) -> None:
    net, x = random(16).float(), torch.rand(1, 3, 40, 40, generator=generator)
    expected = net(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = net(x.contiguous(memory_format=torch.channels_last))
    assert float((low - expected).square().mean().sqrt()) < 0.03 * float((expected - x).square().mean().sqrt())


@pytest.mark.parametrize("keep_mean", [False, True])
def test_gradients(keep_mean: bool, generator: torch.Generator) -> None:
    net = random(2, keep_mean=keep_mean).requires_grad_(True)
    x = torch.rand(1, 3, 8, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(net, (x,), fast_mode=True)
