"""Make the data of the notebooks, with a seed: `python examples/notebooks/make_data.py`.

beads.tif     filaments in a volume of 16 x 72 x 72 voxels, behind Gibson and Lanni's PSF, counts of photons
stars.fits    100 stars on 360 x 360 pixels in electrons, behind a bell that widens to one corner; the sky is SKY
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray

from acutance.operators import Blur
from acutance.psf.microscope import gibson_lanni

HERE = Path(__file__).parent
VOXEL = (0.3, 0.1, 0.1)
SKY = 200.0

Array = NDArray[np.float64]


def filaments() -> Array:
    """The volume that was seen, (16, 72, 72): thin lines, brightness 0.4 to 1."""
    rng, x = np.random.default_rng(11), np.zeros((16, 72, 72))
    for _ in range(14):
        place, way = rng.uniform((3, 8, 8), (13, 64, 64)), rng.normal(0, (0.25, 1, 1))
        brightness = rng.uniform(0.4, 1)
        for t in np.arange(-30, 30, 0.3):
            at = np.rint(place + t * way / np.linalg.norm(way)).astype(int)
            if (at >= 1).all() and (at < np.array(x.shape) - 1).all():
                x[tuple(at)] = brightness
    return x


def psf() -> torch.Tensor:
    """The PSF of the microscope, (1, 1, 13, 31, 31)."""
    return gibson_lanni(1.2, 0.52, VOXEL, (13, 31, 31), depth=2.0)


def beads() -> NDArray[np.uint16]:
    """Counts of photons behind the PSF, up to 300, on a dark ground of 2."""
    light = Blur(psf(), boundary="replicate").forward(torch.from_numpy(filaments())[None, None].float())[0, 0].numpy()
    counts = np.random.default_rng(12).poisson(300 * np.clip(light, 0, None) / light.max() + 2)
    return counts.astype(np.uint16)


def width_at(y: float, x: float) -> float:
    """Standard deviation of the bell, pixels."""
    return 1.3 + 0.8 * (x + y) / 360


def stars() -> tuple[NDArray[np.int32], Array]:
    """The frame, (360, 360), and y, x and flux of each star."""
    rng, axis = np.random.default_rng(13), np.arange(-16, 17)
    grid = np.stack(np.meshgrid(*[np.arange(20, 330, 34)] * 2, indexing="ij"), -1).reshape(-1, 2)
    places = grid + rng.uniform(0, 6, grid.shape)
    flux = 10 ** rng.uniform(4, 5, len(places))
    frame = np.full((360, 360), SKY)
    for (y, x), f in zip(places, flux, strict=True):
        row, col = int(y), int(x)
        bell = np.exp(-((axis[:, None] + row - y) ** 2 + (axis + col - x) ** 2) / (2 * width_at(y, x) ** 2))
        frame[row - 16 : row + 17, col - 16 : col + 17] += f * bell / bell.sum()
    return rng.poisson(frame).astype(np.int32), np.column_stack([places, flux])


def main() -> None:
    """Write both files."""
    from astropy.io import fits

    whole = {"axes": "ZYX", "spacing": VOXEL[0], "unit": "um"}
    tifffile.imwrite(HERE / "beads.tif", beads(), imagej=True, resolution=(1 / VOXEL[2], 1 / VOXEL[1]), metadata=whole)
    frame, _ = stars()
    cards = fits.Header([("OBJECT", "made by a seed"), ("BUNIT", "electron"), ("EXPTIME", 120.0)])
    fits.PrimaryHDU(frame.astype(np.int16), cards).writeto(HERE / "stars.fits", overwrite=True)


if __name__ == "__main__":
    main()
