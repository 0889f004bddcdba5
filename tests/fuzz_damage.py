"""Intact files of every kind that the command reads, and ways to damage them. Equal seeds make equal files."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
import torch
from astropy.io import fits
from fuzz_bytes import ANY, Damage, bits
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from acutance.methods.rgdn import build
from acutance.weights import write_weights

HEIGHT, WIDTH = 40, 48


def picture(kind: str) -> NDArray[Any]:
    """A picture with edges, (H, W, 3), in the range of the dtype."""
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    wave = 0.5 + 0.3 * np.sin(rows / 5)[..., None] * np.cos(cols[..., None] / np.array([4.0, 6.0, 9.0]))
    wave[10:24, 12:30] = (0.9, 0.2, 0.4)
    return wave.astype("f4") if kind == "f4" else (wave * np.iinfo(kind).max).astype(kind)


def by_pillow(form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture("u1")).save(stream, form, **options)
    return stream.getvalue()


def tiff(array: NDArray[Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, metadata=None, **options)
    return stream.getvalue()


def kernel() -> NDArray[np.float32]:
    k = np.zeros((5, 7), "f4")
    k[1, 1:5], k[1:4, 4] = (1, 2, 3, 2), (2, 4, 1)
    return np.asarray(k / k.sum(), "f4")


def array_file(save: Callable[[io.BytesIO], Any]) -> bytes:
    stream = io.BytesIO()
    save(stream)
    return stream.getvalue()


def table(delimiter: str) -> bytes:
    return array_file(lambda s: np.savetxt(s, kernel(), fmt="%.6g", delimiter=delimiter))


def weights_files() -> dict[str, bytes]:
    """A small network with its card, and one of the published size as its authors store it, which has no card."""
    torch.manual_seed(1)
    ours, whole = (build(features=features).state_dict() for features in (6, 64))
    theirs = {"prior": "CNNOptimizer", "adapter": "GradAdj", "scaler": "GradScaler"}
    released = {theirs[k.partition(".")[0]] + "." + k.partition(".")[2]: v for k, v in whole.items()}
    pth = array_file(lambda stream: torch.save(released, stream))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "w.safetensors"
        write_weights(file, ours, {"name": "small", "model": {"features": 6}})
        return {"safetensors": file.read_bytes(), "card": file.with_suffix(".json").read_bytes(), "pth": pth}


@dataclass(frozen=True)
class Format:
    """A kind of file: where it goes in the command, and what is damaged in it besides what is damaged in all."""

    name: str
    role: str  # picture, kernel, mask or weights
    file: str
    content: bytes
    damages: tuple[Damage, ...] = ()


# -- damage that knows the format -------------------------------------------------------------------------------------

HUGE = (0, 1, 0x7FFF, 0xFFFF, 60_000, 1_000_000, 0x7FFFFFFF, 0xFFFFFFFF)


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, at = [], 8
    while at + 12 <= len(data):
        n = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + n]))
        at += 12 + n
    return chunks


def png_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    parts = [
        len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big") for name, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_dimension(data: bytes, source: random.Random) -> bytes:
    (name, body), *rest = png_chunks(data)
    sides = [source.choice((*HUGE, WIDTH)), source.choice((*HUGE, HEIGHT))]
    return png_of([(name, struct.pack(">II", *sides) + body[8:]), *rest])


def png_kind(data: bytes, source: random.Random) -> bytes:
    """Depth, colour type, compression, filter or interlacing of the header, checksum right."""
    (name, body), *rest = png_chunks(data)
    changed = bytearray(body)
    changed[source.randrange(8, 13)] = source.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    return png_of([(name, bytes(changed)), *rest])


def png_order(data: bytes, source: random.Random) -> bytes:
    """Chunks shuffled, dropped or doubled, checksums right."""
    chunks = png_chunks(data)
    source.shuffle(chunks)
    if source.random() < 0.5:
        chunks.insert(0, png_chunks(data)[0])
    return png_of(chunks[: source.randint(1, len(chunks))])


def png_inside(data: bytes, source: random.Random) -> bytes:
    """Damage inside a chunk, checksum right; the pixels get damaged before compression half of the time."""
    chunks = png_chunks(data)
    i = source.randrange(len(chunks) - 1)
    name, body = chunks[i]
    if name == b"IDAT" and body[:1] == b"\x78" and source.random() < 0.5:  # the first one, if there are several
        body = zlib.compress(source.choice(ANY)(zlib.decompressobj().decompress(body), source))
    elif body:
        body = source.choice(ANY)(body, source)
    chunks[i] = (name, body)
    return png_of(chunks)


def at_marker(marker: bytes, offset: int, form: str) -> Damage:
    """Extreme numbers at a distance from the first of `marker`."""

    def dimension(data: bytes, source: random.Random) -> bytes:
        at = data.find(marker)
        if at < 0:
            return bits(data, source)
        at += offset
        top = (1 << (8 * struct.calcsize(form[:2]))) - 1
        values = [min(source.choice(HUGE), top) for _ in form[1:]]
        packed = struct.pack(form, *values)
        return data[:at] + packed + data[at + len(packed) :]

    return dimension


def tiff_entry(data: bytes, source: random.Random) -> bytes:
    """Tag, type, count or value of one entry of the directory."""
    changed = bytearray(data)
    start = int.from_bytes(data[4:8], "little")
    entries = int.from_bytes(data[start : start + 2], "little")
    at = start + 2 + 12 * source.randrange(entries)
    offset, size = source.choice(((0, 2), (2, 2), (4, 4), (8, 4)))
    top = (1 << (8 * size)) - 1
    changed[at + offset : at + offset + size] = min(source.choice((*HUGE, 3, 5, 7, 8, 256)), top).to_bytes(
        size, "little"
    )
    return bytes(changed)


NUMBERS = (
    b"0",
    b"-1",
    b"nan",
    b"inf",
    b"1e400",
    b"-1e30",
    b"1e-40",
    b"99999999",
    b"9" * 400,
    b"",
    b"x",
    b"1,5",
    b"\x00",
)


def number(data: bytes, source: random.Random) -> bytes:
    """One or all numbers of a text become something else."""
    found = list(re.finditer(rb"[0-9][0-9.e+-]*", data))
    if not found:
        return bits(data, source)
    value = source.choice(NUMBERS)
    if source.random() < 0.2:
        return re.sub(rb"[0-9][0-9.e+-]*", lambda _: value, data)
    one = source.choice(found)
    return data[: one.start()] + value + data[one.end() :]


def lines(data: bytes, source: random.Random) -> bytes:
    """Ragged, transposed, doubled or endless lines, and other encodings."""
    rows = data.split(b"\n")
    match source.randrange(6):
        case 0:
            rows[source.randrange(len(rows))] += b" 0.5 0.5"
        case 1:
            rows *= source.choice((2, 300, 30_000))
        case 2:
            rows = [row * source.choice((2, 2000)) for row in rows]
        case 3:
            return data.decode("latin-1").encode(source.choice(("utf-16", "utf-32", "utf-8-sig")))
        case 4:
            return data.replace(b"\n", source.choice((b"\r", b"\r\n", b"\n\n\n", b"", b";")))
        case _:
            rows.insert(source.randrange(len(rows)), source.choice((b"# comment", b"psf = [", b"\xff\xfe\x00", b"---")))
    return b"\n".join(rows)


def npy_header(data: bytes, source: random.Random) -> bytes:
    """Another shape, type or order in a header of the right length."""
    text = source.choice(
        (
            f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({source.choice(HUGE)}, {source.choice(HUGE)})}}",
            "{'descr': '<f4', 'fortran_order': True, 'shape': (7, 5)}",
            "{'descr': '|O', 'fortran_order': False, 'shape': (5, 7)}",
            "{'descr': '<c16', 'fortran_order': False, 'shape': (2, 4)}",
            "{'descr': '<U99999', 'fortran_order': False, 'shape': (5, 7)}",
            "{'descr': [('a', '<f4'), ('b', '<f4')], 'fortran_order': False, 'shape': (2, 7)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-5, -7)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': ()}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1," * 70 + ")}",
            "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (2, 2)}",
            "(" * 60,
            "__import__('os').abort()",
        )
    )
    version = source.choice((1, 1, 1, 2, 3, 9))
    head = text.encode() + b" " * 20 + b"\n"
    size = len(head).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes((version, 0)) + size + head + data[128:]


def zip_inside(inner: tuple[Damage, ...]) -> Damage:
    """A member of the archive damaged, its checksum right; or members dropped, renamed, blown up."""

    def damage(data: bytes, source: random.Random) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
        i = source.randrange(len(members))
        name, body = members[i]
        method = zipfile.ZIP_STORED
        match source.randrange(8):
            case 0:
                members.pop(i)
            case 1:
                members[i] = (source.choice(("../../escaped.npy", "/escaped.npy", "psf.npy", "k", "")), body)
            case 2:
                members[i], method = (name, body + bytes(source.choice((10**6, 5 * 10**7)))), zipfile.ZIP_DEFLATED
            case 3:
                members.append((name + "2", body))
            case _ if body:
                members[i] = (name, source.choice((*ANY, *inner))(body, source))
        stream = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as archive:
            warnings.simplefilter("ignore")  # two members of one name are meant
            for each, content in members:
                archive.writestr(each or "x", content)
        return stream.getvalue()

    return damage


def mat_dimension(data: bytes, source: random.Random) -> bytes:
    """Numbers of the elements behind the 128 bytes of the header."""
    at = 128 + 4 * source.randrange(16)
    return data[:at] + struct.pack("<I", source.choice((*HUGE, 5, 7, 9, 14, 15))) + data[at + 4 :]


def safetensors_header(data: bytes, source: random.Random) -> bytes:
    """Shapes, types and offsets in a header of the right length."""
    n = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + n])
    name = source.choice([k for k in head if k != "__metadata__"])
    entry = head[name]
    match source.randrange(8):
        case 0:
            entry["shape"] = [source.choice((0, -1, 2**31, 2**62, 10**30, "6"))] * source.randint(0, 5)
        case 1:
            entry["dtype"] = source.choice(("F64", "F16", "BF16", "I8", "BOOL", "U64", "F8_E4M3", "X", 3, None))
        case 2:
            entry["data_offsets"] = [source.choice((0, -4, 2**63, 4)), source.choice((0, 2**63, 24, 10**6))]
        case 3:
            head.pop(name)
        case 4:
            head[source.choice(("", "x" * 10_000, "prior.main.0.bias", name.upper()))] = head.pop(name)
        case 5:
            head = {k: v for k, v in head.items() if k == "__metadata__"}
        case 6:
            head[name] = source.choice(([], None, 1, {}, {"dtype": "F32"}))
        case _:
            entry["shape"] = entry["shape"][::-1] if len(set(entry["shape"])) > 1 else [*entry["shape"], 1]
    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + n :]


def weights_values(data: bytes, source: random.Random) -> bytes:
    """Not finite, or enormous, in the tensors themselves."""
    n = 8 + int.from_bytes(data[:8], "little")
    values = np.frombuffer(data[n:], "<f4").copy() if (len(data) - n) % 4 == 0 else np.zeros(1, "<f4")
    value = source.choice((np.nan, np.inf, -np.inf, 3e38, -1e20, 1e-45))
    values[source.randrange(len(values))] = value
    if source.random() < 0.5:
        with np.errstate(all="ignore"):
            values *= np.float32(source.choice((1e10, -1.0, 0.0)))
    return data[:n] + values.tobytes()


def card(data: bytes, source: random.Random) -> bytes:
    """Other JSON, and settings of the model that no model has."""
    whole = json.loads(data)
    values: tuple[Any, ...] = (
        None,
        0,
        -1,
        1e9,
        10**9,
        10**30,
        "6",
        True,
        [],
        {},
        [1],
        float("nan"),
        5,
        7,
        6.5,
        "paper",
        "x" * 1000,
    )
    match source.randrange(7):
        case 0:
            whole["model"] = source.choice(values)
        case 1:
            whole["model"]["features"] = source.choice(values)
        case 2:
            whole["model"][
                source.choice(("form", "steps", "threshold", "tile", "device", "weights", "precision", "x"))
            ] = source.choice(values)
        case 3:
            whole["name"] = source.choice((None, 3, [], "[red]x[/", "\x1b[2J", "a\nb", "x" * 10_000))
        case 4:
            whole["sha256"] = source.choice((None, 3, "0" * 64))
        case 5:
            return json.dumps(source.choice(values)).encode()
        case _:
            return b'{"a":' * source.choice((10, 100_000)) + b"1" + b"}" * 10
    return json.dumps(whole).encode()


def float_value(data: bytes, source: random.Random) -> bytes:
    """Four aligned bytes become an extreme float."""
    at = 4 * source.randrange(len(data) // 4)
    value = source.choice((float("nan"), float("inf"), -3e38, 3e38, 1e-45, -1.0))
    return data[:at] + struct.pack("<f", value) + data[at + 4 :]


def fits_file(array: NDArray[Any], packed: str = "", *, zipped: bool = False) -> bytes:
    """A FITS file with a picture, flags and an uncertainty; compressed where `packed` names how."""
    hdu = fits.CompImageHDU(array, compression_type=packed, name="SCI") if packed else fits.ImageHDU(array, name="SCI")
    flags = (array > np.quantile(array, 0.99)).astype("i2")
    maps = [fits.ImageHDU(flags, name="DQ"), fits.ImageHDU(np.full(array.shape, 9, "f4"), name="ERR")]
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu, *maps]).writeto(stream)
    return gzip.compress(stream.getvalue()) if zipped else stream.getvalue()


def fits_card(data: bytes, source: random.Random) -> bytes:
    """Another number in a card of a header."""
    cards = list(re.finditer(rb"([A-Z0-9]{1,8}) *= +(-?\d+)(?= )", data))
    if not cards:
        return bits(data, source)
    chosen = source.choice(cards)
    values = (0, -1, 1, 2, 7, 16, 24, 255, 10**6, 2**31, 10**12, 10**19)
    value = str(source.choice(values)).rjust(chosen.end(2) - chosen.start(2))
    return data[: chosen.end(2) - len(value)] + value.encode() + data[chosen.end(2) :]


def formats() -> dict[str, Format]:
    """Every kind of file that is damaged, by name."""
    png = (png_dimension, png_kind, png_order, png_inside)
    grey = (kernel() / kernel().max() * 255).astype("u1")
    u1, u2, f4, k = picture("u1"), picture("u2"), picture("f4"), kernel()
    jpeg = at_marker(b"\xff\xc0", 5, ">HH")
    bmp, gif, webp = (
        at_marker(b"BM", 18, "<ii".upper()),
        at_marker(b"GIF8", 6, "<HH"),
        at_marker(b"\x9d\x01\x2a", 3, "<HH"),
    )
    rgb: dict[str, Any] = {"photometric": "rgb"}
    found = [
        Format("png 8", "picture", "p.png", by_pillow("PNG", dpi=(72, 72)), png),
        Format("png 16", "picture", "p.png", bytes(imagecodecs.png_encode(u2)), png),
        Format("jpeg", "picture", "p.jpg", by_pillow("JPEG", exif=Image.Exif(), icc_profile=b"x" * 99), (jpeg,)),
        Format("webp", "picture", "p.webp", by_pillow("WEBP"), (webp,)),
        Format("tiff 8", "picture", "p.tif", tiff(u1, **rgb, compression="lzw"), (tiff_entry,) * 3),
        Format("tiff 16", "picture", "p.tif", tiff(u2, **rgb, compression="zlib", predictor=True), (tiff_entry,) * 3),
        Format("tiff float", "picture", "p.tif", tiff(f4, **rgb), (tiff_entry, tiff_entry, float_value)),
        Format("bmp", "picture", "p.bmp", by_pillow("BMP"), (bmp,)),
        Format("gif", "picture", "p.gif", by_pillow("GIF"), (gif,)),
        Format("fits", "picture", "p.fits", fits_file(f4[..., 0] * 900), (fits_card, fits_card, float_value)),
        Format("fits rice", "picture", "p.fits", fits_file(u2[..., 0], "RICE_1"), (fits_card,) * 3),
        Format("fits gzip", "picture", "p.fits", fits_file(f4[..., 0] * 900, "GZIP_2"), (fits_card,) * 3),
        Format("fits plio", "picture", "p.fits", fits_file(u1[..., 0].astype("i2"), "PLIO_1"), (fits_card,) * 3),
        Format("fits zipped", "picture", "p.fits.gz", fits_file(u2[..., 0], zipped=True), (bits,)),
        Format("kernel fits", "kernel", "k.fits", fits_file(k), (fits_card, fits_card, float_value)),
        Format("kernel png", "kernel", "k.png", bytes(imagecodecs.png_encode(grey)), png),
        Format("kernel tiff", "kernel", "k.tif", tiff(k), (tiff_entry, tiff_entry, float_value)),
        Format("kernel npy", "kernel", "k.npy", array_file(lambda s: np.save(s, k)), (npy_header, npy_header)),
        Format(
            "kernel npz",
            "kernel",
            "k.npz",
            array_file(lambda s: np.savez(s, psf=k, x=k)),
            (zip_inside((npy_header,)),) * 3,
        ),
        Format("kernel txt", "kernel", "k.txt", table(" "), (number, number, lines, lines)),
        Format("kernel csv", "kernel", "k.csv", table(","), (number, number, lines, lines)),
        Format(
            "kernel mat", "kernel", "k.mat", array_file(lambda s: savemat(s, {"psf": k, "x": 1})), (mat_dimension,) * 3
        ),
    ]
    kept = u1[..., 0] > 60
    found += [
        Format("mask png", "mask", "m.png", bytes(imagecodecs.png_encode(kept.astype("u1") * np.uint8(255))), png),
        Format("mask npy", "mask", "m.npy", array_file(lambda s: np.save(s, kept)), (npy_header, npy_header)),
        Format(
            "mask npz",
            "mask",
            "m.npz",
            array_file(lambda s: np.savez_compressed(s, mask=kept)),
            (zip_inside((npy_header,)),) * 3,
        ),
    ]
    weights = weights_files()
    found += [
        Format(
            "weights", "weights", "w.safetensors", weights["safetensors"], (safetensors_header,) * 3 + (weights_values,)
        ),
        Format("weights card", "weights", "w.json", weights["card"], (card, card, card, card, number)),
        Format("weights pth", "weights", "w.pth", weights["pth"], (zip_inside(()),) * 3),
    ]
    return {each.name: each for each in found}


def damaged(each: Format, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """`count` damaged files of one format, the intact one first; every kind of damage in turn."""
    yield "intact", each.content
    kinds = (*each.damages, *ANY)
    for i in range(count):
        source = random.Random(f"{seed}/{each.name}/{i}")
        damage = kinds[i % len(kinds)]
        data = damage(each.content, source)
        yield f"{damage.__name__} {i}", data if data != each.content else bits(data, source)
