"""The report on a point-spread function: each fault is seen, and a good one has none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from acutance.errors import KernelError
from acutance.psf.doctor import examine, widths
from acutance.psf.microscope import gibson_lanni
from acutance.psf.models import airy, gaussian_ellipsoid, moffat
from acutance.psf.shapes import gaussian

Array = NDArray[np.float64]
GOOD: Array = gaussian(2.0, 33)[0, 0].double().numpy()
NOISE: Array = np.random.default_rng(3).normal(0, 1, GOOD.shape)


def remarks(values: Array) -> dict[str, str]:
    return {f.what: f.remark for f in examine(values) if f.remark}


@pytest.mark.parametrize(
    "kernel",
    [GOOD, moffat(3.5, 3.0)[0, 0].double().numpy(), gaussian_ellipsoid((2.0, 1.5, 1.5))[0, 0].double().numpy()],
)
def test_a_good_one_has_no_remarks(kernel: Array) -> None:
    assert remarks(kernel) == {}


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda k: k[:, 1:], "size"),
        (lambda k: 3 * k, "sum"),
        (lambda k: np.roll(k, 2, 1), "centre of mass"),
        (lambda k: np.where(np.arange(33) > 16, k, 0), "symmetry"),
        (lambda k: k + 0.02 * k.max(), "background"),
        (lambda k: k + 0.03 * k.max() * NOISE, "noise of the border"),
        (lambda k: k - 0.02 * k.max() * (k < 0.001 * k.max()), "negative part"),
        (lambda k: k[::4, ::4], "width at half maximum"),
        (lambda k: k[:, 12:], "light at the border"),
        (lambda k: np.fft.ifftshift(k), "wrap-around"),
    ],
)  # fmt: skip
def test_a_fault_is_seen(spoil: Callable[[Array], Array], what: str) -> None:
    assert what in remarks(spoil(GOOD))


@pytest.mark.parametrize("sigma", [1.5, 4.0])
def test_the_width_is_that_of_the_formula(sigma: float) -> None:
    assert widths(gaussian(sigma, 41)[0, 0].double().numpy()) == pytest.approx([2.3548 * sigma] * 2, rel=0.01)


@pytest.mark.parametrize(
    "values", [np.zeros((5, 5)), np.full((5, 5), np.nan), np.ones(5), -np.ones((5, 5)), np.ones((0, 3))]
)
def test_what_is_no_kernel_is_refused(values: Array) -> None:
    with pytest.raises(KernelError):
        examine(values)


WINGS = {
    "gibson-lanni": gibson_lanni(1.4, 0.52, (0.3, 0.15, 0.15), (9, 21, 21)),
    "gibson-lanni, dry": gibson_lanni(0.7, 0.52, (0.8, 0.2, 0.2), (9, 21, 21)),
    "gibson-lanni, wide": gibson_lanni(1.2, 0.52, (0.3, 0.1, 0.1), (13, 31, 31)),
    "moffat, cut": moffat(3.1, 2.5, 21),
    "airy, cut": airy(3.0, size=25),
}


@pytest.mark.parametrize("name", WINGS)
def test_wide_wings_are_no_background_and_a_background_below_them_is_one(name: str) -> None:
    kernel = WINGS[name][0, 0].double().numpy()
    assert "background" not in remarks(kernel)
    assert "background" in remarks(kernel + 0.02 * kernel.max())
