r"""How fast a network is as inference runs it, against the same network written plainly.

    ours    what is fused, channels last, bfloat16 where the processor has it, tiles or bands
    plain   the published layers one after the other, float32, the default memory layout, the whole picture at once

Both work on the same problem with the same weights, in turn, so that whatever else the machine does falls on both
alike; what is compared is the ratio within each pair. Of RGDN it is one step, of other methods a whole run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import ConfigError
from acutance.methods.dgunet import Unfolded
from acutance.methods.golf import Golf
from acutance.methods.rgdn import Rgdn
from acutance.metrics import psnr
from acutance.operators import Blur
from acutance.problem import Problem, State
from acutance.tensors import pad
from acutance_lab.bench.machine import hardware
from acutance_lab.bench.speed_plain import Advance, plain_dgunet, plain_golf, plain_step
from acutance_lab.synth import kernels

SPAN = 19
"""Side of the kernel, pixels."""

NOISE = 0.01
"""Standard deviation of the noise, a fraction of the range."""


@dataclass(frozen=True)
class Speed:
    """Seconds of single steps or whole runs, pair by pair.

    Args:
        height, width: of the picture.
        ours, plain: seconds of the first one, the second, ...; warmed up before.
        psnr_ours, psnr_plain: of the two results after these steps against the sharp picture, dB.
        psnr_between: of one result against the other, dB; infinite if they are equal.
        hardware: processor, threads, instructions, version of torch.
    """

    height: int
    width: int
    ours: tuple[float, ...]
    plain: tuple[float, ...]
    psnr_ours: float
    psnr_plain: float
    psnr_between: float
    hardware: str

    @property
    def ratios(self) -> tuple[float, ...]:
        """How many times faster ours is, in each pair."""
        return tuple(p / o for o, p in zip(self.ours, self.plain, strict=True))

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return median(self.ratios)


@torch.inference_mode()
def compare(model: Rgdn | Golf | Unfolded, height: int, width: int, *, runs: int = 5, seed: int = 0) -> Speed:
    """Time both on a synthetic picture of that size, `runs` pairs of them.

    Args:
        model: in evaluation mode, on the CPU. runs: pairs, at least 1. seed: of picture, kernel and noise.

    Raises:
        ConfigError: no runs, or a model in training mode.
    """
    if runs < 1:
        raise ConfigError(f"runs={runs}: at least one pair is needed")
    if model.training:
        raise ConfigError("a model in training mode is not what inference runs; call eval() first")
    sharp, problem = example(height, width, seed=seed)
    contenders, begin = contenders_of(model, problem), problem.start()
    if not isinstance(model, Rgdn):
        sharp, begin = problem.crop(sharp), problem.observed
    for advance in contenders:  # warm up: code for these sizes is generated, memory is mapped
        advance(begin)
    states = [begin, begin]
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for i, advance in enumerate(contenders):
            start = states[i] if isinstance(model, Rgdn) else begin
            begun = time.perf_counter()
            states[i] = advance(start)
            seconds[i].append(time.perf_counter() - begun)
    crop = problem.crop if isinstance(model, Rgdn) else Tensor.clone
    one, other = (crop(x).clamp(0, 1) for x in states)
    truth = crop(sharp)
    return Speed(
        height=height,
        width=width,
        ours=tuple(seconds[0]),
        plain=tuple(seconds[1]),
        psnr_ours=float(psnr(one, truth)),
        psnr_plain=float(psnr(other, truth)),
        psnr_between=float(psnr(one, other)),
        hardware=platform_line(),
    )


def contenders_of(model: Rgdn | Golf | Unfolded, problem: Problem) -> tuple[Advance, Advance]:
    """Ours and the plain one: x(t) -> x(t+1) of RGDN, y -> the restored picture of the others."""
    if isinstance(model, Rgdn):
        unit = model.solver().steps[0]
        return (lambda x: unit(problem, State(x)).x), plain_step(model, problem)
    plain = plain_golf(model) if isinstance(model, Golf) else plain_dgunet(model)
    solver = model.solver()

    def ours(y: Tensor) -> Tensor:
        *_, last = solver.iterate(Problem(y))
        x: Tensor = last.x
        return x

    return ours, plain


def example(height: int, width: int, *, seed: int = 0) -> tuple[Tensor, Problem]:
    """A sharp picture (1, 3, H + 18, W + 18) and what a shaken, noisy camera makes of it, (1, 3, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    blur = Blur(kernels.spline(1, SPAN, generator, size=SPAN))
    sharp = leaves(*blur.domain_size(height, width), seed=seed)
    clean = blur.forward(sharp)
    noisy = clean + NOISE * torch.randn(clean.shape, generator=generator)
    return sharp, Problem(noisy.clamp(0, 1), blur)


def leaves(height: int, width: int, *, seed: int = 0, smallest: float = 2.0) -> Tensor:
    """A picture with the statistics of photographs: opaque discs of all sizes on each other ("dead leaves").

    Radii r have the density r^-3 (Lee, Mumford & Huang 2001); each disc has a colour and a shade across it. What leaves
    the picture on one side enters it on the other.

    Returns:
        (1, 3, height, width) in [0, 1].
    """
    g = torch.Generator().manual_seed(seed)
    largest = max(smallest + 1, min(height, width) / 3)
    cut = 1 - (smallest / largest) ** 2
    mean_square = 2 * math.log(largest / smallest) * smallest**2 / cut
    count = int(3 * height * width / (math.pi * mean_square)) + 1  # three layers of discs on average
    radii = smallest / (1 - cut * torch.rand(count, generator=g)).sqrt()
    places = torch.rand(count, 2, generator=g) * torch.tensor([height, width])
    light = 0.05 + 0.95 * torch.rand(count, 1, generator=g) ** 1.5
    colours = (light * (0.75 + 0.5 * torch.rand(count, 3, generator=g))).clamp(0, 1)
    shades = 0.3 * (torch.rand(count, 2, generator=g) - 0.5)
    picture = colours.mean(0).reshape(3, 1, 1).repeat(1, height, width)
    for radius, place, colour, shade in zip(radii.tolist(), places.tolist(), colours, shades.tolist(), strict=True):
        reach = int(radius) + 1
        rows = torch.arange(int(place[0]) - reach, int(place[0]) + reach + 1)
        cols = torch.arange(int(place[1]) - reach, int(place[1]) + reach + 1)
        down, right = (rows - place[0])[:, None], (cols - place[1])[None, :]
        inside = down.square() + right.square() <= radius**2
        shaded = colour[:, None, None] * (1 + (shade[0] * down + shade[1] * right) / radius)
        i, j = (rows % height)[:, None], (cols % width)[None, :]
        picture[:, i, j] = torch.where(inside, shaded, picture[:, i, j])
    return F.avg_pool2d(pad(picture[None], 1, 1, "circular"), 3, stride=1).clamp(0, 1)


def platform_line() -> str:
    """Processor and threads, the instructions that matter for bfloat16, the version of torch."""
    cpu = torch.cpu
    flags = {"AMX": cpu._is_amx_tile_supported(), "AVX-512 BF16": cpu._is_avx512_bf16_supported()}
    has = " and ".join(name for name, there in flags.items() if there) or "neither AMX nor AVX-512 BF16"
    return f"{hardware(torch.device('cpu'))}, {has}, torch {torch.__version__}"


def speed_table(found: Sequence[Speed]) -> str:
    """Markdown: a row for each size, the pairs below, the hardware last."""
    lines = [
        "| picture | ours, s | plain, s | ratio | ratio pair by pair | PSNR ours / plain / between |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for s in found:
        pairs = " ".join(f"{ratio:.1f}" for ratio in s.ratios)
        lines.append(
            f"| {s.width}x{s.height} | {median(s.ours):.3f} | {median(s.plain):.3f} | {s.ratio:.1f} | {pairs} | "
            f"{s.psnr_ours:.2f} / {s.psnr_plain:.2f} ({s.psnr_ours - s.psnr_plain:+.3f}) / {s.psnr_between:.1f} dB |"
        )
    steps = ", ".join(f"{len(s.ours)} of them at {s.width}x{s.height}" for s in found)
    lines += [
        "",
        "Medians of single steps (RGDN) or whole runs (others), in turn after one to warm up; kernel "
        f"{SPAN}x{SPAN}, noise {100 * NOISE:g} %; PSNR after {steps}.",
        *dict.fromkeys(f"Hardware: {s.hardware}." for s in found),
    ]
    return "\n".join(lines)
