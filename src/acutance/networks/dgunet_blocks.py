r"""What the stages of DGUNet are made of (Mou et al. 2022). Nothing here knows of stages.

Widths w(i) = n + i s at level i = 0 ... 3, the finest first. Slopes of PReLUs come from outside: the authors share one
between many blocks, and so it is one weight here as well.

Statistics over the whole picture are in three places: the mean of each feature (channel attention), its moments
(normalisation of half the features) and the projection of the merge. So no piece of a picture can be taken through
alone; what lies between goes band by band, see `acutance.networks.bands`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acutance.networks.bands import in_bands
from acutance.networks.blocks import Moments, Norm
from acutance.tensors import SENSED, block_products, block_sums, cosine_matrix

LEVELS = 4
RANK = 16
"""Dimension of the subspace that features are projected onto."""

RIDGE = {torch.float32: 1e-9, torch.float64: 1e-12}
"""Added to the squared lengths, 1, of the subspace's axes, for features of either precision."""

CHUNK = 1 << 18
"""Pixels whose products are summed at a time, about."""


class Degradation(nn.Module):
    """x + conv(prelu(conv(x))): stands for A, or for A'. Args: channels: of the picture. hidden: features."""

    def __init__(self, channels: int, hidden: int = 64) -> None:
        super().__init__()
        self.first, self.second = conv(channels, hidden, bias=True), conv(hidden, channels, bias=True)

    def forward(self, x: Tensor, slope: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return torch.add(x, self.second(prelu(self.first(x), slope)))


class Sampling(nn.Module):
    """b = Phi x on blocks of 32 x 32 pixels, each channel alone. Phi, (rows, 1024), is learned.

    It starts as the smoothest cosines, which are orthonormal: then Phi'Phi x is x without its fine detail.
    """

    def __init__(self, rows: int) -> None:
        super().__init__()
        waves = cosine_matrix(SENSED).to(torch.get_default_dtype())
        order = sorted(((i, j) for i in range(SENSED) for j in range(SENSED)), key=lambda ij: (sum(ij), ij))[:rows]
        self.weight = nn.Parameter(torch.stack([torch.outer(waves[i], waves[j]).flatten() for i, j in order]))

    def gram(self, x: Tensor) -> Tensor:
        """Phi'Phi x, (B, C, H, W), sides multiples of 32, in the precision of x."""
        with torch.autocast(x.device.type, enabled=False):
            rows = self.weight.to(x.dtype)
            return block_sums(block_products(x, rows, SENSED), rows, SENSED)


class ShallowFeatures(nn.Module):
    """z = conv(x), then z + CA(conv(prelu(conv(z)))) with CA(t) = t sigmoid(U relu(D mean(t)))."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.entrance = conv(channels, width)
        self.first, self.second = conv(width, width), conv(width, width)
        self.squeeze, self.excite = point(width, width // 4), point(width // 4, width)

    def forward(self, x: Tensor, slope: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, n, H, W)."""
        z = in_bands(self.entrance, x, reach=2)
        t = in_bands(lambda z: self.second(prelu(self.first(z), slope)), z, reach=2)
        gain = self.excite(F.relu(self.squeeze(t.mean((2, 3), keepdim=True, dtype=_wide(t)).to(t.dtype))))
        return torch.addcmul(z, t, torch.sigmoid(gain))


class Block(nn.Module):
    """conv1(x) + lrelu(conv3(lrelu(norm(conv3(x))))); norm, of the first half of the features, only if wanted."""

    def __init__(self, inputs: int, outputs: int, *, normed: bool) -> None:
        super().__init__()
        self.first, self.second = conv(inputs, outputs, bias=True), conv(outputs, outputs, bias=True)
        self.identity = nn.Conv2d(inputs, outputs, 1)
        self.norm = Norm(outputs // 2) if normed else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        if self.norm is None:
            return self.finish(self.first(x), x)
        z = in_bands(self.first, x, reach=2)
        moments = Moments.of(z.chunk(2, 1)[0])
        return in_bands(lambda z, x: self.finish(z, x, moments), z, x, reach=2)

    def finish(self, z: Tensor, x: Tensor, moments: Moments | None = None) -> Tensor:
        """What follows z = first(x), whose first half has these moments over the whole picture."""
        if self.norm is not None and moments is not None:
            half, rest = z.chunk(2, 1)
            z = torch.cat((self.norm(half, moments), rest), 1)
        z = F.leaky_relu(self.second(F.leaky_relu(z, 0.2)), 0.2)
        return torch.add(z, self.identity(x))


class Addition(nn.Module):
    """z + conv(e) + conv(d): e, d are what the previous stage's encoder and decoder made at this level."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.encoded, self.decoded = conv(outputs, outputs, bias=True), conv(inputs, outputs, bias=True)

    def forward(self, z: Tensor, encoded: Tensor, decoded: Tensor) -> Tensor:
        """(B, outputs, H, W) with e alike and d (B, inputs, H, W) -> alike."""
        return torch.add(z, self.encoded(encoded) + self.decoded(decoded))


class Modulation(Addition):
    """z sigmoid(phi(c)) + gamma(c) + z with c = lrelu(conv(e) + conv(d)), e and d as in `Addition`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.gain, self.offset = conv(outputs, outputs, bias=True), conv(outputs, outputs, bias=True)

    def forward(self, z: Tensor, encoded: Tensor, decoded: Tensor) -> Tensor:
        """As `Addition`."""
        c = F.leaky_relu(self.encoded(encoded) + self.decoded(decoded), 0.1)
        return torch.addcmul(self.offset(c) + z, z, torch.sigmoid(self.gain(c)))


Fusion = Callable[[int, int], Addition]


class Level(nn.Module):
    """One level on the way down: a block, what it hears of the previous stage, and half the resolution."""

    def __init__(self, inputs: int, outputs: int, fusion: Fusion | None, *, last: bool) -> None:
        super().__init__()
        self.block = Block(inputs, outputs, normed=True)
        self.fusion = None if fusion is None or last else fusion(inputs, outputs)
        self.down = None if last else nn.Conv2d(outputs, outputs, 4, stride=2, padding=1, bias=False)


class Encoder(nn.Module):
    """Down through the levels. Args: widths: w. fusion: makes the pathways from the previous stage, if there is one."""

    def __init__(self, widths: Sequence[int], fusion: Fusion | None) -> None:
        super().__init__()
        steps = (*pairwise(widths), (widths[-1], widths[-1]))
        self.levels = nn.ModuleList(Level(a, b, fusion, last=i == len(steps) - 1) for i, (a, b) in enumerate(steps))

    def forward(self, z: Tensor, before: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
        """(B, n, H, W) and the previous stage's (e, d) at each level -> features of each level, before halving."""
        made = []
        for i, level in enumerate(self.levels):
            assert isinstance(level, Level)
            z = level.block(z)
            if level.fusion is not None:
                z = in_bands(level.fusion, z, *before[i], reach=2)
            made.append(z)
            if level.down is not None:
                z = in_bands(level.down, z, reach=2)
        return made


class Ascent(nn.Module):
    """One level on the way up: block(cat[up(z), conv(skip)])."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
        self.skip = conv(inputs, outputs, bias=True)
        self.block = Block(2 * outputs, outputs, normed=False)

    def forward(self, z: Tensor, skip: Tensor) -> Tensor:
        """(B, inputs, H, W), skip (B, inputs, 2H, 2W) -> (B, outputs, 2H, 2W)."""
        out: Tensor = self.block(torch.cat((self.up(z), self.skip(skip)), 1))
        return out


class Decoder(nn.Module):
    """Up again. Args: widths: w."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(Ascent(b, a) for a, b in reversed(list(pairwise(widths))))

    def forward(self, encoded: Sequence[Tensor]) -> list[Tensor]:
        """Features of the encoder's levels -> those of the decoder, of width n first and w(2) last."""
        *skips, z = encoded
        made = []
        for level, skip in zip(self.levels, reversed(skips), strict=True):
            z = in_bands(level, z, skip, reach=4)
            made.append(z)
        return made[::-1]


class Supervision(nn.Module):
    """From f, the decoder's last, the stage's picture v + I f and the features f + W f for the next stage.

    With attention the features are f + W f * sigmoid(S x), x the stage's picture.
    """

    def __init__(self, channels: int, width: int, *, attention: bool) -> None:
        super().__init__()
        self.features, self.image = point(width, width), point(width, channels)
        self.attention = point(channels, width) if attention else None

    def forward(self, f: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """(B, n, H, W), (B, C, H, W) -> picture (B, C, H, W), features (B, n, H, W)."""
        x = in_bands(lambda f, v: v + self.image(f), f, v, reach=2)
        return x, in_bands(self.passed_on, f, x, reach=2)

    def passed_on(self, f: Tensor, x: Tensor) -> Tensor:
        """The features for the next stage."""
        u = self.features(f)
        return torch.add(f, u if self.attention is None else u * torch.sigmoid(self.attention(x)))


class Join(nn.Module):
    """conv(cat[z, b])."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.result = conv(2 * width, outputs)

    def forward(self, z: Tensor, b: Tensor) -> Tensor:
        """Twice (B, n, H, W) -> (B, outputs, H, W)."""
        return in_bands(lambda z, b: self.result(torch.cat((z, b), 1)), z, b, reach=2)


class SubspaceMerge(nn.Module):
    """z + conv(cat[z, P b]), P the projection over pixels onto the 16 pictures V = conv(cat[z, b])."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.subspace, self.result = conv(2 * width, RANK, bias=True), conv(2 * width, width, bias=True)

    def forward(self, z: Tensor, b: Tensor) -> Tensor:
        """Twice (B, n, H, W) -> alike."""
        axes = in_bands(lambda z, b: self.subspace(torch.cat((z, b), 1)), z, b, reach=2)
        weights = coefficients(b, axes)

        def merged(z: Tensor, axes: Tensor) -> Tensor:
            return torch.add(z, self.result(torch.cat((z, combined(weights, axes, z.dtype)), 1)))

        return in_bands(merged, z, axes, reach=2)


def coefficients(b: Tensor, onto: Tensor) -> Tensor:
    r"""W' = (V'V + ridge)^-1 V' b over pixels, for each picture, whatever autocast says; P b = V W'.

    The authors invert V'V itself. Of a flat picture all columns are the same and there is no inverse; here the result
    is never longer than b, and theirs where the inverse exists. The ridge is relative to the squared lengths of the
    columns of V. Sums over pixels are in float64, piece by piece, since what they cancel to is all that counts.

    Args:
        b: features, (B, n, H, W). onto: V, (B, k, H, W).

    Returns:
        W, (B, n, k), float64.
    """
    wide = torch.promote_types(b.dtype, torch.float32)
    with torch.autocast(b.device.type, enabled=False):
        sides = len(b), onto.shape[1], onto.shape[1] + b.shape[1]
        squares = sum((v.square().sum(-1) for v in _pieces(onto)), torch.zeros(sides[:2], device=b.device))
        length = squares.clamp_min(torch.finfo(torch.float32).tiny ** 2).rsqrt()[..., None]  # 1 / |v|, (B, k, 1)
        products = torch.zeros(sides, dtype=torch.float64, device=b.device)
        for v, f in zip(_pieces(onto), _pieces(b), strict=True):
            v = v * length  # before, not after: then equal columns have equal products, to the last bit
            products = products + v @ torch.cat((v, f), 1).mT
        gram, inner = torch.split(products, [onto.shape[1], b.shape[1]], -1)  # (B, k, k), (B, k, n)
        ridge = RIDGE[wide] * torch.eye(onto.shape[1], dtype=torch.float64, device=b.device)
        return (length * _solved(gram + ridge, inner)).mT


def _solved(matrix: Tensor, sides: Tensor) -> Tensor:
    """X in matrix X = sides, the matrix positive definite: (B, k, k), (B, k, n) -> (B, k, n).

    ONNX has no Cholesky factor: in an exported graph it is Gauss-Jordan elimination, which needs no pivots here.
    """
    if not torch.compiler.is_exporting():
        factor, _ = torch.linalg.cholesky_ex(matrix)
        return torch.cholesky_solve(sides, factor)
    return eliminated(matrix, sides)


def eliminated(matrix: Tensor, sides: Tensor) -> Tensor:
    """X in matrix X = sides by Gauss-Jordan elimination without pivots: (B, k, k), (B, k, n) -> (B, k, n)."""
    size = matrix.shape[-1]
    rows, unit = torch.cat((matrix, sides), -1), torch.eye(size, dtype=matrix.dtype, device=matrix.device)
    for k in range(size):
        pivot = rows[:, k : k + 1] / rows[:, k : k + 1, k : k + 1]
        rows = rows - (rows[:, :, k : k + 1] - unit[:, k : k + 1]) * pivot
    return rows[:, :, size:]


def combined(weights: Tensor, axes: Tensor, dtype: torch.dtype) -> Tensor:
    """Features W v of each pixel: weights (B, n, k), axes (B, k, H, W) -> (B, n, H, W) in `dtype`."""
    with torch.autocast(axes.device.type, enabled=False):
        parts = [(weights @ v).to(dtype) for v in _pieces(axes)]
        return torch.cat(parts, -1).reshape(len(axes), -1, *axes.shape[-2:])


def _pieces(maps: Tensor) -> Iterator[Tensor]:
    """(B, C, H, W) -> (B, C, some rows of pixels) in float64, one after another; in an exported graph all at once."""
    if torch.compiler.is_exporting():
        return iter([maps.flatten(2).double()])
    rows = max(1, CHUNK // maps.shape[-1])
    return (part.flatten(2).double() for part in torch.split(maps, rows, -2))


def _wide(z: Tensor) -> torch.dtype:
    """For sums over a picture."""
    return z.dtype if z.dtype is torch.float64 else torch.float32


def prelu(z: Tensor, slope: Tensor) -> Tensor:
    """max(z, 0) + slope min(z, 0), in the type of z."""
    slope = slope.to(z.dtype)
    if torch.is_grad_enabled() and not torch.compiler.is_exporting():
        return torch.lerp(z, F.relu(z), 1 - slope)  # the gradient of F.prelu takes six times as long on a CPU
    return F.prelu(z, slope)


def conv(inputs: int, outputs: int, *, bias: bool = False) -> nn.Conv2d:
    """3 x 3, the size is kept."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)


def point(inputs: int, outputs: int) -> nn.Conv2d:
    """1 x 1, no bias."""
    return nn.Conv2d(inputs, outputs, 1, bias=False)
