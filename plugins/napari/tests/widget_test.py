"""The panel in a viewer without a window, and once in a whole one with its manifest."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("napari")
pytest.importorskip("qtpy.QtWidgets", exc_type=ImportError)

from napari.components import ViewerModel
from napari_acutance._widget import DEFAULT, Deconvolve
from qtpy.QtWidgets import QApplication

PSF = np.outer([1.0, 2, 1], [1, 2, 1]) / 16
CUBE = np.stack([PSF, 2 * PSF, PSF]) / 4


@pytest.fixture(scope="session")
def application() -> QApplication:
    return QApplication.instance() or QApplication([])


@pytest.fixture
def panel(application: QApplication) -> Iterator[Deconvolve]:
    viewer = ViewerModel()
    viewer.add_image(
        np.random.default_rng(0).poisson(40, (6, 48, 64)).astype(np.uint16), name="cells", scale=(0.3, 0.1, 0.1),
        translate=(1, 2, 3), units=("um", "um", "um"), colormap="green",
    )  # fmt: skip
    viewer.add_image(CUBE, name="PSF")
    panel = Deconvolve(viewer)
    yield panel
    panel.close()


def wait(until: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.005)
    assert until(), "it took too long"


def choose(panel: Deconvolve, method: str, settings: str = "") -> None:
    panel.method.setCurrentText(method)
    panel.settings.setText(settings)


def test_layers_and_methods_are_listed(panel: Deconvolve) -> None:
    assert panel.image.currentText() == "cells"
    assert panel.psf.currentText() == "PSF"
    names = [panel.method.itemText(i) for i in range(panel.method.count())]
    assert names[0] == DEFAULT
    assert "wiener" in names
    assert "acute" not in names
    panel.viewer.add_image(PSF, name="flat psf")
    panel.psf.setCurrentText("flat psf")
    assert "acute" in [panel.method.itemText(i) for i in range(panel.method.count())]


def test_the_result_is_a_layer_in_the_same_place(panel: Deconvolve) -> None:
    choose(panel, "richardson-lucy", "steps=3")
    panel.begin(piece=False)
    assert panel.stop.isEnabled()
    wait(lambda: panel.run is None)
    old, new = panel.viewer.layers["cells"], panel.viewer.layers[-1]
    assert new.name == "cells restored (richardson-lucy:steps=3)"
    assert new.data.shape == old.data.shape
    assert new.data.dtype == np.uint16
    np.testing.assert_array_equal(new.scale, old.scale)
    np.testing.assert_array_equal(new.translate, old.translate)
    assert list(new.units) == list(old.units)
    assert new.colormap.name == "green"
    assert panel.bar.value() == 100


def test_a_preview_lies_where_its_piece_is(panel: Deconvolve) -> None:
    choose(panel, "wiener")
    panel.side.setValue(16)
    panel.viewer.camera.center = (0, 2 + 0.1 * 24, 3 + 0.1 * 40)
    panel.begin(piece=True)
    wait(lambda: panel.run is None)
    new = panel.viewer.layers[-1]
    assert new.data.shape == (6, 16, 16)
    np.testing.assert_allclose(new.translate, (1, 2 + 0.1 * 16, 3 + 0.1 * 32))
    np.testing.assert_allclose(new.scale, (0.3, 0.1, 0.1))


def test_a_run_is_stopped(panel: Deconvolve) -> None:
    choose(panel, "richardson-lucy", "steps=100000")
    panel.begin(piece=False)
    wait(lambda: panel.bar.value() >= 0 and panel.run is not None)
    panel.cancel()
    wait(lambda: panel.run is None)
    assert panel.said.text() == "stopped"
    assert len(panel.viewer.layers) == 2


def test_errors_are_said_in_the_panel(panel: Deconvolve) -> None:
    choose(panel, "wiener", "steps=3")
    panel.begin(piece=False)
    wait(lambda: panel.run is None)
    assert "steps" in panel.said.text()
    choose(panel, DEFAULT, "steps=3")
    panel.begin(piece=False)
    assert "choose one" in panel.said.text()
    panel.psf.setCurrentText("cells")
    panel.begin(piece=False)
    assert "choose a layer" in panel.said.text()


def test_the_manifest_names_the_panel() -> None:
    npe2 = pytest.importorskip("npe2")
    import napari_acutance

    manifest: Any = npe2.PluginManifest.from_file(Path(napari_acutance.__file__).with_name("napari.yaml"))
    assert manifest.name == "napari-acutance"
    assert manifest.contributions.commands[0].exec is not None
    command = manifest.contributions.commands[0].python_name
    assert command == f"{Deconvolve.__module__}:{Deconvolve.__name__}"
