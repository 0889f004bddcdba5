"""The fields of a request, as the documentation of the interface shows them, and as options of an order."""

import math
import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import File, Form, UploadFile

from acutance.errors import ConfigError
from acutance.serve.orders import Options

MOST_SIGMA = 0.5
"""Highest noise level that is taken, a fraction of the range."""

Picture = Annotated[UploadFile, File(description="The picture: PNG, JPEG, WebP, TIFF, BMP, or GIF of one frame.")]
Kernel = Annotated[
    UploadFile | None, File(description="The blur kernel (PSF): PNG, TIFF, .npy, .npz, .txt, .csv or .mat.")
]


Mask = Annotated[
    UploadFile | None,
    File(
        description="Picture of the same size, white where pixels count, black where they are missing; or an array of "
        "the same height and width, .npy or .npz, 1 where pixels count and 0 where they are missing."
    ),
]
Only = Annotated[
    UploadFile | None,
    File(
        description="Picture or array, as a mask: white or 1 where the picture is restored, black or 0 where it stays."
    ),
]


# No `from __future__ import annotations` here: FastAPI reads these types from the class.
@dataclass(frozen=True)
class Files:
    """Files beside the picture; all of them may be left out."""

    kernel: Kernel = None
    mask: Mask = None
    only: Only = None


@dataclass(frozen=True)
class Fields:
    """Text fields of the form; all of them may be left out."""

    motion: Annotated[
        str | None, Form(description="Straight motion: LENGTH,ANGLE in pixels and degrees.", examples=["15,30"])
    ] = None
    disc: Annotated[str | None, Form(description="Out of focus: radius in pixels.", examples=["4"])] = None
    gaussian: Annotated[
        str | None, Form(description="Gaussian blur: standard deviation in pixels.", examples=["1.5"])
    ] = None
    sigma: Annotated[
        str | None, Form(description="Noise level: 1%, 2.55/255 or 0.01; else estimated.", examples=["1%"])
    ] = None
    strength: Annotated[
        str | None, Form(description="How far to go: 0 leaves the picture as it is, 1 is all.", examples=["0.7"])
    ] = None
    method: Annotated[str | None, Form(description="A name of /v1/methods.", examples=["acute"])] = None
    quality: Annotated[str | None, Form(description="fast, balanced or best.", examples=["balanced"])] = None
    preview: Annotated[
        str | None, Form(description="Only this piece: X,Y,WIDTH,HEIGHT in pixels.", examples=["400,300,256,256"])
    ] = None
    window: Annotated[
        str | None, Form(description="Find the blur in this piece: X,Y,WIDTH,HEIGHT.", examples=["400,300,300,300"])
    ] = None
    trail: Annotated[
        str | None, Form(description="Box around a light trail, which shows the blur.", examples=["85,75,60,60"])
    ] = None
    step: Annotated[
        str | None,
        Form(description="The result after this step of the method, of which there may be fewer.", examples=["3"]),
    ] = None
    iterates: Annotated[
        bool, Form(description="Also the results after each step, of pictures and pieces of up to 2 megapixels.")
    ] = False
    candidates: Annotated[
        bool, Form(description="Of a kernel that is found: up to four guesses, each tried on a piece.")
    ] = False
    report: Annotated[
        bool, Form(description="Also a report of how far to believe the result; of whole pictures only.")
    ] = False
    sidecar: Annotated[bool, Form(description="Also the file from which `acutance repeat` makes the result again.")] = (
        False
    )

    def options(self) -> Options:
        """As options of an order; empty fields count as left out.

        Raises:
            ConfigError: a field that is no number, or not what it has to be.
        """
        motion = None
        if self.motion:
            parts = self.motion.split(",")
            if len(parts) != 2:
                raise ConfigError(f"motion={_short(self.motion)}: give LENGTH,ANGLE, e.g. 15,30")
            motion = (number("motion", parts[0]), number("motion", parts[1]))
        strength = optional("strength", self.strength)
        if strength is not None and not 0 <= strength <= 1:
            raise ConfigError(f"strength={strength:g}: give a number from 0 to 1")
        return Options(
            motion=motion,
            disc=optional("disc", self.disc),
            gaussian=optional("gaussian", self.gaussian),
            sigma=level(self.sigma),
            strength=strength,
            method=_name("method", self.method),
            quality=_name("quality", self.quality),
            preview=_rectangle("preview", self.preview),
            window=_rectangle("window", self.window),
            trail=_rectangle("trail", self.trail),
            step=_count("step", self.step),
            iterates=self.iterates,
            candidates=self.candidates,
            report=self.report,
            sidecar=self.sidecar,
        )


def number(field: str, text: str) -> float:
    """A finite number.

    Raises:
        ConfigError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) < 1e9:
        raise ConfigError(f"{field}={_short(text)}: give a number")
    return value


def optional(field: str, text: str | None) -> float | None:
    """The same of a field that may be empty."""
    return number(field, text) if text else None


def level(text: str | None) -> float | None:
    """A noise level as a fraction of the range, from "1%", "2.55/255" or "0.01".

    Raises:
        ConfigError: none of these, or not from 0 to MOST_SIGMA.
    """
    if not text:
        return None
    above, _, below = text.strip().removesuffix("%").partition("/")
    divisor = (100.0 if text.strip().endswith("%") else 1.0) * (number("sigma", below) if below else 1.0)
    value = number("sigma", above) / divisor if divisor > 0 else -1.0
    if not 0 <= value <= MOST_SIGMA:
        raise ConfigError(f"sigma={_short(text)}: give the noise level as 1%, 2.55/255 or 0.01, up to 50%")
    return value


def suffix(name: str | None) -> str:
    """The suffix of a client's file, the only part of its name that is used; "" where it is not a plain one."""
    found = re.search(r"\.[A-Za-z0-9]{1,5}$", name or "")
    return found[0].lower() if found else ""


def _name(field: str, text: str | None) -> str | None:
    if text and not re.fullmatch(r"[a-z0-9-]{1,40}", text):
        raise ConfigError(f"{field}={_short(text)}: give a name in small letters; /v1/methods lists the methods")
    return text or None


def _count(field: str, text: str | None) -> int | None:
    if text and not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise ConfigError(f"{field}={_short(text)}: give a whole number from 1 to 9999")
    return int(text) if text else None


def _rectangle(field: str, text: str | None) -> tuple[int, int, int, int] | None:
    """Whole numbers X,Y,WIDTH,HEIGHT."""
    if not text:
        return None
    found = re.fullmatch(r"(\d{1,6}),(\d{1,6}),(\d{1,6}),(\d{1,6})", text)
    if found is None or not (int(found[3]) and int(found[4])):
        raise ConfigError(f"{field}={_short(text)}: give X,Y,WIDTH,HEIGHT in whole pixels, e.g. 400,300,256,256")
    x, y, width, height = map(int, found.groups())
    return x, y, width, height


def _short(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:60])
