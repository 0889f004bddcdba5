"""Where the results go, and whether they can: told before the first picture is read."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from acutance.cli.selection import MARK, PICTURE_SUFFIXES, Found, Selection, Skipped, without_ome
from acutance.errors import ConfigError, ImageError, OutputError
from acutance.images.atomic import check_folder
from acutance.images.encode import DEPTHS
from acutance.images.image import SUFFIXES, stem_of, suffix_of
from acutance.images.ngff import is_zarr
from acutance.images.recognise import HEAD, RAW_SUFFIXES, recognise
from acutance.images.stack_write import ZARR, is_zarr_name
from acutance.images.write import check_depth, format_of

LONGEST = 255
"""Bytes that the name of a file has at most on common file systems."""

OTHER_SUFFIXES = frozenset(
    (
        ".heic", ".heif", ".avif", ".jxl", ".jp2", ".psd", ".exr", ".pdf", ".cs", ".npy", ".npz", ".mat", ".csv",
        ".txt", ".json", ".zip", ".safetensors", ZARR,
    )
)  # fmt: skip
FILE_SUFFIXES = PICTURE_SUFFIXES | RAW_SUFFIXES | OTHER_SUFFIXES
"""A name that ends so is meant to be that of a file."""


@dataclass(frozen=True)
class Job:
    """One picture and where its result goes.

    Args:
        source, target: files. named: the picture was given by its own name. where: which picture of a FITS file.
    """

    source: Path
    target: Path
    named: bool = True
    where: str = ""

    @property
    def picture(self) -> Path:
        """The name by which it is read, FILE[EXT] where an extension is meant."""
        return Path(f"{self.source}{self.where}") if self.where else self.source


@dataclass(frozen=True)
class Output:
    """What `-o` says. Args: path. folder: it ends with a slash, so it is a folder whether it exists or not."""

    path: Path
    folder: bool = False

    @staticmethod
    def parse(text: str | None) -> Output | None:
        """From the option; None where it is not given.

        Raises:
            ConfigError: an empty text, or a zero byte.
        """
        if text is None:
            return None
        if not text.strip() or "\0" in text:
            raise ConfigError("-o is empty; give a file or a folder")
        return Output(Path(text), text.endswith(("/", os.sep)))

    @property
    def is_folder(self) -> bool:
        """Whether it is one already, or is written as one."""
        return self.folder or (os.path.isdir(self.path) and not is_zarr_name(self.path))  # noqa: PTH112


def plan(selection: Selection, output: Output | None, *, in_place: bool = False) -> list[Job]:
    """Where each result goes.

    Beside its picture as NAME-restored, to the file `output`, or into the folder `output`, in which the folders below
    a given folder are made again. In place: to the picture itself.

    Raises:
        ConfigError: `output` and `in_place` together. OutputError: a file where a folder is needed; two results of
            one name.
    """
    if in_place:
        if output is not None:
            raise ConfigError("-o and --in-place together: give one")
        return [Job(each.path, each.path, each.named, each.where) for each in selection.found]
    as_folder = output is not None and (selection.several or output.is_folder)
    if output is not None:
        _check_output(output, selection, as_folder)
    whole: list[Job] = []
    short = [_target(each, output, as_folder, full=False) for each in selection.found]
    taken = Counter(os.path.normcase(target) for target in short)
    for each, target in zip(selection.found, short, strict=True):
        clash = taken[os.path.normcase(target)] > 1 and suffix_of(target) != suffix_of(each.path)
        target = _target(each, output, as_folder, full=True) if clash else target
        fits = target if output is not None and not as_folder else target.with_name(fitting(target.name))
        whole.append(Job(each.path, fits, each.named, each.where))
    twice = Counter(os.path.normcase(job.target) for job in whole)
    for job in whole:
        if twice[os.path.normcase(job.target)] > 1:
            raise OutputError(f"two pictures would both become {job.target}; restore them into different folders")
    return whole


def writable_in_place(selection: Selection) -> Selection:
    """The selection without the pictures of folders that are only read, such as GIF: those are skipped."""
    found, skipped = [], list(selection.skipped)
    for each in selection.found:
        suffix = suffix_of(each.path)
        if each.named or not suffix or _is_written(suffix):
            found.append(each)
        else:
            skipped.append(Skipped(each.path, f"cannot be replaced: {suffix} is not written"))
    return replace(selection, found=tuple(found), skipped=tuple(skipped))


def _is_written(suffix: str) -> bool:
    return any(suffix.lower() in suffixes for kind, suffixes in SUFFIXES.items() if kind in DEPTHS)


def _check_output(output: Output, selection: Selection, as_folder: bool) -> None:
    path = output.path
    if not as_folder:
        if not path.suffix:
            raise OutputError(f"-o {path}: give the file a suffix ({path}.png), or end a folder with a slash ({path}/)")
        return
    if os.path.lexists(path) and not os.path.isdir(path):  # noqa: PTH112
        raise OutputError(
            f"-o {path} is a file, and the results of several pictures need a folder; name another with -o"
        )
    if suffix_of(path).lower() in FILE_SUFFIXES and not output.is_folder:
        count = len(selection.found)
        what = f"there are {count} pictures" if count > 1 else "a folder or a glob is given"
        raise OutputError(f"-o {path} is the name of one file, but {what}; name a folder")


def _target(each: Found, output: Output | None, as_folder: bool, *, full: bool) -> Path:
    """Of one picture; `full`: with the picture's own suffix in the name, to tell a.gif from a.png."""
    suffix = _suffix(each.path)
    whole = each.path.name if full else stem_of(each.path)
    stem = without_ome(whole)
    suffix = whole.removeprefix(stem) + suffix
    if output is None:
        return each.path.with_name(f"{stem}{MARK}{suffix}")
    return output.path / each.below / f"{stem}{suffix}" if as_folder else output.path


def _suffix(path: Path) -> str:
    """The picture's own where it can be written, else that of its content, else .png."""
    suffix = suffix_of(path)
    if is_zarr(path):
        return ZARR
    if _is_written(suffix) or not path.is_file():
        return suffix if _is_written(suffix) else ".png"
    try:
        with path.open("rb") as file:
            kind = recognise(file.read(HEAD), path)
    except (OSError, ImageError):
        return ".png"
    return next((suffixes[0] for each, suffixes in SUFFIXES.items() if each == kind and each in DEPTHS), ".png")


def fitting(name: str) -> str:
    """A file name, cut and told apart by a hash where it is longer than a file system takes."""
    if len(os.fsencode(name)) <= LONGEST:
        return name
    stem, dot, suffix = name.rpartition(".")
    tail = f"~{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}{dot}{suffix}"
    kept = os.fsencode(stem)[: LONGEST - len(os.fsencode(tail))]
    return kept.decode("utf-8", "ignore") + tail


def check_targets(
    jobs: Sequence[Job], inputs: Mapping[str, Path], *, bits: int | None, in_place: bool, folder: Path | None
) -> None:
    """Refuse results that cannot be written, or must not be.

    Args:
        jobs: see `plan`. inputs: other files that the command reads, by what they are ("the kernel").
        bits: depth that is asked for. in_place: results may replace their own pictures.
        folder: that all results go to, and that may have to be made; None: they go where folders are.

    Raises:
        OutputError: an unknown suffix, a depth that the format has not, a folder that is missing or cannot be
            written, a result that would replace a picture or another input, a link.
    """
    sources = {os.path.realpath(job.source) for job in jobs}
    used = {os.path.realpath(path): what for what, path in inputs.items()}
    for job in jobs:
        if not is_zarr_name(job.target):
            check_depth(job.target, format_of(job.target, "PNG"), bits)
        place = os.path.realpath(job.target)
        refuse_link(job.target)
        if (place in sources or _same(job)) and not in_place:
            raise OutputError(
                f"the result of {job.source} would replace "
                f"{'it' if place == os.path.realpath(job.source) or _same(job) else job.target}; "
                "name another file or folder with -o, or give --in-place"
            )
        if is_zarr(job.source) and os.path.realpath(job.source) in map(str, Path(place).parents):
            raise OutputError(f"the result {job.target} would lie in {job.source}; give another name with -o")
        if place in used:
            raise OutputError(f"the result {job.target} would replace {used[place]}; give another name with -o")
    for parent in dict.fromkeys(job.target.parent for job in jobs):
        if folder is None or not (parent == folder or folder in parent.parents):
            check_folder(parent)
    if folder is not None:
        check_folder(folder, make=True)


def refuse_link(path: Path) -> None:
    """Refuse to write through a link: a folder from somebody else may have one that leads to a file of ours.

    Raises:
        OutputError: it is a link; or there cannot be anything of that name.
    """
    try:
        link = stat.S_ISLNK(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None
    if link:
        raise OutputError(f"{path} is a link, and results do not go through links; give another name with -o")


def _same(job: Job) -> bool:
    """Whether both names are of one file: by a hard link, or where the file system knows no capital letters."""
    try:
        return job.target.samefile(job.source)
    except OSError:
        return False


def check_extra(
    option: str,
    path: Path,
    jobs: Sequence[Job],
    inputs: Mapping[str, Path],
    *,
    overwrite: bool,
    suffixes: Sequence[str] | None = None,
) -> None:
    """Refuse a further file that cannot be written, or must not be, such as the picture of `--compare`.

    Args:
        suffixes: that it may have; None: those of pictures.

    Raises:
        OutputError: see `check_targets`; or it exists, and `overwrite` is False.
    """
    if not path.suffix:
        raise OutputError(f"{option} {path}: give the file a suffix, such as {path}{(suffixes or ('.png',))[0]}")
    if suffixes is not None and suffix_of(path).lower() not in suffixes:
        raise OutputError(f"{option} {path}: give a name that ends with {' or '.join(suffixes)}")
    try:
        if suffixes is None:
            format_of(path, "PNG")
        refuse_link(path)
        check_folder(path.parent)
    except OutputError as error:
        raise OutputError(f"{option}: {error}") from None
    place = os.path.realpath(path)
    names = {os.path.realpath(file): what for what, file in inputs.items()}
    for job in jobs:
        names |= {os.path.realpath(job.source): "the picture", os.path.realpath(job.target): "the result"}
    if place in names:
        raise OutputError(f"{option} {path} would replace {names[place]}; give another name")
    if os.path.lexists(path):
        if not path.is_file():
            raise OutputError(f"{option} {path}: it is not an ordinary file; give another name")
        if not overwrite:
            raise OutputError(f"{option} {path} exists; give --overwrite to replace it, or another name")


def check_folder_of(option: str, folder: Path) -> None:
    """Refuse a folder for an option such as `--explain` that cannot be made or written.

    Raises:
        OutputError: see `check_folder`.
    """
    try:
        check_folder(folder, make=True)
    except OutputError as error:
        raise OutputError(f"{option}: {error}") from None
