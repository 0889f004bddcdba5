"""Imports point down: the storeys of both packages, who may use which third-party package; the product needs no lab."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[1] / "src"
PRODUCT, LAB = "acutance", "acutance_lab"

STOREYS: dict[str, tuple[tuple[str, ...], ...]] = {
    # From the ground up; a room imports itself and the storeys below its own, never its neighbours.
    PRODUCT: (
        ("errors", "tensors", "version"),
        ("quantised", "surround", "kernel_fit", "settings"),
        ("operators", "images", "metrics", "texture", "registry"),
        ("noise",),
        ("psf",),
        ("camera", "problem", "frame"),
        ("solver", "linear", "networks", "saturation", "views"),
        ("priors", "weights"),
        ("methods",),
        ("blind", "orientation", "prepare"),
        ("catalogue",),
        ("trust",),
        ("restoration",),
        ("serve", "sensing", "export", "cluster"),
        ("cli",),  # and __main__.py
    ),
    # Imports the product as well, its command line in `cli` only.
    LAB: (
        ("synth", "records", "plots"),
        ("data",),
        ("train", "bench"),
        ("experiments",),
        ("cli",),  # and __main__.py
    ),
}
STRICTER: dict[str, set[str]] = {  # rooms of the product that keep to fewer rooms than their storey allows
    "networks": {"errors", "tensors"},
    "weights": {"errors"},
}
THIRD_PARTY_OF: dict[tuple[str, str], set[str]] = {  # the only third-party packages that these rooms import
    (PRODUCT, "networks"): {"torch"},
}
CLI = {(PRODUCT, "cli"), (LAB, "cli")}
ANY_LAB_ROOM = {(LAB, room) for storey in STOREYS[LAB] for room in storey}
RESERVED: dict[str, set[tuple[str, str]]] = {  # third-party packages that only these rooms import
    "lightning": {(LAB, "train")},
    "typer": CLI,
    "rich": CLI,
    "fastapi": {(PRODUCT, "serve")},
    "uvicorn": {(PRODUCT, "serve"), (PRODUCT, "cli")},
    "onnx": {(PRODUCT, "export")},
    "onnxscript": {(PRODUCT, "export")},
    "onnxruntime": {(PRODUCT, "export"), (LAB, "bench")},
    "cloudpickle": {(PRODUCT, "cluster")},
    "dask": {(PRODUCT, "cluster"), (PRODUCT, "restoration")},
    "distributed": {(PRODUCT, "cluster")},
    "fsspec": {(PRODUCT, "cluster")},
    **dict.fromkeys(
        ("h5py", "jinja2", "matplotlib", "pandas", "pywt", "scipy", "skimage", "torchmetrics", "torchvision"),
        ANY_LAB_ROOM,
    ),
}
LAZY = {
    "astropy",
    "h5py",
    "cloudpickle",
    "dask",
    "distributed",
    "fsspec",
    "numcodecs",
    "zarr",
    "scipy",
    "skimage",
    "matplotlib",
    "jinja2",
    "pandas",
    "torchmetrics",
    "onnx",
    "onnxruntime",
    "onnxscript",
}  # imported inside functions only
HEAVY = ("PIL", "lightning", "typer", "rich", "scipy")  # what the mathematical core never loads

FRONT_DOOR = "__init__"
TOP = "cli"


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


def floor_of(package: str, room: str) -> int | None:
    return next((floor for floor, rooms in enumerate(STOREYS[package]) if room in rooms), None)


def room_of(name: str) -> tuple[str, str]:
    """Package and room of a dotted name: acutance.operators.blur.Blur -> operators; a public name -> __init__."""
    package, _, rest = name.partition(".")
    room = rest.partition(".")[0]
    if room == "__main__":
        return package, TOP
    return package, FRONT_DOOR if floor_of(package, room) is None else room


def complaints(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """What is wrong with the imports of a module; empty if nothing is."""
    here = room_of(module)
    if here[1] == FRONT_DOOR and module not in STOREYS:
        return [f"{module} is in no storey: add it to STOREYS in tests/layers_test.py, as low as its imports allow"]
    found = []
    for each in imports(source, module, is_package=is_package):
        package = each.name.partition(".")[0]
        wrong = _of_ours(here, room_of(each.name)) if package in STOREYS else _of_others(here, package, each.lazy)
        if wrong:
            found.append(f"{module}, line {each.line}: imports {each.name}, but {wrong}")
    return found


def _of_ours(here: tuple[str, str], there: tuple[str, str]) -> str | None:
    (package, room), (other_package, other) = here, there
    if package == PRODUCT and other_package == LAB:
        return "the product never imports the laboratory"
    if package == LAB and other_package == PRODUCT:
        if other == TOP and room != TOP:
            return f"only {LAB}.{TOP} imports the command line of the product"
        return None
    if room in (FRONT_DOOR, TOP, other):
        return None
    if other == FRONT_DOOR:
        return "nothing below the command line imports the public names; import the module that defines them"
    mine, theirs = floor_of(package, room), floor_of(package, other)
    assert mine is not None
    assert theirs is not None
    if theirs > mine:
        return f"{other} is above {room}"
    if theirs == mine:
        return f"{other} is a neighbour of {room}; what both need belongs below them"
    if package == PRODUCT and other not in STRICTER.get(room, {other}):
        return f"{room} imports {' and '.join(sorted(STRICTER[room])) or 'nothing else of ours'} only"
    return None


def _of_others(here: tuple[str, str], package: str, lazy: bool) -> str | None:
    if package in sys.stdlib_module_names:
        return None
    if package not in THIRD_PARTY_OF.get(here, {package}):
        return f"{here[1]} uses {' and '.join(sorted(THIRD_PARTY_OF[here]))} only"
    if here not in RESERVED.get(package, {here}):
        return f"{package} is for {' and '.join(sorted('.'.join(room) for room in RESERVED[package]))} only"
    if package in LAZY and not lazy:
        return f"{package} is optional; import it inside the function that needs it"
    return None


def _modules() -> dict[str, Path]:
    """Every module of the packages, by dotted name."""
    found = {}
    for path in sorted(path for package in STOREYS for path in (SOURCES / package).rglob("*.py")):
        parts = path.relative_to(SOURCES).with_suffix("").parts
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
        ("acutance_lab.synth.kernels", "from acutance_lab.data.photographs import Photographs"),
        ("acutance.operators.blur", "from acutance.metrics import psnr"),  # sideways
        ("acutance_lab.bench.run", "from acutance_lab.train.loop import train"),
        ("acutance.restoration.restorer", "from acutance import Restorer"),  # the front door
        ("acutance.restoration.restorer", "import acutance"),
        ("acutance", "import acutance_lab"),  # the laboratory
        ("acutance.cli.app", "def f():\n    from acutance_lab.cli.app import app"),
        ("acutance_lab.bench.run", "from acutance.cli.console import say"),
        ("acutance.networks.unet", "from acutance.operators import Blur"),  # stricter rooms
        ("acutance.networks.unet", "import numpy"),
        ("acutance.weights.files", "from acutance.problem import Problem"),
        ("acutance_lab.bench.run", "import lightning.pytorch"),  # third parties
        ("acutance_lab.train.loop", "from rich.progress import track"),
        ("acutance_lab.bench.score", "import scipy.io"),
        ("acutance.images.kernel_file", "def read():\n    from scipy.io import loadmat"),
        ("acutance.telescope", ""),  # in no storey
        ("acutance_lab.telescope", ""),
    ],
)
def test_the_rules_are_enforced(module: str, line: str) -> None:
    assert len(complaints(line, module)) == 1


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("acutance", "from acutance.restoration.restorer import Restorer"),
        ("acutance.operators.blur", "from acutance.tensors import pad"),
        ("acutance.operators.blur", "from .base import LinearOperator"),
        ("acutance.methods.rgdn", "from acutance import problem, solver"),
        ("acutance.weights.files", "from acutance.errors import WeightsError"),
        ("acutance.cli.restoring", "import typer\nfrom acutance import __version__\nfrom acutance.cli import app"),
        ("acutance.__main__", "from acutance.cli import main"),
        ("acutance_lab.train.loop", "import lightning.pytorch\nfrom acutance_lab.synth import Synthesis"),
        ("acutance_lab.synth.kernels", "from acutance.restoration.restorer import Restorer"),
        ("acutance_lab.bench.peers", "def f():\n    from skimage import restoration"),
        ("acutance_lab.cli.app", "from acutance.cli.running import run"),
        ("acutance_lab.__main__", "from acutance_lab.cli import main"),
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
