"""The orientation of a kernel: found both ways, and left open where a picture or a kernel cannot tell."""

from __future__ import annotations

import math

import pytest
import torch
from degraded import shake
from torch import Tensor

from acutance.errors import ImageError, KernelError
from acutance.operators import Blur
from acutance.orientation import Orientation, OrientationVerdict, judge_orientation
from acutance.psf import shapes
from acutance.tensors import flip


def scene(generator: torch.Generator, side: int) -> Tensor:
    """Dead leaves: 300 overlapping rectangles of random grey, (1, 3, side, side); edges like a photograph's."""
    x = torch.full((side, side), 0.5)
    places = torch.rand(300, 5, generator=generator).tolist()
    for top, left, height, width, grey in places:
        r, c = int(top * side), int(left * side)
        x[r : r + 4 + int(height**2 * side / 4), c : c + 4 + int(width**2 * side / 4)] = 0.1 + 0.8 * grey
    return x.expand(1, 3, side, side)


def blurred(kernel: Tensor, generator: torch.Generator, *, side: int = 220, sigma: float = 0.01) -> Tensor:
    """The scene, convolved with the kernel, with noise and 8 bits."""
    y = Blur(kernel).forward(scene(generator, side + kernel.shape[-1] - 1))
    return ((y + sigma * torch.randn(y.shape, generator=generator)).clamp(0, 1) * 255).round() / 255


def corner(size: int) -> Tensor:
    """An L: as asymmetric as a kernel can be."""
    k = torch.zeros(1, 1, size, size)
    k[..., :, 1], k[..., -2, :] = 1, 0.6
    return k / k.sum()


def asymmetric(name: str, generator: torch.Generator) -> Tensor:
    return corner(9) if name == "corner" else shake(1, int(name), generator)


def is_finite(verdict: OrientationVerdict) -> bool:
    return all(math.isfinite(v) for v in (verdict.score_given, verdict.score_rotated, verdict.margin))


@pytest.mark.parametrize("name", ["corner", "13", "21"])
@pytest.mark.parametrize("sigma", [None, 0.01])
def test_an_asymmetric_kernel_is_recognised_both_ways(
    name: str, sigma: float | None, generator: torch.Generator
) -> None:
    kernel = asymmetric(name, generator)
    y = blurred(kernel, generator)
    right, rotated = judge_orientation(y, kernel, sigma=sigma), judge_orientation(y, flip(kernel), sigma=sigma)
    assert right.orientation is Orientation.RIGHT, right
    assert rotated.orientation is Orientation.ROTATED, rotated
    assert right.score_given < right.score_rotated
    assert rotated.score_given == pytest.approx(right.score_rotated, abs=1e-3)
    assert rotated.margin == pytest.approx(-right.margin, abs=0.1)


def test_a_margin_of_zeros_around_the_kernel_changes_nothing(generator: torch.Generator) -> None:
    kernel = corner(9)
    y = blurred(kernel, generator)
    wide = torch.nn.functional.pad(kernel, (7, 0, 2, 20))
    assert judge_orientation(y, wide).margin == pytest.approx(judge_orientation(y, kernel).margin, abs=0.01)


def test_a_dark_picture_is_judged_like_a_bright_one(generator: torch.Generator) -> None:
    kernel = corner(9)
    y = blurred(kernel, generator)
    bright, dark = judge_orientation(y, kernel, sigma=0.01), judge_orientation(y / 4, kernel, sigma=0.0025)
    assert dark.margin == pytest.approx(bright.margin, abs=0.01)


def test_of_a_large_picture_only_a_part_is_solved(generator: torch.Generator) -> None:
    kernel = corner(9)
    detail = blurred(kernel, generator, side=200)
    y = torch.full((1, 3, 500, 700), float(detail.mean()))
    y[..., 250:450, 400:600] = detail
    assert judge_orientation(y, flip(kernel), side=192).orientation is Orientation.ROTATED


@pytest.mark.parametrize(
    "kernel",
    [
        shapes.disc(4.3),
        shapes.line(13, 33),
        shapes.gaussian(2.0, ratio=0.5, angle=20),
        torch.ones(1, 1, 1, 1),
        torch.full((1, 1, 4, 4), 1 / 16),
        torch.nn.functional.pad(shapes.disc(3.0), (5, 0, 0, 2)),
    ],
    ids=["disc", "line", "gaussian", "delta", "even", "shifted disc"],
)
def test_a_symmetric_kernel_is_harmless(kernel: Tensor, generator: torch.Generator) -> None:
    verdict = judge_orientation(blurred(kernel, generator, side=100), kernel)
    assert verdict == OrientationVerdict(Orientation.UNCLEAR, 0.0, 0.0, 0.0, symmetric=True)


def _speckle(*size: int) -> Tensor:
    return 0.5 + 0.01 * torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "picture",
    [
        torch.full((1, 1, 120, 150), 0.5),
        torch.zeros(1, 3, 120, 120),
        torch.ones(1, 1, 120, 120),
        _speckle(300, 300),
        _speckle(40, 300),
        torch.rand(1, 3, 1, 1),
        torch.rand(1, 1, 2, 500),
        torch.rand(1, 1, 20, 20),
        torch.full((1, 1, 120, 120), math.nan),
        torch.full((1, 1, 120, 120), math.inf),
        torch.zeros(1, 1, 120, 120, dtype=torch.uint8),
    ],
    ids=["flat", "black", "white", "noise", "low", "pixel", "ribbon", "tiny", "nan", "inf", "bytes"],
)
def test_a_picture_without_structure_leaves_it_open(picture: Tensor, generator: torch.Generator) -> None:
    verdict = judge_orientation(picture, shake(1, 15, generator))
    assert verdict.orientation is Orientation.UNCLEAR
    assert not verdict.symmetric
    assert is_finite(verdict)


@pytest.mark.parametrize("sigma", [0.0, 10.0, math.nan, math.inf])
def test_any_noise_level_is_survived(sigma: float, generator: torch.Generator) -> None:
    kernel = corner(9)
    assert is_finite(judge_orientation(blurred(kernel, generator, side=100), kernel, sigma=sigma))


@pytest.mark.parametrize(
    "kernel",
    [torch.zeros(1, 1, 5, 5), torch.full((1, 1, 5, 5), math.nan), -torch.ones(1, 1, 3, 3), torch.rand(1, 3, 90, 90)],
    ids=["zero", "nan", "negative", "larger than the picture"],
)
def test_an_unusable_kernel_leaves_it_open(kernel: Tensor) -> None:
    verdict = judge_orientation(torch.rand(1, 3, 80, 80, generator=torch.Generator().manual_seed(0)), kernel)
    assert verdict.orientation is Orientation.UNCLEAR
    assert is_finite(verdict)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ImageError, match="one picture"):
        judge_orientation(torch.rand(2, 1, 80, 80), corner(5))
    with pytest.raises(KernelError, match="a kernel of shape"):
        judge_orientation(torch.rand(1, 1, 80, 80), corner(5)[0])


def test_the_sentences_tell_the_user_what_to_do() -> None:
    assert "--flip-kernel" in Orientation.ROTATED.value
    assert "cannot tell" in Orientation.UNCLEAR.value
