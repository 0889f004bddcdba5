r"""How long a large picture takes, how well that was foretold, and how much memory it needs.

The picture is a scene on a torus, blurred there and repeated: making it takes no more memory than holding it, and the
blur is exact everywhere but at the frame's own noise. It is restored in a process of its own, so that the peak of
memory is that of this run and of loading the library, and of nothing else.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.methods.spec import Iterative
from acutance.operators import Blur
from acutance.restoration.restorer import Restorer
from acutance_lab.bench.machine import watch_memory
from acutance_lab.bench.speed import leaves, platform_line
from acutance_lab.synth import kernels

SCENE = 1000
"""Side, in pixels, of the scene that is repeated."""

NOISE = 0.01
"""Standard deviation of the noise, a fraction of the range."""


@dataclass(frozen=True)
class Task:
    """What is to be restored.

    Args:
        megapixels: size of the colour picture, 3:2. kernel: side of the kernel in pixels.
        method: with a kernel and a number of steps. steps: all of them are taken. weights: None: the shipped ones.
        tile: side of the tiles that networks work on, None: what suits the method. threads: of the processor, None:
            as torch decides.
    """

    megapixels: float = 24.0
    kernel: int = 31
    method: str = "rgdn"
    steps: int = 5
    weights: Path | None = None
    tile: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if not 0.01 <= self.megapixels <= 1000 or not 1 <= self.kernel <= 501:
            raise ConfigError(
                f"megapixels={self.megapixels:g}, kernel={self.kernel}: give 0.01 to 1000 megapixels and a kernel of "
                "1 to 501 pixels"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture."""
        height = round((self.megapixels * 1e6 / 1.5) ** 0.5)
        return height, round(self.megapixels * 1e6 / height)


@dataclass(frozen=True)
class Measured:
    """What came out.

    Args:
        forecast, seconds: what `Restorer.forecast` said, and what the run took.
        share: of its threads' time that the process got while it ran; far below 1, other programs took the rest, and
            neither seconds nor forecast say much.
        steps: taken. peak_gb: highest resident memory of the process, 10^9 bytes; loading torch included.
    """

    task: Task
    forecast: float
    seconds: float
    share: float
    steps: int
    peak_gb: float
    hardware: str

    @property
    def off(self) -> float:
        """Relative error of the forecast; positive if it promised too many seconds."""
        return self.forecast / self.seconds - 1


def measure(task: Task) -> Measured:
    """Restore the task's picture in a fresh process.

    Raises:
        AcutanceError: what the restoration raises; ConfigError too if the process was ended, as by lack of memory.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(measure_here, task).result()
        except BrokenProcessPool:
            raise ConfigError(
                f"restoring {task.megapixels:g} megapixels was ended from outside, most likely for lack of memory"
            ) from None


def measure_here(task: Task) -> Measured:
    """The same in this process, whose earlier peak of memory counts where it cannot be reset."""
    if task.threads is not None:
        torch.set_num_threads(task.threads)
    peak = watch_memory(torch.device("cpu"))
    settings: dict[str, Any] = {
        "weights": task.weights,
        "device": "cpu",
        "tile": task.tile or "auto",
        "steps": task.steps,
    }
    restorer = Restorer.load(task.method, **settings)
    if isinstance(restorer.method, Iterative) and restorer.method.solver().stop is not None:
        restorer = Restorer.load(task.method, **settings, threshold=0)  # all steps
    picture, kernel = blurred_scene(task)
    forecast = restorer.forecast(picture, kernel)
    begun, worked = time.perf_counter(), time.process_time()
    done = restorer(picture, kernel)
    share = (time.process_time() - worked) / (time.perf_counter() - begun) / torch.get_num_threads()
    megabytes = peak()
    return Measured(
        task=task,
        forecast=forecast,
        seconds=done.seconds,
        share=share,
        steps=done.steps,
        peak_gb=_since_start() if megabytes is None else megabytes / 1e3,
        hardware=platform_line(),
    )


def blurred_scene(task: Task, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A blurred, noisy picture (1, 3, H, W) of the task's size, and its kernel (1, 1, h, w)."""
    generator = torch.Generator().manual_seed(seed)
    kernel = kernels.spline(1, task.kernel, generator, size=task.kernel + 1 - task.kernel % 2)
    height, width = task.size
    scene = leaves(min(SCENE, height), min(SCENE, width), seed=seed)
    tile = Blur(kernel, "circular").forward(scene)
    picture = torch.empty(1, 3, height, width)
    for top in range(0, height, tile.shape[-2]):
        for left in range(0, width, tile.shape[-1]):
            piece = picture[..., top : top + tile.shape[-2], left : left + tile.shape[-1]]
            noise = NOISE * torch.randn(piece.shape, generator=generator)
            piece.copy_((tile[..., : piece.shape[-2], : piece.shape[-1]] + noise).clamp(0, 1))
    return picture, kernel


def _since_start() -> float:
    """Peak of this process in 10^9 bytes; macOS counts bytes, others kilobytes. Windows has no such count: NaN."""
    try:
        import resource
    except ImportError:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9


def size_table(found: Measured) -> str:
    """Markdown."""
    height, width = found.task.size
    return "\n".join(
        [
            "| picture | kernel | steps | forecast | actual | forecast off by | processor got | peak memory |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
            f"| {width}x{height} colour, {found.task.megapixels:g} MP | {found.task.kernel}x{found.task.kernel} | "
            f"{found.steps} | {found.forecast:.1f} s | {found.seconds:.1f} s | {100 * found.off:+.0f} % | "
            f"{100 * found.share:.0f} % | {found.peak_gb:.2f} GB |",
            "",
            f"{found.task.method}, tiles of {found.task.tile or 'its own number of'} pixels; memory is the whole "
            f"process's. Hardware: {found.hardware}.",
        ]
    )
