"""FITS files that lie, and installations without astropy: a message with a remedy, and nothing allocated."""

from __future__ import annotations

import gzip
import io
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acutance.errors import AcutanceError, ImageError, KernelError, OutputError
from acutance.images import read_fits, read_image, write_image
from acutance.images import recognise as recognition
from acutance.images import write as writing
from acutance.images.kernel_file import read_kernel
from acutance.images.mark import read_mark
from acutance.images.peek import peek_size

fits = pytest.importorskip("astropy.io.fits", reason="needs astropy: pip install 'acutance[fits]'")

MOST = 64 << 20
"""Bytes that a file of a few kilobytes may cost."""


def plain(**options: Any) -> bytes:
    file = io.BytesIO()
    hdus = [fits.PrimaryHDU(np.arange(600, dtype="f4").reshape(20, 30)), fits.ImageHDU(np.ones((20, 30)), name="X")]
    fits.HDUList(hdus).writeto(file, **options)
    return file.getvalue()


def packed(method: str = "RICE_1", **options: Any) -> bytes:
    file = io.BytesIO()
    values = (np.arange(3000) % 91).reshape(50, 60).astype("i4")
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(values, compression_type=method, **options)]).writeto(file)
    return file.getvalue()


def card(key: str, value: object, data: bytes | None = None) -> bytes:
    """A file with another value in the last card of a keyword."""
    content = plain() if data is None else data
    found = list(re.finditer(rb"(?<=\x20)?" + key.encode().ljust(8) + rb"= .{70}", content, re.DOTALL))[-1]
    new = f"{key:<8}= {value!s:>20}".ljust(80).encode()
    return content[: found.start()] + new + content[found.end() :]


def first(key: str, value: object) -> bytes:
    content = plain()
    at = content.index(key.encode().ljust(8) + b"= ")
    return content[:at] + f"{key:<8}= {value!s:>20}".ljust(80).encode() + content[at + 80 :]


def bomb() -> bytes:
    head = first("NAXIS1", 100_000)[:2880]
    return gzip.compress(head + bytes(40_000_000), 1)


def gzip_tile() -> bytes:
    """A compressed picture whose one tile unpacks to far more than its pixels."""
    content = packed("GZIP_1", tile_shape=(50, 60))
    start = content.index(b"\x1f\x8b")
    tile = gzip.compress(bytes(100_000_000), 1)
    with fits.open(io.BytesIO(content), disable_image_compression=True) as hdus:
        count = hdus[1].header["PCOUNT"]
    row = start - 8
    descriptor = len(tile).to_bytes(4, "big") + bytes(4)
    assert int.from_bytes(content[row : row + 4], "big") == count
    whole = card("PCOUNT", len(tile), content)[:row] + descriptor + tile
    return whole + bytes(-len(whole) % 2880)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "huge": (lambda: first("NAXIS1", 10**9), "cut short"),
    "beyond all numbers": (lambda: first("NAXIS2", 10**25), "cut short"),
    "negative": (lambda: first("NAXIS1", -30), "damaged"),
    "no number": (lambda: first("NAXIS2", "'twenty'"), "damaged"),
    "many axes": (lambda: first("NAXIS", 10**6), "damaged"),
    "axes missing": (lambda: first("NAXIS", 900), "damaged"),
    "bits": (lambda: first("BITPIX", 24), "BITPIX"),
    "parameters": (lambda: card("PCOUNT", 10**12), "cut short"),
    "negative parameters": (lambda: card("PCOUNT", -5), "damaged"),
    "no end": (lambda: plain().replace(b"END     ", b"        "), "no end"),
    "cut in the header": (lambda: plain()[:1000], "no end"),
    "cut in the data": (lambda: plain()[:4000], "cut short"),
    "cut in another HDU": (lambda: plain()[:-2880], "cut short"),
    "packed, cut": (lambda: gzip.compress(plain())[:-40], "cut short"),
    "packed, bomb": (bomb, "unpacks to more than"),
    "tiles, huge": (lambda: card("ZNAXIS1", 10**7, packed()), "limit"),
    "tiles, bits": (lambda: card("ZBITPIX", 10**12, packed()), "ZBITPIX"),
    "tiles, too many": (lambda: card("ZNAXIS2", 6000, packed()), "tiles"),
    "tiles, none": (lambda: card("ZTILE1", 0, packed()), "damaged"),
    "tiles, larger than packed": (lambda: card("ZNAXIS1", 200_000, packed()), "claims"),
    "tiles, bomb": (gzip_tile, "unpacks to more than its pixels"),
    "heap beyond the file": (lambda: card("PCOUNT", 10**9, packed()), "cut short"),
    "unknown compression": (lambda: packed().replace(b"'RICE_1  '", b"'MAGIC_9 '"), "funpack"),
    "another compression": (lambda: packed("HCOMPRESS_1"), "funpack"),
    "all missing": (lambda: np_file(np.full((9, 9), np.nan)), "missing"),
    "no picture": (lambda: np_file(np.ones(12)), "no HDU of it holds a picture"),
    "empty": (lambda: np_file(None), "no HDU of it holds a picture"),
}


def np_file(array: Any) -> bytes:
    file = io.BytesIO()
    fits.PrimaryHDU(array).writeto(file)
    return file.getvalue()


@pytest.mark.parametrize("name", HOSTILE)
def test_what_lies_is_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_fits, "FREE", 1 << 23)
    make, words = HOSTILE[name]
    path = tmp_path / "in.fits"
    path.write_bytes(make())
    tracemalloc.start()
    with pytest.raises(ImageError, match=words) as caught:
        read_image(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert peak < MOST
    peek_size(path)
    assert read_mark(path) is None
    with pytest.raises(KernelError):
        read_kernel(path)


@pytest.mark.parametrize("count", [10**9, -1])
def test_a_table_of_a_billion_columns_is_refused(tmp_path: Path, count: int) -> None:
    """astropy counts up to them."""
    (tmp_path / "in.fits").write_bytes(card("TFIELDS", count, packed()))
    with pytest.raises(ImageError, match="columns: damaged"):
        read_image(tmp_path / "in.fits")


def test_no_groups_of_a_huge_picture(tmp_path: Path) -> None:
    (tmp_path / "in.fits").write_bytes(card("GCOUNT", 0, card("NAXIS1", 10**6)))
    with pytest.raises(ImageError, match="claims"):
        read_image(f"{tmp_path / 'in.fits'}[X]")


@pytest.mark.parametrize("where", ["[Y]", "[7]", "[X,3]", "[*,*,2]", "[1:3,2:4]", "[]", "[X][Y]", "[*,*,0]"])
def test_a_wrong_name_is_refused(tmp_path: Path, where: str) -> None:
    (tmp_path / "in.fits").write_bytes(plain())
    with pytest.raises(ImageError, match=r"extension|plane|names no picture"):
        read_image(f"{tmp_path / 'in.fits'}{where}")


@pytest.mark.parametrize("what", ["DQ", "IVAR"])
def test_maps_that_leave_nothing_are_refused(tmp_path: Path, what: str) -> None:
    other = np.ones((8, 8), "i2") if what == "DQ" else np.zeros((8, 8))
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(np.ones((8, 8)), name="SCI"), fits.ImageHDU(other, name=what)]
    fits.HDUList(hdus).writeto(tmp_path / "in.fits")
    with pytest.raises(ImageError, match="take that extension out"):
        read_image(tmp_path / "in.fits")


@pytest.mark.parametrize("make", [plain, packed, lambda: packed("GZIP_2"), lambda: gzip.compress(plain())])
def test_damage_gives_a_result_or_a_message(tmp_path: Path, make: Callable[[], bytes]) -> None:
    rng = np.random.default_rng(0)
    for n in range(40):
        data = bytearray(make())
        for at in rng.integers(0, len(data), rng.choice([1, 4, 40])):
            data[at] = rng.integers(256)
        if n % 4 == 0:
            data = data[: rng.integers(1, len(data))]
        (tmp_path / "in.fits").write_bytes(bytes(data))
        try:
            image = read_image(tmp_path / "in.fits", max_pixels=10_000)
            write_image(tmp_path / "out.fits", image, overwrite=True)
            assert read_image(tmp_path / "out.fits").size == image.size
        except AcutanceError:  # anything else fails the test
            continue


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in.fits").write_bytes(plain())
    (tmp_path / "in.fits.gz").write_bytes(gzip.compress(plain()))
    image = read_image(tmp_path / "in.fits")
    for module in (recognition, writing):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    for name in ("in.fits", "in.fits.gz"):
        with pytest.raises(ImageError, match=r"pip install 'acutance\[fits\]'"):
            read_image(tmp_path / name)
        with pytest.raises(KernelError, match=r"pip install 'acutance\[fits\]'"):
            read_kernel(tmp_path / name)
    with pytest.raises(OutputError, match=r"pip install 'acutance\[fits\]'"):
        write_image(tmp_path / "out.fits", image)


def test_gzip_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in.gz").write_bytes(gzip.compress(b"a text"))
    with pytest.raises(ImageError, match="gunzip"):
        read_image(tmp_path / "in.gz")
