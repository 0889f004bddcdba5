r"""What speaks for a kernel: measures of a picture that a fast method restored with it.

    z = fd(y, k),      p = k * z,      all three seen through the tone curve: y', z', p'

A right kernel leaves a residual p' - y' that is nothing but noise, makes gradients few and strong, and rings little. A
wrong one leaves edges in the residual, or doubles them in z'. None of the measures tells it alone; `acutance.blind.judge`
weighs them. They are taken in several windows, most of which the kernel was not estimated from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.blind.kernel_step import differences
from acutance.blind.shapes import widths
from acutance.methods.fd import Fd, FdConfig
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.tensors import crop, fast_length
from acutance.texture import where_textured

LEVEL = 0.01
"""Noise level that the fast method is told."""

GAMMA = 2.2
"""Exponent of the tone curve that pictures of linear light are seen through."""

SIDE = 224
"""Side of a window, pixels."""

NAMES = (
    "residual", "sparsity", "variation", "edges in residual", "residual correlation", "overshoot", "grain",
    "ghost", "echo", "blur left",
)  # fmt: skip
"""Measures of a window, see `measured`."""

KERNEL_NAMES = ("width", "narrowness", "fill", "pieces")
"""Measures of a kernel, see `described`."""

QUICK = Fd(FdConfig(steps=4))


@dataclass(frozen=True, eq=False)
class Windows:
    """Places of a picture where kernels are judged.

    Args:
        pictures: y, (n, 1, h, w). linear: whether they are linear light.
        places: rows and columns of each window in the picture.
        noise: level of noise in y', at least 0.002.
    """

    pictures: Tensor
    linear: bool
    places: tuple[tuple[slice, slice], ...]
    noise: float

    @staticmethod
    def of(picture: Tensor, *, linear: bool, side: int = SIDE) -> Windows:
        """The most textured window of each quarter of a grey picture (1, 1, H, W), or the whole of a small one."""
        h, w = picture.shape[-2:]
        rows, cols = (_halves(n, side) for n in (h, w))
        places = []
        for r in rows:
            for c in cols:
                found = where_textured(picture[..., r, c], side)
                places.append(tuple(slice(a.start + b.start, a.start + b.stop) for a, b in zip((r, c), found, strict=True)))
        pictures = torch.cat([picture[..., r, c] for r, c in places])
        seen = curved(pictures, linear=linear)
        noise = max(0.002, float(Problem(seen).level().median()))
        return Windows(pictures, linear, tuple((r, c) for r, c in places), noise)


def _halves(length: int, side: int) -> tuple[slice, ...]:
    """One piece of a length, or two where windows of that side hardly overlap in them."""
    if length < 1.6 * side:
        return (slice(0, length),)
    half = max(length // 2, side)
    return slice(0, half), slice(length - half, length)


def curved(x: Tensor, *, linear: bool) -> Tensor:
    """x through the tone curve; as it is where it was encoded already."""
    return x.clamp_min(0) ** (1 / GAMMA) if linear else x


def restored(windows: Windows, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """z and p of every window, the size of y."""
    problem = Problem(windows.pictures, Blur(kernel, "valid"), windows.pictures.new_tensor([LEVEL]))
    x = QUICK.run(problem).x
    return problem.crop(x), problem.blur.forward(x)  # type: ignore[union-attr]


@torch.no_grad()
def measured(windows: Windows, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """The measures `NAMES` of every window with a kernel (1, 1, s, s), (n, len(NAMES)), and z', the windows restored."""
    z, p = (curved(v, linear=windows.linear) for v in restored(windows, kernel))
    whole, y = z, curved(windows.pictures, linear=windows.linear)
    margin = min(kernel.shape[-1] // 4, 16)
    y, z, p = (crop(v, margin, margin) for v in (y, z, p))
    residual = p - y
    gy, gz = (differences(v) for v in (y, z))
    length_y, length_z = (g.square().sum(1, keepdim=True).sqrt() for g in (gy, gz))
    size = _rms(residual)
    columns = [
        (size / windows.noise).log(),
        (_sparsity(length_z) / _sparsity(length_y)).log(),
        (length_z.flatten(1).mean(1) / length_y.flatten(1).mean(1).clamp_min(1e-6)).clamp_min(1e-6).log(),
        _correlation(F.avg_pool2d(residual.abs(), 5, 2), F.avg_pool2d(F.pad(length_y, (0, 1, 0, 1)), 5, 2)),
        _neighbours(residual),
        _overshoot(y, z).clamp_min(1e-6).log(),
        (_grain(z) / _grain(y).clamp_min(1e-6)).clamp_min(1e-3).log(),
        *_echoes(gz, kernel.shape[-1]),
        (_rms(_laplacian(z)) / z.flatten(1).std(1).clamp_min(1e-6)).log(),
    ]
    return torch.stack(columns, 1), whole


def described(kernel: Tensor) -> Tensor:
    """The measures `KERNEL_NAMES` of a kernel (1, 1, s, s): (4,)."""
    narrow, wide = widths(kernel)
    weight = float(kernel.sum()) ** 2 / float(kernel.square().sum())  # pixels that it fills
    return torch.tensor(
        [math.log(wide + 0.2), math.log((narrow + 0.2) / (wide + 0.2)), math.log(weight / (wide + 0.5)), _pieces(kernel)]
    )


def _pieces(kernel: Tensor) -> float:
    """How rough the kernel is: the total variation of it over that of a disc of its weight."""
    k = F.pad(kernel / kernel.sum(), (1, 1, 1, 1))
    variation = float((k[..., 1:, :] - k[..., :-1, :]).abs().sum() + (k[..., 1:] - k[..., :-1]).abs().sum())
    pixels = 1 / float(k.square().sum())
    return math.log(max(variation, 1e-6) * math.sqrt(pixels))


def _rms(x: Tensor) -> Tensor:
    return x.square().flatten(1).mean(1).sqrt().clamp_min(1e-8)


def _sparsity(length: Tensor) -> Tensor:
    """||g||_1 / ||g||_2 over the square root of their number."""
    return length.flatten(1).mean(1).clamp_min(1e-8) / _rms(length)


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Of two pictures, by window."""
    a, b = (v.flatten(1) - v.flatten(1).mean(1, keepdim=True) for v in (a, b))
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp_min(1e-12)


def _neighbours(r: Tensor) -> Tensor:
    """Correlation of a residual with its neighbours two pixels away: 0 of white noise."""
    own = r.square().flatten(1).mean(1).clamp_min(1e-12)
    down = (r[..., 2:, :] * r[..., :-2, :]).flatten(1).mean(1)
    along = (r[..., 2:] * r[..., :-2]).flatten(1).mean(1)
    return (down + along) / (2 * own)


def _overshoot(y: Tensor, z: Tensor, reach: int = 7) -> Tensor:
    """How far z leaves the range that y has around, over the deviation of y."""
    high, low = F.max_pool2d(y, reach, 1, reach // 2), -F.max_pool2d(-y, reach, 1, reach // 2)
    beyond = (z - high).clamp_min(0) + (low - z).clamp_min(0)
    return _rms(beyond) / (y.flatten(1).std(1) + 1e-3)


def _laplacian(x: Tensor) -> Tensor:
    return (
        4 * x[..., 1:-1, 1:-1] - x[..., 2:, 1:-1] - x[..., :-2, 1:-1] - x[..., 1:-1, 2:] - x[..., 1:-1, :-2]
    )  # fmt: skip


def _grain(x: Tensor) -> Tensor:
    """Lowest quarter of the local strength of the Laplacian: what is left in smooth places."""
    local = F.avg_pool2d(_laplacian(x).abs(), 8, 8).flatten(1)
    return local.quantile(0.25, dim=1) + 1e-4


def _echoes(g: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The largest autocorrelation of gradients (n, 2, h, w) beyond 3 pixels, and its mean, up to a kernel's side away."""
    h, w = g.shape[-2:]
    reach = max(5, min(side, h // 3, w // 3))
    size = fast_length(h + reach), fast_length(w + reach)
    spectrum = torch.fft.rfft2(g, s=size)
    power = (spectrum.real.square() + spectrum.imag.square()).sum(1)
    auto = torch.fft.irfft2(power.to(spectrum.dtype), s=size)
    auto = torch.roll(auto, (reach, reach), (-2, -1))[..., : 2 * reach + 1, : 2 * reach + 1]
    auto = auto / auto[..., reach, reach].clamp_min(1e-12)[:, None, None]
    place = torch.arange(2 * reach + 1, device=g.device) - reach
    far = (place[:, None].square() + place.square()) > 9
    values = auto[:, far].abs()
    return values.amax(1), values.mean(1) * 10
