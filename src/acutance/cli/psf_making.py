"""`acutance psf make`: point-spread functions from formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from torch import Tensor

from acutance.cli.console import emit, plain
from acutance.cli.lazy import Settings
from acutance.cli.targets import refuse_link
from acutance.errors import ConfigError, OutputError
from acutance.images.atomic import check_folder
from acutance.images.kernel_file import write_kernel
from acutance.images.kernel_volume import write_volume_kernel
from acutance.images.stack import Voxel
from acutance.psf.microscope import Layers, gibson_lanni
from acutance.psf.models import airy, gaussian_ellipsoid, moffat
from acutance.psf.shapes import gaussian

app = typer.Typer(help="Make a point-spread function from a formula.", no_args_is_help=True, **Settings)  # type: ignore[arg-type]

FLAT, DEEP = (".tif", ".tiff", ".npy", ".fits", ".fit", ".png", ".txt"), (".tif", ".tiff", ".npy")
"""Suffixes of files of kernels of two and of three axes."""

Output = Annotated[Path, typer.Option("-o", "--output", help=".tif, .npy, .fits, .png or .txt; of 3-D .tif or .npy.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")]
Size = Annotated[int | None, typer.Option(help="Side, odd, pixels; else what holds the light.")]


@app.command("moffat")
def _moffat(
    output: Output,
    fwhm: Annotated[float, typer.Option(help="Full width at half maximum, pixels.")],
    beta: Annotated[float, typer.Option(help="How steep the wings are, above 1.")] = 2.5,
    size: Size = None,
    overwrite: Overwrite = False,
) -> None:
    """A star behind the atmosphere."""
    ready(output, FLAT, overwrite)
    write_psf(output, moffat(fwhm, beta, size), overwrite=overwrite)


@app.command("airy")
def _airy(
    output: Output,
    radius: Annotated[float | None, typer.Option(help="Of the first dark ring, pixels.")] = None,
    wavelength: Annotated[float | None, typer.Option(help="In the unit of --pixel; instead of --radius.")] = None,
    na: Annotated[float | None, typer.Option(help="Numerical aperture.")] = None,
    pixel: Annotated[float | None, typer.Option(help="Size of a pixel in the plane of the object.")] = None,
    obscuration: Annotated[float, typer.Option(help="Central obstruction, part of the diameter.")] = 0.0,
    size: Size = None,
    overwrite: Overwrite = False,
) -> None:
    """A point behind a round aperture, in focus."""
    ready(output, FLAT, overwrite)
    kernel = airy(radius, wavelength=wavelength, na=na, pixel=pixel, obscuration=obscuration, size=size)
    write_psf(output, kernel, overwrite=overwrite)


@app.command("gaussian")
def _gaussian(
    output: Output,
    sigma: Annotated[str, typer.Option(help="Standard deviation in pixels; Z,Y,X for a volume.")],
    overwrite: Overwrite = False,
) -> None:
    """A Gaussian, of two or three axes."""
    sigmas = numbers(sigma, "--sigma", (1, 3))
    ready(output, FLAT if len(sigmas) == 1 else DEEP, overwrite)
    kernel = gaussian(sigmas[0]) if len(sigmas) == 1 else gaussian_ellipsoid((sigmas[0], sigmas[1], sigmas[2]))
    write_psf(output, kernel, overwrite=overwrite)


@app.command("gibson-lanni")
def _gibson_lanni(
    output: Output,
    na: Annotated[float, typer.Option(help="Numerical aperture.")],
    wavelength: Annotated[float, typer.Option(help="Of the emitted light, µm.")],
    voxel: Annotated[str, typer.Option(help="Z,Y,X in µm.")],
    size: Annotated[str | None, typer.Option(help="D,H,W, odd; else what holds the light.")] = None,
    depth: Annotated[float, typer.Option(help="Of the point below the cover glass, µm.")] = 0.0,
    sample: Annotated[float, typer.Option(help="Refractive index of the sample.")] = 1.33,
    immersion: Annotated[float, typer.Option(help="Refractive index of the immersion.")] = 1.515,
    glass: Annotated[float, typer.Option(help="Refractive index of the cover glass.")] = 1.515,
    thickness: Annotated[float, typer.Option(help="Of the cover glass, µm; designed for 170.")] = 170.0,
    overwrite: Overwrite = False,
) -> None:
    """A point below the cover glass of a fluorescence microscope; three axes."""
    z, y, x = numbers(voxel, "--voxel", (3,))
    sides = None if size is None else [int(n) for n in numbers(size, "--size", (3,))]
    ready(output, DEEP, overwrite)
    kernel = gibson_lanni(
        na, wavelength, (z, y, x), None if sides is None else (sides[0], sides[1], sides[2]), sample=sample,
        depth=depth, layers=Layers(immersion=immersion, glass=glass, glass_design=1.515, thickness=thickness),
    )  # fmt: skip
    write_psf(output, kernel, Voxel(z, y, x), overwrite=overwrite)


def numbers(text: str, option: str, counts: tuple[int, ...]) -> list[float]:
    """Numbers between commas.

    Raises:
        ConfigError: no numbers, or another count of them.
    """
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) not in counts:
        raise ConfigError(f"{option} {text}: give {' or '.join(map(str, counts))} numbers with commas between them")
    return found


def ready(output: Path, suffixes: tuple[str, ...], overwrite: bool) -> None:
    """Refuse a target before anything is computed."""
    if output.suffix.lower() not in suffixes:
        raise ConfigError(f"-o {output}: give a name that ends in {', '.join(suffixes)}")
    refuse_link(output)
    if output.exists() and not overwrite:
        raise OutputError(f"{output} exists; give --overwrite to replace it, or another name with -o")
    check_folder(output.parent)


def write_psf(output: Path, kernel: Tensor, voxel: Voxel | None = None, *, overwrite: bool) -> None:
    """Write a kernel of two or three axes and say so."""
    if kernel.ndim == 5:
        write_volume_kernel(output, kernel, voxel=voxel, overwrite=overwrite)
    else:
        write_kernel(output, kernel, overwrite=overwrite)
    emit(f"{plain(output)}: {' x '.join(map(str, kernel.shape[2:]))} pixels")
