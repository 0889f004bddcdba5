"""`acutance kernel`: the blur kernel of a photograph."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from acutance.blind.base import Estimate
from acutance.blind.estimators import ESTIMATORS
from acutance.cli.boxes import check_boxes, parse_region
from acutance.cli.console import emit, plain, say
from acutance.cli.targets import refuse_link
from acutance.cli.watching import Watch
from acutance.errors import ConfigError, OutputError
from acutance.images import read_image
from acutance.images.atomic import check_folder
from acutance.images.fits_layout import split
from acutance.images.image import stem_of
from acutance.images.kernel_file import write_kernel
from acutance.images.peek import peek_size
from acutance.restoration.kernel import DEFAULT_ESTIMATOR, find_kernel
from acutance.settings import meant

SHOWN = 256
"""Side that the picture of a kernel has at least, pixels."""


def kernel(
    picture: Annotated[Path, typer.Argument(help="A photograph blurred by a shaken camera.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="PNG for the eye; the exact kernel goes beside it as .npy."),
    ] = None,
    estimator: Annotated[str, typer.Option(help=f"One of {', '.join(ESTIMATORS)}.")] = DEFAULT_ESTIMATOR,
    size: Annotated[
        int | None, typer.Option("--kernel-size", min=3, help="Side in pixels, odd, larger than the blur; else tried.")
    ] = None,
    encoded: Annotated[
        bool, typer.Option("--encoded", help="Take the values as they are encoded, not as linear light.")
    ] = False,
    window: Annotated[str | None, typer.Option(help="Find it in the piece X,Y,W,H.")] = None,
    trail: Annotated[str | None, typer.Option(help="Take it from the trail of a light, in the box X,Y,W,H.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    max_megapixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures.")] = 250,
) -> None:
    """Estimate the blur kernel (PSF) of a photograph.

    [dim]acutance kernel photo.jpg -o kernel.png
    acutance restore photo.jpg --kernel kernel.npy[/]
    """
    if estimator not in ESTIMATORS:
        raise ConfigError(f"--estimator {estimator}{meant(estimator, ESTIMATORS)}: there are {', '.join(ESTIMATORS)}")
    file = split(picture)[0]
    target = output if output is not None else file.with_name(f"{stem_of(file)}-kernel.png")
    if target.suffix.lower() != ".png":
        raise ConfigError(f"-o {target}: the picture of the kernel is a PNG; the exact kernel goes beside it as .npy")
    exact = target.with_suffix(".npy")
    for made in (target, exact):
        refuse_link(made)
        if os.path.realpath(made) == os.path.realpath(file):
            raise OutputError(f"{made} is the picture itself; give the kernel another name with -o")
        if made.exists() and not overwrite:
            raise OutputError(f"{made} exists; give --overwrite to replace it, or another name with -o")
    check_folder(target.parent)
    sides = peek_size(picture) if size is not None and file.is_file() else None
    if size is not None and (size % 2 == 0 or (sides is not None and 2 * size > min(sides))):
        most = "" if sides is None else f", at most half of the picture ({sides[0]} x {sides[1]} pixels)"
        raise ConfigError(f"--kernel-size {size}: give an odd number{most}")
    boxes = {"window": parse_region(window, "--window"), "trail": parse_region(trail, "--trail")}
    given = check_boxes(boxes, picture, preview=False)
    if trail is not None and size is not None:
        raise ConfigError("--trail and --kernel-size together: the trail has its size; leave one of them out")
    image = read_image(picture, max_pixels=max_megapixels * 1_000_000)
    begun = time.perf_counter()
    with Watch(1) as watch:
        watch.begin(picture.name)
        found = find_kernel(
            image, estimator=estimator, size=size, encoded=encoded, **given,
            on_stage=watch.on_stage,
        )  # fmt: skip
    seconds = time.perf_counter() - begun
    side = found.kernel.shape[-1]
    write_kernel(exact, found.kernel, overwrite=overwrite)
    factor = -(-SHOWN // side)
    write_kernel(target, found.kernel, bits=8, overwrite=overwrite, enlarge=factor)
    for line in _described(found):
        say(line)
    emit(f"{plain(exact)}, {plain(target)}: {side} x {side} pixels, {seconds:.1f} s")


def _described(found: Estimate) -> list[str]:
    lines = []
    if len(found.scores) > 1:
        tried = ", ".join(f"{side}: {score:.1f}" for side, score in found.scores.items())
        lines.append(f"sizes tried, and the gain that is expected of them in dB: {tried}")
    lines.append(found.remark)
    rows, cols = (found.kernel.sum(d).flatten() for d in (-1, -2))
    spread = [_spread(profile) for profile in (cols, rows)]
    lines.append(f"standard deviation {spread[0]:.1f} pixels across, {spread[1]:.1f} down")
    return lines


def _spread(profile: torch.Tensor) -> float:
    place = torch.arange(len(profile), dtype=profile.dtype)
    mean = (profile * place).sum()
    return float(((profile * (place - mean).square()).sum()).sqrt())
