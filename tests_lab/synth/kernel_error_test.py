"""Kernels as estimators get them wrong: still kernels, not moved, and wrong by as much as was asked for."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from acutance_lab.synth import kernels
from acutance_lab.synth.kernel_error import (
    MOST_SPECKS,
    centred_like,
    centroid,
    cut,
    misestimated,
    smeared,
    speckled,
    turned,
    uneven,
)

SIZES = (1, 3, 5, 15, 31)


def source(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mixed(n: int, span: int, size: int, seed: int = 7) -> Tensor:
    return kernels.mixture(n, span, source(seed), size=size)


def point(n: int, size: int, row: int = 0, col: int = 0) -> Tensor:
    k = torch.zeros(n, 1, size, size)
    k[..., size // 2 + row, size // 2 + col] = 1
    return k


def spread(kernel: Tensor) -> Tensor:
    """Mean variance of the two axes, (n,), pixels squared."""
    k, at = kernel[:, 0].double(), centroid(kernel).double()
    axis = torch.arange(k.shape[-1]).double()
    rows = ((axis - at[:, :1]).square() * k.sum(2)).sum(1)
    return (rows + ((axis - at[:, 1:]).square() * k.sum(1)).sum(1)) / 2


def same(n: int, value: float) -> Tensor:
    return torch.full((n,), value)


FAULTS: dict[str, Callable[[Tensor], Tensor]] = {
    "turned": lambda k: turned(k, same(len(k), 8.0), same(len(k), 1.1)),
    "smeared": lambda k: smeared(k, same(len(k), 1.0)),
    "uneven": lambda k: uneven(k, same(len(k), 0.5), source()),
    "speckled": lambda k: speckled(k, same(len(k), 0.02), source()),
    "cut": lambda k: cut(k, same(len(k), 0.08)),
    "centred_like": lambda k: centred_like(k, torch.roll(k, 1, -1)),
    "misestimated": lambda k: misestimated(k, source()),
    "misestimated twice as badly": lambda k: misestimated(k, source(), severity=2.0),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fault", FAULTS)
def test_what_comes_out_is_a_kernel(fault: str, size: int) -> None:
    given = mixed(100, size, size)
    before = given.clone()
    k = FAULTS[fault](given)
    assert k.shape == given.shape
    assert k.dtype is torch.float32
    assert bool(torch.isfinite(k).all())
    assert float(k.min()) >= 0
    torch.testing.assert_close(k.sum((1, 2, 3)), torch.ones(100), rtol=0, atol=1e-5)
    assert torch.equal(given, before)


@pytest.mark.parametrize("size", SIZES)
def test_a_point_survives(size: int) -> None:
    """Its own pixel and the ones beside it keep the most of it, in the smallest kernels as well."""
    for fault in FAULTS:
        k = FAULTS[fault](point(200, size))
        assert bool(torch.isfinite(k).all()), fault
        torch.testing.assert_close(k.sum((1, 2, 3)), torch.ones(200), rtol=0, atol=1e-5)
    mild = misestimated(point(200, size), source(), severity=0.3)
    reach = min(2, size // 2)
    inner = (..., *(slice(size // 2 - reach, size // 2 + reach + 1),) * 2)
    assert float(mild[inner].sum((1, 2, 3)).median()) > 0.9


def test_a_kernel_of_one_pixel_cannot_be_wrong() -> None:
    assert torch.equal(misestimated(torch.ones(50, 1, 1, 1), source(), severity=3.0), torch.ones(50, 1, 1, 1))


@pytest.mark.parametrize(("span", "size"), [(5, 13), (9, 19), (13, 31)])
def test_nothing_moves(span: int, size: int) -> None:
    """The centre of mass of a kernel with room around it stays, whatever specks there are at the border."""
    given = kernels.spline(600, span, source(7), size=size)
    off = (centroid(misestimated(given, source())) - centroid(given)).norm(dim=1)
    assert float(off.quantile(0.95)) < 1e-3
    assert float(off.max()) < 0.1
    calm = turned(given, torch.linspace(-6, 6, 600), torch.linspace(0.9, 1.1, 600))
    calm = centred_like(uneven(smeared(calm, same(600, 1.0)), same(600, 0.5), source()), given)
    assert float((centroid(calm) - centroid(given)).norm(dim=1).max()) < 1e-3


@pytest.mark.parametrize(("row", "col"), [(0, 0), (2, -3), (-1, 4)])
def test_nor_does_a_kernel_that_is_off_the_centre(row: int, col: int) -> None:
    given = torch.roll(kernels.spline(200, 9, source(7), size=31), (row, col), (-2, -1))
    off = (centroid(misestimated(given, source())) - centroid(given)).norm(dim=1)
    assert float(off.max()) < 0.1


@pytest.mark.parametrize("size", SIZES)
def test_without_severity_nothing_is_wrong(size: int) -> None:
    given = mixed(200, size, size)
    torch.testing.assert_close(misestimated(given, source(), severity=0.0), given, rtol=0, atol=1e-5)


def test_errors_grow_with_the_severity() -> None:
    given = mixed(200, 15, 25)
    errors = [float((misestimated(given, source(), severity=s) - given).norm()) for s in (0.0, 0.3, 1.0, 2.0)]
    assert errors == sorted(errors)
    assert errors[0] < 1e-4 < errors[1]
    relative = (misestimated(given, source()) - given).flatten(1).norm(dim=1) / given.flatten(1).norm(dim=1)
    assert 0.05 < float(relative.median()) < 0.6, "noticeable, and still the same kernel"


def test_everything_comes_from_the_generator() -> None:
    given = mixed(20, 15, 21)
    torch.manual_seed(0)
    first = misestimated(given, source(3))
    torch.manual_seed(99)
    assert torch.equal(misestimated(given, source(3)), first)
    assert not torch.equal(misestimated(given, source(4)), first)
    twice = misestimated(given[:1].expand(2, -1, -1, -1), source())
    assert not torch.equal(twice[0], twice[1]), "every kernel has errors of its own"


@pytest.mark.parametrize("size", [3, 5, 9, 15])
@pytest.mark.parametrize(("degrees", "quarters"), [(90.0, 1), (180.0, 2), (-90.0, -1), (270.0, 3), (360.0, 0)])
def test_quarter_turns_are_counter_clockwise(degrees: float, quarters: int, size: int) -> None:
    """As numpy's rot90, which turns counter-clockwise where rows grow downwards."""
    given = kernels.normalised(torch.rand(4, 1, size, size, generator=source()))
    expected = torch.rot90(given, quarters, (-2, -1))
    torch.testing.assert_close(turned(given, same(4, degrees), same(4, 1.0)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("start", "degrees"), [(10.0, 25.0), (100.0, -40.0), (0.0, 12.0), (30.0, 60.0)])
def test_a_line_turns_to_where_the_angle_says(start: float, degrees: float) -> None:
    k = turned(kernels.line(15.0, start, 25), same(1, degrees), same(1, 1.0))[0, 0].double()
    axis = torch.arange(25).double() - 12
    across = (axis[:, None] * axis * k).sum()
    rows, cols = (k.sum(1) * axis.square()).sum(), (k.sum(0) * axis.square()).sum()
    found = math.degrees(0.5 * math.atan2(-2 * float(across), float(cols - rows)))  # rows grow downwards
    off = (found - start - degrees) % 180
    assert min(off, 180 - off) < 0.5


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.3])
def test_a_kernel_is_stretched(scale: float) -> None:
    """Lengths by the factor, so variances by its square; bilinear sampling adds a little."""
    given = kernels.gaussian(3.0, 31)
    k = turned(given, same(1, 0.0), same(1, scale))
    assert float(spread(k)) == pytest.approx(scale**2 * float(spread(given)), rel=0.04)
    assert centroid(k)[0].tolist() == pytest.approx([15, 15], abs=1e-3)


def test_what_would_leave_the_kernel_altogether_stays_as_it_was() -> None:
    corner = point(2, 9, 4, 4)
    corner[1] = point(1, 9)[0]
    k = turned(corner, same(2, 45.0), same(2, 1.5))
    assert torch.equal(k[0], corner[0])
    assert bool(torch.isfinite(k).all())


def test_each_kernel_has_its_own_angle_and_scale() -> None:
    given, degrees, scale = mixed(3, 9, 15), torch.tensor([0.0, 20.0, -50.0]), torch.tensor([1.0, 0.9, 1.2])
    together = turned(given, degrees, scale)
    for i in range(3):
        alone = turned(given[i : i + 1], degrees[i : i + 1], scale[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.5])
def test_smearing_adds_its_variance(sigma: float) -> None:
    given = mixed(20, 9, 31)
    added = spread(smeared(given, same(20, sigma))) - spread(given)
    expected = float(spread(kernels.gaussian(sigma, 9)))
    assert added.tolist() == pytest.approx([expected] * 20, rel=0.02)


def test_smearing_is_bounded_at_both_ends() -> None:
    given = mixed(5, 9, 31)
    torch.testing.assert_close(smeared(given, same(5, 0.0)), given, rtol=0, atol=1e-6)
    assert torch.equal(smeared(given, same(5, 7.0)), smeared(given, same(5, 1.5)))


def test_an_uneven_kernel_has_its_own_pixels_at_other_strengths() -> None:
    given = mixed(300, 15, 15)
    k = uneven(given, same(300, 0.5), source())
    assert float(k[given == 0].max()) == 0, "where nothing was nothing comes"
    assert float(k[given > 1e-6].min()) > 0, "and nothing vanishes"
    field = torch.log(k / given).nan_to_num(0)[given > 1e-4]
    assert float(field.std()) == pytest.approx(0.5, rel=0.35)
    torch.testing.assert_close(uneven(given, same(300, 0.0), source()), given, rtol=0, atol=1e-6)


def test_specks_are_few_and_faint() -> None:
    given = point(400, 31)
    k = speckled(given, same(400, 0.001), source())
    specks = k / k[..., 15:16, 15:16]
    specks[..., 15, 15] = 0
    assert float((specks > 0).float().mean()) == pytest.approx(1 / 8, rel=0.03)
    assert float(specks[specks > 0].mean()) == pytest.approx(0.001, rel=0.05)
    assert torch.equal(speckled(given, same(400, 0.0), source()), given)
    many = speckled(given, same(400, 0.5), source())
    torch.testing.assert_close(many[..., 15, 15], torch.full((400, 1), 1 / (1 + MOST_SPECKS)), rtol=0.05, atol=0)


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.5])
def test_what_is_below_the_threshold_is_cut(threshold: float) -> None:
    given = mixed(50, 15, 15)
    k = cut(given, same(50, threshold))
    kept = given >= threshold * given.amax((2, 3), keepdim=True)
    assert torch.equal(k > 0, kept & (given > 0))
    torch.testing.assert_close(k, kernels.normalised(given * kept), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("row", "col"), [(0.0, 0.0), (2.0, -1.0), (-3.0, 3.0), (0.5, 0.25)])
def test_centring_moves_by_the_difference(row: float, col: float) -> None:
    """Whole pixels exactly, others by interpolation; nothing is lost while it stays inside."""
    other = kernels.gaussian(1.5, 25)
    axis = torch.arange(25.0) - 12
    given = kernels.normalised(
        torch.exp(-((axis[:, None] - row).square() + (axis - col).square()) / (2 * 1.5**2))[None, None]
    )
    k = centred_like(given, other)
    torch.testing.assert_close(centroid(k), centroid(other), rtol=0, atol=1e-3)
    if row == int(row):
        torch.testing.assert_close(k, other, rtol=0, atol=1e-4)


def test_the_centroid_is_row_and_column() -> None:
    assert centroid(point(1, 9, 1, -2)).tolist() == [[5.0, 2.0]]
    halves = (point(1, 9, 1, 0) + 3 * point(1, 9, -1, 4)) / 2  # not normalised
    assert centroid(halves)[0].tolist() == pytest.approx([4 + (1 - 3) / 4, 4 + 3])
    assert math.isclose(float(centroid(torch.ones(1, 1, 1, 1)).sum()), 0.0)
