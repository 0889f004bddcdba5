"""Fixtures of the tests of the laboratory: one thread, and photographs made on the fly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

NAMES = ("000.png", "001.png", "002.png", "010.png")  # the hash of its name holds the last one out


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Commands set their number of threads; tiny steps take a hundred times as long on more than there are cores."""
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    i, j = np.mgrid[:200, :210]
    for n, name in enumerate(NAMES):
        shapes = ((i // (11 + n) + j // (13 - n)) % 4) * 50
        colour = np.stack((shapes, np.roll(shapes, 5 * n, 1), 120 + 100 * np.sin(i / (9 + n) + j / 30)), -1)
        Image.fromarray(colour.clip(0, 255).astype(np.uint8)).save(folder / name)
    return folder
