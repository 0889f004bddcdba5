"""Contact sheets of real photographs, and the table of adjoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from acutance.errors import ConfigError, DataError, KernelError, OutputError
from acutance.images import Image as AcutanceImage
from acutance.images.source import is_lossy
from acutance.operators import Blur
from acutance_lab.bench.real import content, lai_real
from acutance_lab.bench.run import run
from acutance_lab.bench.scenes import leaves
from acutance_lab.bench.score import sparsity
from acutance_lab.bench.sheet import (
    CELL,
    GAP,
    draw,
    kernel_cell,
    most_textured,
    sheet_suite,
    sheet_table,
    text_line,
    write_sheet,
)
from acutance_lab.cli.app import app
from acutance_lab.synth import kernels


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Three photographs: two kernels for "car", one for "car_house" (damaged), none for "dog"."""
    real, psfs = tmp_path / "data" / "lai" / "real", tmp_path / "data" / "lai" / "real_kernels"
    real.mkdir(parents=True)
    psfs.mkdir()
    kernel = kernels.line(9, 30)
    for seed, name in enumerate(("car", "car_house", "dog")):
        y = Blur(kernel, "circular").forward(leaves(300, 270, seed=seed))[0]
        Image.fromarray((y * 255).byte().permute(1, 2, 0).numpy()).save(real / f"{name}.jpg", quality=95)
    picture = (255 * kernel / kernel.max())[0, 0].byte().numpy()
    for name in ("car_09_cho_psf", "car_10_xu_psf"):
        Image.fromarray(picture).save(psfs / f"{name}.png")
    (psfs / "car_house_10_xu_psf.png").write_bytes(b"not a picture")
    Image.fromarray(picture).save(psfs / "nobody_10_xu_psf.png")
    return tmp_path / "data"


def test_a_photograph_goes_with_its_first_kernel(photographs: Path) -> None:
    found = [(p.picture.name, p.kernel.name) for p in lai_real(photographs)]
    assert found == [("car.jpg", "car_09_cho_psf.png"), ("car_house.jpg", "car_house_10_xu_psf.png")]


def test_a_sheet_from_files_to_files(photographs: Path, tmp_path: Path) -> None:
    methods, out = ["wiener:strength=2", "skimage-wiener"], tmp_path / "new" / "out"
    rows = run(sheet_suite("lai-real", limit=1, side=280), methods, data=photographs, out=out)
    assert [(r.picture, r.method) for r in rows] == [("car", method) for method in methods]
    for row in rows:
        assert (row.width, row.height, row.note) == (270, 280, row.note)
        assert row.note.endswith("cut")
        assert row.sparsity != row.sparsity_blurred
        assert row.fitting_error is not None
        assert 0 < row.fitting_error < 0.05
    pixels = np.asarray(Image.open(write_sheet(rows, out)))
    assert pixels.shape[1] == 4 * CELL + 5 * GAP
    assert pixels.shape[0] > CELL
    assert {file.stem for file in out.glob("pictures/*/*/*/*.png")} == {
        "blurred", "kernel", "skimage-wiener", "wiener_strength=2",
    }  # fmt: skip
    table = sheet_table(rows)
    assert "| car | 09_cho | 270x280 |" in table
    assert "of 1 photographs by skimage-wiener" in table


def test_photographs_are_spread_over_the_set(data: Path) -> None:
    suite = sheet_suite("kohler", limit=1)
    assert [case.picture for case in suite.cases(data / "bench", None)] == ["Blurry1_1"]
    assert all(case.shown for case in sheet_suite("kohler").cases(data / "bench", None))


def test_doors(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lai-real, kohler"):
        sheet_suite("lai")
    with pytest.raises(ConfigError, match="256"):
        sheet_suite("lai-real", side=100)
    with pytest.raises(DataError, match="real_kernels"):
        run(sheet_suite("lai-real"), ["wiener"], data=tmp_path)
    with pytest.raises(KernelError, match="car_house_10_xu_psf"):
        run(sheet_suite("lai-real", side=280), ["wiener"], data=photographs)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        run(sheet_suite("lai-real", limit=1), ["wiener"], data=photographs, out=tmp_path / "file")


def test_the_command(data: Path, tmp_path: Path) -> None:
    words = ["bench", "sheet", "kohler", "--methods", "wiener:strength=2,sigma=0.01,skimage-wiener"]
    result = CliRunner().invoke(app, [*words, f"--data={data}", f"--out={tmp_path}", "--limit=1"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "kohler.png").is_file()
    assert "| skimage-wiener |" in result.output


def test_sparsity_is_lower_for_a_sharp_picture() -> None:
    sharp = leaves(128, 128, seed=5)
    blurred = Blur(kernels.gaussian(2.0), "circular").forward(sharp)
    assert 0 < sparsity(sharp) < sparsity(blurred) < 1
    assert sparsity(0.3 * sharp) == pytest.approx(sparsity(sharp), rel=1e-4)
    assert sparsity(torch.ones(1, 1, 9, 9)) == 0


def test_the_most_textured_region_is_found() -> None:
    x = torch.full((1, 3, 600, 700), 0.5)
    x[..., 300:540, 420:660] = torch.rand(1, 3, 240, 240)
    top, left = most_textured(x)
    assert 284 <= top <= 300
    assert 404 <= left <= 420
    assert most_textured(torch.rand(1, 1, 40, 50)) == (0, 0)


def test_a_cell_shows_all_of_a_kernel() -> None:
    cell = kernel_cell(kernels.disc(3))
    assert cell.shape == (1, 3, CELL, CELL)
    assert float(cell.max()) == 1
    assert kernel_cell(torch.rand(1, 3, 301, 11)).shape == (1, 3, CELL, CELL)


def test_long_text_is_set_smaller_and_stays_in_its_line() -> None:
    assert text_line("word " * 100, 300).shape[-1] == 300
    assert float(text_line("word", 300).min()) < 0.5
    assert draw([], Path()).shape[-1] == 2 * CELL + 3 * GAP


def test_a_method_is_told_the_level_of_its_column(photographs: Path) -> None:
    suite = sheet_suite("lai-real", limit=1, side=280)
    estimated, told = run(suite, ["wiener", "wiener:sigma=0.2"], data=photographs)
    assert estimated.fitting_error is not None
    assert told.fitting_error is not None
    assert told.fitting_error > 1.5 * estimated.fitting_error, "more noise, smoother"


def test_a_photograph_of_a_lossy_file_is_given_as_such(photographs: Path) -> None:
    given = content(lai_real(photographs)[0]).given
    assert isinstance(given, AcutanceImage)
    assert is_lossy(given)
