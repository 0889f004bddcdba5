"""Camera shake, JPEG and rounding for the tests of several modules."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import torch
from PIL import Image as PillowImage
from scipy.interpolate import CubicHermiteSpline
from torch import Tensor

from acutance.psf.shapes import SAMPLES, draw_path


def shake(n: int, span: int, generator: torch.Generator) -> Tensor:
    """Kernels (n, 1, span, span) of random Catmull-Rom curves through 3 to 6 points, the brightness varies likewise."""
    count = torch.randint(3, 7, (n,), generator=generator).tolist()
    points = (torch.rand(n, 6, 2, generator=generator) - 0.5) * (span - 1)
    points = torch.cat((points, torch.rand(n, 6, 1, generator=generator) + 0.1), -1).double().numpy()
    curves = []
    for c, p in zip(count, points, strict=True):
        ends = np.concatenate((p[:1], p[:c], p[c - 1 : c]))
        curves.append(CubicHermiteSpline(range(c), p[:c], (ends[2:] - ends[:-2]) / 2)(np.linspace(0, c - 1, SAMPLES)))
    path = torch.from_numpy(np.stack(curves)).float()
    return draw_path(path[..., :2], path[..., 2].clamp_min(0.02), span)


def rounded(x: Tensor) -> Tensor:
    """As a file of 8 bits holds it."""
    return (x.clamp(0, 1) * 255).round() / 255


def jpeg(x: Tensor, quality: int) -> Tensor:
    """Pictures (B, 3, H, W) after a JPEG file without subsampling of colour."""
    found = []
    for one in (rounded(x) * 255).byte().permute(0, 2, 3, 1).numpy():
        file = BytesIO()
        PillowImage.fromarray(one).save(file, "JPEG", quality=quality, subsampling=0)
        with PillowImage.open(file) as again:
            found.append(torch.from_numpy(np.array(again)))
    return torch.stack(found).permute(0, 3, 1, 2).float() / 255
