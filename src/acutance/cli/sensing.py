"""`acutance sense`, and what `acutance restore` does with the files that it writes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.batch import Settings, run_all
from acutance.cli.console import emit, escape, parse_precision, plain, say
from acutance.cli.reporting import Report
from acutance.cli.tally import Tally
from acutance.cli.targets import Job, refuse_link
from acutance.cli.watching import Watch
from acutance.errors import ConfigError, OutputError
from acutance.images import read_image, write_image
from acutance.images.atomic import check_folder
from acutance.images.fits_layout import split
from acutance.images.image import ImageInfo
from acutance.images.measurement_file import SUFFIX, read_measurements, write_measurements
from acutance.sensing import load, measure, recover


def sense(
    picture: Annotated[Path, typer.Argument(help="A picture.", show_default=False)],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File of measurements, .cs.")] = None,
    ratio: Annotated[float, typer.Option(help="Numbers for each pixel and channel, per cent.")] = 10.0,
    weights: Annotated[Path | None, typer.Option(help="Weights whose matrix is taken, other than shipped.")] = None,
    bits: Annotated[int, typer.Option(help="Of a number in the file, 16 or 32.")] = 16,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
    max_megapixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures.")] = 250,
) -> None:
    """Measure a picture by few numbers, compressively; `acutance restore` makes it a picture again.

    [dim]acutance sense photo.png --ratio 10 -o y.cs
    acutance restore y.cs -o again.png[/]
    """
    target = output if output is not None else split(picture)[0].with_suffix(SUFFIX)
    if target.suffix.lower() != SUFFIX:
        raise ConfigError(f"-o {target}: measurements go to a file of the suffix {SUFFIX}")
    refuse_link(target)
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists; give --overwrite to replace it, or another name with -o")
    if bits not in (16, 32):
        raise ConfigError(f"--bits {bits}: give 16 or 32")
    if not 0 < ratio <= 100:
        raise ConfigError(f"--ratio {ratio:g}: a percentage, above 0 and at most 100; 10 for a tenth of the numbers")
    check_folder(target.parent)
    restorer = load(ratio / 100, weights=weights, device="cpu")
    image = read_image(picture, max_pixels=max_megapixels * 1_000_000)
    for note in image.info.notes:
        say(f"[yellow]{escape(picture.name)}:[/] {escape(note)}")
    left = left_behind(image.info)
    if left:
        say(f"[yellow]{escape(picture.name)}:[/] {', '.join(left)} left out: measurements have no place for that")
    measured = measure(restorer, image)
    length = write_measurements(target, measured, bits=bits, overwrite=overwrite)
    height, width = measured.size
    share = measured.numbers.numel() / image.pixels.numel()
    emit(
        f"{plain(target)}: {measured.numbers.numel():,} numbers, {100 * share:.1f} % of those of the picture "
        f"({width} x {height} pixels, {measured.channels} channel{'s' * (measured.channels > 1)}), {length:,} bytes; "
        f"measured with the matrix of {measured.weights}"
    )


def left_behind(info: ImageInfo) -> list[str]:
    """Name what the file of a picture holds and one of measurements does not keep."""
    there = {
        "EXIF": info.exif, "colour profile": info.icc, "XMP": info.carried.xmp, "IPTC": info.carried.iptc,
        "comment": info.carried.comment, "texts": info.carried.texts, "resolution": info.dpi or info.carried.resolution,
        "description by the microscope": info.carried.microscope, "FITS header and extensions": info.fits,
    }  # fmt: skip
    return [name for name, value in there.items() if value]


def restore_measurements(
    jobs: list[Job], settings: Settings, tally: Tally, *, weights: Path | None, device: str, precision: str
) -> None:
    """Bring pictures back from files of measurements, and note in `tally` what became of them."""
    kind = parse_precision(precision)

    def one(job: Job, watch: Watch) -> None:
        if os.path.lexists(job.target) and not settings.overwrite:
            raise OutputError(f"{job.target} exists; give --overwrite to replace it, or another name with -o")
        measured = read_measurements(job.source, max_pixels=settings.max_pixels)
        restorer = load(matrix=measured.matrix, weights=weights, device=device, precision=kind)
        done = recover(restorer, measured, on_step=watch.on_step)
        notes = write_image(job.target, done.image, bits=settings.bits, overwrite=settings.overwrite)
        Report.of(job, done, tuple(notes)).tell(as_json=settings.as_json)

    run_all(jobs, settings, tally, one)
