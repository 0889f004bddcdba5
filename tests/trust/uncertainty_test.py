"""The standard deviation of the error: its formula, its units, and that it tells what noise does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from acutance.blind.method import encoded
from acutance.errors import ConfigError
from acutance.operators import Blur
from acutance.psf import shapes
from acutance.restoration.doubt import Known, fit_of, in_units, judged_of, unsupported_of, unsupported_share
from acutance.restoration.restored import Restoration
from acutance.restoration.restorer import Restorer
from acutance.restoration.uncertainty import Spread, is_calibrated, uncertainty_of
from acutance.trust.calibration import CALIBRATED
from acutance.trust.uncertainty import coefficients_at, deviation

KERNEL = shapes.gaussian(1.2)


@pytest.fixture(scope="module")
def observed() -> Tensor:
    rows, cols = torch.meshgrid(torch.arange(72), torch.arange(80), indexing="ij")
    sharp = (((rows // 9 + cols // 7) % 2) * 0.6 + 0.2)[None, None]
    blurred = Blur(KERNEL).forward(sharp.float())
    return blurred + 0.01 * torch.randn(blurred.shape, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def done(observed: Tensor) -> Restoration:
    return Restorer.load("wiener", device="cpu")(observed, KERNEL, sigma=0.01)


def test_coefficients_lie_between_those_that_were_measured() -> None:
    (low, *first), (high, *second), *_ = CALIBRATED
    middle = coefficients_at((low * high) ** 0.5)
    expected = [(p + q) / 2 for p, q in zip(first, second, strict=True)]
    assert [middle.draws, middle.unsupported] == pytest.approx(expected)
    assert coefficients_at(1.0) == coefficients_at(CALIBRATED[-1][0])


def test_the_formula() -> None:
    c = coefficients_at(0.01)
    expected = ((c.draws * 0.1) ** 2 + (c.unsupported * 0.3) ** 2) ** 0.5
    assert float(deviation(torch.tensor(0.1), torch.tensor(0.3), 0.01)) == pytest.approx(expected, rel=1e-5)


def test_mean_and_deviation_of_pictures_one_by_one() -> None:
    pictures, spread = torch.rand(5, 3, 4, generator=torch.Generator().manual_seed(0)), Spread()
    for picture in pictures:
        spread.add(picture)
    assert torch.allclose(spread.deviation, pictures.std(0), atol=1e-6)


def test_it_is_repeatable_true_to_units_and_grows_with_the_noise(observed: Tensor, done: Restoration) -> None:
    first = done.uncertainty(draws=3)
    assert first.shape == observed.shape
    assert torch.equal(first, done.uncertainty(draws=3))
    assert not torch.equal(first, done.uncertainty(draws=3, seed=1))
    restorer = Restorer.load("wiener", device="cpu")
    bright, brighter = (restorer(c * observed, KERNEL, sigma=0.01).uncertainty(draws=3) for c in (1e3, 1e5))
    assert torch.allclose(brighter, 100 * bright, rtol=1e-3)
    noisy, noisier = (restorer(observed, KERNEL, sigma=s).uncertainty(draws=3) for s in (0.03, 0.09))
    assert float(noisier.mean()) > 1.1 * float(noisy.mean())
    assert not is_calibrated(done)


def test_strength_takes_its_share(observed: Tensor, done: Restoration) -> None:
    half = Restorer.load("wiener", device="cpu", blend=0.5)(observed, KERNEL, sigma=0.01)
    whole = unsupported_of(done)
    part = unsupported_of(half)
    assert whole is not None
    assert part is not None
    assert torch.allclose(2 * part, whole)
    assert 0 < unsupported_share(whole, done.image.pixels) < 1


def test_linear_light_goes_through_the_curve(observed: Tensor) -> None:
    restorer = Restorer.load("wiener", device="cpu")
    found = restorer(observed.clamp(0, 1), KERNEL, sigma=0.01, linear=True)
    assert found.origin is not None
    assert found.origin.prepared.linear
    assert bool(torch.isfinite(found.uncertainty(draws=2)).all())


def test_the_residual_of_a_good_result_is_the_noise(done: Restoration) -> None:
    fit = fit_of(done)
    assert fit is not None
    assert fit.noise == pytest.approx(0.01, rel=1e-3)
    assert fit.ratio == pytest.approx(1.0, abs=0.4)


def test_what_was_not_changed_is_certain(observed: Tensor) -> None:
    point = torch.ones(1, 1, 1, 1)
    left = Restorer.load("wiener", device="cpu")(observed, point)
    assert left.unchanged
    assert not left.uncertainty().any()
    assert fit_of(left) is None
    assert judged_of(left) is None


def test_what_is_refused(done: Restoration) -> None:
    for wrong in (1, 65, True):
        with pytest.raises(ConfigError, match="give 2 to 64"):
            uncertainty_of(done, draws=wrong)
    with pytest.raises(ConfigError, match="does not hold its problem"):
        replace(done, origin=None).uncertainty()


def test_what_was_solved_in_encoded_values_is_looked_at_there(observed: Tensor) -> None:
    """As `blind` does where the kernel explains the encoded values better."""
    found = Restorer.load("wiener", device="cpu")(observed.clamp(0, 1), KERNEL, sigma=0.01, linear=True)
    assert found.origin is not None
    prepared = found.origin.prepared
    problem = replace(prepared.problem, operator=None)
    result = replace(found.result, x=problem.observed, kernel=torch.ones(1, 1, 1, 1), encoded=True)
    swapped = replace(found, result=result, origin=replace(found.origin, prepared=replace(prepared, problem=problem)))
    known = Known.of(swapped)
    assert torch.allclose(known.problem.observed, encoded(problem.observed))
    assert float(known.residual().abs().max()) < 1e-5
    small = torch.full_like(known.x, 1e-3)
    s = in_units(prepared, known, small)  # T(c D(x)) is about c^(1 / 2.2) x
    assert float(s.median()) == pytest.approx(prepared.scale ** (1 / 2.2) * 1e-3, rel=0.15)
