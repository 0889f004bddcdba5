"""EXIF: reading and resetting the orientation in place, and moving EXIF in and out of TIFF tags.

A block is handled as bytes that start with a TIFF header. Resetting happens in place, so that maker notes, whose
pointers must not move, survive.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from threading import RLock
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, TiffImagePlugin
from PIL import Image as PillowImage

from acutance.images.tiff_directory import check_directories

ORIENTATION = 0x0112
MAKE, MODEL = 0x010F, 0x0110
EXIF_POINTER = 0x8769
GPS_POINTER = 0x8825
# Tags of a TIFF's first directory that say something of the photograph and not of the file's layout.
DESCRIPTIVE = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)

# `warnings.catch_warnings` is not safe between threads; ours at least wait for one another.
_warnings_lock = RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Pillow's warnings on odd metadata to ourselves."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def upright(exif: bytes) -> tuple[int, bytes]:
    """Orientation (1..8, 1 where absent or senseless) of a block, and the block with 1 in it and no thumbnail."""
    block = bytearray(exif)
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 14:
        return 1, exif
    orientation = 1
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, number, value = struct.unpack_from(order + "HHIH", block, entry)
            if tag == ORIENTATION and kind == 3 and number == 1:
                orientation = value if 1 <= value <= 8 else 1
                struct.pack_into(order + "H", block, entry + 8, 1)
        struct.pack_into(order + "I", block, start + 2 + 12 * count, 0)  # the next directory holds the thumbnail
    except struct.error:
        pass  # cut short: what was found so far counts
    return orientation, bytes(block)


def names_a_camera(exif: bytes | None) -> bool:
    """Whether the first directory of a block has the tag Make or Model, as cameras and scanners write it."""
    order = {b"II": "<", b"MM": ">"}.get((exif or b"")[:2])
    if exif is None or order is None:
        return False
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        tags = {struct.unpack_from(order + "H", exif, start + 2 + 12 * i)[0] for i in range(count)}
    except struct.error:
        return False
    return bool(tags & {MAKE, MODEL})


def without_prefix(exif: bytes | None) -> bytes | None:
    """A block as JPEG and some WebP carry it, without its "Exif" prefix; None where nothing is left."""
    if exif is None:
        return None
    block = exif.removeprefix(b"Exif\0\0")
    return block if block[:2] in (b"II", b"MM") else None


def orient(array: NDArray[np.generic], orientation: int) -> NDArray[np.generic]:
    """Turn (H, W, C) as EXIF orientation 1..8 says it is to be shown."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array


@dataclass(frozen=True)
class TiffExif:
    """EXIF as a TIFF holds it: text tags of the first directory, and directories of their own by pointer tag."""

    texts: dict[int, bytes]
    directories: dict[int, TiffImagePlugin.ImageFileDirectory_v2]


def from_tiff(file: IO[bytes]) -> bytes | None:
    """EXIF block made of an open TIFF's tags, None where there is nothing to keep.

    Raises:
        Exception: whatever Pillow makes of damaged tags; the caller decides that a note will do.
    """
    check_directories(file)
    file.seek(0)
    found, kept = PillowImage.Exif(), PillowImage.Exif()
    with quiet():
        found.load_from_fp(file)
        for tag in DESCRIPTIVE:
            value = found.get(tag)
            # Some programs keep the layout of their stacks in the description, which is not true of what we write.
            if isinstance(value, str) and not value.startswith(("ImageJ=", '{"shape"', "<?xml")):
                kept[tag] = value
        for pointer in (EXIF_POINTER, GPS_POINTER):
            directory = found.get_ifd(pointer)
            directory.pop(ExifTags.IFD.Interop, None)  # a pointer into the file it came from
            if directory:
                kept.get_ifd(pointer).update(directory)
        if not len(kept) and not any(kept.get_ifd(pointer) for pointer in (EXIF_POINTER, GPS_POINTER)):
            return None
        kept[ORIENTATION] = 1
        return without_prefix(kept.tobytes())


def to_tiff(exif: bytes) -> TiffExif:
    """Take a block apart for a TIFF; directories that cannot be read are left out."""
    check_directories(BytesIO(exif))
    found = PillowImage.Exif()
    texts: dict[int, bytes] = {}
    directories: dict[int, TiffImagePlugin.ImageFileDirectory_v2] = {}
    with quiet():
        found.load_from_fp(BytesIO(exif))
        for tag in DESCRIPTIVE:
            value = found.get(tag)
            if isinstance(value, str) and value:
                texts[tag] = value.encode("utf-8", "replace")
        for pointer in (EXIF_POINTER, GPS_POINTER):
            values = found.get_ifd(pointer)
            values.pop(ExifTags.IFD.Interop, None)
            if values:
                directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0", group=pointer)
                for tag, value in values.items():
                    directory[tag] = value
                directory.tobytes()  # what cannot be packed is found here and not with the file half made
                directories[pointer] = directory
    return TiffExif(texts, directories)
