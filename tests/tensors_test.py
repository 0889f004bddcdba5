"""Borders and their adjoints, transform lengths, the small exact operations."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from acutance.tensors import crop, fast_length, filled, flip, pad, pad_adjoint, per_image

BORDERS = ("zero", "circular", "replicate")


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("radii", [(0, 0), (1, 0), (0, 2), (3, 4), (5, 6)], ids=str)
@pytest.mark.parametrize("size", [(5, 6), (6, 7), (1, 1)], ids=str)
def test_padding_has_its_exact_adjoint(
    border: Any, radii: tuple[int, int], size: tuple[int, int], generator: torch.Generator
) -> None:
    if border == "circular" and (radii[0] > size[0] or radii[1] > size[1]):
        with pytest.raises(ValueError, match="wider than the picture"):
            pad(torch.zeros(1, 1, *size), *radii, border=border)
        return
    x = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64).requires_grad_()
    wide = pad(x, *radii, border=border)
    assert wide.shape == (2, 3, size[0] + 2 * radii[0], size[1] + 2 * radii[1])
    z = torch.randn(wide.shape, generator=generator, dtype=torch.float64)
    (transpose,) = torch.autograd.grad(wide, x, z)
    before = z.clone()
    torch.testing.assert_close(pad_adjoint(z, *radii, border=border), transpose, rtol=1e-13, atol=1e-13)
    assert torch.equal(z, before)
    assert torch.equal(crop(wide, *radii), x)


@pytest.mark.parametrize("border", BORDERS)
def test_what_lies_beyond_the_frame(border: Any) -> None:
    x = torch.arange(1.0, 7.0).reshape(1, 1, 2, 3)
    above, left = pad(x, 1, 0, border=border)[0, 0, 0], pad(x, 0, 1, border=border)[0, 0, :, 0]
    expected = {
        "zero": ([0, 0, 0], [0, 0]),
        "circular": ([4, 5, 6], [3, 6]),
        "replicate": ([1, 2, 3], [1, 4]),
    }[border]
    assert (above.tolist(), left.tolist()) == expected


SMOOTH = sorted({2**a * 3**b * 5**c * 7**d for a, b, c, d in product(range(1, 13), range(8), range(6), range(5))})


@given(st.integers(1, 4000))
def test_fast_length_is_the_next_even_smooth_number(n: int) -> None:
    assert fast_length(n) == next(m for m in SMOOTH if m >= n)


def test_flip_turns_by_180_degrees() -> None:
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert flip(x).flatten().tolist() == [5, 4, 3, 2, 1, 0]
    assert torch.equal(flip(x), torch.rot90(x, 2, (-2, -1)))


def test_crop_of_nothing_is_everything() -> None:
    x = torch.rand(1, 1, 3, 4)
    assert torch.equal(crop(x, 0, 0), x)


def test_per_image_sums_all_but_the_batch() -> None:
    assert per_image(torch.ones(2, 3, 4, 5)).tolist() == [60, 60]
    assert per_image(torch.ones(2)[:, None]).tolist() == [1, 1]


def test_filled_keeps_what_is_believed_and_forgets_the_rest() -> None:
    x = torch.rand(2, 3, 40, 50, dtype=torch.float64)
    mask = torch.ones(1, 1, 40, 50)
    mask[..., 10:13, 20:24] = 0
    mask[..., :, 44:] = 0
    spoilt = torch.where(mask > 0, x, torch.nan)
    y = filled(spoilt, mask)
    kept = (mask > 0).expand_as(x)
    assert torch.equal(y[kept], x[kept])
    assert bool(torch.isfinite(y).all())
    assert torch.equal(y, filled(torch.where(mask > 0, x, 7.0), mask))
    assert float(y.min()) >= float(x.min())
    assert float(y.max()) <= float(x.max())


def test_filled_takes_the_mean_of_the_picture_where_nothing_is_near() -> None:
    x, mask = torch.zeros(1, 1, 60, 60), torch.zeros(1, 1, 60, 60)
    x[..., :2, :2], mask[..., :2, :2] = 0.25, 1
    assert float(filled(x, mask)[0, 0, 50, 50]) == pytest.approx(0.25)
    assert torch.equal(filled(x, 0 * mask), torch.zeros_like(x))
