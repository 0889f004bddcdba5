"""The notebooks run from the first cell to the last, on the data that lie beside them, which are those of the seed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from astropy.io import fits

nbformat: Any = pytest.importorskip("nbformat")
nbclient: Any = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "examples/notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(path, as_version=4)
    said = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code"), "save it with its outputs"
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()
    again = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert [len(outputs) > 0 for outputs in again] == [len(outputs) > 0 for outputs in said]


def test_there_are_two() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["astronomer", "microscope"]


def test_the_data_are_those_of_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ROOT / "examples/notebooks"
    monkeypatch.syspath_prepend(str(folder))
    import make_data  # type: ignore[import-not-found]

    try:
        np.testing.assert_array_equal(fits.getdata(folder / "stars.fits"), make_data.stars()[0])
        differ = tifffile.imread(folder / "beads.tif").astype(int) - make_data.beads()
        assert (differ != 0).mean() < 0.01  # the transforms round differently on other processors
    finally:
        sys.modules.pop("make_data", None)
