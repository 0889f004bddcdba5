"""The time that a cancelled job goes on computing, from workers as the service has them.

    python tests/serve_cancel.py [--megapixels 1] [--moments 8] [--threads 2] [--methods acute fd blind]

It cancels each of the methods at so many moments of its run and prints a line of JSON for each: the median and
the largest number of seconds from the cancel until nothing is computed any more, and in how many of them the worker did
not stop by itself and had to be replaced.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from acutance.images import read_image, write_image
from acutance.operators import Blur
from acutance.psf import shapes
from acutance.serve.orders import Event, Failed, Options, Order
from acutance.serve.pool import Pool
from acutance.serve.settings import Settings
from acutance.serve.worker import restorations

SHARP = Path(__file__).resolve().parents[1] / "examples/sharp.png"
RADIUS = 3
METHODS = {
    "acute": Options(method="acute", disc=RADIUS), "fd": Options(method="fd", disc=RADIUS), "blind": Options(),
}  # fmt: skip
LONG = 900.0


@dataclass(frozen=True)
class Stop:
    """A cancelled job.

    Args:
        phase: when it was cancelled. seconds: until nothing was computed any more. computed: processor seconds
            meanwhile. replaced: whether its worker was.
    """

    phase: str
    seconds: float
    computed: float
    replaced: bool


def blurred(path: Path, megapixels: float) -> None:
    """Write the sharp example, repeated to about this many pixels, blurred by a disc and with 0.5 % noise."""
    sharp, side = read_image(SHARP).pixels, round((megapixels * 1e6) ** 0.5)
    times = -(-(side + 2 * RADIUS) // min(sharp.shape[-2:]))
    large = sharp.repeat(1, 1, times, times)[..., : side + 2 * RADIUS, : side + 2 * RADIUS]
    made = Blur(shapes.disc(RADIUS), "valid").forward(large)
    noise = torch.randn(made.shape, generator=torch.Generator().manual_seed(0))
    write_image(path, (made + 0.005 * noise).clamp(0, 1), overwrite=True)


def started(threads: int) -> Pool:
    """A pool of one worker, which is up."""
    pool = Pool(Settings(threads=threads, devices=("cpu",), preload=("blind", "acute", "fd")), restorations)
    pool.start()
    wait(lambda: pool.ready == 1)
    return pool


def wait(true: Any, seconds: float = LONG) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.005)


def processor(pid: int) -> float | None:
    """Seconds that a process has computed; None where it has ended."""
    try:
        parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK") if parts[0] not in "ZX" else None


def cancel(pool: Pool, order: Order, after: float) -> Stop | None:
    """Cancel an order `after` seconds from its first phase of work; None where it was done before."""
    events: list[Event] = []
    (pid,), restarts = pool.pids(), pool.restarts
    ticket = pool.submit(order, events.append)
    wait(lambda: ticket.future.done() or any(e["phase"] in ("preparing", "restoring") for e in events))
    time.sleep(after)
    if ticket.future.done():
        return None
    before, begun = processor(pid) or 0.0, time.monotonic()
    ticket.cancel()
    last: float | None = before
    while not ticket.future.done():
        last = processor(pid) or last
        time.sleep(0.005)
    seconds = time.monotonic() - begun
    replaced = isinstance(ticket.future.exception(), Failed) and processor(pid) is None
    wait(lambda: pool.ready == 1 and not pool.running)
    return Stop(str(events[-1]["phase"]), seconds, (last or before) - before, replaced or pool.restarts > restarts)


def whole(pool: Pool, order: Order) -> float:
    """Seconds of an order that is not cancelled."""
    begun = time.monotonic()
    pool.submit(order).future.result(LONG)
    return time.monotonic() - begun


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=1.0)
    parser.add_argument("--moments", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        blurred(folder / "picture.png", given.megapixels)
        pool = started(given.threads)
        for name in given.methods:
            order = Order("restore", folder, "picture.png", options=METHODS[name])
            (folder / "restored.png").unlink(missing_ok=True)
            takes = whole(pool, order)
            moments = [takes * (i + 0.5) / given.moments for i in range(given.moments)]
            stops = []
            for moment in moments:
                (folder / "restored.png").unlink(missing_ok=True)
                (folder / "picture.png").write_bytes((folder / "picture.png").read_bytes() + b"x")  # search again
                stops.append(cancel(pool, order, moment))
            there = [stop for stop in stops if stop is not None]
            times = [stop.seconds for stop in there]
            told = {
                "method": name, "megapixels": given.megapixels, "whole": round(takes, 1), "cancelled": len(there),
                "median": round(statistics.median(times), 2), "largest": round(max(times), 2),
                "replaced": sum(stop.replaced for stop in there),
            }  # fmt: skip
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
        pool.close(0)


if __name__ == "__main__":
    main()
