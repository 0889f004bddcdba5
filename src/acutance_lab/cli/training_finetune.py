"""`acutance-lab finetune`, and `acutance-lab draw`, whose pictures it can be tried on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import tifffile
import typer
from PIL import Image as PillowImage
from torch import Tensor

from acutance.cli.console import escape, out, progress_bar, say
from acutance.errors import ConfigError
from acutance_lab.bench.tables import markdown, signed
from acutance_lab.synth.cells import cells
from acutance_lab.synth.graphics import page
from acutance_lab.synth.stars import stars
from acutance_lab.train.finetune import Tuned, gains
from acutance_lab.train.finetune import finetune as run_finetune
from acutance_lab.train.loop import Budget


def finetune(
    data: Annotated[
        Path, typer.Argument(help="Folder of sharp pictures of your kind; z-stacks count by their planes.")
    ],
    output: Annotated[Path, typer.Option("--out", "-o", help="Weights, NAME.safetensors; a card is put beside it.")],
    minutes: Annotated[float, typer.Option(min=0.01, help="Of training; reading and examining come on top.")] = 30.0,
    cores: Annotated[bool, typer.Option("--cores", help="The minutes are those of processor cores.")] = False,
    folder: Annotated[
        Path | None, typer.Option("--run", help="Folder of the run, which goes on there; default runs/NAME.")
    ] = None,
) -> None:
    """Train the shipped weights of acute on your own sharp pictures, and examine both on pictures held out.

    acutance-lab finetune my-pictures/ -o mine.safetensors --minutes 30

    acutance restore blurred.tif --kernel psf.tif --weights mine.safetensors
    """
    with progress_bar() as bar:
        task = bar.add_task("fine-tuning", total=1.0)
        tuned = run_finetune(
            data, output, run_folder=folder or Path("runs") / output.stem, budget=Budget(minutes=minutes, cores=cores),
            report=lambda line: bar.update(task, completed=line["progress"]), say=lambda words: say(escape(words)),
        )  # fmt: skip
    out.print(gain_table(tuned), markup=False)
    if tuned.gain <= 0:
        raise ConfigError(
            f"{output} was not written: on the held-out pictures the new weights are no better than the shipped ones "
            f"({tuned.gain:+.2f} dB). Give more pictures, or more --minutes; the same command goes on"
        )
    say(f"{escape(output)}: {tuned.gain:+.2f} dB on {tuned.held} held-out pictures; use it with --weights")


def draw(
    kind: Annotated[
        str, typer.Argument(help="cells: of a fluorescence microscope; stars: of a telescope; pages: of text.")
    ],
    folder: Annotated[Path, typer.Argument(help="Folder for the pictures; one that is not there yet.")],
    count: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    seed: Annotated[int, typer.Option(min=0)] = 1,
) -> None:
    """Render sharp pictures of a kind, TIFF of 16 bits or PNG, to train and measure on."""
    if kind not in KINDS:
        raise ConfigError(f"{kind}: give one of {', '.join(KINDS)}")
    if folder.exists():
        raise ConfigError(f"{folder} is there already; give a new folder")
    folder.mkdir(parents=True)
    for number in range(count):
        KINDS[kind](folder, seed, number)
    say(f"{count} pictures in {escape(folder)}")


def _grey(name: str, draw_one: Callable[[int, int], Tensor]) -> Callable[[Path, int, int], None]:
    def write(folder: Path, seed: int, number: int) -> None:
        values = (draw_one(seed, number) * 65535).round().numpy().astype(np.uint16)
        tifffile.imwrite(folder / f"{name}-{seed}-{number:04d}.tif", values, photometric="minisblack")

    return write


def _page(folder: Path, seed: int, number: int) -> None:
    texts = ("article", "article", "editor", "table", "handwriting")
    picture = page(seed, number, size=(640, 896), kind=texts[number % len(texts)], packaged=True)
    PillowImage.fromarray(picture).save(folder / f"page-{seed}-{number:04d}.png")


KINDS = {"cells": _grey("cells", cells), "stars": _grey("stars", stars), "pages": _page}
"""Writers of one picture, by kind."""


def gain_table(tuned: Tuned) -> str:
    """Markdown: PSNR in dB of shipped and new weights on the held-out pictures, and the gain."""
    head = ["held-out pictures", "shipped", "fine-tuned", "gain"]
    return markdown(head, [[words, f"{a:.2f}", f"{b:.2f}", signed(b - a)] for words, a, b in gains(tuned)])
