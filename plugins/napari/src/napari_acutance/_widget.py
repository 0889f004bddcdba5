"""The panel: layer, PSF, method, preview, start and stop."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QWidget,
)

from napari_acutance._work import Array, Box, Cancelled, Request, box_around, message_of, methods_for, restore

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

DEFAULT = "default"


class Run(QObject):  # type: ignore[misc]
    """A restoration in a thread of its own; its signals arrive in the thread of the window."""

    moved = Signal(float)
    ended = Signal(object, str)

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request, self._stop = request, threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Stop after the present step."""
        self._stop.set()

    def _work(self) -> None:
        values, said = None, ""
        try:
            values = restore(self._request, self.moved.emit, self._stop.is_set)
        except Cancelled:
            said = "stopped"
        except Exception as error:  # whatever it is, the panel says it
            said = message_of(error)
        self.ended.emit(values, said)


class Deconvolve(QWidget):  # type: ignore[misc]
    """The panel of the plugin.

    Args:
        viewer: whose layers are restored.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.viewer, self.run = viewer, None
        self.image, self.psf, self.method = QComboBox(), QComboBox(), QComboBox()
        self.settings = QLineEdit()
        self.settings.setPlaceholderText("steps=100,strength=0.5")
        self.side = QSpinBox()
        self.side.setRange(16, 4096)
        self.side.setValue(256)
        self.preview, self.start, self.stop = QPushButton("Preview"), QPushButton("Restore"), QPushButton("Stop")
        self.bar, self.said = QProgressBar(), QLabel()
        self.said.setWordWrap(True)
        form = QFormLayout(self)
        for name, widget in (
            ("Layer", self.image), ("PSF", self.psf), ("Method", self.method), ("Settings", self.settings),
            ("Preview side", self.side),
        ):  # fmt: skip
            form.addRow(name, widget)
        buttons = QHBoxLayout()
        for button in (self.preview, self.start, self.stop):
            buttons.addWidget(button)
        form.addRow(buttons)
        form.addRow(self.bar)
        form.addRow(self.said)
        self.preview.clicked.connect(lambda: self.begin(piece=True))
        self.start.clicked.connect(lambda: self.begin(piece=False))
        self.stop.clicked.connect(self.cancel)
        self.psf.currentIndexChanged.connect(self._list_methods)
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(self._list_layers)
        self._list_layers()
        self._busy(False)

    def begin(self, *, piece: bool) -> None:
        """Restore the chosen layer, or the piece of it that is in the middle of the view."""
        layer, psf = self._chosen(self.image), self._chosen(self.psf)
        if layer is None or psf is None or layer is psf or self.run is not None:
            self.said.setText("choose a layer and another one that holds its point-spread function")
            return
        box = self._box(layer) if piece else None
        method = None if self.method.currentText() == DEFAULT else self.method.currentText()
        settings = self.settings.text().strip()
        if settings and method is None:
            self.said.setText("settings belong to a method: choose one")
            return
        request = Request(
            _array(layer.data), _array(psf.data), f"{method}:{settings}" if settings else method, bool(layer.rgb), box
        )
        self.run = Run(request)
        self.run.moved.connect(lambda share: self.bar.setValue(round(100 * share)))
        self.run.ended.connect(lambda values, said: self._end(layer, request, values, said))
        self._busy(True)
        self.said.setText("")
        self.run.start()

    def cancel(self) -> None:
        """Stop after the present step; nothing is added."""
        if self.run is not None:
            self.run.cancel()
            self.said.setText("stopping after this step")

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Stop with the panel."""
        self.cancel()
        super().closeEvent(event)

    def _end(self, layer: Image, request: Request, values: Array | None, said: str) -> None:
        self.run = None
        self._busy(False)
        self.said.setText(said)
        if values is None:
            return
        method = request.method or "acutance"
        kind = "preview" if request.box else "restored"
        added = self.viewer.add_image(values, name=f"{layer.name} {kind} ({method})", rgb=request.rgb, **_look(layer))
        if request.box is not None:
            added.translate = _shifted(layer, request.box)
        self.said.setText(f"{added.name}: done")

    def _box(self, layer: Image) -> Box:
        """The piece about the middle of the view, else of the layer."""
        shape = layer.data.shape[: layer.ndim]
        centre = np.array(layer.world_to_data(_world(self.viewer, layer.ndim)))[-2:]
        inside = (centre >= 0).all() and (centre < shape[-2:]).all()
        middle = centre if inside else np.array(shape[-2:]) / 2
        return box_around((float(middle[0]), float(middle[1])), self.side.value(), (shape[-2], shape[-1]))

    def _chosen(self, box: QComboBox) -> Image | None:
        return next((layer for layer in self.viewer.layers if layer.name == box.currentText()), None)

    def _list_layers(self, event: object = None) -> None:
        """The pictures among the layers; what is chosen stays so."""
        names = [layer.name for layer in self.viewer.layers if hasattr(layer, "rgb")]
        for box, likely in ((self.image, lambda n: "psf" not in n.lower()), (self.psf, lambda n: "psf" in n.lower())):
            before = box.currentText()
            box.blockSignals(True)
            box.clear()
            box.addItems(names)
            wanted = before if before in names else next((n for n in names if likely(n)), None)
            box.setCurrentIndex(names.index(wanted) if wanted is not None else -1)
            box.blockSignals(False)
        self._list_methods()

    def _list_methods(self, index: int = 0) -> None:
        psf, before = self._chosen(self.psf), self.method.currentText()
        names = [DEFAULT, *methods_for(2 if psf is None else np.ndim(psf.data))]
        self.method.clear()
        self.method.addItems(names)
        self.method.setCurrentIndex(max(names.index(before) if before in names else 0, 0))

    def _busy(self, busy: bool) -> None:
        self.stop.setEnabled(busy)
        self.preview.setEnabled(not busy)
        self.start.setEnabled(not busy)
        if busy:
            self.bar.setValue(0)


def _array(data: Any) -> Array:
    """The values of a layer; those of the finest level where it has several."""
    return np.asarray(data[0] if hasattr(data, "nlevels") or isinstance(data, list | tuple) else data)


def _look(layer: Image) -> dict[str, Any]:
    """Where a layer lies and how it is drawn, for one beside it."""
    same = {key: getattr(layer, key) for key in ("scale", "translate", "rotate", "shear", "affine")}
    same |= {key: getattr(layer, key) for key in ("units", "axis_labels") if hasattr(layer, key)}
    return same if layer.rgb else {**same, "colormap": layer.colormap.name}


def _shifted(layer: Image, box: Box) -> Array:
    """The `translate` of a piece of a layer."""
    first = np.zeros(layer.ndim)
    away = np.array(layer.data_to_world((*first[:-2], *box[:2]))) - np.array(layer.data_to_world(first))
    return np.asarray(layer.translate) + np.linalg.solve(np.asarray(layer.affine.linear_matrix), away)


def _world(viewer: Viewer, axes: int) -> tuple[float, ...]:
    """The middle of the view, in the coordinates of the world, for the last so many axes."""
    point = list(viewer.dims.point)
    shown = list(viewer.dims.displayed)[-2:]
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera  # until napari 0.9
    for axis, value in zip(shown, camera.center[-2:], strict=True):
        point[axis] = value
    return tuple(point[-axes:])
