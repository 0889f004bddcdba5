"""What a command says of each picture: a sentence, or one JSON object on stdout."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from acutance.cli.console import duration, emit, escape, escape_message, say
from acutance.cli.tally import Tally
from acutance.cli.targets import Job
from acutance.methods.spec import find
from acutance.problem import Outcome
from acutance.restoration.restored import Restoration

ENDINGS = {
    Outcome.EXHAUSTED: ", stopped at the steps or seconds that it was given",
    Outcome.DIVERGED: ", but it did not settle, and the last good estimate was kept",
}
"""What is said of a run that did not end as usual."""


@dataclass(frozen=True)
class Report:
    """The message about a restored picture; it holds no pixels, so it can come from another process.

    Args:
        job: which. notes: on what was assumed or converted. sentence: how it came about.
        hint: on a noise level that was assumed, what to try; None: there is nothing to try. record: the same for JSON.
    """

    job: Job
    notes: tuple[str, ...]
    sentence: str
    hint: str | None
    record: dict[str, object]

    @staticmethod
    def of(job: Job, done: Restoration, notes: tuple[str, ...], forecast: float | None = None) -> Report:
        """From a result. Args: forecast: seconds that it was to take."""
        level = done.noise_level if done.noise_assumed else None
        hint = None if level is None else noise_hint(level)
        return Report(job, notes, sentence(done), hint, _record(job, done, notes, forecast))

    def tell(self, *, as_json: bool, hint: bool = True, brief: bool = False) -> None:
        """Print it. Args: hint: say what to try. brief: leave the sentence out."""
        if as_json:
            emit(json.dumps(self.record))
            return
        name = escape(self.job.source.name)
        for note in self.notes:
            say(f"[yellow]{name}:[/] {escape(note)}")
        if hint and self.hint is not None:
            say(f"[yellow]{name}:[/] {self.hint}")
        if not brief:
            say(f"[bold]{escape(self.job.target)}[/]: {escape(self.sentence)}")


def sentence(done: Restoration) -> str:
    """How a picture was restored."""
    if done.unchanged:
        return f"left unchanged, {duration(done.seconds)}"
    version = f" ({done.weights})" if done.weights and done.ran == done.method else ""
    steps = f", {done.steps} steps" if done.steps > 1 else ""
    strength = f", strength {done.strength:g}" if done.strength < 1 else ""
    ending = ENDINGS.get(done.outcome, "")
    if done.outcome is Outcome.DIVERGED and find(done.method).needs.kernel:
        ending += ": check the kernel and how it is turned"
    return f"restored by {done.ran}{version}{steps}{strength}, {duration(done.seconds)}{ending}"


def noise_hint(level: float) -> str:
    """A noise level that was assumed, and what to try where it is wrong.

    Example:
        >>> noise_hint(0.01)
        'assuming 1 % noise. Grainy or ringed? --sigma 2%. Too smooth? --sigma 0.5%.'
    """
    if level < 1e-6:
        return "assuming no noise. Grainy or ringed? --sigma 1%."
    higher, lower = (f"{100 * min(factor * level, 0.5):.2g}%" for factor in (2, 0.5))
    return f"assuming {100 * level:.2g} % noise. Grainy or ringed? --sigma {higher}. Too smooth? --sigma {lower}."


def _record(job: Job, done: Restoration, notes: tuple[str, ...], forecast: float | None) -> dict[str, object]:
    return {
        "picture": str(job.source),
        "result": str(job.target),
        "status": "unchanged" if done.unchanged else "restored",
        "method": done.ran,
        "asked": done.method,
        "weights": done.weights,
        "noise_level": None if done.noise_level is None else round(done.noise_level, 6),
        "noise_assumed": done.noise_assumed,
        "noise_reason": done.noise_reason,
        "confidence": None if done.confidence is None else round(done.confidence, 3),
        "strength": done.strength,
        "steps": done.steps,
        "outcome": done.outcome.name.lower(),
        "seconds": round(done.seconds, 3),
        "forecast_seconds": None if forecast is None else round(forecast, 3),
        "fitting_error": round(done.fitting_error, 6),
        "notes": list(notes),
    }


def report_done(job: Job, *, as_json: bool) -> None:
    """That a picture was restored by an earlier command."""
    if as_json:
        emit(json.dumps({"picture": str(job.source), "result": str(job.target), "status": "done already"}))
    else:
        say(f"{escape(job.target)}: done already")


def report_skipped(source: Path, why: str, *, as_json: bool) -> None:
    """That a file was left out; without JSON the last lines say so."""
    if as_json:
        emit(json.dumps({"picture": str(source), "status": "skipped", "reason": why}))


def report_left_out(tally: Tally, *, as_json: bool) -> None:
    """What was left out, or could not be looked into, before the first picture was begun."""
    for path, why in tally.skipped:
        report_skipped(path, why, as_json=as_json)
    for path, why in tally.failed if as_json else ():
        emit(json.dumps({"picture": str(path), "status": "failed", "error": why}))


def report_error(job: Job, error: str, *, as_json: bool) -> None:
    """Why nothing became of a picture."""
    if as_json:
        emit(json.dumps({"picture": str(job.source), "status": "failed", "error": error}))
    say(f"[bold red]error:[/] {escape_message(error)}")
