"""The parts of DGUNet: the projection above all, which the authors' form cannot do for flat pictures."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.networks.dgunet import DGUNet, Memory, Size
from acutance.networks.dgunet_blocks import RANK, Sampling, SubspaceMerge, coefficients, combined

SIZES = (
    Size(8, 4, 4, stages=3),
    Size(8, 4, plus=True, channels=1, stages=4),
    Size(8, 4, 4, channels=1, stages=4, rows=103),
    Size(8, 4, 4, plus=True, channels=1, stages=4, rows=103),
    Size(8, 4, 4, channels=4, stages=3),
    Size(8, 0, 0, channels=2, stages=3, rows=16),
)


@pytest.fixture(params=SIZES, ids=str)
def size(request: pytest.FixtureRequest) -> Size:
    found: Size = request.param
    return found


def picture(size: Size, generator: torch.Generator, height: int = 32, width: int = 64) -> Tensor:
    return torch.rand(1, size.channels, height, width, generator=generator, dtype=torch.float64)


def lively(size: Size) -> DGUNet:
    """A network whose stages change a picture a good deal."""
    torch.manual_seed(6)
    network = DGUNet(size).double()
    for name, weight in network.named_parameters():
        if name.endswith(("image.weight", "tail.weight", "adjoint.second.weight", "degradation.second.weight")):
            weight.data.mul_(10)
        if name.endswith("squeeze.weight"):  # its features are cut at 0: let one of a pair be above
            half = len(weight) // 2
            weight.data[half : 2 * half] = -weight.data[:half]
    return network


def stages(network: DGUNet, y: Tensor) -> list[Memory]:
    memories = [network.begin(y)]
    for which in network.size.order:
        memories.append(network.stage(which, memories[-1]))
    return memories[1:]


def test_pictures_come_out_as_they_went_in(size: Size, generator: torch.Generator) -> None:
    y = picture(size, generator)
    memories = stages(lively(size), y)
    assert len(memories) == size.stages
    before = y
    for memory in memories:
        assert memory.picture.shape == y.shape
        assert float((memory.picture - before).detach().abs().max()) > 1e-3
        before = memory.picture
    middle = memories[1]
    assert [tuple(z.shape[1:]) for z in middle.encoded] == [
        (w, 32 >> i, 64 >> i) for i, w in enumerate(size.widths[1:])
    ]
    assert [tuple(z.shape[1:]) for z in middle.decoded] == [
        (w, 32 >> i, 64 >> i) for i, w in enumerate(size.widths[:-1])
    ]


def test_a_gradient_reaches_every_weight(size: Size, generator: torch.Generator) -> None:
    network = lively(size)
    loss = sum(memory.picture.square().mean() for memory in stages(network, picture(size, generator)))
    assert isinstance(loss, Tensor)
    loss.backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert bool(torch.isfinite(weight.grad).all()), name
        assert float(weight.grad.abs().max()) > 0, name


def test_stages_between_share_their_weights_or_not() -> None:
    assert Size(8, 4, 4).order == (0, 1, 1, 1, 1, 1, 2)
    assert Size(8, 4, plus=True).order == (0, 1, 2, 3, 4, 5, 6)
    assert len(DGUNet(Size(8, 4, 4)).stages) == 3
    assert len(DGUNet(Size(8, 4, plus=True)).stages) == 7
    assert Size(8, 4, 4).slope_of == (0, 1, 0)
    assert Size(8, 4, plus=True).slope_of == (0,) * 7
    assert Size(8, 4, 4, channels=1, plus=True, rows=9).slope_of == (0, 1, 2, 3, 4, 5, 0)


@pytest.mark.parametrize(
    ("dtype", "low"), [(torch.float32, False), (torch.float32, True), (torch.float64, False)], ids=str
)
def test_flat_pictures(size: Size, dtype: torch.dtype, low: bool) -> None:
    y = torch.tensor([0.0, 0.6], dtype=dtype).reshape(2, 1, 1, 1).expand(2, size.channels, 32, 32)
    network = lively(size).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
        memories = stages(network, y)
    assert all(bool(torch.isfinite(memory.picture).all()) for memory in memories)
    assert all(memory.picture.dtype is dtype for memory in memories)
    sum(memory.picture.sum() for memory in memories).backward()  # type: ignore[union-attr]
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in network.parameters())


def test_a_picture_of_one_pixel_at_the_coarsest_level(generator: torch.Generator) -> None:
    y = torch.rand(1, 3, 8, 8, generator=generator, dtype=torch.float64)
    assert bool(torch.isfinite(stages(lively(Size(8, 4, 4)), y)[-1].picture).all())


def project(b: Tensor, onto: Tensor) -> Tensor:
    """P b."""
    return combined(coefficients(b, onto), onto, b.dtype)


@pytest.mark.parametrize("scale", [1.0, 1e-20, 1e20])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)], ids=str)
def test_the_projection(generator: torch.Generator, dtype: torch.dtype, tolerance: float, scale: float) -> None:
    v = torch.randn(2, RANK, 20, 24, generator=generator, dtype=torch.float64)
    b = torch.randn(2, 5, 20, 24, generator=generator, dtype=torch.float64)
    flat = v.flatten(2).mT  # (2, 480, 16)
    expected = (flat @ torch.linalg.lstsq(flat, b.flatten(2).mT).solution).mT.reshape(b.shape)
    torch.testing.assert_close(
        project(b.to(dtype), (v * scale).to(dtype)).double(), expected, rtol=0, atol=tolerance, check_dtype=False
    )


def axes(kind: str, side: int, generator: torch.Generator) -> Tensor:
    """Sixteen pictures of which some, nearly or exactly, are combinations of others."""
    noise = torch.randn(1, RANK, side, side, generator=generator)
    gains = torch.randn(1, RANK, 1, 1, generator=generator)
    ramp = torch.linspace(0, 1, side).expand(1, 1, side, side)
    return {
        "all zero": 0 * noise,
        "one zero": noise * (torch.arange(RANK) > 0).reshape(1, -1, 1, 1),
        "flat": gains.expand(1, RANK, side, side),
        "ramps": ramp * gains + gains.flip(1),
        "powers": ramp ** torch.arange(RANK).reshape(1, -1, 1, 1),
        "equal but for rounding": ramp + 1e-7 * noise,
        "nearly equal": ramp + 1e-3 * noise,
    }[kind]


@pytest.mark.parametrize("side", [8, 300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    "kind", ["all zero", "one zero", "flat", "ramps", "powers", "equal but for rounding", "nearly equal"]
)
def test_a_projection_is_never_longer(kind: str, side: int, dtype: torch.dtype, generator: torch.Generator) -> None:
    v = axes(kind, side, generator).to(dtype)
    b = (1 + torch.randn(1, 3, side, side, generator=generator)).to(dtype)
    once = project(b, v)
    assert bool(torch.isfinite(once).all())
    assert float(once.norm()) <= (1 + 1e-5) * float(b.norm())
    if kind != "equal but for rounding":
        assert float((project(once, v) - once).norm()) <= 1e-2 * float(b.norm())
    if kind in ("flat", "ramps"):
        assert float((project(v, v) - v).norm()) <= 1e-3 * float(v.norm())


def test_the_projection_is_told_in_full_precision(generator: torch.Generator) -> None:
    v = torch.randn(1, RANK, 16, 16, generator=generator)
    b = torch.randn(1, 4, 16, 16, generator=generator)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(project(b, v), project(b, v.clone()))
        assert project(b.bfloat16(), v.bfloat16()).dtype is torch.bfloat16
        inside = project(b, v)
    assert torch.equal(inside, project(b, v))


def test_the_projection_has_the_right_gradient(generator: torch.Generator) -> None:
    v = torch.randn(1, RANK, 5, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    b = torch.randn(1, 2, 5, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(project, (b, v))


def test_pictures_of_a_batch_have_projections_of_their_own(generator: torch.Generator) -> None:
    torch.manual_seed(1)
    merge = SubspaceMerge(6).double()
    z, b = (torch.randn(3, 6, 8, 8, generator=generator, dtype=torch.float64) for _ in range(2))
    alone = torch.cat([merge(z[i : i + 1], b[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(merge(z, b), alone)


def test_sensing_is_a_matrix_on_blocks(generator: torch.Generator) -> None:
    sampling = Sampling(103).double()
    sampling.weight.data = torch.randn(103, 1024, generator=generator, dtype=torch.float64)
    x = torch.rand(2, 3, 64, 96, generator=generator, dtype=torch.float64)
    phi, out = sampling.weight.detach(), sampling.gram(x)
    for row in (0, 32):
        for col in (0, 32, 64):
            block = x[..., row : row + 32, col : col + 32].reshape(2, 3, 1024)
            expected = (block @ phi.T @ phi).reshape(2, 3, 32, 32)
            torch.testing.assert_close(out[..., row : row + 32, col : col + 32], expected)


def test_an_untrained_matrix_keeps_what_is_smooth() -> None:
    phi = Sampling(103).weight.detach().double()
    torch.testing.assert_close(phi @ phi.T, torch.eye(103, dtype=torch.float64), rtol=0, atol=1e-5)
    flat = torch.full((1, 1, 32, 32), 0.7)
    torch.testing.assert_close(Sampling(103).gram(flat), flat)


@pytest.mark.parametrize(
    "wrong",
    [{"width": 6}, {"width": 0}, {"growth": 3}, {"growth": -2}, {"tail": -1}, {"stages": 2}, {"stages": 101},
     {"channels": 0}, {"rows": 1025}, {"rows": -1}, {"width": 8000}],
    ids=str,
)  # fmt: skip
def test_sizes_that_make_no_sense(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        Size(**{"width": 8, "growth": 4, **wrong})
