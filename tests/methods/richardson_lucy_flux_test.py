"""Richardson-Lucy keeps the flux of star fields, on every background. `pytest -s` prints the table."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from acutance.restoration.restorer import Restorer

Array = NDArray[np.float64]
SIDE, APERTURE = 192, 8
FIELDS = {  # full width at half maximum in pixels, flux in electrons, noise of reading out, largest error of the stars
    "wide": (4.0, (2e3, 1e5), 5.0, 0.06),
    "narrow": (2.5, (2e3, 1e5), 5.0, 0.02),
    "faint": (4.0, (1e3, 1e4), 5.0, 0.08),
    "buried": (4.0, (5e2, 5e3), 20.0, 0.2),
}


@dataclass(frozen=True)
class Field:
    """A field of stars, in electrons: what was observed, the kernel, where the stars are and their flux."""

    observed: Array
    kernel: Array
    places: Array
    flux: Array


def field(kind: str, sky: float, noise: bool) -> Field:
    """Stars at fractions of pixels, on a sky that was measured and, below zero, subtracted too generously."""
    width, (least, most), readout, _ = FIELDS[kind]
    random = np.random.default_rng(3)
    n = int(4 * width) | 1
    y, x = np.mgrid[:n, :n] - n // 2
    kernel = np.exp(-(x * x + y * y) / (2 * (width / 2.355) ** 2))
    kernel /= kernel.sum()
    places: list[Array] = []
    while len(places) < 30:
        place = random.uniform(20, SIDE - 20, 2)
        if all(np.hypot(*(place - other)) > 2 * APERTURE for other in places):
            places.append(place)
    flux = np.exp(random.uniform(np.log(least), np.log(most), 30))
    scene = np.zeros((SIDE, SIDE))
    for (a, b), f in zip(places, flux, strict=True):
        i, j = int(a), int(b)
        scene[i : i + 2, j : j + 2] += f * np.outer([1 - a + i, a - i], [1 - b + j, b - j])
    counts, level = np.maximum(fftconvolve(scene, kernel, mode="same"), 0), sky if sky >= 0 else 100.0
    if noise:
        counts = random.poisson(counts + level) + random.normal(0, readout, counts.shape) - level
    return Field(counts + sky, kernel, np.array(places), flux)


def restored(stars: Field, **settings: Any) -> Array:
    y, kernel = (torch.from_numpy(a).float()[None, None] for a in (stars.observed, stars.kernel))
    return Restorer.load("richardson-lucy", **settings)(y, kernel).image.pixels[0, 0].double().numpy()


def apertures(picture: Array, stars: Field, sky: float) -> Array:
    """Flux of each star within `APERTURE` pixels, as a part of its own."""
    y, x = np.mgrid[:SIDE, :SIDE]
    sums = [(picture - sky)[(y - a) ** 2 + (x - b) ** 2 <= APERTURE**2].sum() for a, b in stars.places]
    return np.array(sums) / stars.flux


@pytest.mark.parametrize("noise", [False, True], ids=["noise-free", "noisy"])
@pytest.mark.parametrize("sky", [0.0, 20.0, 500.0, -50.0])
@pytest.mark.parametrize("kind", sorted(FIELDS))
def test_the_flux_of_a_star_field_is_kept(kind: str, sky: float, noise: bool) -> None:
    """The total above the sky to 1 %, or to twice the noise of the sum if that is more; the brighter stars."""
    stars = field(kind, sky, noise)
    x = restored(stars)
    observed = (stars.observed - sky).sum()
    total = (x - sky).sum() / observed
    level, readout, most = sky if sky >= 0 else 100.0, *FIELDS[kind][2:]
    uncertain = noise * SIDE * np.sqrt(level + readout**2) / observed
    bright = np.argsort(-stars.flux)[: len(stars.flux) // 2]
    before, after = (np.median(np.abs(apertures(p, stars, sky) - 1)[bright]) for p in (stars.observed, x))
    sys.stdout.write(
        f"\n{kind:7} sky {sky:5.0f} {'noisy' if noise else 'noise-free':10} total {total:.4f} (noise {uncertain:.4f}), "
        f"stars observed {100 * before:.1f} %, restored {100 * after:.1f} %"
    )
    assert abs(total - 1) < max(0.01, 2 * uncertain)
    assert after < before + most


@pytest.mark.parametrize("sky", [0.0, -50.0])
def test_more_steps_bring_the_stars_closer(sky: float) -> None:
    """Without noise x comes to the scene, also where rings are cut off: the flux is kept by no wrong way."""
    stars = field("narrow", sky, noise=False)
    errors = [np.abs(apertures(restored(stars, steps=n), stars, sky) - 1).max() for n in (20, 60, 200)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.004
