"""Windows of blurred pictures with their sharp ones: real, as a pair of videos has them, and synthetic.

Synthetic ones are made of the *sharp frames of the pairs*, at the very places that the real ones are cut from, so that
both show the same subject and differ in the blur and the camera alone; and of photographs, as training makes them.

They are compared in numbers: differences of neighbours, spectra, loss, and single statistics of patches.

    W1(a, b) = sum over d of |F_a(d) - F_b(d)| width    of the distributions of differences d, in levels of 1/255
    R(f)     = 10 log10( P_blurred(f) / P_sharp(f) )    P the power of the luma by radius f, under a Hann window
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import DataError
from acutance.images import read_image
from acutance.metrics import psnr
from acutance.tensors import crop
from acutance_lab.bench.pairs import Pair, content, pairs
from acutance_lab.data.photographs import find
from acutance_lab.synth import DynamicBlur
from acutance_lab.synth.degradation import luma

GRID = 8
"""Windows start at multiples of it in the file, so that a file's own JPEG blocks lie as those of synthetic ones do."""

TOGETHER = 8
"""Photographs blurred in one batch; objects of one are cut out of another."""

Heard = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Windows:
    """N windows of S x S pixels.

    Args:
        sharp, blurred: (N, 3, S, S) in [0, 1].
        groups: of each what it is held out with, a scene. pictures: of each the picture that it is from.
        places: of each (left, top) in its picture, pixels.
    """

    sharp: Tensor = field(repr=False)
    blurred: Tensor = field(repr=False)
    groups: tuple[str, ...]
    pictures: tuple[str, ...]
    places: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.groups)

    def of(self, group: str) -> Windows:
        """Those of one group."""
        rows = [i for i, name in enumerate(self.groups) if name == group]
        groups, pictures = (tuple(names[i] for i in rows) for names in (self.groups, self.pictures))
        return Windows(self.sharp[rows], self.blurred[rows], groups, pictures, tuple(self.places[i] for i in rows))


@dataclass(frozen=True)
class Frame:
    """A pair of files, the group that it is held out with, and a name that no other has."""

    pair: Pair
    group: str
    name: str


def frames(folders: Sequence[Path]) -> list[Frame]:
    """The pairs of folders, see `acutance_lab.bench.pairs.pairs`; by scene, or each alone if there is one scene.

    Raises:
        DataError: a folder without pairs, a picture without partner, two folders of one name, a single pair.
    """
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        raise DataError(f"--pairs: two folders are named {max(names, key=names.count)!r}; give folders of other names")
    found = []
    for folder, name in zip(folders, names, strict=True):
        for pair in pairs(folder):
            scene = pair.blurred.parents[1]
            group = name if scene == folder else f"{name}/{scene.name}"
            found.append(Frame(pair, group, f"{group}/{pair.blurred.stem}"))
    if len(found) < 2:
        raise DataError(f"{found[0].pair.blurred} is the only pair; give at least two, of two scenes if there are any")
    if len({frame.group for frame in found}) == 1:
        found = [Frame(frame.pair, frame.name, frame.name) for frame in found]
    return found


def from_frames(
    given: Sequence[Frame],
    blurs: Mapping[str, DynamicBlur],
    *,
    count: int,
    side: int,
    seed: int,
    heard: Heard,
) -> tuple[Windows, dict[str, Windows]]:
    """Windows at random places of each frame: as they are, and as each of the blurs makes them of the sharp frame.

    Args:
        count: windows of a frame. side: theirs, pixels. heard: told the name of each frame that is done.

    Returns:
        The real ones, and by name of the blur the synthetic ones, of the same places in the same order. Movements are
        the same with every blur that draws the same number of objects.

    Raises:
        DataError: a frame too small, or a pair of two sizes. ImageError: a file that cannot be used, by name.
    """
    margin = max(blur.margin() for blur in blurs.values())
    real: list[Windows] = []
    made: dict[str, list[Windows]] = {name: [] for name in blurs}
    for frame in given:
        pair = content(frame.pair)
        assert pair.truth is not None, "a pair has both"
        sharp, observed = _colour(pair.truth), _colour(pair.observed)
        generator = _generator(seed, frame.name)
        at = places(sharp, count, side, margin, generator, str(frame.pair.sharp))
        groups, pictures = (frame.group,) * count, (frame.name,) * count
        real.append(Windows(cut(sharp, at, side), cut(observed, at, side), groups, pictures, at))
        wide = cut(sharp, at, side, margin)
        for name, blur in blurs.items():
            spare = margin - blur.margin()
            example = blur(crop(wide, spare, spare), _generator(seed, f"{frame.name}/blur"))
            made[name].append(Windows(example.sharp, example.problem.observed, groups, pictures, at))
        heard(frame.name)
    return joined(real), {name: joined(parts) for name, parts in made.items()}


def from_photographs(
    folder: Path, blur: DynamicBlur, groups: Sequence[str], *, count: int, side: int, seed: int, heard: Heard
) -> Windows:
    """One synthetic window of each of `count` photographs, or of fewer if there are fewer.

    Args:
        groups: those of the real windows; photographs are held out with them in turn.

    Raises:
        DataError: no photograph that is large enough. ImageError: a file that cannot be used, by name.
    """
    margin, least = blur.margin(), side + 2 * blur.margin() + GRID
    files = find(folder, validation=False)
    order = torch.randperm(len(files), generator=_generator(seed, "photographs")).tolist()
    cuts: list[Tensor] = []
    names: list[str] = []
    spots: list[tuple[int, int]] = []
    for i in order:
        if len(cuts) == count:
            break
        picture = _colour(read_image(files[i]).pixels)
        if min(picture.shape[-2:]) >= least:
            at = places(picture, 1, side, margin, _generator(seed, files[i].name), str(files[i]))
            cuts.append(cut(picture, at, side, margin))
            names.append(files[i].name)
            spots += at
            heard(files[i].name)
    if len(cuts) < len(groups):
        raise DataError(
            f"{len(cuts)} photographs below {folder} have {least} pixels a side; give at least {len(groups)} of "
            "them, or a smaller --window"
        )
    parts = []
    for n in range(0, len(cuts), TOGETHER):
        rows = range(n, min(n + TOGETHER, len(cuts)))
        example = blur(torch.cat(cuts[n : n + TOGETHER]), _generator(seed, f"batch {n}"))
        held = tuple(groups[i % len(groups)] for i in rows)
        parts.append(
            Windows(example.sharp, example.problem.observed, held, tuple(names[i] for i in rows),
                    tuple(spots[i] for i in rows))
        )  # fmt: skip
    return joined(parts)


def places(
    picture: Tensor, count: int, side: int, margin: int, generator: torch.Generator, name: str
) -> tuple[tuple[int, int], ...]:
    """(left, top) of `count` windows that leave a margin, multiples of `GRID`.

    Raises:
        DataError: a picture that is too small.
    """
    first = -(-margin // GRID)
    steps = [(size - margin - side) // GRID - first + 1 for size in (picture.shape[-1], picture.shape[-2])]
    if min(steps) < 1:
        raise DataError(
            f"{name} has {picture.shape[-1]}x{picture.shape[-2]} pixels; a window of {side} with a margin of {margin} "
            f"wants {side + 2 * margin + GRID} a side, give larger pictures or a smaller --window"
        )
    x, y = (GRID * (first + torch.randint(n, (count,), generator=generator)) for n in steps)
    return tuple(zip(x.tolist(), y.tolist(), strict=True))


def cut(picture: Tensor, at: Sequence[tuple[int, int]], side: int, margin: int = 0) -> Tensor:
    """Windows of a picture (1, 3, H, W), with a margin around them: (n, 3, side + 2 margin, side + 2 margin)."""
    whole = side + 2 * margin
    found = [picture[..., y - margin : y - margin + whole, x - margin : x - margin + whole] for x, y in at]
    return torch.cat(found)


def joined(parts: Sequence[Windows]) -> Windows:
    """All of them."""
    sharp, blurred = torch.cat([part.sharp for part in parts]), torch.cat([part.blurred for part in parts])
    named = [(p.groups, p.pictures, p.places) for p in parts]
    groups, pictures, places = (tuple(chain.from_iterable(each)) for each in zip(*named, strict=True))
    return Windows(sharp, blurred, groups, pictures, places)


def _colour(pixels: Tensor) -> Tensor:
    """(1, 3, H, W) of a picture that may be grey."""
    return pixels.float().clamp(0, 1).expand(-1, 3, -1, -1)


def _generator(seed: int, name: str) -> torch.Generator:
    """Drawn from a name, so that a picture gives the same whatever others are there."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


BIN = 0.5
"""Width of the bins of differences, levels of 1/255."""

REACH = 255.0
"""Largest difference, levels."""

RADII = 24
"""Bands of the spectrum, evenly from 0 to 0.5 cycles per pixel."""

HIGHEST = 60.0
"""PSNR in dB that counts for two equal pictures: that of eight bits is 59."""


@dataclass(frozen=True, eq=False)
class Portrait:
    """Windows in numbers.

    Args:
        histograms: (2, bins) shares of horizontal and vertical differences of the blurred luma, `BIN` wide.
        kurtosis: of both; a Gaussian has 3.
        ratio: (3, RADII) R(f) in dB: the mean over windows, the 10 and the 90 % quantile.
        psnr: of each blurred window against its sharp one, dB, at most `HIGHEST`.
    """

    histograms: Tensor = field(repr=False)
    kurtosis: tuple[float, float]
    ratio: Tensor = field(repr=False)
    psnr: tuple[float, ...] = field(repr=False)

    @property
    def psnr_summary(self) -> dict[str, float]:
        """Mean, and 10, 50 and 90 % quantile."""
        values = torch.tensor(self.psnr, dtype=torch.float64)
        low, mid, high = values.quantile(values.new_tensor([0.1, 0.5, 0.9])).tolist()
        return {"mean": float(values.mean()), "p10": low, "p50": mid, "p90": high}


@dataclass(frozen=True)
class Distance:
    """How far two portraits are apart.

    Args:
        horizontal, vertical: W1 of the differences, levels of 1/255. spectrum: root mean square over f of the
            difference of the mean R(f), dB.
    """

    horizontal: float
    vertical: float
    spectrum: float


def portrait(windows: Windows) -> Portrait:
    """The numbers of windows."""
    grey = luma(windows.blurred)[:, 0]  # (N, S, S)
    histograms, kurtosis = [], []
    for dim in (-1, -2):
        d = (255 * grey).diff(dim=dim).flatten().double()
        index = ((d + REACH) / BIN).round().long()
        counts = torch.bincount(index, minlength=round(2 * REACH / BIN) + 1).double()
        histograms.append(counts / counts.sum())
        d = d - d.mean()
        kurtosis.append(float((d**4).mean() / (d * d).mean().square().clamp_min(1e-12)))
    ratios = spectra(luma(windows.blurred)[:, 0]) - spectra(luma(windows.sharp)[:, 0])  # (N, RADII)
    ends = ratios.quantile(ratios.new_tensor([0.1, 0.9]), 0)
    loss = psnr(windows.blurred, windows.sharp).clamp_max(HIGHEST)
    return Portrait(
        torch.stack(histograms),
        (kurtosis[0], kurtosis[1]),
        torch.cat((ratios.mean(0, keepdim=True), ends)),
        tuple(loss.tolist()),
    )


def distance(a: Portrait, b: Portrait) -> Distance:
    """How far apart two are."""
    w1 = (a.histograms - b.histograms).cumsum(-1).abs().sum(-1) * BIN
    rms = (a.ratio[0] - b.ratio[0]).square().mean().sqrt()
    return Distance(float(w1[0]), float(w1[1]), float(rms))


def spectra(grey: Tensor) -> Tensor:
    """Power by radius in dB: (N, RADII), float64, from (N, S, S)."""
    n = grey.shape[-1]
    hann = torch.hann_window(n, periodic=False, dtype=torch.float64)
    x = grey.double()
    x = (x - x.mean((1, 2), keepdim=True)) * hann * hann[:, None]
    power = torch.fft.rfft2(x).abs().square()  # (N, S, S // 2 + 1)
    rows, cols = torch.fft.fftfreq(n, dtype=torch.float64), torch.fft.rfftfreq(n, dtype=torch.float64)
    radius = torch.hypot(rows[:, None], cols)
    band = (radius * (2 * RADII)).long()
    twice = torch.where((cols > 0) & (cols < 0.5), 2.0, 1.0).double()
    weight = (twice * ((band < RADII) & (radius > 0))).flatten()
    band = band.clamp_max(RADII - 1).flatten()
    total = torch.zeros(len(x), RADII, dtype=torch.float64).index_add_(1, band, power.flatten(1) * weight)
    count = torch.zeros(RADII, dtype=torch.float64).index_add_(0, band, weight)
    return 10 * torch.log10(total / count.clamp_min(1) + 1e-9)


STATISTICS = (
    "brightness: mean of the luma",
    "contrast: log10 deviation of the luma",
    "white: share of the luma above 250/255",
    "black: share of the luma below 5/255",
    "colour: mean distance of the channels from the luma",
    "gradient: log10 mean difference",
    "sparsity: log10 kurtosis of the differences",
    "fineness: log10 differences at 1 over those at 4 pixels",
    "noise: log10 median of the finest diagonal details",
    "colour noise: the same of red minus blue",
    "blocks: log10 differences across lines of 8 pixels over others",
    "direction: log10 horizontal over vertical differences",
    "coherence: of the structure tensor, 0 to 1",
)
"""Of a patch, in the order of the columns of `statistics`: a name, and what it is."""


def statistics(patches: Tensor) -> Tensor:
    """`STATISTICS` of patches (N, 3, P, P) whose corner lies on the grid of JPEG: (N, len(STATISTICS))."""
    tiny = 1e-4
    y = luma(patches)[:, :1]
    dx, dy = y.diff(dim=-1), y.diff(dim=-2)
    both = torch.cat((dx.flatten(1), dy.flatten(1)), 1)
    centred = both - both.mean(1, keepdim=True)
    variance = centred.square().mean(1)
    far = (y[..., 4:] - y[..., :-4]).abs().mean((1, 2, 3)) + (y[..., 4:, :] - y[..., :-4, :]).abs().mean((1, 2, 3))
    near = dx.abs().mean((1, 2, 3)) + dy.abs().mean((1, 2, 3))
    a, b = (dx[..., 1:, :] + dx[..., :-1, :]) / 2, (dy[..., 1:] + dy[..., :-1]) / 2  # of the same place
    xx, yy, xy = (p.mean((1, 2, 3)) for p in (a * a, b * b, a * b))
    coherence = ((xx - yy).square() + 4 * xy * xy).sqrt() / (xx + yy + tiny**2)
    columns = (
        y.mean((1, 2, 3)),
        torch.log10(y.std((1, 2, 3)) + tiny),
        (y > 250 / 255).float().mean((1, 2, 3)),
        (y < 5 / 255).float().mean((1, 2, 3)),
        (patches - y).abs().mean((1, 2, 3)),
        torch.log10(near + tiny),
        torch.log10((centred**4).mean(1) / variance.square().clamp_min(1e-16) + 1),
        torch.log10((near + tiny) / (far + tiny)),
        _finest(y),
        _finest(patches[:, :1] - patches[:, 2:]),
        torch.log10((_across(dx) + _across(dy.mT) + tiny) / (near + tiny)),
        torch.log10((dx.abs().mean((1, 2, 3)) + tiny) / (dy.abs().mean((1, 2, 3)) + tiny)),
        coherence,
    )
    assert len(columns) == len(STATISTICS), "a name for each"
    return torch.stack(columns, 1)


def high_passed(patches: Tensor) -> Tensor:
    """Luma less its mean over 5 x 5 pixels, (N, 1, P, P), times 16 and bent into (-1, 1) so that weak noise is seen."""
    y = luma(patches)[:, :1]
    mean = F.avg_pool2d(F.pad(y, (2, 2, 2, 2), mode="replicate"), 5, 1)
    return torch.tanh(16 * (y - mean))


def _finest(x: Tensor) -> Tensor:
    """log10 of the median of |x00 - x01 - x10 + x11| / 2, as of white noise of deviation 1 it would be 0.67: (N,)."""
    details = (x[..., 1:, 1:] - x[..., 1:, :-1] - x[..., :-1, 1:] + x[..., :-1, :-1]).abs() / 2
    return torch.log10(details.flatten(1).quantile(0.5, dim=1) + 1 / (255 * math.sqrt(12)))


def _across(dx: Tensor) -> Tensor:
    """Mean horizontal difference where a block of 8 pixels ends: (N,)."""
    return dx[..., 7::8].abs().mean((1, 2, 3))
