"""One version, wherever it is written."""

from __future__ import annotations

import tomllib
from pathlib import Path

import acutance
from acutance.version import VERSION

ROOT = Path(__file__).parents[1]


def test_project_citation_and_changelog_name_the_version() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## [{VERSION}] - " in (ROOT / "CHANGELOG.md").read_text()
    assert acutance.__version__ == VERSION
