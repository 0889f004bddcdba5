"""What the server and its workers say to each other: plain values that travel between processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Task = Literal["restore", "kernel", "denoise", "derain", "look"]
"""look: only tell what seems to be wrong with the picture."""

Kind = Literal["request", "input", "memory", "crash", "deadline", "cancelled", "closing", "bug"]
"""Why nothing became of an order. request: a field is wrong; input: the picture or the kernel file is unusable;
memory: it did not fit; crash: the worker died; bug: an error that was not raised on purpose."""


@dataclass(frozen=True)
class Options:
    """How a picture is to be restored; None leaves the choice to the library.

    Args:
        motion: length in pixels and angle in degrees of straight motion. disc: radius of a disc, pixels.
        gaussian: standard deviation of a Gaussian, pixels.
        sigma: noise level, fraction of the range. strength: how far to go, 0 to 1.
        method: of the catalogue. quality: fast, balanced or best.
        preview: only this piece of the picture, (x, y, width, height) in pixels.
        window, trail: boxes, likewise: where the blur is found, and around a light trail that shows it.
        step: stop the method after this step. iterates: also tell what comes out after each step.
        candidates: tell the most promising kernels, each tried on a piece of the picture.
        report: also tell how far to believe the result. sidecar: also write what `acutance repeat` needs.
    """

    motion: tuple[float, float] | None = None
    disc: float | None = None
    gaussian: float | None = None
    sigma: float | None = None
    strength: float | None = None
    method: str | None = None
    quality: str | None = None
    preview: tuple[int, int, int, int] | None = None
    window: tuple[int, int, int, int] | None = None
    trail: tuple[int, int, int, int] | None = None
    step: int | None = None
    iterates: bool = False
    candidates: bool = False
    report: bool = False
    sidecar: bool = False


@dataclass(frozen=True)
class Order:
    """One picture and what to do with it.

    Args:
        task: see `Task`.
        folder: private to this order; results are written into it.
        picture, kernel, mask, only: names of files in it. mask: white where pixels count, black where they are missing;
            only: white where the picture is restored, black where it stays as it is. Both are as large as the picture.
        options: see there.
        show: also write PNGs that every browser shows of the picture before and after.
        max_pixels: larger pictures are refused before they are decoded.
        names: (what, name) of files as the client calls them, unchecked; what: "picture", "kernel" or "mask". They are
            for reports and side-cars only.
    """

    task: Task
    folder: Path
    picture: str
    kernel: str | None = None
    mask: str | None = None
    only: str | None = None
    options: Options = Options()
    show: bool = False
    max_pixels: int = 50_000_000
    names: tuple[tuple[str, str], ...] = ()


class Failed(Exception):
    """Nothing became of an order. Args: kind: see `Kind`. message: for the person who sent it."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


class Full(Exception):
    """The queue is full. Args: seconds: after which it is worth asking again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"the queue is full; try again in about {seconds} s")
        self.seconds = seconds


Event = dict[str, Any]
"""Progress: {"phase": "restoring", "step": 3, "steps": 10}; other phases: reading, looking, preparing, kernel, writing,
reporting.

While the kernel is found, `step` of 100 is the share of the work that may come, "part" names what is done, and "size",
"number", "count" and "window" say which kernel is being estimated, and where; see `acutance.problem.Stage`."""

Report = dict[str, Any]
"""What became of an order: "picture", "kernel" ... are names of files in its folder, the rest is for people."""
