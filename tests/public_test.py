"""The public names: sorted, complete, documented, and one version number."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import acutance

PROJECT = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_public_names_are_sorted() -> None:
    assert acutance.__all__ == sorted(set(acutance.__all__))


@pytest.mark.parametrize("name", acutance.__all__)
def test_a_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(acutance, name).__doc__
    assert name in dir(acutance)


def test_public_names_are_complete() -> None:
    """What the front door holds of ours is either public or begins with an underscore."""
    ours = {
        name
        for name, value in vars(acutance).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and getattr(value, "__module__", "").startswith("acutance")
    }
    assert ours <= set(acutance.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="focus"):
        _ = acutance.focus


def test_one_version() -> None:
    assert acutance.__version__ == PROJECT["version"]
