"""Volumes: the microscopy bars with known truth, ours beside plain Richardson-Lucy and scikit-image, and times in turn.

Correlation is Pearson's over all voxels. PSNR is that after the best factor, by least squares, with the brightest voxel
of the truth as the range: results are in units of their own. Methods take turns on a made volume for the times. Each
peak of memory is that of a process of its own.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray

from acutance.errors import ConfigError, DataError, MissingExtra
from acutance.images.kernel_volume import read_volume_kernel
from acutance.restoration.volume import restore_volume
from acutance_lab.bench.case import bench_folder
from acutance_lab.bench.machine import watch_memory
from acutance_lab.bench.tables import decimals, listed, markdown

Volume = NDArray[np.floating[Any]]
Solve = Callable[[Volume, Volume], Volume]
"""Data and PSF -> result."""

BARS = ("science", "microscopy_bars")
AXES = (0, 1, 2)

PLAIN, SKIMAGE = "plain-rl", "skimage-rl"
"""Peers, as NAME or NAME:ITERATIONS."""

DEFAULT = (
    "wiener", "fd", "tv", "levin", "richardson-lucy", "richardson-lucy:steps=100",
    "richardson-lucy:steps=100,accelerated=false", f"{PLAIN}:100", f"{SKIMAGE}:100",
)  # fmt: skip


def plain_richardson_lucy(data: Volume, psf: Volume, iterations: int) -> Volume:
    """Richardson-Lucy as textbooks have it, on a torus, in the precision of numpy's transforms (float64)."""
    shape = data.shape
    transfer = _transfer(psf, shape)
    light = np.maximum(data, 0).astype(np.float64)
    x = np.full(shape, light.mean())
    for _ in range(iterations):
        ratio = light / np.maximum(np.fft.irfftn(np.fft.rfftn(x) * transfer, shape, AXES), 1e-12 * light.max())
        x = x * np.fft.irfftn(np.fft.rfftn(ratio) * transfer.conj(), shape, AXES)
    return x


def _transfer(psf: Volume, shape: tuple[int, ...]) -> NDArray[np.complex128]:
    """The transform of a PSF of sum 1 with its centre at the origin of a torus, wrapped where it is the larger one."""
    laid = np.zeros(shape)
    places = [(np.arange(n) - n // 2) % m for n, m in zip(psf.shape, shape, strict=True)]
    np.add.at(laid, np.ix_(*places), psf / psf.sum())
    found: NDArray[np.complex128] = np.fft.rfftn(laid)
    return found


def _skimage(data: Volume, psf: Volume, iterations: int) -> Volume:
    try:
        from skimage.restoration import richardson_lucy
    except ImportError as error:
        raise MissingExtra("scikit-image's Richardson-Lucy", "lab") from error
    top = float(data.max())
    around = [(n // 2, n // 2) for n in psf.shape]  # it takes what lies beyond the volume for black
    light = np.pad(np.maximum(data / top, 0).astype(np.float32), around, mode="reflect")
    out: Volume = richardson_lucy(light, (psf / psf.sum()).astype(np.float32), num_iter=iterations, clip=False)
    return out[tuple(slice(a, a + n) for (a, _), n in zip(around, data.shape, strict=True))] * top


def _ours(data: Volume, psf: Volume, method: str) -> Volume:
    return restore_volume(data, psf, method=method)


def solver(text: str) -> Solve:
    """A method of the catalogue for volumes, or a peer.

    Raises:
        ConfigError: a peer with iterations that are none.
    """
    name, _, iterations = text.partition(":")
    peers = {PLAIN: plain_richardson_lucy, SKIMAGE: _skimage}
    if name not in peers:
        return partial(_ours, method=text)
    if iterations and not (iterations.isdecimal() and int(iterations) > 0):
        raise ConfigError(f"{text}: write {name}:ITERATIONS, such as {name}:100")
    return partial(peers[name], iterations=int(iterations or 100))


@dataclass(frozen=True)
class Found:
    """What a method made of the bars. Args: method; correlation; psnr in dB; seconds."""

    method: str
    correlation: float
    psnr: float
    seconds: float


def measure_bars(methods: Sequence[str], data: Path | None = None) -> list[Found]:
    """The data itself, then every method.

    Raises:
        DataError: the bars are missing.
    """
    folder = bench_folder(data).joinpath(*BARS)
    files = [folder / f"{name}.tif" for name in ("actual", "data", "kernel")]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise DataError(f"{missing[0]} is missing; the bars are three volumes, actual.tif, data.tif and kernel.tif")
    solvers = [(text, solver(text)) for text in methods]
    truth, observed = (tifffile.imread(file).astype(np.float32) for file in files[:2])
    psf = read_volume_kernel(files[2]).kernel[0, 0].numpy().astype(np.float64)
    found = [Found("(data)", *_scores(observed, truth), math.nan)]
    for text, solve in solvers:
        begun = time.perf_counter()
        out = solve(observed, psf)
        seconds = time.perf_counter() - begun
        found.append(Found(text, *_scores(out, truth), seconds))
    return found


def _scores(out: Volume, truth: Volume) -> tuple[float, float]:
    a, b = (each.astype(np.float64).ravel() for each in (out, truth))
    factor = float(a @ b) / max(float(a @ a), np.finfo(np.float64).tiny)
    error = float(np.mean((factor * a - b) ** 2))
    return float(np.corrcoef(a, b)[0, 1]), 10 * math.log10(float(b.max()) ** 2 / error)


def bars_table(found: Sequence[Found]) -> str:
    """Markdown."""
    columns: dict[str, Callable[[Found], str]] = {
        "method": lambda f: f.method,
        "correlation": lambda f: f"{f.correlation:.3f}",
        "PSNR, dB": lambda f: f"{f.psnr:.2f}",
        "seconds": lambda f: "–" if math.isnan(f.seconds) else f"{f.seconds:.2f}",
    }
    return markdown(*listed(found, columns))


@dataclass(frozen=True)
class Timed:
    """Seconds of a method on the made volume. Args: method; seconds: median; megabytes: peak above the start."""

    method: str
    seconds: float
    megabytes: float


def made(size: tuple[int, int, int], psf: tuple[int, int, int] = (15, 15, 15)) -> tuple[Volume, Volume]:
    """Data, counts of photons of points in haze, and a Gaussian PSF, longer along the first axis."""
    random = np.random.default_rng(0)
    grids = np.meshgrid(*(np.arange(n) - n // 2 for n in psf), indexing="ij")
    g = np.exp(-sum((grid / s) ** 2 for grid, s in zip(grids, (3.0, 1.6, 1.6), strict=True)) / 2)
    scene = np.full(size, 4.0)
    scene[tuple(random.integers(0, n, 4000) for n in size)] += 2000.0
    mean = np.fft.irfftn(np.fft.rfftn(scene) * _transfer(g, size), size, AXES).clip(0)
    return random.poisson(mean).astype(np.float32), g / g.sum()


def measure_times(methods: Sequence[str], size: tuple[int, int, int], rounds: int) -> list[Timed]:
    """Methods in turn, A B C A B C, after nothing to warm up but a small volume; then the memory of each."""
    solvers = [(text, solver(text)) for text in methods]
    small = made((24, 32, 32))
    for _, solve in solvers:
        solve(*small)
    data, psf = made(size)
    seconds: dict[str, list[float]] = {text: [] for text in methods}
    for _ in range(rounds):
        for text, solve in solvers:
            begun = time.perf_counter()
            solve(data, psf)
            seconds[text].append(time.perf_counter() - begun)
    return [Timed(text, median(seconds[text]), _peak(text, size)) for text in methods]


def _peak(method: str, size: tuple[int, int, int]) -> float:
    """10^6 bytes that a process needs at most while it restores, above what it had before."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    worker = context.Process(target=_report_peak, args=(theirs, method, size))
    worker.start()
    theirs.close()
    try:
        return float(mine.recv())
    except EOFError:
        return math.nan
    finally:
        worker.join()


def _report_peak(pipe: Any, method: str, size: tuple[int, int, int]) -> None:
    solve = solver(method)
    solve(*made((24, 32, 32)))
    data, psf = made(size)
    peak = watch_memory(torch.device("cpu"))
    before = peak()
    solve(data, psf)
    after = peak()
    pipe.send(math.nan if before is None or after is None else after - before)


def times_table(found: Sequence[Timed]) -> str:
    """Markdown; the last column is the time of the slowest over that of the method."""
    slowest = max(f.seconds for f in found)
    columns: dict[str, Callable[[Timed], str]] = {
        "method": lambda f: f.method,
        "seconds (median)": lambda f: f"{f.seconds:.2f}",
        "times faster than the slowest": lambda f: f"{slowest / f.seconds:.1f}",
        "peak memory, MB": lambda f: decimals(f.megabytes, 0),
    }
    return markdown(*listed(found, columns))
