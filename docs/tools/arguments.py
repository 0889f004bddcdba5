"""Let mkdocstrings read the docstrings of this project as they are meant.

They describe several arguments in one line, ``a: text. b, c: text``, several errors alike, and one example is headed
"Example".
"""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Any

from griffe import Class, Extension, Function, Object

SECTION = r"^{title}:[ \n]((?:.*\n?)(?:(?:    .*)?\n?(?=    |\n    |\Z))*)"
ERROR = r"[\w.]+"


class OneALine(Extension):
    """Rewrites docstrings of functions and classes before they are parsed: one argument, one error a line."""

    def on_function(self, *, func: Function, **_: Any) -> None:
        """Arguments of a function are its parameters."""
        _rewrite(func, [parameter.name for parameter in func.parameters])

    def on_class(self, *, cls: Class, **_: Any) -> None:
        """Those of a class are its fields, as most are dataclasses, or the parameters of its constructor."""
        _rewrite(cls, [*cls.attributes, *(parameter.name for parameter in cls.parameters)])


def _rewrite(member: Object, names: list[str]) -> None:
    if member.docstring is None:
        return
    text = re.sub(r"^Example:$", "Examples:", member.docstring.value, flags=re.MULTILINE)
    known = "|".join(re.escape(name) for name in dict.fromkeys(names))
    text = one_a_line(text, "Args", known) if known else text
    member.docstring.value = one_a_line(text, "Raises", ERROR)


def one_a_line(text: str, title: str, name: str) -> str:
    """The docstring with every item of a section on a line of its own; names that share a text get it each.

    Args:
        text: of the docstring.
        title: of the section.
        name: regular expression of the names that its items have.
    """
    section = re.search(SECTION.format(title=title), f"{text}\n", re.MULTILINE)
    if section is None:
        return text
    names = rf"((?:{name})(?:, (?:{name}))*)"
    parts = re.split(rf"(?:^|(?<=[.;:] )|(?<=\n))\s*{names}: ", dedent(section[1]).strip())
    lines = []
    for shared, meaning in zip(parts[1::2], parts[2::2], strict=True):
        lines += [f"    {each}: {' '.join(meaning.split())}" for each in shared.split(", ")]
    return text if not lines else text.replace(section[0].rstrip(), "\n".join([f"{title}:", *lines]))
