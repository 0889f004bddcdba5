"""`acutance-lab bench cluster` and `scale`: folders on several workers, and what many pictures cost."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import torch
import typer

from acutance.cli.console import escape, out, say
from acutance.cluster.connect import require
from acutance.errors import ConfigError
from acutance_lab.bench import cluster as runs
from acutance_lab.bench import scale as costs
from acutance_lab.bench.machine import hardware
from acutance_lab.bench.run import run
from acutance_lab.bench.scenes import random_suite


def cluster(
    folder: Annotated[
        Path, typer.Option("--out", help="Folder for pictures and results; it must not be there.")
    ] = Path("out/cluster"),
    pictures: Annotated[int, typer.Option(min=10, help="So many small pictures.")] = 2000,
    side: Annotated[int, typer.Option(min=32, help="Of a picture, pixels.")] = 64,
    method: Annotated[str, typer.Option(help="A cheap one that takes a kernel.")] = "wiener",
    sizes: Annotated[str, typer.Option(help="Numbers of simulated workers.")] = "1,2,4,8,16,32,64",
    sleep: Annotated[float, typer.Option(min=0.001, help="Seconds that a simulated picture takes.")] = 0.25,
    each: Annotated[int, typer.Option(min=1, help="Simulated pictures for each worker.")] = 20,
) -> None:
    """Measure folders on workers: by one process, by two, one or the scheduler killed; and the cost of handing out."""
    require()
    try:
        counts = [int(part) for part in sizes.split(",") if part]
    except ValueError:
        raise ConfigError(f"--sizes {sizes}: give numbers of workers, such as 1,2,4") from None
    measured = runs.Runs(folder, method, pictures, side)
    seen = []
    for one in measured.all():
        say(escape(f"{one.name}: {one.seconds:.1f} s, {one.restored} restored, {one.results} results"))
        seen.append(one)
    out.print(runs.runs_table(seen), markup=False, soft_wrap=True)
    out.print(f"\nresults that the same command wrote again: {measured.touched()}\n", markup=False)
    out.print(runs.overhead_table(list(runs.overheads(counts, sleep, each))), markup=False, soft_wrap=True)


def scale(
    method: Annotated[str, typer.Option(help="Of the photographs.")] = "acute",
    megapixels: Annotated[float, typer.Option(min=0.1, help="Of the picture that is read and written.")] = 4.0,
    photographs: Annotated[float, typer.Option(help="So many, of 12 megapixels.")] = 1e6,
    terabytes: Annotated[float, typer.Option(help="Of the volume, 16 bits.")] = 1.0,
    steps: Annotated[int, typer.Option(min=1, help="Of the volume's Richardson and Lucy.")] = 60,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs of the cluster.")] = 100,
) -> None:
    """Measure reading, writing and FFTs here, and reckon from it what many pictures cost on a cluster of GPUs."""
    constants = costs.codecs(megapixels)
    out.print(costs.constants_table(constants), markup=False, soft_wrap=True)
    transforms = costs.transforms([(1024, 1024), (3000, 4000), (128, 128, 128), (256, 256, 256)])
    out.print("\n" + costs.transforms_table(transforms), markup=False, soft_wrap=True)
    row = run(random_suite(512, 512, 3), [method], count=True, device="cpu")[0]
    loads = [
        costs.photographs(method, photographs, 12, constants, row),
        costs.volume(terabytes, steps, constants),
    ]
    assumed = costs.Assumed(gpus=gpus)
    out.print("\n" + costs.costs_table(loads, assumed), markup=False, soft_wrap=True)
    said = ", ".join(f"{each.name} {getattr(assumed, each.name):g}" for each in fields(assumed))
    out.print(f"\nassumed: {said}; measured on {hardware(torch.device('cpu'))}", markup=False, soft_wrap=True)
