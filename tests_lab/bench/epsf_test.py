"""A measured point-spread function against that of photutils' EPSFBuilder, on the same stars."""

from __future__ import annotations

import numpy as np
import pytest

from acutance.psf.measure import measure_psf
from acutance.psf.models import moffat

photutils = pytest.importorskip("photutils.psf")


@pytest.mark.filterwarnings("ignore")
def test_it_is_as_near_to_the_truth_as_that_of_photutils() -> None:
    from astropy.nddata import NDData
    from astropy.table import Table

    truth = moffat(3.6, 3.0, 61)[0, 0].double().numpy()
    rng = np.random.default_rng(0)
    image = np.zeros((560, 560))
    for row in range(45, 530, 60):
        for col in range(45, 530, 60):
            dy, dx = rng.uniform(-0.5, 0.5, 2)
            spectrum = np.fft.fft2(truth) * np.exp(
                -2j * np.pi * (dy * np.fft.fftfreq(61)[:, None] + dx * np.fft.fftfreq(61))
            )
            flux = 10 ** rng.uniform(3.8, 5)
            image[row - 30 : row + 31, col - 30 : col + 31] += flux * np.maximum(np.fft.ifft2(spectrum).real, 0)
    image = rng.poisson(image + 100) + rng.normal(0, 5, image.shape)
    found = measure_psf(image, size=25)
    stars = photutils.extract_stars(
        NDData(image - 100), Table({"x": found.places[:, 1], "y": found.places[:, 0]}), size=35
    )
    theirs = photutils.EPSFBuilder(oversampling=1, maxiters=8, progress_bar=False)(stars)
    epsf = np.asarray((theirs.epsf if hasattr(theirs, "epsf") else theirs[0]).data)
    middle = epsf.shape[0] // 2
    peer = epsf[middle - 12 : middle + 13, middle - 12 : middle + 13]
    part = truth[18:43, 18:43]

    def similarity(a: np.ndarray) -> float:
        return float((a * part).sum() / np.sqrt((a**2).sum() * (part**2).sum()))

    ours = similarity(found.kernel[0, 0].double().numpy())
    assert ours > 0.999
    assert ours > similarity(peer) - 0.001
