r"""Blurred windows in numbers: differences of neighbours, spectra, loss, and single statistics of patches.

W1(a, b) = sum over d of |F_a(d) - F_b(d)| width        of the distributions of differences d, in levels of 1/255
R(f)     = 10 log10( P_blurred(f) / P_sharp(f) )        P the power of the luma by radius f, under a Hann window
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.metrics import psnr
from acutance_lab.experiments.motion_windows import Windows
from acutance_lab.synth.degradation import luma

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
