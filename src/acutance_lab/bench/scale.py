"""Cost of a picture beside its restoration: decoding, encoding, FFTs; and from that, what many pictures cost."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from acutance.images import Image, read_image, write_image
from acutance_lab.bench.rows import Row
from acutance_lab.bench.tables import markdown

CODECS = {
    "JPEG": ("x.jpg", 8),
    "PNG, 8 bits": ("x.png", 8),
    "PNG, 16 bits": ("y.png", 16),
    "TIFF, 16 bits": ("x.tif", 16),
}


@dataclass(frozen=True)
class Constant:
    """A measured cost. Args: name. read, write: core seconds for 10^6 pixels in colour. size: bytes of a pixel."""

    name: str
    read: float
    write: float
    size: float


@dataclass(frozen=True)
class Transform:
    """FFT and its inverse. Args: shape. seconds: of one core, for both. samples: in the array."""

    shape: tuple[int, ...]
    seconds: float
    samples: int


def _least(call: Callable[[], object], rounds: int) -> float:
    """The least of several times of the processor: what else runs on the machine only makes them longer."""
    found = []
    for _ in range(rounds):
        begun = time.process_time()
        call()
        found.append(time.process_time() - begun)
    return min(found)


def codecs(megapixels: float, rounds: int = 3) -> list[Constant]:
    """Measure the time of the processor that it takes to read and write pictures; waiting for the disk is none.

    Args:
        megapixels: of the picture, in colour; smooth with a little noise, as photographs are. rounds: the best counts.
    """
    side = round((megapixels * 1e6) ** 0.5)
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(1, 3, 24, 24, generator=generator)
    pixels = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False)
    pixels = (0.8 * pixels + 0.02 * torch.randn(1, 3, side, side, generator=generator)).clamp(0, 1)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (file, bits) in CODECS.items():
            path, image = Path(folder) / file, Image(pixels)

            def write(path: Path = path, bits: int = bits, image: Image = image) -> None:
                write_image(path, image, bits=bits, overwrite=True)

            writing = _least(write, rounds)
            reading = _least(lambda path=path: read_image(path), rounds)  # type: ignore[misc]
            million = side * side / 1e6
            found.append(Constant(name, reading / million, writing / million, path.stat().st_size / side**2))
    return found


def transforms(shapes: Sequence[tuple[int, ...]], rounds: int = 3) -> list[Transform]:
    """Measure the time of the processor for a real FFT over all axes and its inverse, float32, all threads together."""
    found = []
    for shape in shapes:
        x, axes = torch.rand(shape), tuple(range(len(shape)))

        def both(x: torch.Tensor = x, axes: tuple[int, ...] = axes) -> None:
            torch.fft.irfftn(torch.fft.rfftn(x, dim=axes), s=x.shape, dim=axes)

        found.append(Transform(shape, _least(both, rounds), x.numel()))
    return found


@dataclass(frozen=True)
class Assumed:
    """Assumptions about a cluster, which is not measured here.

    Args:
        gpus: how many. cores: of the processor for each GPU. flops: that a GPU sustains in networks, a second.
        bandwidth: of its memory, bytes a second. link: between processor and GPU. network: to storage, for each GPU.
    """

    gpus: int = 100
    cores: int = 8
    flops: float = 60e12
    bandwidth: float = 1.5e12
    link: float = 20e9
    network: float = 0.3e9


@dataclass(frozen=True)
class Load:
    """Many units of work: pictures, or blocks of a volume.

    Args:
        name: of the whole. units: how many. samples: numbers in one. axes: of an FFT, 2 or 3.
        traffic: bytes read and written for one. codec: seconds of one core for both.
        macs: multiplications of networks for one. pairs: FFTs with their inverse, of all samples.
    """

    name: str
    units: float
    samples: float
    axes: int
    traffic: float
    codec: float
    macs: float
    pairs: float


def costs(load: Load, assumed: Assumed) -> dict[str, float]:
    """Minutes of each part on the cluster, if it were alone.

    A real FFT of N samples of 4 bytes reads and writes 4 N bytes for each axis, and a long axis takes two passes: with
    its inverse that is 32 N bytes an axis. On a GPU the arithmetic takes less time than that.
    """
    parts = {
        "storage and network": load.traffic / assumed.network,
        "decode and encode": load.codec / assumed.cores,
        "to the GPU and back": 8 * load.samples / assumed.link,
        "FFTs": load.pairs * 32 * load.axes * load.samples / assumed.bandwidth,
        "networks": 2 * load.macs / assumed.flops,
    }
    return {name: load.units / assumed.gpus * seconds / 60 for name, seconds in parts.items()}


def photographs(method: str, count: float, megapixels: float, constants: Sequence[Constant], row: Row) -> Load:
    """Photographs in JPEG, restored by a method.

    Args:
        constants: of `codecs`. row: with the arithmetic of the method on a smaller picture in colour.
    """
    jpeg = next(c for c in constants if c.name == "JPEG")
    pixels = (row.width or 0) * (row.height or 0)
    one_pair = 2 * 1.25 * 3 * pixels * math.log2(pixels)  # as `acutance_lab.bench.arithmetic` counts it
    million = 1e6 * megapixels
    macs = 1e9 * (row.gmac_networks or 0) / pixels * million
    pairs = 1e9 * (row.gmac_transforms or 0) / one_pair
    return Load(
        f"{count:.0e} photographs of {megapixels:g} megapixels, {method}", count, 3 * million, 2,
        2 * jpeg.size * million, (jpeg.read + jpeg.write) * megapixels, macs, pairs,
    )  # fmt: skip


def volume(terabytes: float, steps: int, constants: Sequence[Constant], side: int = 512, overlap: int = 32) -> Load:
    """A volume of 16 bits by Richardson and Lucy, in cubes of `side` that overlap by `overlap` on every side.

    A step takes two convolutions, each an FFT and its inverse.
    """
    tiff = next(c for c in constants if c.name == "TIFF, 16 bits")
    voxels, kept = terabytes * 1e12 / 2, (side - 2 * overlap) ** 3
    return Load(
        f"a volume of {terabytes:g} TB, richardson-lucy, {steps} steps", voxels / kept, side**3, 3,
        2 * (side**3 + kept), (tiff.read * side**3 + tiff.write * kept) / 3e6, 0.0, 2 * steps,
    )  # fmt: skip


def constants_table(found: Sequence[Constant]) -> str:
    """A line for each format."""
    head = ["format", "read, core s/megapixel", "write, core s/megapixel", "bytes/pixel"]
    return markdown(head, [[c.name, f"{c.read:.3f}", f"{c.write:.3f}", f"{c.size:.2f}"] for c in found])


def transforms_table(found: Sequence[Transform]) -> str:
    """A line for each shape."""
    head = ["FFT and inverse of", "core seconds", "ns/sample"]
    lines = [[" x ".join(map(str, t.shape)), f"{t.seconds:.3f}", f"{1e9 * t.seconds / t.samples:.1f}"] for t in found]
    return markdown(head, lines)


def costs_table(loads: Sequence[Load], assumed: Assumed) -> str:
    """A line for each load: minutes of every part, and what bounds the whole.

    Storage, processors, link and GPU work side by side, so the longest bounds it; FFTs and networks share the GPU.
    """
    found = [(load, costs(load, assumed)) for load in loads]
    lines = []
    for load, parts in found:
        on_gpu = {"the GPU": parts["FFTs"] + parts["networks"]}
        whole = on_gpu | {name: minutes for name, minutes in parts.items() if name not in ("FFTs", "networks")}
        bound = max(whole, key=whole.__getitem__)
        lines.append([load.name, *(f"{minutes:.1f}" for minutes in parts.values()), f"{bound}, {whole[bound]:.1f} min"])
    return markdown(["whole", *(f"{name}, min" for name in found[0][1]), "bound by"], lines)
