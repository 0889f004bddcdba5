"""Volumes: the blur of (B, C, D, H, W) by a kernel with three axes, its adjoint, its torus, and methods on them."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import KernelError
from acutance.linear import Torus, difference_powers, laplacian_power
from acutance.methods.spec import catalogue
from acutance.metrics import psnr
from acutance.operators import Blur, adjoint_error
from acutance.operators.filters import circular_differences
from acutance.problem import Problem

BOUNDARIES = ("valid", "zero", "circular", "replicate")


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def ball(sides: tuple[int, int, int] = (5, 7, 7)) -> Tensor:
    """A Gaussian that is longest along the optical axis of a microscope: (1, 1, *sides)."""
    axes = [torch.arange(n, dtype=torch.float64) - n // 2 for n in sides]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    k = torch.exp(-0.5 * ((z / 1.4) ** 2 + (y / 1.1) ** 2 + (x / 1.1) ** 2))
    return (k / k.sum())[None, None]


def bars(size: tuple[int, int, int] = (16, 28, 30)) -> Tensor:
    """Bars of several widths in a dark volume: (1, 1, *size)."""
    x = torch.full((1, 1, *size), 0.1, dtype=torch.float64)
    x[..., 3:6, 4:24, 5:9] = 0.9
    x[..., 8:13, 6:9, 4:26] = 0.7
    x[..., 6:14, 14:24, 14:17] = 0.5
    x[..., 10:12, 12:22, 22:26] = 1.0
    return x


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("evaluation", ["spatial", "fft"])
@pytest.mark.parametrize("sides", [(3, 5, 3), (1, 3, 5), (2, 4, 3)])
def test_the_adjoint_of_a_volume_is_exact(
    boundary: str, evaluation: str, sides: tuple[int, int, int], generator: torch.Generator
) -> None:
    kernel = torch.rand(1, 1, *sides, generator=generator, dtype=torch.float64)
    blur = Blur(kernel, boundary, evaluation)  # type: ignore[arg-type]
    assert adjoint_error(blur, (2, 2, 7, 9, 8), generator=generator) < 1e-13


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_fft_and_direct_evaluation_agree(boundary: str, generator: torch.Generator) -> None:
    kernel = torch.rand(1, 1, 3, 5, 4, generator=generator, dtype=torch.float64)
    fft, direct = (Blur(kernel, boundary, how) for how in ("fft", "spatial"))  # type: ignore[arg-type]
    x = torch.rand(1, 2, *fft.domain_size(8, 9, 10), generator=generator, dtype=torch.float64)
    torch.testing.assert_close(fft.forward(x), direct.forward(x), rtol=1e-12, atol=1e-12)


def test_a_kernel_of_one_plane_blurs_every_plane(generator: torch.Generator) -> None:
    flat = torch.rand(1, 1, 5, 3, generator=generator, dtype=torch.float64)
    x = torch.rand(1, 1, 6, 12, 11, generator=generator, dtype=torch.float64)
    planes = Blur(flat).forward(x[0].transpose(0, 1))
    torch.testing.assert_close(Blur(flat[:, :, None]).forward(x)[0].transpose(0, 1), planes, rtol=1e-12, atol=1e-12)


def test_pictures_and_volumes_are_told_apart() -> None:
    with pytest.raises(KernelError, match="kernel of volumes"):
        Blur(torch.ones(1, 1, 3, 3, 3) / 27).forward(torch.ones(1, 1, 9, 9))
    with pytest.raises(KernelError, match="kernel of pictures"):
        Blur(torch.ones(1, 1, 3, 3) / 9).forward(torch.ones(1, 1, 9, 9, 9))


def test_the_torus_solves_the_normal_equations_of_a_volume(generator: torch.Generator) -> None:
    """(K' M K + R) x = K' M y, seen from outside: its residual is small."""
    y = torch.rand(1, 1, 6, 9, 8, generator=generator, dtype=torch.float64)
    torus = Torus.of(y, Blur(ball((3, 5, 3))))
    regulariser = 0.05 + laplacian_power(*torus.size, like=y)
    x = torus.solve(regulariser, start=None, rounds=60)
    rest = torus.data - torus.normal(x.spectrum) - regulariser * x.spectrum
    assert float(rest.abs().max()) < 1e-8 * float(torus.data.abs().max())
    assert torus.crop(torus.picture(x.spectrum)).shape[2:] == (8, 13, 10)


def test_differences_of_a_volume_are_diagonal_on_a_torus(generator: torch.Generator) -> None:
    size = (5, 6, 8)
    x = torch.rand(1, 1, *size, generator=generator, dtype=torch.float64)
    axes = (-3, -2, -1)
    for d, power in zip(circular_differences(x), difference_powers(*size, like=x), strict=True):
        got = torch.fft.irfftn(torch.fft.rfftn(x, dim=axes) * power, s=size, dim=axes)
        torch.testing.assert_close(got, d.adjoint(d.forward(x)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [spec.name for spec in catalogue().values() if spec.needs.volumes])
def test_methods_make_volumes_sharper(name: str, generator: torch.Generator) -> None:
    kernel, scene = ball(), bars()
    blur = Blur(kernel)
    clean = blur.forward(scene)
    y = clean + 0.01 * torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    truth = blur.crop(scene)
    problem = Problem(y, blur, sigma=torch.tensor([0.01], dtype=torch.float64))
    x = problem.crop(catalogue()[name].build().run(problem).x)
    assert x.shape == y.shape
    assert float(psnr(x, truth)) > float(psnr(y, truth)) + 2.5


@pytest.mark.parametrize("name", ["fd", "levin", "richardson-lucy", "tv"])
def test_a_volume_of_equal_planes_is_a_picture(name: str, generator: torch.Generator) -> None:
    """Where nothing changes along the first axis, the volume is restored as the picture is (a periodic one).

    Not by `wiener`, which takes the spectrum of such a volume for that of a scene with hardly any detail.
    """
    flat = ball()[:, :, 2] / ball()[:, :, 2].sum()
    picture = F.avg_pool2d(torch.rand(1, 1, 24, 26, generator=generator, dtype=torch.float64), 3, 1, 1)
    y = Blur(flat, "circular").forward(picture)
    sigma = torch.tensor([0.005], dtype=torch.float64)
    method = catalogue()[name].build()
    alone = method.run(Problem(y, Blur(flat, "circular"), sigma=sigma)).x
    stacked = y[:, :, None].expand(-1, -1, 6, -1, -1).contiguous()
    x = method.run(Problem(stacked, Blur(flat[:, :, None], "circular"), sigma=sigma)).x
    torch.testing.assert_close(x, alone[:, :, None].expand_as(x), rtol=0, atol=2e-3)


def test_the_size_of_a_domain_counts_three_axes() -> None:
    blur = Blur(ball())
    assert blur.radius == (2, 3, 3)
    assert blur.domain_size(4, 5, 6) == (8, 11, 12)
    circular = Blur(ball(), "circular")
    assert math.isclose(circular.norm(8, 9, 10, like=torch.ones(1, dtype=torch.float64)), 1, rel_tol=1e-9)
