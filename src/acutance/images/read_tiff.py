"""TIFF in: 1 to 64 bits, integer and float, grey, colour, palette, CMYK, L*a*b*, YCbCr. tifffile does the strips.

Everything the file claims is held against its size before anything is allocated: an uncompressed picture cannot be
larger than its file, and a compressed one not larger than its compression can make of its bytes.
"""

from __future__ import annotations

import logging
import math
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import PurePath
from threading import get_ident
from typing import IO, Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from acutance.errors import ImageError
from acutance.images import convert, exif
from acutance.images.carried import Carried
from acutance.images.decoded import Decoded, check_size, sound_dpi
from acutance.images.recognise import RAW_REMEDY, refuse_raw_suffix
from acutance.images.tiff_directory import check_directories

_MINISWHITE, _MINISBLACK, _RGB, _PALETTE, _MASK, _SEPARATED, _YCBCR, _CIELAB, _ICCLAB = 0, 1, 2, 3, 4, 5, 6, 8, 9
_RAW_PHOTOMETRIC = (32803, 34892)  # colour filter array, linear raw
_JPEG = 7
# Compression -> the most bytes one packed byte can become; 0 where that is unbounded and only max_pixels holds.
_GROWTH = {1: 1, 2: 0, 3: 0, 4: 0, 5: 3000, _JPEG: 0, 8: 1032, 32946: 1032, 32773: 128, 34925: 0, 50000: 0}
_SAVE_AGAIN = "save it again as an ordinary grey or RGB TIFF, LZW- or Deflate-compressed"
_SPLIT = (
    "split it first, e.g. tiffsplit in.tif page- or magick in.tif page-%d.tif (or restore a stack of grey planes as it "
    "is, with its point-spread function: acutance.restore_stack)"
)
_INCH_PER_UNIT = {2: 1.0, 3: 2.54}
NEW_SUBFILE, _MAKE, _ORIENTATION, _X_RESOLUTION, _Y_RESOLUTION, _UNIT = 254, 271, 274, 282, 283, 296
_XMP, _IPTC, _IJ_METADATA = 700, 33723, 50839
_SUB_IFDS, _INK_SET, _ICC, _DNG_VERSION, _SOFTWARE = 330, 332, 34675, 50706, 305


@contextmanager
def silent() -> Iterator[None]:
    """Drop what tifffile logs from this thread on odd files: it is either an error of ours or no matter."""
    thread = get_ident()

    def others(record: logging.LogRecord) -> bool:
        return record.thread != thread

    loggers = [logging.getLogger(name) for name in ("tifffile", "imagecodecs")]
    for logger in loggers:
        logger.addFilter(others)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(others)


def read_tiff(file: IO[bytes], path: PurePath, size: int, max_pixels: int) -> Decoded:
    """Decode a TIFF of one page.

    Args:
        file: open at any position.
        path: only its suffix is used, to recognise raw files.
        size: bytes in the file.
        max_pixels: refuse more than that, before decoding.

    Raises:
        ImageError: too many pixels, several pages, raw, a kind that is not read, damaged.
        Exception: whatever tifffile and its codecs raise on damaged files.
    """
    refuse_raw_suffix(path)
    check_directories(file)
    with silent(), tifffile.TiffFile(file) as tiff:
        page = tiff.pages[0]
        refuse_raw(page, path)
        _refuse_stack(tiff, page)
        check_layout(page, file, size, max_pixels)
        samples: NDArray[np.generic] = page.asarray(squeeze=False, maxworkers=1)
        # (planes, 1, H, W, samples) -> (H, W, C): one of planes and samples is 1
        samples = np.moveaxis(samples[:, 0], 0, -1).reshape(page.imagelength, page.imagewidth, -1)
        decoded = _interpret(page, samples)
        _add_metadata(page, decoded)
    try:
        decoded.exif = exif.from_tiff(file)
    except Exception:  # Pillow raises many kinds on damaged tags, and the picture is intact
        decoded.notes.append("damaged EXIF left out")
    return decoded


def _of_booleans(page: Any) -> bool:
    """Recognise an array of booleans: tifffile says that white is zero, but True was 1 for whoever wrote it."""
    software = page.tags.get(_SOFTWARE)
    return bool(page.bitspersample == 1 and software is not None and str(software.value).startswith("tifffile"))


def tag_value(page: Any, code: int, default: int = 0) -> int:
    """The first whole number of a tag; `default` where there is none."""
    tag = page.tags.get(code)
    value = default if tag is None else tag.value
    value = value[0] if isinstance(value, tuple) and value else value
    return int(value) if isinstance(value, int) else default


def _bytes(page: Any, code: int) -> bytes | None:
    """A tag's value as bytes; None where it is absent or something else. Old programs store IPTC as long numbers."""
    tag = page.tags.get(code)
    value = None if tag is None else tag.value
    if isinstance(value, tuple) and value and all(isinstance(v, int) and 0 <= v < 2**32 for v in value):
        value = struct.pack(f"{page.parent.byteorder}{len(value)}I", *value)
    return value if isinstance(value, bytes) else None


def refuse_raw(page: Any, path: PurePath) -> None:
    """Refuse the TIFFs of cameras, whose first page is a small preview.

    Raises:
        ImageError: it is one.
    """
    refuse_raw_suffix(path)
    preview = tag_value(page, NEW_SUBFILE) & 1 and _MAKE in page.tags and _SUB_IFDS in page.tags
    if _DNG_VERSION in page.tags or int(page.photometric) in _RAW_PHOTOMETRIC or preview:
        raise ImageError(f"it is a camera raw file; {RAW_REMEDY}")


def _refuse_stack(tiff: Any, page: Any) -> None:
    """Several pages of full size, or a volume. Thumbnails and masks beside the picture do not count."""
    pages = 1
    for index in range(1, 16):
        try:
            other = tiff.pages[index]
        except IndexError:
            break
        pages += not tag_value(other, NEW_SUBFILE) & 5
    if pages > 1:
        raise ImageError(f"it has {'several' if pages > 9 else pages} pages; {_SPLIT}")
    description = page.description
    planes = re.search(r"^images=(\d{1,9})", description, re.MULTILINE) if description.startswith("ImageJ=") else None
    if page.imagedepth > 1 or (planes is not None and int(planes[1]) > 1):
        raise ImageError(f"it is a stack of planes, not a picture; {_SPLIT}")


def check_layout(place: Any, file: IO[bytes], size: int, max_pixels: int) -> None:
    """Hold what a page claims against the file's size and the limit, before decoding.

    Args:
        place: a page of tifffile, or a frame: a place for samples that are laid out like those of another page.
        file, size, max_pixels: see `read_tiff`.

    Raises:
        ImageError: too many pixels or channels, an unusual kind, damaged.
    """
    page = place.keyframe
    bits = page.bitspersample
    if not isinstance(bits, int) or page.dtype is None or page.dtype.kind not in "uifb" or bits > 64:
        raise ImageError(f"its samples are of an unusual kind ({bits} bits); {_SAVE_AGAIN}")
    width, height, samples, compression = page.imagewidth, page.imagelength, page.samplesperpixel, int(page.compression)
    bytes_per_pixel = samples * page.dtype.itemsize
    if samples < 1 or samples > 4:
        check_size(width, height, max_pixels)
        raise ImageError(f"it has {samples} channels; give grey or RGB, with or without alpha")
    check_size(width, height, max_pixels, bytes_per_pixel)
    if compression not in _GROWTH:
        raise ImageError(f"its compression ({page.compression!s}) is not read; {_SAVE_AGAIN}")
    if page.is_tiled:
        across, down = page.tilewidth, page.tilelength
    else:
        across, down = width, min(page.rowsperstrip, height)
    if across < 1 or down < 1 or across * down > width * height + 2**22 or getattr(page, "tiledepth", 1) > 1:
        raise ImageError(f"it claims tiles of {across} x {down} pixels: damaged; get an intact copy")

    planes = samples if int(page.planarconfig) == 2 else 1
    count = math.ceil(width / across) * math.ceil(height / down) * planes
    offsets, lengths = place.dataoffsets, place.databytecounts
    if len(offsets) < count or len(lengths) < count:
        raise ImageError(f"it has {len(offsets)} of {count} strips: damaged; get an intact copy")
    segments = list(zip(offsets[:count], lengths[:count], strict=True))
    if any(start <= 0 or length <= 0 or start + length > size for start, length in segments):
        raise ImageError("it is cut short; get an intact copy")
    growth, packed = _GROWTH[compression], sum(length for _, length in segments)
    rows = height * planes * ((width * samples // planes * bits + 7) // 8)
    if growth and rows > packed * growth:
        raise ImageError(f"it claims {width} x {height} pixels in {packed} bytes: damaged; get an intact copy")
    if compression == _JPEG:
        for start, length in segments:
            file.seek(start)
            _check_jpeg(file.read(length), across * down)


def _check_jpeg(data: bytes, pixels: int) -> None:
    """Refuse a JPEG strip whose own header claims far more than its strip: that is what would be allocated."""
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], struct.unpack_from(">H", data, position + 2)[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, position + 5)
            if width * height > 2 * pixels + 2**16:
                raise ImageError("a strip claims more pixels than it may have: damaged; get an intact copy")
        if marker == 0xDA:
            return
        position += 2 + length


def _interpret(page: Any, samples: NDArray[np.generic]) -> Decoded:
    """Samples as stored to colours and alpha."""
    bits, photometric, notes = page.bitspersample, int(page.photometric), list[str]()
    kind, count = samples.dtype.kind, samples.shape[2]
    is_float = kind in "fi" or bits > 16
    if is_float:
        if samples.dtype != np.float32:
            notes.append(f"{bits}-bit {'float' if kind == 'f' else 'integers'} read as 32-bit float")
        samples, peak, depth = samples.astype(np.float32, copy=False), 1.0, 32
    else:
        samples = samples.astype(np.uint8, copy=False) if kind == "b" else samples
        peak, depth = float(2**bits - 1), 8 if bits <= 8 else 16
        if bits not in (8, 16) and photometric != _PALETTE:
            notes.append(f"{bits} bits expanded to {depth}")
    decoded = Decoded("TIFF", samples, peak, depth, is_float=is_float, notes=notes, alpha_peak=peak)

    if photometric in (_MINISWHITE, _MINISBLACK, _MASK, _RGB):
        _split_alpha(page, decoded)
        if photometric == _MINISWHITE and not is_float and not _of_booleans(page):
            decoded.colour = np.asarray(peak - decoded.colour.astype(np.float32))
    elif is_float:
        raise ImageError(f"float samples of kind {page.photometric!s}; {_SAVE_AGAIN}")
    elif photometric == _PALETTE and count == 1 and page.colormap is not None:
        table = (np.asarray(page.colormap) >> 8).astype(np.uint8)  # (3, 2^bits), always of 16 bits
        decoded.colour, decoded.peak, decoded.bits = table[:, np.minimum(samples[..., 0], table.shape[1] - 1)], 255.0, 8
        decoded.colour = np.moveaxis(decoded.colour, 0, -1)
        notes.append("palette expanded to 8-bit colour")
    elif photometric == _SEPARATED and count == 4 and tag_value(page, _INK_SET, 1) == 1 and bits in (8, 16):
        profile = page.tags.get(_ICC)
        decoded.colour, note = convert.cmyk_to_srgb(samples, None if profile is None else bytes(profile.value))
        decoded.peak, decoded.icc = 1.0, convert.srgb_profile()
        notes.append(note)
    elif photometric in (_CIELAB, _ICCLAB) and count == 3 and bits in (8, 16):
        decoded.colour, decoded.peak = _lab(samples, photometric == _CIELAB), 1.0
        decoded.icc = convert.srgb_profile()
        notes.append("L*a*b* converted to sRGB")
    elif photometric == _YCBCR and count == 3:
        if int(page.compression) != _JPEG:  # tifffile has converted those
            decoded.colour, decoded.peak = convert.ycbcr_to_rgb(samples.astype(np.float32) / np.float32(peak)), 1.0
        notes.append("YCbCr converted to RGB")
    else:
        raise ImageError(f"its colours are of kind {page.photometric!s} with {count} channels; {_SAVE_AGAIN}")
    return decoded


def _split_alpha(page: Any, decoded: Decoded) -> None:
    samples, declared = decoded.colour, tuple(int(extra) for extra in page.extrasamples)
    if samples.shape[2] == 3 and declared:
        raise ImageError(f"it has grey and {len(declared)} more channels; give grey or RGB, with or without alpha")
    if samples.shape[2] not in (2, 4):
        return
    decoded.colour, decoded.alpha = samples[..., :-1], samples[..., -1]
    if declared == (1,):
        peak = np.float32(decoded.peak)
        alpha = decoded.alpha.astype(np.float32) / peak
        colour = convert.unmultiply(decoded.colour.astype(np.float32) / peak, alpha)
        decoded.colour = colour if decoded.is_float else np.minimum(colour, 1)
        decoded.peak = 1.0
        decoded.notes.append("colours divided by the alpha they were multiplied by")
    elif declared != (2,):
        decoded.notes.append(f"channel {samples.shape[2]} taken for alpha")


def _lab(samples: NDArray[np.generic], signed: bool) -> convert.Floats:
    """8 or 16 bits of L*a*b* to sRGB: a and b signed (CIELAB) or around the middle (ICCLAB)."""
    bits = 8 * samples.dtype.itemsize
    unit = np.float32(2 ** (bits - 8))
    chroma = samples[..., 1:].view(f"i{bits // 8}") if signed else samples[..., 1:]
    shifted = chroma.astype(np.float32) / unit - (0 if signed else 128)
    lightness = samples[..., 0].astype(np.float32) * np.float32(100 / (2**bits - 1))
    return convert.lab_to_srgb(lightness, shifted[..., 0], shifted[..., 1])


def _add_metadata(page: Any, decoded: Decoded) -> None:
    orientation = tag_value(page, _ORIENTATION, 1)
    decoded.orientation = orientation if 1 <= orientation <= 8 else 1
    profile = page.tags.get(_ICC)
    if decoded.icc is None and profile is not None and isinstance(profile.value, bytes):
        decoded.icc = profile.value
    xmp, iptc = (_bytes(page, code) for code in (_XMP, _IPTC))
    text = page.description
    microscope = text.encode("utf-8", "replace") if text.startswith("ImageJ=") or "<OME" in text[:1000] else None
    if _IJ_METADATA in page.tags:
        decoded.notes.append("ImageJ's infos, overlays and colour tables left out")
    decoded.carried = Carried(xmp=xmp, iptc=iptc, microscope=microscope)
    inches = _INCH_PER_UNIT.get(tag_value(page, _UNIT, 2))
    x, y = page.tags.get(_X_RESOLUTION), page.tags.get(_Y_RESOLUTION)
    if x is None or y is None:
        return
    try:
        (a, b), (c, d) = x.value, y.value
        found = sound_dpi(a / b * (inches or 1), c / d * (inches or 1))
    except (TypeError, ValueError, ZeroDivisionError):
        return
    if inches is not None:
        decoded.dpi = found
    elif found != (1, 1):
        across = found[::-1] if found is not None and decoded.orientation >= 5 else found
        decoded.carried = replace(decoded.carried, resolution=across)
