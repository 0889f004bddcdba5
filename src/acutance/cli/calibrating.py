"""`acutance calibrate`: the profile of a camera and its lens, from photographs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from acutance.camera.calibration import GRID, Calibrated, Calibration
from acutance.camera.profile import BlurGrid, NoiseAt, Profile, write_profile
from acutance.cli.console import emit, escape, plain, progress_bar, say
from acutance.cli.psf_cells import cells_of
from acutance.cli.selection import Found, select
from acutance.cli.targets import refuse_link
from acutance.errors import ImageError, OutputError
from acutance.images import read_image
from acutance.images.atomic import check_folder


def calibrate(
    pictures: Annotated[
        list[Path], typer.Argument(help="Photographs of one camera, folders or quoted globs.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="File of the profile, .json.")],
    chart: Annotated[
        bool, typer.Option("--chart", help="They are of a printed chart, and all of its edges are in focus.")
    ] = False,
    grid: Annotated[str, typer.Option(help="ROWSxCOLUMNS of cells of the blur.")] = f"{GRID[0]}x{GRID[1]}",
    recursive: Annotated[bool, typer.Option("--recursive", help="Look into the folders of folders.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a profile that exists.")] = False,
    max_megapixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures.")] = 250,
) -> None:
    """Measure the noise of a camera by ISO and the blur of its lens, for `acutance restore --profile`.

    [dim]acutance calibrate holiday/*.jpg -o camera.json
    acutance calibrate chart/*.NEF --chart -o camera.json
    acutance restore photo.jpg --profile camera.json[/]
    """
    calibration = Calibration(chart=chart, grid=cells_of(grid))
    _check_output(output, overwrite=overwrite)
    selection = select(pictures, recursive=recursive, apart={output: "the profile"})
    for each in selection.skipped:
        if each.failed:
            say(f"[yellow]{escape(each.path)}:[/] {escape(each.why)}; it is left out")
    for name, why in _measured(calibration, selection.found, max_megapixels * 1_000_000):
        say(f"[yellow]{escape(name)}:[/] {escape(why)}; it is left out")
    done = calibration.finish()
    write_profile(output, done.profile, overwrite=overwrite)
    for line in described(done):
        emit(plain(line))
    for note in done.notes:
        say(f"[yellow]note:[/] {escape(note)}")
    emit(f"{plain(output)}: profile of {done.profile.pictures} pictures")


def _check_output(output: Path, *, overwrite: bool) -> None:
    """Refuse a file that the profile cannot be written to, before a picture is read.

    Raises:
        OutputError: another suffix, no folder, a link, or it exists.
    """
    if output.suffix.lower() != ".json":
        raise OutputError(f"-o {output}: a profile is a .json file; give it that suffix")
    refuse_link(output)
    check_folder(output.parent)
    if os.path.lexists(output) and not overwrite:
        raise OutputError(f"{output} exists; give --overwrite to replace it, or another name with -o")


def _measured(calibration: Calibration, found: tuple[Found, ...], most: int) -> Iterator[tuple[str, str]]:
    """Read the pictures and measure them; yields those that cannot be used, and why."""
    with progress_bar() as bar:
        task = bar.add_task("calibrate", total=len(found))
        for each in found:
            bar.update(task, description=escape(each.path.name))
            try:
                calibration.add(read_image(Path(f"{each.path}{each.where}"), max_pixels=most))
            except ImageError as error:
                yield str(each.path), str(error)
            bar.advance(task)


def described(done: Calibrated) -> list[str]:
    """The profile in words."""
    profile = done.profile
    lines = [_camera(profile)]
    if profile.noise:
        lines.append("noise in linear light, variance = gain x light + read, white being 1:")
        lines += [_noise(each) for each in profile.noise]
    if profile.blur is not None:
        lines.append(
            "blur of the lens, deviation along / across the radius in pixels (edges), row by row from the top:"
        )
        lines += _blur(profile.blur)
    return lines


def _camera(profile: Profile) -> str:
    aperture = None if profile.aperture is None else f"f/{profile.aperture:g}"
    focal = None if profile.focal_length is None else f"{profile.focal_length:g} mm"
    parts = (profile.camera or "camera not named", profile.lens, focal, aperture)
    return f"{', '.join(p for p in parts if p)}; {profile.width} x {profile.height} pixels"


def _noise(each: NoiseAt) -> str:
    where = "ISO not known" if each.iso is None else f"ISO {each.iso}"
    gain, read = (" ".join(f"{v:.3g}" for v in values) for values in (each.gain, each.read))
    return f"  {where}: gain {gain}, read {read} ({each.pictures} pictures)"


def _blur(blur: BlurGrid) -> list[str]:
    rows = zip(blur.radial, blur.tangential, blur.edges, strict=True)
    return ["  " + "  ".join(f"{r:.2f}/{t:.2f} ({n})" for r, t, n in zip(*row, strict=True)) for row in rows]
