r"""Photographs with noise alone: white, of a level that nobody tells, or that of a camera from sensor to file.

    white     y = x + sigma n
    camera    r = (M D)^-1 T^-1(x),    r' = r + demosaic( mosaic( sqrt(a r + b) n ) ),
              y = jpeg( quantise( x + R( T( clip( M D r' ) ) - x ) ) )

T is the tone curve, D the gains of the white balance, M the matrix from the sensor's colours to those of the picture;
so noise becomes stronger in red and blue, correlated between neighbours and colours, and weak where the tone curve is
flat (Brooks et al. 2019, whose ranges these are). Only the noise is demosaiced: bilinear weights would give the sharp
photographs false colours, and a network that has them as its answer. R is the camera's own noise reduction, of some
pictures: it makes noise smooth, that of the colours more than that of the luma, and is taken to leave the scene alone.

References: `brooks2019unprocessing`, `foi2008practical`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance_lab.synth import kernels, noise
from acutance_lab.synth.camera import Camera, Draw, Range, each, filed
from acutance_lab.synth.in_place import InPlace

SENSORS = (  # four cameras of the DND set (Plotz & Roth 2017)
    ((1.0234, -0.2969, -0.2266), (-0.5625, 1.6328, -0.0469), (-0.0703, 0.2188, 0.6406)),
    ((0.4913, -0.0541, -0.0202), (-0.613, 1.3513, 0.2906), (-0.1564, 0.2151, 0.7183)),
    ((0.838, -0.263, -0.0639), (-0.2887, 1.0725, 0.2496), (-0.0627, 0.1427, 0.5438)),
    ((0.6596, -0.2079, -0.0562), (-0.4782, 1.3016, 0.1933), (-0.097, 0.1581, 0.5181)),
)
"""XYZ (D65) to the sensor's colours, as in the pictures' DNG files."""

SRGB_TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.072175), (0.0193339, 0.119192, 0.9503041))


@dataclass(frozen=True)
class Noisy(InPlace):
    """How pictures are noisy; draws everything from the Generator it is given.

    Args:
        sigma: range of white noise, fractions of the range, uniform.
        camera: share of pictures with a camera's noise.
        shot: a, variance of photon noise at the sensor's white, log-uniform; b follows from it as in cameras.
        red, blue: ranges of the gains of the white balance.
        reduced: share of those whose noise the camera has smoothed, by a part that is uniform from none to all.
        smooth: standard deviation of that, pixels, in luma. colour: how many times as much in colours.
        clipped: share of white noise that is clipped and quantised; all of a camera is.
        grey: share of pictures made grey, with one noise field for the three channels.
        jpeg: share of camera pictures compressed. quality: 1 to 100. bits: of files.
        tone: whose tone curves the camera has.
    """

    sigma: Range = (0.0, 55 / 255)
    camera: float = 0.4
    shot: Range = (2e-5, 1.2e-2)
    red: Range = (1.9, 2.4)
    blue: Range = (1.5, 1.9)
    reduced: float = 0.5
    smooth: Range = (0.4, 1.6)
    colour: Range = (1.0, 3.0)
    clipped: float = 0.5
    grey: float = 0.15
    jpeg: float = 0.5
    quality: Range = (70.0, 99.0)
    bits: int = 8
    tone: Camera = field(default_factory=Camera)

    def spoil(self, sharp: Tensor, grey: Tensor, draw: Draw) -> Tensor:
        """Noise of one kind or the other."""
        y = noise.gaussian(sharp, draw.uniform(self.sigma), draw.generator, shared=grey)
        rounded = draw.pick(self.clipped).nonzero()[:, 0]
        y[rounded] = noise.quantise(y[rounded], self.bits)
        taken = (draw.pick(self.camera) & ~grey).nonzero()[:, 0]
        if len(taken):
            y[taken] = self.taken(sharp[taken], draw.generator)
        return y

    def taken(self, sharp: Tensor, generator: torch.Generator) -> Tensor:
        """The file that a camera makes of scenes, given as photographs (B, 3, H, W) in [0, 1]; alike."""
        draw = Draw(sharp.shape[0], generator)
        tone = self.tone.tone(draw.n, generator)
        back = self._to_sensor(draw, sharp)  # (B, 3, 3)
        light = tone.decode(sharp)
        raw = torch.einsum("bij,bjhw->bihw", back, light).clamp_min(0)
        shot = draw.log_uniform(self.shot)
        read = torch.exp(2.18 * shot.log() + 1.2 + 0.26 * draw.normal())  # b, a variance
        grains = (each(shot) * raw + each(read)).sqrt()
        grains = grains * torch.randn(raw.shape, generator=generator, device=raw.device)
        noise_ = torch.einsum("bij,bjhw->bihw", torch.linalg.inv(back), noise.through_bayer(grains))
        y = tone.encode(light + noise_)
        taken = draw.pick(self.reduced)
        if bool(taken.any()):
            y = torch.where(each(taken), sharp + self._smoothed(y - sharp, draw), y)
        return filed(y, draw, bits=self.bits, jpeg=self.jpeg, quality=self.quality)

    def _smoothed(self, error: Tensor, draw: Draw) -> Tensor:
        """R: (1 - w) e + w G e in luma and in colours apart, w uniform, G a Gaussian, wider in colours."""
        part, luma = draw.uniform((0.0, 1.0)), draw.log_uniform(self.smooth)
        wide = luma * draw.log_uniform(self.colour)
        to_ycc = noise.YCC.to(error)
        ycc = torch.einsum("ij,bjhw->bihw", to_ycc, error)
        side = 2 * math.ceil(2.5 * self.smooth[1] * self.colour[1]) + 1
        blurs = kernels.gaussian(torch.stack((luma, wide, wide), 1).flatten(), side).to(error)  # (3 B, 1, side, side)
        padded = F.pad(ycc, (side // 2,) * 4, mode="reflect").flatten(0, 1)[None]
        smooth = F.conv2d(padded, blurs.reshape(-1, 1, side, side), groups=3 * draw.n)[0].reshape(ycc.shape)
        return torch.einsum("ij,bjhw->bihw", torch.linalg.inv(to_ycc), torch.lerp(ycc, smooth, each(part)))

    def _to_sensor(self, draw: Draw, like: Tensor) -> Tensor:
        """(M D)^-1 for each picture, (B, 3, 3): a mixture of the cameras, with gains so that white stays in range."""
        mixed = draw.log_uniform((0.05, 1.0), len(SENSORS))
        to_xyz = torch.tensor(SRGB_TO_XYZ, device=like.device)
        matrices = torch.tensor(SENSORS, device=like.device) @ to_xyz  # linear sRGB to the sensors
        matrix = torch.einsum("bk,kij->bij", mixed / mixed.sum(1, keepdim=True), matrices)
        matrix = matrix / matrix.sum(-1, keepdim=True)  # white stays white
        gains = torch.stack(
            (draw.uniform(self.red), torch.ones(draw.n, device=like.device), draw.uniform(self.blue)), 1
        )
        return matrix / gains[:, :, None]
