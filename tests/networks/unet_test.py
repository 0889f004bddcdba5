"""The U-Net: sizes, how far it sees, what it may not have (a bias, an offset), and that tiles change nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.frame import Frame
from acutance.networks.unet import FACTOR, UNet, UNetConfig

CONFIGS = {
    "one level": UNetConfig((6,), (2,)),
    "two levels": UNetConfig((6, 8), (1, 1)),
    "three levels": UNetConfig((4, 5, 6), (1, 2, 1)),
    "no blocks above": UNetConfig((4, 5, 6), (0, 0, 1)),
    "no blocks at the bottom": UNetConfig((4, 5), (1, 0)),
}
CONDITIONS = 3


def unet(config: UNetConfig = CONFIGS["two levels"], *, conditions: int = CONDITIONS, **channels: Any) -> UNet:
    """A network away from its start, in float64: gains that depend on the condition, an exit that counts."""
    torch.manual_seed(4)
    net = UNet(config, **{"entrances": (2, 5), "exits": (1, 3), **channels}, conditions=conditions).double().eval()
    net.gains.weight.data.normal_(0, 0.3)
    for layer in net.exits:
        layer.weight.data.mul_(50)
    return net.requires_grad_(False)


def positive(net: UNet) -> UNet:
    """Weights of one sign, so that a pixel that is seen is felt: nothing cancels and no ReLU closes."""
    for p in net.parameters():
        p.abs_()
    return net


def draw(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.fixture
def condition(generator: torch.Generator) -> Tensor:
    return draw(1, CONDITIONS, generator=generator)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("which", [0, 1], ids=["first entrance", "second entrance"])
def test_sizes(config: UNetConfig, which: int, condition: Tensor, generator: torch.Generator) -> None:
    net, side = unet(config), config.multiple_of
    for height, width in ((side, side), (3 * side, 5 * side)):
        out = net(draw(2, (2, 5)[which], height, width, generator=generator), condition, which)
        assert out.shape == (2, (1, 3)[which], height, width)
        assert out.dtype is torch.float64


@pytest.mark.parametrize(("levels", "multiple"), [(1, 2), (2, 4), (3, 8), (5, 32)])
def test_what_sides_have_to_be_a_multiple_of(levels: int, multiple: int) -> None:
    config = UNetConfig((2,) * levels, (1,) * levels)
    assert config.multiple_of == multiple
    assert config.halo % multiple == 0
    net = UNet(config, entrances=(1,), exits=(1,), conditions=1)
    assert net(torch.zeros(1, 1, multiple, 2 * multiple), torch.zeros(1, 1), 0).shape[-2:] == (multiple, 2 * multiple)
    if levels > 1:
        with pytest.raises(RuntimeError):
            net(torch.zeros(1, 1, multiple + FACTOR, multiple), torch.zeros(1, 1), 0)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_one_changed_pixel_is_felt_inside_the_halo_only(config: UNetConfig) -> None:
    """Whichever pixel of a cell it is; and the halo is no waste: it is less than twice what is needed, and a cell."""
    net, side, halo = positive(unet(config, entrances=(1,), exits=(1,))), config.multiple_of, config.halo
    condition = torch.zeros(1, CONDITIONS, dtype=torch.float64)
    middle = halo + side
    x = torch.ones(1, 1, 2 * middle + side, 2 * middle + side, dtype=torch.float64)
    before, reach = net(x, condition, 0), 0
    for row, col in {(0, 0), (side - 1, side - 1), (0, side - 1), (side // 2, side // 2 - 1)}:
        changed = x.clone()
        changed[..., middle + row, middle + col] += 1
        felt = torch.nonzero((net(changed, condition, 0) - before)[0, 0])
        assert len(felt)
        away = (felt - torch.tensor([middle + row, middle + col])).abs()
        reach = max(reach, int(away.max()))
    assert reach <= halo
    assert halo < 2 * reach + side


@pytest.mark.parametrize("tile", [8, 20])
@pytest.mark.parametrize("size", [(60, 52), (57, 90), (31, 70)], ids=str)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_tiles_equal_the_whole(
    config: UNetConfig, size: tuple[int, int], tile: int, condition: Tensor, generator: torch.Generator
) -> None:
    net, x = unet(config), draw(1, 5, *size, generator=generator)
    seen: list[tuple[int, ...]] = []

    def network(x: Tensor) -> Tensor:
        seen.append(tuple(x.shape[-2:]))
        out: Tensor = net(x, condition, 1)
        return out

    whole = Frame(torch.float64, None)(network, x, halo=config.halo, multiple_of=config.multiple_of)
    seen.clear()
    tiled = Frame(torch.float64, tile)(network, x, halo=config.halo, multiple_of=config.multiple_of)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-11)
    assert float(whole.abs().max()) > 0.1
    if max(size) > tile + 2 * config.halo:
        assert len(seen) > 1
    assert all(h % config.multiple_of == w % config.multiple_of == 0 for h, w in seen)


def test_a_smaller_halo_would_show(condition: Tensor, generator: torch.Generator) -> None:
    config = CONFIGS["two levels"]
    net, x = unet(config), draw(1, 5, 96, 96, generator=generator)

    def off(halo: int) -> float:
        frame = Frame(torch.float64, 16)
        tiled = frame(lambda x: net(x, condition, 1), x, halo=halo, multiple_of=config.multiple_of)
        return float((tiled - net(x, condition, 1)).abs().max())

    assert off(config.halo) < 1e-11
    assert off(config.halo // 2) > 1e-6


@pytest.mark.parametrize("factor", [0.0, 1e-3, 0.5, 40.0])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_it_is_homogeneous(
    config: UNetConfig, which: int, factor: float, condition: Tensor, generator: torch.Generator
) -> None:
    net, x = unet(config), draw(2, (2, 5)[which], 16, 24, generator=generator)
    torch.testing.assert_close(
        net(factor * x, condition, which), factor * net(x, condition, which), rtol=1e-10, atol=1e-14
    )


def test_it_is_not_linear(condition: Tensor, generator: torch.Generator) -> None:
    net, x = unet(), draw(1, 5, 16, 16, generator=generator)
    assert float((net(-x, condition, 1) + net(x, condition, 1)).abs().max()) > 1e-2


def test_it_has_no_bias_but_that_of_the_gains() -> None:
    biased = [name for name, _ in unet().named_parameters() if name.endswith("bias")]
    assert biased == ["gains.bias"]
    assert not list(unet().buffers())


def test_entrances_are_doors_to_the_same_rooms() -> None:
    """Only the convolutions at the ends differ; their sizes are those of the pictures."""
    net = unet(CONFIGS["three levels"])
    assert [layer.weight.shape[:2] for layer in net.entrances] == [(4, 4 * 2), (4, 4 * 5)]
    assert [layer.weight.shape[:2] for layer in net.exits] == [(4 * 1, 4), (4 * 3, 4)]
    names = {n.partition(".")[0] for n, _ in net.named_parameters()}
    assert names == {"entrances", "exits", "down", "up", "descent", "ascent", "gains"}


@pytest.mark.parametrize("which", [0, 1])
def test_an_entrance_uses_its_own_weights_only(which: int, condition: Tensor, generator: torch.Generator) -> None:
    net, x = unet(), draw(1, (2, 5)[which], 8, 8, generator=generator)
    before = net(x, condition, which)
    for layers in (net.entrances, net.exits):
        layers[1 - which].weight.fill_(torch.nan)
    assert torch.equal(net(x, condition, which), before)


def test_every_weight_counts_and_learns(generator: torch.Generator) -> None:
    net = unet(CONFIGS["three levels"]).requires_grad_()
    condition = draw(2, CONDITIONS, generator=generator)
    for which, channels in enumerate((2, 5)):
        net(draw(2, channels, 16, 16, generator=generator), condition, which).square().mean().backward()
    for name, p in net.named_parameters():
        assert p.grad is not None, name
        assert float(p.grad.abs().amax()) > 0, name
    gains = net.gains.weight.grad
    assert gains is not None
    assert bool((gains.abs().amax(1) > 0).all()), "every block has its gains, none is handed out twice or not at all"


def test_the_gains_are_handed_out_in_order(condition: Tensor, generator: torch.Generator) -> None:
    """Gains of zero make every block the identity; those of one block alone bring only that block back."""
    config = CONFIGS["three levels"]
    net, x = unet(config), draw(1, 5, 16, 16, generator=generator)
    net.gains.weight.zero_()
    net.gains.bias.zero_()
    blocks = [b for levels in (net.descent, net.ascent) for level in levels for b in level]  # type: ignore[union-attr, attr-defined]
    assert len(blocks) == len(net.sizes) == 1 + 2 + 1 + 1 + 2
    without = net(x, condition, 1)
    start = 0
    for block, size in zip(blocks, net.sizes, strict=True):
        assert block.second.weight.shape[0] == size
        net.gains.bias.zero_()
        net.gains.bias[start : start + size] = 1
        felt = net(x, condition, 1)
        assert float((felt - without).abs().max()) > 1e-6
        kept = block.second.weight.clone()
        block.second.weight.zero_()
        assert torch.equal(net(x, condition, 1), without)
        block.second.weight.copy_(kept)
        start += size


def test_the_condition_of_each_picture_is_its_own(generator: torch.Generator) -> None:
    net, x = unet(), draw(3, 5, 12, 8, generator=generator)
    condition = draw(3, CONDITIONS, generator=generator)
    together = net(x, condition, 1)
    for i in range(3):
        alone = net(x[i : i + 1], condition[i : i + 1], 1)
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-11, atol=1e-12)
    assert float((net(x, condition[:1], 1)[1] - together[1]).abs().max()) > 1e-3, "and it matters"


def test_no_conditions_are_constant_gains(generator: torch.Generator) -> None:
    net, x = unet(conditions=0), draw(2, 5, 8, 8, generator=generator)
    none = torch.zeros(2, 0, dtype=torch.float64)
    assert torch.equal(net(x, none, 1), net(x, none[:1], 1))
    net.gains.bias.zero_()
    assert float((net(x, none, 1) - unet(conditions=0)(x, none, 1)).abs().max()) > 1e-3


def test_the_picture_is_not_changed(condition: Tensor, generator: torch.Generator) -> None:
    net, x = unet(UNetConfig((8,), (1,))), draw(1, 5, 8, 8, generator=generator)
    before = x.clone()
    net(x, condition, 1)
    assert torch.equal(x, before), "a ReLU works in place, but never on what came in"


def test_an_untrained_network_adds_next_to_nothing(generator: torch.Generator) -> None:
    torch.manual_seed(2)
    net = UNet(UNetConfig((16, 24), (1, 1)), entrances=(5,), exits=(3,), conditions=2)
    x = torch.rand(1, 5, 32, 32, generator=generator)
    out = net(x, torch.randn(1, 2, generator=generator), 0)
    assert 0 < float(out.detach().norm()) < 0.2 * float(x.norm())
    assert torch.equal(out, net(x, torch.zeros(1, 2), 0)), "and does not heed the condition yet"


@pytest.mark.parametrize(
    ("widths", "blocks", "message"),
    [
        ((), (), "give one of each for every level"),
        ((8, 8), (1,), "give one of each for every level"),
        ((8,), (1, 1), "give one of each for every level"),
        ((8, 0), (1, 1), "out of any sensible range"),
        ((8, -3), (1, 1), "out of any sensible range"),
        ((8, 5000), (1, 1), "out of any sensible range"),
        ((8, 8), (1, -1), "out of any sensible range"),
    ],
)
def test_sizes_that_are_not_are_refused(widths: tuple[int, ...], blocks: tuple[int, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        UNetConfig(widths, blocks)


def test_equal_seeds_give_equal_weights() -> None:
    first, again = (unet().state_dict() for _ in range(2))
    assert all(torch.equal(v, again[k]) for k, v in first.items())


def test_low_precision_is_that_of_autocast(condition: Tensor, generator: torch.Generator) -> None:
    net = unet().float()
    x, c = draw(1, 5, 16, 16, generator=generator).float(), condition.float()
    exact = net(x, c, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = net(x, c, 1)
    assert low.dtype is torch.bfloat16
    assert 0 < float((low - exact).abs().max()) < 0.05 * float(exact.abs().max())
