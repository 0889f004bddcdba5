"""A folder of sharp photographs in memory, and batches of crops from it on the device."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor

from acutance.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")
HELD_OUT = 25
"""One photograph in so many is held out for validation, by the hash of its file name."""


def held_out(name: str) -> bool:
    """Whether the photograph of that file name belongs to the validation set."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % HELD_OUT == 0


def find(folder: Path, *, validation: bool) -> list[Path]:
    """The photographs below `folder`, sorted by name: the held-out ones or the others.

    Raises:
        DataError: no folder, or nothing in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; training expects sharp photographs there ({', '.join(SUFFIXES)})")
    found = sorted((p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES), key=lambda p: p.name)
    if not found:
        raise DataError(f"no photograph below {folder} (looked for {', '.join(SUFFIXES)})")
    return [p for p in found if held_out(p.name) == validation]


def data_hash(paths: Sequence[Path]) -> str:
    """Twelve hexadecimal digits that name this set: SHA-256 over names and contents."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


@dataclass(frozen=True, eq=False)
class Photographs:
    """Photographs as one flat uint8 tensor, so that a batch of crops is one gather on the device.

    Args:
        flat: (N,) uint8, all pixels, RGB interleaved.
        sizes: (P, 2) int64, height and width. offsets: (P,) int64 into `flat`.
        names: file names. digest: see `data_hash`.
    """

    flat: Tensor
    sizes: Tensor
    offsets: Tensor
    names: tuple[str, ...]
    digest: str

    @staticmethod
    def load(
        folder: Path, *, device: torch.device, validation: bool = False, least: int = 192, limit: int | None = None
    ) -> Photographs:
        """Read and decode the photographs below `folder` whose sides are at least `least` pixels."""
        paths = find(folder, validation=validation)[:limit]
        if not paths:
            share = "held out for validation" if validation else "left for training"
            raise DataError(
                f"no photograph below {folder} is {share}; one in {HELD_OUT} is held out by the hash of its name, so "
                "give more photographs"
            )
        with ThreadPoolExecutor() as pool:
            pictures = list(pool.map(_decode, paths))
        kept = [(p, a) for p, a in zip(paths, pictures, strict=True) if min(a.shape[:2]) >= least]
        if not kept:
            raise DataError(f"no photograph of at least {least}x{least} pixels below {folder}")
        sizes = torch.tensor([a.shape[:2] for _, a in kept])
        lengths = torch.tensor([a.size for _, a in kept])
        flat = torch.from_numpy(np.concatenate([a.reshape(-1) for _, a in kept]))
        return Photographs(
            flat=flat.to(device),
            sizes=sizes.to(device),
            offsets=(lengths.cumsum(0) - lengths).to(device),
            names=tuple(p.name for p, _ in kept),
            digest=data_hash(paths),
        )

    def crops(self, n: int, size: int, generator: torch.Generator, *, candidates: int = 2) -> Tensor:
        """n random crops, flipped and turned at random: (n, 3, size, size) in [0, 1], photographs drawn by area.

        Of `candidates` drawn for each, the one with the most contrast is kept: sky and walls teach little.
        """
        dev, m = self.flat.device, n * candidates
        which = torch.multinomial(self.sizes.prod(1).float(), m, replacement=True, generator=generator)
        height, width = self.sizes[which].unbind(1)
        top = (torch.rand(m, generator=generator, device=dev) * (height - size + 1)).long()
        left = (torch.rand(m, generator=generator, device=dev) * (width - size + 1)).long()
        offset = self.offsets[which]
        if candidates > 1:
            coarse = self._gather(offset, width, top, left, torch.arange(0, size, 2, device=dev))
            contrast = coarse.diff(dim=-1).abs().mean((1, 2, 3)).reshape(n, candidates)
            best = contrast.argmax(1) + candidates * torch.arange(n, device=dev)
            offset, width, top, left = offset[best], width[best], top[best], left[best]
        x = self._gather(offset, width, top, left, torch.arange(size, device=dev))
        turn = torch.rand(3, n, 1, 1, 1, generator=generator, device=dev) < 0.5
        x = torch.where(turn[0], x.flip(-1), x)
        x = torch.where(turn[1], x.flip(-2), x)
        return torch.where(turn[2], x.transpose(-1, -2), x)

    def _gather(self, offset: Tensor, width: Tensor, top: Tensor, left: Tensor, i: Tensor) -> Tensor:
        """Pixels at rows top + i and columns left + i of each picture: (m, 3, len(i), len(i)) in [0, 1]."""
        pixel = (top[:, None, None] + i[:, None]) * width[:, None, None] + left[:, None, None] + i
        channel = torch.arange(3, device=i.device)
        index = offset[:, None, None, None] + 3 * pixel[:, None] + channel[:, None, None]
        return self.flat[index].float() / 255


def _decode(path: Path) -> np.ndarray:
    try:
        with PillowImage.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"cannot read {path}: {error}; remove the file or replace it") from None
