"""How networks are evaluated on pictures: tiles, sizes, precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from acutance.errors import ConfigError
from acutance.frame import Frame, _spans, has_fast_bfloat16, resolve_precision

CPU = torch.device("cpu")
HALO = 4


@pytest.fixture
def network(generator: torch.Generator) -> nn.Module:
    """Two random 5x5 layers with zero padding: every output pixel sees 4 pixels on every side."""
    net = nn.Sequential(nn.Conv2d(2, 4, 5, padding=2), nn.Tanh(), nn.Conv2d(4, 3, 5, padding=2)).double().eval()
    for p in net.parameters():
        p.data = torch.randn(p.shape, generator=generator, dtype=torch.float64) / 5
        p.requires_grad_(False)
    return net


def pyramid(generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Down by 4 and up again: translation-invariant in steps of 4 pixels only, sides must be multiples of 4."""
    down = torch.randn(4, 2, 4, 4, generator=generator, dtype=torch.float64) / 6
    mid = torch.randn(4, 4, 3, 3, generator=generator, dtype=torch.float64) / 6
    up = torch.randn(4, 2, 4, 4, generator=generator, dtype=torch.float64)

    def network(x: Tensor) -> Tensor:
        assert x.shape[-2] % 4 == x.shape[-1] % 4 == 0, f"a side of {tuple(x.shape)} is no multiple of 4"
        z = torch.tanh(F.conv2d(x, down, stride=4))
        return F.conv_transpose2d(torch.tanh(F.conv2d(z, mid, padding=1)), up, stride=4)

    return network


@pytest.mark.parametrize("tile", [11, 24])
@pytest.mark.parametrize("size", [(40, 33), (17, 64)], ids=str)
def test_tiles_equal_the_whole(
    tile: int, size: tuple[int, int], network: nn.Module, generator: torch.Generator
) -> None:
    x = torch.randn(2, 2, *size, generator=generator, dtype=torch.float64)
    whole = network(x)
    tiled = Frame(torch.float64, tile)(network, x, halo=HALO)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-13)


def test_a_halo_too_small_shows(network: nn.Module, generator: torch.Generator) -> None:
    x = torch.randn(1, 2, 40, 33, generator=generator, dtype=torch.float64)
    assert float((Frame(torch.float64, 8)(network, x, halo=HALO - 1) - network(x)).abs().max()) > 1e-6


@pytest.mark.parametrize("tile", [10, 30])
@pytest.mark.parametrize("size", [(64, 48), (61, 50), (42, 100)], ids=str)
def test_tiles_equal_the_whole_for_a_network_that_wants_multiples(
    tile: int, size: tuple[int, int], generator: torch.Generator
) -> None:
    net = pyramid(generator)
    x = torch.randn(1, 2, *size, generator=generator, dtype=torch.float64)
    whole = Frame(torch.float64, None)(net, x, halo=7, multiple_of=4)
    tiled = Frame(torch.float64, tile)(net, x, halo=7, multiple_of=4)
    assert whole.shape == (1, 2, *size)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-13)


@pytest.mark.parametrize("multiple", [1, 4, 8])
@pytest.mark.parametrize("size", [(16, 16), (17, 13), (3, 9), (1, 1)], ids=str)
def test_the_picture_is_extended_and_cut_back(size: tuple[int, int], multiple: int, generator: torch.Generator) -> None:
    seen: list[Tensor] = []

    def network(x: Tensor) -> Tensor:
        seen.append(x)
        return 2 * x

    x = torch.rand(1, 1, *size, generator=generator)
    assert torch.equal(Frame(tile=None)(network, x, halo=0, multiple_of=multiple), 2 * x)
    assert all(side % multiple == 0 for side in seen[0].shape[-2:])
    assert torch.equal(seen[0][..., : size[0], : size[1]], x)
    if size == (17, 13) and multiple == 4:
        assert torch.equal(seen[0][..., 17, :13], x[..., 15, :])  # reflected


def test_several_inputs_are_cut_alike(generator: torch.Generator) -> None:
    a = torch.rand(1, 3, 40, 40, generator=generator)
    b = torch.rand(1, 1, 40, 40, generator=generator)
    tiled = Frame(tile=8)(lambda x, y: x * y, a, b, halo=2)
    assert torch.equal(tiled, a * b)


def test_a_small_picture_is_evaluated_at_once() -> None:
    seen: list[tuple[int, ...]] = []

    def network(x: Tensor) -> Tensor:
        seen.append(tuple(x.shape[-2:]))
        return x

    Frame(tile=16)(network, torch.zeros(1, 1, 20, 24), halo=4)
    assert seen == [(20, 24)]
    Frame(tile=16)(network, torch.zeros(1, 1, 20, 25), halo=4)
    assert len(seen) == 5
    assert all(h <= 24 and w <= 24 for h, w in seen[1:])


@given(length=st.integers(1, 2000), side=st.integers(1, 700))
def test_spans_cover_everything_once(length: int, side: int) -> None:
    spans = list(_spans(length, side))
    assert [i for a, b in spans for i in range(a, b)] == list(range(length))
    assert max(b - a for a, b in spans) <= side


@given(length=st.integers(1, 600), blocks=st.integers(1, 20), multiple=st.sampled_from([2, 4, 8, 32]))
def test_spans_begin_at_multiples(length: int, blocks: int, multiple: int) -> None:
    spans = list(_spans(length, blocks * multiple, multiple))
    assert [i for a, b in spans for i in range(a, b)] == list(range(length))
    assert all(a % multiple == 0 and b - a <= blocks * multiple for a, b in spans)


@pytest.mark.parametrize(("tile", "count"), [(None, 1), (64, 1), (32, 4), (20, 12)])
def test_the_number_of_tiles(tile: int | None, count: int) -> None:
    assert Frame(tile=tile).tiles(64, 48) == count


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_the_result_has_the_dtype_of_the_picture(dtype: torch.dtype, generator: torch.Generator) -> None:
    net = nn.Conv2d(1, 1, 3, padding=1)
    used: list[torch.dtype] = []

    def network(x: Tensor) -> Tensor:
        y: Tensor = net(x)
        used.append(y.dtype)
        return y

    x = torch.rand(1, 1, 12, 12, generator=generator)
    out = Frame(dtype)(network, x, halo=1)
    assert out.dtype is torch.float32
    assert used == [torch.bfloat16 if dtype is torch.bfloat16 else torch.float32]
    torch.testing.assert_close(out, net(x), rtol=0, atol=2e-2 if dtype is torch.bfloat16 else 1e-6)


def test_gradients_pass(network: nn.Module, generator: torch.Generator) -> None:
    x = torch.randn(1, 2, 30, 30, generator=generator, dtype=torch.float64).requires_grad_()
    (whole,) = torch.autograd.grad(network(x).square().sum(), x)
    (tiled,) = torch.autograd.grad(Frame(torch.float64, 12)(network, x, halo=HALO).square().sum(), x)
    torch.testing.assert_close(tiled, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("bfloat16", torch.bfloat16), ("float32", torch.float32), ("float64", torch.float64)],
)
def test_a_forced_precision(precision: Any, dtype: torch.dtype) -> None:
    assert resolve_precision(precision, CPU) is dtype


@pytest.mark.parametrize("fast", [True, False])
def test_the_automatic_precision_follows_the_processor(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acutance.frame.has_fast_bfloat16", lambda device: fast)
    assert resolve_precision("auto", CPU) is (torch.bfloat16 if fast else torch.float32)


def test_what_is_fast_is_a_yes_or_no() -> None:
    assert has_fast_bfloat16(CPU) in (True, False)
    assert has_fast_bfloat16(torch.device("meta")) is False


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match="precision='half' is not one of auto, bfloat16, float32, float64"):
        resolve_precision("half", CPU)  # type: ignore[arg-type]
