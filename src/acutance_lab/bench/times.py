"""Seconds and PSNR of methods side by side: one picture, one process, in turn, so that what else runs falls on all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.images import read_image
from acutance.metrics import psnr
from acutance.operators import Blur
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.machine import hardware, revision
from acutance_lab.bench.runner import Runner
from acutance_lab.bench.speed import leaves
from acutance_lab.bench.timing import Timing
from acutance_lab.synth import kernels
from acutance_lab.synth.degradation import luma

LARGEST = 8192
"""Side of a picture, pixels."""


@dataclass(frozen=True, eq=False)
class Scene:
    """What every contender is given, and the truth: observed and truth (1, C, H, W), kernel (1, 1, h, w)."""

    name: str
    observed: Tensor
    truth: Tensor
    kernel: Tensor
    noise: float


OnRound = Callable[[str, int], None]
"""Told a label and its round, 0 for the one that warms up, when that is over."""


def times(
    scene: Scene,
    contenders: Sequence[Contender],
    *,
    runs: int = 5,
    device: torch.device | str = "auto",
    on_round: OnRound | None = None,
) -> list[Timing]:
    """Restore one scene with every contender in turn, A B C A B C, once to warm up and then `runs` times.

    Contenders that want the noise level are told the true one, unless they say otherwise.

    Raises:
        ConfigError, UnknownMethod, WeightsError, MissingExtra: with the remedy, before anything runs.
    """
    if not contenders or runs < 1:
        raise ConfigError(f"{len(contenders)} methods, {runs} runs: give at least one of each")
    labels = [c.label for c in contenders]
    if len(set(labels)) < len(labels):
        raise ConfigError(f"--methods {' '.join(labels)}: name every method once; weights alone do not tell them apart")
    begun = datetime.now(UTC).isoformat(timespec="milliseconds")
    runners = [c.load(device) for c in contenders]
    seconds: list[list[float]] = [[] for _ in runners]
    found: list[Timing] = []
    for number in range(runs + 1):
        for i, (contender, runner) in enumerate(zip(contenders, runners, strict=True)):
            attempt = runner(
                scene.observed,
                scene.kernel if runner.needs.kernel else None,
                contender.tell(scene.noise, runner.needs),
            )
            if number > 0:
                seconds[i].append(round(attempt.seconds, 6))
            if on_round is not None:
                on_round(contender.label, number)
            if number == runs:
                quality = float(psnr(attempt.pixels.double().clamp(0, 1), scene.truth.double()))
                found.append(
                    _timing(scene, contender, runner, begun, seconds[i], attempt.steps, attempt.outcome, quality)
                )
    return found


def make_scene(
    size: int = 512, *, channels: int = 1, kernel: int = 25, noise: float = 0.01, photograph: Path | None = None
) -> Scene:
    """A sharp picture, shaken, noisy and rounded to 8 bits; the same each time.

    Args:
        size: side of the blurred picture; of a photograph the most that is taken of it, about its centre.
        channels: 1 or 3. kernel: side of the camera-shake kernel, odd. noise: fraction of the range.
        photograph: a sharp picture; None: `leafy_picture`.

    Raises:
        ConfigError: sizes that do not fit together. ImageError: the photograph cannot be read.
    """
    if channels not in (1, 3):
        raise ConfigError(f"channels={channels}: give 1 or 3")
    if kernel < 3 or kernel % 2 == 0 or not 32 <= size <= LARGEST or kernel > size // 2:
        raise ConfigError(
            f"a kernel of {kernel} pixels, a picture of {size}: give an odd kernel from 3 up to half the picture, "
            f"and a picture of 32 to {LARGEST}"
        )
    if not 0 <= noise <= 0.5:
        raise ConfigError(f"a noise of {100 * noise:g} %: give 0 to 50 %")
    blur = Blur(shaken(kernel))
    height, width = blur.domain_size(size, size)
    if photograph is None:
        sharp, name = leafy_picture(height, width), "leaves"
    else:
        whole, name = read_image(photograph).pixels, photograph.name
        height, width = min(height, whole.shape[-2]), min(width, whole.shape[-1])
        if min(height, width) < 2 * kernel:
            raise ConfigError(f"{photograph} is too small for a kernel of {kernel} pixels; give a smaller --kernel")
        top, left = (whole.shape[-2] - height) // 2, (whole.shape[-1] - width) // 2
        sharp = whole[..., top : top + height, left : left + width].clamp(0, 1)
    if channels == 1 and sharp.shape[1] == 3:
        sharp = luma(sharp)[:, :1]
    elif channels == 3 and sharp.shape[1] == 1:
        sharp = sharp.expand(-1, 3, -1, -1)
    clean = blur.forward(sharp)
    noisy = clean + noise * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    observed = (noisy.clamp(0, 1) * 255).round() / 255
    return Scene(name, observed, blur.crop(sharp), blur.kernel, noise)


def leafy_picture(height: int, width: int, *, seed: int = 0) -> Tensor:
    """Dead leaves under a texture of spectrum 1/f, as surfaces have; the same each time.

    Returns:
        (1, 3, height, width) in [0, 1].
    """
    shapes = leaves(height, width, seed=seed, smallest=4)
    shapes = 0.42 + 0.65 * (shapes - shapes.mean())  # the contrast of photographs: a deviation of about 0.17
    generator = torch.Generator().manual_seed(seed)
    rows, cols = torch.fft.fftfreq(height), torch.fft.rfftfreq(width)
    radius = (rows[:, None].square() + cols[None, :].square()).sqrt().clamp_min(1 / max(height, width))
    texture = torch.fft.irfft2(
        torch.fft.rfft2(torch.randn(height, width, generator=generator)) / radius, (height, width)
    )
    texture = (texture - texture.mean()) / texture.std()
    picture: Tensor = (shapes * (1 + 0.07 * texture)).clamp(0, 1)
    return picture


def shaken(side: int) -> Tensor:
    """A camera-shake kernel (1, 1, side, side) that fills its frame: the widest of sixteen; the same each time."""
    drawn = kernels.shake(16, side, torch.Generator().manual_seed(0), size=side)
    axis = torch.arange(side, dtype=drawn.dtype) - side // 2
    variance = (drawn * (axis[:, None].square() + axis[None, :].square())).sum((-3, -2, -1))
    best = int(variance.argmax())
    chosen: Tensor = drawn[best : best + 1]
    return chosen


def _timing(
    scene: Scene, contender: Contender, runner: Runner, run: str, seconds: Sequence[float], steps: int, outcome: str,
    quality: float,
) -> Timing:  # fmt: skip
    return Timing(
        run=run,
        method=contender.label,
        weights=runner.weights,
        picture=scene.name,
        height=scene.observed.shape[-2],
        width=scene.observed.shape[-1],
        channels=scene.observed.shape[1],
        kernel=scene.kernel.shape[-1],
        noise=scene.noise,
        seconds=tuple(seconds),
        steps=steps,
        outcome=outcome,
        psnr=round(quality, 4),
        psnr_blurred=round(float(psnr(scene.observed.double(), scene.truth.double())), 4),
        revision=revision(),
        hardware=hardware(runner.device),
    )
