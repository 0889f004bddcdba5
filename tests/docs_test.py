"""What the documentation shows really runs, and what it cites is really there."""

from __future__ import annotations

import doctest
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import acutance.catalogue
from acutance import methods
from acutance.errors import ConfigError
from acutance.methods.spec import MethodSpec, catalogue
from acutance.metrics import psnr
from acutance.problem import Outcome
from acutance.registry import METHODS
from acutance.restoration.restorer import Restorer

ROOT = Path(__file__).resolve().parents[1]
DOCS, SOURCES = ROOT / "docs", ROOT / "src"
KEYS = set(re.findall(r"^@\w+\{([^,]+),", (DOCS / "references.bib").read_text(encoding="utf-8"), re.MULTILINE))
WITH_EXAMPLES = [
    ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((SOURCES / "acutance").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


def code_blocks(page: str) -> list[str]:
    """The Python code blocks of a page, in order."""
    return re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def landweber(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MethodSpec]:
    """The method of docs/adding-a-method.md, put where a method's file goes, and named in the catalogue."""
    (tmp_path / "landweber.py").write_text(code_blocks("adding-a-method.md")[0], encoding="utf-8")
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    module = importlib.import_module("acutance.methods.landweber")
    monkeypatch.setattr(acutance.catalogue, "MODULES", (*acutance.catalogue.MODULES, module))
    METHODS.forget()
    yield catalogue()["landweber"]
    METHODS.forget()
    sys.modules.pop("acutance.methods.landweber")
    del methods.landweber


def test_a_method_is_one_file(landweber: MethodSpec) -> None:
    namespace: dict[str, Any] = {}
    exec(code_blocks("adding-a-method.md")[1], namespace)
    problem, result, restored = namespace["problem"], namespace["result"], namespace["restored"]
    assert restored.shape == problem.observed.shape
    assert result.outcome is not Outcome.DIVERGED
    assert torch.all(result.trace[1:] <= result.trace[:-1])
    truth = problem.crop(namespace["sharp"])
    assert psnr(restored, truth) > psnr(problem.observed, truth) + 3


def test_a_new_method_is_reached_by_everybody(landweber: MethodSpec, generator: torch.Generator) -> None:
    picture, kernel = torch.rand(1, 3, 20, 24, generator=generator), torch.full((1, 1, 3, 3), 1 / 9)
    restored = Restorer.load("landweber", device="cpu", steps=3)(picture, kernel)
    assert restored.steps == 3
    assert restored.image.pixels.shape == picture.shape
    with pytest.raises(ConfigError, match="its settings are size, steps"):
        Restorer.load("landweber", momentum=0.9)
    with pytest.raises(ConfigError, match="does not converge"):
        Restorer.load("landweber", size=2.5)


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_in_docstrings_run(module: str) -> None:
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(importlib.import_module(module), optionflags=options).failed == 0


@pytest.mark.parametrize("name", catalogue())
def test_every_method_cites_a_known_work(name: str) -> None:
    assert catalogue()[name].reference in KEYS


def test_the_example_cites_a_known_work(landweber: MethodSpec) -> None:
    assert landweber.reference in KEYS


PAGES = [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md"))]
MADE = {
    DOCS / f"{name}.md" for name in ("methods", "literature", "command-line", "laboratory", "contributing", "changelog")
}
"""Pages of the site that are made when it is built (`docs/tools/pages.py`)."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!\w+:)([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists() and page.parent / link not in MADE]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_that_are_named_exist(page: Path) -> None:
    named = set(re.findall(r"`(docs/[\w./-]+\.\w+)`", page.read_text(encoding="utf-8"))) - {
        "docs/decisions/NNNN-title.md"
    }
    assert {name for name in named if not (ROOT / name).exists() and ROOT / name not in MADE} == set()
