"""Handlers for workers of tests; a file of its own, since worker processes import it by name."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from acutance.errors import ImageError
from acutance.serve.orders import Event, Failed, Order, Report


class Obedient:
    """Does what the name of the order's picture says: sleep-0.1, work-5, crash, raise, refuse, eat-500."""

    def __init__(self) -> None:
        self.about: dict[str, Any] = {"methods": [], "device": "none"}

    def __call__(self, order: Order, tell: Callable[[Event], None], look: Callable[[], None] = print) -> Report:
        what, _, number = order.picture.partition("-")
        amount = float(number or 0)
        if what == "sleep":  # hears no cancellation
            time.sleep(amount)
        elif what == "work":
            end = time.monotonic() + amount
            while time.monotonic() < end:
                tell({"phase": "restoring", "step": 1, "steps": 2})
                time.sleep(0.02)
        elif what == "crash":
            os._exit(9)
        elif what == "raise":
            raise ImageError("a bug")
        elif what == "refuse":
            raise Failed("input", "no picture of a known kind")
        elif what == "eat":
            eaten = bytearray(int(amount * 1e6))
            eaten[::4096] = b"x" * len(eaten[::4096])
            time.sleep(5)
        return {"pid": os.getpid(), "did": order.picture}


class Copier(Obedient):
    """Answers with the picture or the piece of it, after `disc` seconds; dies of a Gaussian of 1 pixel.

    Searches for a kernel at a strength of 30 % only, and for guesses at 0.2 % of noise.
    """

    def __call__(self, order: Order, tell: Callable[[Event], None], look: Callable[[], None] = print) -> Report:
        if order.task == "look":
            return looked(order)
        searches = order.options.candidates and order.options.sigma == 0.002
        if searches or (order.options.strength == 0.3 and order.options.disc is None):
            search(tell)
        tell({"phase": "restoring", "step": 1, "steps": 4})
        end = time.monotonic() + (order.options.disc or 0)
        while time.monotonic() < end:
            tell({"phase": "restoring", "step": 2, "steps": 4})
            time.sleep(0.02)
        if order.options.gaussian == 1:
            os._exit(9)
        if order.options.candidates:
            return guesses(order)
        if order.options.preview is None:
            shutil.copy(order.folder / order.picture, order.folder / "restored.png")
        else:
            x, y, width, height = order.options.preview
            with Image.open(order.folder / order.picture) as picture:
                picture.crop((x, y, x + width, y + height)).save(order.folder / "restored.png")
        found: Report = {}
        if order.options.iterates:  # darker before the last step
            found["iterates"] = [1, 2, 4]
            with Image.open(order.folder / "restored.png") as picture:
                for n in (1, 2, 3):
                    picture.point(lambda v, n=n: v * n // 3).save(order.folder / f"iterate-{n}.png")
                    found[f"iterate_{n}"] = f"iterate-{n}.png"
        if order.kernel is None and order.options.disc is None:  # as if it had been found: one point left of the centre
            kernel = np.zeros((5, 5), np.float32)
            kernel[2, 1] = 1
            np.save(order.folder / "kernel.npy", kernel)
            Image.fromarray((255 * kernel).astype(np.uint8)).save(order.folder / "kernel.png")
            found |= {"kernel": "kernel.npy", "kernel_picture": "kernel.png", "kernel_side": 5}
        found |= trusted(order)
        return found | {
            "picture": "restored.png", "width": 64, "height": 48, "format": "PNG", "bits": 8,
            "method": order.options.method or "copier",
            "weights": "w-1", "steps": order.options.step or 4, "outcome": "completed", "seconds": 0.1,
            "confidence": order.options.sigma and 10 * order.options.sigma,
            "notes": ["it was copied", *heard(order)],
        }  # fmt: skip


def trusted(order: Order) -> Report:
    """A report with one doubt, a map whose left half is marked, and a side-car, as far as they are asked for."""
    told: Report = {}
    if order.options.report:
        (order.folder / "report.html").write_text("<h1>a report</h1>")
        told |= {"report": "report.html", "unsupported": "unsupported.png", "trust": TRUST}
        veil = np.zeros((48, 64, 4), np.uint8)
        veil[:, :32] = (230, 0, 230, 255)
        Image.fromarray(veil).save(order.folder / "unsupported.png")
    if order.options.sidecar:
        (order.folder / "sidecar.json").write_text(json.dumps({"names": dict(order.names)}))
        told |= {"sidecar": "sidecar.json"}
    return told


TRUST = {
    "method": "copier", "asked": "blind", "weights": "w-1", "noise_level": 0.0123, "noise_assumed": True,
    "noise_reason": "measured in smooth places", "kernel_size": [5, 5], "kernel_found": True, "confidence": 0.62,
    "error": 0.02, "noise": 0.01, "ratio": 2.0, "normal_ratio": [0.93, 1.16], "whiteness": 0.4,
    "whiteness_chance": 0.01, "normal_whiteness": 0.21, "lossy": False, "unsupported_share": 0.28,
    "unsupported_top": 0.05,
    "findings": [{"text": "It explains too little.", "good": False}, {"text": "It looks well.", "good": True}],
}  # fmt: skip


def search(tell: Callable[[Event], None]) -> None:
    """Search for a kernel until nobody waits any more, for ten seconds at most."""
    end = time.monotonic() + 10
    for n in range(1, 500):
        told = {"phase": "kernel", "part": "estimating", "step": min(40, n), "steps": 100}
        tell(told | {"size": 45, "number": 2, "count": 5, "window": 256})
        time.sleep(0.02)
        if time.monotonic() > end:
            return


def looked(order: Order) -> Report:
    """What is wrong with a picture, as its height says."""
    with Image.open(order.folder / order.picture) as picture:
        height = picture.height
    blur = {"confidence": 0.97, "size": 3.5, "angle": None}
    faults = {
        48: [],
        56: [{"what": "focus", **blur}],
        64: [{"what": "line", **blur, "angle": 120}, {"what": "noise"}],
        40: [{"what": "noise"}],
    }.get(height, [])
    return {"faults": faults, "noise": 0.031, "confidence": None if faults else 0.88, "notes": []}


def guesses(order: Order) -> Report:
    """Two guesses: one point above the centre, and one below it."""
    told: Report = {"candidates_before": "candidate-0.png", "width": 64, "height": 48, "method": "copier"}
    told["notes"] = heard(order)
    told["candidates"] = [
        {"kind": "path", "size": 5, "angle": None, "side": 5, "confidence": 0.62, "gain": 1.0},
        {"kind": "line", "size": 3.5, "angle": 90, "side": 5, "confidence": 0.31, "gain": 0.2},
    ]
    shutil.copy(order.folder / order.picture, order.folder / "candidate-0.png")
    for n, row in ((1, 1), (2, 3)):
        kernel = np.zeros((5, 5), np.float32)
        kernel[row, 2] = 1
        np.save(order.folder / f"candidate-{n}.npy", kernel)
        Image.fromarray((255 * kernel).astype(np.uint8)).save(order.folder / f"candidate-{n}-kernel.png")
        shutil.copy(order.folder / order.picture, order.folder / f"candidate-{n}.png")
        told |= {f"candidate_{n}": f"candidate-{n}.npy", f"candidate_{n}_kernel": f"candidate-{n}-kernel.png"}
        told[f"candidate_{n}_picture"] = f"candidate-{n}.png"
    return told


def heard(order: Order) -> list[str]:
    """What an order asked for, a line for each option and file."""
    told = [f"{name}={value}" for name, value in vars(order.options).items() if value not in (None, False)]
    if order.kernel is not None and order.kernel.endswith(".npy"):
        kernel = np.load(order.folder / order.kernel)
        told.append(f"kernel={kernel.shape[0]}x{kernel.shape[1]} {kernel.dtype} {np.argwhere(kernel > 0.5).tolist()}")
    for name, file in (("mask", order.mask), ("only", order.only)):
        if file is not None:
            with Image.open(order.folder / file) as picture:
                values = np.asarray(picture.convert("L"))
            told.append(f"{name}={values.shape} white={float((values > 127).mean()):.2f} corner={values[0, 0]}")
    return told


def copier(threads: int, device: str, memory: int, preload: tuple[str, ...]) -> Copier:
    """The same, of a worker that copies."""
    return Copier()


def make(threads: int, device: str, memory: int, preload: tuple[str, ...]) -> Obedient:
    """See `acutance.serve.worker.Maker`."""
    return Obedient()
