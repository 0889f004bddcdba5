"""Drawings: signs, captions, charts, line art and codes."""

from __future__ import annotations

import math
import random

import numpy as np
from PIL import Image

from acutance_lab.synth import fonts
from acutance_lab.synth.documents import icon
from acutance_lab.synth.sheet import Point, Sheet, hsv


def signs(s: Sheet) -> None:
    """Plates with large letters and arrows before a photograph or a wall, turned a little."""
    r = s.rng
    if r.random() < 0.6:
        s.photograph(0, 0, s.width, s.height)
    else:
        s.gradient(0, 0, s.width, s.height, s.accent(), s.theme.panel)
    for _ in range(r.randint(3, 9)):
        w, h = r.uniform(120, 620), r.uniform(60, 260)
        x, y = r.uniform(-40, s.width - w + 40), r.uniform(-20, s.height - h + 20)
        ground, ink = s.accent(), r.choice(((255, 255, 255), (0, 0, 0), s.theme.ink, hsv(r.random(), 0.9, 0.9)))
        if r.random() < 0.4:
            ground, ink = ink, ground
        radius, rim = r.choice((0, 8, h / 4, h / 2)), r.choice((0, 2, 5))
        s.box(x, y, w, h, ground, line=ink if rim else None, width=rim, radius=radius)
        lines = r.choice((1, 1, 2, 3))
        for i in range(lines):
            label = r.choice((fonts.serial, fonts.title, fonts.number))(r)
            size = 0.62 * h / lines
            size = min(size, 0.85 * w / max(1.0, s.length(label, s.face(size, 1))) * size)
            s.text(x + w / 2, y + h * (i + 0.5) / lines, label, s.face(size, 1), ink, "mm")
        if r.random() < 0.3:
            icon(s, x + w + 30, y + h / 2, 24)
    if r.random() < 0.7:
        _tilt(s)


def _tilt(s: Sheet) -> None:
    """See the whole from aside: a projective map of the corners."""
    w, h = s.image.size
    corners = [(0, 0), (0, h), (w, h), (w, 0)]
    moved = [(x + s.rng.uniform(0, 0.15) * (w - 2 * x), y + s.rng.uniform(0, 0.15) * (h - 2 * y)) for x, y in corners]
    rows, right = [], []
    for (x, y), (u, v) in zip(corners, moved, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    found = np.linalg.solve(np.asarray(rows, float), np.asarray(right, float))
    s.image = s.image.transform((w, h), Image.Transform.PERSPECTIVE, found.tolist(), Image.Resampling.BICUBIC)


def captioned(s: Sheet) -> None:
    """A photograph under text: a slide, a poster, subtitles."""
    r = s.rng
    s.photograph(0, 0, s.width, s.height)
    light = (255, 255, 255) if r.random() < 0.7 else s.accent()
    for _ in range(r.randint(2, 6)):
        size, x, y = 10 ** r.uniform(1.1, 2.1), r.uniform(0, 0.6 * s.width), r.uniform(0, 0.9 * s.height)
        face, text = s.face(size, r.randint(0, 2)), fonts.title(r, 6)
        if r.random() < 0.35:
            s.box(x - 8, y - 4, s.length(text, face) + 16, 1.4 * size, s.theme.panel, radius=r.choice((0, 8)))
            s.text(x, y, text, face, s.theme.ink)
        else:
            for d in (-1.5, 1.5):
                s.text(x + d, y + abs(d), text, face, (0, 0, 0))
            s.text(x, y, text, face, light)


def plots(s: Sheet) -> None:
    """Charts with axes, ticks, grids and legends."""
    rows, cols = s.rng.choice(((1, 1), (1, 2), (2, 2), (2, 3), (3, 4)))
    w, h = s.width / cols, s.height / rows
    for i in range(rows):
        for j in range(cols):
            _chart(s, j * w, i * h, w, h)


def _chart(s: Sheet, x: float, y: float, w: float, h: float) -> None:
    r, t = s.rng, s.theme
    size = max(7.0, min(18.0, h / r.uniform(18, 40)))
    face, wide = s.face(size), r.choice((0.7, 1, 1, 1.5))
    left, top, w, h = x + 4.5 * size, y + 2.5 * size, w - 6 * size, h - 6 * size
    if r.random() < 0.3:
        s.box(left, top, w, h, t.panel)
    s.text(left + w / 2, top - size, fonts.title(r), s.face(1.2 * size, 1), t.ink, "mm")
    nx, ny, grid = r.randint(3, 10), r.randint(3, 8), r.random() < 0.6
    step = 10 ** r.randint(-2, 3)
    for i in range(nx + 1):
        at = left + w * i / nx
        s.line([(at, top if grid else top + h), (at, top + h + 4)], t.faint, 0.6 * wide)
        s.text(at, top + h + 6, f"{i * step:g}", face, t.ink, "ma")
    for i in range(ny + 1):
        at = top + h * i / ny
        s.line([(left - 4, at), (left + w if grid else left, at)], t.faint, 0.6 * wide)
        s.text(left - 6, at, f"{(ny - i) * step:g}", face, t.ink, "rm")
    s.text(left + w / 2, top + h + 2.4 * size, fonts.title(r, 2), face, t.ink, "ma")
    r.choice((_lines, _lines, _bars, _scatter, _heat))(s, left, top, w, h)
    if r.random() < 0.7:
        s.box(left, top, w, h, line=t.ink, width=wide)
    else:
        s.line([(left, top), (left, top + h), (left + w, top + h)], t.ink, wide)


def _lines(s: Sheet, x: float, y: float, w: float, h: float) -> None:
    r = s.rng
    for i in range(r.randint(1, 6)):
        n, value, points = r.choice((6, 12, 40, 150)), r.random(), []
        for k in range(n):
            value = min(1, max(0, value + r.gauss(0, 1.2 / math.sqrt(n)) * 0.5))
            points.append((x + w * k / (n - 1), y + h * value))
        colour, wide = s.accent(), r.choice((0.7, 1, 1.5, 2.5))
        (s.curve if n < 20 and r.random() < 0.5 else s.line)(points, colour, wide)
        if n < 20:
            for px, py in points:
                s.disc(px, py, r.choice((2, 3)), colour)
        label = s.text(x + w - 8, y + 6 + 14 * i, fonts.word(r), s.face(10), s.theme.ink, "ra")
        s.line([(x + w - label - 36, y + 12 + 14 * i), (x + w - label - 14, y + 12 + 14 * i)], colour, wide)


def _bars(s: Sheet, x: float, y: float, w: float, h: float) -> None:
    n, groups = s.rng.randint(3, 14), s.rng.randint(1, 3)
    colours = [s.accent() for _ in range(groups)]
    for i in range(n):
        for j, colour in enumerate(colours):
            high = h * s.rng.random()
            wide = 0.8 * w / n / groups
            s.box(x + w * (i + 0.1) / n + wide * j, y + h - high, wide - 1, high, colour)


def _scatter(s: Sheet, x: float, y: float, w: float, h: float) -> None:
    r = s.rng
    for _ in range(r.randint(1, 4)):
        colour, radius, spread = s.accent(), r.choice((1, 1.5, 2.5, 4)), r.uniform(0.05, 0.25)
        cx, cy = r.random(), r.random()
        for _ in range(r.randint(20, 200)):
            px, py = cx + r.gauss(0, spread), cy + r.gauss(0, spread)
            if 0 < px < 1 and 0 < py < 1:
                s.disc(x + w * px, y + h * py, radius, colour)


def _heat(s: Sheet, x: float, y: float, w: float, h: float) -> None:
    r, n, m = s.rng, s.rng.randint(4, 24), s.rng.randint(4, 24)
    hue, turn, face = r.random(), r.uniform(-0.5, 0.5), s.face(max(6, min(12, 0.4 * h / m)))
    shown = w / n > 34 and h / m > 14
    for i in range(n):
        for j in range(m):
            v = r.random()
            s.box(x + w * i / n, y + h * j / m, w / n + 1, h / m + 1, hsv(hue + turn * v, 0.8 - 0.5 * v, v))
            if shown:
                colour = (0, 0, 0) if v > 0.55 else (255, 255, 255)
                s.text(x + w * (i + 0.5) / n, y + h * (j + 0.5) / m, f"{v:.2f}", face, colour, "mm")


def line_art(s: Sheet) -> None:
    """Technical drawing: circles, curves, hatching, polygons, dimensions; or the streets of a map."""
    r, t = s.rng, s.theme
    filled = r.random() < 0.4
    for _ in range(r.randint(40, 160)):
        x, y, size = r.uniform(0, s.width), r.uniform(0, s.height), 10 ** r.uniform(1, 2.4)
        colour, wide = (t.ink if r.random() < 0.6 else s.accent()), r.choice((0.6, 1, 1, 1.5, 2, 3, 5))
        what = r.choice(("circle", "rings", "curve", "hatch", "shape", "label", "rays"))
        if what == "circle":
            s.disc(x, y, size / 2, s.accent() if filled else None, line=colour, width=wide)
        elif what == "rings":
            for k in range(1, r.randint(3, 12)):
                s.disc(x, y, size * k / 8, line=colour, width=wide)
        elif what == "curve":
            s.curve(_walk(r, x, y, size, r.randint(4, 12)), colour, wide)
        elif what == "hatch":
            pitch, slope = r.choice((3, 4, 6, 10)), r.uniform(-1, 1)
            for k in range(int(size / pitch)):
                s.line([(x + k * pitch, y), (x + k * pitch + slope * size, y + size)], colour, min(wide, pitch / 3))
        elif what == "shape":
            n = r.randint(3, 8)
            spokes = [(size * r.uniform(0.4, 1), 6.283 * i / n) for i in range(n)]
            points = [(x + d * math.cos(a), y + d * math.sin(a)) for d, a in spokes]
            if filled:
                s.area(points, s.accent())
            s.line([*points, points[0]], colour, wide)
        elif what == "label":
            s.text(x, y, r.choice((fonts.serial, fonts.title, fonts.number))(r), s.face(r.uniform(8, 30)), colour)
        else:
            for k in range(n := r.randint(8, 60)):
                a = 6.283 * k / n
                s.line([(x, y), (x + size * math.cos(a), y + size * math.sin(a))], colour, min(wide, 1.5))


def _walk(r: random.Random, x: float, y: float, size: float, count: int) -> list[Point]:
    """Places of a wandering point."""
    points, angle = [(x, y)], r.uniform(0, 6.283)
    for _ in range(count):
        angle += r.gauss(0, 0.8)
        x, y = x + size / 2 * math.cos(angle), y + size / 2 * math.sin(angle)
        points.append((x, y))
    return points


def codes(s: Sheet) -> None:
    """Bar codes, square codes, boards and test charts of lines."""
    r, t = s.rng, s.theme
    s.box(0, 0, s.width, s.height, t.ground)
    for _ in range(r.randint(12, 30)):
        x, y, w, h = r.uniform(0, s.width - 80), r.uniform(0, s.height - 80), r.uniform(80, 420), r.uniform(60, 320)
        unit, light, dark = r.choice((1, 2, 2, 3, 4, 6)), (255, 255, 255), r.choice(((0, 0, 0), t.accents[0]))
        s.box(x - 8, y - 8, w + 16, h + 26, light)
        what = r.choice(("bars", "squares", "board", "lines"))
        if what == "bars":
            at = x
            while at < x + w:
                wide = unit * r.choice((1, 1, 2, 3))
                s.box(at, y, max(1, wide), h, dark)
                at += wide + unit * r.choice((1, 1, 2, 3))
            s.text(x + w / 2, y + h + 8, fonts.serial(r), s.face(14, mono=True), (0, 0, 0), "mm")
        elif what in ("squares", "board"):
            side = unit * (3 if what == "squares" else 6)
            for i in range(int(w / side)):
                for j in range(int(h / side)):
                    if (r.random() < 0.5) if what == "squares" else (i + j) % 2:
                        s.box(x + i * side, y + j * side, max(1, side), max(1, side), dark)
        else:
            pitch = r.uniform(2, 12)
            for k in range(int(w / pitch)):
                s.line([(x + k * pitch, y), (x + k * pitch, y + h)], dark, 0.5 * pitch)
