"""`acutance calibrate` and `acutance restore --profile`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cli_restore import refused, run, runner
from click.testing import Result
from synthetic_camera import CAMERAS, chart, with_iso

from acutance.camera.profile import Profile, read_profile, write_profile
from acutance.cli.app import app
from acutance.errors import AcutanceError
from acutance.images import Image, ImageInfo, read_image, write_image
from acutance.images.shot import shot_of

CAMERA = replace(CAMERAS[0], size=(240, 320))
QUICK = ("--method", "richardson-lucy", "--steps", 5)


def calibrate(*arguments: object) -> Result:
    return runner.invoke(app, ["calibrate", *map(str, arguments)], catch_exceptions=False)


def not_calibrated(*arguments: object) -> str:
    with pytest.raises(AcutanceError) as caught:
        calibrate(*arguments)
    return str(caught.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of a chart at two sensitivities, and a profile of them."""
    folder = tmp_path_factory.mktemp("camera")
    generator = torch.Generator().manual_seed(5)
    (folder / "chart").mkdir()
    for iso in (100, 800):
        for number in range(2):
            shot = CAMERA.photograph(chart(CAMERA.size, generator), iso, generator)
            write_image(folder / "chart" / f"{iso}-{number}.png", shot)
    (folder / "chart" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    write_image(folder / "photo.png", CAMERA.photograph(chart(CAMERA.size, generator), 100, generator))
    found = calibrate(folder / "chart", "-o", folder / "camera.json", "--chart", "--grid", "2x3")
    assert found.exit_code == 0, found.output
    (folder / "said.txt").write_text(found.output)
    return folder


def restored(folder: Path, picture: str, *arguments: object) -> dict[str, object]:
    done = run(folder / picture, "-o", folder / "out.png", "--overwrite", "--again", "--json", *QUICK, *arguments)
    record: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return record


def test_the_profile_tells_noise_and_blur(folder: Path) -> None:
    profile = read_profile(folder / "camera.json")
    assert (profile.width, profile.height, profile.pictures, profile.lossy) == (320, 240, 4, False)
    assert (profile.camera, profile.lens, profile.aperture) == ("Synthetic A", "50 mm", 2.8)
    for each in profile.noise:
        assert each.iso is not None
        assert each.gain[0] == pytest.approx(CAMERA.noise[each.iso][0], rel=0.05)
    assert profile.blur is not None
    assert profile.blur.source == "chart"
    off = profile.blur.deviations() / CAMERA.deviations(2, 3) - 1
    assert float(off.abs().mean()) < 0.08
    said = (folder / "said.txt").read_text()
    assert "broken.png" in said
    assert "ISO 100: gain" in said


def test_restore_takes_noise_and_blur_from_it(folder: Path) -> None:
    done = restored(folder, "photo.png", "--profile", folder / "camera.json")
    notes = " ".join(map(str, done["notes"]))  # type: ignore[call-overload]
    assert "blur of the lens from camera.json: deviation" in notes
    assert "noise from camera.json: at ISO 100" in notes
    assert "the profile at ISO 100" in str(done["noise_reason"])
    assert not done["noise_assumed"]
    by_hand = restored(folder, "photo.png", "--gaussian", 1, "--exact", "--sigma", "1%")
    assert done["noise_level"] != by_hand["noise_level"]


def test_what_is_given_comes_first(folder: Path) -> None:
    profile = ("--profile", folder / "camera.json")
    done = restored(folder, "photo.png", *profile, "--sigma", "2%", "--linear")
    assert done["noise_level"] == pytest.approx(0.02)
    done = restored(folder, "photo.png", *profile, "--gaussian", 1, "--exact")
    assert "blur of the lens" not in str(done["notes"])
    assert "noise from" in str(done["notes"])
    both = ("--gaussian", 1, "--exact", "--sigma", "1%")
    assert "nothing is left" in refused(folder / "photo.png", "-o", folder / "x.png", *profile, *both)


def test_the_default_method_and_a_preview(folder: Path) -> None:
    said = run(folder / "photo.png", "-o", folder / "piece.png", "--profile", folder / "camera.json", "--preview",
               "200,100,60,50", "--quality", "fast", "--json").output  # fmt: skip
    assert '"method": "acute"' in said
    assert read_image(folder / "piece.png").size == (50, 60)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("no iso", "as the picture does not tell its own"),
        ("camera", "another camera: Synthetic A, and this picture is of Synthetic Z"),
        ("scaled", "was scaled, which changes its noise"),
        ("jpeg", "of lossless files, and this one is lossy"),
        ("upright", "blur of the lens"),
    ],
)
def test_pictures_of_other_kinds(folder: Path, change: str, says: str) -> None:
    image = read_image(folder / "photo.png")
    half = Image(torch.nn.functional.avg_pool2d(image.pixels, 2), info=image.info)
    changed = {
        "no iso": with_iso(image, None), "camera": with_iso(image, 100, "Synthetic Z"), "scaled": half,
        "jpeg": replace(image, info=ImageInfo("JPEG", exif=image.info.exif)),
        "upright": replace(image, pixels=image.pixels.mT.contiguous()),
    }[change]  # fmt: skip
    name = f"{change.replace(' ', '-')}.{'jpg' if change == 'jpeg' else 'png'}"
    write_image(folder / name, changed, overwrite=True)
    assert says in str(restored(folder, name, "--profile", folder / "camera.json")["notes"])


def test_a_cut_picture_is_refused(folder: Path) -> None:
    image = read_image(folder / "photo.png")
    write_image(folder / "cut.png", replace(image, pixels=image.pixels[..., :200]), overwrite=True)
    profile = ("--profile", folder / "camera.json")
    said = run(folder / "cut.png", "-o", folder / "x.png", *profile, *QUICK, status=1).output
    assert "320 x 240 pixels" in said
    assert not (folder / "x.png").exists()


def test_a_side_car_repeats_a_run_with_a_profile(folder: Path) -> None:
    run(folder / "photo.png", "-o", folder / "first.png", "--profile", folder / "camera.json", *QUICK,
        "--sidecar")  # fmt: skip
    again = runner.invoke(app, ["repeat", str(folder / "first.acutance.json")])
    assert again.exit_code == 0, again.output
    assert "identical" in again.output


def test_wrong_use_of_calibrate_is_refused(folder: Path, tmp_path: Path) -> None:
    charts = folder / "chart"
    assert "exists" in not_calibrated(charts, "-o", folder / "camera.json")
    assert ".json" in not_calibrated(charts, "-o", tmp_path / "camera.png")
    assert "rows and columns" in not_calibrated(charts, "-o", tmp_path / "a.json", "--grid", "many")
    write_image(tmp_path / "black.png", Image(torch.zeros(1, 1, 64, 64)))
    said = not_calibrated(tmp_path / "black.png", "-o", tmp_path / "a.json")
    assert "from dark to bright" in said
    assert "usable edges" in said
    assert not (tmp_path / "a.json").exists()


def test_a_profile_that_is_none_is_refused_before_the_picture_is_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    assert "no profile" in refused(folder / "photo.png", "-o", tmp_path / "x.png", "--profile", tmp_path / "a.json")
    write_profile(tmp_path / "b.json", Profile(10, 10, 1, False))
    assert "nothing is left" in refused(
        folder / "photo.png", "-o", tmp_path / "x.png", "--profile", tmp_path / "b.json"
    )


@pytest.mark.parametrize("exif", [None, b"", b"II*\0\x08\0\0\0", b"MM\0*" + b"\xff" * 40])
def test_exif_that_tells_nothing(exif: bytes | None) -> None:
    assert shot_of(exif) == shot_of(None)
