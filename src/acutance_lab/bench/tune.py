"""Settings searched over a grid on photographs that are in no test set, for methods of the catalogue and for peers.

Crops of the photographs are blurred with random camera shake and made noisy as `acutance_lab.bench.synthetic` says.
Which photographs, where the crops lie and what the kernels are depends on file names only. Photographs that training
holds out come first, so that a learned method is not tuned on what it has seen.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean

import torch
from PIL import Image as Pillow
from torch import Tensor

from acutance.errors import ConfigError, DataError
from acutance.images import read_image
from acutance_lab.bench.case import Case, Content, Noise, Suite, describe_noise
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.rows import Row
from acutance_lab.bench.run import run
from acutance_lab.bench.synthetic import synthetic_content
from acutance_lab.bench.tables import markdown
from acutance_lab.data.photographs import SUFFIXES, held_out
from acutance_lab.synth import kernels
from acutance_lab.synth.degradation import luma

NOISES = (0.006, 0.01, 0.03, 0.05)
SPANS = (13, 19, 25, 31)
SIDE = 200
"""Side of the blurred pictures, pixels."""

PLACES = 4
"""Places of a photograph of which the one with the most contrast is taken."""


@dataclass(frozen=True)
class Tuned:
    """A point of the grid: its settings, and the mean PSNR in dB for each noise level."""

    settings: str
    psnr: Mapping[float, float]

    @property
    def mean(self) -> float:
        """Over the levels."""
        return fmean(self.psnr.values())


def tune(
    method: str,
    grid: Mapping[str, Sequence[str]],
    photographs: Path,
    *,
    noises: Sequence[float] = NOISES,
    count: int = 12,
    device: torch.device | str = "auto",
    jobs: int = 1,
    on_plan: Callable[[int], None] | None = None,
    on_row: Callable[[Row], None] | None = None,
) -> list[Tuned]:
    """Measure a method with every combination of settings.

    Args:
        method: as for `acutance_lab.bench.run.run`; may have settings, which stay. grid: values of each setting.
        photographs: folder. noises: fractions of the range. count: of crops, each of another photograph.
        on_plan: told how many measurements there will be. on_row: told each.

    Returns:
        The points of the grid in its order.

    Raises:
        ConfigError: a setting that the method does not have. DataError: too few photographs.
    """
    points = [",".join(f"{k}={v}" for k, v in zip(grid, values, strict=True)) for values in product(*grid.values())]
    joint = "," if ":" in method else ":"
    contenders = [Contender.parse(f"{method}{joint}{point}" if point else method) for point in points]
    if len({c.label for c in contenders}) < len(contenders):
        raise ConfigError("two points of the grid are the same; give every value once")

    suite = Suite(
        "tune", "crops of photographs", "", tuple(noises), lambda _, noise: cases(photographs, noise, count),
        files=False, ssim=False, shown=0,
    )  # fmt: skip
    on_case = None if on_row is None else lambda row, _: on_row(row)
    rows = run(suite, contenders, device=device, jobs=jobs, on_plan=on_plan, on_case=on_case)
    scores: dict[tuple[str, Noise], list[float]] = {}
    for row in rows:
        scores.setdefault((row.method, row.noise), []).append(row.psnr)
    return [
        Tuned(point or "(as it is)", {level: fmean(scores[contender.label, level]) for level in noises})
        for contender, point in zip(contenders, points, strict=True)
    ]


def cases(folder: Path, noise: Noise, count: int) -> list[Case]:
    """The crops: `count` photographs large enough, those held out from training first, by the hash of their names."""
    files = sorted(
        (p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES), key=lambda p: (not held_out(p.name), _hash(p))
    )
    large = []
    for file in files:
        with Pillow.open(file) as picture:
            if min(picture.size) >= SIDE + max(SPANS) - 1:
                large.append(file)
        if len(large) == count:
            break
    else:
        raise DataError(
            f"{folder} has {len(large)} photographs of at least {SIDE + max(SPANS) - 1} pixels each way; "
            f"{count} are wanted (--cases)"
        )
    return [
        Case("tune", file.stem, f"shake{SPANS[n % len(SPANS)]}", noise, partial(content, file, n, noise or 0.0))
        for n, file in enumerate(large)
    ]


def content(file: Path, n: int, noise: float) -> Content:
    """A crop of the photograph, blurred by a shake of its own: random splines and damped walks in turn."""
    generator = torch.Generator().manual_seed(int(_hash(file)[:12], 16))
    span = SPANS[n % len(SPANS)]
    draw = kernels.spline if (n // len(SPANS)) % 2 == 0 else kernels.shake
    kernel = draw(1, span, generator)
    pixels = read_image(file).pixels
    grey = luma(pixels)[:, :1] if pixels.shape[1] == 3 else pixels
    side = SIDE + span - 1
    corners = torch.rand(PLACES, 2, generator=generator) * torch.tensor([grey.shape[-2] - side, grey.shape[-1] - side])
    crops = [grey[..., top : top + side, left : left + side] for top, left in corners.long().tolist()]
    return synthetic_content("tune", file.stem, f"shake{span}", noise, max(crops, key=_contrast), kernel)


def tuned_table(found: Sequence[Tuned]) -> str:
    """Markdown: a row for each point, the best of each column in bold."""
    levels = list(found[0].psnr)
    columns = [[each.psnr[level] for each in found] for level in levels] + [[each.mean for each in found]]
    best = [max((v for v in column if not math.isnan(v)), default=math.nan) for column in columns]
    lines = []
    for i, each in enumerate(found):
        cells = [f"**{c[i]:.2f}**" if c[i] == top else f"{c[i]:.2f}" for c, top in zip(columns, best, strict=True)]
        lines.append([each.settings, *cells])
    table = markdown(["setting", *map(describe_noise, levels), "mean"], lines)
    return f"{table}\n\nMean PSNR in dB over the crops; the best of each column in bold."


def _contrast(x: Tensor) -> float:
    return float(x.diff(dim=-1).abs().mean() + x.diff(dim=-2).abs().mean())


def _hash(file: Path) -> str:
    return hashlib.sha256(file.name.encode()).hexdigest()
