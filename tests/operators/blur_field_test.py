"""BlurField: against its definition, `Blur`, its own adjoint, autograd, a dense matrix."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from acutance.errors import KernelError
from acutance.operators import Blur, BlurField, adjoint_error
from acutance.operators import blur_field as module
from acutance.problem import Problem
from acutance.views import VIEWS

GRIDS = ((1, 1), (1, 3), (2, 2), (3, 4), (7, 5))
SHAPES = ((1, 3, 3), (1, 4, 5), (3, 5, 2))


def draw(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def hat(node: int, count: int, pixel: int, length: int) -> float:
    """The weight of a node at a pixel, from the text of `BlurField`."""
    if count == 1:
        return 1.0
    spacing = length / count
    first, last = 0.5 * spacing - 0.5, (count - 0.5) * spacing - 0.5
    place = min(max(pixel, first), last)
    return max(0.0, 1 - abs(place - ((node + 0.5) * spacing - 0.5)) / spacing)


def by_definition(field: BlurField, x: Tensor) -> Tensor:
    """sum_i w_i (k_i * x), every node over the whole picture."""
    r, s = field.radius
    height, width = x.shape[-2] - 2 * r, x.shape[-1] - 2 * s
    rows, cols = field.grid
    y = torch.zeros(())
    for i in range(rows):
        down = torch.tensor([hat(i, rows, p, height) for p in range(height)], dtype=x.dtype)
        for j in range(cols):
            along = torch.tensor([hat(j, cols, p, width) for p in range(width)], dtype=x.dtype)
            y = y + Blur(field.kernels[i, j][None], evaluation="spatial").forward(x) * down[:, None] * along
    return y


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_is_the_definition_and_the_adjoint_exact(
    grid: tuple[int, int], shape: tuple[int, int, int], generator: torch.Generator
) -> None:
    field = BlurField(draw(*grid, *shape, generator=generator))
    x = draw(2, 3, *field.domain_size(21, 18), generator=generator)
    torch.testing.assert_close(field.forward(x), by_definition(field, x), rtol=1e-10, atol=1e-10)
    assert adjoint_error(field, (2, 3, 21, 18), generator=generator) < 1e-12


def test_equal_kernels_are_one_blur(generator: torch.Generator) -> None:
    kernel = draw(1, 1, 5, 7, generator=generator)
    field, blur = BlurField(kernel[None].expand(3, 4, 1, 5, 7)), Blur(kernel)
    x, y = draw(1, 3, 44, 36, generator=generator), draw(1, 3, 40, 30, generator=generator)
    torch.testing.assert_close(field.forward(x), blur.forward(x))
    torch.testing.assert_close(field.adjoint(y), blur.adjoint(y))
    torch.testing.assert_close(field.start(y), blur.start(y))
    torch.testing.assert_close(field.power(48, 40), blur.power(48, 40))
    assert torch.equal(field.crop(x), blur.crop(x))


def test_a_constant_picture_stays(generator: torch.Generator) -> None:
    kernels = draw(3, 3, 1, 5, 5, generator=generator).abs()
    field = BlurField(kernels / kernels.sum((-2, -1), keepdim=True))
    y = field.forward(torch.full((1, 1, 30, 41), 0.7, dtype=torch.float64))
    torch.testing.assert_close(y, torch.full_like(y, 0.7))


def test_the_kernel_of_a_node_is_what_a_pixel_there_sees() -> None:
    kernels = torch.zeros(1, 2, 1, 1, 3)
    kernels[0, 0, 0, 0, 0] = 1  # moves to the left
    kernels[0, 1, 0, 0, 2] = 1  # moves to the right
    x = torch.arange(12.0).reshape(1, 1, 1, 12)
    y = BlurField(kernels).forward(x)[0, 0, 0]
    assert y[:3].tolist() == [2.0, 3.0, 4.0]
    assert y[-3:].tolist() == [7.0, 8.0, 9.0]


def test_it_is_differentiable_in_picture_and_kernels(generator: torch.Generator) -> None:
    kernels = draw(2, 2, 1, 3, 3, generator=generator).requires_grad_()
    x = draw(1, 1, 8, 7, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda k, z: BlurField(k).forward(z), (kernels, x))
    y = draw(1, 1, 6, 5, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda k, z: BlurField(k).adjoint(z), (kernels, y))


def test_transfer_functions_are_the_same_whether_they_are_kept_or_not(
    generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels, x = draw(3, 2, 1, 5, 5, generator=generator), draw(1, 2, 24, 24, generator=generator)
    kept = BlurField(kernels)
    twice = (kept.forward(x), kept.forward(x))
    monkeypatch.setattr(module, "REMEMBERED", 0)
    fresh = BlurField(kernels)
    for y in (*twice, fresh.forward(x), fresh.forward(x)):
        torch.testing.assert_close(y, twice[0])
    assert kept._last
    assert not fresh._last


def test_the_norm_is_the_largest_singular_value(generator: torch.Generator) -> None:
    kernels = draw(2, 2, 1, 3, 3, generator=generator).abs()
    field = BlurField(kernels)
    size = field.domain_size(8, 9)
    basis = torch.eye(size[0] * size[1], dtype=torch.float64).reshape(-1, 1, *size)
    dense = field.forward(basis).flatten(1).mT
    expected = float(torch.linalg.matrix_norm(dense, 2))
    assert math.isclose(field.norm(8, 9, like=kernels, rounds=200), expected, rel_tol=1e-3)
    assert field.norm(8, 9, like=kernels, rounds=200) <= expected * (1 + 1e-9)


def test_a_channel_has_its_own_kernels(generator: torch.Generator) -> None:
    field = BlurField(draw(2, 3, 3, 3, 5, generator=generator))
    x = draw(1, 3, 22, 24, generator=generator)
    for c in range(3):
        torch.testing.assert_close(field.channel(c).forward(x[:, c : c + 1]), field.forward(x)[:, c : c + 1])
    one = BlurField(field.kernels[:, :, :1])
    assert one.channel(2) is one


@pytest.mark.parametrize("shape", [(1, 1, 3, 3), (2, 0, 1, 3, 3)])
def test_what_is_no_field_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(KernelError, match="rows, columns"):
        BlurField(torch.zeros(shape))


def test_a_picture_smaller_than_the_kernels_is_refused() -> None:
    with pytest.raises(KernelError, match="too small"):
        BlurField(torch.ones(2, 2, 1, 5, 5)).forward(torch.ones(1, 1, 4, 20))


def test_windows_cover_the_picture_once_and_their_power_bounds_the_kernels_around(generator: torch.Generator) -> None:
    field = BlurField(draw(3, 4, 1, 5, 7, generator=generator).abs())
    y = draw(1, 1, 30, 44, generator=generator)
    total = torch.zeros(1, 1, *field.domain_size(30, 44), dtype=torch.float64)
    for window in field.windows(30, 44, y, margin=3):
        rows, cols = window.domain_rows, window.domain_cols
        total[..., rows, cols] += window.weight
        assert (
            window.blur.domain_size(*y[..., window.rows, window.cols].shape[-2:]) == total[..., rows, cols].shape[-2:]
        )
        power = window.power(24, 24)
        assert bool((power >= window.blur.power(24, 24)).all())
        for kernel in window.around:
            assert bool((power >= module.NEIGHBOUR * Blur(kernel[None]).power(24, 24) - 1e-12).all())
    torch.testing.assert_close(total, torch.ones_like(total))


def test_a_view_of_a_field_is_the_field_of_the_view(generator: torch.Generator) -> None:
    field = BlurField(draw(2, 3, 1, 3, 5, generator=generator))
    x = draw(1, 2, *field.domain_size(14, 18), generator=generator)
    y = field.forward(x)
    for view in VIEWS:
        seen = view.problem(Problem(y, field))
        assert isinstance(seen.operator, BlurField)
        torch.testing.assert_close(seen.operator.forward(view(x)), view(y))
