"""Methods of the catalogue in sizes that run quickly, for tests of what all of them promise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from acutance.methods.spec import MethodSpec
from acutance.problem import Method

SMALL: dict[str, dict[str, Any]] = {
    "acute": {"widths": "8,8", "blocks": "1,1", "steps": 3},
    "csf": {"stages": 2},
    "dgunet-deblur": {"width": 8, "growth": 4, "tail": 4, "stages": 3},
    "dgunet-denoise": {"width": 8, "growth": 2, "plus": True, "stages": 3},
    "dgunet-derain": {"width": 4, "growth": 2, "channels": 1, "stages": 4},
    "dgunet-sense": {"width": 8, "growth": 4, "tail": 4, "stages": 3},
    "fdn": {"stages": 2, "features": 4},
    "golf": {"drive": 4, "putt": 4},
    "gradnet": {"stages": 3},
    "ircnn": {"features": 4, "steps": 3},
    "ircnn-denoise": {"features": 4},
    "mlp": {"hidden": 8, "layers": 2},
    "motion-flow": {"features": 4, "method": "richardson-lucy", "method_steps": 3},
    "rgdn": {"features": 6, "steps": 4},
    "blind": {"method": "wiener", "otherwise": "nothing"},
    "bm3d": {"radius": 5, "first": 8, "second": 8},
    "epll": {"steps": 3},
    "levin": {"steps": 2, "rounds": 5},
    "nlm": {"radius": 4, "patch": 3},
    "pnp": {"steps": 2, "denoiser": "nlm", "denoiser_radius": 3, "denoiser_patch": 3},
    "richardson-lucy": {"steps": 10},
    "tnrd": {"stages": 2},
    "tv": {"steps": 10},
}
"""Settings that make a method quick; whatever is not here runs with its own."""


def built(spec: MethodSpec, **settings: Any) -> Method:
    """The method, untrained where it learns."""
    if spec.weights is not None:
        settings = {"weights": None, "device": "cpu", "precision": "float32", "tile": None, **settings}
    return spec.build(**settings)


def kernel_of(h: int, w: int) -> Tensor:
    k = torch.rand(1, 1, h, w, generator=torch.Generator().manual_seed(3)) ** 2
    return k / k.sum()
