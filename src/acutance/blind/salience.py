r"""Salience: the network of the learned estimator, and the solve for the kernel that it feeds.

    z_j = argmin_z || k * z - y ||^2 + l_j ( || grad z ||^2 + || z ||^2 / 100 )         l = `WEIGHTS`
    (x, a, b) = N( y, z_1, z_2, m )                    latent picture; gates of gradients, in [0, 1]
    k = argmin_{k >= 0} sum_i || (a_i grad x_i) * k - b_i grad y_i ||^2 + w || k ||^2

over windows i of one picture, or each with a kernel of its own. m is 1 where y is believed. One network serves all
scales. Schuler et al. (2016) and Xu et al. (2018) predict edges likewise; here the loss is on the resulting kernel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acutance.operators import Blur
from acutance.tensors import fast_length

WEIGHTS = (3e-3, 5e-2)
"""l_1 and l_2, for pictures of variance 1."""

LOW = 0.01
"""Weight of the picture itself beside its gradients."""

COMPRESSED = 4.0
"""Factor c of asinh(c x) / c, by which the network sees faint detail beside bright lamps."""

FAINT = 0.05
"""Part of a kernel's maximum below which its entries are set to 0 after every turn."""

ROUNDS = 8
"""Projected gradient steps of the solve for the kernel, from its solution in the Fourier domain."""

CUT = 8
"""Sides are filled up to multiples of so many pixels for the network."""


class Salience(nn.Module):
    """The network N: 316,461 weights, a U-Net at half, quarter and eighth resolution.

    Args:
        features: at each of them.
    """

    def __init__(self, features: tuple[int, int, int] = (32, 48, 64)) -> None:
        super().__init__()
        a, b, c = features
        self.first = nn.Conv2d(4 * 7, a, 3, padding=1)
        self.fine = nn.ModuleList([Pair(a)])
        self.down = nn.Conv2d(a, b, 2, 2)
        self.middle = nn.ModuleList([Pair(b)])
        self.lower = nn.Conv2d(b, c, 2, 2)
        self.coarse = nn.ModuleList([Pair(c), Pair(c)])
        self.upper = nn.ConvTranspose2d(c, b, 2, 2)
        self.second = Pair(b)
        self.up = nn.ConvTranspose2d(b, a, 2, 2)
        self.third = Pair(a)
        self.last = nn.Conv2d(a, 4 * 3, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)
        self.ridge = nn.Parameter(torch.tensor(-3.0))

    def forward(self, y: Tensor, sharper: Tensor, believed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tell x, a and b.

        Args:
            y: (n, 1, H, W), mean 0, variance 1. sharper: z, (n, 2, H, W). believed: m, (n, 1, H, W).

        Returns:
            (n, 1, H, W) each.
        """
        h, w = y.shape[-2:]
        shown = torch.cat((y, sharper), 1)
        inputs = torch.cat((shown, torch.asinh(COMPRESSED * shown) / COMPRESSED, believed - 1), 1)
        filled = F.pad(inputs, (0, -w % CUT, 0, -h % CUT), mode="replicate")
        fine = F.relu(self.first(F.pixel_unshuffle(filled, 2)))
        for pair in self.fine:
            fine = pair(fine)
        middle = F.relu(self.down(fine))
        for pair in self.middle:
            middle = pair(middle)
        coarse = F.relu(self.lower(middle))
        for pair in self.coarse:
            coarse = pair(coarse)
        middle = self.second(middle + self.upper(coarse))
        fine = self.third(fine + self.up(middle))
        out = F.pixel_shuffle(self.last(fine).float(), 2)[..., :h, :w]
        return sharper[:, 1:] + out[:, :1], torch.sigmoid(out[:, 1:2]), torch.sigmoid(out[:, 2:] + 2)


class Pair(nn.Module):
    """u + conv( relu( conv( u ) ) )."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(features, features, 3, padding=1)
        self.two = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, u: Tensor) -> Tensor:
        """(n, features, h, w), the same."""
        out: Tensor = u + self.two(F.relu(self.one(u)))
        return out


def turn(
    net: Salience, y: Tensor, kernel: Tensor, believed: Tensor, *, bfloat16: bool = False
) -> tuple[Tensor, Tensor]:
    """One latent picture and one kernel.

    Args:
        y: windows, (n, 1, h, w), normalised. kernel: the last one, (1, 1, s, s) of all windows, or (n, 1, s, s).
        believed: m, (n, 1, h, w). bfloat16: precision of the network.

    Returns:
        x, (n, 1, h, w), and as many kernels as before, sum 1.
    """
    side = kernel.shape[-1]
    with torch.no_grad():
        seen = sharper(y, kernel)
    with torch.autocast(y.device.type, torch.bfloat16, enabled=bfloat16):
        x, latent_gate, observed_gate = net(y, seen, believed)
    x, frame = x.float(), frame_window(y.shape[-2], y.shape[-1], side, y)
    latent = latent_gate.float() * gradients(x) * frame
    observed = observed_gate.float() * believed * gradients(y) * frame
    if len(kernel) < len(y):
        latent, observed = (v.flatten(0, 1)[None] for v in (latent, observed))
    return x, cleaned(regressed(latent, observed, side, net.ridge.exp()))


def normalised(y: Tensor) -> Tensor:
    """Mean 0 and variance 1 of each picture (n, 1, h, w)."""
    y = y - y.mean((-2, -1), keepdim=True)
    return y / y.square().mean((-2, -1), keepdim=True).sqrt().clamp_min(1e-8)


def frame_window(h: int, w: int, margin: int, like: Tensor) -> Tensor:
    """1 inside, falling to 0 at the frame along a cosine `margin` pixels wide, a third of the side at most, (h, w)."""

    def one(n: int) -> Tensor:
        m = max(1, min(margin, n // 3))
        at = torch.arange(n, device=like.device, dtype=like.dtype) + 0.5
        near = torch.minimum(at, n - at).clamp_max(m)
        return 0.5 - 0.5 * torch.cos(torch.pi * near / m)

    return one(h)[:, None] * one(w)


def sharper(y: Tensor, kernel: Tensor) -> Tensor:
    """z_1 and z_2, (n, 2, h, w). The frame is blended with the blurred picture, so that it closes to a torus."""
    h, w = y.shape[-2:]
    f = Blur(kernel, "circular").otf(h, w)
    taper = frame_window(h, w, kernel.shape[-1], y)
    closed = taper * y + (1 - taper) * torch.fft.irfft2(torch.fft.rfft2(y) * f, s=(h, w))
    rows = 2 - 2 * torch.cos(2 * torch.pi * torch.fft.fftfreq(h, device=y.device))
    cols = 2 - 2 * torch.cos(2 * torch.pi * torch.fft.rfftfreq(w, device=y.device))
    penalty = rows[:, None] + cols + LOW
    data, power = torch.fft.rfft2(closed) * f.conj(), f.abs().square()
    spectra = torch.cat([data / (power + weight * penalty) for weight in WEIGHTS], 1)
    out: Tensor = torch.fft.irfft2(spectra, s=(h, w))
    return out


def gradients(x: Tensor) -> Tensor:
    """(n, 1, h, w) -> (n, 2, h, w), down and along, 0 in the last row or column."""
    return torch.cat((F.pad(x.diff(dim=-2), (0, 0, 0, 1)), F.pad(x.diff(dim=-1), (0, 1))), 1)


def regressed(latent: Tensor, observed: Tensor, side: int, ridge: Tensor) -> Tensor:
    """Solve for kernels by least squares and projected gradients with momentum, differentiably.

    Args:
        latent, observed: gradients, (n, c, h, w). side: of the kernels, pixels, odd.
        ridge: w, as a part of the mean power of the latent gradients.

    Returns:
        (n, 1, side, side), not negative, not summed to 1.
    """
    h, w = latent.shape[-2:]
    n, m = fast_length(h + side), fast_length(w + side)
    x, y = torch.fft.rfft2(latent, s=(n, m)), torch.fft.rfft2(observed, s=(n, m))
    power = (x.real.square() + x.imag.square()).sum(1, keepdim=True)
    weight = ridge * power.mean((-2, -1), keepdim=True) + 1e-6
    both = (x.conj() * y).sum(1, keepdim=True)

    def near(spectrum: Tensor, reach: int) -> Tensor:
        """The values at shifts up to `reach`, shift 0 in the middle."""
        found = torch.fft.irfft2(spectrum, s=(n, m))
        return torch.roll(found, (reach, reach), (-2, -1))[..., : 2 * reach + 1, : 2 * reach + 1]

    k = z = near(both / (power + weight), side // 2).clamp_min(0)
    target, auto = near(both, side // 2), near(torch.complex(power, torch.zeros_like(power)), side - 1)
    wide = fast_length(3 * side)
    gap = wide - auto.shape[-1]
    spectrum = torch.fft.rfft2(torch.roll(F.pad(auto, (0, gap, 0, gap)), (1 - side, 1 - side), (-2, -1))).real
    steepest, t = spectrum.detach().abs().amax((-2, -1), keepdim=True) + weight, 1.0
    for _ in range(ROUNDS):
        product = torch.fft.irfft2(spectrum * torch.fft.rfft2(z, s=(wide, wide)), s=(wide, wide))
        new = (z - (product[..., :side, :side] + weight * z - target) / steepest).clamp_min(0)
        after = (1 + (1 + 4 * t * t) ** 0.5) / 2
        z, t, k = new + (t - 1) / after * (new - k), after, new
    return k


def cleaned(kernel: Tensor) -> Tensor:
    """Without faint entries, sum 1; a point where nothing is left. (n, 1, s, s)."""
    kept = torch.where(kernel < FAINT * kernel.detach().amax((-2, -1), keepdim=True), 0.0, kernel)
    total, point = kept.sum((-2, -1), keepdim=True), torch.zeros_like(kept)
    point[..., kept.shape[-2] // 2, kept.shape[-1] // 2] = 1
    return torch.where(total > 0, kept / total.clamp_min(1e-12), point)
