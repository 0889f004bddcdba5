"""What the experiments that train a small network share: pairs of pictures, the loop, the measure.

All pairs are drawn before anything is trained, so that runs that are compared see the same pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from acutance.errors import ConfigError
from acutance.metrics import psnr
from acutance.networks.blocks import BasicBlocks
from acutance_lab.data.photographs import Photographs
from acutance_lab.synth import DynamicBlur
from acutance_lab.synth.camera import Camera
from acutance_lab.train.config import LossConfig
from acutance_lab.train.loss import recursive

BLUR = DynamicBlur(
    extent=(3.0, 9.0), still=0.0, steady=0.0, grey=0.0, camera=Camera(lights=0.0, defocus=0.0, noisy=0.0, jpeg=0.0)
)
"""Motion over 3 to 9 pixels and nothing else: the task is deblurring alone, and short blur takes few weights."""

BATCH, RATE = 4, 1e-3
"""Pictures an iteration and the rate of Adam, both the paper's."""

CEILING = 60.0
"""dB from which on a picture counts as perfect, so that the mean over pictures exists."""

SIDE, POOL = 64, 768
"""Crops to train on: their side in pixels, and how many there are at most."""

CHUNK = 16
"""Pictures that are blurred at a time."""

MEAN_SQUARE = LossConfig(kind="mse", gradient=0.0, growth=0.0)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pictures: blurred and sharp, both (n, 3, H, W) in [0, 1]."""

    blurred: Tensor
    sharp: Tensor

    @staticmethod
    def draw(photographs: Photographs, count: int, side: int, generator: torch.Generator) -> Pairs:
        """`count` crops of `side` pixels, blurred by `BLUR`."""
        blurred, sharp = [], []
        for begin in range(0, count, CHUNK):
            crops = photographs.crops(min(CHUNK, count - begin), side + 2 * BLUR.margin(), generator)
            example = BLUR(crops, generator)
            blurred.append(example.problem.observed)
            sharp.append(example.sharp)
        return Pairs(torch.cat(blurred), torch.cat(sharp))

    def some(self, count: int, generator: torch.Generator) -> Pairs:
        """That many of them, drawn with replacement."""
        which = torch.randint(len(self.sharp), (count,), generator=generator)
        return Pairs(self.blurred[which], self.sharp[which])


@dataclass(frozen=True, eq=False)
class Material:
    """Pairs to train on and to judge by, of how many photographs each, and the digests of these."""

    trained: Pairs
    judged: Pairs
    photographs: tuple[int, int]
    digests: tuple[str, str]


def material(data: Path, *, iterations: int, seed: int, judged: tuple[int, int]) -> Material:
    """Pairs of the photographs below a folder, of which one in 25 is held out by its name.

    Args:
        iterations: for so many there are pairs, up to `POOL`. seed: of these.
        judged: how many pairs to judge by and their side, pixels; their seed is the digest of the held-out photographs.

    Raises:
        DataError: no photographs. ConfigError: no iteration, a seed below 0.
    """
    if iterations < 1 or seed < 0:
        raise ConfigError(f"seed={seed}, iterations={iterations}: give a seed from 0 on and at least 1 iteration")
    cpu = torch.device("cpu")
    training = Photographs.load(data, device=cpu, least=SIDE + 2 * BLUR.margin())
    judging = Photographs.load(data, device=cpu, validation=True, least=judged[1] + 2 * BLUR.margin())
    return Material(
        Pairs.draw(training, min(POOL, BATCH * iterations), SIDE, torch.Generator().manual_seed(seed)),
        Pairs.draw(judging, *judged, torch.Generator().manual_seed(int(judging.digest, 16))),
        (len(training.names), len(judging.names)),
        (training.digest, judging.digest),
    )


def start(features: int, seed: int) -> BasicBlocks:
    """A network of Golf with its random start, the same for the same seed.

    Raises:
        ConfigError: no feature.
    """
    if features < 1:
        raise ConfigError(f"features={features}: give at least 1")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BasicBlocks(features).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def fit(
    network: nn.Module, loss: Callable[[int], Tensor], iterations: int, *, after: Callable[[int], None] | None = None
) -> None:
    """Adam at `RATE`.

    Args:
        network: is changed. loss: of the iteration of that number, from 0 on. after: called with how many are done.
    """
    adam = torch.optim.Adam(network.parameters(), lr=RATE, betas=(0.9, 0.999))
    for i in range(iterations):
        value = loss(i)
        adam.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        adam.step()
        if after is not None:
            after(i + 1)


def mean_square(estimate: Tensor, sharp: Tensor) -> Tensor:
    """Over everything, a scalar."""
    return recursive([estimate], sharp, MEAN_SQUARE)


def mean_psnr(estimates: Tensor, sharp: Tensor) -> float:
    """dB, mean over the pictures, each at most `CEILING`; estimates are clipped to [0, 1]."""
    return float(psnr(estimates.clamp(0, 1), sharp).clamp_max(CEILING).mean())
