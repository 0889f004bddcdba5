"""Weights of the authors of FDN and CSF, read from files in their form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from acutance.errors import ConfigError, WeightsError
from acutance.methods.spec import find
from acutance.weights import read_weights
from acutance_lab.train.foreign import convert_file, read_csf, read_fdn


def write_hdf5(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, value in arrays.items():
            file[name] = value
    return path


def fdn_arrays(stages: int = 2) -> dict[str, np.ndarray]:
    sizes = {f"conv{i}": (3, 3, 1 if i == 1 else 32, 1 if i == 6 else 32) for i in range(1, 7)} | {
        "dense1": (1, 16), "dense2": (16, 16), "dense3": (16, 16), "lambda": (16, 1),
    }  # fmt: skip
    draw = np.random.RandomState(0)
    found = {}
    for t in range(1, stages + 1):
        for layer, shape in sizes.items():
            found[f"model_{t + 1}/{layer}_{t}/kernel:0"] = 0.1 * draw.standard_normal(shape).astype(np.float32)
            found[f"model_{t + 1}/{layer}_{t}/bias:0"] = np.zeros(shape[-1], np.float32)
        found[f"model_{t + 1}/x_out_{t}/filter_weights:0"] = np.eye(24, dtype=np.float32)
    return found


def test_fdn_becomes_a_file_that_every_command_takes(tmp_path: Path) -> None:
    arrays = fdn_arrays()
    source = write_hdf5(tmp_path / "theirs.hdf5", arrays)
    convert_file("fdn", source, tmp_path / "ours.safetensors")
    found = read_weights(tmp_path / "ours.safetensors")
    model = find("fdn").build(weights=found.tensors, **found.card["model"])
    assert len(model.solver().steps) == 2
    kernel = torch.from_numpy(arrays["model_3/conv2_2/kernel:0"])
    torch.testing.assert_close(model.stages[1].convolutions[1].weight, kernel.permute(3, 2, 0, 1))


def csf_struct(count: int = 2, stages: int = 2) -> dict[str, Any]:
    draw = np.random.RandomState(1)
    filters, shrink = np.empty((count, stages), object), np.empty((count, stages), object)
    means = np.arange(-260.0, 261, 10)[:, None]
    for i in range(count):
        for t in range(stages):
            filters[i, t] = np.array([[0.0, -1.0, 1.0]]) if i == 0 else np.array([[0.0], [-1.0], [1.0]])
            shrink[i, t] = (means, draw.standard_normal((53, 1)), 0.01)
    fields = np.dtype([("means", object), ("weights", object), ("precision", object)])
    return {"f": filters, "shrink": shrink.astype(fields), "lambda": np.array([[0.5, 2.0]]), "sigma": 2.55,
            "nfilters": 2.0, "nstages": 2.0, "is_deblurring": 1.0}  # fmt: skip


@pytest.mark.parametrize("nested", [True, False], ids=["a struct", "its fields"])
def test_csf_is_read_from_a_mat_file(tmp_path: Path, nested: bool) -> None:
    from scipy.io import savemat

    content = csf_struct()
    path = tmp_path / "csf_pw.mat"
    savemat(path, {"model": content} if nested else content)
    found = read_csf(path)
    assert found.model == {
        "start": "tapered", "stages": 2, "side": 3, "filters": 2, "centres": 53, "reach": 260 / 255,
        "least": pytest.approx(0.01),
    }  # fmt: skip
    model = find("csf").build(weights=found.tensors, **found.model)
    expected = torch.tensor([[0, 0, 0], [1.0, -1.0, 0], [0, 0, 0]])  # a correlation
    torch.testing.assert_close(model.stages[0].field.bank.kernels()[0, 0], expected, rtol=0, atol=1e-6)
    weights = torch.from_numpy(content["shrink"][1, 1]["weights"][:, 0]).float() / 255
    torch.testing.assert_close(model.stages[1].field.functions.weight[1], weights)
    convert_file("csf", path, tmp_path / "ours.safetensors")
    assert read_weights(tmp_path / "ours.safetensors").card["model"]["filters"] == 2


def test_what_is_not_theirs_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "x.mat"
    text.write_text("no model")
    with pytest.raises(WeightsError, match="is no CSF model"):
        read_csf(text)
    with pytest.raises(WeightsError, match="no readable HDF5"):
        read_fdn(text)
    with pytest.raises(WeightsError, match="is no file"):
        read_fdn(tmp_path / "none")
    with pytest.raises(WeightsError, match="is no array of the authors' FDN"):
        read_fdn(write_hdf5(tmp_path / "other.hdf5", {"a/b": np.zeros(3)}))
    with pytest.raises(WeightsError, match="holds no arrays"):
        read_fdn(write_hdf5(tmp_path / "empty.hdf5", {}))
    with pytest.raises(ConfigError, match="fdn and csf can be converted"):
        convert_file("tnrd", text, tmp_path / "out.safetensors")
