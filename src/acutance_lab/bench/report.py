"""A report of measured rows, with published figures beside them: as Markdown, and inside pages of text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from types import MappingProxyType

from acutance.errors import DataError
from acutance_lab.bench.case import describe_noise
from acutance_lab.bench.ranking import display_names, rankings
from acutance_lab.bench.report_kernels import HOW_KERNELS, finds_kernels, short_table_of_kernels, table_of_kernels
from acutance_lab.bench.report_tables import published_cut_table, short_table, suite_tables
from acutance_lab.bench.rows import Row, read_rows
from acutance_lab.bench.suites import SUITES
from acutance_lab.bench.tables import distinct, markdown, of_set

TIMES = "times.jsonl"
"""Rows of methods that took turns."""

APART = ("curves.jsonl", TIMES, "size.jsonl", "noise.jsonl", "prices.jsonl", "log.jsonl")
"""Files of JSON lines that are no part of a report of suites; the last is of `acutance_lab.train`."""

CLOSE = 0.05
"""dB below which the best is not said to be ahead."""

WITHOUT = ("unknown", "none")
"""Names of the kernels of cases that have none to be told."""

CLOSING = "<!-- /bench -->"
_PLACE = re.compile(r"<!-- bench(?: ([\w-]+))?( cut)? -->.*?<!-- /bench -->", re.DOTALL)


def report(folder: Path) -> str:
    """The tables of every SUITE.jsonl in a folder.

    Raises:
        DataError: there is none.
    """
    return table(row for rows in read_suites(folder).values() for row in rows)


def read_suites(folder: Path) -> dict[str, list[Row]]:
    """The rows of every SUITE.jsonl in a folder, by suite; those of the catalogue first, in its order.

    Hidden files, such as the journal of ``acutance restore``, `APART`, and rows that vary one thing are passed over.

    Raises:
        DataError: there is none.
    """
    files = [f for f in sorted(folder.glob("*.jsonl")) if f.name not in APART and not f.name.startswith(".")]
    suites = by_suite(row for file in files for row in read_rows(file) if not row.varied)
    if not suites:
        raise DataError(f"no SUITE.jsonl in {folder}; run a suite with --out {folder} first")
    order = list(SUITES)
    return dict(sorted(suites.items(), key=lambda s: (order.index(s[0]) if s[0] in order else len(order), s[0])))


def by_suite(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by suite, in the order of their coming."""
    suites: dict[str, list[Row]] = {}
    for row in rows:
        suites.setdefault(row.suite, []).append(row)
    return suites


def table(rows: Iterable[Row]) -> str:
    """Markdown: for each suite what leads, what to beware of, its tables and its protocol; then estimated kernels."""
    suites = by_suite(rows)
    parts = []
    for name, found in suites.items():
        parts += [f"## {name}", lead(found), *(f"- {text}" for text in warnings(found))]
        for each in suite_tables(name, found):
            parts += [] if each.folded else [f"**{each.title}.** {each.note}".strip(), each.markdown()]
        parts += [
            protocol(name),
            f"Revision {distinct(r.revision for r in found)}; {distinct(r.hardware for r in found)}.",
        ]
    head, lines = table_of_kernels(row for found in suites.values() for row in found)
    parts += ["## Estimated kernels", markdown(head, lines), HOW_KERNELS] if lines else []
    return "\n\n".join(filter(None, parts)) + "\n"


def protocol(name: str) -> str:
    """How a suite is made and scored; "" of an unknown one."""
    if name not in SUITES:
        return ""
    return (
        f"{SUITES[name].protocol} Methods that need the noise level were told the true one where it is known; with "
        "sigma=estimated nothing, with sigma=LEVEL that level. What methods make that estimate the kernel may lie "
        "anywhere: where others are not aligned, 25 pixels of theirs are cropped, and they are moved by the best "
        "shift up to 20 pixels. Values are clipped to the range and not rounded."
    )


def lead(rows: Sequence[Row]) -> str:
    """Who is best where, in a sentence; the same method at levels in a row is named once. "": nobody is compared."""
    places = rankings(rows)
    titles = display_names(dict.fromkeys(s.name for place in places for s in place.standings))
    answers: list[tuple[str, str]] = []
    for place in places:
        ranked = [s for s in place.standings if s.rank is not None]
        if len(ranked) < 2 or (place.part and not all(each.part for each in places)):
            continue
        ahead = ranked[0].psnr - ranked[1].psnr
        close = ahead < CLOSE
        where = f"{'' if place.noise is None else 'at '}{describe_noise(place.noise)}{of_set(place.cases, place.size)}"
        who = titles[ranked[0].name] + (f" level with {titles[ranked[1].name]}" if close else "")
        answers.append((who, where if close else f"{where} ({ahead:.2f} dB ahead)"))
    found = [f"{who} {_listed([where for _, where in there])}" for who, there in groupby(answers, lambda a: a[0])]
    return f"Best mean PSNR: {'; '.join(found)}." if found else ""


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def warnings(rows: Sequence[Row]) -> list[str]:
    """What to know before comparing."""
    sources = list(dict.fromkeys(row.revision for row in rows))
    machines = list(dict.fromkeys(row.hardware for row in rows))
    known = (
        (len(sources) > 1, f"The rows come from {len(sources)} revisions of the source: {', '.join(sources)}."),
        (
            any(source.endswith("-dirty") for source in sources),
            "Some rows were measured with uncommitted changes (-dirty): the revision does not say what ran.",
        ),
        ("unknown" in sources, "Of some rows the revision is unknown."),
        (
            len(machines) > 1,
            f"The rows come from different machines or settings ({'; '.join(machines)}): seconds differ.",
        ),
    )
    found = [text for true, text in known if true]
    short: dict[tuple[int, int], list[str]] = {}
    for place in rankings(rows):
        titles = display_names(s.name for s in place.standings)
        level = describe_noise(place.noise)
        if not place.whole and any(s.cases for s in place.standings):
            found.append(f"{level}: no method has every case; ranked on the {place.cases} that all of them have.")
        elif place.part and place.whole:
            short.setdefault((place.cases, place.size), []).append(level)
        for s in place.standings:
            if s.failed:
                found.append(f"{level}: {titles[s.name]} gave no finite picture in {s.failed} of {s.cases + s.failed}.")
    found += [f"{count} of the {size} cases of the set: {_listed(at)}." for (count, size), at in short.items()]
    diverged = [row.method for row in rows if row.outcome == "DIVERGED"]
    return [*found, *([f"{len(diverged)} runs diverged: {distinct(diverged)}."] if diverged else [])]


def put_into(
    page: str, rows: Sequence[Row], *, cuts_only: bool = False, tables: Mapping[str, str] = MappingProxyType({})
) -> str:
    """A page with short tables of measured means between its lines ``<!-- bench SUITE -->`` and ``<!-- /bench -->``.

    The line ``<!-- bench -->`` stands for the only suite of the rows, or levin32 if there are several;
    ``<!-- bench kernels -->`` for the table of estimated kernels; other tables leave methods that find the kernel
    themselves out, where there are any that are told it. ``<!-- bench SUITE cut -->`` is for the table in the published
    cut; with `cuts_only` all other places stay as they are. tables: others, by the name that stands for SUITE.

    Raises:
        DataError: the page has no such lines, or one of a suite that there are no rows of.
    """
    suites = by_suite(rows)

    def fill(place: re.Match[str]) -> str:
        if cuts_only and not place[2]:
            return place[0]
        suite = place[1] or (next(iter(suites)) if len(suites) == 1 else "levin32")
        opening = place[0].partition("-->")[0] + "-->"
        if suite in tables:
            return f"{opening}\n{tables[suite]}\n{CLOSING}"
        head, lines = short_table_of_kernels(rows)
        if suite == "kernels" and lines:
            return f"{opening}\n{markdown(head, lines)}\n{CLOSING}"
        if suite not in suites:
            raise DataError(f"the page wants a table of {suite}, of which there are no rows; run it with --out first")
        told = [row for row in suites[suite] if not finds_kernels(row.method) and row.kernel not in WITHOUT]
        made = published_cut_table(suite, told).markdown() if place[2] else short_table(told or suites[suite])
        if not made:
            raise DataError(f"no row of {suite} has a published cut; measure it anew with another --out")
        return f"{opening}\n{made}\n{CLOSING}"

    filled, count = _PLACE.subn(fill, page)
    if count == 0:
        raise DataError(f"the page has no lines <!-- bench SUITE --> and {CLOSING} for the tables to stand between")
    return filled
