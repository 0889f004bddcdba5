"""`acutance-lab bench SUITE` and `acutance-lab bench report`: thin commands over `acutance_lab.bench`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.console import escape, out, parse_levels, say
from acutance.images import write_atomically
from acutance.restoration.restorer import DEFAULT
from acutance_lab.bench import equal
from acutance_lab.bench.case import Suite
from acutance_lab.bench.cuts import HOW_CUTS
from acutance_lab.bench.published import published_levels, published_suites
from acutance_lab.bench.report import put_into, read_suites, report, table
from acutance_lab.bench.report_page import write_page
from acutance_lab.bench.report_tables import cuts_table, published_cut_table
from acutance_lab.bench.suites import SUITES
from acutance_lab.cli import equalling, measuring, runtiming, scaling, tuning, volume_benching
from acutance_lab.cli.measuring import split_methods, text_of

COMPARED = "acute,epll,levin,fd,wiener"
"""Methods that `acutance-lab bench published` measures on every case, unless others are asked for."""

app = typer.Typer(help="Measure methods on public test sets.", no_args_is_help=True, add_completion=False)


def _suite_command(suite: Suite) -> Callable[..., None]:
    def command(
        methods: Annotated[str, typer.Option(help="a,b:SETTING=VALUE,SETTING=VALUE,c")] = DEFAULT,
        noise: Annotated[str | None, typer.Option(help="Levels in percent, e.g. captured,1,2,3.")] = None,
        data: Annotated[Path | None, typer.Option(help="Folder of the test sets (or ACUTANCE_DATA).")] = None,
        limit: Annotated[int | None, typer.Option(min=1, help="At most so many cases of each level.")] = None,
        output: Annotated[
            Path | None, typer.Option("--out", help="Folder for the rows; makes a run resumable.")
        ] = None,
        curve: Annotated[bool, typer.Option("--curve", help="PSNR after each step.")] = False,
        device: Annotated[str, typer.Option()] = "auto",
        jobs: Annotated[int, typer.Option(min=1, help="Processes at work, which share the cores.")] = 1,
        quick: Annotated[bool, typer.Option("--quick", help="Four cases of each level.")] = False,
    ) -> None:
        with measuring.measuring(suite.name) as measured:
            rows = measured(
                suite, split_methods(methods), data=data, noises=parse_levels(noise),
                limit=4 if quick and limit is None else limit, out=output, device=device, curve=curve, jobs=jobs,
            )  # fmt: skip
        out.print(table(rows), markup=False)
        measuring.written(output, suite.name)

    command.__doc__ = f"Measure on {suite.name}: {suite.summary}"
    return command


for _suite in SUITES.values():
    app.command(_suite.name)(_suite_command(_suite))


@app.command("published")
def published_command(
    methods: Annotated[str, typer.Option(help="a,b:SETTING=VALUE,c: measured on every case.")] = COMPARED,
    parts: Annotated[str | None, typer.Option(help="Slow methods, measured on the first cases of each level.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many cases of each level for --parts.")] = 8,
    suites: Annotated[str, typer.Option(help="Some of these.")] = ",".join(published_suites()),
    data: Annotated[Path | None, typer.Option(help="Folder of the test sets (or ACUTANCE_DATA).")] = None,
    output: Annotated[Path, typer.Option("--out", help="Folder for the rows; the same command goes on.")] = Path(
        "out/published"
    ),
    into: Annotated[
        Path | None, typer.Option(help="Put the tables between the lines <!-- bench SUITE cut --> of this page.")
    ] = None,
    device: Annotated[str, typer.Option()] = "auto",
) -> None:
    """Measure where figures are published, at their levels and in their cut; what has new weights is measured anew."""
    names = [name.strip() for name in suites.split(",")]
    asked = [(split_methods(methods), None)] + ([(split_methods(parts), limit)] if parts else [])
    levels = {name: published_levels(name) for name in names}
    with measuring.measuring("published") as measured:
        for chosen, most in asked:
            for name in names:
                measured(name, chosen, data=data, noises=levels[name], limit=most, out=output, device=device)
    found = read_suites(output)
    for name in names:
        out.print(f"## {name}\n\n{cuts_table(found[name]).markdown()}\n", markup=False)
        out.print(f"{published_cut_table(name, found[name]).markdown()}\n", markup=False)
    out.print(HOW_CUTS, markup=False)
    if into is not None:
        everything = [row for rows in found.values() for row in rows]
        write_atomically(into, put_into(text_of(into), everything, cuts_only=True).encode(), overwrite=True)
    say(f"rows: {escape(output)}")


@app.command("report")
def report_command(
    folder: Annotated[Path, typer.Argument(help="Folder with the rows of suites.")],
    html: Annotated[Path | None, typer.Option(help="The page; FOLDER/report.html unless said.")] = None,
    into: Annotated[
        Path | None, typer.Option(help="Put short tables between the lines <!-- bench SUITE --> of this page.")
    ] = None,
) -> None:
    """Print the tables of what was measured, and make a page of HTML of it, with published figures beside them."""
    out.print(report(folder), markup=False)
    if into is not None:
        rows = [row for found in read_suites(folder).values() for row in found]
        paid = equal.read_prices(folder)
        tables = {"equal": equal.price_table(paid, rows)} if paid else {}
        write_atomically(into, put_into(text_of(into), rows, tables=tables).encode(), overwrite=True)
    if html is not None or into is None:
        say(f"page: {escape(write_page(folder, html))}")


for _measure in (
    measuring.size,
    measuring.sheet,
    measuring.border,
    measuring.noise,
    measuring.times,
    measuring.curves,
    measuring.arithmetic,
    measuring.runs,
    scaling.cluster,
    scaling.scale,
    measuring.blocks,
):
    app.command(_measure.__name__)(_measure)
app.command("tune")(tuning.tune)
app.command("runtime")(runtiming.runtime)
app.command("equal")(equalling.equal)
app.command("volumes")(volume_benching.volumes)
