"""`acutance sense`, and what `acutance restore` does with the files that it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.console import escape, out, parse_precision, progress_bar, say
from acutance.cli.files import Job
from acutance.cli.reporting import report, report_error
from acutance.errors import AcutanceError, ConfigError, OutputError
from acutance.images import read_image, write_image
from acutance.images.measurement_file import SUFFIX, read_measurements, write_measurements
from acutance.problem import Progress
from acutance.sensing import load, matrix_of, measure, recover


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
    target = output if output is not None else picture.with_suffix(SUFFIX)
    if target.suffix.lower() != SUFFIX:
        raise ConfigError(f"-o {target}: measurements go to a file of the suffix {SUFFIX}")
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists; give --overwrite to replace it, or another name with -o")
    if bits not in (16, 32):
        raise ConfigError(f"--bits {bits}: give 16 or 32")
    if not 0 < ratio <= 100:
        raise ConfigError(f"--ratio {ratio:g}: a percentage, above 0 and at most 100; 10 for a tenth of the numbers")
    restorer = load(ratio / 100, weights=weights, device="cpu")
    image = read_image(picture, max_pixels=max_megapixels * 1_000_000)
    for note in image.info.notes:
        say(f"[yellow]{escape(picture.name)}:[/] {escape(note)}")
    measured = measure(restorer, image)
    length = write_measurements(target, measured, bits=bits, overwrite=overwrite)
    height, width = measured.size
    share = measured.numbers.numel() / image.pixels.numel()
    out.print(
        f"{target}: {measured.numbers.numel():,} numbers of {bits} bits for {width} x {height} pixels in "
        f"{measured.channels} channel{'s' * (measured.channels > 1)}, {100 * share:.1f} % as many, {length:,} bytes; "
        f"matrix of {measured.weights}, {len(matrix_of(restorer))} x 1024",
        markup=False, highlight=False,
    )  # fmt: skip


def restore_measurements(
    jobs: list[Job], *, weights: Path | None, device: str, precision: str, bits: int | None, overwrite: bool,
    max_pixels: int, as_json: bool,
) -> int:  # fmt: skip
    """Bring pictures back from files of measurements; returns how many failed."""
    failed = 0
    with progress_bar() as bar:
        for job in jobs:
            task = bar.add_task(escape(job.source.name), total=1)

            def on_step(progress: Progress, task: object = task) -> None:
                bar.update(task, total=progress.steps, completed=progress.step)  # type: ignore[arg-type]

            try:
                if job.target.exists() and not overwrite:
                    raise OutputError(f"{job.target} exists; give --overwrite to replace it, or another name with -o")
                measured = read_measurements(job.source, max_pixels=max_pixels)
                restorer = load(
                    matrix=measured.matrix, weights=weights, device=device, precision=parse_precision(precision)
                )
                done = recover(restorer, measured, on_step=on_step)
                notes = write_image(job.target, done.image, bits=bits, overwrite=overwrite)
                report(job, done, tuple(notes), as_json=as_json)
            except AcutanceError as error:
                failed += 1
                report_error(job, error, as_json=as_json)
            finally:
                bar.remove_task(task)
    return failed
