"""Options that cannot be met are told by their names, before the picture is decoded: here it is cut short."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage
from typer.testing import CliRunner

from acutance.cli.app import app
from acutance.errors import AcutanceError

runner = CliRunner()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows, cols = np.mgrid[:48, :56]
    values = (((rows // 7 + cols // 9) % 2) * 120 + 60).astype(np.uint8)
    PillowImage.fromarray(values).save("whole.png")
    whole = Path("whole.png").read_bytes()
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    Path("file").write_text("x")
    np.save("k.npy", np.outer([1, 2, 1], [1, 2, 1]) / 16)
    return tmp_path


def said(*arguments: str) -> str:
    """Run a command that must fail by a message."""
    result = runner.invoke(app, list(arguments))
    assert result.exit_code != 0
    assert result.exception is None or isinstance(result.exception, AcutanceError | SystemExit)
    return " ".join((str(result.exception) + result.output).split())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--compare", "c.xyz"], "--compare: cannot write c.xyz"),
        (["--compare", "none/c.png"], "--compare: there is no folder none"),
        (["--explain", "file"], "--explain: file is a file"),
        (["--mask", "none.png"], "--mask: cannot read none.png"),
        (["--quality", "fast"], "no quality 'fast'; it has one"),
        (["--device", "gpu"], "no such kind of device"),
    ],
)
def test_the_option_is_named(folder: Path, options: list[str], words: str) -> None:
    text = said("restore", "cut.png", "--kernel", "k.npy", "--method", "fd", "-o", "o.png", *options)
    assert words in text
    assert "cut short" not in text


@pytest.mark.parametrize(("method", "options"), [("wiener", ["--steps", "5"]), ("blind", ["--seconds", "9"])])
def test_an_option_that_a_method_does_not_take(folder: Path, method: str, options: list[str]) -> None:
    given = ["--kernel", "k.npy"] if method != "blind" else []
    text = said("restore", "cut.png", *given, "--method", method, "-o", "o.png", *options)
    assert f"{method} does not take {options[0]}; leave it out" in text
    assert "settings are" not in text


@pytest.mark.parametrize("setting", ["steps=5", "stepz=5"])
def test_a_setting_that_a_method_does_not_have(folder: Path, setting: str) -> None:
    text = said("restore", "cut.png", "--kernel", "k.npy", "--method", f"wiener:{setting}", "-o", "o.png")
    assert "wiener has no setting" in text


@pytest.mark.parametrize("size", ["4", "25", "3001"])
def test_a_size_that_no_kernel_can_have_is_told(folder: Path, size: str) -> None:
    text = said("kernel", "cut.png", "--kernel-size", size)
    assert f"--kernel-size {size}" in text
    assert "cut short" not in text


@pytest.mark.parametrize("name", ["r.png", "r.cs", "r.npy", "r.zip", "r.csv", "r.heic"])
def test_several_pictures_do_not_go_to_one_file(folder: Path, name: str) -> None:
    text = said("restore", "whole.png", "cut.png", "--kernel", "k.npy", "-o", name)
    assert "the name of one file" in text
    assert not Path(name).exists()


@pytest.mark.parametrize("option", ["--encoded", "--linear", "--sigma=1%", "--kernel=k.npy", "--strength=0.5"])
def test_measurements_take_no_option_of_pictures(folder: Path, option: str) -> None:
    assert runner.invoke(app, ["sense", "whole.png", "-o", "y.cs"]).exit_code == 0
    assert option.partition("=")[0] in said("restore", "y.cs", "-o", "o.png", option)


@pytest.mark.parametrize("command", ["denoise", "derain"])
def test_measurements_become_a_picture_first(folder: Path, command: str) -> None:
    Path("y.cs").write_bytes(b"x")
    assert "acutance restore y.cs" in said(command, "y.cs", "-o", "o.png")


@pytest.mark.parametrize("white", [1, 2, 7, 128, 255])
@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_a_mask_of_two_values(folder: Path, white: int, kind: str) -> None:
    values = np.full((48, 56), white, kind)
    values[10:20, 10:20] = 0
    tifffile.imwrite("m.tif", values)
    command = ["restore", "whole.png", "--kernel", "k.npy", "--method", "wiener", "--mask", "m.tif", "-o", "o.png"]
    result = runner.invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_a_mask_of_alpha_alone_is_told(folder: Path) -> None:
    alpha = np.zeros((48, 56, 4), np.uint8)
    alpha[10:, :, 3] = 255
    PillowImage.fromarray(alpha).save("m.png")
    assert "alpha" in said(
        "restore", "cut.png", "--kernel", "k.npy", "--method", "fd", "--mask", "m.png", "-o", "o.png"
    )
