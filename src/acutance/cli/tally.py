"""What became of every file of a command, for its last lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from acutance.cli.console import escape, escape_message, say

SHOWN = 20
"""Names that one line lists at most."""


@dataclass
class Tally:
    """What became of the pictures. Args: restored, done: sources. skipped, failed: and why. left: not begun."""

    restored: list[Path] = field(default_factory=list)
    done: list[Path] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)
    left: list[Path] = field(default_factory=list)
    signal: int | None = None

    @property
    def status(self) -> int:
        """Exit status of the program."""
        if self.signal is not None:
            return 128 + self.signal
        return 1 if self.failed else 0

    @property
    def files(self) -> int:
        """All that is accounted for."""
        return sum(len(part) for part in (self.restored, self.done, self.skipped, self.failed, self.left))

    def tell(self) -> None:
        """The last lines: how many of each, then names, with the reason."""
        counts = (
            ("restored", self.restored),
            ("done already", self.done),
            ("skipped", self.skipped),
            ("failed", self.failed),
            ("not begun", self.left),
        )
        said = ", ".join(f"{len(part)} {word}" for word, part in counts if part)
        begun = "stopped: " if self.signal is not None else ""
        again = "; the same command goes on from there" if self.left else ""
        say(f"[bold]{begun}{said or 'nothing to do'}[/]{again}")
        for reason, names in _by_reason(self.skipped).items():
            say(f"  skipped, {escape(reason)}: {_listed(names)}")
        for path, why in self.failed:
            say(f"  [red]failed:[/] {escape(path)}: {escape_message(_without(why, path))}")


def _by_reason(skipped: list[tuple[Path, str]]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path, why in skipped:
        found.setdefault(why, []).append(path)
    return found


def _listed(paths: list[Path]) -> str:
    names = ", ".join(escape(path) for path in paths[:SHOWN])
    return names + (f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else "")


def _without(why: str, path: Path) -> str:
    """The reason without the name that stands before it already."""
    return why.removeprefix(f"cannot read {path}: ").removeprefix(f"{path}: ")
