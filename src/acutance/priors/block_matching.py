r"""Block matching and collaborative filtering, BM3D: a denoiser for white noise (Dabov et al. 2007).

Each patch z_R of a grid is stacked with the k patches most like it, nearest first, and the stack is filtered where it
is sparse: T is a transform of the patch, H of Haar along the stack, both of them with rows of norm 1.

    first stage    s = H [T z_1 .. T z_k],   w = (|s| > threshold sigma),           weight 1 / sum w
    second stage   stacks of noisy patches z again, found in and judged by the first estimate p:
                   q = H [T p_1 .. T p_k],   w = q^2 / (q^2 + sigma^2),             weight 1 / sum w^2

H' (w s) returns to the patches, and a pixel is the weighted mean of all that was said of it. w = 1 for the mean of a
stack. T is the biorthogonal spline wavelet 1.5 in the first stage, the cosine transform in the second.

Otherwise than in the paper every stack is full: a distant patch does no harm that the filter would not see, and without
a limit on the distance the filter of a x with noise a sigma is a times the filter of x. A milder second stage,
q^2 / (q^2 + 0.7 sigma^2), gained up to 0.09 dB on one set of crops of photographs and lost as much on another, so the
paper's stands.

All patches are transformed once and aggregated as coefficients, so that a stack costs two products with H; the
distances |a|^2 - 2 a'b + |b|^2 of all pairs in a row of the grid are one batched matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import ConfigError
from acutance.tensors import cosine_matrix

SIDE = 8
"""Of a patch, pixels; a patch has SIDE^2 = 64 coefficients."""
ROUNDNESS = 2.0
"""Shape parameter of the Kaiser window by which a patch counts less at its rim."""
SEGMENT = 8
"""References of a row that share one product; more share the patches around, and compare more that are too far."""
POSITIONS = 1 << 19
"""Patches looked at in one go; about 2 kB each."""
FAR = 1e30
"""Squared distance to what lies outside the picture."""


@dataclass(frozen=True)
class BlockMatching:
    """Settings of the denoiser.

    Args:
        step: pixels between the references, 1 to 8; the time falls with its square, 4 loses 0.04 dB.
        radius: how far from its reference a similar patch is sought, pixels; the time grows with its square.
        threshold: of the first stage, in units of sigma.
        first, second: patches in a stack of either stage, powers of 2; fewer in pictures that have not so many.
        separate: every channel is a picture by itself; else the channels are decorrelated and their stacks are those of
            the luminance.

    Raises:
        ConfigError: a setting outside what it can be.
    """

    step: int = 3
    radius: int = 19
    threshold: float = 2.7
    first: int = 16
    second: int = 32
    separate: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.step <= SIDE:
            raise ConfigError(f"step={self.step} leaves pixels out or stands still; choose 1 to {SIDE}")
        if self.radius < 1:
            raise ConfigError(f"radius={self.radius} finds nothing; choose 1 or more, 10 is quick and 19 thorough")
        if self.threshold <= 0:
            raise ConfigError(f"threshold={self.threshold} must be positive; 2.7 is usual")
        for name, size in (("first", self.first), ("second", self.second)):
            if size < 1 or size & (size - 1):
                raise ConfigError(f"{name}={size} is no power of 2; 16 and 32 are usual")


@torch.no_grad()
def denoise(x: Tensor, sigma: Tensor, settings: BlockMatching | None = None) -> Tensor:
    """What a picture with white Gaussian noise shows.

    Args:
        x: pictures, (B, C, H, W), any size and scale. One that is not finite comes back as it is.
        sigma: standard deviation of the noise in the units of x, (B,) or a scalar; 0 changes nothing.
        settings: the usual ones if not given.

    Returns:
        Of the shape and type of x. Channels that are all equal stay so, and are taken to share their noise.

    >>> noise = 0.1 * torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> bool(denoise(0.5 + noise, torch.tensor(0.1)).std() < 0.2 * noise.std())
    True
    """
    settings = BlockMatching() if settings is None else settings
    levels = sigma.detach().reshape(-1).expand(len(x)).tolist()
    work = x.to(torch.promote_types(x.dtype, torch.float32))
    return torch.stack([_picture(p, s, settings) for p, s in zip(work, levels, strict=True)]).to(x.dtype)


def _picture(x: Tensor, sigma: float, settings: BlockMatching) -> Tensor:
    """One picture (C, H, W). Batches are no faster, and so each picture is what it would be alone."""
    if not sigma > 0 or not bool(torch.isfinite(x).all()):
        return x.clone()
    channels = len(x)
    if channels > 1 and bool((x == x[:1]).all()):
        return _picture(x[:1], sigma, settings).expand_as(x)
    if channels > 1 and settings.separate:
        return torch.cat([_picture(channel, sigma, settings) for channel in x[:, None]])
    size = x.shape[-2:]
    mean = x.mean((-2, -1), keepdim=True)
    # For three channels the cosine transform is (R + G + B, R - B, R - 2 G + B), each scaled: noise keeps its level.
    mixing = cosine_matrix(channels).to(x)
    z = torch.tensordot(mixing, _at_least_a_patch((x - mean) / sigma), 1)
    basic = _stage(z, None, settings)
    final: Tensor = torch.tensordot(mixing.T, _stage(z, basic, settings), 1) * sigma + mean
    return final[:, : size[0], : size[1]]


def _at_least_a_patch(x: Tensor) -> Tensor:
    """(C, H, W) continued by reflection to sides of at least SIDE."""
    for dim in (-2, -1):
        n = x.shape[dim]
        if n < SIDE:
            there = torch.arange(SIDE, device=x.device) % max(1, 2 * n - 2)
            x = x.index_select(dim, torch.minimum(there, 2 * n - 2 - there).clamp_min(0))
    return x


def _stage(noisy: Tensor, pilot: Tensor | None, settings: BlockMatching) -> Tensor:
    """The first stage, or with a `pilot` the second: (C, H, W), sigma 1, to the same; the first channel is matched."""
    height, width = (n - SIDE + 1 for n in noisy.shape[-2:])  # of the set of patches
    reach = settings.radius + 1
    nearest = min(reach, height) * min(reach, width)  # patches that a corner's reference can have
    k = min(settings.first if pilot is None else settings.second, 1 << (nearest.bit_length() - 1))
    numerator, denominator = torch.zeros_like(noisy), torch.zeros_like(noisy)
    for rows in _strips(height, width, settings):
        top, bottom = max(0, rows[0] - settings.radius), min(height, rows[-1] + reach)
        inside = slice(top, bottom + SIDE - 1)
        guide = (noisy if pilot is None else pilot)[0, inside]
        stacks = match(guide, [r - top for r in rows], k, step=settings.step, radius=settings.radius)
        for c in range(len(noisy)):
            estimate, weight = _collaborate(
                noisy[c, inside], None if pilot is None else pilot[c, inside], stacks, settings.threshold
            )
            numerator[c, inside] += estimate
            denominator[c, inside] += weight
    return numerator / denominator


def _strips(height: int, width: int, settings: BlockMatching) -> Iterator[list[int]]:
    """The rows of the grid, so many at a time that memory is bounded."""
    rows = grid(height, settings.step)
    n = max(1, (POSITIONS // width - 2 * settings.radius) // settings.step)
    return (rows[i : i + n] for i in range(0, len(rows), n))


def grid(length: int, step: int) -> list[int]:
    """Every `step`-th of `length` positions, and the last.

    >>> grid(9, 3), grid(7, 3)
    ([0, 3, 6, 8], [0, 3, 6])
    """
    last = length - 1
    return [*range(0, last, step), last]


def match(guide: Tensor, rows: list[int], k: int, *, step: int, radius: int) -> Tensor:
    """For each reference the k patches nearest to it, itself first.

    Args:
        guide: (H, W), of mean about 0; a patch is named by its number in reading order.
        rows: of the references, whose columns are `grid`.

    Returns:
        (references, k), nearest first.
    """
    height, width = (n - SIDE + 1 for n in guide.shape)
    reach, around = step * (SEGMENT - 1), 2 * radius + 1
    starts, last = list(range(0, width, step * SEGMENT)), width - 1
    if last % step:
        starts.append(last)  # off the regular grid: a segment of its own, of which only the first is a reference
    columns = torch.tensor(starts)[:, None] + step * torch.arange(SEGMENT)  # (segments, SEGMENT)
    real = columns <= last
    real[-1, 1:] &= last % step == 0
    columns, real = columns.clamp_max(last).to(guide.device), real.flatten().nonzero()[:, 0].to(guide.device)
    # A patch and its squared norm, with a border of patches that are far from everything.
    d = SIDE * SIDE
    span = reach + around
    patches = guide.new_zeros(height + 2 * radius, starts[-1] + span, d + 1)
    patches[..., d] = FAR
    inner = patches[radius : radius + height, radius : radius + width]
    inner[..., :d] = F.unfold(guide[None, None], SIDE)[0].T.reshape(height, width, d)
    inner[..., d] = inner[..., :d].square().sum(-1)
    segments = torch.stack([patches[:, s : s + span] for s in starts])  # (segments, height + 2 radius, span, d + 1)
    x = columns.flatten()[real, None]
    found = []
    for y in rows:
        a = -2 * inner[y, columns]  # (segments, SEGMENT, d + 1)
        a[..., d] = 1
        b = segments[:, y : y + around].flatten(1, 2)  # (segments, around * span, d + 1)
        distance = torch.bmm(a, b.transpose(1, 2))  # less |a|^2
        # The j-th reference of a segment sees the columns from j * step on.
        windows = distance.as_strided(
            (len(starts), SEGMENT, around, around), (SEGMENT * around * span, around * span + step, span, 1)
        ).reshape(-1, around * around)[real]
        windows[:, radius * around + radius] = -math.inf  # itself
        i = windows.topk(k, dim=1, largest=False).indices
        found.append((y + i // around - radius) * width + x + i % around - radius)
    return torch.cat(found)


def _collaborate(noisy: Tensor, pilot: Tensor | None, stacks: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Filter the stacks (references, k) of patches of `noisy` (H, W): weighted sums of estimates, and of weights."""
    size, k = noisy.shape, stacks.shape[1]
    transform = wavelet_matrix() if pilot is None else cosine_matrix(SIDE)
    forward = torch.kron(transform, transform).to(noisy)
    z = _coefficients(noisy, forward)
    p = None if pilot is None else _coefficients(pilot, forward)
    haar = haar_matrix(k).to(noisy)
    total, weights = torch.zeros_like(z), z.new_zeros(len(z))
    # A cache's worth of coefficients at a time, or a device's.
    at_once = max(1, (1 << (20 if z.device.type == "cpu" else 24)) // (k * z.shape[1]))
    for start in range(0, len(stacks), at_once):
        chunk = stacks[start : start + at_once]
        members, n = chunk.T.reshape(-1), len(chunk)  # all the nearest, then all the second, ...

        def spectrum(source: Tensor, members: Tensor = members, n: int = n) -> Tensor:
            return (haar @ source.index_select(0, members).view(k, -1)).view(k, n, -1)

        s = spectrum(z)
        if p is None:
            w = (s.abs() > threshold).to(s.dtype)
        else:
            w = spectrum(p).square_()
            w /= w + 1
        w[0, :, 0] = 1
        weight = 1 / (w if p is None else w.square()).sum((0, 2))  # (n,)
        s.mul_(w).mul_(weight[:, None])
        _add(total, members, (haar.T @ s.view(k, -1)).view(k * n, -1))
        _add(weights, members, weight.repeat(k))
    backward = torch.linalg.inv(transform)
    window = torch.kaiser_window(SIDE, periodic=False, beta=ROUNDNESS, dtype=torch.float64)
    rim = torch.outer(window, window).reshape(-1, 1)
    pixels = (rim * torch.kron(backward, backward)).to(z) @ total.T  # (SIDE^2, patches)
    estimate = F.fold(pixels[None], size, SIDE)[0, 0]
    return estimate, F.fold((rim.to(z) * weights)[None], size, SIDE)[0, 0]


def _coefficients(x: Tensor, forward: Tensor) -> Tensor:
    """All patches of (H, W), transformed: (patches, SIDE^2)."""
    return F.unfold(x[None, None], SIDE)[0].T @ forward.T


def _add(total: Tensor, index: Tensor, rows: Tensor) -> None:
    """total[index] += rows, in an order that is the same every time: on a GPU only `index_put_` sorts them."""
    if total.device.type == "cpu":
        total.index_add_(0, index, rows)
    else:
        total.index_put_((index,), rows, accumulate=True)


def haar_matrix(n: int) -> Tensor:
    """The orthonormal Haar transform of a power of 2, (n, n), float64; row 0 is the mean times sqrt(n)."""
    return _pyramid(n, [1.0, 1.0])


def wavelet_matrix() -> Tensor:
    """The biorthogonal spline wavelet 1.5 (Cohen, Daubechies & Feauveau), periodic, rows of norm 1: (8, 8), float64."""
    m: Tensor = _pyramid(SIDE, [n / 128 for n in (3, -3, -22, 22, 128, 128, 22, -22, -3, 3)])
    m /= m.norm(dim=1, keepdim=True)
    return m


def _pyramid(n: int, smooth: list[float]) -> Tensor:
    """Means by the filter `smooth` and differences of neighbours, the means again so, down to one."""
    m = torch.eye(n, dtype=torch.float64)
    before = len(smooth) // 2 - 1
    while n > 1:
        level = torch.zeros(n, n, dtype=torch.float64)
        for i in range(n // 2):
            for t, weight in enumerate(smooth):
                level[i, (2 * i + t - before) % n] += weight / math.sqrt(2)
            level[n // 2 + i, 2 * i], level[n // 2 + i, 2 * i + 1] = math.sqrt(0.5), -math.sqrt(0.5)
        m[:n] = level @ m[:n]
        n //= 2
    return m
