"""Encoders: samples and metadata to the bytes of a file. What a format cannot hold is left out, with a note."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image as PillowImage

from acutance.images.carried import Carried, fitting_description, photoshop_segment, xmp_chunk
from acutance.images.exif import TiffExif, to_tiff
from acutance.images.image import Format
from acutance.images.png import encode_png

DEPTHS: dict[Format, tuple[int, ...]] = {
    "PNG": (8, 16), "JPEG": (8,), "WEBP": (8,), "TIFF": (8, 16, 32), "BMP": (8,), "FITS": (8, 16, 32),
}  # fmt: skip
"""Bits of a sample that each format has which is written."""

KINDS = {"xmp": "XMP", "iptc": "IPTC", "comment": "comment", "texts": "texts"}
KINDS |= {"microscope": "description by the microscope (pixel size, unit, channels)"}
KINDS |= {"resolution": "resolution without a unit"}
MICROSCOPE = ("microscope", "resolution")
JPEG_QUALITY = 95
WEBP_QUALITY = 95
_MAX_JPEG_EXIF = 65533 - 6
_ADOBE_DEFLATE = 8
_XMP, _IPTC, _DESCRIPTION = 700, 33723, 270
_MAX_JPEG_XMP = 65533 - 29


@dataclass
class Samples:
    """What an encoder is given, and the notes it adds to.

    Attributes:
        colour: (H, W, 1 or 3) of the file's dtype.
        alpha: (H, W) of the same dtype, or None.
        others: as in `ImageInfo`.
    """

    colour: NDArray[np.generic]
    alpha: NDArray[np.generic] | None
    lossless: bool
    exif: bytes | None
    icc: bytes | None
    dpi: tuple[float, float] | None
    colour_chunks: tuple[tuple[bytes, bytes], ...]
    carried: Carried = field(default_factory=Carried)
    notes: list[str] = field(default_factory=list)

    def interleaved(self) -> NDArray[np.generic]:
        """(H, W), or (H, W, channels and alpha)."""
        if self.alpha is not None:
            return np.concatenate([self.colour, self.alpha[..., None]], axis=-1)
        return np.ascontiguousarray(self.colour[..., 0] if self.colour.shape[-1] == 1 else self.colour)

    def drop(self, format_name: str, *kinds: str) -> None:
        """Say which of the kinds of carried metadata the format cannot hold, if they are there."""
        lost = [KINDS[kind] for kind in kinds if getattr(self.carried, kind)]
        if lost:
            self.notes.append(f"{' and '.join(lost)} left out: {format_name} has no place for them")

    def drop_alpha(self, format_name: str) -> None:
        """Leave alpha out, with a note."""
        if self.alpha is not None:
            self.alpha = None
            self.notes.append(f"alpha left out: {format_name} has none")


def png(samples: Samples) -> bytes:
    """PNG of 8 or 16 bits."""
    samples.drop("PNG", "iptc", *MICROSCOPE)
    texts, carried = list(samples.carried.texts), samples.carried
    if carried.comment is not None:
        texts.append((b"tEXt", b"Comment\0" + carried.comment.replace(b"\0", b" ")))
    if carried.xmp is not None:
        texts.append((b"iTXt", xmp_chunk(carried.xmp)))
    return encode_png(
        samples.interleaved(),
        exif_block=samples.exif,
        icc=samples.icc,
        dpi=samples.dpi,
        colour_chunks=samples.colour_chunks,
        texts=tuple(texts),
    )


def jpeg(samples: Samples) -> bytes:
    """JPEG of quality 95, chroma at full resolution (4:4:4)."""
    samples.drop_alpha("JPEG")
    options: dict[str, Any] = {"quality": JPEG_QUALITY, "subsampling": 0, "icc_profile": samples.icc}
    if samples.dpi is not None:
        options["dpi"] = samples.dpi
    if samples.exif is not None:
        if len(samples.exif) <= _MAX_JPEG_EXIF:
            options["exif"] = b"Exif\0\0" + samples.exif
        else:
            samples.notes.append("EXIF left out: it is too long for JPEG")
    carried = samples.carried
    for name, content, most in (("xmp", carried.xmp, _MAX_JPEG_XMP), ("comment", carried.comment, 65533)):
        if content is not None and len(content) <= most:
            options[name] = content
        elif content is not None:
            samples.notes.append(f"{KINDS[name]} left out: it is too long for JPEG")
    segment = None if carried.iptc is None else photoshop_segment(carried.iptc)
    if segment is not None:
        options["extra"] = segment
    elif carried.iptc is not None:
        samples.notes.append("IPTC left out: it is too long for JPEG")
    samples.drop("JPEG", "texts", *MICROSCOPE)
    return _pillow(samples, "JPEG", options)


def webp(samples: Samples) -> bytes:
    """WebP, lossless unless the picture came from a lossy one; that of quality 95."""
    if samples.dpi is not None:
        samples.notes.append("resolution left out: WebP has none")
    options: dict[str, Any] = {"lossless": samples.lossless, "quality": 75 if samples.lossless else WEBP_QUALITY}
    options |= {"exact": True, "method": 4, "icc_profile": samples.icc, "exif": samples.exif or b""}
    options |= {"xmp": samples.carried.xmp or b""}
    samples.drop("WebP", "iptc", "comment", "texts", *MICROSCOPE)
    if samples.colour.shape[-1] == 1:
        samples.notes.append("grey written as colour: WebP has no grey")
        samples.colour = np.repeat(samples.colour, 3, axis=-1)
    return _pillow(samples, "WEBP", options)


def bmp(samples: Samples) -> bytes:
    """BMP of 8 bits."""
    samples.drop_alpha("BMP")
    lost = [name for name, value in (("EXIF", samples.exif), ("colour profile", samples.icc)) if value is not None]
    if lost:
        samples.notes.append(f"{' and '.join(lost)} left out: BMP has none")
    samples.drop("BMP", "xmp", "iptc", "comment", "texts", *MICROSCOPE)
    return _pillow(samples, "BMP", {} if samples.dpi is None else {"dpi": samples.dpi})


def _pillow(samples: Samples, name: str, options: dict[str, Any]) -> bytes:
    file = BytesIO()
    PillowImage.fromarray(samples.interleaved()).save(file, name, **options)
    return file.getvalue()


def tiff(samples: Samples) -> bytes:
    """TIFF of 8, 16 bits or 32-bit float, Deflate with the predictor of its kind."""
    picture, colour = samples.interleaved(), samples.colour.shape[-1] == 3
    options: dict[str, Any] = {
        "photometric": "rgb" if colour else "minisblack",
        "planarconfig": "contig",
        "compression": _ADOBE_DEFLATE,
        "predictor": 3 if picture.dtype.kind == "f" else 2,
        "metadata": None,
        "software": False,
        "iccprofile": samples.icc,
    }
    if samples.alpha is not None:
        options["extrasamples"] = ["unassalpha"]
    if samples.dpi is not None:
        options |= {"resolution": samples.dpi, "resolutionunit": "inch"}
    elif samples.carried.resolution is not None:
        options |= {"resolution": samples.carried.resolution, "resolutionunit": "none"}
    tags: list[tuple[int, int | str, int, Any, bool]] = [(274, 3, 1, 1, True)]
    exif = _tiff_exif(samples)
    for code, content in ((_XMP, samples.carried.xmp), (_IPTC, samples.carried.iptc)):
        if content is not None:
            tags.append((code, 1, len(content), content, True))
    samples.drop("TIFF", "comment", "texts")
    texts = {**exif.texts, **_description(samples, picture)}
    tags += [(code, 2, len(text) + 1, text + b"\0", True) for code, text in texts.items()]
    file = BytesIO()
    tifffile.imwrite(file, picture, byteorder="<", extratags=tags, **options)
    data = file.getvalue()
    if not exif.directories:
        return data
    if not data.startswith(b"II*\0") or len(data) > 2**32 - 2**20:
        samples.notes.append("EXIF left out: it cannot be put into a TIFF of 4 GB")
        return data
    return _with_directories(bytearray(data), exif)


def _description(samples: Samples, picture: NDArray[np.generic]) -> dict[int, bytes]:
    """The tag ImageDescription with what a microscope wrote, if it did."""
    microscope = samples.carried.microscope
    if microscope is None:
        return {}
    kind = {"uint8": "uint8", "uint16": "uint16"}.get(picture.dtype.name, "float")
    text = fitting_description(microscope, picture.shape[1], picture.shape[0], kind)
    if text is None:
        samples.notes.append("OME-XML left out: it is about several files")
        return {}
    return {_DESCRIPTION: text}


def _tiff_exif(samples: Samples) -> TiffExif:
    if samples.exif is None:
        return TiffExif({}, {})
    try:
        return to_tiff(samples.exif)
    except Exception:  # Pillow raises many kinds on damaged EXIF, which must not cost the picture
        samples.notes.append("damaged EXIF left out")
        return TiffExif({}, {})


def _with_directories(data: bytearray, exif: TiffExif) -> bytes:
    """Add directories of EXIF, which tifffile does not write: they and a new first directory go to the end."""
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    entries = [bytes(data[at : at + 12]) for at in range(first + 2, first + 2 + 12 * count, 12)]
    for pointer, directory in exif.directories.items():
        data += bytes(len(data) % 2)
        entries.append(struct.pack("<HHII", pointer, 4, 1, len(data)))
        data += directory.tobytes(len(data))
    data += bytes(len(data) % 2)
    struct.pack_into("<I", data, 4, len(data))
    entries.sort(key=lambda entry: int.from_bytes(entry[:2], "little"))
    return bytes(data) + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)


ENCODERS = {"PNG": png, "JPEG": jpeg, "WEBP": webp, "TIFF": tiff, "BMP": bmp}
"""FITS has its own: `acutance.images.write_fits`."""
