"""What the pages show really runs, and what they say twice is the same in both places."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from acutance.images import Image, ImageInfo, write_image
from acutance.images.kernel_file import write_kernel

pytestmark = pytest.mark.docs

ROOT = Path(__file__).resolve().parents[1]
RUN_ELSEWHERE = {"adding-a-method.md": "docs_test.py", "server.md": "the test of the service below",
                 "export.md": "export/onnx_test.py"}  # fmt: skip
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d+\.\d+")


def blocks(page: Path) -> list[str]:
    """The Python blocks of a page, in order."""
    return PYTHON.findall(page.read_text(encoding="utf-8"))


EXAMPLES = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if page.name not in RUN_ELSEWHERE
    for number, block in enumerate(blocks(page), 1)
]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, generator: torch.Generator) -> Path:
    """A folder with the files of the examples, as the working directory: photo.jpg and psf.png."""
    smooth = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 8, generator=generator), (48, 64), mode="bicubic")
    write_image(tmp_path / "photo.jpg", Image(smooth.clamp(0, 1), info=ImageInfo(format="JPEG")))
    write_kernel(tmp_path / "psf.png", torch.full((1, 1, 3, 5), 1 / 15))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", EXAMPLES)
def test_a_python_example_runs(files: Path, block: str) -> None:
    exec(block, {"__name__": "example"})


def test_examples_of_the_pages_are_found() -> None:
    assert len(EXAMPLES) >= 5


def cells(page: Path) -> dict[str, list[str]]:
    """PSNR by name of the method, a cell for each column, of the first table of results that has it."""
    found: dict[str, list[str]] = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        name, *rest = [cell.strip(" *") for cell in line.strip("|").split("|")]
        if rest and NUMBER.search(line):
            found.setdefault(name, [cell.split(" / ")[0] for cell in rest])
    return found


def test_the_numbers_of_the_readme_are_those_of_the_results() -> None:
    """Rows of the README by their counterparts in the first table of results, columns 1 % and 3 %."""
    measured, shown = cells(ROOT / "docs/results.md"), cells(ROOT / "README.md")
    counterparts = {
        "blurred": "blurred input",
        "scikit-image, Wiener filter": "skimage-wiener",
        "`wiener`": "wiener",
        "`epll`, told the noise level": next(name for name in measured if name.startswith("epll")),
        "`acute`, the default, not told the noise level": next(name for name in measured if name.startswith("acute")),
    }
    assert shown == {name: [measured[other][1], measured[other][3]] for name, other in counterparts.items()}


def sentences(page: str) -> str:
    return " ".join((ROOT / page).read_text(encoding="utf-8").split())


@pytest.mark.parametrize("page", ["README.md", "docs/photographs.md"])
def test_how_often_it_works_is_said_alike(page: str) -> None:
    counts: Any = re.search(
        r"of (\d+) photographs blurred as cameras do it,.*?(\d+) (?:become )?better by a decibel", sentences(page)
    )
    assert counts is not None
    decision = (ROOT / "docs/decisions/0021-learned-kernels.md").read_text(encoding="utf-8")
    row = [line for line in decision.splitlines() if line.startswith("| **26 blurred**")][-1]  # the newest is the last
    better = [int(n) for n in re.findall(r"\*\*(\d+)/\d+/\d+,", row)]
    assert counts.groups() == (str(26 * len(better)), str(sum(better)))
