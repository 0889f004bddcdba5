"""Names and what they stand for."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from acutance import blind, methods
from acutance.catalogue import MODULES, specs_of
from acutance.errors import ConfigError, UnknownMethod
from acutance.methods.spec import MethodSpec, catalogue, find, register
from acutance.registry import METHODS, Registry

WIENER = catalogue()["wiener"]


@pytest.fixture
def clean() -> Iterator[None]:
    yield
    METHODS.forget()


def test_every_file_with_a_method_is_in_the_catalogue() -> None:
    there = {
        info.name
        for room in (methods, blind)
        for info in pkgutil.iter_modules(room.__path__, f"{room.__name__}.")
        if specs_of(sys.modules.get(info.name) or __import__(info.name, fromlist=["SPEC"]))
    }
    assert {module.__name__ for module in MODULES} == there


def test_a_method_can_be_registered(clean: None) -> None:
    mine = register(replace(WIENER, name="mine", aliases=("my-own",)))
    assert find("mine") is find("my-own") is mine
    assert catalogue()["mine"] is mine
    assert list(catalogue()) == sorted(catalogue())


@pytest.mark.parametrize(("name", "aliases"), [("wiener", ()), ("other", ("wiener",)), ("rl", ()), ("x", ("rgdm",))])
def test_a_name_that_is_taken_is_refused(name: str, aliases: tuple[str, ...], clean: None) -> None:
    with pytest.raises(ConfigError, match="there is a method"):
        register(replace(WIENER, name=name, aliases=aliases))
    assert name in ("wiener", "rl") or name not in catalogue()


def test_sources_are_asked_once_and_late() -> None:
    registry, asked = Registry[MethodSpec](), []

    def source() -> Iterator[MethodSpec]:
        asked.append(1)
        yield WIENER

    registry.provide(source)
    assert asked == []
    assert registry.find("wiener") is registry.find("wiener") is WIENER
    assert asked == [1]
    registry.provide(lambda: [replace(WIENER, name="later")])
    assert list(registry.rows()) == ["later", "wiener"]
    with pytest.raises(UnknownMethod, match="did you mean later"):
        registry.find("latr")


def test_the_methods_are_found_whatever_was_imported_first() -> None:
    program = (
        "from acutance.methods.pnp import build; import sys; print('acutance.blind' in sys.modules); "
        "build(denoiser='nlm'); print('acutance.catalogue' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert run.stdout.split() == ["False", "True"]
