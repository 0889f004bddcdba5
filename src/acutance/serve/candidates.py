"""The kernels that `blind` thought of, as files: each exactly, for the eye, and with what it makes of a piece."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.blind.base import Estimate, Unknowable
from acutance.blind.method import candidates
from acutance.images import Image, ImageInfo, write_image
from acutance.images.kernel_file import write_kernel
from acutance.problem import Observer
from acutance.restoration.restorer import Restorer
from acutance.serve.orders import Report

KERNEL_SHOWN = 256
"""Side that the picture of a kernel has at least, pixels."""


def write(
    restorer: Restorer, image: Image, folder: Path, *, sigma: float | None, mask: Tensor | None, on_step: Observer
) -> tuple[Report, Tensor]:
    """Write up to four candidates into a folder.

    Args:
        restorer: of `blind`. image: the picture. folder: of the order. sigma, mask: see `Restorer.prepare`.
        on_step: sees every step of every candidate's restoration.

    Returns:
        The report: "candidates" describes them, the best first; "candidate_N" and so on name their files. And the
        kernel of the best, (1, 1, s, s); a single pixel where none can be told.
    """
    begun = time.perf_counter()
    prepared = replace(restorer.prepare(image, sigma=sigma, mask=mask), kept=None, where=None)
    report: Report = {"method": restorer.spec.name, "weights": restorer.weights, "steps": 0, "candidates": []}
    try:
        made = candidates(restorer.method, prepared.problem, on_step=on_step)
    except Unknowable as reason:
        seconds = round(time.perf_counter() - begun, 3)
        return report | {"seconds": seconds, "notes": [*prepared.notes, str(reason)]}, torch.ones(1, 1, 1, 1)

    def show(name: str, piece: Tensor) -> str:
        pixels = prepared.finish(piece).cpu().clamp(0, 1)
        write_image(folder / name, Image(pixels, info=ImageInfo(icc=image.info.icc)), overwrite=True)
        return name

    report["candidates_before"] = show("candidate-0.png", made[0][1])
    for n, (estimate, _, after) in enumerate(made, 1):
        report[f"candidate_{n}_picture"] = show(f"candidate-{n}.png", after)
        exact, seen = f"candidate-{n}.npy", f"candidate-{n}-kernel.png"
        write_both(estimate.kernel.cpu(), folder / exact, folder / seen)
        report |= {f"candidate_{n}": exact, f"candidate_{n}_kernel": seen}
        report["candidates"].append(described(estimate))
    report |= {"seconds": round(time.perf_counter() - begun, 3), "notes": list(prepared.notes)}
    return report, made[0][0].kernel.cpu()


def write_both(kernel: Tensor, exact: Path, seen: Path) -> None:
    """A kernel (1, 1, s, s) as .npy, and enlarged as a PNG whose largest value is white."""
    write_kernel(exact, kernel, overwrite=True)
    shown = F.interpolate(kernel, scale_factor=float(-(-KERNEL_SHOWN // kernel.shape[-1])), mode="nearest")
    write_kernel(seen, shown / shown.sum(), bits=8, overwrite=True)


def described(estimate: Estimate) -> dict[str, Any]:
    """Kind (path, disc, gaussian, line), size in pixels, angle in degrees, side, confidence and expected gain in dB."""
    shape, side = estimate.shape, estimate.kernel.shape[-1]
    return {
        "kind": "path" if shape is None else shape.kind, "size": side if shape is None else round(shape.size, 2),
        "angle": round(shape.angle) if shape is not None and shape.kind == "line" else None, "side": side,
        "confidence": None if estimate.confidence is None else round(estimate.confidence, 3),
        "gain": round(estimate.gain, 2),
    }  # fmt: skip
