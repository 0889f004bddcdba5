r"""Why does Golf change the brightness, and where does it do harm? Pictures with a known answer, real and synthetic.

    gap    g = mean(s - y)          what the brightness should change by: s the sharp picture, y the blurred one
    shift  m = mean(N(y) - y)       what it changes by
    limit  2 <r, s - y> / |r|^2     gains below it improve the mean square error;  r = N(y) - y - m

Light that is averaged and then encoded is brighter than the mean of encoded values, because tone curves are concave. So
the gap of such pictures is negative, and a network that is trained on them darkens every picture by what is right on
average. Synthetic pairs are made twice, of the same photographs and movements: light averaged, encoded values averaged
(as the linear version of GoPro, Nah et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import ConfigError
from acutance.frame import Frame
from acutance.images import read_image
from acutance.images.colour import srgb_to_linear
from acutance.methods.golf import Golf
from acutance.metrics import psnr
from acutance.networks.blocks import drift
from acutance.problem import Problem
from acutance_lab.bench.case import files_in
from acutance_lab.bench.pairs import PICTURES
from acutance_lab.bench.real import centre_cut
from acutance_lab.bench.tables import listed
from acutance_lab.data.photographs import Photographs
from acutance_lab.experiments.convergence import Case
from acutance_lab.experiments.output import Report, mean_row
from acutance_lab.synth import DynamicBlur
from acutance_lab.synth.degradation import luma

LIGHT, ENCODED, SHARP = "light averaged", "encoded averaged", "sharp pictures"

HIGHEST = 60.0
"""PSNR in dB that counts for two equal pictures."""

TONES = 4
"""Equal parts of the range of the luma that shifts are looked at in."""

LOCAL = 65
"""Side in pixels of the square whose mean is kept in the local form."""

AS_IS, KEPT, LOCALLY, IN_LIGHT = "as it is", "mean kept", "local mean kept", "mean of the light kept"
GAINS = (0.75, 0.5, 0.25)


@dataclass(frozen=True)
class Measured:
    """One picture in numbers; brightness in grey levels of 1/255.

    Args:
        source, name: see `Case`.
        gap, shift: g and m, red, green, blue.
        kept: shift that is left in a file of 8 bits where the mean is kept, red, green, blue.
        clipping: what clipping to the range adds to the mean. rounding: what bfloat16 adds; both over all colours.
        tones: for each part of the range its share of the pixels, its gap and its shift.
        limit: see the module; 0 for a sharp picture.
        before: PSNR of y, dB. after: by form of the output, see `forms`.
    """

    source: str
    name: str
    gap: tuple[float, float, float]
    shift: tuple[float, float, float]
    kept: tuple[float, float, float]
    clipping: float
    rounding: float
    tones: tuple[tuple[float, float, float], ...]
    limit: float
    before: float
    after: dict[str, float]


def from_photographs(data: Path, blur: DynamicBlur, *, count: int, side: int) -> Iterator[Case]:
    """Crops of held-out photographs: blurred in light, and blurred alike in encoded values.

    Raises:
        DataError: no photographs.
    """
    size = side + 2 * blur.margin()
    photographs = Photographs.load(data, device=torch.device("cpu"), validation=True, least=size)
    for number in range(count):
        name = f"crop {number + 1}"
        for source, share in ((LIGHT, 0.0), (ENCODED, 1.0)):
            generator = torch.Generator().manual_seed(number)
            sharp = photographs.crops(1, size, generator, candidates=1)
            movement = blur.draw(1, (side, side), generator)
            camera = replace(blur.camera, encoded=share)
            example = replace(blur, camera=camera).expose(sharp, movement, generator)
            yield Case(source, name, example.problem.observed, example.sharp)


def from_folder(folder: Path, count: int, side: int) -> Iterator[Case]:
    """Sharp colour pictures as they are, the first by name, cut to at most `side` pixels about the centre.

    Raises:
        DataError: there are none. ImageError: one cannot be read.
    """
    files = sorted(files_in(folder, *PICTURES))
    pixels = ((file.stem, centre_cut(read_image(file).pixels.float(), side)) for file in files)
    colour = (Case(SHARP, name, picture, picture) for name, picture in pixels if picture.shape[1] == 3)
    yield from islice(colour, count)


def run(
    cases: Iterable[Case], golf: Golf, *, rounding: bool = True, on_picture: Callable[[], None] | None = None
) -> list[Measured]:
    """Measure every picture.

    Args:
        rounding: whether each picture is restored in bfloat16 as well, which takes as long again.
        on_picture: called after each.

    Raises:
        ConfigError: no picture.
    """
    found = []
    for case in cases:
        found.append(measure(case, golf, rounding=rounding))
        if on_picture is not None:
            on_picture()
    if not found:
        raise ConfigError("no picture to measure")
    return found


@torch.no_grad()
def measure(case: Case, golf: Golf, *, rounding: bool) -> Measured:
    """One picture, in float32."""
    y, s = case.observed, case.sharp
    z = restored(golf, y, torch.float32)
    low = restored(golf, y, torch.bfloat16) if rounding else z
    d, r = s - y, z - y
    r0 = r - r.mean((2, 3), keepdim=True)
    energy = float(r0.square().sum())
    return Measured(
        source=case.source,
        name=case.name,
        gap=_levels(d),
        shift=_levels(r),
        kept=_levels((255 * (z - drift(y, z)).clamp(0, 1)).round() / 255 - y),
        clipping=255 * float((z.clamp(0, 1) - z).mean()),
        rounding=255 * float((low - z).mean()),
        tones=tuple(_tones(y, d, r)),
        limit=2 * float((r0 * d).sum()) / energy if energy else 0.0,
        before=_score(y, s),
        after={name: _score(form, s) for name, form in forms(y, z).items()},
    )


def restored(golf: Golf, y: Tensor, dtype: torch.dtype) -> Tensor:
    """What the network makes of y (1, 3, H, W) in that precision."""
    before = golf.frame
    golf.frame = Frame(dtype, tile=None)
    try:
        return golf.run(Problem(y)).x
    finally:
        golf.frame = before


def forms(y: Tensor, z: Tensor) -> dict[str, Tensor]:
    """The output z of y (both (1, 3, H, W)) with its brightness held in different ways, and with gains below 1.

    The mean of the light is kept by an offset for each colour, found by Newton's iteration under the sRGB curve.
    """
    r = z - y
    r0 = r - r.mean((2, 3), keepdim=True)
    half = LOCAL // 2
    around = r
    for size, edge in (((LOCAL, 1), (half, 0)), ((1, LOCAL), (0, half))):  # rows and columns apart: 30 times less work
        around = F.avg_pool2d(around, size, stride=1, padding=edge, count_include_pad=False)
    wanted = srgb_to_linear(y.clamp(0, 1)).mean((2, 3), keepdim=True)
    offset, step = torch.zeros_like(wanted), 1e-3
    for _ in range(3):
        now, more = (srgb_to_linear((y + r0 + offset + h).clamp(0, 1)).mean((2, 3), keepdim=True) for h in (0, step))
        offset = offset + (wanted - now) * step / (more - now).clamp_min(1e-9)
    held = {AS_IS: z, KEPT: z - drift(y, z), LOCALLY: z - around, IN_LIGHT: y + r0 + offset}
    return {**held, **{gain_name(gain): w - drift(y, w) for gain in GAINS for w in [y + gain * r]}}


def gain_name(gain: float) -> str:
    """The form with that gain."""
    return f"{KEPT}, gain {gain:g}"


def safe_gain(found: Sequence[Measured]) -> float | None:
    """The gain whose worse kind of synthetic pairs gains most, in mean PSNR; None: none gains on both, or no pairs."""
    kinds = [[m for m in found if m.source == source] for source in (LIGHT, ENCODED)]
    if not all(kinds):
        return None

    def worse(name: str) -> float:
        return min(fmean(m.after[name] - m.before for m in kind) for kind in kinds)

    gains = {1.0: KEPT, **{gain: gain_name(gain) for gain in GAINS}}
    best = max(gains, key=lambda gain: worse(gains[gain]))
    return best if worse(gains[best]) > 0 else None


def _score(estimate: Tensor, sharp: Tensor) -> float:
    return float(psnr(estimate.clamp(0, 1), sharp.clamp(0, 1)).clamp_max(HIGHEST))


def _levels(d: Tensor) -> tuple[float, float, float]:
    red, green, blue = (255 * d.mean((0, 2, 3))).tolist()
    return red, green, blue


def _tones(y: Tensor, d: Tensor, r: Tensor) -> Iterator[tuple[float, float, float]]:
    part = (TONES * luma(y)[:, :1]).long().clamp(0, TONES - 1)
    for i in range(TONES):
        mask = (part == i).expand_as(y)
        share = float(mask.float().mean())
        gap, shift = (255 * float(v[mask].mean()) if share else 0.0 for v in (d, r))
        yield share, gap, shift


NOTE = (
    "Gap: sharp less blurred, shift: restored less blurred, in grey levels of 1/255. Largest: of all pictures and "
    "colours; with the mean kept: of all pictures, in a file of 8 bits, mean of the colours."
)


Columns = dict[str, Callable[[Sequence[Measured]], str]]
"""Head -> text of a cell, from the pictures of one source."""


def report(found: Sequence[Measured], weights: str | None = None) -> Report:
    """Brightness by source, by tone, PSNR by form of the output, the safe gain."""
    groups = [[m for m in found if m.source == source] for source in dict.fromkeys(m.source for m in found)]
    gain = safe_gain(found)
    last = f"Gain with which the worse kind of synthetic pairs gains most: {'none' if gain is None else f'{gain:g}'}."
    brightness: Columns = {
        "source": _source,
        "pictures": lambda group: str(len(group)),
        "gap R G B": lambda group: " ".join(f"{v:+.2f}" for v in mean_row(m.gap for m in group)),
        "shift R G B": lambda group: " ".join(f"{v:+.2f}" for v in mean_row(m.shift for m in group)),
        "largest": lambda group: f"{max(abs(v) for m in group for v in m.shift):.3f}",
        "largest, mean kept": lambda group: f"{max(abs(sum(m.kept) / 3) for m in group):.3f}",
        "correlation": _correlation,
        "clipping": lambda group: f"{fmean(m.clipping for m in group):+.3f}",
        "bfloat16": lambda group: f"{fmean(m.rounding for m in group):+.3f}",
    }
    tones: Columns = {f"luma {i / TONES:.2f} to {(i + 1) / TONES:.2f}": partial(_tone, i=i) for i in range(TONES)}
    scores: Columns = {
        "before": lambda group: f"{fmean(m.before for m in group):.2f}",
        **{name: partial(_gained, name=name) for name in found[0].after},
    }
    tables = [
        listed(groups, brightness),
        listed(groups, {"gap / shift": _source, **tones}),
        listed(groups, {"PSNR gained, dB (harmed)": _source, **scores}),
    ]
    return Report("brightness", tables, [last, NOTE], {"weights": weights, "safe_gain": gain, "pictures": list(found)})


def _source(group: Sequence[Measured]) -> str:
    return group[0].source


def _correlation(group: Sequence[Measured]) -> str:
    """Of gap and shift over the pictures."""
    pairs = torch.tensor([[sum(m.gap) / 3, sum(m.shift) / 3] for m in group], dtype=torch.float64)
    if len(group) < 3 or bool((pairs.std(0) < 1e-6).any()):
        return "-"
    return f"{float(torch.corrcoef(pairs.T)[0, 1]):.2f}"


def _tone(group: Sequence[Measured], i: int) -> str:
    share = sum(m.tones[i][0] for m in group)
    gap, shift = (sum(m.tones[i][0] * m.tones[i][k] for m in group) / max(share, 1e-9) for k in (1, 2))
    return f"{gap:+.2f} / {shift:+.2f}" if share else "-"


def _gained(group: Sequence[Measured], name: str) -> str:
    """Of sharp pictures what is left, since all that is done to them is harm."""
    if group[0].source == SHARP:
        return f"{fmean(m.after[name] for m in group):.2f} left"
    harmed = sum(m.after[name] < m.before for m in group)
    return f"{fmean(m.after[name] - m.before for m in group):+.2f} ({harmed})"
