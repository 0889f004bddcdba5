"""`acutance denoise` and `acutance derain`: `acutance restore` with the method that is best for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.restoring import restore

Pictures = Annotated[list[Path], typer.Argument(help="Pictures, folders or quoted globs.", show_default=False)]
Output = Annotated[str | None, typer.Option("-o", "--output", help="File, or folder for several pictures.")]
Method = Annotated[str | None, typer.Option(help="Another one for it: bm3d, nlm, dgunet-denoise, dgunet-derain ...")]
Strength = Annotated[
    float | None, typer.Option(min=0, max=1, help="How far to go: 0 leaves the picture as it is, 1 is all.")
]
Sigma = Annotated[str | None, typer.Option(help="Noise level where it is known: 1%, 2.55/255 or 0.01.")]
Weights = Annotated[Path | None, typer.Option(help="Other weights: safetensors, or the authors' .pth.")]
Bits = Annotated[int | None, typer.Option(help="Depth of the result: 8, 16, or 32 (float TIFF, FITS).")]
Compare = Annotated[Path | None, typer.Option(help="Also write before and after side by side.")]
Explain = Annotated[Path | None, typer.Option("--explain", help="Write the picture after every stage to DIR.")]
Sidecar = Annotated[bool, typer.Option("--sidecar", help="Also write NAME.acutance.json, for `acutance repeat`.")]
Report = Annotated[Path | None, typer.Option(help="Also write how far to believe the result: one HTML file.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")]
Recursive = Annotated[bool, typer.Option("--recursive", help="Look into the folders of folders.")]
InPlace = Annotated[bool, typer.Option("--in-place", help="Replace the pictures themselves.")]
Again = Annotated[bool, typer.Option("--again", help="Also restore pictures that acutance has restored before.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor threads.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Workers on this machine, for folders.")]
Cluster = Annotated[str | None, typer.Option(help="Scheduler of Dask, tcp://HOST:PORT, whose workers do a folder.")]
Megapixels = Annotated[int, typer.Option(min=1, help="Refuse larger pictures.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object for each picture on stdout.")]


def _command(task: str, does: str) -> Callable[..., None]:
    def command(
        pictures: Pictures,
        output: Output = None,
        method: Method = None,
        strength: Strength = None,
        sigma: Sigma = None,
        weights: Weights = None,
        bits: Bits = None,
        compare: Compare = None,
        explain: Explain = None,
        sidecar: Sidecar = False,
        report: Report = None,
        overwrite: Overwrite = False,
        recursive: Recursive = False,
        in_place: InPlace = False,
        again: Again = False,
        device: Device = "auto",
        threads: Threads = None,
        workers: Workers = None,
        cluster: Cluster = None,
        max_megapixels: Megapixels = 250,
        as_json: AsJson = False,
    ) -> None:
        restore(
            pictures, task=task, output=output, method=method, strength=strength, sigma=sigma, weights=weights,
            bits=bits, compare=compare, explain_to=explain, overwrite=overwrite, device=device, threads=threads,
            sidecar=sidecar, max_megapixels=max_megapixels, as_json=as_json, recursive=recursive, in_place=in_place,
            again=again, report=report, workers=workers, cluster=cluster,
        )  # fmt: skip

    command.__doc__ = f"""{does}

    [dim]acutance {task} photo.jpg
    acutance {task} photo.jpg --strength 0.5 --compare both.png[/]
    """
    return command


COMMANDS = {
    "denoise": _command("denoise", "Remove the noise of pictures; its level need not be known."),
    "derain": _command("derain", "Remove streaks of rain from pictures."),
}
"""By name."""
