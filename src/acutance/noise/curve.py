r"""The noise of a camera by the light: a line for each channel, fitted to the smoothest blocks of several photographs.

    variance(s) = gain s + read,        s: linear light, 1 being white

The blocks of all pictures that were taken at one sensitivity are sorted into `CLASSES` classes by their light. In each
class the smoothest ones tell the variance, by the bands of `acutance.noise.blocks`; then all those count that are as
smooth as this noise makes them, so that much even area makes the answer exact. The rounding of the file is taken off:

    v_i = sum_r n_r N_r / 64 - (step slope(s_i))^2 / 12,        slope = d light / d encoded

and the line is fitted with weights n_i / variance(s_i)^2, of n_i blocks; classes above the line count less, since
texture raises v and nothing lowers it but clipping. Light nearer to black or to white than `CLEARANCE` deviations is
left out, as clipping narrows it.

Reference: foi2008practical; the blocks are those of ponomarenko2007automatic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.errors import ImageError
from acutance.images import srgb_to_linear
from acutance.noise.blocks import band_powers, in_smoothest, mean_power, overlapping

CLASSES = 40  # of the square root of the light
FEWEST_BLOCKS = 96  # of a class
FEWEST_CLASSES = 4  # that a line is fitted to
LEAST_RANGE = 1.5  # of the light of the classes: brightest by darkest
CLEARANCE = 3.5
ROUGH = 0.15  # part of its variance by which a class may lie above the line before it counts less
MOST_ROUNDING = 0.7  # part of the variance of a class that may be rounding
ROUNDS = 12


@dataclass(frozen=True)
class NoiseLine:
    """The noise of a camera at one sensitivity.

    Args:
        gain, read: for each channel, one or three, of linear light with white 1; not negative.
    """

    gain: tuple[float, ...]
    read: tuple[float, ...]

    def variance(self, light: Tensor) -> Tensor:
        """The variance of each sample of linear light (..., C, H, W); one line holds for all channels of a picture.

        Three lines for a grey picture: their mean.
        """
        gain, read = (light.new_tensor(values) for values in (self.gain, self.read))
        if light.shape[-3] != len(self.gain):
            gain, read = gain.mean(0, keepdim=True), read.mean(0, keepdim=True)
        variance: Tensor = gain[:, None, None] * light.clamp(0, 1) + read[:, None, None]
        return variance


@dataclass(frozen=True, eq=False)
class Blocks:
    """The blocks of one picture.

    Args:
        energy: (C, M, 15), see `acutance.noise.blocks`, of linear light. light: (C, M), means.
        step: between two values of the file, encoded; 0 of floating point.
    """

    energy: Tensor
    light: Tensor
    step: float


@torch.no_grad()
def blocks_of(encoded: Tensor, step: float) -> Blocks:
    """The blocks of a picture that no clipped or missing sample is in.

    Args:
        encoded: (1, C, H, W), values of the sRGB curve, white being 1. step: see `Blocks`.

    Raises:
        ImageError: a side is below 8 pixels.
    """
    if min(encoded.shape[-2:]) < 8:
        raise ImageError(f"a picture of {encoded.shape[-1]} x {encoded.shape[-2]} pixels is too small to calibrate by")
    values = overlapping(encoded[0].float())
    inside = (torch.isfinite(values) & (values > 0) & (values < 1)).all(-1).all(0)
    energy, light = band_powers(srgb_to_linear(values[:, inside]))
    return Blocks(energy, light, step)


@torch.no_grad()
def fit_line(pictures: Sequence[Blocks]) -> NoiseLine:
    """Fit the line of each channel to pictures of one camera at one sensitivity.

    Args:
        pictures: of the same number of channels and the same step.

    Raises:
        ImageError: the pictures have too few even places, or these are all of about the same light.

    >>> ramp = torch.linspace(0.1, 0.9, 256).expand(1, 1, 256, 256)
    >>> light = srgb_to_linear(ramp)
    >>> noise = torch.randn(ramp.shape, generator=torch.Generator().manual_seed(0))
    >>> noisy = light + (1e-3 * light + 1e-5).sqrt() * noise
    >>> from acutance.images import linear_to_srgb
    >>> print(f"{fit_line([blocks_of(linear_to_srgb(noisy), 0.0)]).gain[0]:.4f}")
    0.0010
    """
    energy = torch.cat([each.energy for each in pictures], 1)
    light = torch.cat([each.light for each in pictures], 1)
    step = max(each.step for each in pictures)
    lines = [_line(*_classes(energy, light, channel, step)) for channel in range(len(light))]
    return NoiseLine(tuple(gain for gain, _ in lines), tuple(read for _, read in lines))


def rounding(light: Tensor, step: float) -> Tensor:
    """The variance that the rounding of encoded values adds to linear light of these values."""
    return (step * slope(light)).square() / 12


def slope(light: Tensor) -> Tensor:
    """The derivative of light by its sRGB value, at linear light."""
    encoded = 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(light <= 0.0031308, 1 / 12.92, 2.4 / 1.055 * ((encoded + 0.055) / 1.055) ** 1.4)


def _classes(energy: Tensor, light: Tensor, channel: int, step: float) -> tuple[Tensor, Tensor, Tensor]:
    """Light, variance and number of blocks of the classes of a channel, each (n,), double."""
    place = (light[channel].clamp(0, 1).sqrt() * CLASSES).long().clamp(max=CLASSES - 1)
    found = []
    for number in sorted(set(place.tolist())):
        members = (place == number).nonzero().flatten()
        if len(members) < FEWEST_BLOCKS:
            continue
        noise, chosen = in_smoothest(energy[:, members], in_smoothest(energy[:, members])[0])
        at = light[channel, members[chosen]].mean()
        total = mean_power(noise)[channel]
        added = rounding(at, step)
        if float(added) <= MOST_ROUNDING * float(total):
            found.append((float(at), float(total - added), len(chosen)))
    if len(found) < FEWEST_CLASSES or max(f[0] for f in found) < LEAST_RANGE * min(f[0] for f in found):
        raise ImageError(
            f"even places of {len(found)} different brightnesses were found, and {FEWEST_CLASSES} or more are needed, "
            "from dark to bright; add photographs with sky, walls or blurred backgrounds"
        )
    at, variance, count = torch.tensor(found, dtype=torch.float64).unbind(1)
    return at, variance, count


def _line(light: Tensor, variance: Tensor, count: Tensor) -> tuple[float, float]:
    """Gain and read of one channel, neither of them negative."""
    expected = variance.clone()
    gain = read = 0.0
    for _ in range(ROUNDS):
        deviation = expected.sqrt()
        clear = (light > CLEARANCE * deviation) & (light < 1 - CLEARANCE * deviation)
        clear = clear if int(clear.sum()) >= FEWEST_CLASSES else torch.ones_like(clear)
        above = ((variance - expected) / (ROUGH * expected)).clamp_min(0)
        weight = torch.where(clear, count / expected.square() / (1 + above.square()), 0)
        gain, read = _weighted(light, variance, weight)
        expected = (gain * light + read).clamp_min(1e-3 * variance.median())
    return gain, read


def _weighted(x: Tensor, y: Tensor, w: Tensor) -> tuple[float, float]:
    """The line through weighted points; where one of its numbers would be negative, it is 0 and the other fitted."""
    mean_x, mean_y = (w * x).sum() / w.sum(), (w * y).sum() / w.sum()
    gain = float((w * (x - mean_x) * (y - mean_y)).sum() / (w * (x - mean_x).square()).sum().clamp_min(1e-300))
    read = float(mean_y) - gain * float(mean_x)
    if gain < 0:
        return 0.0, float(mean_y)
    if read < 0:
        return float((w * x * y).sum() / (w * x * x).sum()), 0.0
    return gain, read
