"""Pictures for the eye: before beside after, and the inside of the steps."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from acutance.images import Image, write_image
from acutance.prepare import Prepared
from acutance.restoration.restorer import Restorer

GAP = 8

AS_THEY_ARE = ("estimate", "latent", "kernel")
"""Pictures that are not differences of two."""


def comparison(before: Image, after: Image) -> Tensor:
    """Before and after side by side with a white gap: (1, C, H, 2 W + GAP)."""
    gap = torch.ones(*before.pixels.shape[:3], GAP)
    return torch.cat((before.pixels.nan_to_num(0), gap, after.pixels), -1).clamp(0, 1)


def explain(restorer: Restorer, prepared: Prepared, steps: int, folder: Path) -> int:
    """Write the pictures of the first `steps` steps to `folder`; returns how many there are.

    Estimates, latent pictures and kernels are written as they are. Everything else is signed: mid-grey is 0, and the
    largest magnitude of its 99.9 % quantile reaches black or white; `scale.json` holds what that was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scales: dict[str, float] = {}
    count = 0
    for t, pictures in restorer.explain(prepared, steps=steps):
        for name, value in pictures.items():
            file = folder / f"step-{t:02d}-{name}.png"
            if name in AS_THEY_ARE:
                shown = value if name == "kernel" else value * prepared.scale
            else:
                top = float(torch.quantile(value.abs().flatten()[:: max(1, value.numel() // 1_000_000)], 0.999))
                scales[file.name] = top
                shown = 0.5 + 0.5 * value / max(top, 1e-12)
            write_image(file, shown.clamp(0, 1).cpu(), overwrite=True)
            count += 1
    (folder / "scale.json").write_text(json.dumps(scales, indent=1) + "\n")
    return count
