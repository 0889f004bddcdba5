"""`acutance-lab bench equal`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.console import escape, out, parse_levels, say
from acutance.errors import ConfigError
from acutance.images import write_atomically
from acutance_lab.bench import equal as terms
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.report import put_into
from acutance_lab.bench.report_tables import published_cut_table, short_table
from acutance_lab.bench.rows import Row
from acutance_lab.bench.suites import SUITES
from acutance_lab.cli.measuring import Data, Limit, Methods, measuring, split_methods, text_of


def equal(
    methods: Methods = ",".join(terms.COMPARED),
    suites: Annotated[str, typer.Option(help="Test sets with known kernels.")] = ",".join(terms.SUITES),
    noise: Annotated[str, typer.Option(help="Levels in percent.")] = "1,2,3,4,5",
    data: Data = None,
    limit: Limit = None,
    output: Annotated[Path, typer.Option("--out", help="Folder for the rows; the same command goes on.")] = Path(
        "out/equal"
    ),
    rounds: Annotated[int, typer.Option("--runs", min=1, help="Rounds of timing, after one to warm up.")] = 3,
    jobs: Annotated[int, typer.Option(min=1, help="Processes at work on the sets; times are taken alone.")] = 1,
    plot: Annotated[Path | None, typer.Option(help="The plot, SVG; OUT/equal.svg unless said.")] = None,
    into: Annotated[
        Path | None,
        typer.Option(help="Put the tables between <!-- bench equal -->, <!-- bench SUITE --> and <!-- /bench -->."),
    ] = None,
) -> None:
    """Compare learned methods: minutes of training, weights, arithmetic, seconds, PSNR on several sets; a plot."""
    contenders = [Contender.parse(text) for text in split_methods(methods)]
    if not contenders or len({c.label for c in contenders}) < len(contenders):
        raise ConfigError(f"--methods {methods}: name every method once; weights alone do not tell them apart")
    names = [name.strip() for name in suites.split(",") if name.strip()]
    unknown = [name for name in names if name not in SUITES]
    if unknown or not names:
        raise ConfigError(f"--suites {suites}: give some of {', '.join(SUITES)}")
    page = None if into is None else text_of(into)
    levels = parse_levels(noise)
    with measuring("equal") as measured:
        rows: list[Row] = []
        for name in names:
            rows += measured(name, contenders, data=data, noises=levels, limit=limit, out=output, jobs=jobs)
        paid = terms.prices(contenders, rounds=rounds)
    terms.keep_prices(paid, output)
    table = terms.price_table(paid, rows)
    out.print(table, markup=False, soft_wrap=True)
    for name in names:
        here = [row for row in rows if row.suite == name]
        parts = [f"## {name}", short_table(here), published_cut_table(name, here).markdown()]
        out.print("\n\n".join(["", *filter(None, parts)]), markup=False, soft_wrap=True)
    file = output / "equal.svg" if plot is None else plot
    write_atomically(file, terms.equal_plot(paid, rows), overwrite=True)
    say(f"rows: {escape(output)}; plot: {escape(file)}")
    if into is not None and page is not None:
        write_atomically(into, put_into(page, rows, tables={"equal": table}).encode(), overwrite=True)
