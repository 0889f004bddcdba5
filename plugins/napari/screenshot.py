"""Draw the panel in a whole viewer: `python plugins/napari/screenshot.py panel.png`, on a display."""

from __future__ import annotations

import sys
import time

import napari
import numpy as np
import torch
from napari_acutance._widget import Deconvolve
from qtpy.QtWidgets import QApplication

from acutance.operators import Blur
from acutance.psf.models import gaussian_ellipsoid


def main(target: str) -> None:
    """Restore a synthetic stack of beads in the panel and write what is seen."""
    rng, x = np.random.default_rng(3), np.zeros((16, 128, 128))
    for z, row, col in zip(rng.integers(3, 12, 60), rng.integers(4, 110, 60), rng.integers(4, 110, 60), strict=True):
        x[z : z + 2, row : row + 2, col : col + 10] = rng.uniform(0.4, 1)
    psf = gaussian_ellipsoid((2.0, 2.0, 2.0), (13, 13, 13))
    light = Blur(psf, boundary="replicate").forward(torch.from_numpy(x)[None, None].float())[0, 0].numpy()
    counts = rng.poisson(200 * light.clip(0) / light.max()).astype(np.uint16)
    viewer = napari.Viewer(show=True)
    viewer.add_image(counts, name="beads", scale=(0.3, 0.1, 0.1), colormap="magenta")
    viewer.add_image(psf[0, 0].numpy(), name="PSF", scale=(0.3, 0.1, 0.1), visible=False)
    panel = Deconvolve(viewer)
    viewer.window.add_dock_widget(panel, name="Deconvolve")
    panel.method.setCurrentText("richardson-lucy")
    panel.settings.setText("steps=30")
    panel.begin(piece=False)
    while panel.run is not None:
        QApplication.processEvents()
        time.sleep(0.01)
    viewer.grid.enabled = True
    viewer.layers.remove("PSF")
    viewer.reset_view()
    for _ in range(20):
        QApplication.processEvents()
        time.sleep(0.05)
    viewer.screenshot(target, canvas_only=False, flash=False)
    viewer.close()


if __name__ == "__main__":
    main(sys.argv[1])
