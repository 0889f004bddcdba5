"""Noise and what cameras do after it: batched, on the device, from a Generator.

Images are (B, 3, H, W), nominal range [0, 1]; levels are fractions of the range, one for each image (B,).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.images.colour import linear_to_srgb
from acutance.tensors import cosine_matrix


def gaussian(x: Tensor, sigma: Tensor, generator: torch.Generator, *, shared: Tensor | None = None) -> Tensor:
    """Add white Gaussian noise.

    Args:
        x: (B, C, H, W). sigma: (B,).
        shared: (B,) bool; where true all channels get the *same* noise, as in a grey picture stored in colour.
    """
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return x + _level(sigma) * _share(noise, shared)


def poisson(x: Tensor, peak: Tensor, generator: torch.Generator, *, shared: Tensor | None = None) -> Tensor:
    """Photon noise: x in [0, 1] stands for an expectation of x * peak photons; peak (B,)."""
    mean = x.clamp_min(0) * _level(peak)
    if shared is not None and bool(shared.any()):
        one = torch.poisson(mean[:, :1], generator=generator).expand_as(mean)
        return torch.where(shared[:, None, None, None], one, torch.poisson(mean, generator=generator)) / _level(peak)
    return torch.poisson(mean, generator=generator) / _level(peak)


def of_signal(light: Tensor, sigma: Tensor, part: Tensor) -> Tensor:
    """Standard deviation of a sensor's noise at each pixel, (B, C, H, W), from photons and reading.

        sigma sqrt( p x / mean(x) + 1 - p ),        x: the light, clipped to [0, 1]

    Args:
        light: (B, C, H, W) linear light. sigma: root mean square over the picture, (B,).
        part: p in [0, 1], the photons' part of the mean variance, (B,).

    Reference: `foi2008practical`.
    """
    x = light.clamp(0, 1)
    relative = x / x.mean((1, 2, 3), keepdim=True).clamp_min(1e-4)
    return _level(sigma) * (1 + _level(part) * (relative - 1)).sqrt()


def before_encoding(light: Tensor, spread: Tensor, sigma: Tensor) -> Tensor:
    """Noise of linear light, scaled so that it has about the level `sigma` after the sRGB curve T and its clipping.

        spread sigma / rms(e),      e = ( T(x + spread) - T(x - spread) ) / 2

    Args:
        light: x, (B, C, H, W). spread: standard deviation at each pixel, the same size. sigma: (B,).
    """
    factor = torch.ones_like(sigma)
    few, some = light[..., ::3, ::3], spread[..., ::3, ::3]  # a ninth of the pixels tells the mean
    for _ in range(2):  # the curve is steep and bent in the dark: once is not enough
        s = some * _level(factor)
        change = linear_to_srgb((few + s).clamp(0, 1)) - linear_to_srgb((few - s).clamp(0, 1))
        found = (0.25 * change.square()).mean((1, 2, 3)).sqrt()
        factor = factor * (sigma / found.clamp_min(1e-6)).clamp(0.01, 100.0)
    return spread * _level(factor)


def demosaiced(x: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise as it is after a Bayer sensor and bilinear demosaicing: correlated between pixels.

    The noise has standard deviation `sigma` at the sensor; a colour picture (B, 3, H, W) only.
    """
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype) * _level(sigma)
    return x + through_bayer(noise)


def through_bayer(x: Tensor) -> Tensor:
    """What a Bayer sensor sees of (B, 3, H, W), red at even rows and columns, and bilinear demosaicing makes of it."""
    rows = torch.arange(x.shape[-2], device=x.device)[:, None] % 2
    cols = torch.arange(x.shape[-1], device=x.device)[None, :] % 2
    sites = torch.stack(((rows == 0) & (cols == 0), rows != cols, (rows == 1) & (cols == 1))).to(x.dtype)
    cross = torch.tensor([[0, 1, 0], [1, 4, 1], [0, 1, 0]], dtype=x.dtype, device=x.device) / 4
    full = torch.tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=x.dtype, device=x.device) / 4
    weight = torch.stack((full, cross, full))[:, None]
    return F.conv2d(F.pad(x * sites, (1, 1, 1, 1), mode="reflect"), weight, groups=3)


def quantise(x: Tensor, bits: int) -> Tensor:
    """Clip to [0, 1] and round to 2^bits levels."""
    top = 2**bits - 1
    out: Tensor = (x.clamp(0, 1) * top).round() / top
    return out


def jpeg(x: Tensor, quality: Tensor) -> Tensor:
    """What JPEG at `quality` (B,), 1 to 100, does: quantised 8 x 8 cosine transform of YCbCr, no chroma subsampling.

    Sides need not be multiples of 8: the picture is extended by replication, as encoders do.
    """
    b, _, height, width = x.shape
    z = F.pad(x.clamp(0, 1) * 255, (0, -width % 8, 0, -height % 8), mode="replicate")
    to_ycc = YCC.to(z)
    ycc = torch.einsum("ij,bjhw->bihw", to_ycc, z)
    ycc[:, 0] -= 128
    h, w = z.shape[-2:]
    blocks = ycc.reshape(b, 3, h // 8, 8, w // 8, 8).transpose(3, 4)
    dct = cosine_matrix(8).to(z)
    coefficients = dct @ blocks @ dct.T
    q = quality.clamp(1, 100).to(z)
    factor = torch.where(q < 50, 50 / q, 2 - q / 50)
    tables = torch.stack((_LUMA, _CHROMA, _CHROMA)).to(z)
    steps = (tables[None] * factor[:, None, None, None]).round().clamp(1, 255)[:, :, None, None]
    blocks = dct.T @ ((coefficients / steps).round() * steps) @ dct
    ycc = blocks.transpose(3, 4).reshape(b, 3, h, w)
    ycc[:, 0] += 128
    rgb = torch.einsum("ij,bjhw->bihw", torch.linalg.inv(to_ycc), ycc)
    out: Tensor = (rgb.clamp(0, 255).round() / 255)[..., :height, :width]
    return out


def _level(value: Tensor) -> Tensor:
    return value.reshape(-1, 1, 1, 1)


def _share(noise: Tensor, shared: Tensor | None) -> Tensor:
    return noise if shared is None else torch.where(shared[:, None, None, None], noise[:, :1], noise)


YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
"""Red, green, blue to luma and the two colour differences of JPEG."""
_LUMA = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
_CHROMA = torch.full((8, 8), 99)
_CHROMA[:4, :4] = torch.tensor([[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]])
