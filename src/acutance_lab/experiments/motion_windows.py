"""Windows of blurred pictures with their sharp ones: real, as a pair of videos has them, and synthetic.

Synthetic ones are made of the *sharp frames of the pairs*, at the very places that the real ones are cut from, so that
both show the same subject and differ in the blur and the camera alone; and of photographs, as training makes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from acutance.errors import DataError
from acutance.images import read_image
from acutance.tensors import crop
from acutance_lab.bench.pairs import Pair, content, pairs
from acutance_lab.data.photographs import find
from acutance_lab.synth import DynamicBlur

GRID = 8
"""Windows start at multiples of it in the file, so that a file's own JPEG blocks lie as those of synthetic ones do."""

TOGETHER = 8
"""Photographs blurred in one batch; objects of one are cut out of another."""

Heard = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Windows:
    """N windows of S x S pixels.

    Args:
        sharp, blurred: (N, 3, S, S) in [0, 1].
        groups: of each what it is held out with, a scene. pictures: of each the picture that it is from.
        places: of each (left, top) in its picture, pixels.
    """

    sharp: Tensor = field(repr=False)
    blurred: Tensor = field(repr=False)
    groups: tuple[str, ...]
    pictures: tuple[str, ...]
    places: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.groups)

    def of(self, group: str) -> Windows:
        """Those of one group."""
        rows = [i for i, name in enumerate(self.groups) if name == group]
        return Windows(
            self.sharp[rows],
            self.blurred[rows],
            tuple(self.groups[i] for i in rows),
            tuple(self.pictures[i] for i in rows),
            tuple(self.places[i] for i in rows),
        )


@dataclass(frozen=True)
class Frame:
    """A pair of files, the group that it is held out with, and a name that no other has."""

    pair: Pair
    group: str
    name: str


def frames(folders: Sequence[Path]) -> list[Frame]:
    """The pairs of folders, see `acutance_lab.bench.pairs.pairs`; by scene, or each alone if there is one scene.

    Raises:
        DataError: a folder without pairs, a picture without partner, two folders of one name, a single pair.
    """
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        raise DataError(f"--pairs: two folders are named {max(names, key=names.count)!r}; give folders of other names")
    found = []
    for folder, name in zip(folders, names, strict=True):
        for pair in pairs(folder):
            scene = pair.blurred.parents[1]
            group = name if scene == folder else f"{name}/{scene.name}"
            found.append(Frame(pair, group, f"{group}/{pair.blurred.stem}"))
    if len(found) < 2:
        raise DataError(f"{found[0].pair.blurred} is the only pair; give at least two, of two scenes if there are any")
    if len({frame.group for frame in found}) == 1:
        found = [Frame(frame.pair, frame.name, frame.name) for frame in found]
    return found


def from_frames(
    given: Sequence[Frame],
    blurs: Mapping[str, DynamicBlur],
    *,
    count: int,
    side: int,
    seed: int,
    heard: Heard,
) -> tuple[Windows, dict[str, Windows]]:
    """Windows at random places of each frame: as they are, and as each of the blurs makes them of the sharp frame.

    Args:
        count: windows of a frame. side: theirs, pixels. heard: told the name of each frame that is done.

    Returns:
        The real ones, and by name of the blur the synthetic ones, of the same places in the same order. Movements are
        the same with every blur that draws the same number of objects.

    Raises:
        DataError: a frame too small, or a pair of two sizes. ImageError: a file that cannot be used, by name.
    """
    margin = max(blur.margin() for blur in blurs.values())
    real: list[Windows] = []
    made: dict[str, list[Windows]] = {name: [] for name in blurs}
    for frame in given:
        pair = content(frame.pair)
        assert pair.truth is not None, "a pair has both"
        sharp, observed = _colour(pair.truth), _colour(pair.observed)
        generator = _generator(seed, frame.name)
        at = places(sharp, count, side, margin, generator, str(frame.pair.sharp))
        groups, pictures = (frame.group,) * count, (frame.name,) * count
        real.append(Windows(cut(sharp, at, side), cut(observed, at, side), groups, pictures, at))
        wide = cut(sharp, at, side, margin)
        for name, blur in blurs.items():
            spare = margin - blur.margin()
            example = blur(crop(wide, spare, spare), _generator(seed, f"{frame.name}/blur"))
            made[name].append(Windows(example.sharp, example.problem.observed, groups, pictures, at))
        heard(frame.name)
    return joined(real), {name: joined(parts) for name, parts in made.items()}


def from_photographs(
    folder: Path, blur: DynamicBlur, groups: Sequence[str], *, count: int, side: int, seed: int, heard: Heard
) -> Windows:
    """One synthetic window of each of `count` photographs, or of fewer if there are fewer.

    Args:
        groups: those of the real windows; photographs are held out with them in turn.

    Raises:
        DataError: no photograph that is large enough. ImageError: a file that cannot be used, by name.
    """
    margin, least = blur.margin(), side + 2 * blur.margin() + GRID
    files = find(folder, validation=False)
    order = torch.randperm(len(files), generator=_generator(seed, "photographs")).tolist()
    cuts: list[Tensor] = []
    names: list[str] = []
    spots: list[tuple[int, int]] = []
    for i in order:
        if len(cuts) == count:
            break
        picture = _colour(read_image(files[i]).pixels)
        if min(picture.shape[-2:]) >= least:
            at = places(picture, 1, side, margin, _generator(seed, files[i].name), str(files[i]))
            cuts.append(cut(picture, at, side, margin))
            names.append(files[i].name)
            spots += at
            heard(files[i].name)
    if len(cuts) < len(groups):
        raise DataError(
            f"{len(cuts)} photographs below {folder} have {least} pixels a side; give at least {len(groups)} of "
            "them, or a smaller --window"
        )
    parts = []
    for n in range(0, len(cuts), TOGETHER):
        rows = range(n, min(n + TOGETHER, len(cuts)))
        example = blur(torch.cat(cuts[n : n + TOGETHER]), _generator(seed, f"batch {n}"))
        held = tuple(groups[i % len(groups)] for i in rows)
        parts.append(
            Windows(example.sharp, example.problem.observed, held, tuple(names[i] for i in rows),
                    tuple(spots[i] for i in rows))
        )  # fmt: skip
    return joined(parts)


def places(
    picture: Tensor, count: int, side: int, margin: int, generator: torch.Generator, name: str
) -> tuple[tuple[int, int], ...]:
    """(left, top) of `count` windows that leave a margin, multiples of `GRID`.

    Raises:
        DataError: a picture that is too small.
    """
    first = -(-margin // GRID)
    steps = [(size - margin - side) // GRID - first + 1 for size in (picture.shape[-1], picture.shape[-2])]
    if min(steps) < 1:
        raise DataError(
            f"{name} has {picture.shape[-1]}x{picture.shape[-2]} pixels; a window of {side} with a margin of {margin} "
            f"wants {side + 2 * margin + GRID} a side, give larger pictures or a smaller --window"
        )
    x, y = (GRID * (first + torch.randint(n, (count,), generator=generator)) for n in steps)
    return tuple(zip(x.tolist(), y.tolist(), strict=True))


def cut(picture: Tensor, at: Sequence[tuple[int, int]], side: int, margin: int = 0) -> Tensor:
    """Windows of a picture (1, 3, H, W), with a margin around them: (n, 3, side + 2 margin, side + 2 margin)."""
    whole = side + 2 * margin
    found = [picture[..., y - margin : y - margin + whole, x - margin : x - margin + whole] for x, y in at]
    return torch.cat(found)


def joined(parts: Sequence[Windows]) -> Windows:
    """All of them."""
    return Windows(
        torch.cat([part.sharp for part in parts]),
        torch.cat([part.blurred for part in parts]),
        tuple(name for part in parts for name in part.groups),
        tuple(name for part in parts for name in part.pictures),
        tuple(place for part in parts for place in part.places),
    )


def _colour(pixels: Tensor) -> Tensor:
    """(1, 3, H, W) of a picture that may be grey."""
    return pixels.float().clamp(0, 1).expand(-1, 3, -1, -1)


def _generator(seed: int, name: str) -> torch.Generator:
    """Drawn from a name, so that a picture gives the same whatever others are there."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
