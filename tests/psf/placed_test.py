"""Kernels for places of a picture: measured from a field of stars, written, read, and used to restore."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from astropy.io import fits
from numpy.typing import NDArray
from typer.testing import CliRunner

from acutance.cli.app import app
from acutance.errors import KernelError, OutputError
from acutance.metrics import psnr
from acutance.operators import BlurField
from acutance.psf.doctor import widths
from acutance.psf.files import is_field, read_field
from acutance.psf.measure_field import measure_field
from acutance.psf.placed import PlacedKernels, node_places, usable
from acutance.psf.placed_files import write_placed
from acutance.restoration.restorer import Restorer

Array = NDArray[np.float64]
SIDE = 360


def width_at(y: float, x: float) -> float:
    """Sigma of the bell: 1.3 pixels at the first pixel, 3.1 in the opposite corner."""
    return 1.3 + 0.9 * (x + y) / SIDE


def star_field(count: int, seed: int = 0) -> Array:
    """Stars behind the widening bell, on a sky of 50 counts with its noise."""
    rng = np.random.default_rng(seed)
    blurred = np.full((SIDE, SIDE), 50.0)
    cells = np.stack(np.meshgrid(*[np.arange(20, SIDE - 30, 40)] * 2, indexing="ij"), -1).reshape(-1, 2)
    places = cells[rng.permutation(len(cells))[:count]] + rng.integers(0, 14, (min(count, len(cells)), 2))
    grid = np.arange(-16, 17)
    for (y, x), flux in zip(places, 10 ** rng.uniform(4.2, 4.9, len(places)), strict=True):
        bell = np.exp(-(grid[:, None] ** 2 + grid**2) / (2 * width_at(y, x) ** 2))
        blurred[y - 16 : y + 17, x - 16 : x + 17] += flux * bell / bell.sum()
    return np.asarray(rng.normal(blurred, np.sqrt(blurred)))


def bells(grid: tuple[int, int], size: tuple[int, int], side: int = 15) -> PlacedKernels:
    middles = np.stack(np.meshgrid(*map(node_places, grid, size), indexing="ij"), -1).reshape(-1, 2)
    axis = np.arange(side) - side // 2
    made = [np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * width_at(y, x) ** 2)) for y, x in middles]
    return PlacedKernels(usable(np.stack(made), []), middles, size)


def test_the_cells_widths_are_those_of_the_field_and_its_corner_is_restored_better(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = measure_field(star_field(60), (3, 3), size=33)
    assert found.placed.size == (SIDE, SIDE)
    for (y, x), kernel in zip(found.placed.places, found.placed.kernels, strict=True):
        assert np.mean(widths(kernel)) == pytest.approx(2.3548 * width_at(y, x), rel=0.08)
    field, true = found.placed.field(), bells((8, 8), (SIDE, SIDE), 21).field()
    assert field.grid == (3, 3)
    g = torch.Generator().manual_seed(1)
    scene = torch.nn.functional.interpolate(torch.rand(1, 1, 60, 60, generator=g), size=true.domain_size(SIDE, SIDE))
    seen = true.forward(scene) + 0.002 * torch.randn(1, 1, SIDE, SIDE, generator=g)
    restorer, corner = Restorer.load("richardson-lucy", steps=20), (..., slice(-120, None), slice(-120, None))

    def quality(kernel: BlurField | torch.Tensor) -> float:
        return float(psnr(restorer(seen, kernel, sigma=0.002).image.pixels[corner], true.crop(scene)[corner]))

    before, local, mean = (
        float(psnr(seen[corner], true.crop(scene)[corner])),
        quality(field),
        quality(field.mean().kernel),
    )
    with capsys.disabled():
        print(f"\ncorner of the field: {before:.2f} dB, mean PSF {mean:.2f} dB, varying PSF {local:.2f} dB")  # noqa: T201
    assert local > mean + 0.5
    assert local > before + 1


def test_a_cell_with_too_few_stars_borrows() -> None:
    blurred = star_field(81, seed=2)
    blurred[:120, :120] = np.random.default_rng(0).normal(50, 7, (120, 120))
    found = measure_field(blurred, (3, 3), size=33)
    assert found.borrowed[0, 0] >= 3
    assert (found.stars >= 3).all()
    with pytest.raises(KernelError, match="give 1 to"):
        measure_field(blurred, (0, 3))


@pytest.mark.parametrize("suffix", [".fits", ".tif", ".npz"])
def test_kernels_come_back_from_their_file(tmp_path: Path, suffix: str) -> None:
    placed, file = bells((2, 3), (60, 90)), tmp_path / f"psfs{suffix}"
    write_placed(file, placed)
    assert is_field(file)
    found = read_field(file, (60, 90))
    assert found.kernel.grid == (2, 3)
    torch.testing.assert_close(found.kernel.kernels[:, :, 0].flatten(0, 1).double(), torch.from_numpy(placed.kernels),
                               rtol=0, atol=1e-7)  # fmt: skip
    assert "6 kernels" in found.notes[0]
    with pytest.raises(KernelError, match="90 x 60"):
        read_field(file, (61, 90))
    with pytest.raises(OutputError, match="exists"):
        write_placed(file, placed)


def test_the_file_is_that_of_stpsf(tmp_path: Path) -> None:
    write_placed(tmp_path / "psfs.fits", bells((2, 2), (40, 40)))
    with fits.open(tmp_path / "psfs.fits") as hdus:
        hdus.verify("exception")
        assert hdus[0].data.shape == (4, 15, 15)
        assert hdus[0].header["DET_YX1"] == "(9.500, 29.500)"


def test_a_table_of_places_counts_from_one(tmp_path: Path) -> None:
    placed = bells((2, 2), (40, 40))
    columns = [fits.Column(n, "D", array=placed.places[:, i] + 1) for n, i in (("X", 1), ("Y", 0))]
    units = [fits.PrimaryHDU(placed.kernels), fits.BinTableHDU.from_columns(columns)]
    fits.HDUList(units).writeto(tmp_path / "psfs.fits")
    found = read_field(tmp_path / "psfs.fits", (40, 40)).kernel
    torch.testing.assert_close(found.kernels[1, 0, 0].double(), torch.from_numpy(placed.kernels[2]), rtol=0, atol=1e-7)
    with pytest.raises(KernelError, match="size of the picture"):
        read_field(tmp_path / "psfs.fits")


def test_places_beside_the_nodes_are_blended() -> None:
    placed = bells((2, 2), (40, 40))
    corners = PlacedKernels(placed.kernels, np.array([[0.0, 0], [0, 39], [39, 0], [39, 39]]))
    field = corners.field((40, 40))
    assert field.grid == (4, 4)
    nodes = node_places(4, 40) / 39
    wanted = sum(a * b * k for (a, b), k in zip(
        ((u, v) for u in (1 - nodes[1], nodes[1]) for v in (1 - nodes[2], nodes[2])), placed.kernels, strict=True)
    )  # fmt: skip
    np.testing.assert_allclose(field.kernels[1, 2, 0].numpy(), wanted, atol=1e-6)
    scattered = PlacedKernels(placed.kernels[:3], np.array([[9.5, 9.5], [9.5, 29.5], [29.5, 20.0]]), (40, 40)).field()
    torch.testing.assert_close(scattered.kernels.sum((-2, -1)), torch.ones(scattered.kernels.shape[:3]))


def polynomial(path: Path, **cards: object) -> Array:
    """A file as PSFEx writes it: a bell that widens along x and a part that grows along y."""
    axis = np.arange(15) - 7
    bell = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * 2.0**2))
    wide = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * 3.0**2))
    basis = np.stack([bell, 0.2 * wide, 0.1 * bell[::-1] * (axis > 0)])
    table = fits.BinTableHDU.from_columns([fits.Column("PSF_MASK", "675E", dim="(15,15,3)", array=[basis])])
    head = {"EXTNAME": "PSF_DATA", "POLNAXIS": 2, "POLGRP1": 1, "POLNAME1": "X_IMAGE", "POLZERO1": 50.5,
            "POLSCAL1": 100.0, "POLGRP2": 1, "POLNAME2": "Y_IMAGE", "POLZERO2": 30.5, "POLSCAL2": 60.0, "POLNGRP": 1,
            "POLDEG1": 1, "PSF_SAMP": 1.0}  # fmt: skip
    table.header.update({**head, **cards})
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return basis


def test_a_polynomial_of_psfex_is_its_formula(tmp_path: Path) -> None:
    basis = polynomial(tmp_path / "a.psf")
    found = read_field(tmp_path / "a.psf", (60, 100))
    rows, cols = found.kernel.grid
    y, x = node_places(rows, 60)[5], node_places(cols, 100)[2]
    wanted = basis[0] + (x + 1 - 50.5) / 100 * basis[1] + (y + 1 - 30.5) / 60 * basis[2]
    wanted = np.maximum(wanted, 0) / np.maximum(wanted, 0).sum()
    np.testing.assert_allclose(found.kernel.kernels[5, 2, 0].numpy(), wanted, atol=1e-6)
    assert "degree 1" in found.notes[0]
    assert any("100 x 60" in note for note in read_field(tmp_path / "a.psf").notes)


@pytest.mark.parametrize("sampling", [0.5, 0.8, 1.6])
def test_a_polynomial_with_another_step_is_its_bell_at_the_pixels(tmp_path: Path, sampling: float) -> None:
    polynomial(tmp_path / "a.psf", PSF_SAMP=sampling, POLZERO1=-1e6, POLSCAL1=1e9, POLZERO2=-1e6, POLSCAL2=1e9)
    kernel = read_field(tmp_path / "a.psf", (60, 100)).kernel.kernels[3, 3, 0].double().numpy()
    axis = (np.arange(len(kernel)) - len(kernel) // 2) / sampling
    wanted = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * 2.0**2))
    np.testing.assert_allclose(kernel, wanted / wanted.sum(), atol=0.01 * float(wanted.max() / wanted.sum()))


@pytest.mark.parametrize(
    ("cards", "said"),
    [({"POLDEG1": 3}, "terms"), ({"POLNAME1": "MAG_AUTO"}, "X_IMAGE"), ({"POLNAXIS": 3}, "3 axes"),
     ({"PSF_SAMP": -1.0}, "sampling"), ({"POLSCAL1": "wide"}, "POLSCAL1")],
)  # fmt: skip
def test_other_polynomials_are_refused(tmp_path: Path, cards: dict[str, object], said: str) -> None:
    polynomial(tmp_path / "a.psf", **cards)
    with pytest.raises(KernelError, match=said):
        read_field(tmp_path / "a.psf", (60, 100))


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    placed = bells((2, 2), (40, 40))
    tifffile.imwrite(tmp_path / "few.tif", placed.kernels.astype("f4"), photometric="minisblack", metadata=None,
                     description='{"positions": [[1, 2]]}')  # fmt: skip
    np.savez(tmp_path / "nan.npz", kernels=placed.kernels * np.nan, positions=placed.places)
    np.savez(tmp_path / "far.npz", kernels=placed.kernels, positions=placed.places + 1000)
    cube = fits.PrimaryHDU(placed.kernels)
    cube.header["DET_YX0"] = "(1, 2)"
    cube.writeto(tmp_path / "some.fits")
    cube.header["OVERSAMP"] = 4
    cube.writeto(tmp_path / "fine.fits")
    for name, said in (("few.tif", "4 kernels and places"), ("nan.npz", "NaN"), ("far.npz", "outside of"),
                       ("some.fits", "DET_YX1"), ("fine.fits", "OVERSAMP")):  # fmt: skip
        with pytest.raises(KernelError, match=said):
            read_field(tmp_path / name, (40, 40))
    (tmp_path / "text.fits").write_text("no FITS")
    fits.PrimaryHDU(placed.kernels).writeto(tmp_path / "cube.fits")
    assert not is_field(tmp_path / "text.fits")
    assert not is_field(tmp_path / "cube.fits")


def test_the_program_measures_cells_and_restores_with_them(tmp_path: Path) -> None:
    blurred = star_field(81)
    fits.PrimaryHDU(blurred.astype("f4")).writeto(tmp_path / "stars.fits")
    run = CliRunner()
    made = run.invoke(
        app, ["psf", str(tmp_path / "stars.fits"), "--grid", "3x3", "--size", "33", "-o", str(tmp_path / "psfs.fits")]
    )
    assert made.exit_code == 0, made.output
    assert "3 x 3 kernels" in made.output
    command = ["restore", str(tmp_path / "stars.fits"), "--kernel", str(tmp_path / "psfs.fits")]
    command += ["--method", "richardson-lucy:steps=3", "-o", str(tmp_path / "sharp.fits")]
    done = run.invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "9 kernels at their places" in done.output
    assert fits.getdata(tmp_path / "sharp.fits").max() > blurred.max()
    wrong = run.invoke(app, ["psf", str(tmp_path / "stars.fits"), "--grid", "3", "-o", str(tmp_path / "b.fits")])
    assert wrong.exit_code != 0
