"""Documents and screens: prose, programs, windows, tables, handwriting."""

from __future__ import annotations

import math
from itertools import pairwise

from acutance_lab.synth import fonts
from acutance_lab.synth.sheet import Point, Sheet


def article(s: Sheet) -> None:
    """Prose in columns, with headings and figures."""
    r, t = s.rng, s.theme
    margin, columns = r.uniform(20, 90), r.choice((1, 1, 2, 2, 3))
    size = r.choice((8, 9, 10, 11, 12, 13, 14, 16, 18, 22))
    gap = 2 * size
    w = (s.width - 2 * margin - (columns - 1) * gap) / columns
    top = margin
    if r.random() < 0.6:
        heading = size * r.uniform(1.8, 4)
        s.text(margin, top, fonts.title(r), s.face(heading, 1), s.accent() if r.random() < 0.3 else t.ink)
        top += 1.6 * heading
    justify = r.random() < 0.6
    for column in range(columns):
        x, y = margin + column * (w + gap), top
        while y < s.height - margin - 2 * size:
            rest = s.height - margin - y
            what = r.random()
            if what < 0.12 and rest > 12 * size:
                h = min(rest, r.uniform(8, 20) * size)
                s.photograph(x, y, w, h)
                s.text(x, y + h + 0.3 * size, fonts.title(r, 7), s.face(0.8 * size, 2), t.faint)
                y += h + 2.4 * size
            elif what < 0.3:
                s.text(x, y, fonts.title(r), s.face(1.35 * size, 1), t.ink)
                y += 2.2 * size
            else:
                y = s.paragraph(x, y, w, rest, size=size, colour=t.ink, justify=justify) + r.uniform(0.3, 1) * size


def editor(s: Sheet) -> None:
    """A program or a terminal in coloured letters of one width."""
    r, t = s.rng, s.theme
    size = r.choice((9, 10, 11, 12, 13, 14, 16, 18, 22))
    face, pitch = s.face(size, mono=True), size * r.uniform(1.15, 1.6)
    kinds = ("keyword", "name", "number", "string", "mark", "comment")
    colours = {k: t.faint if k == "comment" else t.ink if k in ("name", "mark") else s.accent() for k in kinds}
    bar = _window_bar(s, 0, 0, s.width, size) if r.random() < 0.6 else 0.0
    side = r.uniform(100, 260) if r.random() < 0.4 else 0.0
    if side:
        s.box(0, bar, side, s.height - bar, t.panel)
        for i in range(int((s.height - bar) / (1.8 * size))):
            indent = 8 + 12 * r.randint(0, 2)
            s.text(indent, bar + 6 + 1.8 * size * i, fonts.word(r) + r.choice((".py", ".c", "", "/")), face, t.ink)
    numbers, depth, y = r.random() < 0.7, 0, bar + 6.0
    while y < s.height:
        x = side + 10
        if numbers:
            x += 4 * s.text(x, y, f"{int(y / pitch):>3}", face, t.faint) / 3
        if r.random() < 0.03:
            s.box(side, y, s.width - side, pitch, t.panel)
        if r.random() < 0.88:
            x += depth * s.length("    ", face)
            for kind, part in fonts.code(r):
                x += s.text(x, y, part, face, colours[kind])
        depth = min(5, max(0, depth + r.choice((-1, 0, 0, 0, 1))))
        y += pitch


def _window_bar(s: Sheet, x: float, y: float, w: float, size: float) -> float:
    """The bar of a window; returns its height."""
    h = 2 * size
    s.box(x, y, w, h, s.theme.panel)
    for i in range(3):
        s.disc(x + h * (0.6 + 0.8 * i), y + h / 2, 0.22 * h, s.accent())
    s.text(x + w / 2, y + h / 2, fonts.title(s.rng), s.face(0.9 * size), s.theme.ink, "mm")
    return h


def screen(s: Sheet) -> None:
    """Windows, buttons, lists, icons and photographs, as programs show them."""
    r, t = s.rng, s.theme
    if r.random() < 0.5:
        s.photograph(0, 0, s.width, s.height)
    for _ in range(r.randint(2, 5)):
        w, h = r.uniform(0.45, 1.0) * s.width, r.uniform(0.45, 1.0) * s.height
        x, y, size = r.uniform(0, s.width - w), r.uniform(0, s.height - h), r.uniform(9, 18)
        s.box(x, y, w, h, t.ground, line=t.faint, radius=r.choice((0, 6, 12)))
        bar = _window_bar(s, x, y, w, size)
        left, at = x + 12, y + bar + 10
        while at < y + h - 4 * size:
            at += _row(s, left, at, w - 24, size)


def _row(s: Sheet, x: float, y: float, w: float, size: float) -> float:
    """One row of controls or a card; returns its height."""
    r, t = s.rng, s.theme
    what = r.choice(("buttons", "field", "list", "card", "icons", "slider", "tabs"))
    h, face = 2.4 * size, s.face(size)
    if what == "buttons":
        for _ in range(r.randint(1, 6)):
            label = fonts.title(r, 2)
            wide = s.length(label, face) + 2 * size
            ground = s.accent() if r.random() < 0.4 else t.panel
            s.box(x, y, wide, 2 * size, ground, line=t.faint, radius=r.choice((0, 4, size)))
            s.text(x + wide / 2, y + size, label, face, t.ink, "mm")
            x += wide + 0.6 * size
    elif what == "field":
        before = s.text(x, y + size, fonts.title(r, 2), face, t.ink, "lm") + size
        s.box(x + before, y, max(4, min(w - before, 20 * size)), 2 * size, t.panel, line=t.faint, radius=3)
        s.text(x + before + 0.5 * size, y + size, fonts.serial(r), face, t.faint, "lm")
    elif what == "list":
        rows = r.randint(2, 6)
        for i in range(rows):
            if i % 2:
                s.box(x, y + 1.7 * size * i, w, 1.7 * size, t.panel)
            s.text(x + 4, y + 1.7 * size * i + 0.3 * size, " ".join(fonts.words(r, r.randint(2, 9))), face, t.ink)
            s.text(x + w - 4, y + 1.7 * size * i + 0.3 * size, fonts.number(r), face, t.faint, "ra")
        h = 1.7 * size * rows + 0.6 * size
    elif what == "card":
        h = r.uniform(5, 11) * size
        s.box(x, y, w, h - 6, t.panel, radius=8)
        s.photograph(x + 8, y + 8, 1.2 * h, h - 22)
        s.paragraph(x + 1.2 * h + 18, y + 8, w - 1.2 * h - 26, h - 16, size=size, colour=t.ink, justify=False)
    elif what == "icons":
        for i in range(int(w / (2.6 * size))):
            icon(s, x + 2.6 * size * i + size, y + size, 0.8 * size)
    elif what == "slider":
        at = r.random() * w
        s.line([(x, y + size), (x + w, y + size)], t.faint, 3)
        s.line([(x, y + size), (x + at, y + size)], s.accent(), 3)
        s.disc(x + at, y + size, 0.5 * size, t.ink)
    else:
        s.line([(x, y + 2 * size), (x + w, y + 2 * size)], t.faint, 1)
        for i in range(r.randint(2, 6)):
            x += s.text(x, y, fonts.title(r, 1), face, s.accent() if i == 0 else t.ink) + 2 * size
    return h


def icon(s: Sheet, x: float, y: float, radius: float) -> None:
    """A small sign about a place."""
    r, colour = s.rng, s.accent() if s.rng.random() < 0.5 else s.theme.ink
    what = r.choice(("disc", "ring", "star", "cross", "menu", "arrow", "square"))
    if what == "disc":
        s.disc(x, y, radius, colour)
    elif what == "ring":
        s.disc(x, y, radius, line=colour, width=max(1, radius / 4))
    elif what == "star":
        n = r.randint(3, 7)
        spokes = [(radius * (1 if i % 2 else 0.45), math.pi * i / n) for i in range(2 * n)]
        s.area([(x + d * math.sin(a), y + d * math.cos(a)) for d, a in spokes], colour)
    elif what == "cross":
        for sign in (-1, 1):
            s.line([(x - radius, y - sign * radius), (x + radius, y + sign * radius)], colour, max(1, radius / 4))
    elif what == "menu":
        for i in (-1, 0, 1):
            s.line([(x - radius, y + 0.7 * radius * i), (x + radius, y + 0.7 * radius * i)], colour, max(1, radius / 5))
    elif what == "arrow":
        s.area([(x - radius, y - radius), (x + radius, y), (x - radius, y + radius), (x - 0.4 * radius, y)], colour)
    else:
        s.box(x - radius, y - radius, 2 * radius, 2 * radius, colour, radius=r.choice((0, radius / 3)))


def table(s: Sheet) -> None:
    """Rows and columns of words and numbers, with lines or stripes."""
    r, t = s.rng, s.theme
    size = r.choice((9, 10, 11, 12, 14, 16, 20))
    margin, face, pitch = r.uniform(0, 60), s.face(size, r.randint(0, 2)), size * r.uniform(1.3, 2.2)
    cuts, x = [margin], margin
    while x < s.width - margin - 4 * size:
        x += r.uniform(4, 14) * size
        cuts.append(min(x, s.width - margin))
    of_words = [r.random() < 0.4 for _ in cuts]
    stripes, lines, y, row = r.random() < 0.4, r.random() < 0.6, margin, 0
    wide = r.choice((0.6, 1, 1, 2))
    while y + pitch < s.height - margin / 2:
        head = row == 0
        if head or (stripes and row % 2):
            s.box(margin, y, cuts[-1] - margin, pitch, s.theme.accents[0] if head else t.panel)
        for i, (a, b) in enumerate(pairwise(cuts)):
            text = fonts.title(r, 1) if head else " ".join(fonts.words(r, 2)) if of_words[i] else fonts.number(r)
            while text and s.length(text, face) > b - a - 6:
                text = text[:-1]
            place, anchor = (a + 4, "lm") if of_words[i] or head else (b - 4, "rm")
            s.text(place, y + pitch / 2, text, face, t.ink, anchor)
        if lines or head:
            s.line([(margin, y + pitch), (cuts[-1], y + pitch)], t.faint, wide)
        y, row = y + pitch, row + 1
    if lines:
        for at in cuts:
            s.line([(at, margin), (at, y)], t.faint, wide)


def handwriting(s: Sheet) -> None:
    """Loops and strokes along ruled lines, as a pen writes them."""
    r, t = s.rng, s.theme
    size = r.uniform(14, 44)
    pitch, slant, wide = size * r.uniform(1.4, 2.2), r.uniform(-0.1, 0.5), size * r.uniform(0.05, 0.13)
    ruled, ink = r.random() < 0.5, s.accent() if r.random() < 0.5 else t.ink
    for k in range(int(s.height / pitch)):
        base, x = (k + 1) * pitch, r.uniform(10, 90)
        if ruled:
            s.line([(0, base + 3), (s.width, base + 3)], t.faint, 0.8)
        while x < s.width - 40:
            if r.random() < 0.05:
                x += 6 * size * r.random()
            points: list[Point] = []
            for _ in range(r.randint(3, 22)):
                up = r.choices((0.5, 1.0, -0.5, 0.25), (6, 2, 1, 2))[0] * size * r.uniform(0.8, 1.2)
                step, foot = size * r.uniform(0.1, 0.28), base + r.gauss(0, 0.04) * size
                loop = r.uniform(-0.15, 0.1) * size
                points += [(x + slant * up + loop, base - up), (x + step, foot)]
                x += step
            s.curve(points, ink, wide)
            x += size * r.uniform(0.3, 0.7)
