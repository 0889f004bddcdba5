r"""How much noise is in a picture whose blur is known: the power at frequencies that no light came through.

`acutance.noise.blocks` looks for smooth blocks, and takes texture for noise where a picture has none. Behind a known
blur there is a better place to look. With y = k * x + n and a Hann window w against the edges of the frame,

    P(f) = |F(w (y - mean y))(f)|^2 / sum w^2        has the mean        N(f) + |K(f)|^2 S(f),

N and S the power of noise and scene. Where |K|^2 is small P is the noise alone. One ring of frequencies has few such
places, and in a busy picture they hold edges; so all frequencies decide together, by the model

    N(f) = v exp(-b |f|^2) + FLOOR^2,                     white if b = 0, smoothed by a camera or a program if b > 0,
    S(f) = exp(a_0 + a_1 u + a_2 u^2),    u = log(|f| / 0.2 cycles per pixel),        a power law that may bend.

The frequencies are put into cells c of equal |f| and |K|^2 (the largest of the neighbours that w mixes in), n_c in
each. L_c is the mean of log P over the cell, less its bias psi(C) - log C, where C is the number of channels. The
logarithm makes an edge that crosses a null one voice of many. The fit minimises

    sum_c sqrt(n_c) huber(log(N_c + |K|_c^2 S_c) - L_c) + (b / 5)^2 + ((a_1 + 2.5) / 0.5)^2 + (a_2 / 0.5)^2

by Levenberg and Marquardt's steps from one start, and sigma^2 is the mean of N over all frequencies.

Behind kernels of a few pixels nothing is hidden, and the fit itself says how uncertain it is. There, and where the
noise is not white, smooth blocks have a say: with sigma_s, their level, huber(log sigma^2 - log sigma_s^2) / t^2 is
added to what is minimised. They see texture as noise, hardly ever noise as texture, so t is smaller above sigma_s than
below, and only below does the Huber function bend.

Noise as coarse as b > `COARSE` lies at low frequencies, where the scene does: the fit sees the lesser part of it. There
sigma is at least what the smooth blocks say, but for that not more than the power in the darkest cells of the rings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.noise.blocks import FLOOR, noise_level, possible
from acutance.tensors import brightness

LEAST, MOST = 32, 512
"""Sides of the piece that is measured, from the middle, pixels; of smaller pictures smooth blocks decide."""

RINGS = (0.04, 0.06, 0.08, 0.11, 0.14, 0.17, 0.2, 0.235, 0.27, 0.305, 0.34, 0.375, 0.41, 0.455, 0.5, 0.6, 0.71)
"""Where the rings of cells begin, cycles per pixel; below the first nothing is told from the scene."""

CLASSES = 26
"""Of |K|^2, each half of the one before."""

PRIOR = (0.0, 0.0, 0.0, -2.5, 0.0)
SPREAD = (math.inf, 5.0, math.inf, 0.5, 0.5)
"""Mean and standard deviation of what is known beforehand of log v, b, a_0, a_1, a_2; infinite: nothing."""

HUBER, SMOOTH_HUBER = 0.5, 0.7
"""Residuals of log P, and of log sigma^2 from what smooth blocks say, beyond this count linearly."""

UNSURE, COLOURED = 0.2, 2.0
"""Standard deviation of log sigma^2, and b, from which smooth blocks have a say. From b = 2 on the noise in the corner
of the spectrum is a third of that in its middle."""

COARSE = 16.0
"""The b from which the answer is at least that of smooth blocks; noise after bilinear demosaicing has 11 to 19."""

ABOVE, BELOW = 0.2, 0.4
"""The t of log sigma^2 above and below what smooth blocks say; measured on training photographs."""

STEPS, ENOUGH = 30, 1e-4
"""At most so many steps; enough when the objective falls by a smaller part of itself."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Power of the frequencies of a batch of pictures in cells of equal |f| and |K|^2; each (B, cells), float64.

    Args:
        power: L, mean of log P without its bias. count: n, 0 where a cell is empty.
        through: mean of log |K|^2. frequency: mean of |f|, cycles per pixel, never 0.
    """

    power: Tensor
    count: Tensor
    through: Tensor
    frequency: Tensor


def piece(pixels: Tensor) -> Tensor | None:
    """The part of (B, C, H, W) that is measured, None if it is too small or not finite."""
    height, width = pixels.shape[-2:]
    if min(height, width) < LEAST or not bool(torch.isfinite(pixels).all()):
        return None
    h, w = min(height, MOST), min(width, MOST)
    top, left = (height - h) // 2, (width - w) // 2
    return pixels[..., top : top + h, left : left + w].float()


@torch.no_grad()
def level_behind(pixels: Tensor, power: Tensor, *, weight: Tensor | None = None, step: float | None = None) -> Tensor:
    """The standard deviation of the noise of a blurred piece, in its units, at least `FLOOR` times its brightness.

    Args:
        pixels: (B, C, h, w), finite, any units. power: |K|^2 on (h, w) as `torch.fft.rfft2` orders it, (B or 1, C or
            1, ...). weight: (B or 1, C or 1, h, w), 0 where there is no noise because the sensor was full; None:
            nowhere. step: see `acutance.noise.blocks.noise_level`.

    Returns:
        (B,)
    """
    unit = brightness(pixels)
    pixels = pixels / unit.reshape(-1, 1, 1, 1)
    step = None if step is None or len(pixels) > 1 else step / float(unit)
    power = torch.nan_to_num(power)  # a kernel that is not finite diverges later; here it hides nothing
    cells = measure(pixels, power, weight)
    fitted, uncertain = _fit(cells, None)
    level = _log_variance(fitted)[0]
    asked = (uncertain > UNSURE) | (fitted[:, 1] > COLOURED)
    if bool(asked.any()):
        some = Cells(cells.power[asked], cells.count[asked], cells.through[asked], cells.frequency[asked])
        smooth = noise_level(pixels[asked.to(pixels.device)], step=step).cpu().double().log().mul(2)
        coarse = fitted[asked, 1] > COARSE
        found = _log_variance(_fit(some, smooth)[0])[0]
        level[asked] = torch.where(coarse, torch.maximum(found, torch.minimum(smooth, _ceiling(some))), found)
    found = (level / 2).exp().clamp_min(FLOOR).to(pixels)
    return unit * torch.stack([possible(f, p, step) for f, p in zip(found, pixels, strict=True)])


def measure(pixels: Tensor, power: Tensor, weight: Tensor | None = None) -> Cells:
    """The cells of a piece, on the processor; arguments as in `level_behind`."""
    batch, channels, h, w = pixels.shape
    device = pixels.device
    window = torch.hann_window(h, periodic=False, device=device)[:, None]
    window = window * torch.hann_window(w, periodic=False, device=device)
    energy = window.square() if weight is None else window.square() * weight
    energy = energy.expand(batch, channels, -1, -1).sum((1, 2, 3)).clamp_min(1e-9) / channels
    mean = (window * pixels).sum((-2, -1), keepdim=True) / window.sum()
    spectrum = torch.fft.rfft2((pixels - mean) * window)
    found = (spectrum.real.square() + spectrum.imag.square()).mean(1) / energy[:, None, None]
    through = F.max_pool2d(power.float().amax(1, keepdim=True), 3, 1, 1)[:, 0].clamp_min(1e-9).log()
    rows, cols = torch.fft.fftfreq(h, device=device)[:, None], torch.fft.rfftfreq(w, device=device)
    radius = (rows.square() + cols.square()).sqrt()
    ring = torch.bucketize(radius, radius.new_tensor(RINGS))
    ring = torch.where(radius < 2.5 / min(h, w), 0, ring)  # the window spreads the mean
    cell = ring * CLASSES + (-through / math.log(2)).clamp(0, CLASSES - 0.5).long()
    cell = (cell + (len(RINGS) + 1) * CLASSES * torch.arange(len(cell), device=device)[:, None, None]).flatten(1)
    size = (len(RINGS) + 1) * CLASSES

    def total(values: Tensor) -> Tensor:
        """Sums over the cells of (B or 1, h, w / 2 + 1): (B or 1, cells), without those inside the first ring."""
        values = values.flatten(1)
        where = cell.expand(len(values), -1)
        if len(values) > len(cell):  # one blur for all pictures
            where = where + size * torch.arange(len(values), device=device)[:, None]
        sums = torch.bincount(where.flatten(), values.flatten(), len(values) * size)
        return sums.view(len(values), size)[:, CLASSES:].cpu().double()

    count = total(torch.ones_like(through))
    n = count.clamp_min(1)
    bias = float(torch.digamma(torch.tensor(float(channels)))) - math.log(channels)
    return Cells(
        (total(found.clamp_min(1e-14).log()) / n - bias).expand(batch, -1),
        count.expand(batch, -1),
        (total(through) / n).expand(batch, -1),
        (total(radius.expand_as(through)) / n).clamp_min(RINGS[0]).expand(batch, -1),
    )


def _fit(cells: Cells, smooth: Tensor | None) -> tuple[Tensor, Tensor]:
    """What minimises the objective, (B, 5), and the standard deviation of log sigma^2, (B,).

    Args:
        smooth: log of the variance in smooth blocks, (B,); None: they are not asked.
    """
    x = _start(cells, smooth)
    residual, jacobian, weight, bend = _rows(x, cells, smooth)
    least = _objective(residual, weight, bend)
    damping = torch.full_like(least, 1e-2)
    reach = x.new_tensor((2, 8, 2, 2, 2))  # of one step
    for _ in range(STEPS):
        robust = weight * (bend / residual.abs().clamp_min(1e-9)).clamp_max(1)
        hessian = (jacobian.mT * robust[:, None]) @ jacobian
        scale = torch.diag_embed(hessian.diagonal(dim1=1, dim2=2) + 1e-6)
        gradient = jacobian.mT @ (robust * residual)[..., None]
        step = torch.linalg.solve(hessian + damping[:, None, None] * scale, -gradient)[..., 0]
        new = x + step.clamp(-reach, reach)
        new[:, 0].clamp_(-18, 0)
        new[:, 1].clamp_(0, 40)
        rows = _rows(new, cells, smooth)
        value = _objective(rows[0], rows[2], rows[3])
        better = value <= least
        done = bool(((least - value).abs() < ENOUGH * least).all())
        keep = better[:, None]
        x, residual = torch.where(keep, new, x), torch.where(keep, rows[0], residual)
        weight, bend = torch.where(keep, rows[2], weight), torch.where(keep, rows[3], bend)
        jacobian = torch.where(keep[..., None], rows[1], jacobian)
        least = torch.where(better, value, least)
        damping = torch.where(better, damping / 4, damping * 6).clamp(1e-7, 1e4)
        if done:
            break
    return x, _uncertain(x, jacobian, weight * (bend / residual.abs().clamp_min(1e-9)).clamp_max(1))


def _ceiling(cells: Cells, *, fewest: int = 24) -> Tensor:
    """Log of the mean over the frequencies of the least power in their ring, of cells of `fewest` or more: (B,)."""
    power = cells.power.reshape(len(cells.power), -1, CLASSES)
    count = cells.count.reshape(len(cells.power), -1, CLASSES)
    least = torch.where(count >= fewest, power, torch.inf).amin(-1)
    known = count.sum(-1) * torch.isfinite(least)
    whole = (known * torch.where(known > 0, least, 0.0).exp()).sum(1) / known.sum(1).clamp_min(1.0)
    return whole.clamp_min(FLOOR**2).log()


def _start(cells: Cells, smooth: Tensor | None) -> Tensor:
    """Where the fit begins, (B, 5): v of the darkest cells, a_0 of low frequencies that came through."""
    u = (cells.frequency / 0.2).log()
    filled = cells.count >= cells.count.amax(1, keepdim=True).clamp_max(20)
    darkest = torch.where(filled, cells.power, torch.nan).nanquantile(0.05, dim=1)
    scene = cells.power - cells.through - PRIOR[3] * u
    low = (cells.count > 3) & (cells.frequency < 0.1) & (cells.through > math.log(0.02))
    brightness = torch.where(low, scene, torch.nan).nanmedian(1).values
    brightness = brightness.nan_to_num(math.log(1e-3))
    x = torch.tensor(PRIOR, dtype=u.dtype).repeat(len(u), 1)
    x[:, 0] = darkest if smooth is None else torch.minimum(darkest, smooth)
    x[:, 2] = brightness
    return x


def _rows(x: Tensor, cells: Cells, smooth: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Residuals (B, N), their derivatives (B, N, 5), weights (B, N), and from where each counts linearly (B, N).

    N: the cells, the five priors, smooth blocks.
    """
    v, b, a0, a1, a2 = (c[:, None] for c in x.unbind(1))
    u, squared = (cells.frequency / 0.2).log(), cells.frequency.square()
    noise, scene = v - b * squared, a0 + a1 * u + a2 * u.square() + cells.through
    whole = torch.logaddexp(torch.logaddexp(noise, scene), noise.new_tensor(2 * math.log(FLOOR)))
    n, s = (noise - whole).exp(), (scene - whole).exp()
    by_cell = torch.stack((n, -n * squared, s, s * u, s * u.square()), -1)

    prior = x - x.new_tensor(PRIOR)
    prior_weight = x.new_tensor(SPREAD).square().reciprocal().expand_as(x)
    by_prior = torch.eye(x.shape[1], dtype=x.dtype).expand(len(x), -1, -1)

    level, slope = _log_variance(x)
    apart = torch.zeros_like(level) if smooth is None else level - smooth
    t = torch.where(apart > 0, ABOVE, BELOW)
    smooth_weight = torch.zeros_like(t) if smooth is None else t.square().reciprocal()
    residual = torch.cat((whole - cells.power, prior, apart[:, None]), 1)
    jacobian = torch.cat((by_cell, by_prior, slope[:, None]), 1)
    weight = torch.cat((cells.count.sqrt(), prior_weight, smooth_weight[:, None]), 1)
    bend = torch.full_like(residual, torch.inf)
    bend[:, : u.shape[1]] = HUBER
    bend[:, -1] = torch.where(apart > 0, torch.inf, SMOOTH_HUBER)
    return residual, jacobian, weight, bend


def _objective(residual: Tensor, weight: Tensor, bend: Tensor) -> Tensor:
    """sum of weight huber(residual), twice the usual Huber function: (B,)."""
    size = residual.abs()
    return (weight * torch.where(size < bend, size.square(), bend * (2 * size - bend))).sum(1)


def _log_variance(x: Tensor) -> tuple[Tensor, Tensor]:
    """log sigma^2, (B,), and its derivatives by the five, (B, 5).

    The mean of exp(-b |f|^2) over |f_1|, |f_2| < 1/2 is m^2, m = sqrt(pi / b) erf(sqrt(b) / 2).
    """
    b = x[:, 1].clamp_min(1e-4)
    m = (math.pi / b).sqrt() * torch.erf(b.sqrt() / 2)
    by_b = ((-b / 4).exp() - m) / (b * m)
    noise = x[:, 0] + 2 * m.log()
    level = torch.logaddexp(noise, noise.new_tensor(2 * math.log(FLOOR)))
    share = (noise - level).exp()
    slope = torch.zeros_like(x)
    slope[:, 0], slope[:, 1] = share, share * by_b
    return level, slope


def _uncertain(x: Tensor, jacobian: Tensor, weight: Tensor) -> Tensor:
    """The standard deviation of log sigma^2 by the curvature of the objective, (B,).

    It is 1 where the fit sees no noise: the scene may have taken all of it.
    """
    slope = _log_variance(x)[1]
    hessian = (jacobian.mT * weight[:, None]) @ jacobian + 1e-9 * torch.eye(x.shape[1], dtype=x.dtype)
    variance = (slope * torch.linalg.solve(hessian, slope[..., None])[..., 0]).sum(1)
    return torch.where(slope[:, 0] < 0.3, 1.0, variance.clamp_min(0).sqrt())
