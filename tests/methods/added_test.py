"""Methods of packages outside the checkout, found by their entry points; those that cannot be used do no harm."""

from __future__ import annotations

import importlib
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import acutance
from acutance.cli.app import app
from acutance.methods.spec import catalogue
from acutance.registry import METHODS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "adding-a-method.md").read_text(encoding="utf-8")
LANDWEBER = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0]
ENTRY = re.findall(
    r'^```toml\n\[project.entry-points."acutance.methods"\]\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL
)[0]

Install = Callable[[dict[str, str], str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Lays out a package as pip does: its modules, and beside them its metadata with entry points."""
    names: list[str] = []

    def lay_out(modules: dict[str, str], entries: str) -> None:
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        info = tmp_path / "somebodys_methods-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys-methods\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[acutance.methods]\n{entries}")
        names.extend(modules)
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
        METHODS.forget()

    yield lay_out
    METHODS.forget()
    for name in names:
        sys.modules.pop(name, None)


def entries_of(toml: str) -> str:
    return toml.replace('"', "")


def test_the_method_of_the_page_in_a_package_of_its_own(install: Install) -> None:
    install({"landweber": LANDWEBER}, entries_of(ENTRY))
    assert catalogue()["landweber"].build.__module__ == "landweber"
    rows, columns = np.mgrid[0:40, 0:48]
    picture = ((rows // 8 + columns // 8) % 2 * 0.6 + 0.2).astype(np.float32)
    restored = acutance.restore(picture, np.ones((3, 3)), method="landweber:steps=5")
    assert restored.shape == picture.shape
    assert np.abs(restored - picture).max() > 0.01


def test_the_command_has_it(install: Install, tmp_path: Path) -> None:
    install({"landweber": LANDWEBER}, entries_of(ENTRY))
    Image.fromarray(np.tile(np.arange(0, 200, 5, np.uint8), (32, 1))).save(tmp_path / "a.png")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(tmp_path), *sys.path)))}

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "acutance", *arguments], capture_output=True, text=True, cwd=tmp_path, env=env,
            timeout=300, check=False,
        )  # fmt: skip

    listed = CliRunner().invoke(app, ["methods"])
    assert "landweber" in listed.output
    done = command("restore", "a.png", "--disc", "1", "--method", "landweber", "-o", "b.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "b.png").is_file()


@pytest.mark.parametrize(
    ("module", "entry", "message"),
    [
        ("import nowhere_to_be_found", "broken = bad", "No module named 'nowhere_to_be_found'"),
        ("raise SystemError('no')", "broken = bad", "SystemError: no"),
        ("x = 1", "broken = bad", "neither a MethodSpec nor a module"),
        ("SPEC = 1", "broken = bad", "1 is no MethodSpec"),
        ("x = 1", "broken = bad:y", "AttributeError"),
        ("from acutance.methods.wiener import SPEC", "broken = bad:SPEC", "there is a method 'wiener' already"),
    ],
    ids=["import", "raises", "nothing", "no spec", "no attribute", "taken"],
)
def test_what_cannot_be_used_is_left_out(
    install: Install, caplog: pytest.LogCaptureFixture, module: str, entry: str, message: str
) -> None:
    before = dict(catalogue())
    install({"bad": module, "landweber": LANDWEBER}, f"{entry}\n{entries_of(ENTRY)}")
    with caplog.at_level(logging.WARNING, "acutance"):
        now = dict(catalogue())
    assert now.keys() == {*before, "landweber"}
    assert now["wiener"] is before["wiener"]
    assert "somebodys-methods (broken = " in caplog.text
    assert message in caplog.text
