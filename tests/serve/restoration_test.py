"""Orders carried out by the library: the same pictures as by the command, messages without its options and paths."""

from __future__ import annotations

import itertools
import pickle
import pickletools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from acutance.blind.method import build
from acutance.images import Image, ImageInfo, read_image, write_image
from acutance.images.kernel_file import read_kernel, write_kernel
from acutance.operators import Blur
from acutance.psf import shapes
from acutance.restoration.restorer import Restorer
from acutance.serve import iterates
from acutance.serve.found import KEPT, Found, Searches
from acutance.serve.header import declared_size
from acutance.serve.iterates import MOST, Steps
from acutance.serve.orders import Event, Failed, Options, Order
from acutance.serve.restoration import Restorations, plain

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def carry_out() -> Restorations:
    return Restorations("cpu")


@pytest.fixture
def picture(generator: torch.Generator) -> torch.Tensor:
    return torch.rand(1, 3, 40, 56, generator=generator)


def quiet(event: Event) -> None:
    pass


def order(folder: Path, picture: str = "picture.png", **kwargs: Any) -> Order:
    task, kernel = kwargs.pop("task", "restore"), kwargs.pop("kernel", None)
    show = kwargs.pop("show", False)
    return Order(task, folder, picture, kernel, options=Options(**kwargs), show=show)


def test_a_picture_leaves_as_it_came_and_as_by_the_library(
    tmp_path: Path, picture: torch.Tensor, carry_out: Restorations
) -> None:
    exif = b"II*\0\x08\0\0\0\0\0\0\0\0\0"
    sent = Image(picture, info=ImageInfo(format="TIFF", bits=16, dpi=(300.0, 300.0), exif=exif))
    write_image(tmp_path / "picture.tif", sent)
    events: list[Event] = []
    report = carry_out(order(tmp_path, "picture.tif", disc=2.0, sigma=0.01, method="fd", show=True), events.append)
    got = read_image(tmp_path / report["picture"])
    wanted = Restorer.load("fd", device="cpu")(read_image(tmp_path / "picture.tif"), shapes.disc(2.0), sigma=0.01)
    assert (report["picture"], got.info.bits, got.info.dpi) == ("restored.tif", 16, (300.0, 300.0))
    assert (got.pixels - wanted.image.pixels.clamp(0, 1)).abs().max() < 1e-4
    assert [e["phase"] for e in events if "step" not in e] == ["reading", "restoring", "writing"]
    assert read_image(tmp_path / report["shown"]).info.bits == 8
    assert report["method"] == "fd"


def test_the_server_needs_no_torch_to_read_it(tmp_path: Path, picture: torch.Tensor, carry_out: Restorations) -> None:
    """Unpickling a class of torch would import torch into the server, 200 MB."""
    write_image(tmp_path / "picture.png", picture)
    events: list[Event] = []
    report = carry_out(order(tmp_path, disc=2.0, method="fd"), events.append)
    for said in (carry_out.about, report, events):
        assert not [op for op, *_ in pickletools.genops(pickle.dumps(said)) if op.name in ("GLOBAL", "STACK_GLOBAL")]


def test_a_kernel_file_is_that_of_the_library(tmp_path: Path, picture: torch.Tensor, carry_out: Restorations) -> None:
    write_image(tmp_path / "picture.png", picture)
    write_kernel(tmp_path / "kernel.npy", shapes.line(7, 30))
    report = carry_out(order(tmp_path, kernel="kernel.npy", method="wiener", sigma=0.02), quiet)
    kernel = read_kernel(tmp_path / "kernel.npy").kernel
    wanted = Restorer.load("wiener", device="cpu")(read_image(tmp_path / "picture.png"), kernel, sigma=0.02)
    difference = read_image(tmp_path / report["picture"]).pixels - wanted.image.pixels.clamp(0, 1)
    assert difference.abs().max() < 0.6 / 255


@pytest.mark.parametrize("preview", [(0, 0, 24, 20), (150, 70, 40, 30), (90, 40, 64, 48)])
def test_a_piece_is_that_of_the_whole(
    tmp_path: Path, generator: torch.Generator, carry_out: Restorations, preview: tuple[int, int, int, int]
) -> None:
    picture = torch.nn.functional.interpolate(torch.rand(1, 3, 13, 25, generator=generator), (100, 190), mode="bicubic")
    write_image(tmp_path / "picture.png", Image(picture.clamp(0, 1), info=ImageInfo(bits=16)))
    options = {"disc": 2.0, "sigma": 0.02, "method": "wiener", "strength": 0.5}
    whole = read_image(tmp_path / carry_out(order(tmp_path, **options), quiet)["picture"]).pixels
    (tmp_path / "restored.png").unlink()
    report = carry_out(order(tmp_path, preview=preview, **options), quiet)
    piece = read_image(tmp_path / report["picture"])
    x, y, w, h = preview
    assert (report["width"], report["height"], piece.info.bits) == (w, h, 16)
    assert (piece.pixels - whole[..., y : y + h, x : x + w]).abs().max() < 0.01


def test_only_a_part_is_restored(tmp_path: Path, picture: torch.Tensor, carry_out: Restorations) -> None:
    """Left of column 20 as without a mask, right of it as it came; in a piece of it too."""
    write_image(tmp_path / "picture.png", Image(picture, info=ImageInfo(bits=16)))
    write_image(tmp_path / "only.png", (torch.arange(56) < 20).float().expand(1, 1, 40, 56))
    made = {}
    for only, preview in ((None, None), ("only.png", None), ("only.png", (10, 5, 30, 30))):
        options = Options(disc=2.0, method="wiener", sigma=0.02, preview=preview)
        report = carry_out(Order("restore", tmp_path, "picture.png", only=only, options=options), quiet)
        made[only, preview] = read_image(tmp_path / report["picture"]).pixels
        (tmp_path / "restored.png").unlink()
    whole, part, piece = made.values()
    assert torch.equal(part[..., :16], whole[..., :16])
    assert torch.equal(part[..., 24:], read_image(tmp_path / "picture.png").pixels[..., 24:])
    assert (piece - part[..., 5:35, 10:40]).abs().max() < 1e-4


def test_a_mask_is_that_of_the_library(tmp_path: Path, picture: torch.Tensor, carry_out: Restorations) -> None:
    write_image(tmp_path / "picture.png", picture)
    mask = (torch.arange(56) < 40).float().expand(1, 1, 40, 56)
    write_image(tmp_path / "mask.png", mask)
    options = Options(disc=2.0, method="wiener", sigma=0.02)
    report = carry_out(Order("restore", tmp_path, "picture.png", mask="mask.png", options=options), quiet)
    image, kernel = read_image(tmp_path / "picture.png"), shapes.disc(2.0)
    wanted = Restorer.load("wiener", device="cpu")(image, kernel, sigma=0.02, mask=mask)
    difference = read_image(tmp_path / report["picture"]).pixels - wanted.image.pixels.clamp(0, 1)
    assert difference.abs().max() < 0.6 / 255


@pytest.mark.parametrize(("options", "method"), [({"disc": 2.0, "method": "fd"}, "fd"), ({"task": "denoise"}, "nlm")])
def test_strength_goes_from_the_picture_to_the_result(
    tmp_path: Path, picture: torch.Tensor, carry_out: Restorations, options: dict[str, Any], method: str
) -> None:
    write_image(tmp_path / "picture.png", picture)
    made = {}
    for strength in (0.0, 0.5, 1.0):
        report = carry_out(order(tmp_path, strength=strength, **options | {"method": method}), quiet)
        made[strength] = read_image(tmp_path / report["picture"]).pixels
        (tmp_path / "restored.png").unlink()
    assert (made[0.0] - read_image(tmp_path / "picture.png").pixels).abs().max() < 1.1 / 255
    full, half = ((made[s] - made[0.0]).square().mean().sqrt() for s in (1.0, 0.5))
    assert 0.2 * full < half < 0.8 * full


@pytest.fixture
def smeared(tmp_path: Path) -> Path:
    """A folder with a photograph behind a line of seven pixels, `picture.png`."""
    sharp = read_image(EXAMPLES / "sharp.png").pixels[..., 100:270, 100:270].mean(1, keepdim=True)
    write_image(tmp_path / "picture.png", Blur(shapes.line(7, 0), "valid").forward(sharp))
    return tmp_path


def test_the_kernel_that_is_found_is_written(smeared: Path, carry_out: Restorations) -> None:
    report = carry_out(order(smeared, task="kernel"), quiet)
    found = np.load(smeared / report["kernel"])
    assert found.shape == (report["kernel_side"],) * 2
    assert found.sum() == pytest.approx(1, abs=1e-4)
    shown = declared_size(smeared / report["kernel_picture"])
    assert shown is not None
    assert shown[0] >= 256
    assert "picture" not in report
    assert not any("acutance kernel" in note for note in report["notes"])


def test_candidates_are_described_and_written(smeared: Path, carry_out: Restorations) -> None:
    report = carry_out(order(smeared, task="kernel", candidates=True), quiet)
    told = report["candidates"]
    assert 1 <= len(told) <= 4
    before = read_image(smeared / report["candidates_before"]).pixels
    for n, each in enumerate(told, 1):
        kernel = np.load(smeared / report[f"candidate_{n}"])
        assert kernel.shape == (each["side"],) * 2
        assert kernel.sum() == pytest.approx(1, abs=1e-4)
        assert 0 <= each["confidence"] <= 1
        after = read_image(smeared / report[f"candidate_{n}_picture"]).pixels
        assert after.shape == before.shape
        assert declared_size(smeared / report[f"candidate_{n}_kernel"]) is not None
    np.testing.assert_array_equal(np.load(smeared / report["kernel"]), np.load(smeared / report["candidate_1"]))
    assert (read_image(smeared / report["candidate_1_picture"]).pixels - before).abs().max() > 0.05


def test_a_kernel_is_searched_once(smeared: Path, carry_out: Restorations) -> None:
    """Guesses of a picture that was restored, and the same picture again, with another strength and noise level."""
    carry_out._searches = Searches()
    asked: list[Event] = []

    def searched(given: Order) -> tuple[bool, dict[str, Any]]:
        asked.clear()
        report = carry_out(given, asked.append)
        return any(e["phase"] == "kernel" for e in asked), report

    did, first = searched(order(smeared))
    assert did
    (smeared / "restored.png").rename(smeared / "first.png")
    did, guesses = searched(order(smeared, task="kernel", candidates=True, sigma=0.02))
    assert (did, guesses["kernel_side"]) == (False, first["kernel_side"])
    assert not searched(order(smeared))[0]
    assert (smeared / "restored.png").read_bytes() == (smeared / "first.png").read_bytes()
    (smeared / "restored.png").unlink()
    assert not searched(order(smeared, strength=0.5))[0]
    assert (smeared / "restored.png").read_bytes() != (smeared / "first.png").read_bytes()


def test_another_picture_or_mask_is_searched_anew(smeared: Path, carry_out: Restorations) -> None:
    searches = Searches()
    restorer = Restorer.load("blind", device="cpu", method="fd", otherwise="nothing")

    def memory(given: Order, by: Restorer = restorer) -> object:
        method = searches.remembering(by, given).method
        assert isinstance(method, Found)
        return method.memory

    write_image(smeared / "mask.png", torch.ones(1, 1, 4, 4))
    (smeared / "other.png").write_bytes((smeared / "picture.png").read_bytes() + b"x")
    (smeared / "same.png").write_bytes((smeared / "picture.png").read_bytes())
    one = memory(order(smeared))
    assert memory(order(smeared, "same.png")) is one
    others = [memory(order(smeared, "other.png")), memory(replace(order(smeared), mask="mask.png")),
              memory(order(smeared, preview=(0, 0, 50, 50))), memory(order(smeared, quality="fast")),
              memory(order(smeared), replace(restorer, method=build(method="fd", window=(0, 0, 60, 60))))]  # fmt: skip
    assert all(other is not one for other in others)
    for n in range(KEPT):
        memory(order(smeared, preview=(n, 0, 9, 9)))
    assert memory(order(smeared)) is not one, "the one not asked for for longest is forgotten"


@pytest.mark.parametrize("task", ["restore", "kernel", "candidates"])
def test_a_search_that_nobody_waits_for_ends(smeared: Path, carry_out: Restorations, task: str) -> None:
    heard: list[Event] = []

    def given_up(event: Event) -> None:
        heard.append(event)
        if event["phase"] == "kernel" and event["step"] >= 20:
            raise Failed("cancelled", "cancelled")

    carry_out._searches = Searches()
    kind: dict[str, Any] = {"task": "kernel", "candidates": True} if task == "candidates" else {"task": task}
    with pytest.raises(Failed, match="cancelled"):
        carry_out(order(smeared, **kind), given_up)
    told = [e for e in heard if e["phase"] == "kernel"]
    assert {"part": "estimating", "steps": 100, "size": 31, "number": 1}.items() <= told[1].items()
    assert carry_out(order(smeared, **kind), quiet)["kernel_side"] > 1, "the next one searches again"


def test_noise_has_no_candidates(tmp_path: Path, generator: torch.Generator, carry_out: Restorations) -> None:
    write_image(tmp_path / "picture.png", torch.rand(1, 1, 90, 90, generator=generator))
    report = carry_out(order(tmp_path, task="kernel", candidates=True), quiet)
    assert (report["candidates"], report["kernel_side"]) == ([], 1)
    assert any("noise" in note for note in report["notes"])


@pytest.mark.parametrize(
    ("wrong", "kind", "says"),
    [
        ({"disc": 2.0, "gaussian": 1.0}, "request", "disc and gaussian together"),
        ({"disc": -1.0}, "request", "above 0"),
        ({"motion": (0.0, 3.0)}, "request", "1 to 1001"),
        ({"method": "telescope"}, "request", "no method 'telescope'"),
        ({"method": "nlm"}, "request", "does not restore"),
        ({"method": "fd"}, "input", "needs the blur kernel; give one"),
        ({"disc": 2.0, "quality": "divine"}, "request", "divine"),
        ({"disc": 300.0, "method": "fd"}, "input", "kernel of another picture"),
        ({"disc": 2.0, "method": "wiener", "strength": -1.0}, "request", "from 0 .nothing. to 1"),
        ({"task": "denoise", "disc": 2.0}, "request", "takes no kernel"),
        ({"picture": "absent.png"}, "input", "cannot read the picture"),
        ({"candidates": True}, "request", "ask for the task kernel"),
    ],
)
def test_errors_are_plain(
    tmp_path: Path, picture: torch.Tensor, carry_out: Restorations, wrong: dict[str, Any], kind: str, says: str
) -> None:
    write_image(tmp_path / "picture.png", picture)
    with pytest.raises(Failed, match=says) as caught:
        carry_out(order(tmp_path, **wrong), quiet)
    assert caught.value.kind == kind
    assert str(tmp_path) not in caught.value.message
    assert "--" not in caught.value.message


def test_options_of_the_command_line_become_fields() -> None:
    assert plain("estimated as 1 % (--sigma); try --flip-kernel") == "estimated as 1 % (sigma); try flip-kernel"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
def test_the_size_is_read_from_the_header(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    write_image(path, torch.rand(1, 3, 33, 71))
    assert declared_size(path) == (71, 33)


def test_a_damaged_header_says_nothing(tmp_path: Path) -> None:
    """Every prefix of every format, and noise behind every magic number: an answer or None, and no exception."""
    path, rng = tmp_path / "p", np.random.default_rng(0)
    for suffix in (".png", ".jpg", ".webp", ".tif", ".bmp"):
        write_image(tmp_path / f"q{suffix}", torch.rand(1, 3, 9, 7))
        data = (tmp_path / f"q{suffix}").read_bytes()
        for cut in range(0, 40, 3):
            path.write_bytes(data[:cut])
            assert declared_size(path) in (None, (7, 9), (1, 1)), "a VP8X cut in its size reads as 1 x 1"
        for _ in range(20):
            path.write_bytes(data[:4] + rng.bytes(60))
            size = declared_size(path)
            assert size is None or len(size) == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"trail": (0, 0, 9, 9), "window": (0, 0, 9, 9)}, "leave out the window"),
        ({"trail": (0, 0, 9, 9), "preview": (0, 0, 9, 9)}, "trail with preview"),
        ({"window": (0, 0, 9, 9), "disc": 2.0}, "acute does not look for the blur"),
    ],
    ids=["both", "preview", "kernel"],
)
def test_boxes_that_cannot_be_are_refused(
    tmp_path: Path, picture: torch.Tensor, carry_out: Restorations, options: dict[str, Any], says: str
) -> None:
    write_image(tmp_path / "picture.png", picture)
    with pytest.raises(Failed, match=says):
        carry_out(order(tmp_path, **options), quiet)


@pytest.mark.parametrize(
    ("kernel", "noise", "faults", "size"),
    [
        (shapes.disc(4), 0.0, ["focus"], 4),
        (shapes.line(15, 30), 0.0, ["line"], 15),
        (shapes.gaussian(1.5), 0.0, ["soft"], 1.5),
        (torch.ones(1, 1, 1, 1), 0.0, [], 0),
        (torch.ones(1, 1, 1, 1), 0.05, ["noise"], 0),
    ],
    ids=["focus", "line", "soft", "nothing", "noise"],
)
def test_a_look_tells_what_is_wrong(
    tmp_path: Path, generator: torch.Generator, carry_out: Restorations,
    kernel: torch.Tensor, noise: float, faults: list[str], size: float,
) -> None:  # fmt: skip
    blurred = Blur(kernel, "valid").forward(read_image(EXAMPLES / "sharp.png").pixels)
    noisy = blurred + noise * torch.randn(blurred.shape, generator=generator)
    write_image(tmp_path / "picture.png", noisy.clamp(0, 1))
    report = carry_out(order(tmp_path, task="look"), quiet)
    assert [fault["what"] for fault in report["faults"]] == faults
    assert report["noise"] == pytest.approx(noise, abs=0.01)
    if size:
        assert report["faults"][0]["size"] == pytest.approx(size, rel=0.1)
        assert report["faults"][0]["confidence"] > 0.9
    else:
        assert report["confidence"] > 0.9


def test_a_look_that_nobody_waits_for_ends(tmp_path: Path, picture: torch.Tensor, carry_out: Restorations) -> None:
    write_image(tmp_path / "picture.png", picture)

    def given_up(event: Event) -> None:
        if event["phase"] == "looking":
            raise Failed("cancelled", "cancelled")

    with pytest.raises(Failed, match="cancelled"):
        carry_out(order(tmp_path, task="look"), given_up)


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (3, 3)])
def test_a_look_at_a_small_picture_says_nothing_wrong(
    tmp_path: Path, carry_out: Restorations, size: tuple[int, int]
) -> None:
    write_image(tmp_path / "picture.png", torch.full((1, 1, *size), 0.4))
    assert carry_out(order(tmp_path, task="look"), quiet)["faults"] == []


@pytest.mark.parametrize("blind", [False, True], ids=["kernel", "blind"])
def test_every_step_is_what_comes_out_after_it(smeared: Path, carry_out: Restorations, blind: bool) -> None:
    """The last is the picture itself; a step alone is that of all; the steps go on from one to the next."""
    options: dict[str, Any] = {"strength": 0.8} if blind else {"motion": (7.0, 0.0), "strength": 0.8}
    report = carry_out(order(smeared, iterates=True, **options), quiet)
    assert report["iterates"] == [1, 2, 3, 4, 5]
    shown = [read_image(smeared / report[f"iterate_{n}"]).pixels for n in report["iterates"]]
    assert torch.equal(shown[-1], read_image(smeared / report["picture"]).pixels)
    assert all((a - b).abs().max() > 1 / 255 for a, b in itertools.pairwise(shown))
    assert (shown[0] - read_image(smeared / "picture.png").pixels).abs().max() > 0.02
    if blind:
        return
    (smeared / report["picture"]).unlink()
    alone = carry_out(order(smeared, step=3, **options), quiet)
    assert (alone["steps"], alone["iterates"]) == (3, [])
    assert torch.equal(read_image(smeared / alone["picture"]).pixels, shown[2])


def test_the_steps_of_a_piece_are_pieces(smeared: Path, carry_out: Restorations) -> None:
    options = {"disc": 2.0, "quality": "fast", "preview": (20, 30, 40, 50)}
    report = carry_out(order(smeared, iterates=True, show=True, **options), quiet)
    assert [read_image(smeared / report[f"iterate_{n}"]).size for n in report["iterates"]] == [(50, 40)] * 2


@pytest.mark.parametrize("options", [{"task": "denoise", "method": "nlm"}, {"disc": 2.0, "method": "wiener"}])
def test_a_method_without_steps_has_none(
    tmp_path: Path, picture: torch.Tensor, carry_out: Restorations, options: dict[str, Any]
) -> None:
    write_image(tmp_path / "picture.png", picture)
    report = carry_out(order(tmp_path, iterates=True, step=2, **options), quiet)
    assert report["iterates"] == []
    assert (tmp_path / report["picture"]).exists()


def test_a_long_run_keeps_some_of_its_steps(tmp_path: Path, picture: torch.Tensor) -> None:
    recorder = Steps(Restorer.load("acute", device="cpu", steps=30)).recording
    recorder(picture, shapes.disc(2.0))
    kept = recorder.method.runs[0][1]  # type: ignore[attr-defined]
    assert len(kept) == MOST
    assert (min(kept), max(kept)) == (1, 30)


def test_a_large_picture_has_no_steps(smeared: Path, carry_out: Restorations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iterates, "MOST_PIXELS", 1000)
    report = carry_out(order(smeared, iterates=True, step=1, disc=2.0), quiet)
    assert (report["iterates"], report["steps"]) == ([], 1)
