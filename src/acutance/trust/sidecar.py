"""The side-car of a result: a JSON file from which the result can be made again, bit for bit, on a like machine.

    out.acutance.json      beside out.png: the input with its SHA-256, kernel, mask and weights likewise, every setting,
                           what the run found, the versions and the machine, the hashes of the result

A side-car may come from anybody. `read` checks every field; names are those of plain files, never paths.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal

import numpy as np
from torch import Tensor

from acutance.errors import ConfigError
from acutance.images import Image
from acutance.images.atomic import write_atomically
from acutance.images.image import stem_of
from acutance.settings import from_table, read_json, to_json
from acutance.trust.machine import Machine

SUFFIX = ".acutance.json"

KIND, VERSION = "acutance restoration", 2
"""Version 1 is that of the settings that the page saves."""

LARGEST = 1 << 18
"""Bytes of a side-car, at most."""

LONGEST = 400
"""Characters of a text in it, at most."""

_HASH = re.compile(r"[0-9a-f]{64}")
_WHERE = re.compile(r"(\[[\w ,.*:+-]{1,80}\]){0,2}")


@dataclass(frozen=True)
class File:
    """A file that was read. Args: name: without folders. sha256: of its bytes. where: which picture of a FITS file."""

    name: str
    sha256: str
    where: str = ""


@dataclass(frozen=True)
class Settings:
    """The settings that decide a result, by the names of the options of `acutance restore`.

    Args:
        shipped: name of the shipped weights, where those were asked for.
    """

    method: str | None = None
    task: str = "deblur"
    motion: str | None = None
    disc: float | None = None
    gaussian: float | None = None
    exact: bool = False
    strength: float | None = None
    quality: str | None = None
    steps: int | None = None
    seconds: float | None = None
    sigma: str | None = None
    flip_kernel: bool = False
    centre: bool = False
    linear: bool | None = None
    preview: str | None = None
    bits: int | None = None
    window: str | None = None
    trail: str | None = None
    device: str = "auto"
    precision: str = "auto"
    tile: int | None = None
    shipped: str | None = None


@dataclass(frozen=True)
class Run:
    """Findings of a run, and what it used.

    Args:
        method: that made the result. weights: their version. weights_sha256: hashes by name; of a method that chooses
            others, all that are shipped. kernel_sha256: of the values of the kernel, given or found.
        noise_level: a fraction of the range. noise_reason, outcome: for people. steps: behind the result.
    """

    method: str
    weights: str | None
    weights_sha256: dict[str, str]
    kernel_sha256: str | None
    noise_level: float | None
    noise_reason: str
    steps: int
    outcome: str


@dataclass(frozen=True)
class Made:
    """The result. Args: name: of its file. sha256: of its bytes. pixels_sha256: see `hash_of_pixels`."""

    name: str
    sha256: str
    pixels_sha256: str


@dataclass(frozen=True)
class Sidecar:
    """All of it. Args: see the classes; kernel, mask, weights, profile: files, None where none was given."""

    input: File
    settings: Settings
    run: Run
    machine: Machine
    output: Made
    kernel: File | None = None
    mask: File | None = None
    weights: File | None = None
    profile: File | None = None
    kind: Literal["acutance restoration"] = "acutance restoration"
    version: Literal[2] = 2


def path_of(result: Path, *, whole: bool = False) -> Path:
    """The side-car of a result: out.acutance.json of out.png; `whole`: out.png.acutance.json.

    >>> path_of(Path("a/out.png")).name
    'out.acutance.json'
    """
    return result.with_name((result.name if whole else stem_of(result)) + SUFFIX)


def write(path: Path, sidecar: Sidecar, *, overwrite: bool = False) -> None:
    """Write a side-car, whole or not at all.

    Raises:
        OutputError: it exists and `overwrite` is False, or it cannot be written.
    """
    write_atomically(path, to_json(sidecar), overwrite=overwrite)


def read(path: Path) -> Sidecar:
    """Read a side-car and check every field of it.

    Raises:
        ConfigError: no such file, no side-car, or one with a field that cannot be.
    """
    table = read_json(path, called="side-car", most=LARGEST, give=f"give a side-car, NAME{SUFFIX}")
    return parse(table, str(path))


def parse(table: Any, where: str) -> Sidecar:
    """A side-car from a table of JSON.

    Args:
        table: anything. where: what to call it in messages.

    Raises:
        ConfigError: see `read`.
    """
    if not isinstance(table, dict) or table.get("kind") != KIND:
        saved = isinstance(table, dict) and isinstance(table.get("settings"), dict)
        hint = "; settings that the page saved are opened there" if saved else ""
        raise ConfigError(f"{where} is no side-car of a restoration{hint}")
    if table.get("version") != VERSION or isinstance(table.get("version"), bool):
        raise ConfigError(f"{where} is a side-car of another version; this program reads version {VERSION}")
    _check_texts(table, where, 0)
    try:
        found = from_table(Sidecar, table, where=where)
    except ConfigError:
        raise
    except (TypeError, ValueError, OverflowError) as error:  # whatever values of odd types do
        raise ConfigError(f"{where}: {type(error).__name__} in a field; it is damaged") from None
    _check_files(found, where)
    _check_ranges(found, where)
    return found


def hash_of_pixels(image: Image) -> str:
    """SHA-256 of the decoded samples of a picture, with its alpha and its size; the same for any compression."""
    digest = hashlib.sha256(repr(tuple(image.pixels.shape)).encode())
    for part in (image.pixels, image.alpha):
        if part is not None:
            digest.update(np.ascontiguousarray(part.cpu().numpy(), dtype="<f4").tobytes())
    return digest.hexdigest()


def hash_of_kernel(kernel: Tensor) -> str:
    """SHA-256 of the values of a kernel and of its size."""
    digest = hashlib.sha256(repr(tuple(kernel.shape)).encode())
    digest.update(np.ascontiguousarray(kernel.detach().cpu().numpy(), dtype="<f4").tobytes())
    return digest.hexdigest()


def _check_texts(value: Any, where: str, depth: int) -> None:
    """Refuse what is deep, long or large, before anything is made of it."""
    if depth > 4:
        raise ConfigError(f"{where} is nested too deep for a side-car")
    if isinstance(value, str) and len(value) > LONGEST:
        raise ConfigError(f"{where} holds a text of {len(value)} characters; {LONGEST} are the most")
    if isinstance(value, str) and "\0" in value:
        raise ConfigError(f"{where} holds a text with a zero byte")
    if isinstance(value, int) and abs(value) >= 1 << 53:
        raise ConfigError(f"{where} holds a number that is too large")
    for inner in (*value, *value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_texts(inner, where, depth + 1)


def _check_files(found: Sidecar, where: str) -> None:
    """Names without folders, and hashes."""
    for what in ("input", "kernel", "mask", "weights", "profile", "output"):
        each: File | Made | None = getattr(found, what)
        if each is None:
            continue
        if not is_plain_name(each.name):
            raise ConfigError(f"{where}: {what}={each.name!r} must be the name of a file, without folders")
        if isinstance(each, File) and not _WHERE.fullmatch(each.where):
            raise ConfigError(f"{where}: {what}: where={each.where!r} must be the name of an extension, as [SCI]")
        hashes = [each.sha256, *([each.pixels_sha256] if isinstance(each, Made) else [])]
        if not all(_HASH.fullmatch(text) for text in hashes):
            raise ConfigError(f"{where}: the hash of {what} is no SHA-256")
    hashes = [h for h in (*found.run.weights_sha256.values(), found.run.kernel_sha256) if h is not None]
    if not all(isinstance(h, str) and _HASH.fullmatch(h) for h in hashes):
        raise ConfigError(f"{where}: a hash of the run is no SHA-256")


def _check_ranges(found: Sidecar, where: str) -> None:
    """Numbers as the options of the command take them."""
    s = found.settings
    for name, value, low, high in (
        ("steps", s.steps, 1, 1000),
        ("seconds", s.seconds, 0.01, 1e9),
        ("strength", s.strength, 0, 1),
        ("tile", s.tile, 64, 1 << 20),
        ("threads", found.machine.threads, 1, 1024),
    ):
        if value is not None and not low <= value <= high:
            raise ConfigError(f"{where}: {name}={value} is not between {low} and {high:g}")


def is_plain_name(name: str) -> bool:
    """Tell whether a text is the name of a file in some folder, on any system, and nothing more.

    >>> [is_plain_name(n) for n in ("a.png", "../a.png", "/etc/passwd", "..", "C:a.png", "")]
    [True, False, False, False, False, False]
    """
    windows = PureWindowsPath(name)
    plain = PurePosixPath(name).name == name == windows.name and not windows.drive and name not in ("", ".", "..")
    return plain and len(name.encode("utf-8", "replace")) <= 255


def changes(before: Sidecar, after: Sidecar) -> list[str]:
    """In words, what may make two runs of the same settings differ; empty where nothing is known to.

    Args:
        before: of the first run. after: of the second.
    """
    found = []
    for what in ("input", "kernel", "mask", "weights", "profile"):
        old: File | None = getattr(before, what)
        new: File | None = getattr(after, what)
        if (old and old.sha256) != (new and new.sha256):
            gone = "is missing" if new is None else "is another file" if old is not None else "was not there"
            found.append(f"the {what} {gone}")
    old_weights, new_weights = before.run.weights_sha256, after.run.weights_sha256
    if dict(old_weights) != dict(new_weights):
        names = sorted(n for n in {*old_weights, *new_weights} if old_weights.get(n) != new_weights.get(n))
        found.append(f"other weights: {', '.join(names)}")
    for name, old_value in dataclasses.asdict(before.machine).items():
        new_value = getattr(after.machine, name)
        if old_value != new_value:
            found.append(f"{name}: {new_value} instead of {old_value}")
    if before.settings.seconds is not None:
        found.append("the run was given a time, and how far it comes in it differs")
    if before.run.kernel_sha256 != after.run.kernel_sha256 and before.kernel == after.kernel:
        found.append("another kernel was found")
    for name in ("method", "noise_level", "steps"):
        if getattr(before.run, name) != getattr(after.run, name):
            found.append(f"{name.replace('_', ' ')}: {getattr(after.run, name)} instead of {getattr(before.run, name)}")
    return found
