"""The mark of a result, and what the first bytes of a picture tell."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from acutance.errors import AcutanceError
from acutance.images import Image, ImageInfo, read_image, write_image
from acutance.images.mark import Mark, read_mark, with_mark
from acutance.images.peek import peek_size

ONE = Mark("0.1.0", ("deblur",), "acute", "a" * 64, "b" * 16)
TWO = Mark("0.2.0", ("denoise", "deblur"), "wiener", "c" * 64, "d" * 16)
EXIF = b"MM\0*\0\0\0\x08\0\1\1\x0f\0\2\0\0\0\6\0\0\0\x1a\0\0\0\0Maker\0"


def pictures() -> list[tuple[str, Image]]:
    x, alpha = torch.rand(1, 3, 13, 18, generator=torch.Generator().manual_seed(0)), torch.rand(1, 1, 13, 18)
    full = ImageInfo(exif=EXIF, dpi=(300.0, 300.0))
    found = [(suffix, Image(pixels, info=info)) for suffix in (".png", ".jpg", ".webp", ".tif", ".bmp")
             for pixels in (x, x[:, :1]) for info in (ImageInfo(), full)]  # fmt: skip
    found += [(suffix, Image(x, alpha)) for suffix in (".png", ".webp", ".tif")]
    deep = [(".tif", ImageInfo(bits=32, is_float=True)), (".png", ImageInfo(bits=16))]
    return [*found, *((suffix, Image(x, info=info)) for suffix, info in deep)]


@pytest.mark.parametrize(("suffix", "image"), pictures(), ids=repr)
def test_a_mark_changes_nothing_but_itself(tmp_path: Path, suffix: str, image: Image) -> None:
    plain, marked, again = (tmp_path / f"{name}{suffix}" for name in ("plain", "marked", "again"))
    write_image(plain, image)
    write_image(marked, image, mark=ONE)
    again.write_bytes(with_mark(marked.read_bytes(), TWO))
    assert [read_mark(path) for path in (plain, marked, again)] == [None, ONE, TWO]
    if suffix not in (".tif", ".bmp"):  # there the earlier line stays in the file, where nothing leads to it
        assert again.read_bytes().count(b"acutance 0.") == 1
    first, second, third = (read_image(path) for path in (plain, marked, again))
    assert torch.equal(first.pixels, second.pixels)
    assert torch.equal(first.pixels, third.pixels)
    assert first.info == second.info == third.info
    assert peek_size(plain) == peek_size(marked) == (18, 13)


def test_damaged_files_have_no_mark_and_perhaps_a_size(tmp_path: Path) -> None:
    rng, file = random.Random(3), tmp_path / "x"
    for suffix, image in pictures():
        write_image(tmp_path / f"m{suffix}", image, mark=ONE, overwrite=True)
        whole = (tmp_path / f"m{suffix}").read_bytes()
        for _ in range(30):
            data = bytearray(whole[: rng.randrange(len(whole))])
            for _ in range(rng.randrange(4)):
                if data:
                    data[rng.randrange(min(len(data), 400))] = rng.randrange(256)
            file.write_bytes(data)
            mark, size = read_mark(file), peek_size(file)
            assert mark is None or mark.method
            assert size is None or min(size) > 0
            try:
                read = read_image(file, max_pixels=10_000)
            except AcutanceError:
                continue
            assert size in (None, read.size[::-1], read.size)


@pytest.mark.parametrize(
    "line",
    [
        "acutance 0.1.0: deblur by acute",
        ONE.line.replace("deblur", "deblur\n"),
        ONE.line.replace("a" * 64, "A" * 64),
        ONE.line + "; more",
        "",
    ],
)
def test_what_is_no_mark(line: str) -> None:
    assert Mark.parse(line.encode()) is None
    assert Mark.parse(ONE.line.encode()) == ONE
