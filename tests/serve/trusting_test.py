"""The report and the side-car of a result of the service: what they tell, and that `acutance repeat` agrees."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from typer.testing import CliRunner

from acutance.cli.app import app
from acutance.images import Image, ImageInfo, read_image, write_image
from acutance.images.kernel_file import read_kernel, write_kernel
from acutance.operators import Blur
from acutance.psf import shapes
from acutance.restoration.restorer import Restorer
from acutance.serve.orders import Event, Failed, Options, Order
from acutance.serve.restoration import Restorations
from acutance.serve.trusting import called

KERNEL = shapes.line(5, 0)


@pytest.fixture(scope="module")
def carry_out() -> Restorations:
    return Restorations("cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A private folder with a blurred picture, its kernel and a mask."""
    rows, cols = torch.meshgrid(torch.arange(84), torch.arange(92), indexing="ij")
    sharp = torch.stack([(rows // 9 + cols // 7) % 2, (rows // 5) % 2, (cols // 11) % 2])[None] * 0.7 + 0.1
    made = Blur(KERNEL, "valid").forward(sharp)
    made = (made + 0.01 * torch.randn(made.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    made_folder = tmp_path / "order"
    made_folder.mkdir()
    write_image(made_folder / "picture.tif", Image(made, info=ImageInfo(format="TIFF", bits=16)))
    write_image(made_folder / "picture.jpg", made)
    write_kernel(made_folder / "kernel.npy", KERNEL)
    mask = torch.ones(1, 1, *made.shape[-2:])
    mask[..., 10:14, 20:30] = 0
    write_image(made_folder / "mask.png", mask)
    return made_folder


def order(folder: Path, picture: str = "picture.tif", **given: Any) -> Order:
    files = {name: given.pop(name) for name in ("kernel", "mask", "only", "task", "names") if name in given}
    return Order(files.pop("task", "restore"), folder, picture, options=Options(**given), **files)


def quiet(event: Event) -> None:
    pass


@pytest.mark.parametrize(
    "given",
    [
        {"kernel": "kernel.npy", "method": "wiener"},
        {"kernel": "kernel.npy", "method": "acute", "quality": "fast", "strength": 0.7, "picture": "picture.jpg"},
        {"kernel": "kernel.npy", "mask": "mask.png", "method": "acute"},
        {"motion": (5.0, 12.5), "method": "wiener", "sigma": 0.0123},
        {"disc": 1.7, "method": "fd", "picture": "picture.jpg"},
        {"gaussian": 1.1, "method": "levin"},
        {"window": (3, 2, 40, 36)},
        {"task": "denoise", "sigma": 0.02},
    ],
    ids=lambda given: "-".join(given),
)
def test_the_command_repeats_a_result_of_the_service(
    folder: Path, tmp_path: Path, carry_out: Restorations, given: dict[str, Any]
) -> None:
    threads = torch.get_num_threads()
    given = dict(given)
    picture = given.pop("picture", "picture.tif")
    theirs = (("picture", f"my{picture[7:]}"), ("kernel", "psf.npy"), ("mask", "my mask.png"))
    report = carry_out(order(folder, picture, names=theirs, sidecar=True, **given), quiet)
    assert "report" not in report
    saved = json.loads((folder / report["sidecar"]).read_text())
    assert saved["output"]["name"] == f"my-restored{Path(report['picture']).suffix}"
    for mine, name in ((picture, theirs[0][1]), ("kernel.npy", "psf.npy"), ("mask.png", "my mask.png")):
        shutil.copy(folder / mine, tmp_path / name)
    shutil.copy(folder / report["picture"], tmp_path / saved["output"]["name"])
    shutil.copy(folder / report["sidecar"], tmp_path / "my-restored.acutance.json")
    result = CliRunner().invoke(app, ["repeat", str(tmp_path / "my-restored.acutance.json"), "--json"])
    assert json.loads(result.stdout)["pixels"] is True, result.output
    assert result.exit_code == 0
    torch.set_num_threads(threads)


def test_the_report_tells_what_the_command_does(folder: Path, carry_out: Restorations) -> None:
    events: list[Event] = []
    asked = order(folder, kernel="kernel.npy", method="wiener", sigma=0.01, report=True, names=(("picture", "a.tif"),))
    report = carry_out(asked, events.append)
    told = report["trust"]
    assert events[-1] == {"phase": "reporting"}
    assert (told["method"], told["kernel_size"], told["kernel_found"]) == ("wiener", [5, 1], False)
    assert (told["noise_level"], told["noise_reason"]) == (0.01, "given as 1 %")
    assert told["ratio"] == pytest.approx(told["error"] / told["noise"], rel=1e-3)
    assert 0 < told["unsupported_share"] < 1
    assert 0 <= told["whiteness"] <= 1
    text = (folder / report["report"]).read_text(encoding="utf-8")
    assert "<h1>a.tif</h1>" in text
    assert all(each["text"].split(" (")[0] in text for each in told["findings"])
    veil = np.asarray(PillowImage.open(folder / report["unsupported"]))
    assert veil.shape == (*read_image(folder / "picture.tif").size, 4)
    kernel = read_kernel(folder / "kernel.npy").kernel
    done = Restorer.load("wiener", device="cpu")(read_image(folder / "picture.tif"), kernel, sigma=0.01)
    unsupported = done.unsupported()
    assert unsupported is not None
    share = unsupported.mean(1)[0] / told["unsupported_top"]
    assert np.abs(veil[..., 3] / 255 - share.clamp(0, 1).numpy()).max() < 0.01


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"report": True, "task": "kernel"}, "report: the task kernel makes no picture"),
        ({"report": True, "preview": (0, 0, 8, 8)}, "report with preview"),
        ({"sidecar": True, "report": True, "preview": (0, 0, 8, 8)}, "report and sidecar with preview"),
        ({"sidecar": True, "only": "mask.png"}, "sidecar with only"),
        ({"sidecar": True, "step": 2}, "sidecar with step"),
    ],
)
def test_what_cannot_be_is_refused_first(
    folder: Path, carry_out: Restorations, given: dict[str, Any], says: str
) -> None:
    events: list[Event] = []
    with pytest.raises(Failed, match=says):
        carry_out(order(folder, disc=1.0, **given), events.append)
    assert events == []


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "C:\\a.png", "", "a\0.png", "a\n.png", 300 * "a"])
def test_a_name_that_is_none_is_not_taken(name: str) -> None:
    asked = Order("restore", Path("x"), "picture.png", names=(("picture", name),))
    assert called(asked, "picture", "picture.png") == "picture.png"
