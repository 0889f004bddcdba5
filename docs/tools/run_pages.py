"""Run every command that the user's pages print, as printed: `make docs-commands`. Some minutes.

A command stands behind "$ " in a block of `console`. Each runs in a folder with the files that the pages speak of, and
with what the commands before it made there, but for `photo-restored.jpg`, which would be in its way. Installations and
the service are passed over; the service has tests of its own (`tests/serve`, `tests/docs_pages_test.py`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.io
import tifffile
from astropy.io import fits
from PIL import Image

import acutance

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/index.md", "docs/photographs.md", "docs/science.md", "docs/choosing-a-method.md")
PASSED_OVER = ("pip ", "make ", "acutance serve", "curl ")


def commands(page: Path) -> list[str]:
    """What stands behind "$ " in the page's console blocks, without comments."""
    blocks = re.findall(r"^```console\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [re.sub(r"\s+#.*", "", line) for line in lines]


def set_up(folder: Path) -> None:
    """The files that the pages speak of, made from the sample."""
    shutil.copy(ROOT / "examples/shaken-kernel.png", folder / "psf.png")
    photo = np.asarray(Image.open(ROOT / "examples/shaken.jpg"))[:280, :420]
    Image.fromarray(photo).save(folder / "photo.jpg", quality=95)
    kernel = np.asarray(Image.open(folder / "psf.png"), np.float64)
    Image.fromarray(photo).save(folder / "photo.png")
    grey = (photo[:200, :240].astype(np.float64) @ (0.3, 0.6, 0.1) * 257).astype(np.uint16)
    tifffile.imwrite(folder / "frame.tif", grey)
    tifffile.imwrite(folder / "psf.tif", kernel.astype(np.float32))
    scipy.io.savemat(folder / "psf.mat", {"psf": kernel / kernel.sum()})
    cards = fits.Header([("BUNIT", "electron"), ("EXPTIME", 1200.0)])
    science = fits.ImageHDU(grey.astype(np.float32) / 40, cards, name="SCI")
    fits.HDUList([fits.PrimaryHDU(), science]).writeto(folder / "m31.fits")
    fits.PrimaryHDU(kernel.astype(np.float32)).writeto(folder / "psf.fits")
    fits.PrimaryHDU(stars()).writeto(folder / "stars.fits")
    bells = np.stack([np.exp(-(np.hypot(*np.mgrid[-4:5, -4:5]) ** 2) / (2 * s**2)) for s in (1.0, 1.3, 1.6)])
    fits.PrimaryHDU(stars()[:120, :40].reshape(3, 40, 40)).writeto(folder / "stamps.fits")
    fits.PrimaryHDU(bells.astype(np.float32)).writeto(folder / "kernels.fits")
    holes = np.full(grey.shape, 255, np.uint8)
    holes[50:60, 70:90] = 0
    Image.fromarray(holes).save(folder / "holes.png")
    planes = np.stack([grey[row : row + 64, :72] for row in range(0, 48, 4)])
    whole = {"axes": "ZYX", "spacing": 0.3, "unit": "um"}
    tifffile.imwrite(folder / "stack.tif", planes, imagej=True, resolution=(10.0, 10.0), metadata=whole)
    tifffile.imwrite(folder / "stack.ome.tif", planes, ome=True, metadata={"axes": "ZYX"}, photometric="minisblack")
    acutance.write_stack(folder / "volume.ome.zarr", acutance.Stack.of(planes))
    away = np.meshgrid(*(np.arange(n) - n // 2 for n in (5, 7, 7)), indexing="ij")
    psf = np.exp(-0.5 * sum(a**2 for a in away)).astype(np.float32)
    tifffile.imwrite(folder / "psf3d.tif", psf, photometric="minisblack")
    (folder / "scans").mkdir()
    for index in range(2):
        tifffile.imwrite(folder / "scans" / f"{index}.tif", grey[: 150 + index])


def stars() -> np.ndarray:
    """Counts of 81 stars of about 3.5 pixels on a sky of 50, 360 x 360 pixels."""
    rng, axis = np.random.default_rng(0), np.arange(-16, 17)
    field, bell = np.full((360, 360), 50.0), np.exp(-(axis[:, None] ** 2 + axis**2) / 4.5)
    for y in range(20, 340, 37):
        for x in range(20, 340, 37):
            field[y - 16 : y + 17, x - 16 : x + 17] += rng.uniform(1e4, 8e4) * bell / bell.sum()
    return rng.poisson(field).astype(np.float32)


def main(names: list[str]) -> int:
    """Run the commands of these pages; the number of those that failed."""
    failed = 0
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        set_up(folder)
        for page in names:
            for command in commands(ROOT / page):
                if command.startswith(PASSED_OVER):
                    continue
                (folder / "photo-restored.jpg").unlink(missing_ok=True)
                program, _, rest = command.partition(" ")
                module = {"acutance": "acutance", "acutance-lab": "acutance_lab"}[program]
                begun = time.monotonic()
                done = subprocess.run(
                    f"{sys.executable} -m {module} {rest}", shell=True, cwd=folder, env=environment, text=True,
                    capture_output=True, check=False,
                )  # fmt: skip
                print(f"{'FAILED' if done.returncode else 'ok':<7}{time.monotonic() - begun:6.1f} s  {page}: {command}")
                if done.returncode or "-v" in sys.argv:
                    print(done.stdout + done.stderr)
                sys.stdout.flush()
                failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main([name for name in sys.argv[1:] if name != "-v"] or list(PAGES)))
