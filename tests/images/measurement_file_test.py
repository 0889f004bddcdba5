"""Files of measurements: what is written is read, and nothing else is."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import pytest
import torch

from acutance.errors import ImageError, OutputError
from acutance.images.measurement_file import Measurements, matrix_hash, read_measurements, write_measurements

MEASURED = Measurements(torch.linspace(-3, 30, 33 * 6).reshape(1, 33, 2, 3), (64, 70), 3, "ab" * 32, "some-1")


@pytest.mark.parametrize(("bits", "apart"), [(16, 0.02), (32, 0.0)])
def test_round_trip(bits: int, apart: float, tmp_path: Path) -> None:
    length = write_measurements(tmp_path / "y.cs", MEASURED, bits=bits)
    assert length == (tmp_path / "y.cs").stat().st_size < 33 * 6 * bits // 8 + 500
    found = read_measurements(tmp_path / "y.cs")
    assert (found.size, found.channels, found.matrix, found.weights) == ((64, 70), 3, "ab" * 32, "some-1")
    assert found.rows == 11
    assert float((found.numbers - MEASURED.numbers).abs().max()) <= apart
    with pytest.raises(OutputError, match="exists"):
        write_measurements(tmp_path / "y.cs", MEASURED)


def test_too_large_for_16_bits(tmp_path: Path) -> None:
    large = Measurements(MEASURED.numbers * 1e5, MEASURED.size, 3, "ab" * 32)
    with pytest.raises(ImageError, match="32"):
        write_measurements(tmp_path / "y.cs", large)
    write_measurements(tmp_path / "y.cs", large, bits=32)


def test_damage_is_an_error_in_words(tmp_path: Path) -> None:
    write_measurements(tmp_path / "y.cs", MEASURED)
    raw, dice = (tmp_path / "y.cs").read_bytes(), random.Random(4)
    bad = tmp_path / "bad.cs"
    refused = 0
    for _ in range(300):
        spoilt = bytearray(raw)
        if dice.random() < 0.4:
            spoilt = spoilt[: dice.randrange(len(raw))]
        else:
            for _ in range(dice.choice((1, 4, 30))):
                spoilt[dice.randrange(min(len(raw), 330))] = dice.randrange(256)
        bad.write_bytes(bytes(spoilt))
        try:
            assert bool(torch.isfinite(read_measurements(bad).numbers).all())
        except ImageError:  # anything else fails this test
            refused += 1
    assert refused > 200


def _with(header: dict[str, str], raw: bytes) -> bytes:
    (length,) = struct.unpack("<Q", raw[:8])
    table = json.loads(raw[8 : 8 + length])
    table["__metadata__"] |= header
    text = json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + raw[8 + length :]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"format": "acutance measurements 3"}, "format"),
        ({"height": "3000000", "width": "3000000"}, "max-megapixels"),
        ({"height": "97"}, "damaged"),
        ({"channels": "2"}, "damaged"),
        ({"scale": "0"}, "damaged"),
        ({"scale": "nan"}, "damaged"),
        ({"channels": "0"}, "channels"),
        ({"width": "-70"}, "pixels"),
        ({"width": "x"}, "no file of measurements"),
    ],
)
def test_headers_that_lie(header: dict[str, str], words: str, tmp_path: Path) -> None:
    write_measurements(tmp_path / "y.cs", MEASURED)
    (tmp_path / "y.cs").write_bytes(_with(header, (tmp_path / "y.cs").read_bytes()))
    with pytest.raises(ImageError, match=words):
        read_measurements(tmp_path / "y.cs")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot read"):
        read_measurements(tmp_path / "none.cs")


def test_the_hash_is_of_float32(generator: torch.Generator) -> None:
    matrix = torch.randn(4, 1024, generator=generator)
    assert matrix_hash(matrix) == matrix_hash(matrix.double()) != matrix_hash(-matrix)
    assert len(matrix_hash(matrix)) == 64
