"""Pictures of the experiments about Golf: a blurred and a sharp one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from acutance_lab.bench import pairs


@dataclass(frozen=True, eq=False)
class Case:
    """One picture. Args: source: where it is from. name. observed, sharp: y and s, (1, 3, H, W) in [0, 1]."""

    source: str
    name: str
    observed: Tensor
    sharp: Tensor


def from_pairs(folder: Path, count: int) -> Iterator[Case]:
    """The first `count` pairs [SCENE/]blurred/NAME with [SCENE/]sharp/NAME below a folder.

    Raises:
        DataError: there are none, or they do not fit. ImageError: a picture that cannot be read, or is grey.
    """
    for pair in pairs.pairs(folder)[:count]:
        content = pairs.content(pair)
        assert content.truth is not None
        yield Case(folder.name, pair.name, content.observed.float(), content.truth.float())
