"""The blurs that `blind` thought of, each tried on a piece of the picture, side by side for the eye."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.blind.base import Estimate, Unknowable
from acutance.blind.method import candidates
from acutance.cli.console import escape, say
from acutance.cli.looking import GAP
from acutance.errors import OutputError
from acutance.images import Image, write_image
from acutance.images.kernel_file import write_kernel
from acutance.restoration.restorer import Restorer

SHEET = "sheet.png"

INSET = 0.25
"""Part of the side of a piece that the picture of its kernel takes, at least where the kernel is smaller."""


def check_sheet(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds candidates already.

    Raises:
        OutputError: it does.
    """
    there = folder / SHEET
    if there.exists() and not overwrite:
        raise OutputError(f"--candidates: {there} exists; give --overwrite to replace it, or another folder")


def write_candidates(
    restorer: Restorer, image: Image, folder: Path, *, linear: bool | None, sigma: float | None, mask: Tensor | None
) -> None:
    """Write kernels, pieces and a sheet of them to a folder, and say what is there.

    candidate-1.npy is the kernel that the judge expects most of, candidate-1.png what it makes of the most textured
    piece, and sheet.png has the piece as it is and all of these beside one another, the kernels in their corners.
    """
    prepared = replace(restorer.prepare(image, None, sigma=sigma, linear=linear, mask=mask), kept=None, where=None)
    try:
        made = candidates(restorer.method, prepared.problem)
    except Unknowable as reason:
        say(f"no candidates: {escape(reason)}")
        return
    folder.mkdir(parents=True, exist_ok=True)
    before = prepared.finish(made[0][1]).cpu()
    panels = [before]
    for n, (estimate, _, restored) in enumerate(made, 1):
        after = prepared.finish(restored).cpu()
        write_kernel(folder / f"candidate-{n}.npy", estimate.kernel.cpu(), overwrite=True)
        write_image(folder / f"candidate-{n}.png", after.clamp(0, 1), overwrite=True)
        panels.append(_with_inset(after, estimate.kernel.cpu()))
        say(f"candidate {n}: {_described(estimate)}, expected gain {estimate.gain:.1f} dB")
    gap = torch.ones(*before.shape[:3], GAP)
    parts = [part for panel in panels for part in (gap, panel)][1:]
    write_image(folder / SHEET, torch.cat(parts, -1).clamp(0, 1), overwrite=True)
    say(
        f"{escape(folder / 'sheet.png')}: the input and {len(made)} candidates. To take one: "
        f"--kernel {escape(folder / 'candidate-1.npy')}"
    )


def _described(estimate: Estimate) -> str:
    side = estimate.kernel.shape[-1]
    if estimate.shape is None:
        return f"a path of {side} x {side} pixels"
    return f"a {estimate.shape.kind} of {estimate.shape.size:.2g} pixels"


def _with_inset(picture: Tensor, kernel: Tensor) -> Tensor:
    """A picture (1, C, H, W) with its kernel, the largest value white, in the upper left corner."""
    side = kernel.shape[-1]
    factor = max(1, int(INSET * min(picture.shape[-2:])) // side)
    shown = F.interpolate(kernel / kernel.max(), scale_factor=float(factor), mode="nearest")
    shown = F.pad(shown.mean(1, keepdim=True), (0, 1, 0, 1), value=1.0)
    out = picture.clone()
    h, w = (min(a, b) for a, b in zip(shown.shape[-2:], picture.shape[-2:], strict=True))
    out[..., :h, :w] = shown[..., :h, :w].expand(-1, picture.shape[1], -1, -1)
    return out
