r"""How much noise is in a picture whose blur is known: the power at frequencies that no light came through.

`acutance.noise` looks for smooth blocks, and takes texture for noise where a picture has none. Behind a known blur
there is a better place to look. With y = k * x + n and a taper w against the edges of the frame,

    P(f) = |F(w (y - mean y))(f)|^2 / sum w^2        has the mean        N(f) + |K(f)|^2 S(f),

N and S the power of noise and scene. Where |K|^2 is small P is the noise alone. The frequencies are taken in rings b of
|f|, for noise need not be white: after demosaicing most of it lies low. In each ring, of the `SHARE` with the least
|K|^2 (largest of the neighbours that w mixes in),

    N_b = median of P / (1 - 1 / (9 C))^3,        S_b = median of P / |K|^2 where |K|^2 is large,

the median because some of them may hold an edge; the cube turns that of chi^2 into its mean, C being the channels. A
ring counts if what comes through is little: |K|^2 S_b < `LEAK` N_b. Others take the level of the next that counts, and

    sigma^2 = sum of n_b N_b / sum of n_b.

If none counts, as behind a kernel of a few pixels, it is N at the frequencies with the least |K|^2 / |f|^2.

Noise that a camera or a program has smoothed rises towards low frequencies, where most rings do not count. Where those
that do tell so (N in the lowest more than `COLOURED` times N in the highest), it is what smooth blocks say after all,
but not more than all that was measured, sum of n_b N_b with every ring.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.noise import FLOOR, noise_level

LEAST, MOST = 32, 1024
"""Sides of the piece that is measured, from the middle, pixels; of smaller pictures smooth blocks decide."""

SHARE, FEWEST = 0.05, 24
"""Of the frequencies of a ring those that are used; at least so many."""

RINGS = (0.08, 0.14, 0.2, 0.27, 0.34, 0.41, 0.5, 0.71)
"""Cycles per pixel; below the first nothing is told from the scene."""

LEAK = 0.5
"""What may come through where the noise is measured, part of the noise."""

COLOURED = 2.5
"""Factor between the power of the noise in the lowest and in the highest rings from which it is not white."""


def piece(pixels: Tensor) -> Tensor | None:
    """The part of (B, C, H, W) that is measured, None if it is too small or not finite."""
    height, width = pixels.shape[-2:]
    if min(height, width) < LEAST or not bool(torch.isfinite(pixels).all()):
        return None
    h, w = min(height, MOST), min(width, MOST)
    top, left = (height - h) // 2, (width - w) // 2
    return pixels[..., top : top + h, left : left + w].float()


@torch.no_grad()
def level_behind(pixels: Tensor, power: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """The standard deviation of the noise of a blurred piece, a fraction of the range, at least `FLOOR`.

    Args:
        pixels: (B, C, h, w), finite. power: |K|^2 on (h, w) as `torch.fft.rfft2` orders it, (B or 1, C or 1, ...).
        weight: (B or 1, C or 1, h, w), 0 where there is no noise because the sensor was full; None: nowhere.

    Returns:
        (B,)
    """
    batch, channels, h, w = pixels.shape
    taper = torch.hann_window(h, periodic=False, device=pixels.device)[:, None]
    taper = (taper * torch.hann_window(w, periodic=False, device=pixels.device)).square()
    energy = taper.square() if weight is None else taper.square() * weight
    energy = energy.expand(batch, channels, -1, -1).sum((1, 2, 3)) / channels
    spectrum = torch.fft.rfft2((pixels - pixels.mean((-2, -1), keepdim=True)) * taper)
    found = (spectrum.real.square() + spectrum.imag.square()).mean(1)
    through = F.max_pool2d(power.float().amax(1, keepdim=True), 5, 1, 2)[:, 0].expand(batch, -1, -1)
    rows, cols = torch.fft.fftfreq(h, device=pixels.device)[:, None], torch.fft.rfftfreq(w, device=pixels.device)
    squared = rows.square() + cols.square()
    radius = squared.sqrt().flatten()
    ring = torch.bucketize(radius, radius.new_tensor(RINGS))  # 0 inside the first
    sizes = torch.bincount(ring, minlength=len(RINGS) + 1)[1 : len(RINGS)]
    low = (through / squared.clamp_min(1 / (h * w))).flatten(1)
    mean_of_median = (1 - 1 / (9 * channels)) ** 3
    rings, smooth, levels = range(1, len(RINGS)), None, []
    for b in range(batch):
        p, k = found[b].flatten() / energy[b].clamp_min(1e-9) / mean_of_median, through[b].flatten()
        measured = {r: n for r in rings if (n := _ring(p[ring == r], k[ring == r])) is not None}
        known = {r: noise for r, (noise, counts) in measured.items() if counts}
        if known:
            each = [known[min(known, key=lambda q: (abs(q - r), -q))] for r in rings]
            variance = _mean(sizes, each)
            if known[min(known)] > COLOURED * known[max(known)]:
                smooth = noise_level(pixels) if smooth is None else smooth
                most = _mean(sizes, [measured[r][0] if r in measured else each[r - 1] for r in rings])
                variance = max(variance, min(float(smooth[b]) ** 2, most))
        else:
            count = min(len(p), max(FEWEST, int(SHARE * len(p))))
            variance = float(p[low[b].topk(count, largest=False).indices].median())
        levels.append(max(FLOOR, math.sqrt(variance)))
    return pixels.new_tensor(levels)


def _mean(sizes: Tensor, variances: list[float]) -> float:
    """sum of n_b N_b / sum of n_b."""
    return float((sizes * sizes.new_tensor(variances, dtype=torch.float64)).sum() / sizes.sum())


def _ring(p: Tensor, k: Tensor) -> tuple[float, bool] | None:
    """N_b of the frequencies of a ring, (n,) each, and whether it counts; None of a ring of too few."""
    count = max(FEWEST, int(SHARE * len(p)))
    if len(p) < 4 * count:
        return None
    few, many = k.topk(count, largest=False), k.topk(count)
    noise = float(p[few.indices].median())
    scene = float((p[many.indices] / many.values.clamp_min(1e-12)).median())
    return noise, float(few.values.median()) * scene < LEAK * noise
