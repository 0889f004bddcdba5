"""Let mkdocstrings read docstrings that describe several arguments in one line, ``a: text. b, c: text``."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Any

from griffe import Class, Extension, Function, Object


class OneArgumentALine(Extension):
    """Rewrites the section ``Args:`` of every function and class to one argument a line before it is parsed."""

    def on_function(self, *, func: Function, **_: Any) -> None:
        """Arguments of a function are its parameters."""
        _rewrite(func, [parameter.name for parameter in func.parameters])

    def on_class(self, *, cls: Class, **_: Any) -> None:
        """Those of a class are its fields, as most are dataclasses, or the parameters of its constructor."""
        _rewrite(cls, [*cls.attributes, *(parameter.name for parameter in cls.parameters)])


def _rewrite(member: Object, names: list[str]) -> None:
    if member.docstring is not None:
        member.docstring.value = one_a_line(member.docstring.value, names)


def one_a_line(text: str, names: list[str]) -> str:
    """The docstring with every argument on a line of its own; two that share a text get it both.

    Args:
        text: of the docstring.
        names: of all arguments that there are.
    """
    known = "|".join(re.escape(name) for name in dict.fromkeys(names))
    section = re.search(r"^Args?:[ \n]((?:.*\n?)(?:(?:    .*)?\n?(?=    |\n    |\Z))*)", f"{text}\n", re.MULTILINE)
    if not known or section is None:
        return text
    parts = re.split(rf"(?:^|(?<=[.;:] )|(?<=\n))\s*((?:{known})(?:, (?:{known}))*): ", dedent(section[1]).strip())
    lines = []
    for shared, meaning in zip(parts[1::2], parts[2::2], strict=True):
        lines += [f"    {name}: {' '.join(meaning.split())}" for name in shared.split(", ")]
    return text if not lines else text.replace(section[0].rstrip(), "\n".join(["Args:", *lines]))
