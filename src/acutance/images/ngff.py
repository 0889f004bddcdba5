"""The metadata of OME-Zarr (NGFF 0.4 and 0.5): what a folder says of itself, checked before zarr believes it.

    0.4   Zarr 2:  .zgroup, .zattrs {"multiscales": [...]}, and for each level LEVEL/.zarray
    0.5   Zarr 3:  zarr.json {"attributes": {"ome": {"version": "0.5", "multiscales": [...]}}}, LEVEL/zarr.json

Only numbers of 8 to 64 bits and the codecs of `CODECS` are read: others may run code, or decode to any size. A result
is written in the version of its source, so that it opens where the source did.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from acutance.errors import ImageError
from acutance.images.stack import AXES, NgffForm, Voxel

LONGEST = 16_000_000
"""Bytes of a file of metadata, at most."""

MOST_CHUNKS, LARGEST_CHUNK = 20_000_000, 1 << 30
"""Chunks of an array, and bytes of one of them, at most."""

MOST_LEVELS = 32

CODECS = ("bytes", "transpose", "crc32c", "blosc", "zstd", "gzip", "zlib", "lz4", "sharding_indexed")

_KINDS = {f"{k}{b}" for k in ("int", "uint") for b in (8, 16, 32, 64)} | {f"float{b}" for b in (16, 32, 64)}
_OLD_KIND = re.compile(r"[|<>][uif][1248]")
_NAME = re.compile(r"[\w. -]{1,200}(/[\w. -]{1,200}){0,8}")
_GIVE_ONE = "give the folder of one image, such as plate.zarr/A/1/0"

GROUP = {2: ".zgroup", 3: "zarr.json"}


@dataclass(frozen=True)
class ArrayForm:
    """The description of an array. Args: shape. chunks: as they are written. dtype: of the values."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Described:
    """An image of OME-Zarr. Args: form. level: folder of its largest array. array: its form. levels: how many.

    voxel, channels: see `acutance.images.stack.Stack`. notes: what was left behind.
    """

    form: NgffForm
    level: str
    array: ArrayForm
    levels: int
    voxel: Voxel | None
    channels: tuple[str, ...]
    notes: tuple[str, ...]


def is_zarr(path: Path) -> bool:
    """Tell whether a path is the folder of a Zarr group or array."""
    try:
        return path.is_dir() and any((path / name).is_file() for name in (".zgroup", ".zattrs", ".zarray", "zarr.json"))
    except OSError:
        return False


def describe(folder: Path) -> Described:
    """Read and check the metadata of an image.

    Raises:
        ImageError: no OME-Zarr of version 0.4 or 0.5, several images, axes other than t, c, z, y, x, values or codecs
            that are not read, sizes that cannot be.
    """
    version, attributes, outside = _attributes(folder)
    images = attributes.get("multiscales")
    if not isinstance(images, list) or not images or not isinstance(images[0], dict):
        raise ImageError(f"it holds no image (multiscales): {_what(folder, attributes, outside)}")
    if len(images) > 1:
        raise ImageError(f"it holds {len(images)} images in one group; {_GIVE_ONE}")
    image = images[0]
    axes = _axes(image.get("axes"))
    order = "".join(axis["name"].upper() for axis in axes)
    levels = image.get("datasets")
    if not isinstance(levels, list) or not 0 < len(levels) <= MOST_LEVELS:
        raise ImageError("it does not say where its arrays are (datasets): damaged; get an intact copy")
    level = _level(levels[0])
    array = _array(folder / level, version)
    if len(array.shape) != len(order):
        raise ImageError(f"its array has {len(array.shape)} axes and its metadata {len(order)}: damaged")
    scale, translation = _placed(levels[0].get("coordinateTransformations"), len(order))
    whole, moved = _placed(image.get("coordinateTransformations"), len(order))
    sides = dict(zip(order, array.chunks, strict=True))
    kept = {k: v for k, v in image.items() if k not in ("axes", "datasets", "coordinateTransformations", "version")}
    form = NgffForm(
        version, order, tuple(axes), (sides.get("Z", 1), sides["Y"], sides["X"]),
        tuple(a * b for a, b in zip(scale, whole, strict=True)),
        _translation(translation, whole, moved), kept,
        {k: v for k, v in attributes.items() if k not in ("multiscales", "version", "labels")}, outside,
    )  # fmt: skip
    notes = ("its labels were left out",) if (folder / "labels").exists() else ()
    return Described(form, level, array, len(levels), _voxel(form), _channels(attributes), notes)


def _attributes(folder: Path) -> tuple[Literal["0.4", "0.5"], dict[str, Any], dict[str, Any]]:
    """Version; metadata of the group; what stands beside it.

    Raises:
        ImageError: neither 0.4 nor 0.5.
    """
    if (folder / "zarr.json").is_file():
        group = load(folder / "zarr.json")
        if group.get("node_type") != "group":
            raise ImageError(f"it is a bare array, without the metadata of OME-Zarr; {_GIVE_ONE}")
        outside = group.get("attributes", {})
        ome = outside.get("ome") if isinstance(outside, dict) else None
        if not isinstance(ome, dict):
            raise ImageError("it is Zarr without the metadata of OME-Zarr; write it with its axes and voxel size")
        version = str(ome.get("version", "0.5"))
        rest = {k: v for k, v in outside.items() if k != "ome"}
    else:
        if not (folder / ".zattrs").is_file():
            raise ImageError("it is Zarr without the metadata of OME-Zarr; write it with its axes and voxel size")
        ome, rest = load(folder / ".zattrs"), {}
        images = ome.get("multiscales")
        first = images[0] if isinstance(images, list) and images and isinstance(images[0], dict) else {}
        version = str(first.get("version", "0.4"))
    if version not in ("0.4", "0.5") or (version == "0.5") != (folder / "zarr.json").is_file():
        raise ImageError(f"it is OME-Zarr {version[:20]}; 0.4 (Zarr 2) and 0.5 (Zarr 3) are read: convert it")
    return cast(Literal["0.4", "0.5"], version), ome, rest


def load(file: Path) -> dict[str, Any]:
    """The object of JSON in a file.

    Raises:
        ImageError: there is none, it is too long, or no object of JSON.
    """
    try:
        if file.is_symlink() or not file.is_file():
            raise ImageError(f"{file.name} is missing: incomplete; get an intact copy")
        if file.stat().st_size > LONGEST:
            raise ImageError(f"{file.name} is longer than {LONGEST / 1e6:.0f} MB: damaged")
        content = file.read_bytes()
    except OSError as error:
        raise ImageError(f"{file.name}: {error.strerror or error}") from None
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise ImageError(f"{file.name} is no JSON: damaged; get an intact copy") from None
    if not isinstance(found, dict):
        raise ImageError(f"{file.name} is no object of JSON: damaged; get an intact copy")
    return found


def _what(folder: Path, attributes: dict[str, Any], outside: dict[str, Any]) -> str:
    if "plate" in attributes or "well" in attributes:
        return f"it is a plate; {_GIVE_ONE}"
    if "bioformats2raw.layout" in attributes or "bioformats2raw.layout" in outside:
        return f"its images lie below; give one, such as {folder.name}/0"
    return _GIVE_ONE


def _axes(found: object) -> list[dict[str, Any]]:
    """The records of the axes.

    Raises:
        ImageError: other names than t, c, z, y, x, each once, y and x among them.
    """
    axes = found if isinstance(found, list) else []
    names = [a.get("name") if isinstance(a, dict) else a for a in axes][:10]
    plain = all(isinstance(a, dict) for a in axes) and all(isinstance(n, str) and n.upper() in AXES for n in names)
    if not plain or len(set(names)) < len(names) or not {"y", "x"} <= set(names):
        raise ImageError(f"its axes are {str(names)[:80]}; some of t, c, z, y, x are read, y and x among them")
    return cast(list[dict[str, Any]], axes)


def _level(record: object) -> str:
    """The folder of an array.

    Raises:
        ImageError: a path that leads elsewhere.
    """
    path = record.get("path") if isinstance(record, dict) else None
    if not isinstance(path, str) or not _NAME.fullmatch(path) or ".." in path.split("/") or "." in path.split("/"):
        raise ImageError(f"the path of its array is {str(path)[:80]!r}, not one inside it: damaged or hostile")
    return path


def _array(folder: Path, version: str) -> ArrayForm:
    """Read the description of an array.

    Raises:
        ImageError: see `describe`.
    """
    if version == "0.5":
        about = load(folder / "zarr.json")
        grid = about.get("chunk_grid")
        chunks = grid.get("configuration", {}).get("chunk_shape") if isinstance(grid, dict) else None
        if about.get("node_type") != "array" or about.get("storage_transformers"):
            raise ImageError("its largest level is no array that is read; save it anew")
        kind = about.get("data_type")
        fits = isinstance(kind, str) and kind in _KINDS
        codecs = about.get("codecs")
        named = _codecs(codecs) if isinstance(codecs, list) else []
    else:
        about = load(folder / ".zarray")
        chunks, kind = about.get("chunks"), about.get("dtype")
        fits = isinstance(kind, str) and _OLD_KIND.fullmatch(kind) is not None
        stages = [about.get("compressor"), *(about.get("filters") or [])]
        named = [str(c.get("id")) if isinstance(c, dict) else "?" for c in stages if c is not None]
    if not fits:
        raise ImageError(f"its values are of the kind {str(kind)[:40]}; save it with 8 to 64 bits, whole or float")
    wrong = [name for name in named if name not in CODECS]
    if wrong:
        raise ImageError(f"it is packed by {', '.join(wrong)[:80]}; read are {', '.join(CODECS)}: save it anew")
    return _checked(about.get("shape"), chunks, np.dtype(cast(str, kind)))


def _codecs(stages: list[Any]) -> list[str]:
    """Names of codecs, those inside of shards as well."""
    names: list[str] = []
    for stage in stages[:20]:
        name = stage.get("name") if isinstance(stage, dict) else stage
        names.append(str(name))
        inner = stage.get("configuration", {}) if isinstance(stage, dict) else {}
        if name == "sharding_indexed" and isinstance(inner, dict):
            for each in (inner.get("codecs"), inner.get("index_codecs")):
                names += [str(s.get("name") if isinstance(s, dict) else s) for s in (each or [])[:20]]
    return names


def _checked(shape: object, chunks: object, dtype: np.dtype[Any]) -> ArrayForm:
    """The form, if it can be.

    Raises:
        ImageError: no sizes, or sizes that cannot be.
    """
    for each in (shape, chunks):
        if (
            not isinstance(each, list)
            or not 0 < len(each) <= 5
            or not all(isinstance(n, int) and not isinstance(n, bool) and 0 < n < 2**40 for n in each)
        ):
            raise ImageError(f"its array says that its sizes are {str(each)[:80]}: damaged; get an intact copy")
    sides, parts = cast(list[int], shape), cast(list[int], chunks)
    if len(sides) != len(parts):
        raise ImageError("its array and its chunks have different axes: damaged; get an intact copy")
    count = math.prod(-(-n // c) for n, c in zip(sides, parts, strict=True))
    if count > MOST_CHUNKS:
        raise ImageError(f"it says that it has {count} chunks, over the limit of {MOST_CHUNKS}; save larger chunks")
    if math.prod(parts) * dtype.itemsize > LARGEST_CHUNK:
        raise ImageError(
            f"chunks of {' x '.join(map(str, parts))} values are over the limit of {LARGEST_CHUNK >> 20} MiB; save "
            "it with smaller ones"
        )
    return ArrayForm(tuple(sides), tuple(parts), dtype)


def _placed(found: object, count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scale and translation of a list of transformations; a translation of zero is left out."""
    scale: tuple[float, ...] = (1.0,) * count
    moved: tuple[float, ...] = ()
    for each in found[:4] if isinstance(found, list) else ():
        values = each.get(each.get("type")) if isinstance(each, dict) and isinstance(each.get("type"), str) else None
        if not isinstance(values, list) or len(values) != count or not all(isinstance(v, int | float) for v in values):
            continue
        numbers = tuple(float(v) for v in values)
        if each["type"] == "scale" and all(0 < v < math.inf for v in numbers):
            scale = numbers
        elif each["type"] == "translation" and all(math.isfinite(v) for v in numbers):
            moved = numbers
    return scale, moved


def _translation(own: tuple[float, ...], scale: tuple[float, ...], more: tuple[float, ...]) -> tuple[float, ...]:
    """The product of one scale and translation after another."""
    if not own and not more:
        return ()
    zero = (0.0,) * len(scale)
    return tuple(a * s + b for a, s, b in zip(own or zero, scale, more or zero, strict=True))


def _voxel(form: NgffForm) -> Voxel | None:
    """The size of a voxel, in the unit of x; None where no unit is told."""
    units = {n: str(a.get("unit", ""))[:40] for n, a in zip(form.order, form.axes, strict=True)}
    sides = dict(zip(form.order, form.scale, strict=True))
    if not units["X"] or units["Y"] != units["X"]:
        return None
    z = sides.get("Z")
    if z is not None and units["Z"] != units["X"]:
        mine, theirs = (Voxel(None, 1, 1, units[a]).micrometres for a in "ZX")
        z = z * mine[2] / theirs[2] if mine and theirs else None
    return Voxel(z, sides["Y"], sides["X"], units["X"])


def _channels(attributes: dict[str, Any]) -> tuple[str, ...]:
    """Names of the channels, of the omero block."""
    omero = attributes.get("omero")
    found = omero.get("channels") if isinstance(omero, dict) else None
    records = found if isinstance(found, list) else []
    names = [str(c.get("label", ""))[:200] if isinstance(c, dict) else "" for c in records[:1000]]
    return tuple(names) if any(names) else ()


def new_form(stack_axes: str, voxel: Voxel | None, channels: tuple[str, ...], chunks: tuple[int, int, int]) -> NgffForm:
    """The form of a stack that comes from no OME-Zarr: 0.5, the newest that is read."""
    kinds = {"T": "time", "C": "channel"}
    axes: list[dict[str, Any]] = [{"name": a.lower(), "type": kinds.get(a, "space")} for a in stack_axes]
    sides = {"Z": None, "Y": None, "X": None} if voxel is None else {"Z": voxel.z, "Y": voxel.y, "X": voxel.x}
    if voxel is not None:
        for axis in axes:
            if axis["type"] == "space" and sides[axis["name"].upper()] is not None:
                axis["unit"] = _UNITS.get(voxel.unit.lower(), voxel.unit)
    scale = tuple(sides.get(a) or 1.0 for a in stack_axes)
    metadata = {"omero": {"channels": [{"label": name} for name in channels]}} if channels else {}
    return NgffForm("0.5", stack_axes, tuple(axes), chunks, scale, metadata=metadata)


_UNITS = {"µm": "micrometer", "um": "micrometer", "micron": "micrometer", "microns": "micrometer", "nm": "nanometer",
          "mm": "millimeter", "pm": "picometer", "å": "angstrom", "cm": "centimeter", "m": "meter"}  # fmt: skip


def group_files(form: NgffForm, levels: int, mark: str | None) -> dict[str, bytes]:
    """The files of the group by name. Args: levels: 0, 1, ..., each half as large along y and x. mark: our own."""
    image: dict[str, Any] = {**form.image, "axes": list(form.axes), "datasets": []}
    for level in range(levels):
        factor = [2.0**level if a in "YX" else 1.0 for a in form.order]
        scale = [s * f for s, f in zip(form.scale, factor, strict=True)]
        shift = [s * (f - 1) / 2 for s, f in zip(form.scale, factor, strict=True)]
        moved = [a + b for a, b in zip(form.translation or (0.0,) * len(shift), shift, strict=True)]
        placed: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if any(moved):
            placed.append({"type": "translation", "translation": moved})
        image["datasets"].append({"path": str(level), "coordinateTransformations": placed})
    own = {} if mark is None else {"acutance": {"mark": mark}}
    if form.version == "0.4":
        attributes = {**form.metadata, **own, "multiscales": [{"version": "0.4", **image}]}
        return {".zgroup": _json({"zarr_format": 2}), ".zattrs": _json(attributes)}
    ome = {**form.metadata, "version": "0.5", "multiscales": [image]}
    attributes = {**form.outside, **own, "ome": ome}
    return {"zarr.json": _json({"zarr_format": 3, "node_type": "group", "attributes": attributes})}


def read_mark_line(folder: Path) -> str | None:
    """The line of our own mark in the metadata; None where there is none, or it cannot be read."""
    for name in ("zarr.json", ".zattrs"):
        try:
            found: Any = load(folder / name)
        except ImageError:
            continue
        own = (found.get("attributes") or {} if name == "zarr.json" else found).get("acutance")
        line = own.get("mark") if isinstance(own, dict) else None
        return line if isinstance(line, str) else None
    return None


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=2).encode() + b"\n"
