"""Pictures of a run that are kept for people to look at: OUT/pictures/SUITE/NOISE/PICTURE-KERNEL/.

There lie blurred.png, truth.png and kernel.png where they are known, and LABEL.png of each contender, 8 bits. NOISE is
"captured" or the level in percent. In names everything but letters, digits and ``._=,-`` is "_".
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from acutance.errors import OutputError
from acutance.images import write_image
from acutance_lab.bench.case import Case, Content, Noise

FOLDER, KERNEL = "pictures", "kernel"


def place(out: Path, suite: str, noise: Noise, picture: str, kernel_name: str) -> Path:
    """The folder of a case."""
    level = "captured" if noise is None else f"{100 * noise:g}"
    return out / FOLDER / suite / level / safe(f"{picture}-{kernel_name}")


def safe(name: str) -> str:
    """A label as the name of a file."""
    return re.sub(r"[^A-Za-z0-9._=,-]", "_", name)


def keep(out: Path, case: Case, content: Content, label: str, restored: Tensor) -> None:
    """Write the pictures of a case; what was blurred and the truth only if they are not there yet.

    Raises:
        OutputError: the folder cannot be made or written.
    """
    folder = place(out, case.suite, case.noise, case.picture, case.kernel_name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; give another --out") from None
    kernel = None if content.kernel is None else content.kernel.mean(1, keepdim=True)
    shown = None if kernel is None else (kernel / kernel.max()).clamp_min(0)
    for name, pixels in (("blurred", content.observed), ("truth", content.truth), (KERNEL, shown)):
        if pixels is not None and not (folder / f"{name}.png").exists():
            write_image(folder / f"{name}.png", pixels, overwrite=True)
    if bool(torch.isfinite(restored).all()):
        write_image(folder / f"{safe(label)}.png", restored, overwrite=True)
