"""Case and Suite: what a benchmark consists of, and where its data is found."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from torch import Tensor

from acutance.errors import ConfigError, DataError
from acutance.images import Image, ImageInfo
from acutance_lab.bench.cuts import Cut
from acutance_lab.bench.score import WHOLE, Scoring

VARIABLE = "ACUTANCE_DATA"
"""Environment variable that names the data folder where none is given."""

Noise = float | None
"""Noise level as a fraction of the range; None: the pictures as captured."""


@dataclass(frozen=True, eq=False)
class Content:
    """What there is to restore, and what is needed to tell how well that went.

    Args:
        observed: (1, C, H, W) in [0, 1]; a grey picture has one channel.
        kernel: (1, 1, h, w), true convolution; None where there is none.
        truth: (1, C, H, W), the sharp picture under `observed`; None: nobody knows it.
        sigma: noise level told to methods that need it, a fraction of the range; None: nobody knows.
        scoring: border and alignment.
        radius: (rows, columns) by which `truth` is smaller than the sharp picture of the set on every side, where all
            cuts are to be recorded, see `acutance_lab.bench.cuts`; None: only `scoring` is.
        info: of the file that was observed, where it is one: a Restorer heeds that it is lossy.
        sigma_linear: the same as `sigma` after decoding to linear light; None: nobody knows.
        level: the noise level that an estimate is compared with; None: `sigma`, else what a sharp truth tells.
        note: see `acutance_lab.bench.rows.Row`.
    """

    observed: Tensor
    kernel: Tensor | None
    truth: Tensor | None
    sigma: float | None = None
    scoring: Scoring = WHOLE
    radius: tuple[int, int] | None = None
    info: ImageInfo | None = None
    sigma_linear: float | None = None
    level: float | None = None
    note: str = ""

    @property
    def given(self) -> Image | Tensor:
        """`observed` as a method is to have it, with the information of its file if there is one."""
        return self.observed if self.info is None else Image(self.observed, info=self.info)


@dataclass(frozen=True)
class Case:
    """One picture to restore: its name, and how to make it when its turn comes.

    Args:
        suite, picture, kernel_name: what names the case, together with `noise`.
        noise: level of the noise that was added, a fraction of the range; None: as captured.
        load: makes the content, the same each time; it can be sent to another process.
        shown: one of the few of its suite and level whose pictures a report shows.
        varied, value: the one thing that the suite varies, and what it is here.
    """

    suite: str
    picture: str
    kernel_name: str
    noise: Noise
    load: Callable[[], Content]
    shown: bool = False
    varied: str = ""
    value: float | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """Cases with equal keys are the same."""
        return (self.suite, self.picture, self.kernel_name, self.noise, self.varied, self.value)


@dataclass(frozen=True)
class Suite:
    """A test set with its protocol.

    Args:
        name: as on the command line. summary: one line for people.
        protocol: how pictures are made and scored, printed under every table.
        noises: levels that it has unless others are asked for; None stands for "as captured". Without None it has no
            captured pictures, with None alone no noise is added to them.
        make: ``(folder, noise) -> cases`` of one level, in a fixed order; nothing but names is read for it, if
            possible. `folder` is what `bench_folder` found; a `DataError` says what is missing in it.
        classes: name of a picture -> its class, where the pictures are of several, reported apart.
        size: cases of each level in the whole set: a mean over fewer is marked as one over a part; None: unknown.
        captured_cut: of `Row.psnr` for pictures as captured; with added noise it is the whole picture.
        files: whether it needs the folder of the test sets; else `make` is given the working folder.
        ssim: whether SSIM is computed; it costs a library that is slow to load.
        shown, turn: so many cases of a level are shown, evenly spread, each moved on by `turn` more than the one
            before, so that it does not always meet the same kernel; 0: `make` decides.
    """

    name: str
    summary: str
    protocol: str
    noises: tuple[Noise, ...]
    make: Callable[[Path, Noise], Sequence[Case]]
    classes: Callable[[str], str] | None = None
    size: int | None = None
    captured_cut: Cut = Cut.WHOLE
    files: bool = True
    ssim: bool = True
    shown: int = 3
    turn: int = 1

    def cut(self, noise: Noise) -> Cut:
        """The cut of `Row.psnr` at a level."""
        return self.captured_cut if noise is None else Cut.WHOLE

    def cases(self, folder: Path, noise: Noise) -> list[Case]:
        """The cases of one level.

        Raises:
            ConfigError: the suite has no pictures of that level. DataError: a file is missing.
        """
        if noise is None and None not in self.noises:
            raise ConfigError(f"{self.name} has no captured pictures; give noise levels, such as 0.01")
        if noise is not None and self.noises == (None,):
            raise ConfigError(f"{self.name} has pictures as captured, to which no noise is added; leave out --noise")
        if noise is not None and not 0 <= noise < 1:
            raise ConfigError(f"a noise of {noise:g}: give a fraction of the range, 0.01 for 1 %")
        found, count = list(self.make(folder, noise)), self.shown
        n = len(found)
        marked = {min(n - 1, (2 * k + 1) * n // (2 * count) + self.turn * k) for k in range(count)}
        return [replace(c, shown=n <= count or i in marked) for i, c in enumerate(found)] if count else found


def files_in(folder: Path, *patterns: str) -> list[Path]:
    """The files of a folder that fit one of the patterns, whatever the case of their letters; 1, 2, 10 in this order.

    Raises:
        DataError: there are none.
    """
    found = [p for p in folder.glob("*") if any(fnmatch(p.name.lower(), each) for each in patterns)]
    if not found:
        raise DataError(f"{folder} is missing or empty; pictures are expected there ({', '.join(patterns)})")
    return sorted(found, key=lambda p: (len(p.stem), p.stem))


def unit_sum(kernel: Tensor, file: Path) -> Tensor:
    """A kernel divided by its sum.

    Raises:
        DataError: it is black.
    """
    if not kernel.sum() > 0:
        raise DataError(f"{file} is black, no kernel; get an intact copy")
    return kernel / kernel.sum()


def bench_folder(data: Path | None = None) -> Path:
    """The folder of the test sets: `data`, else the environment's ACUTANCE_DATA; either it or its subfolder bench.

    Raises:
        DataError: neither is given, or there is no such folder.
    """
    given = data if data is not None else Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None
    if given is None:
        raise DataError(
            f"where are the test sets? Give their folder with --data or in {VARIABLE}: one that holds levin32.npz, "
            "set12/, bsd68/, kodak24/, or holds all that in a folder bench/"
        )
    if not given.is_dir():
        raise DataError(f"{given} is no folder; --data or {VARIABLE} names the folder of the test sets")
    inner = given / "bench"
    return inner if inner.is_dir() else given


def describe_noise(noise: Noise) -> str:
    """The level for people: "1 %", "25 of 255", "as captured"."""
    if noise is None:
        return "as captured"
    of_255 = round(255 * noise)
    whole = abs(255 * noise - of_255) < 1e-6 and abs(1000 * noise - round(1000 * noise)) > 1e-6
    return f"{of_255} of 255" if whole else f"{100 * noise:g} %"
