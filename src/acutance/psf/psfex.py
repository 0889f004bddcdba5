r"""A point-spread function whose pixels are polynomials of the place, as PSFEx writes it (Bertin 2011).

    K(x, y) = sum over i + j <= d of  u^i v^j B_ij,        u = (x - POLZERO1) / POLSCAL1,  v = (y - POLZERO2) / POLSCAL2

The table PSF_DATA holds B in its column PSF_MASK, i running first; x and y count from 1. PSF_SAMP is the step of the
samples in pixels of the picture; another one than 1 is interpolated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acutance.errors import KernelError
from acutance.operators import BlurField
from acutance.psf.placed import PlacedKernels, node_places, usable

Array = NDArray[np.float64]

TABLE, COLUMN = "PSF_DATA", "PSF_MASK"

NODES = 8
"""Nodes along an axis: between them polynomials of a field are straight enough."""

MOST_DEGREE = 10

_X, _Y = ("X_IMAGE", "X", "XWIN_IMAGE", "XPSF_IMAGE"), ("Y_IMAGE", "Y", "YWIN_IMAGE", "YPSF_IMAGE")


@dataclass(frozen=True, eq=False)
class PolynomialPsf:
    """Basis pictures and their polynomial.

    Args:
        basis: (K, h, w), K = (d + 1)(d + 2) / 2, in the order of the module.
        degree: d. zero, scale: of x and of y, pixels that count from 1. sampling: pixels of the picture to a sample.
    """

    basis: Array
    degree: int
    zero: tuple[float, float]
    scale: tuple[float, float]
    sampling: float = 1.0

    def at(self, places: Array) -> Array:
        """The kernels at places (n, 2), y and x, pixels that count from 0: (n, h, w), as sampled in the file."""
        u, v = ((places[:, 1 - axis] + 1 - self.zero[axis]) / self.scale[axis] for axis in (0, 1))
        terms = np.stack([u**i * v**j for j in range(self.degree + 1) for i in range(self.degree + 1 - j)], 1)
        return np.asarray(np.tensordot(terms, self.basis, (1, 0)))

    def field(self, size: tuple[int, int] | None, notes: list[str]) -> BlurField:
        """The blur field of a picture.

        Args:
            size: (H, W) of it; None: that which the stars of the fit filled. notes: what there is to say is added.

        Raises:
            KernelError: a kernel of the field is clearly negative.
        """
        if size is None:
            size = (max(round(self.zero[1] + self.scale[1] / 2), 1), max(round(self.zero[0] + self.scale[0] / 2), 1))
            notes.append(f"The picture is taken to have {size[1]} x {size[0]} pixels, as far as the stars of the fit.")
        count = NODES if self.degree else 1
        lines = [node_places(count, side) for side in size]
        places = np.stack(np.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 2)
        kernels = self.at(places)
        if abs(self.sampling - 1) > 1e-3:
            kernels = at_pixels(kernels, self.sampling)
            notes.append(f"One sample is {self.sampling:.3g} pixels: it was resampled to pixels.")
        return PlacedKernels(usable(kernels, notes), places, size).field()


def polynomial_of(cards: Mapping[str, object], basis: NDArray[np.generic]) -> PolynomialPsf:
    """From the cards and the column of the table.

    Args:
        cards: of its header. basis: (K, h, w), or (h, w) of a constant one.

    Raises:
        KernelError: it depends on more than the place, its cards are missing, or do not go with the column.
    """
    parts: Array = np.asarray(basis, np.float64)
    parts = parts[None] if parts.ndim == 2 else parts
    axes, groups = cards.get("POLNAXIS", 0), cards.get("POLNGRP", 1)
    names = [str(cards.get(f"POLNAME{n}", "")).strip().upper() for n in (1, 2)]
    if axes == 0:
        degree, zero, scale = 0, (0.5, 0.5), (1.0, 1.0)
    elif axes != 2 or groups != 1 or names[0] not in _X or names[1] not in _Y:
        raise KernelError(
            f"its polynomial has {axes} axes ({', '.join(filter(None, names))}) in {groups} groups; only one of "
            "X_IMAGE and Y_IMAGE in one group is read: run PSFEx with PSFVAR_KEYS X_IMAGE,Y_IMAGE, PSFVAR_GROUPS 1,1"
        )
    else:
        degree = int(_number(cards, "POLDEG1"))
        zero, scale = (_pair(cards, name) for name in ("POLZERO", "POLSCAL"))
    terms = (degree + 1) * (degree + 2) // 2
    if not 0 <= degree <= MOST_DEGREE or parts.ndim != 3 or len(parts) != terms or 0 in parts.shape:
        raise KernelError(
            f"{COLUMN} has the shape {parts.shape}, and a polynomial of degree {degree} has {terms} terms: the file "
            "is damaged; run PSFEx again"
        )
    sampling = _number(cards, "PSF_SAMP", 1.0) or 1.0
    if min(scale) <= 0 or not 0.02 <= sampling <= 50 or not np.isfinite(parts).all():
        raise KernelError(f"its scale {scale}, sampling {sampling:g} or values cannot be; run PSFEx again")
    return PolynomialPsf(parts, degree, zero, scale, sampling)


def at_pixels(kernels: Array, sampling: float) -> Array:
    """Kernels (n, h, w) at whole pixels from their centre on, interpolated by Lanczos' window of 3 samples.

    Args:
        sampling: pixels to a sample. The samples hold the blur of the pixel already, so none is added.
    """
    for axis in (1, 2):
        n = kernels.shape[axis]
        reach = int((n // 2) * sampling + 1e-9)
        away = np.arange(-reach, reach + 1)[:, None] / sampling + n // 2 - np.arange(n)
        weights = np.where(abs(away) < 3, np.sinc(away) * np.sinc(away / 3), 0)
        weights /= weights.sum(1, keepdims=True)
        kernels = np.moveaxis(np.tensordot(weights, kernels, (1, axis)), 0, axis)
    return kernels


def _pair(cards: Mapping[str, object], name: str) -> tuple[float, float]:
    return _number(cards, f"{name}1"), _number(cards, f"{name}2")


def _number(cards: Mapping[str, object], key: str, fallback: float | None = None) -> float:
    value = cards.get(key, fallback)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise KernelError(f"the card {key} of {TABLE} is missing or no number; run PSFEx again")
    return float(value)
