"""`acutance sense` and the way back keep units, depth and alpha; what they do not keep is told."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage
from typer.testing import CliRunner

from acutance.cli.app import app
from acutance.errors import ImageError
from acutance.images.measurement_file import read_measurements

runner = CliRunner()
ROWS, COLS = np.mgrid[:30, :32]  # one block
GREY = 0.5 + 0.3 * np.sin(ROWS / 9) * np.cos(COLS / 7)


def call(*arguments: object) -> str:
    result = runner.invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def there_and_back(source: Path, target: Path) -> str:
    said = call("sense", source, "-o", source.with_suffix(".cs"))
    said += call("restore", source.with_suffix(".cs"), "-o", target)
    return " ".join(said.split())


@pytest.mark.parametrize(
    ("kind", "unit"), [("f4", 1e-6), ("f4", 1.0), ("f4", 1e4), ("u2", 65535), ("u2", 4000), ("u1", 255)]
)
def test_the_units_are_those_of_the_picture(tmp_path: Path, kind: str, unit: float) -> None:
    tifffile.imwrite(tmp_path / "in.tif", (GREY * unit).astype(kind))
    there_and_back(tmp_path / "in.tif", tmp_path / "out.tif")
    back = tifffile.imread(tmp_path / "out.tif")
    assert back.dtype == np.dtype(kind)
    assert np.sqrt(np.mean((back / unit - GREY) ** 2)) < 0.02


@pytest.mark.parametrize("channels", [1, 3])
def test_alpha_comes_back(tmp_path: Path, channels: int) -> None:
    alpha = ((COLS * 5) % 256).astype(np.uint8)
    colour = np.repeat((GREY * 255).astype(np.uint8)[..., None], channels, -1)
    PillowImage.fromarray(np.dstack([colour, alpha])).save(tmp_path / "in.png")
    there_and_back(tmp_path / "in.png", tmp_path / "out.png")
    with PillowImage.open(tmp_path / "out.png") as back:
        np.testing.assert_array_equal(np.asarray(back)[..., -1], alpha)
        assert back.mode == ("LA" if channels == 1 else "RGBA")


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    exif = PillowImage.Exif()
    exif[0x010F] = "Maker"
    PillowImage.fromarray((GREY * 255).astype(np.uint8)).save(tmp_path / "in.png", exif=exif, dpi=(300, 300))
    said = there_and_back(tmp_path / "in.png", tmp_path / "out.png")
    assert "EXIF, resolution left out" in said


@pytest.mark.parametrize(
    "change", [(b"uint8", b"int32"), (b'"unit":"1.0"', b'"unit":"nan"'), (b'"bits":"8"', b'"bits":"9"')]
)
def test_a_damaged_file_is_refused(tmp_path: Path, change: tuple[bytes, bytes]) -> None:
    alpha = np.dstack([(GREY * 255).astype(np.uint8), (COLS * 5).astype(np.uint8)])
    PillowImage.fromarray(alpha).save(tmp_path / "in.png")
    call("sense", tmp_path / "in.png", "-o", tmp_path / "in.cs")
    content = (tmp_path / "in.cs").read_bytes()
    damaged = content.replace(*change) if change[0] in content else content[:-40] + bytes(40)
    (tmp_path / "in.cs").write_bytes(damaged)
    with pytest.raises(ImageError):
        read_measurements(tmp_path / "in.cs")
