"""Files of records of tensors that are made for some minutes, and trained on later: each whole or not there at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from acutance.errors import DataError

R = TypeVar("R")
"""A dataclass of tensors."""


def write_shard(file: Path, records: Sequence[Any]) -> None:
    """Write dataclasses as a file, in the place of an older one."""
    unfinished = file.with_name(f".{file.name}.partial")
    torch.save([vars(each) for each in records], unfinished)
    unfinished.replace(file)


def read_shards(folder: Path, kind: type[R], fits: Callable[[R], bool], what: str) -> list[R]:
    """The records of every file in a folder, by name; those of folders in it are left out.

    Args:
        fits: whether shapes and types of a record are as they should be. what: the records are called, and their
            command, as "samples of train-estimator".

    Raises:
        DataError: there are none, or a file holds something else.
    """
    found: list[R] = []
    for file in sorted(folder.glob("*.pt")):
        try:
            records = [kind(**kept) for kept in torch.load(file, weights_only=True)]
            good = all(map(fits, records))
        except Exception:  # whatever a damaged archive raises, the answer is the same
            good, records = False, []
        if not good:
            raise DataError(f"{file} holds no {what}; remove it, and make others with --make MINUTES")
        found += records
    if not found:
        raise DataError(f"{folder} holds no {what}; make some with --make MINUTES")
    return found
