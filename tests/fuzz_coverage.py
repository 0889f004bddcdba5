"""Coverage-guided fuzzing of the readers of foreign files: each byte string is read, or refused by an error of ours.

    pip install atheris
    python tests/fuzz_coverage.py picture CORPUS -max_total_time=600
    python tests/fuzz_coverage.py kernel|table|measurements|weights|pth CORPUS -runs=100000

Options after the corpus, a folder of its own, are libFuzzer's. An empty corpus is filled with the intact files of
`fuzz_damage`. A finding is any other exception, 30 seconds, or 2.5 GB for one; its bytes go to the working folder.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import atheris
import imagecodecs  # noqa: F401 (loaded before, so that only our own code is instrumented)
import safetensors.torch  # noqa: F401
import tifffile  # noqa: F401
import torch
from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, TiffImagePlugin  # noqa: F401

with atheris.instrument_imports(include=["acutance.images", "acutance.weights"]):
    from acutance.errors import AcutanceError
    from acutance.images import read_image
    from acutance.images.kernel_file import read_kernel
    from acutance.images.mark import read_mark
    from acutance.images.measurement_file import Measurements, read_measurements, write_measurements
    from acutance.images.peek import peek_size
    from acutance.weights.store import read_weights

from fuzz_damage import formats

PIXELS = 1_000_000
MEMORY = ("-rss_limit_mb=2500", "-timeout=30", "-max_len=200000", "-print_final_stats=1")


def picture(file: Path) -> None:
    """All that looks at a picture before and while it is read."""
    peek_size(file)
    read_mark(file)
    read_image(file, max_pixels=PIXELS)


def kernel(file: Path) -> None:
    """A blur kernel."""
    read_kernel(file)


def measurements(file: Path) -> None:
    """A `.cs` file."""
    read_measurements(file, max_pixels=PIXELS)


def weights(file: Path) -> None:
    """Weights in a safetensors file."""
    read_weights(file)


READERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "picture": (picture, ""),
    "kernel": (kernel, ""),
    "table": (kernel, ".txt"),
    "measurements": (measurements, ".cs"),
    "weights": (weights, ".safetensors"),
    "pth": (weights, ".pth"),
}


def seed(corpus: Path, role: str) -> None:
    """Fill an empty corpus with intact files."""
    corpus.mkdir(parents=True, exist_ok=True)
    if any(corpus.iterdir()):
        return
    if role == "measurements":
        write_measurements(corpus / "seed.cs", Measurements(torch.rand(1, 12, 2, 2), (40, 48), 3, "0" * 64))
        return
    wanted = {"table": "kernel", "pth": "weights"}.get(role, role)
    suffixes = {"table": (".txt", ".csv"), "pth": (".pth",), "weights": (".safetensors",)}.get(role)
    for number, each in enumerate(formats().values()):
        fits = suffixes is None or Path(each.file).suffix in suffixes
        if each.role == wanted and fits and len(each.content) < 200_000:
            (corpus / f"seed-{number}").write_bytes(each.content)


def main() -> None:
    """Fuzz one reader until libFuzzer is done."""
    if len(sys.argv) < 3 or sys.argv[1] not in READERS:
        sys.exit(__doc__)
    read, suffix = READERS[sys.argv[1]]
    seed(Path(sys.argv[2]), sys.argv[1])
    shared = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path("/tmp")
    file = shared / f"acutance-fuzz-{os.getpid()}{suffix}"
    warnings.simplefilter("ignore")

    def one(data: bytes) -> None:
        file.write_bytes(data)
        with suppress(AcutanceError):
            read(file)

    atheris.Setup([sys.argv[0], *sys.argv[2:], *MEMORY], one)
    try:
        atheris.Fuzz()
    finally:
        file.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
