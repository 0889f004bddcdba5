"""Imports point down: the storeys of the library, and who may use which third-party package."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "acutance"

STOREYS = (  # from the ground up; a room imports itself and the storeys below its own, never its neighbours
    ("errors", "tensors"),
    ("quantised", "surround", "kernel_fit"),
    ("operators", "images", "metrics", "texture"),
    ("noise",),
    ("noise_behind", "noise_told"),
    ("psf",),
    ("problem", "frame"),
    ("solver", "linear", "networks", "saturation", "views"),
    ("priors", "synth", "weights"),
    ("methods",),
    ("blind", "orientation", "prepare"),
    ("data", "restore"),
    ("train", "bench", "web", "serve", "sensing"),
    ("experiments",),
    ("cli",),  # cli.py, cli_*.py, cli/ and __main__.py
)
STRICTER: dict[str, set[str]] = {  # rooms that keep to fewer rooms than their storey allows
    "networks": {"errors", "tensors"},
    "weights": {"errors"},
}
THIRD_PARTY_OF: dict[str, set[str]] = {  # the only third-party packages that these rooms import
    "networks": {"torch"},
}
RESERVED: dict[str, set[str]] = {  # third-party packages that only these rooms import
    "lightning": {"train"},
    "typer": {"cli"},
    "rich": {"cli"},
}
LAZY = {"scipy"}  # optional packages: imported inside functions only, so that the library loads without them
HEAVY = ("PIL", "lightning", "typer", "rich", "scipy")  # what the mathematical core never loads

FRONT_DOOR = "__init__"
TOP = STOREYS[-1][0]
FLOOR = {room: floor for floor, rooms in enumerate(STOREYS) for room in rooms}


@dataclass(frozen=True)
class Import:
    """One imported name, absolute: `acutance.tensors.pad`."""

    name: str
    line: int
    lazy: bool  # inside a function, or for the type checker only


def imports(source: str, module: str, *, is_package: bool) -> Iterator[Import]:
    """Everything that a module imports, wherever in the file."""
    parts = module.split(".")

    def absolute(node: ast.ImportFrom) -> str:
        if node.level == 0:
            return node.module or ""
        base = parts[: len(parts) - node.level + is_package]
        return ".".join([*base, *([node.module] if node.module else [])])

    def visit(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, child.lineno, lazy) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = absolute(child)
                yield from (Import(f"{base}.{alias.name}", child.lineno, lazy) for alias in child.names)
            else:
                function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                typing = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
                yield from visit(child, lazy or function or typing)

    return visit(ast.parse(source), lazy=False)


def room_of(name: str) -> str:
    """The room of a dotted name: acutance.operators.blur.Blur -> operators; a public name -> __init__."""
    _, _, rest = name.partition(".")
    room = rest.partition(".")[0]
    if room == "__main__" or room == TOP or room.startswith(f"{TOP}_"):
        return TOP
    return room if room in FLOOR else FRONT_DOOR


def complaints(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """What is wrong with the imports of a module; empty if nothing is."""
    room = room_of(module)
    if room == FRONT_DOOR:
        if module == "acutance":
            return []
        return [f"{module} is in no storey: add it to STOREYS in tests/layers_test.py, as low as its imports allow"]
    found = []
    for each in imports(source, module, is_package=is_package):
        package = each.name.partition(".")[0]
        wrong = _of_ours(room, room_of(each.name)) if package == "acutance" else _of_others(room, package, each.lazy)
        if wrong:
            found.append(f"{module}, line {each.line}: imports {each.name}, but {wrong}")
    return found


def _of_ours(room: str, other: str) -> str | None:
    if other == room or room == TOP:
        return None
    if other == FRONT_DOOR:
        return "nothing below the command line imports the public names; import the module that defines them"
    if FLOOR[other] > FLOOR[room]:
        return f"{other} is above {room}"
    if FLOOR[other] == FLOOR[room]:
        return f"{other} is a neighbour of {room}; what both need belongs below them"
    if room in STRICTER and other not in STRICTER[room]:
        return f"{room} imports {' and '.join(sorted(STRICTER[room])) or 'nothing else of ours'} only"
    return None


def _of_others(room: str, package: str, lazy: bool) -> str | None:
    if package in sys.stdlib_module_names:
        return None
    if room in THIRD_PARTY_OF and package not in THIRD_PARTY_OF[room]:
        return f"{room} uses {' and '.join(sorted(THIRD_PARTY_OF[room]))} only"
    if room not in RESERVED.get(package, {room}):
        return f"{package} is for {' and '.join(sorted(RESERVED[package]))} only"
    if package in LAZY and not lazy:
        return f"{package} is optional; import it inside the function that needs it"
    return None


def _modules() -> dict[str, Path]:
    """Every module of the package, by dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if path.stem == "__init__" else parts)] = path
    return found


MODULES = _modules()


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    path = MODULES[module]
    wrong = complaints(path.read_text(encoding="utf-8"), module, is_package=path.stem == "__init__")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("acutance.operators.blur", "from acutance.solver import Solver"),  # up
        ("acutance.operators.blur", "from acutance import solver"),
        ("acutance.operators.blur", "from ..solver import Solver"),
        ("acutance.solver", "from .methods import rgdn"),
        ("acutance.operators.blur", "def f():\n    import acutance.methods.rgdn"),  # up, hidden in a function
        ("acutance.operators.blur", "from acutance.metrics import psnr"),  # sideways
        ("acutance.restore", "from acutance import Restorer"),  # the front door
        ("acutance.restore", "import acutance"),
        ("acutance.networks.unet", "from acutance.operators import Blur"),  # stricter rooms
        ("acutance.networks.unet", "import numpy"),
        ("acutance.weights.files", "from acutance.problem import Problem"),
        ("acutance.bench.run", "import lightning.pytorch"),  # third parties
        ("acutance.train.loop", "from rich.progress import track"),
        ("acutance.restore", "import scipy.io"),
        ("acutance.telescope", ""),  # in no storey
    ],
)
def test_the_rules_are_enforced(module: str, line: str) -> None:
    assert len(complaints(line, module)) == 1


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("acutance", "from acutance.restore import Restorer"),
        ("acutance.operators.blur", "from acutance.tensors import pad"),
        ("acutance.operators.blur", "from .base import LinearOperator"),
        ("acutance.methods.rgdn", "from acutance import problem, solver"),
        ("acutance.images.kernel_file", "def read():\n    from scipy.io import loadmat"),
        ("acutance.weights.files", "from acutance.errors import WeightsError"),
        ("acutance.train.loop", "import lightning.pytorch"),
        ("acutance.cli_train", "import typer\nfrom acutance import __version__\nfrom acutance.cli import app"),
        ("acutance.__main__", "from acutance.cli import main"),
    ],
)
def test_what_is_allowed(module: str, line: str) -> None:
    assert complaints(line, module) == []


def test_relative_imports_of_a_package_start_in_it() -> None:
    assert complaints("from .base import LinearOperator", "acutance.operators", is_package=True) == []


def test_the_mathematical_core_loads_nothing_heavy() -> None:
    """Also says that `acutance/__init__.py` loads its public names on demand, since every import runs it."""
    program = f"import sys, acutance.operators, acutance.solver; print([m for m in {HEAVY} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]", f"importing acutance.operators and acutance.solver also loads {run.stdout}"
