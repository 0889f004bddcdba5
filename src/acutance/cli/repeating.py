"""`acutance repeat`: a result made again from its side-car, and compared bit for bit."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer

from acutance.cli.console import emit, escape, say
from acutance.cli.restoring import carry_out
from acutance.cli.targets import refuse_link
from acutance.cli.wanted import Wanted
from acutance.errors import ConfigError, OutputError
from acutance.images import Image, read_image
from acutance.images.atomic import check_folder, write_atomically
from acutance.images.fits_layout import split
from acutance.images.image import suffix_of
from acutance.images.mark import file_hash
from acutance.trust.sidecar import File, Sidecar, changes, path_of, read
from acutance.weights import embedded_names


@dataclass(frozen=True)
class Files:
    """The files of a repetition. Args: picture. kernel, mask, weights, profile: None where the run had none."""

    picture: Path
    kernel: Path | None
    mask: Path | None
    weights: Path | None
    profile: Path | None = None


@dataclass(frozen=True)
class Verdict:
    """The outcome of a repetition.

    Args:
        pixels, bytes: whether they are identical. reasons: what may make them differ, or did not.
        samples, largest: how many samples differ, and by how much at most, as a fraction of the range; None: the first
            result is not there to compare with.
    """

    pixels: bool
    bytes: bool
    reasons: tuple[str, ...]
    samples: int | None = None
    largest: float | None = None

    @property
    def sentence(self) -> str:
        """In words."""
        if self.pixels:
            return (
                "identical, pixels and bytes" if self.bytes else "the pixels are identical, the bytes of the file not"
            )
        if self.samples is None:
            return "the pixels differ; the first result is not there, so it is not known by how much"
        return f"the pixels differ: {self.samples} samples, by {100 * (self.largest or 0):.2g} % of the range at most"


def repeat(
    sidecar: Annotated[Path, typer.Argument(help="The side-car, NAME.acutance.json.", show_default=False)],
    picture: Annotated[Path | None, typer.Option(help="The input, if it does not lie beside the side-car.")] = None,
    kernel: Annotated[Path | None, typer.Option(help="The kernel, likewise.")] = None,
    mask: Annotated[Path | None, typer.Option(help="The mask, likewise.")] = None,
    weights: Annotated[Path | None, typer.Option(help="The weights, likewise.")] = None,
    profile: Annotated[Path | None, typer.Option(help="The profile of the camera, likewise.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Keep the new result in this file.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace that file.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads; else as many as before.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda ...; else the same as before.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Restore a picture again from its side-car, and say whether the result is the same, bit for bit.

    Exit status 0: the pixels are identical; 1: they are not, and what may be the reason is said.

    [dim]acutance restore photo.jpg -o out.png --sidecar
    acutance repeat out.acutance.json
    acutance repeat out.acutance.json -o again.png[/]
    """
    first = read(sidecar)
    folder = sidecar.parent
    files = Files(
        found(first.input, picture, folder, "picture"),
        None if first.kernel is None and kernel is None else found(first.kernel, kernel, folder, "kernel"),
        None if first.mask is None and mask is None else found(first.mask, mask, folder, "mask"),
        _weights(first, weights, folder),
        None if first.profile is None and profile is None else found(first.profile, profile, folder, "profile"),
    )
    if output is not None:
        _check_output(output, first, files, sidecar, overwrite=overwrite)
    with tempfile.TemporaryDirectory(prefix="acutance-") as temporary:
        made = Path(temporary) / first.output.name
        status = carry_out(wanted_of(first, files, made, threads=threads, device=device))
        if status or not made.is_file():
            raise typer.Exit(status or 1)
        verdict = compared(first, read(path_of(made)), sidecar.with_name(first.output.name), made)
        if output is not None:
            write_atomically(output, made.read_bytes(), overwrite=overwrite)
    if as_json:
        emit(json.dumps({"sidecar": str(sidecar), **asdict(verdict)}))
    else:
        say(f"[bold]{escape(first.output.name)}[/]: {escape(verdict.sentence)}")
        for reason in verdict.reasons:
            say(f"  {escape(reason)}")
    raise typer.Exit(0 if verdict.pixels else 1)


def found(file: File | None, given: Path | None, folder: Path, what: str) -> Path:
    """The place of a file of a side-car: where the user says, else beside the side-car, and nowhere else.

    Raises:
        ConfigError: it is not there.
    """
    if given is not None:
        if not split(given)[0].is_file():
            raise ConfigError(f"--{what} {given}: there is no such file")
        return given
    assert file is not None
    path = folder / file.name
    if path.is_symlink() or not path.is_file():
        why = "is a link" if path.is_symlink() else "is not beside the side-car"
        raise ConfigError(f"the {what} {file.name} {why}; say where it is: --{what} FILE")
    return Path(f"{path}{file.where}")


def _weights(first: Sidecar, given: Path | None, folder: Path) -> Path | None:
    """The weights of a side-car: a file, or the name of shipped ones.

    Raises:
        ConfigError: they are not there.
    """
    if given is not None or first.weights is not None:
        return found(first.weights, given, folder, "weights")
    name = first.settings.shipped
    if name is None:
        return None
    if name not in embedded_names():
        raise ConfigError(f"weights of the name {name} are not shipped with this version; give them: --weights FILE")
    return Path(name)


def _check_output(output: Path, first: Sidecar, files: Files, sidecar: Path, *, overwrite: bool) -> None:
    """Refuse a file that the new result cannot be kept in.

    Raises:
        OutputError: another format, an input, a link, or it exists.
    """
    wanted = suffix_of(Path(first.output.name))
    if suffix_of(output).lower() != wanted.lower():
        raise OutputError(f"-o {output}: the result is a {wanted} file; give it that suffix")
    refuse_link(output)
    check_folder(output.parent)
    read = (files.picture, files.kernel, files.mask, files.weights, files.profile)
    inputs = (sidecar, *(path for path in read if path is not None))
    if os.path.realpath(output) in {os.path.realpath(split(path)[0]) for path in inputs}:
        raise OutputError(f"-o {output} is a file that is read; give another name")
    if os.path.lexists(output) and not overwrite:
        raise OutputError(f"-o {output} exists; give --overwrite to replace it, or another name")


def wanted_of(first: Sidecar, files: Files, made: Path, *, threads: int | None, device: str | None) -> Wanted:
    """The command that made a result, for a new file.

    Args:
        first, files: of the side-car. made: the new result. threads, device: instead of those of the first run.
    """
    settings = asdict(first.settings)
    del settings["shipped"]
    settings["device"] = device or first.machine.device
    if settings["precision"] == "auto" and first.run.weights_sha256:  # it has networks
        settings["precision"] = first.machine.precision
    return Wanted(
        pictures=(files.picture,),
        kernel=files.kernel,
        mask=files.mask,
        weights=files.weights,
        profile=files.profile,
        output=str(made),
        recursive=False,
        candidates=None,
        compare=None,
        report=None,
        uncertainty=None,
        explain=None,
        overwrite=False,
        in_place=False,
        again=True,
        threads=threads or first.machine.threads,
        max_megapixels=250,
        as_json=False,
        orientation=False,
        sidecar=True,
        silent=True,
        workers=None,
        cluster=None,
        block=None,
        **settings,
    )


def compared(first: Sidecar, second: Sidecar, old: Path, new: Path) -> Verdict:
    """Compare two runs.

    Args:
        first, second: their side-cars. old, new: their results; the old one may be missing or changed.
    """
    pixels = first.output.pixels_sha256 == second.output.pixels_sha256
    same = first.output.sha256 == second.output.sha256
    reasons = changes(first, second)
    if not pixels and not reasons:
        reasons = ["nothing that is known of differs; the machine may not repeat itself"]
    samples = largest = None
    if old.is_file() and not old.is_symlink():
        if file_hash(old) != first.output.sha256:
            reasons = [*reasons, f"{old.name} is no longer the file that the side-car tells of"]
        elif not pixels:
            samples, largest = _differences(read_image(old), read_image(new))
    return Verdict(pixels, same, tuple(reasons), samples, largest)


def _differences(old: Image, new: Image) -> tuple[int | None, float | None]:
    """The number of samples that differ, and the largest difference; None of pictures of other sizes."""
    if old.pixels.shape != new.pixels.shape:
        return None, None
    apart = (old.pixels.nan_to_num(0) - new.pixels.nan_to_num(0)).abs()
    other = (apart > 0) | (torch.isnan(old.pixels) != torch.isnan(new.pixels))
    return int(other.sum()), float(apart.max())
