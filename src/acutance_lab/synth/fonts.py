"""Fonts that are there, and text without meaning to set in them."""

from __future__ import annotations

import random
import string
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont

FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".fonts")
"""Where systems keep fonts."""

UNFIT = ("lastresort", "emoji", "symbol", "math", "stixsiz", "stixnonuni", "cmex", "cmsy", "cmmi", "display", "icon",
         "dingbat", "awesome", "barcode")  # fmt: skip
"""Parts of the names of files that hold no letters."""

SAMPLE = "Aamg4"

ONSETS = ("", "", "b", "br", "c", "ch", "d", "f", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "pl", "qu", "r", "s",
          "sh", "st", "t", "th", "tr", "v", "w", "z")  # fmt: skip
VOWELS = ("a", "e", "i", "o", "u", "ea", "ou", "y", "ie", "ä", "é", "ö", "ü")
VOWEL_WEIGHTS = (9, 12, 8, 8, 4, 2, 2, 1, 2, 0.4, 0.5, 0.4, 0.4)
CODAS = ("", "", "", "l", "m", "n", "nd", "ng", "nt", "r", "s", "ss", "st", "t", "ck", "x")
COMMON = ("the", "of", "and", "to", "in", "is", "that", "for", "it", "as", "with", "on", "by", "at", "from", "or", "a",
          "not", "be", "we", "this", "are", "an", "was", "which", "each", "one")  # fmt: skip
KEYWORDS = ("def", "return", "if", "else", "for", "while", "import", "class", "const", "let", "int", "void", "fn", "in",
            "from", "None", "true", "self", "new", "static")  # fmt: skip


@lru_cache(maxsize=2)
def font_files(*, packaged: bool = False) -> tuple[Path, ...]:
    """Files of fonts with Latin letters, sorted by name; none where there are none.

    Args:
        packaged: only those that matplotlib brings, which are the same everywhere; else those of the system as well.
    """
    spec = find_spec("matplotlib")
    folders = [] if spec is None or spec.origin is None else [Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"]
    if not packaged:
        folders += FOLDERS
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(p for s in ("*.ttf", "*.otf") for p in folder.rglob(s)):
            if not any(part in path.name.lower() for part in UNFIT):
                found.setdefault(path.name, path)
    return tuple(found[name] for name in sorted(found) if _has_letters(found[name]))


@lru_cache(maxsize=512)
def font(path: Path | None, size: int) -> Font:
    """A font of that size in pixels; None: the one that Pillow brings."""
    if path is None:
        built_in = ImageFont.load_default(size)
        assert isinstance(built_in, Font), "Pillow is built without FreeType"
        return built_in
    return ImageFont.truetype(path, size)


def is_mono(path: Path | None) -> bool:
    """Whether all letters are as wide, judged by i and m."""
    return abs(font(path, 40).getlength("i") - font(path, 40).getlength("m")) < 1


def word(rng: random.Random) -> str:
    """A word of no language, in Latin letters; sometimes a common one."""
    if rng.random() < 0.35:
        return rng.choice(COMMON)
    syllables = rng.choices((1, 2, 3, 4), (3, 5, 3, 1))[0]
    return "".join(
        rng.choice(ONSETS) + rng.choices(VOWELS, VOWEL_WEIGHTS)[0] + rng.choice(CODAS) for _ in range(syllables)
    )


def number(rng: random.Random) -> str:
    """A number as tables and bills have it."""
    value = 10 ** rng.uniform(0, 6)
    form = rng.choice(("{:.0f}", "{:.1f}", "{:.2f}", "{:,.2f}", "{:.1e}", "-{:.2f}", "{:.0f} %", "${:,.0f}"))
    return form.format(value)


def words(rng: random.Random, count: int) -> list[str]:
    """Words as in prose: sentences, capitals, numbers, marks."""
    found, start = [], True
    for _ in range(count):
        w = number(rng) if rng.random() < 0.04 else word(rng)
        if start or rng.random() < 0.04:
            w = w.capitalize()
        elif rng.random() < 0.015:
            w = w.upper()
        start = rng.random() < 0.09
        mark = rng.choices((".", "?", "!", ":"), (8, 1, 1, 1))[0] if start else "," if rng.random() < 0.07 else ""
        w = f"({w})" if rng.random() < 0.015 else w
        found.append(w + mark)
    return found


def title(rng: random.Random, most: int = 4) -> str:
    """A few words as a heading has them."""
    text = " ".join(word(rng) for _ in range(rng.randint(1, most)))
    return rng.choice((str.title, str.upper, str.capitalize))(text)


def code(rng: random.Random) -> list[tuple[str, str]]:
    """A line of a program, as (kind, text): kinds are keyword, name, number, string, mark and comment."""
    if rng.random() < 0.12:
        return [("comment", "# " + " ".join(words(rng, rng.randint(3, 9))))]
    parts: list[tuple[str, str]] = []
    if rng.random() < 0.6:
        parts += [("keyword", rng.choice(KEYWORDS)), ("mark", " ")]
    for _ in range(rng.randint(1, 6)):
        kind = rng.choices(("name", "number", "string", "mark"), (6, 2, 1.5, 3))[0]
        text = {
            "name": word(rng) + rng.choice(("", "", "_" + word(rng), "." + word(rng), "()")),
            "number": number(rng).replace(" %", "").replace("$", ""),
            "string": f'"{" ".join(word(rng) for _ in range(rng.randint(1, 3)))}"',
            "mark": rng.choice(("{", "}", "(", ")", "[", "];", "=>", "->", "::", "&&", "!=", "<=", "@")),
        }[kind]
        parts += [(kind, text), ("mark", rng.choice((" ", " = ", ", ", ".", " + ", "(", ") ")))]
    return parts


def serial(rng: random.Random) -> str:
    """Letters and digits, as on plates and labels."""
    return "".join(rng.choices(string.ascii_uppercase + string.digits + "-", k=rng.randint(3, 9))).strip("-") or "X1"


def _has_letters(path: Path) -> bool:
    """Whether the font draws letters, each another shape."""
    try:
        face = ImageFont.truetype(path, 24)
        shapes = [bytes(face.getmask(letter)) for letter in SAMPLE]
    except (OSError, ValueError):
        return False
    return len(set(shapes)) == len(SAMPLE) and all(any(shape) for shape in shapes)
