"""A folder of sharp photographs in memory, and batches of crops from it on the device."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image as PillowImage
from torch import Tensor

from acutance.errors import DataError, ImageError
from acutance.images import read_image
from acutance_lab.synth.graphics import pages as rendered

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")
HELD_OUT = 25
"""One photograph in so many is held out for validation, by the hash of its file name."""

PLANE = "~plane"
"""What follows in the name of a file is the number of a plane of a stack: neighbours show nearly the same."""

PAGES = 72
"""Pages that are rendered for a run, 270 MB."""

PASTED = 24
"""Photographs that are pasted into pages."""

SCALES = (0.7, 0.5, 0.35)
"""Sizes of the reduced copies. A camera's picture is smooth from pixel to pixel; a picture that was reduced for a page
or a test set is not. Mean difference of neighbours: 2.3 % of the range in the training photographs, 3.0 to 3.6 % in
Kodak24, BSD68 and Set12."""

PNG = b"\x89PNG\r\n\x1a\n"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def held_out(name: str, one_in: int = HELD_OUT) -> bool:
    """Tell if the photograph of that name is held out for validation, one in so many; planes go with their stack."""
    key = name.partition(PLANE)[0].encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:4], "big") % one_in == 0


def find(folder: Path, *, validation: bool, one_in: int = HELD_OUT) -> list[Path]:
    """The photographs below `folder`, sorted by name: the held-out ones or the others.

    Raises:
        DataError: no folder, or nothing in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; training expects sharp photographs there ({', '.join(SUFFIXES)})")
    found = sorted((p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES), key=lambda p: p.name)
    if not found:
        raise DataError(f"no photograph below {folder} (looked for {', '.join(SUFFIXES)})")
    return [p for p in found if held_out(p.name, one_in) == validation]


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
        flat: (N,) uint8, all pixels, RGB interleaved; of pictures of 16 bits first all high bytes, then all low ones.
        sizes: (P, 2) int64, height and width. offsets: (P,) int64 into `flat`.
        names: file names. digest: see `data_hash`.
        deep: (P,) bool, the pictures of 16 bits; None: none.
        reduced: how many pictures before the pages are reduced copies. reduced_share: of the crops of photographs that
            are cut from these.
        pages: how many of the last pictures are rendered pages. share: of the crops that are cut from pages.
    """

    flat: Tensor
    sizes: Tensor
    offsets: Tensor
    names: tuple[str, ...]
    digest: str
    deep: Tensor | None = None
    reduced: int = 0
    reduced_share: float = 0.0
    pages: int = 0
    share: float = 0.0

    @staticmethod
    def load(
        folder: Path, *, device: torch.device, validation: bool = False, least: int = 192, limit: int | None = None,
        one_in: int = HELD_OUT,
    ) -> Photographs:  # fmt: skip
        """Read and decode the photographs below `folder` whose sides are at least `least` pixels.

        One photograph in `one_in` is held out; `validation` takes these, else the others are taken.

        PNG and TIFF files of more than 8 bits are kept in 16; float files are divided by max(1, their 99.9 % quantile),
        as `read_image` does, and clipped to [0, 1].

        Raises:
            DataError: no folder, no photograph in it, or one that cannot be read.
        """
        paths = find(folder, validation=validation, one_in=one_in)[:limit]
        if not paths:
            share = "held out for validation" if validation else "left for training"
            raise DataError(
                f"no photograph below {folder} is {share}; one in {one_in} is held out by the hash of its name, so "
                "give more photographs"
            )
        with ThreadPoolExecutor() as pool:
            pictures = list(pool.map(_decode, paths))
        kept = [(p, a) for p, a in zip(paths, pictures, strict=True) if min(a.shape[:2]) >= least]
        if not kept:
            raise DataError(f"no photograph of at least {least}x{least} pixels below {folder}")
        return _joined([a for _, a in kept], tuple(p.name for p, _ in kept), data_hash(paths), device)

    def with_reduced(self, share: float, *, least: int = 192) -> Photographs:
        """These and copies of them at `SCALES`, from which that share of the crops is cut. Call before `with_graphics`.

        Args:
            share: in [0, 1); 0: as it is. least: copies with a side below it, in pixels, are left out.
        """
        if not share:
            return self
        sizes = [[round(scale * int(side)) for side in size] for scale in SCALES for size in self.sizes]
        places = [i % len(self.names) for i in range(len(sizes))]
        kept = [(i, size) for i, size in zip(places, sizes, strict=True) if min(size) >= least]
        if not kept:
            raise DataError(
                f"reduced={share}: no photograph has sides of {least} pixels when it is reduced to {max(SCALES):g} of "
                "its size; give larger photographs, smaller crops, or reduced = 0"
            )
        with ThreadPoolExecutor() as pool:
            copies = list(pool.map(lambda place: _reduced(self.picture(place[0]), place[1]), kept))
        digest = hashlib.sha256(f"{self.digest}/reduced/{share}".encode()).hexdigest()[:12]
        names = tuple(f"{self.names[i]} {height}x{width}" for i, (height, width) in kept)
        joined = self._and(_joined(copies, names, digest, self.flat.device))
        return replace(joined, reduced=len(kept), reduced_share=share)

    def with_graphics(self, share: float, *, count: int = PAGES, seed: int = 1) -> Photographs:
        """These and rendered pages (`acutance_lab.synth.graphics`), of which that share of the crops is cut.

        Args:
            share: in [0, 1); 0: as it is. count: of pages. seed: of pages; held-out ones have another.
        """
        if not share:
            return self
        eight = [i for i in range(len(self.names)) if self.deep is None or not bool(self.deep[i])]
        some = [self.picture(i) for i in eight[:: max(1, len(eight) // PASTED)]]
        drawn = rendered(count, seed, some)
        digest = hashlib.sha256(f"{self.digest}/graphics/{share}/{count}/{seed}".encode()).hexdigest()[:12]
        new = _joined(drawn, tuple(f"page-{seed}-{i}" for i in range(count)), digest, self.flat.device)
        return replace(self._and(new), pages=count, share=share)

    def _and(self, new: Photographs) -> Photographs:
        """These, then the new ones; named by the digest of the new ones."""
        deep = None
        if self.deep is not None or new.deep is not None:
            both = ((p, torch.zeros_like(p.offsets, dtype=torch.bool)) for p in (self, new))
            deep = torch.cat([none if p.deep is None else p.deep for p, none in both])
        return replace(
            self,
            flat=torch.cat((self.flat, new.flat)),
            sizes=torch.cat((self.sizes, new.sizes)),
            offsets=torch.cat((self.offsets, new.offsets + self.flat.numel())),
            names=self.names + new.names,
            digest=new.digest,
            deep=deep,
        )

    def only(self, i: int) -> Photographs:
        """The one photograph of that number."""
        one = slice(i, i + 1)
        return replace(
            self,
            sizes=self.sizes[one],
            offsets=self.offsets[one],
            names=self.names[one],
            deep=None if self.deep is None else self.deep[one],
            reduced=0,
            reduced_share=0.0,
            pages=0,
            share=0.0,
        )

    def picture(self, i: int) -> np.ndarray:
        """The photograph of that number as it was read, (H, W, 3) uint8 or uint16."""
        height, width = (int(v) for v in self.sizes[i])
        begin, count = int(self.offsets[i]), 3 * height * width
        high = self.flat[begin : begin + count].cpu().numpy().reshape(height, width, 3)
        if self.deep is None or not bool(self.deep[i]):
            return high
        low = self.flat[begin + count : begin + 2 * count].cpu().numpy().reshape(height, width, 3)
        both: np.ndarray = high.astype(np.uint16) << 8 | low
        return both

    def crops(self, n: int, size: int, generator: torch.Generator, *, candidates: int = 2) -> Tensor:
        """n random crops, flipped and turned at random: (n, 3, size, size) in [0, 1], photographs drawn by area.

        Of `candidates` drawn for each, the one with the most contrast is kept: sky and walls teach little. They are all
        of photographs or all of pages, so that pages, which have more contrast, keep to their share.
        """
        dev, m = self.flat.device, n * candidates
        which = self._drawn(n, candidates, generator)
        height, width = self.sizes[which].unbind(1)
        top = (torch.rand(m, generator=generator, device=dev) * (height - size + 1)).long()
        left = (torch.rand(m, generator=generator, device=dev) * (width - size + 1)).long()
        if candidates > 1:
            coarse = self._gather(which, top, left, torch.arange(0, size, 2, device=dev))
            contrast = coarse.diff(dim=-1).abs().mean((1, 2, 3)).reshape(n, candidates)
            best = contrast.argmax(1) + candidates * torch.arange(n, device=dev)
            which, top, left = which[best], top[best], left[best]
        x = self._gather(which, top, left, torch.arange(size, device=dev))
        turn = torch.rand(3, n, 1, 1, 1, generator=generator, device=dev) < 0.5
        x = torch.where(turn[0], x.flip(-1), x)
        x = torch.where(turn[1], x.flip(-2), x)
        return torch.where(turn[2], x.transpose(-1, -2), x)

    def _drawn(self, n: int, candidates: int, generator: torch.Generator) -> Tensor:
        """Numbers of pictures, (n candidates,): photographs by area; reduced copies and pages each as often as another.

        All candidates of one crop are of one kind: the one with more contrast is kept, and kinds keep to their shares.
        """
        m, whole = n * candidates, len(self.sizes) - self.pages - self.reduced
        area = self.sizes[:whole].prod(1).float()
        which = torch.multinomial(area, m, replacement=True, generator=generator)
        kinds = ((whole, self.reduced, self.reduced_share), (whole + self.reduced, self.pages, self.share))
        for first, count, share in kinds:
            if count:
                dev = self.flat.device
                chosen = torch.rand(n, generator=generator, device=dev) < share
                number = first + (torch.rand(m, generator=generator, device=dev) * count).long()
                which = torch.where(chosen.repeat_interleave(candidates), number, which)
        return which

    def _gather(self, which: Tensor, top: Tensor, left: Tensor, i: Tensor) -> Tensor:
        """Pixels at rows top + i and columns left + i of each picture: (m, 3, len(i), len(i)) in [0, 1]."""
        height, width = self.sizes[which].unbind(1)
        pixel = (top[:, None, None] + i[:, None]) * width[:, None, None] + left[:, None, None] + i
        channel = torch.arange(3, device=i.device)
        index = self.offsets[which][:, None, None, None] + 3 * pixel[:, None] + channel[:, None, None]
        x = self.flat[index].float() / 255
        if self.deep is not None:
            rows = self.deep[which].nonzero()[:, 0]
            low = index[rows] + (3 * height * width)[rows][:, None, None, None]
            x[rows] = (256 * self.flat[index[rows]].float() + self.flat[low].float()) / 65535
        return x


def _joined(pictures: Sequence[np.ndarray], names: tuple[str, ...], digest: str, device: torch.device) -> Photographs:
    """Pictures (H, W, 3), uint8 or uint16, in one tensor."""
    deep = torch.tensor([a.dtype == np.uint16 for a in pictures])
    parts = [part for a in pictures for part in _bytes(a)]
    lengths = torch.tensor([a.nbytes for a in pictures])
    return Photographs(
        flat=torch.from_numpy(np.concatenate(parts)).to(device),
        sizes=torch.tensor([a.shape[:2] for a in pictures]).to(device),
        offsets=(lengths.cumsum(0) - lengths).to(device),
        names=names,
        digest=digest,
        deep=deep.to(device) if bool(deep.any()) else None,
    )


def _reduced(picture: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """The picture (H, W, 3), uint8 or uint16, at a smaller size (height, width), bicubic without aliasing."""
    x = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None]
    small = F.interpolate(x, size=tuple(size), mode="bicubic", antialias=True)
    out: np.ndarray = small.round_().clamp_(0, np.iinfo(picture.dtype).max)[0].permute(1, 2, 0).numpy()
    return np.ascontiguousarray(out.astype(picture.dtype))


def _bytes(picture: np.ndarray) -> tuple[np.ndarray, ...]:
    """The samples of a picture, of 16 bits the high bytes and the low ones."""
    flat = picture.reshape(-1)
    if picture.dtype == np.uint8:
        return (flat,)
    return (flat >> 8).astype(np.uint8), (flat & 255).astype(np.uint8)


def _decode(path: Path) -> np.ndarray:
    """A photograph as (H, W, 3), uint8, or uint16 where the file has more than 8 bits."""
    try:
        if _may_be_deep(path):
            image = read_image(path)
            if image.info.bits > 8:
                x = image.pixels.clamp(0, 1).expand(-1, 3, -1, -1)[0].permute(1, 2, 0)
                return (x.numpy().astype(np.float64) * 65535).round().astype(np.uint16)
        with PillowImage.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except ImageError as error:
        raise DataError(f"{error}; or remove the file") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"cannot read {path}: {error}; remove the file or replace it") from None


def _may_be_deep(path: Path) -> bool:
    """Whether the file is a TIFF or a PNG of 16 bits: Pillow would clip or cut those to 8."""
    with path.open("rb") as file:
        head = file.read(32)
    return head.startswith(TIFF) or (head.startswith(PNG) and head[24:25] == b"\x10")
