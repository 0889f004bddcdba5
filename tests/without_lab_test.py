"""The product runs where the laboratory is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

WITHOUT = """
import importlib.abc, pkgutil, sys

class Without(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "acutance_lab":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without())
"""
LAB = "assert not [m for m in sys.modules if 'acutance_lab' in m]\n"
EVERY_MODULE = """
import acutance
for module in pkgutil.walk_packages(acutance.__path__, "acutance."):
    if module.name != "acutance.__main__":
        importlib.import_module(module.name)
"""


def python(program: str, *arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program where `acutance_lab` cannot be imported."""
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), *sys.path)))
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + program, *map(str, arguments)], capture_output=True, text=True, timeout=300,
        check=False, cwd=folder, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def test_the_laboratory_is_really_gone(tmp_path: Path) -> None:
    done = python("import acutance_lab", folder=tmp_path)
    assert done.returncode == 1
    assert "No module named 'acutance_lab'" in done.stderr


RESTORE = """
from acutance.cli import main
for number, options in enumerate(%r):
    sys.argv = ["acutance", "restore", "picture.png", *options, "-o", f"restored-{number}.png"]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (options, end.code)
"""
OPTIONS = (("--motion", "5,30"), ("--disc", "2", "--method", "wiener:strength=2"), ("--method", "blind"))


def test_every_module_is_imported_and_pictures_are_restored(tmp_path: Path) -> None:
    """By the default method, by another with settings, and without a kernel; one process, as torch takes long."""
    rows, columns = np.mgrid[0:80, 0:72]
    Image.fromarray((((rows // 9 + columns // 7) % 2) * 160 + 40).astype(np.uint8)).save(tmp_path / "picture.png")
    done = python(EVERY_MODULE + RESTORE % (OPTIONS,) + LAB, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for number in range(len(OPTIONS)):
        with Image.open(tmp_path / f"restored-{number}.png") as restored:
            assert restored.size == (72, 80)
