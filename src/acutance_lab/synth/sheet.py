"""A sheet to draw on: boxes, lines, text and photographs, in pixels of the finished page, antialiased or not."""

from __future__ import annotations

import colorsys
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from acutance_lab.synth.fonts import Font, font, font_files, is_mono, words

Colour = tuple[int, int, int]
Point = tuple[float, float]
Picture = NDArray[np.uint8]

DARK = 0.4
"""Share of dark themes."""


@dataclass(frozen=True)
class Theme:
    """The colours of a page: of its ground, of panels on it, of text, of faint text, and accents."""

    ground: Colour
    panel: Colour
    ink: Colour
    faint: Colour
    accents: tuple[Colour, ...]
    dark: bool

    @staticmethod
    def draw(rng: random.Random, dark: bool | None = None) -> Theme:
        """A light or a dark one, mostly of good contrast; None: either."""
        drawn = rng.random() < DARK
        dark = drawn if dark is None else dark
        hue = rng.random()
        tint = rng.choices((0.0, 0.06, 0.25), (5, 4, 1))[0]
        low = rng.choice((0.0, 0.04, 0.1, 0.16)) if dark else rng.choice((1.0, 1.0, 0.97, 0.92, 0.85))
        ink = rng.uniform(0.7, 1.0) if dark else rng.choice((0.0, 0.0, 0.1, 0.2, 0.3))
        panel = low + rng.uniform(0.03, 0.12) if dark else low - rng.uniform(0.03, 0.12)
        accents = tuple(
            hsv(hue + rng.random(), rng.uniform(0.35, 1.0), rng.uniform(0.6, 1.0) if dark else rng.uniform(0.2, 0.8))
            for _ in range(6)
        )
        return Theme(
            ground=hsv(hue, tint, low),
            panel=hsv(hue, tint, panel),
            ink=hsv(hue, tint / 2, ink),
            faint=hsv(hue, tint / 2, 0.6 * ink + 0.4 * low),
            accents=accents,
            dark=dark,
        )


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Hue, saturation and value in [0, 1] as 8-bit RGB."""
    r, g, b = colorsys.hsv_to_rgb(hue % 1, min(1, max(0, saturation)), min(1, max(0, value)))
    return round(255 * r), round(255 * g), round(255 * b)


class Sheet:
    """A page while it is drawn.

    Args:
        rng: decides everything. size: height and width of the page, pixels.
        photographs: (H, W, 3) uint8 each, to be pasted in; none: gradients stand for them.
        scale: pixels of the canvas for one of the page; 1 leaves lines without antialiasing, as screens may have them.
        packaged: fonts that are the same everywhere only. dark: the theme; None: drawn.
    """

    def __init__(
        self,
        rng: random.Random,
        size: tuple[int, int],
        photographs: Sequence[Picture] = (),
        *,
        scale: int = 2,
        packaged: bool = False,
        dark: bool | None = None,
    ) -> None:
        self.rng, self.scale, self.photographs = rng, scale, photographs
        self.height, self.width = size
        self.theme = Theme.draw(rng, dark)
        files: tuple[Path | None, ...] = (None, *font_files(packaged=packaged))
        self.mono = rng.choice([f for f in files if f is not None and is_mono(f)] or [None])
        self.faces = [rng.choice(files) for _ in range(3)]
        self.image = Image.new("RGB", (scale * self.width, scale * self.height), self.theme.ground)
        self.pen = ImageDraw.Draw(self.image)

    def finish(self) -> Picture:
        """The page, (H, W, 3)."""
        if self.scale > 1:
            way = self.rng.choice((Image.Resampling.BOX, Image.Resampling.LANCZOS, Image.Resampling.BICUBIC))
            self.image = self.image.resize((self.width, self.height), way)
        return np.asarray(self.image)

    def accent(self) -> Colour:
        """One of the accents."""
        return self.rng.choice(self.theme.accents)

    def box(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        fill: Colour | None = None,
        *,
        line: Colour | None = None,
        width: float = 1,
        radius: float = 0,
    ) -> None:
        """A rectangle with round corners."""
        if w < 1 or h < 1:
            return
        s = self.scale
        area = (round(s * x), round(s * y), round(s * (x + w)) - 1, round(s * (y + h)) - 1)
        wide = max(1, round(s * width)) if line else 0
        self.pen.rounded_rectangle(area, min(s * radius, s * w / 2, s * h / 2), fill, line, wide)

    def line(self, points: Sequence[Point], colour: Colour, width: float = 1) -> None:
        """A polygonal line."""
        s = self.scale
        self.pen.line([(s * x, s * y) for x, y in points], colour, max(1, round(s * width)), joint="curve")

    def area(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled polygon."""
        self.pen.polygon([(self.scale * x, self.scale * y) for x, y in points], colour)

    def disc(
        self, x: float, y: float, r: float, fill: Colour | None = None, *, line: Colour | None = None, width: float = 1
    ) -> None:
        """A circle about (x, y)."""
        s = self.scale
        wide = max(1, round(s * width)) if line else 0
        self.pen.ellipse((s * (x - r), s * (y - r), s * (x + r), s * (y + r)), fill, line, wide)

    def face(self, size: float, which: int = 0, *, mono: bool = False) -> Font:
        """A font of the sheet on the canvas: of text (0), of headings (1) or another (2)."""
        return font(self.mono if mono else self.faces[which], max(4, round(self.scale * size)))

    def length(self, text: str, face: Font) -> float:
        """Width of text in pixels of the page."""
        return face.getlength(text) / self.scale

    def text(self, x: float, y: float, text: str, face: Font, colour: Colour, anchor: str = "la") -> float:
        """Text at a place; returns its width."""
        self.pen.text((self.scale * x, self.scale * y), text, colour, face, anchor)
        return self.length(text, face)

    def paragraph(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        *,
        size: float,
        colour: Colour,
        which: int = 0,
        justify: bool = True,
    ) -> float:
        """Lines of prose in a box, as many as fit and not more than a paragraph has; returns where they end."""
        face, pitch = self.face(size, which), size * self.rng.uniform(1.15, 1.5)
        space, rest, end = self.length(" ", face), words(self.rng, self.rng.randint(25, 160)), y + h
        while rest and y + pitch < end:
            row, used = [], 0.0
            while rest and used + self.length(rest[0], face) <= w:
                row.append(rest.pop(0))
                used += self.length(row[-1], face) + space
            if not row:
                rest.pop(0)
                continue
            gap = (w - used + space) / max(1, len(row) - 1) if justify and rest else 0.0
            if gap < 1:
                self.text(x, y, " ".join(row), face, colour)
            else:
                at = x
                for part in row:
                    at += self.text(at, y, part, face, colour) + space + gap
            y += pitch
        return y

    def gradient(self, x: float, y: float, w: float, h: float, one: Colour, two: Colour) -> None:
        """A smooth change from one colour to the other across a box, in any direction."""
        s = self.scale
        wide, high = max(1, round(s * w)), max(1, round(s * h))
        angle = self.rng.uniform(0, 2 * math.pi)
        rows, cols = np.mgrid[-1 : 1 : complex(high), -1 : 1 : complex(wide)].astype(np.float32)
        t = 0.5 + 0.35 * (math.cos(angle) * cols + math.sin(angle) * rows)[..., None]
        colours = np.asarray(one, np.float32) * (1 - t) + np.asarray(two, np.float32) * t
        self._paste(Image.fromarray(colours.clip(0, 255).round().astype(np.uint8)), x, y)

    def photograph(self, x: float, y: float, w: float, h: float) -> None:
        """Part of a photograph in a box."""
        if not self.photographs:
            self.gradient(x, y, w, h, self.accent(), self.accent())
            return
        picture = self.rng.choice(self.photographs)
        high, wide = picture.shape[:2]
        factor = max(w / wide, h / high, self.rng.uniform(0.4, 1.0))
        cut_w, cut_h = min(wide, round(w / factor)), min(high, round(h / factor))
        left, top = self.rng.randint(0, wide - cut_w), self.rng.randint(0, high - cut_h)
        part = Image.fromarray(np.ascontiguousarray(picture[top : top + cut_h, left : left + cut_w]))
        size = max(1, round(self.scale * w)), max(1, round(self.scale * h))
        self._paste(part.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0), x, y)

    def curve(self, points: Sequence[Point], colour: Colour, width: float = 1) -> None:
        """A smooth line through points (Catmull-Rom)."""
        if len(points) < 2:
            return
        p = np.asarray([points[0], *points, points[-1]], float)
        t = np.linspace(0, 1, 12, endpoint=False)[:, None]
        a, b, c, d = p[:-3, None], p[1:-2, None], p[2:-1, None], p[3:, None]
        xy = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
        self.line([(float(x), float(y)) for x, y in xy.reshape(-1, 2)] + [points[-1]], colour, width)

    def _paste(self, picture: Image.Image, x: float, y: float) -> None:
        self.image.paste(picture, (round(self.scale * x), round(self.scale * y)))
