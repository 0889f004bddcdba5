"""`acutance bench speed`, `size`, `sheet` and `operators`: thin commands over `acutance.bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from acutance.bench.operators import LARGEST, adjoint_errors, operators_table, worst
from acutance.bench.sheet import SHEETS, Entry, sheet_table, write_sheet
from acutance.bench.sheet import sheet as make_sheet
from acutance.bench.size import Task, measure, size_table
from acutance.bench.speed import Speed, compare, speed_table
from acutance.cli.console import escape, out, parse_precision, progress_bar, say
from acutance.errors import ConfigError
from acutance.frame import TILE
from acutance.methods.rgdn import Rgdn
from acutance.restore import Restorer

Weights = Annotated[Path | None, typer.Option(help="Other weights than the shipped ones.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor threads.")]


def speed(
    weights: Weights = None,
    sizes: Annotated[str, typer.Option(help="WIDTHxHEIGHT[:PAIRS],... of the pictures.")] = "256x256:5,1280x720:3",
    precision: Annotated[str, typer.Option(help="Of our step: auto, bfloat16 or float32.")] = "auto",
    tile: Annotated[int, typer.Option(min=64, help="Side of the tiles of our step.")] = TILE,
    threads: Threads = None,
) -> None:
    """Measure the step of RGDN against the same step written plainly in float32."""
    wanted = [_size(part) for part in sizes.split(",")]
    if threads is not None:
        torch.set_num_threads(threads)
    model = Restorer.load("rgdn", weights=weights, device="cpu", precision=parse_precision(precision), tile=tile).method
    assert isinstance(model, Rgdn)
    found: list[Speed] = []
    for height, width, runs in wanted:
        found.append(compare(model, height, width, runs=runs))
        say(f"{width}x{height}: {found[-1].ratio:.1f} times faster")
    out.print(speed_table(found), markup=False)


def size(
    megapixels: Annotated[float, typer.Option(help="Size of the colour picture.")] = 24.0,
    kernel: Annotated[int, typer.Option(help="Side of the kernel, pixels.")] = 31,
    steps: Annotated[int, typer.Option(min=1, help="Steps, all of which are taken.")] = 5,
    method: Annotated[str, typer.Option(help="A method with steps.")] = "rgdn",
    weights: Weights = None,
    tile: Annotated[int, typer.Option(min=64, help="Side of the tiles a network works on.")] = TILE,
    threads: Threads = None,
) -> None:
    """Measure seconds, their forecast, and memory on one large picture, in a process of its own."""
    task = Task(
        megapixels=megapixels, kernel=kernel, method=method, steps=steps, weights=weights, tile=tile, threads=threads
    )
    out.print(size_table(measure(task)), markup=False)


def sheet(
    name: Annotated[str, typer.Argument(help=f"Set of real photographs: {', '.join(SHEETS)}.")],
    data: Annotated[Path | None, typer.Option(help="Folder of the test sets (or ACUTANCE_DATA).")] = None,
    weights: Weights = None,
    method: Annotated[str, typer.Option(help="A method that takes a kernel.")] = "rgdn",
    steps: Annotated[int | None, typer.Option(min=1, help="Most steps of an iterative method.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many photographs, spread over the set.")] = 20,
    side: Annotated[int, typer.Option(min=256, help="Longer pictures are cut to this, about their centre.")] = 1200,
    output: Annotated[Path, typer.Option("--out", help="Folder for NAME.png and NAME.json.")] = Path("out/sheets"),
    device: Annotated[str, typer.Option()] = "auto",
) -> None:
    """Restore real photographs into a contact sheet, with a score that needs no truth."""
    settings: dict[str, Any] = {} if steps is None else {"steps": steps}
    restorer = Restorer.load(method, weights=weights, device=device, **settings)
    with progress_bar() as bar:
        task = bar.add_task(name, total=None)

        def on_entry(entry: Entry) -> None:
            bar.advance(task)
            say(escape(entry.line))

        entries = make_sheet(name, restorer, data=data, limit=limit, side=side, on_entry=on_entry)
    files = write_sheet(entries, name, restorer, output)
    out.print(sheet_table(entries), markup=False)
    say(" and ".join(escape(file) for file in files))


def operators() -> None:
    """Check the adjoint of every kind of blur in float64; fails if one is not exact."""
    found = adjoint_errors()
    out.print(operators_table(found), markup=False)
    if not worst(found) < LARGEST:
        raise typer.Exit(1)


def _size(text: str) -> tuple[int, int, int]:
    """(height, width, pairs) from "1280x720:3"; 5 pairs unless said."""
    size, _, pairs = text.strip().partition(":")
    width, _, height = size.partition("x")
    try:
        numbers = int(height), int(width), int(pairs or 5)
    except ValueError:
        numbers = (0, 0, 0)
    if not (32 <= numbers[0] <= 20_000 and 32 <= numbers[1] <= 20_000 and 1 <= numbers[2] <= 1000):
        raise ConfigError(f"--sizes {text}: give WIDTHxHEIGHT:PAIRS, e.g. 1280x720:3, with sides of 32 pixels or more")
    return numbers
