"""Small files that ask for much: refused before the memory is taken."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from imagecodecs import webp_encode

from acutance.errors import ImageError, KernelError, WeightsError
from acutance.images import Image, ImageInfo, read_image, write_image
from acutance.images.kernel_file import read_kernel
from acutance.images.tiff_directory import check_directories
from acutance.weights.store import read_weights, write_weights

REGION = bytes(range(1, 256)) * 800


def tiff(more: list[tuple[int, int, int]], order: str = "<", big: bool = False, below: int | None = None) -> bytes:
    """8 x 8 pixels of grey, and tags (code, kind, count) that all point to REGION, in a directory below if wanted."""
    entry, offset = (order + "HHQQ", order + "Q") if big else (order + "HHII", order + "I")
    body = bytearray({"<": b"II", ">": b"MM"}[order] + (struct.pack(order + "HHH", 43, 8, 0) if big else b""))
    body += b"" if big else struct.pack(order + "H", 42)
    pointer = len(body)
    body += bytes(struct.calcsize(offset)) + bytes(64)
    pixels, region = len(body) - 64, len(body)
    body += REGION

    def value(kind: int, number: int) -> int:
        if order == "<" or kind != 3:
            return number
        return number << (48 if big else 16)

    tags = [(256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, pixels),
            (277, 3, 1, 1), (278, 3, 1, 8), (279, 4, 1, 64)]  # fmt: skip
    tags = [(c, k, n, value(k, v) if k == 3 or not big or order == "<" else v << 32) for c, k, n, v in tags]
    extra = [(code, kind, count, region) for code, kind, count in more]

    def directory(entries: list[tuple[int, int, int, int]]) -> bytes:
        entries = sorted(entries, key=lambda e: e[0])
        count = struct.pack(order + ("Q" if big else "H"), len(entries))
        return count + b"".join(struct.pack(entry, *e) for e in entries) + bytes(struct.calcsize(offset))

    if below is not None:
        tags.append((below, 13 if not big else 18, 1, len(body)))
        body += directory(extra)
        extra = []
    struct.pack_into(offset, body, pointer, len(body))
    return bytes(body + directory(tags + extra))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([(270, 2, len(REGION))] * 500, "the tag 270 500 times"),
        ([(40000 + i, 2, len(REGION)) for i in range(500)], "its tags claim 102 MB"),
        ([(40000 + i, 7, len(REGION)) for i in range(2)], "its tags claim"),
        ([(270, 2, 2**31)], "its tags claim"),
        ([(40000, 16, 2**28)], "its tags claim"),
        ([(305, 2, 4)] * 2, "305 2 times"),
        ([(40000 + i, 3, 1) for i in range(5000)], "tags: damaged"),
    ],
)
@pytest.mark.parametrize("below", [None, 34665])
def test_tags_are_held_against_the_file(
    more: list[tuple[int, int, int]], words: str, order: str, big: bool, below: int | None
) -> None:
    with pytest.raises(ImageError, match=words):
        check_directories(io.BytesIO(tiff(more, order, big, below)))


@pytest.mark.parametrize("order", ["<", ">"])
def test_ordinary_tags_pass(order: str, tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    file.write_bytes(tiff([(40000, 7, len(REGION))], order))
    assert read_image(file).size == (8, 8)


def test_a_tiff_of_duplicate_tags_takes_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    file.write_bytes(tiff([(270, 2, len(REGION))] * 500))
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="500 times"):
            read_image(file)
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()
    with pytest.raises(KernelError, match="500 times"):
        read_kernel(file)


def test_directories_that_lead_nowhere_or_to_themselves() -> None:
    first = b"II*\0\x08\0\0\0"
    nowhere = b"II*\0" + struct.pack("<I", 2**31)
    big = b"II+\0\x08\0\0\0" + b"\xff" * 8
    for data in (b"", b"II*\0", nowhere, first, big, first + b"\0\0\x08\0\0\0", first + b"\xff\0"):
        check_directories(io.BytesIO(data))


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(*chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [header, *chunks, chunk(b"IDAT", zlib.compress(bytes(72))), chunk(b"IEND", b"")]
    )


def test_only_the_first_profile_is_unpacked(tmp_path: Path) -> None:
    profile = chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1 << 22)))
    (tmp_path / "a.png").write_bytes(png(*[profile] * 200))
    begun = time.process_time()
    image = read_image(tmp_path / "a.png")
    assert time.process_time() - begun < 1
    assert image.info.notes.count("second iCCP chunk left out") == 1


def test_the_tags_of_an_exif_block_are_held_against_it(tmp_path: Path) -> None:
    count, length = 300, 50_000
    at = 10 + 12 * count + 4
    entries = b"".join(struct.pack("<HHII", 40000 + i, 7, length, at) for i in range(count))
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", count) + entries + bytes(4 + length)
    image = Image(torch.rand(1, 1, 8, 8), info=ImageInfo(exif=block))
    assert "damaged EXIF left out" in write_image(tmp_path / "a.tif", image)


def test_one_colour_on_many_megapixels(tmp_path: Path) -> None:
    (tmp_path / "page.webp").write_bytes(webp_encode(np.full((3000, 2000, 3), 255, np.uint8), lossless=True, level=0))
    assert read_image(tmp_path / "page.webp").size == (3000, 2000)
    packed = bytearray(webp_encode(np.zeros((64, 64, 3), np.uint8), lossless=True))
    at = packed.index(b"VP8L") + 9
    packed[at : at + 4] = (9999 | 9999 << 14).to_bytes(4, "little")
    (tmp_path / "bomb.webp").write_bytes(packed)
    with pytest.raises(ImageError, match="10000 x 10000 pixels in"):
        read_image(tmp_path / "bomb.webp")


def test_tensors_stretched_over_one_number(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1).as_strided((200_000, 20_000), (0, 0))}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="'a' claims more numbers"):
        read_weights(tmp_path / "a.pth")


def test_weights_are_those_of_their_card(tmp_path: Path) -> None:
    write_weights(tmp_path / "a.safetensors", {"x": torch.zeros(3)}, {"name": "a"})
    assert read_weights(tmp_path / "a.safetensors").card["name"] == "a"
    card = (tmp_path / "a.json").read_text()
    write_weights(tmp_path / "a.safetensors", {"x": torch.ones(3)}, {"name": "a"})
    (tmp_path / "a.json").write_text(card)
    with pytest.raises(WeightsError, match=r"not the file that its card a\.json describes"):
        read_weights(tmp_path / "a.safetensors")
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(WeightsError, match="no valid JSON"):
        read_weights(tmp_path / "a.safetensors")
