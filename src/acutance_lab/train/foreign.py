"""Weights of the authors of FDN and CSF as ours: their HDF5 and MAT files are read here, and nowhere in the product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from acutance.errors import ConfigError, MissingExtra, WeightsError
from acutance.methods import csf, fdn
from acutance.methods.spec import StateDict, find
from acutance.weights import write_weights

LARGEST = 256 * 1024**2
"""Bytes above which a file is refused; those of the authors have 2 MB."""


@dataclass(frozen=True, eq=False)
class Converted:
    """Weights in our names, and the settings that they want."""

    tensors: StateDict
    model: dict[str, Any]


def read_fdn(path: Path) -> Converted:
    """FDN from the authors' HDF5, which Keras wrote.

    Raises:
        MissingExtra: h5py is not installed. WeightsError: unreadable, or not FDN.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtra("reading HDF5", "lab") from None
    arrays: dict[str, Tensor] = {}

    def take(name: str, content: Any) -> None:
        if isinstance(content, h5py.Dataset):
            arrays[name] = torch.from_numpy(np.asarray(content[()], dtype=np.float32))

    _check(path)
    try:
        with h5py.File(path, "r") as file:
            file.visititems(take)
    except Exception as error:  # whatever a damaged file raises, the answer is the same
        raise WeightsError(f"{path} is no readable HDF5 file ({type(error).__name__}: {error})") from None
    if not arrays:
        raise WeightsError(f"{path} holds no arrays")
    tensors = fdn.convert(arrays)
    stages = len({name.split(".")[1] for name in tensors})
    return Converted(tensors, {**fdn.CONVERTED, "stages": stages})


def read_csf(path: Path) -> Converted:
    """CSF from the authors' MAT file: a struct with f, lambda, shrink (means, weights, precision) and sigma.

    The model is for one noise level, and its filters sum to 0 or it is refused.

    Raises:
        MissingExtra: SciPy is not installed. WeightsError: unreadable, or not CSF.
    """
    try:
        from scipy.io import loadmat
    except ImportError:
        raise MissingExtra("reading MAT files", "lab") from None
    _check(path)
    try:
        content = {k: v for k, v in loadmat(path, simplify_cells=False).items() if not k.startswith("__")}
        if len(content) == 1 and next(iter(content.values())).dtype.names:
            (whole,) = content.values()
            content = {name: whole[name][0, 0] for name in whole.dtype.names}
        shrink, filters = content["shrink"], content["f"]
        means = _vector(shrink[0, 0]["means"])
        count, stages = shrink.shape
        weights = torch.stack([torch.stack([_vector(shrink[i, t]["weights"]) for i in range(count)])
                               for t in range(stages)])  # fmt: skip
        spread = {float(shrink[i, t]["precision"][0, 0]) for i in range(count) for t in range(stages)}
        bank = [[torch.from_numpy(np.array(filters[i, t], dtype=np.float64)) for i in range(count)]
                for t in range(stages)]  # fmt: skip
        data, sigma = _vector(content["lambda"]), float(content["sigma"][0, 0])
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged or foreign file raises, the answer is the same
        raise WeightsError(
            f"{path} is no CSF model ({type(error).__name__}: {error}); expected f, lambda, shrink and sigma"
        ) from None
    distance = float(means[1] - means[0])
    if any(abs(p * distance**2 - 1) > 1e-3 for p in spread):
        raise WeightsError(f"{path}: the width of the functions is not the distance of their centres")
    return Converted(*csf.convert(bank, weights, data, means, sigma))


READERS: dict[str, Callable[[Path], Converted]] = {"fdn": read_fdn, "csf": read_csf}
"""By the name of the method."""


def convert_file(method: str, path: Path, output: Path) -> str:
    """Write the authors' weights in a file as safetensors and a card; returns the SHA-256.

    Raises:
        ConfigError: no such reader. WeightsError: see the readers; or they do not fit the method.
    """
    if method not in READERS:
        raise ConfigError(f"method={method!r}: weights of {' and '.join(READERS)} can be converted")
    found = READERS[method](path)
    find(method).build(weights=found.tensors, **found.model)
    card = {"name": f"{method}-{path.stem}", "method": method, "model": found.model, "source": path.name,
            "licence": "that of the authors"}  # fmt: skip
    return write_weights(output, found.tensors, card)


def _check(path: Path) -> None:
    try:
        size = path.stat().st_size if path.is_file() else None
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None
    if size is None:
        raise WeightsError(f"{path} is no file; give the authors' weights")
    if size > LARGEST:
        raise WeightsError(f"{path} has {size / 1e6:.0f} MB; files of weights up to {LARGEST // 1024**2} MB are read")


def _vector(array: Any) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float64).ravel())
