"""Compressive sensing of pictures: a tenth of the numbers, and the picture again.

    b = Phi x,    x: blocks of 32 x 32 pixels, Phi learned together with the network that solves b -> x

The matrix belongs to the weights; measurements carry its hash, so that a picture is brought back with the pair that it
was measured with, or not at all.

Example:
    >>> # restorer = acutance.sensing.load(ratio=0.1)
    >>> # y = measure(restorer, read_image("photo.png")); recover(restorer, y).image
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acutance.errors import ConfigError, WeightsError
from acutance.images import Image
from acutance.images.image import ImageInfo
from acutance.images.measurement_file import Measurements, matrix_hash
from acutance.methods import capabilities
from acutance.operators import Sensing
from acutance.problem import Observer, Problem
from acutance.restoration.restored import Restoration
from acutance.restoration.restorer import Restorer
from acutance.tensors import brightness, filled
from acutance.weights import embedded, embedded_names

METHOD = "dgunet-sense"


def load(
    ratio: float | None = None, *, matrix: str | None = None, weights: Path | None = None, **options: Any
) -> Restorer:
    """A method that senses, with shipped weights by ratio or by the hash of the matrix, or with those of a file.

    Args:
        ratio: measurements for each pixel, 0.1 for 10 %; None: any. matrix: SHA-256; None: any. weights: a file.
        options: as `Restorer.load`.

    Raises:
        WeightsError: none are shipped that do, or a file's have another matrix.
    """
    if weights is not None:
        settings: dict[str, Any] = {} if ratio is None or weights.suffix == ".safetensors" else {"ratio": ratio}
        restorer = Restorer.load(METHOD, weights=weights, **settings, **options)
        own = matrix_of(restorer)
        if matrix is not None and matrix_hash(own) != matrix:
            raise WeightsError(f"these measurements were not made with the matrix of {weights}; give their own weights")
        if ratio is not None and abs(len(own) / 1024 - ratio) > 1 / 1024:
            raise WeightsError(f"{weights} measures {100 * len(own) / 1024:.3g} %, not {100 * ratio:.3g} %")
        return restorer
    for name, there, digest in shipped():
        if (ratio is None or math.isclose(there, ratio)) and (matrix is None or digest == matrix):
            return Restorer.load(METHOD, weights=Path(name), **options)
    ratios = ", ".join(f"{100 * there:g} %" for _, there, _ in shipped()) or "none"
    wanted = "with this matrix" if ratio is None else f"for {100 * ratio:g} %"
    raise WeightsError(f"no weights {wanted} are shipped (there are: {ratios}); give --weights, a file")


def shipped() -> Iterator[tuple[str, float, str]]:
    """Names of the shipped weights, their ratios and the hashes of their matrices."""
    for name in embedded_names():
        if name.startswith(METHOD):
            found = embedded(name)
            yield name, float(found.card["model"]["ratio"]), matrix_hash(found.tensors["network.sampling.weight"])


def matrix_of(restorer: Restorer) -> Tensor:
    """The sampling matrix of a method, (m, 1024).

    Raises:
        ConfigError: it has none.
    """
    matrix = capabilities.matrix_of(restorer.method)
    if matrix is None:
        raise ConfigError(f"{restorer.spec.name} does not measure; the method that does is {METHOD}")
    return matrix


@torch.no_grad()
def measure(restorer: Restorer, image: Image | Tensor) -> Measurements:
    """b = Phi x / s of a picture, or of its pixels (1, C, H, W) in any units; s: its brightness."""
    pixels = (image.pixels if isinstance(image, Image) else image).float()
    pixels = filled(pixels, torch.isfinite(pixels).to(pixels))
    size, matrix = (pixels.shape[-2], pixels.shape[-1]), matrix_of(restorer)
    scale = float(brightness(pixels))
    numbers = Sensing(matrix.to(restorer.device), size).measure((pixels / scale).to(restorer.device)).cpu()
    info = image.info if isinstance(image, Image) else ImageInfo(bits=32, is_float=True)
    alpha = image.alpha if isinstance(image, Image) else None
    alpha = None if alpha is None or bool((alpha >= 1).all()) else alpha
    return Measurements(
        numbers, size, pixels.shape[1], matrix_hash(matrix), restorer.weights or "", scale, alpha, info.bits,
        info.is_float, info.scale,
    )  # fmt: skip


def recover(restorer: Restorer, measured: Measurements, *, on_step: Observer | None = None) -> Restoration:
    """The picture that was measured.

    Raises:
        WeightsError: it was measured with another matrix.
    """
    matrix = matrix_of(restorer)
    if matrix_hash(matrix) != measured.matrix:
        made = f" ({measured.weights})" if measured.weights else ""
        raise WeightsError(
            f"these measurements were made with another sampling matrix{made}; give the weights of that one"
        )
    operator = Sensing(matrix.to(restorer.device), measured.size)
    problem = Problem(measured.numbers.to(restorer.device), operator)
    begun = time.perf_counter()
    result = restorer.method.run(problem, on_step=on_step)
    seconds = time.perf_counter() - begun
    info = ImageInfo(bits=measured.bits, is_float=measured.is_float, scale=measured.unit)
    image = Image(measured.scale * problem.crop(result.x).cpu(), measured.alpha, info)
    return Restoration(
        image, result, seconds, restorer.spec.name, restorer.weights, scale=measured.scale,
        numbers=measured.numbers.numel(),
    )  # fmt: skip
