r"""How much noise is in a picture, blurred or sharp: the spectrum of its smoothest blocks.

High-pass estimators, such as the median of the finest wavelet coefficients, see white noise only: after demosaicing and
compression most of the noise lies at low frequencies, and they report a third of it. So the picture is cut into
overlapping blocks of 8 x 8, and c is the orthonormal cosine transform of a block (Ponomarenko 2007, Colom 2013). With
the bands r = u + v = 0 ... 14 of n_r coefficients each,

    E_r(block) = mean of c_uv^2 over u + v = r,                         the power in a band,
    S_odd      = the 2 % of the blocks with the least energy in the even bands 2 ... 6,
    S_even     = the 2 % with the least energy in the odd bands 1 ... 5,
    N_r        = median over the blocks of S of E_r / (1 - 2 / (9 n_r))^3,      r = 2 ... 14, S by the parity of r,
    N_1 = q N_2,  N_0 = q^2 N_2,    q = sqrt(N_2 / N_4), at least 1 and at most 1.5,
    v          = sum of n_r N_r / 64,                                   of each channel.

Blocks are chosen by bands other than those that they measure: chosen by the same, the quietest blocks would be those
where the noise happens to be low, and v too small. All channels choose together, since texture lies in all of them at
the same place and noise does not. The median makes a block one vote and the cube turns it into the mean of chi^2.
The lowest two bands, where skies have their gradients, are extrapolated: white noise has q = 1, a camera's more.

Smooth blocks need not be as bright as the picture, and photon noise grows with brightness m. The high bands (r >= 8),
where a photograph has little, tell by how much: in eight classes of brightness their power H in the smoothest blocks is
fitted by the proportion

    H(m)  ~  (1 - s) + s m / mean(m),        s in [0, 1],

and sigma^2 = mean over channels of v, each divided by that proportion at the brightness of its blocks.

Drawings have no smooth blocks but constant ones, and their edges are no noise. How often values return exactly tells
how much noise there can be at most, b (`acutance.quantised`); where sigma is more than `DRAWN` b, the level is b.

Everything is measured in units of the picture's brightness, so that c y has c times the level of y.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from acutance.errors import ImageError
from acutance.quantised import clipped, noise_bound
from acutance.tensors import brightness, cosine_matrix

FLOOR = 1 / (255 * math.sqrt(12))
"""The least level that is reported, 0.113 % of the brightness: the rounding error of eight bits."""

UNKNOWN = 0.01
"""The level of a picture without one finite block, as a fraction of its brightness."""

DRAWN = 2.0
"""An estimate of more than so many times the most noise that there can be is wrong. On 40 training photographs with
white, smoothed and no noise, with and without JPEG, all estimates that are right were below 1.2 times the bound."""

SIDE = 8
STRIDE = 5  # odd, so that the blocks do not keep to the grid of JPEG or of a Bayer sensor
MOST_BLOCKS = 16384  # of large pictures a subset
SHARE, FEWEST = 0.02, 64  # of blocks that are taken as smooth; at least so many, but never more than an eighth
HIGHEST_GUIDE = 6  # bands up to this one tell smooth blocks
STEEPEST = 1.5  # rise of the spectrum per band that is believed at its low end; more is the picture's own
COARSE, FINE = (2, 4), (8, 14)  # bands, first and last, whose noise `noise_coarseness` compares
LOWEST_FINE = 8  # bands from this one on tell how noise depends on brightness
CLASSES = 8  # of brightness
NEAR = 1e-4  # of the brightness: samples so near to an end of the range count as clipped


@torch.no_grad()
def noise_level(pixels: Tensor, *, step: float | None = None) -> Tensor:
    """Estimate the standard deviation of the noise, correlated or not; for the method see the module.

    What is estimated is the root mean square of (picture - noise-free picture) over pixels and channels, of noise that
    depends on brightness too. Clipped blocks are left out, and so are constant ones. Fine texture all over a sharp
    picture is taken for noise in part. Noise that a camera or compression has removed from smooth areas, or that is
    coarser than 8 pixels, is not seen: of files as cameras write them the answer is a seventh to two thirds of the
    truth (`acutance-lab bench noise`).

    Args:
        pixels: (B, C, H, W), floating point, any units, encoded as the file is; NaN where a sample is missing. Only a
            subset of the blocks of more than 0.4 megapixels is looked at.
        step: between two values of `pixels`, of eight bits 1 / 255; None: found, see `acutance.quantised.step_of`.

    Returns:
        (B,), in the units of `pixels`, of their type and on their device: at least `FLOOR` times the brightness, which
        is also the answer for drawings, constant pictures and those with a side below 8 pixels; `UNKNOWN` times the
        brightness where no block is finite.

    Raises:
        ImageError: not a non-empty floating-point (B, C, H, W) tensor.

    Reference: ponomarenko2007automatic, colom2013analysis.

    >>> noisy = 0.5 + 0.02 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> print(f"{float(noise_level(noisy)):.2f}")
    0.02
    """
    if pixels.ndim != 4 or 0 in pixels.shape or not pixels.is_floating_point():
        raise ImageError(f"give a non-empty float (B, C, H, W) tensor, not {pixels.dtype} {tuple(pixels.shape)}")
    work = pixels if pixels.dtype == torch.float64 else pixels.float()
    unit = brightness(work)
    top = clipped(work).any(1).any(-1).any(-1)
    relative = [
        _level(p / u, full=bool(t), step=None if step is None else step / float(u))
        for p, u, t in zip(work, unit, top, strict=True)
    ]
    return (unit * torch.stack(relative)).to(pixels.dtype)


@torch.no_grad()
def noise_coarseness(pixels: Tensor) -> Tensor:
    """Estimate how coarse the noise is: sqrt(mean N over the bands 2 ... 4 / mean N over 8 ... 14).

    White noise has 1. Demosaicing, the noise reduction of cameras and JPEG take the fine noise away and leave the
    coarse: 2 to 6. Texture in every block of a picture counts as coarse noise.

    Args:
        pixels: as for `noise_level`, of which `acutance.noise.blocks` says how N is measured.

    Returns:
        (B,), positive, of the type and on the device of `pixels`; 1 where nothing can be measured.
    """
    work = pixels.float()
    top = clipped(work).any(1).any(-1).any(-1)
    relative = zip(work / brightness(work).reshape(-1, 1, 1, 1), top, strict=True)
    return torch.stack([_coarseness(picture, full=bool(t)) for picture, t in relative]).to(pixels.dtype)


def _coarseness(picture: Tensor, *, full: bool) -> Tensor:
    """That of one picture (C, H, W) of brightness 1, a scalar; full: it is clipped at its largest value."""
    if min(picture.shape[-2:]) < SIDE:
        return picture.new_tensor(1.0)
    blocks = overlapping(picture)
    blocks = blocks[:, torch.isfinite(blocks).all(-1).all(0)]
    if blocks.shape[1] == 0:
        return picture.new_tensor(1.0)
    noise, _ = in_smoothest(band_powers(_unclipped(blocks, full=full))[0])
    low, high = (mean_power(noise, *bands).mean() for bands in (COARSE, FINE))
    return (low / high.clamp_min(FLOOR**2 / 100)).sqrt() if bool(low > FLOOR**2 / 100) else torch.ones_like(low)


def _level(picture: Tensor, *, full: bool, step: float | None) -> Tensor:
    """The level of one picture (C, H, W) of brightness 1, a scalar; full: it is clipped at its largest value."""
    if min(picture.shape[-2:]) < SIDE:
        return picture.new_tensor(FLOOR if bool(torch.isfinite(picture).all()) else UNKNOWN)
    blocks = overlapping(picture)
    blocks = blocks[:, torch.isfinite(blocks).all(-1).all(0)]
    if blocks.shape[1] == 0:
        return picture.new_tensor(UNKNOWN)
    blocks = _unclipped(blocks, full=full)
    energy, brightness = band_powers(blocks)  # (C, M, 15), (C, M)
    noise, smooth = in_smoothest(energy)
    variance = mean_power(noise) / torch.stack(
        [_proportion(e, m, m[smooth].mean()) for e, m in zip(energy, brightness, strict=True)]
    )
    return possible(variance.mean().sqrt().clamp_min(FLOOR), picture, step)


def possible(level: Tensor, picture: Tensor, step: float | None) -> Tensor:
    """An estimate, or the most noise that the picture can have where that is far less: scalars.

    Args:
        level: at least `FLOOR`. picture: (C, H, W), of brightness 1. step: between two of its values; None: found.
    """
    if float(level) <= DRAWN * FLOOR:
        return level
    bound = noise_bound(picture, 1.0, step)
    return level if float(level) <= DRAWN * bound else level.new_tensor(bound).clamp_min(FLOOR)


def overlapping(picture: Tensor) -> Tensor:
    """Overlapping blocks of (C, H, W): (C, M, 64); of large pictures about `MOST_BLOCKS`."""
    height, width = picture.shape[-2:]
    stride = max(STRIDE, math.ceil(math.sqrt(height * width / MOST_BLOCKS)) | 1)
    views = picture.unfold(1, SIDE, stride).unfold(2, SIDE, stride)  # (C, rows, columns, 8, 8)
    return views.reshape(picture.shape[0], -1, SIDE * SIDE)


def _unclipped(blocks: Tensor, *, full: bool) -> Tensor:
    """Those of (C, M, 64) without a pixel at the end of the range and not constant, or the best there are.

    A channel that is clipped much more than another is left out.
    """
    top = blocks.max()
    low = (blocks <= NEAR) & (blocks.min() >= 0)
    high = (blocks >= top - NEAR) & full
    constant = blocks.amax(-1) == blocks.amin(-1)
    bad = torch.where(constant, SIDE * SIDE, (low | high).sum(-1))  # (C, M)
    good = (bad == 0).float().mean(1)
    alive = good >= good.max() / 2
    blocks, bad = blocks[alive], bad[alive].sum(0)
    if int((bad == 0).sum()) >= min(FEWEST, bad.numel()):
        return blocks[:, bad == 0]
    return blocks[:, bad.topk(min(FEWEST, bad.numel()), largest=False).indices]


def band_powers(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Power in the bands, (C, M, 15), and mean, (C, M), of blocks (C, M, 64)."""
    cosines = cosine_matrix(SIDE).to(blocks)
    squares = (blocks @ torch.kron(cosines, cosines).T).square()
    band = _band_of_coefficient(blocks.device)
    members = torch.nn.functional.one_hot(band).to(blocks)  # (64, 15)
    return squares @ (members / members.sum(0)), blocks.mean(-1)


def in_smoothest(energy: Tensor, first: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Measure N in the smoothest blocks, by the formula of the module.

    Args:
        energy: (C, M, 15), of M blocks. first: N of a first measurement, (C, 15): all blocks count whose other bands
            hold no more than that, where they are more than `SHARE`. It is more exact where much is even.

    Returns:
        N of each channel, (C, 15), and which blocks of (C, M, 15) it was measured in, indices.
    """
    count = energy.shape[1]
    wanted = max(math.ceil(SHARE * count), min(FEWEST, math.ceil(count / 8)))
    size = _size_of_band(energy)
    band = torch.arange(size.numel(), device=energy.device)
    noise, chosen = torch.empty_like(energy[:, 0]), []
    for parity in (0, 1):
        guide = (band >= 1) & (band <= HIGHEST_GUIDE) & (band % 2 != parity)
        texture = (energy[..., guide] * size[guide]).sum((0, 2))
        even = 0 if first is None else int((texture <= (first[:, guide] * size[guide]).sum()).sum())
        smooth = texture.topk(max(wanted, even), largest=False).indices
        measured = band % 2 == parity
        noise[:, measured] = energy[:, smooth][..., measured].median(1).values / (1 - 2 / (9 * size[measured])) ** 3
        chosen.append(smooth)
    tiny = torch.finfo(noise.dtype).tiny
    rise = (noise[:, 2] / noise[:, 4].clamp_min(tiny)).sqrt().clamp(1, STEEPEST)
    noise[:, 1] = rise * noise[:, 2]
    noise[:, 0] = rise * noise[:, 1]
    return noise, torch.cat(chosen)


def mean_power(noise: Tensor, *bands: int) -> Tensor:
    """Mean of N, (C, 15), over the coefficients of all bands, or of those from the first to the last: (C,)."""
    size = _size_of_band(noise)
    if bands:
        size[: bands[0]] = 0
        size[bands[1] + 1 :] = 0
    return (noise * size).sum(1) / size.sum()


def _size_of_band(like: Tensor) -> Tensor:
    """n_r."""
    return torch.bincount(_band_of_coefficient(like.device)).to(like)


def _proportion(energy: Tensor, brightness: Tensor, at: Tensor) -> Tensor:
    """(1 - s) + s m / mean(m) at the brightness `at`, from the power (M, 15) and the means (M,) of one channel."""
    fine, coarse = energy[:, LOWEST_FINE:].mean(1), energy[:, 1:LOWEST_FINE].mean(1)
    mean = brightness.mean()
    if not bool(mean > 0):
        return torch.ones_like(mean)
    classes = []
    for members in brightness.argsort().chunk(CLASSES):
        smooth = members[coarse[members].topk(math.ceil(len(members) / 16), largest=False).indices]
        classes.append(torch.stack((fine[smooth].median(), brightness[members].mean())))
    power, m = torch.stack(classes).unbind(1)
    s = torch.linspace(0, 1, 21, dtype=m.dtype, device=m.device)[:, None]
    ratio = (power.clamp_min(1e-6 * power.max() + 1e-20) / _law(s, m / mean)).log()
    spread = (ratio - ratio.median(1, keepdim=True).values).abs().mean(1)
    best = s[(spread + 0.1 * s[:, 0]).argmin()]  # texture differs between classes too: no dependence unless it shows
    return _law(best, at / mean).squeeze(0)


def _law(s: Tensor, relative: Tensor) -> Tensor:
    return ((1 - s) + s * relative).clamp_min(0.05)


def _band_of_coefficient(device: torch.device) -> Tensor:
    """r = u + v of the 64 coefficients."""
    k = torch.arange(SIDE, device=device)
    return (k[:, None] + k[None]).flatten()
