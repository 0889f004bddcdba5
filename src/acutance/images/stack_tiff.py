"""Stacks in TIFFs: plain pages, ImageJ hyperstacks, OME-TIFF, of any size up to BigTIFF. tifffile finds the series.

What the file claims is checked before tifffile believes it: tags (`acutance.images.tiff_directory`), OME-XML
(`acutance.images.ome`), then every page like that of a picture (`acutance.images.read_tiff`). Pages are decoded one
volume at a time where the whole is large.
"""

from __future__ import annotations

import math
import os
import re
import weakref
from pathlib import Path
from typing import IO, Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from acutance.errors import ImageError
from acutance.images.carried import MOST
from acutance.images.ome import OmePixels, read_ome
from acutance.images.read_tiff import NEW_SUBFILE, check_layout, refuse_raw, silent, tag_value
from acutance.images.stack import AXES, Stack, StackForm, Voxel
from acutance.images.tiff_directory import check_directories

MAX_PAGES = 32_768
"""Pages that are looked at, at most."""

KEPT = 256_000_000
"""Bytes of values up to which a stack is read whole."""

_OTHERS = (
    "lsm", "mmstack", "ndtiff", "fluoview", "stk", "sis", "svs", "scn", "qpi", "ndpi", "bif", "avs", "eer", "philips",
    "scanimage", "nih", "mdgel", "uniform",
)  # fmt: skip
"""Kinds of series that tifffile is not to look for: some open further files, all believe what the file says."""

_REDUCED = 5  # bits of NewSubfileType: a smaller copy, a mask
_X, _Y, _UNIT = 282, 283, 296
_IJ_COUNTS, _IJ_DATA, _IMAGEJ, _OME = 50838, 50839, b"ImageJ=", b"<OME"
_PALETTE, _INVERTED = 3, 0
_SAVE = "save it from Fiji as a TIFF (an ImageJ hyperstack) or OME-TIFF"


def is_tiff_stack(file: IO[bytes], path: Path) -> bool:
    """Tell a stack from a picture: grey pages of one size, without counting smaller copies and masks beside a picture.

    Args:
        file: open TIFF. path: its suffix tells raw files.

    Raises:
        Exception: whatever tifffile raises on damaged files.
    """
    check_directories(file)
    with silent(), _opened(file) as tiff:
        page = tiff.pages[0]
        refuse_raw(page, path)
        if page.samplesperpixel != 1 or page.imagedepth > 1:
            return False
        if _imagej_planes(page.description) > 1:
            return True
        for index in range(1, 8):
            try:
                other = tiff.pages[index]
            except IndexError:
                return False
            if not tag_value(other, NEW_SUBFILE) & _REDUCED:
                return bool(other.shape == page.shape and other.dtype == page.dtype)
    return False


def read_tiff_stack(path: Path, max_voxels: int) -> Stack:
    """Read a stack; the values of a large one when they are asked for.

    Args:
        path: a TIFF. max_voxels: of a volume, at most.

    Raises:
        ImageError: colour, pages of different sizes, axes that cannot be told, several images, too large, damaged.
        Exception: whatever tifffile and its codecs raise on damaged files.
    """
    file = path.open("rb")
    try:
        size = os.fstat(file.fileno()).st_size
        if check_directories(file, MAX_PAGES + 1, copies=True) > MAX_PAGES:
            raise ImageError(f"it has more than {MAX_PAGES} pages; split it by moments or channels first")
        with silent():
            tiff = _opened(file)
            page = tiff.pages[0]
            refuse_raw(page, path)
            ome = (
                read_ome(page.description.encode(), len(tiff.pages))
                if _OME in page.description.encode()[:2000]
                else None
            )
            series, notes = _series(tiff)
            axes, shape = _axes(series)
            volumes = _Pages(tiff, file, series, axes, shape)
            told = _imagej_planes(page.description)
            if told > volumes.count:
                raise ImageError(f"it has {volumes.count} of {told} planes: cut short; get an intact copy")
            _check_pages(volumes, size, max_voxels)
            stack = _stack(volumes, page, ome, notes)
            if volumes.nbytes > KEPT:
                return stack
            values = np.empty(volumes.shape, volumes.dtype.newbyteorder("="))
            for t, c in stack.places:
                values[t, c] = volumes[t, c]
    except BaseException:
        file.close()
        raise
    file.close()
    return Stack(values, stack.axes, stack.voxel, stack.channels, stack.like, stack.notes)


def _opened(file: IO[bytes]) -> Any:
    """The file for tifffile, which opens no other files."""
    flags = {f"is_{kind}": False for kind in _OTHERS}
    return tifffile.TiffFile(file, _multifile=False, **flags)


class _Pages:
    """The pages of an open file as volumes. The file is closed with the last use of this."""

    def __init__(self, tiff: Any, file: IO[bytes], series: Any, axes: str, shape: tuple[int, ...]) -> None:
        lengths = dict(zip(axes, shape, strict=True))
        self.file, self.pages, self.order = file, series.pages, axes[:-2]
        self.lengths = tuple(lengths[a] for a in self.order)
        self.shape = tuple(lengths.get(a, 1) for a in AXES)
        self.dtype: np.dtype[Any] = np.dtype(series.dtype)
        self._tiff, self._close = tiff, weakref.finalize(self, file.close)

    @property
    def count(self) -> int:
        """Planes."""
        return math.prod(self.lengths)

    @property
    def nbytes(self) -> int:
        """The bytes of all values."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def joined(self) -> bool:
        """All planes lie behind one another, and the file has a directory for the first one only."""
        return len(self.pages) == 1 < self.count

    def __getitem__(self, at: tuple[int, int]) -> NDArray[Any]:
        """(Z, Y, X)."""
        place = {"T": at[0], "C": at[1]}
        volume = np.empty(self.shape[2:], self.dtype.newbyteorder("="))
        for z in range(self.shape[2]):
            index = 0
            for axis, length in zip(self.order, self.lengths, strict=True):
                index = index * length + (z if axis == "Z" else place[axis])
            volume[z] = self._plane(index)
        return volume

    def _plane(self, index: int) -> NDArray[Any]:
        sides = self.shape[3:]
        if self.joined:
            page = self.pages[0]
            kind = np.dtype(page.parent.byteorder + page.dtype.char)
            count = math.prod(sides)
            self.file.seek(page.dataoffsets[0] + index * count * kind.itemsize)
            return np.frombuffer(self.file.read(count * kind.itemsize), kind, count).reshape(sides)
        with silent():
            page = self.pages[index]
            return np.asarray(page.asarray(maxworkers=1)).reshape(sides)


def _series(tiff: Any) -> tuple[Any, list[str]]:
    """The series that is the stack, and notes.

    Raises:
        ImageError: there are several.
    """
    notes = []
    there = [s for s in tiff.series if not tag_value(s.keyframe, NEW_SUBFILE) & _REDUCED]
    if len(there) != 1:
        raise ImageError(f"its pages are of {len(there)} sizes or kinds; {_SAVE}, all planes of one size")
    if len(there[0].levels) > 1:
        notes.append("the smaller copies beside the stack (a pyramid) were left out")
    if any(page is None for page in there[0].pages):
        raise ImageError(f"planes are missing, or lie in other files; {_SAVE}, as one file")
    return there[0], notes


def _axes(series: Any) -> tuple[str, tuple[int, ...]]:
    """Names and lengths of the axes, pages in front; what has no name is the depth.

    Raises:
        ImageError: colour, or axes that cannot be told.
    """
    pairs = list(zip(series.get_axes(False), series.get_shape(False), strict=True))
    if any(a == "S" and n > 1 for a, n in pairs):
        raise ImageError(
            "its planes are in colour; a stack has grey planes, and colours as channels: in Fiji, Image > Type > "
            "RGB Stack or Split Channels, then save it again"
        )
    pairs = [(a, n) for a, n in pairs if a in "YX" or n > 1]
    unknown = [a for a, _ in pairs if a not in AXES]
    names = "".join(a if a in AXES else "Z" for a, _ in pairs)
    if len(unknown) > 1 or len(set(names)) < len(names) or not names.endswith("YX"):
        shape = " x ".join(str(n) for _, n in pairs)
        raise ImageError(f"which of its axes ({shape}) are moments, channels and planes is not told; {_SAVE}")
    return names, tuple(n for _, n in pairs)


def _check_pages(volumes: _Pages, size: int, max_voxels: int) -> None:
    """Hold every page against the file, and the volume against the limit, before anything is decoded.

    Raises:
        ImageError: it does not fit.
    """
    voxels = math.prod(volumes.shape[2:])
    if volumes.dtype.kind not in "uif" or volumes.dtype.itemsize > 8:
        raise ImageError(f"its values are of a kind that is not restored ({volumes.dtype}); save 8, 16 or 32 bits")
    if voxels > max_voxels:
        sides = " x ".join(map(str, volumes.shape[2:]))
        raise ImageError(
            f"a volume of {sides} is {voxels / 1e6:.0f} million voxels, over the limit of {max_voxels / 1e6:g}; "
            "cut it first, or raise the limit if the memory is there"
        )
    if volumes.joined:
        page = volumes.pages[0]
        if int(page.compression) != 1 or not page.is_contiguous or page.dataoffsets[0] + volumes.nbytes > size:
            raise ImageError(
                f"it says that it has {volumes.count} planes, and has fewer: cut short; get an intact copy"
            )
    elif len(volumes.pages) != volumes.count:
        raise ImageError(f"it has {len(volumes.pages)} of {volumes.count} planes: cut short; get an intact copy")
    for page in volumes.pages:
        if page.keyframe.imagedepth > 1 or page.keyframe.samplesperpixel != 1:
            raise ImageError(f"its pages are volumes themselves, or in colour; {_SAVE}")
        check_layout(page, volumes.file, size, max_voxels)


def _stack(volumes: _Pages, page: Any, ome: OmePixels | None, notes: list[str]) -> Stack:
    """The stack that the file describes."""
    text = page.description.encode("utf-8", "replace")
    imagej = text.startswith(_IMAGEJ)
    resolution = _resolution(page)
    if ome is not None and {a: ome.sizes[a] for a in AXES} != dict(zip(AXES, volumes.shape, strict=True)):
        raise ImageError(f"its OME-XML does not fit its pages; {_SAVE}")
    if int(page.photometric) == _PALETTE:
        notes.append("the colour table was left out")
    kept = _IJ_COUNTS in page.tags and _IJ_DATA in page.tags
    if kept and page.tags[_IJ_DATA].count > MOST:
        kept = False
        notes.append("ImageJ's infos, overlays and colour tables are too large, and were left out")
    like = StackForm(
        form="OME" if ome is not None else "ImageJ" if imagej else "plain",
        text=text if len(text) <= 16 * MOST and (text or None) else None,
        order=volumes.order,
        byteorder=page.parent.byteorder,
        inverted=int(page.photometric) == _INVERTED,
        resolution=resolution,
        tags=_imagej_tags(page, volumes.file) if kept else (),
    )
    voxel = ome.voxel if ome is not None else _imagej_voxel(text.decode(), resolution) if imagej else None
    own = "".join(a for a in AXES if a in volumes.order or a in "YX")
    return Stack(volumes, own, voxel, () if ome is None else ome.channels, like, tuple(notes))


def _resolution(page: Any) -> tuple[tuple[int, int], tuple[int, int], int] | None:
    x, y = page.tags.get(_X), page.tags.get(_Y)
    try:
        (a, b), (c, d) = ((int(v) for v in tag.value) for tag in (x, y))
    except (AttributeError, TypeError, ValueError):
        return None
    return ((a, b), (c, d), tag_value(page, _UNIT, 1)) if min(a, b, c, d) > 0 else None


def _imagej_tags(page: Any, file: IO[bytes]) -> tuple[tuple[int, int, int, Any], ...]:
    """Infos, overlays, labels and colour tables, as they are."""
    counts, data = page.tags[_IJ_COUNTS], page.tags[_IJ_DATA]
    file.seek(data.valueoffset)
    value = counts.value if isinstance(counts.value, tuple) else (counts.value,)
    return ((_IJ_COUNTS, 4, len(value), value), (_IJ_DATA, 1, data.count, file.read(data.count)))


def _imagej_planes(description: str) -> int:
    found = re.search(r"^images=(\d{1,9})", description, re.MULTILINE) if description.startswith("ImageJ=") else None
    return int(found[1]) if found else 1


def _imagej_voxel(text: str, resolution: tuple[tuple[int, int], tuple[int, int], int] | None) -> Voxel | None:
    """ImageJ leaves the spacing out where it is 1, and writes pixels per unit into the resolution."""
    about = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    unit = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), about.get("unit", "")).strip()
    if resolution is None or not unit or unit.lower() in ("pixel", "pixels"):
        return None
    try:
        depth = abs(float(about.get("spacing", "1")))
    except ValueError:
        depth = 0.0
    (a, b), (c, d), _ = resolution
    return Voxel(depth if 0 < depth < math.inf else None, d / c, b / a, unit)
