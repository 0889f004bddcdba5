"""The robustness of blind estimation as a table, as a plot, and as a file of JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from acutance_lab.bench.report_plots import COLOURS, INK, RULE, SOFT
from acutance_lab.experiments.output import write_numbers, write_plot
from acutance_lab.experiments.robustness import REACH, SUCCESS, Robustness, Trial, Verdict
from acutance_lab.experiments.robustness_conditions import BASE, SPAN

FILE, PLOT = "blind.json", "blind.png"

HIGHEST = 45.0
"""dB from which the plot makes no difference."""


@dataclass(frozen=True)
class Tally:
    """The trials of one condition: means, and the median of the seconds.

    Args:
        verdicts: how often which. share: part with an error ratio below `SUCCESS`. harmed: how many were better before.
        kept, least_kept: mean and lowest PSNR of result to picture, dB. The others as in `Trial`; None where they mean
            nothing.
    """

    condition: str
    verdicts: dict[Verdict, int]
    seconds: float
    similarity: float | None
    blurred: float | None
    found: float | None
    true: float | None
    share: float | None
    harmed: int
    kept: float | None
    least_kept: float | None


def tallies(found: Robustness) -> list[Tally]:
    """Condition by condition, in their order."""
    groups: dict[str, list[Trial]] = {}
    for trial in found.trials:
        groups.setdefault(trial.condition, []).append(trial)
    return [_tally(name, trials) for name, trials in groups.items()]


def _tally(condition: str, trials: Sequence[Trial]) -> Tally:
    def of(pick: Callable[[Trial], float | None], merge: Callable[[list[float]], float] = fmean) -> float | None:
        values = [v for v in map(pick, trials) if v is not None]
        return merge(values) if values else None

    return Tally(
        condition=condition,
        verdicts={v: sum(t.verdict is v for t in trials) for v in Verdict},
        seconds=median(t.seconds for t in trials),
        similarity=of(lambda t: t.similarity),
        blurred=of(lambda t: t.blurred),
        found=of(lambda t: t.found),
        true=of(lambda t: t.true),
        share=of(lambda t: None if t.ratio is None else float(t.ratio < SUCCESS)),
        harmed=sum(t.harmed for t in trials),
        kept=of(lambda t: t.kept),
        least_kept=of(lambda t: t.kept, min),
    )


def robustness_table(found: Robustness) -> str:
    """Markdown: what was found, and what was made of it, for the blurred pictures and for the others."""
    rows = tallies(found)
    lines: list[str] = []
    if any(row.found is not None for row in rows):
        lines += [
            f"| blurred | {' | '.join(Verdict)} | similarity | blurred, dB | found kernel, dB | true kernel, dB | "
            f"ratio < {SUCCESS:g} | worse than blurred | seconds |",
            f"| --- |{' ---: |' * (len(Verdict) + 7)}",
        ]
        for row in rows:
            if row.share is not None:
                psnrs = " | ".join(
                    f"{v:.2f}" for v in (row.similarity, row.blurred, row.found, row.true) if v is not None
                )
                lines.append(
                    f"| {_verdicts(row)} | {psnrs} | {100 * row.share:.0f} % | {row.harmed} | {row.seconds:.1f} |"
                )
        lines.append("")
    if any(row.kept is not None for row in rows):
        lines += [
            f"| not blurred | {' | '.join(Verdict)} | result to picture, dB | lowest, dB | seconds |",
            f"| --- |{' ---: |' * (len(Verdict) + 3)}",
        ]
        for row in rows:
            if row.kept is not None:
                lines.append(f"| {_verdicts(row)} | {row.kept:.2f} | {row.least_kept:.2f} | {row.seconds:.1f} |")
        lines.append("")
    return "\n".join([*lines, *describe(found)])


def describe(found: Robustness) -> list[str]:
    """On what, by what, and how it was scored."""
    s = found.settings
    finish = s.method if found.weights is None else f"{s.method} ({found.weights})"
    said = [
        f"{s.pictures} x {s.side} x {s.side} pixels of held-out photographs of {found.source}, seed {s.seed}; kernels "
        f"by {s.estimator}, restored with {finish}, which is told no noise level; {found.seconds:.0f} s.",
        f"What is not named: a path in a frame of {SPAN} pixels, {100 * BASE.noise:g} % noise. PSNR: mean, moved by "
        f"the best whole-pixel shift up to {REACH}, a border of the true kernel's radius left out. Ratio: square error "
        "with the found kernel over that with the true one; it means little where the true one gains little. "
        "Similarity: largest normalised cross-correlation with the true kernel. 100 dB: the picture was left as it is.",
    ]
    blurred = [t.ratio < SUCCESS for t in found.trials if t.ratio is not None]
    sharp = [t.verdict in (Verdict.SHARP, Verdict.UNTOLD) for t in found.trials if t.ratio is None]
    if blurred:
        harmed = sum(t.harmed for t in found.trials)
        said.append(
            f"Of {len(blurred)} blurred pictures {sum(blurred)} have an error ratio below {SUCCESS:g}, {harmed} were "
            "better before."
        )
    if sharp:
        said.append(f"Of {len(sharp)} without blur {sum(sharp)} were left as they are.")
    return said


def write_json(folder: Path, found: Robustness) -> Path:
    """Write FOLDER/blind.json, which is replaced: every trial, and their means.

    Raises:
        OutputError: it cannot be written.
    """
    values = {
        "experiment": "blind",
        "settings": asdict(found.settings),
        "source": found.source,
        "weights": found.weights,
        "success": SUCCESS,
        "conditions": [asdict(t) for t in tallies(found)],
        "trials": [{**asdict(t), "ratio": t.ratio} for t in found.trials],
        "seconds": round(found.seconds, 3),
    }
    return write_numbers(folder / FILE, values)


def write_plots(folder: Path, found: Robustness) -> list[Path]:
    """Write blind.png into a folder that is there; it is replaced.

    Raises:
        MissingExtra: matplotlib is not installed. OutputError: it cannot be written.
    """
    rows = tallies(found)
    return [write_plot(folder / PLOT, 12.0, 2.0 + 0.3 * len(rows), lambda figure: _draw(figure, rows, found.trials))]


def _draw(figure: Any, rows: Sequence[Tally], trials: Iterable[Trial]) -> None:
    """PSNR of every picture and their means on the left, what was found on the right; a line for each condition."""
    place = {row.condition: i for i, row in enumerate(rows)}
    quality, counts = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    looks: tuple[tuple[str, Callable[[Trial | Tally], float | None], str, str], ...] = (
        ("blurred", lambda t: t.blurred, SOFT, "s"),
        ("true kernel", lambda t: t.true, COLOURS[2], "D"),
        ("found kernel", lambda t: t.found, COLOURS[1], "o"),
        (f"no blur: result to picture, at most {HIGHEST:g}", lambda t: t.kept, COLOURS[0], "^"),
    )
    for label, pick, colour, marker in looks:
        each = [(min(v, HIGHEST), place[t.condition]) for t in trials if (v := pick(t)) is not None]
        means = [(min(v, HIGHEST), place[r.condition]) for r in rows if (v := pick(r)) is not None]
        if means:
            quality.plot(*zip(*each, strict=True), marker, color=colour, markersize=3, alpha=0.5)
            quality.plot(*zip(*means, strict=True), marker, color=colour, markersize=7, label=label)
    quality.set(xlabel="PSNR, dB; large: mean", yticks=range(len(rows)), ylim=(len(rows) - 0.4, -0.6))
    quality.set_yticklabels(place, color=INK)
    before = [0] * len(rows)
    for verdict, colour in zip(Verdict, (COLOURS[1], COLOURS[5], COLOURS[0], RULE), strict=True):
        widths = [row.verdicts[verdict] for row in rows]
        counts.barh(range(len(rows)), widths, left=before, color=colour, label=str(verdict), height=0.75)
        before = [a + b for a, b in zip(before, widths, strict=True)]
    counts.set(xlabel="pictures", xticks=range(max(before) + 1))
    counts.grid(visible=False)
    figure.legend(*quality.get_legend_handles_labels(), loc="outside lower center", ncols=len(looks), fontsize=9)
    figure.legend(*counts.get_legend_handles_labels(), loc="outside upper right", ncols=len(Verdict), fontsize=9)


def _verdicts(row: Tally) -> str:
    return " | ".join((row.condition, *(str(row.verdicts[v]) for v in Verdict)))
