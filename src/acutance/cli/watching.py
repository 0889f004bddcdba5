"""How far a command is: a bar on a terminal, elsewhere a line every ten seconds at most."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from acutance.cli.console import duration, err, escape, progress_bar, say
from acutance.problem import Progress, Stage

STAGES = {
    "estimating": "trying sizes", "judging": "comparing", "sparse": "trying sharp edges",
    "polishing": "refining", "lights": "looking for light trails",
    "shapes": "trying simple shapes", "encoded": "trying other brightness", "turning": "trying a turn of the camera",
    "trying": "restoring a piece",
}  # fmt: skip
"""The parts of a search for a kernel, see `acutance.problem.Stage`."""

EVERY = 10.0
"""Seconds between two lines where there is no terminal."""


LEAST_SHARE = 0.1
"""Share of a search from which its remaining time is told."""


class Watch:
    """Shows how far the pictures are. Args: total: how many there are.

    Attributes:
        forecast: seconds that the picture takes if it needs all its steps, from the second on; None: not known yet.
    """

    def __init__(self, total: int) -> None:
        self.total, self.count = total, 0
        self._bar = progress_bar()
        self._overall = self._bar.add_task("pictures", total=total, visible=total > 1)
        self._task = self._bar.add_task("", total=1, visible=False)
        self._name, self._phase, self._begun, self._first, self._step, self._steps = "", "", 0.0, 0.0, 0, 0
        self.forecast: float | None = None
        self._announced, self._wanted = False, ""
        self._search_begun, self._share = 0.0, 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Watch:
        self._bar.start()
        if not err.is_terminal:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._bar.stop()
        if self._thread.is_alive():
            self._thread.join(1)

    def begin(self, name: str) -> None:
        """A picture is begun."""
        self._name, self._begun, self._step, self._steps, self._phase = name, time.monotonic(), 0, 0, ""
        self.forecast, self._wanted, self._share = None, "", 0.0
        self._bar.reset(self._task, description=escape(name), total=None, visible=True)

    def announce(self, what: str) -> None:
        """Say how long the first picture of which that is wanted takes. Args: what: it is, "2000 x 1500 pixels"."""
        self._wanted = what

    def phase(self, text: str) -> None:
        """What is being done with the picture, where that is no step."""
        self._phase = text
        self._bar.update(self._task, description=f"{escape(self._name)}: {text}")

    def on_stage(self, stage: Stage) -> None:
        """An observer of the search for a kernel, see `acutance.problem.StageObserver`."""
        if not self._share:
            self._search_begun = time.monotonic()
        self._share = max(stage.share, 1e-6)
        which = "" if stage.size is None else f", {stage.size} pixels"
        which += "" if stage.window is None else f" in windows of {stage.window}"
        which += f" ({stage.number} of {stage.count})" if stage.count > 1 else ""
        self.phase(f"finding the kernel: {STAGES.get(stage.name, stage.name)}{which}")
        self._bar.update(self._task, total=1.0, completed=stage.share)

    def on_step(self, progress: Progress) -> None:
        """An observer of the steps, see `acutance.problem.Observer`."""
        now = time.monotonic()
        if not self._step:
            self._first = now
            if self._share:
                self.phase("restoring")
        elif self.forecast is None:
            each = (now - self._first) / (progress.step - 1)
            self.forecast = now - self._begun + each * (progress.steps - progress.step)
            if self._wanted and not self._announced:
                self._announced = True
                say(f"{escape(self._wanted)}: about {duration(self.forecast)} if it needs all its steps")
        self._step, self._steps = progress.step, progress.steps
        self._bar.update(self._task, total=progress.steps, completed=progress.step)

    def end(self) -> None:
        """A picture is done, in whatever way."""
        self.count += 1
        self._name = ""
        self._bar.update(self._task, visible=False)
        self._bar.advance(self._overall)

    def line(self) -> str | None:
        """How far it is, as a sentence; None between two pictures."""
        name, now = self._name, time.monotonic()
        if not name:
            return None
        where = f", picture {self.count + 1} of {self.total}" if self.total > 1 else ""
        far = f", {self._phase}" if self._phase else ""
        if self._share > LEAST_SHARE and not self._step:
            left = (now - self._search_begun) / self._share * (1 - self._share)
            far += f", at most about {duration(left)} more for it" if left >= 1 else ""
        if self._step:
            far = f", step {self._step} of at most {self._steps}"
            if self._step > 1:
                left = (now - self._first) / (self._step - 1) * (self._steps - self._step)
                far += f", about {duration(left)} left" if left >= 1 else ""
        return f"{name}{where}: {duration(now - self._begun)} so far{far}"

    def _tick(self) -> None:
        while not self._over.wait(EVERY):
            line = self.line()
            if line is not None:
                say(escape(line))
