"""What the hooks of the site generate (`docs/tools`): every method, work and command is on its page."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from acutance.methods.spec import catalogue

HOOKS = Path(__file__).resolve().parents[1] / "docs" / "tools"


def hook(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"hook_{name}", HOOKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_method_is_on_its_page() -> None:
    page = hook("methods").page()
    for name, spec in catalogue().items():
        assert f"### {name} {{ #{name} }}" in page
        assert page.count(f"| [`{name}`](#{name}) | {spec.summary} |") == 1
    assert "members: [FdConfig]" in page


def test_every_work_is_in_the_literature_without_tex() -> None:
    hooks = hook("methods")
    page = hooks.literature()
    keys = re.findall(r"^@\w+\{([^,]+),", (HOOKS.parent / "references.bib").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(keys) > 50
    assert [key for key in keys if f'<a id="{key}"></a>' not in page] == []
    assert re.findall(r"[{}\\]", page) == []
    assert "Frédo Durand" in page


@pytest.mark.parametrize("program", ["product", "laboratory"])
def test_every_command_is_on_its_page(program: str) -> None:
    hooks = hook("commands")
    commands = {"product": "acutance.cli.app", "laboratory": "acutance_lab.cli.app"}[program]
    page = getattr(hooks, program)()
    titles = re.findall(r"^## `\S+ (\S+)`$", page, re.MULTILINE)
    assert titles == list(importlib.import_module(commands).COMMANDS)
    assert "[dim]" not in page


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            "Args:\n    a: text. b, c: more\n        of it.",
            "Args:\n    a: text.\n    b: more of it.\n    c: more of it.",
        ),
        ("Args:\n    a: one: two. Not b.\n\nReturns:\n    a.", "Args:\n    a: one: two. Not b.\n\nReturns:\n    a."),
        ("Line.\n\nArgs: a: which. b: how.", "Line.\n\nArgs:\n    a: which.\n    b: how."),
        ("Nothing of that kind.", "Nothing of that kind."),
    ],
)
def test_one_argument_a_line(given: str, expected: str) -> None:
    pytest.importorskip("griffe", reason="the extra docs is not installed")
    assert hook("arguments").one_a_line(given, "Args", "a|b|c") == expected
