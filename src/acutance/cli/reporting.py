"""What a command says of each picture: a sentence, or one JSON object on stdout."""

from __future__ import annotations

import json
import time

from acutance.cli.console import escape, out, say
from acutance.cli.files import Job
from acutance.errors import AcutanceError
from acutance.restore import Restoration


def report(
    job: Job, done: Restoration, notes: tuple[str, ...], forecast: float | None = None, *, as_json: bool
) -> None:
    """What became of a picture, as a sentence or as JSON; notes on what was assumed or converted."""
    if as_json:
        record = {
            "picture": str(job.source), "result": str(job.target), "method": done.method, "weights": done.weights,
            "steps": done.steps, "outcome": done.outcome.name.lower(), "seconds": round(done.seconds, 3),
            "forecast_seconds": None if forecast is None else round(forecast, 3),
            "fitting_error": round(done.fitting_error, 6), "notes": list(notes),
        }  # fmt: skip
        out.print(json.dumps(record), markup=False)
        return
    for note in notes:
        say(f"[yellow]{escape(job.source.name)}:[/] {escape(note)}")
    version = f" ({escape(done.weights)})" if done.weights else ""
    plural = "s" if done.steps != 1 else ""
    say(
        f"[bold]{escape(job.target)}[/]: {done.method}{version}, {done.steps} step{plural}, {done.outcome.value}, "
        f"{duration(done.seconds)}, fitting error {100 * done.fitting_error:.2f} %"
    )


def report_error(job: Job, error: AcutanceError, *, as_json: bool) -> None:
    """Why nothing became of a picture."""
    if as_json:
        out.print(json.dumps({"picture": str(job.source), "error": str(error)}), markup=False)
    say(f"[bold red]error:[/] {escape(error)}")


def duration(seconds: float) -> str:
    """12.3 s, 2 min 05 s, 1 h 20 min."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    return time.strftime("%-H h %M min" if seconds >= 3600 else "%-M min %S s", time.gmtime(seconds))
