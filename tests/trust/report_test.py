"""The report: one file, nothing from elsewhere, every name escaped."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from cli_restore import refused, run

from acutance.errors import OutputError
from acutance.images import read_image, write_image
from acutance.images.kernel_file import write_kernel
from acutance.operators import Blur
from acutance.psf import shapes
from acutance.restoration.restorer import Restorer
from acutance.trust.drawing import coloured, curves, reduced, uri
from acutance.trust.page import means, places

KERNEL = shapes.line(5, 20)
NAME = '<script>alert("1")&.png'


@pytest.fixture(scope="module")
def observed() -> torch.Tensor:
    rows, cols = torch.meshgrid(torch.arange(80), torch.arange(88), indexing="ij")
    sharp = torch.stack([(rows // 9 + cols // 7) % 2, (rows // 5) % 2, (cols // 11) % 2])[None] * 0.6 + 0.2
    blurred = Blur(KERNEL).forward(sharp.float())
    return (blurred + 0.01 * torch.randn(blurred.shape, generator=torch.Generator().manual_seed(2))).clamp(0, 1)


class Links(HTMLParser):
    """Collects what a page would load, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "action", "srcset")]


def test_it_needs_no_other_file_and_escapes_names(observed: torch.Tensor, tmp_path: Path) -> None:
    done = Restorer.load("wiener", device="cpu")(observed, KERNEL, sigma=0.01)
    done.report(tmp_path / "r.html", name=NAME, uncertainty=done.uncertainty(draws=2))
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    links = Links()
    links.feed(text)
    assert links.found
    assert all(link.startswith("data:image/") for link in links.found)
    assert links.tags.count("script") == 1
    assert "http" not in re.sub(r"data:[^\"]*|http-equiv", "", text)
    assert "&lt;script&gt;" in text
    parts = ("Not supported by the data", "Uncertainty", "Judgement", "Kernel", "Residual", "given as 1 %", "wiener")
    for part in parts:
        assert part in text
    with pytest.raises(OutputError, match="exists"):
        done.report(tmp_path / "r.html")


@pytest.mark.parametrize(
    ("method", "said"),
    [("nlm", "The method uses no kernel"), ("dgunet-deblur", "cannot be told what the blur destroyed")],
)
def test_methods_without_a_kernel_have_a_report(method: str, said: str, observed: torch.Tensor, tmp_path: Path) -> None:
    Restorer.load(method, device="cpu")(observed[..., :48, :48]).report(tmp_path / "r.html")
    assert said in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_what_was_left_unchanged_has_a_report(observed: torch.Tensor, tmp_path: Path) -> None:
    Restorer.load("wiener", device="cpu")(observed, torch.ones(1, 1, 1, 1)).report(tmp_path / "r.html")
    assert "left unchanged" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_missing_and_clipped_pixels_are_told(observed: torch.Tensor, tmp_path: Path) -> None:
    holed = observed.clone()
    holed[..., 10:20, 10:20] = float("nan")
    holed[..., 40:60, 40:60] = 1.0
    Restorer.load("richardson-lucy", device="cpu", steps=3)(holed, KERNEL, sigma=0.01).report(tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "of the pixels are burnt out" in text
    assert "of the pixels are missing or masked" in text


def test_the_options(observed: torch.Tensor, tmp_path: Path) -> None:
    write_image(tmp_path / "in.png", observed)
    write_kernel(tmp_path / "psf.npy", KERNEL)
    given = (tmp_path / "in.png", "--kernel", tmp_path / "psf.npy", "--method", "wiener", "-o")
    said = run(
        *given, tmp_path / "out.png", "--report", tmp_path / "r.html", "--uncertainty", tmp_path / "u.tif"
    ).output
    assert "rough guide" in said
    found = read_image(tmp_path / "u.tif")
    assert found.info.is_float
    assert found.pixels.shape == observed.shape
    assert bool((found.pixels > 0).any())
    assert "in.png" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "exists" in refused(*given, tmp_path / "two.png", "--report", tmp_path / "r.html")
    assert "ends with .html" in refused(*given, tmp_path / "two.png", "--report", tmp_path / "r.txt")
    assert "ends with .tif" in refused(*given, tmp_path / "two.png", "--uncertainty", tmp_path / "u.png")
    assert not (tmp_path / "two.png").exists()


def test_the_drawing() -> None:
    ramp = torch.linspace(0, 1, 5)[None]
    picture = coloured(ramp, 0, 1)
    assert picture.shape == (1, 5, 3)
    assert picture[0, :, 0].tolist() == sorted(picture[0, :, 0].tolist())
    assert uri(picture).startswith("data:image/png;base64,")
    assert reduced(coloured(torch.rand(100, 40), 0, 1), 50).shape[:2] == (50, 20)
    svg = curves([("<down>", [1.0, 0.2, 0.1])], 0, band=0.1, x_label="lag", size=(200, 100))
    assert "&lt;down&gt;" in svg


@pytest.mark.parametrize("side", [1, 16, 40])
def test_means_are_those_of_every_square(side: int) -> None:
    values = torch.rand(40, 52, generator=torch.Generator().manual_seed(1))
    wanted = torch.nn.functional.avg_pool2d(values.double()[None], side, 1)[0]
    assert (means(values, side) - wanted).abs().max() < 1e-12
    values[3, 4] = torch.nan
    assert bool(torch.isfinite(means(values, side)).all())


def test_places_do_not_overlap() -> None:
    moved, doubt = torch.zeros(2, 1, 1, 90, 100)
    moved[..., 10:14, 10:14] = 1
    doubt[..., 70:74, 80:84] = 1
    found = places(moved, doubt, 24)
    assert len(found) == 3
    for n, (y, x) in enumerate(found):
        assert all(abs(y - b) >= 24 or abs(x - a) >= 24 for b, a in found[:n])
