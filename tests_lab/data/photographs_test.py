"""A folder of photographs: which are held out, how crops are cut, what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from torch import Tensor

from acutance.errors import DataError
from acutance_lab.data.photographs import HELD_OUT, Photographs, data_hash, find, held_out

CPU = torch.device("cpu")
TRAINING = ("000.png", "001.png", "002.png", "003.png")
VALIDATION = ("010.png", "020.png")


def position(height: int, width: int) -> np.ndarray:
    """A picture whose red is the row, whose green is the column and whose blue is 7."""
    i, j = np.mgrid[:height, :width]
    return np.stack((i, j, np.full_like(i, 7)), -1).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for n, name in enumerate((*TRAINING, *VALIDATION)):
        place = tmp_path / "sub" / name if n % 2 else tmp_path / name
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(position(40 + n, 50 - n)).save(place)
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def load(folder: Path, **settings: int | bool) -> Photographs:
    return Photographs.load(folder, device=CPU, **{"least": 32, **settings})  # type: ignore[arg-type]


def test_the_names_decide_what_is_held_out(folder: Path) -> None:
    assert [p.name for p in find(folder, validation=False)] == list(TRAINING)
    assert [p.name for p in find(folder, validation=True)] == list(VALIDATION)
    assert all(held_out(name) == (name in VALIDATION) for name in (*TRAINING, *VALIDATION))


def test_the_held_out_share() -> None:
    share = sum(held_out(f"picture-{i}.jpg") for i in range(5000)) / 5000
    assert share == pytest.approx(1 / HELD_OUT, abs=0.01)
    name = "a.jpg"
    assert held_out(name) == (int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % HELD_OUT == 0)


def test_pixels_are_those_of_the_files(folder: Path) -> None:
    photographs = load(folder)
    assert photographs.names == TRAINING
    assert photographs.sizes.tolist() == [[40 + n, 50 - n] for n in range(4)]
    for n in range(4):
        start, (h, w) = int(photographs.offsets[n]), photographs.sizes[n].tolist()
        assert np.array_equal(photographs.flat[start : start + 3 * h * w].reshape(h, w, 3).numpy(), position(h, w))


@pytest.mark.parametrize("candidates", [1, 2, 5])
def test_crops_are_parts_of_the_photographs(folder: Path, candidates: int, generator: torch.Generator) -> None:
    x = load(folder).crops(40, 16, generator, candidates=candidates)
    assert x.shape == (40, 3, 16, 16)
    assert x.dtype is torch.float32
    pixel = (255 * x).round()
    assert bool((pixel[:, 2] == 7).all())
    ways = set()
    for crop in pixel:
        row, column = crop[0], crop[1]
        assert float(row.min()) >= 0
        assert float(row.max()) < 44
        turned = bool((row[0] != row[0, 0]).any())
        down, right = (row[:, 0], column[0]) if not turned else (row[0], column[:, 0])
        assert bool((down.diff().abs() == 1).all())
        assert bool((right.diff().abs() == 1).all())
        ways.add((turned, float(down.diff()[0]), float(right.diff()[0])))
    assert len(ways) == 8, "all turns and mirrors occur"


def test_crops_come_from_the_generator_alone(folder: Path) -> None:
    photographs = load(folder)

    def drawn(seed: int) -> Tensor:
        return photographs.crops(6, 16, torch.Generator().manual_seed(seed))

    torch.manual_seed(0)
    first = drawn(1)
    torch.manual_seed(99)
    assert torch.equal(drawn(1), first)
    assert not torch.equal(drawn(2), first)


def test_a_crop_may_be_the_whole_photograph(tmp_path: Path, generator: torch.Generator) -> None:
    Image.fromarray(position(20, 20)).save(tmp_path / "000.png")
    x = load(tmp_path, least=20).crops(3, 20, generator, candidates=1)
    assert (255 * x).round()[:, 0].flatten(1).sum(1).tolist() == [20 * 190.0] * 3


def test_crops_reach_every_edge(tmp_path: Path, generator: torch.Generator) -> None:
    Image.fromarray(position(20, 21)).save(tmp_path / "000.png")
    pixel = (255 * load(tmp_path, least=20).crops(200, 18, generator)).round()
    assert set(pixel[:, 0].amin((1, 2)).tolist()) == {0, 1, 2}
    assert set(pixel[:, 1].amin((1, 2)).tolist()) == {0, 1, 2, 3}


def test_the_candidate_with_more_contrast_is_kept(tmp_path: Path) -> None:
    grey, busy = np.full((64, 64, 3), 90, np.uint8), np.random.RandomState(0).randint(0, 255, (64, 64, 3), np.uint8)
    for name, half in (("000.png", grey), ("001.png", busy)):
        Image.fromarray(half).save(tmp_path / name)

    def flat_share(candidates: int) -> float:
        x = load(tmp_path).crops(200, 16, torch.Generator().manual_seed(1), candidates=candidates)
        return float((x.flatten(1).std(1) == 0).float().mean())

    assert flat_share(1) == pytest.approx(0.5, abs=0.1)
    assert flat_share(2) == pytest.approx(0.25, abs=0.1)


def test_small_photographs_are_left_out(folder: Path) -> None:
    assert load(folder, least=42).names == TRAINING[2:]
    with pytest.raises(DataError, match="no photograph of at least 60x60 pixels"):
        load(folder, least=60)


def test_no_held_out_photograph_is_said(folder: Path) -> None:
    for name in VALIDATION:
        for path in folder.rglob(name):
            path.unlink()
    with pytest.raises(DataError, match="held out for validation"):
        load(folder, validation=True)


def test_a_limit_on_the_number(folder: Path) -> None:
    assert load(folder, limit=2).names == TRAINING[:2]


def test_the_hash_names_the_contents(folder: Path) -> None:
    first = load(folder).digest
    assert first == data_hash(find(folder, validation=False)) == load(folder).digest
    assert len(first) == 12
    Image.fromarray(position(41, 50)).save(folder / "000.png")
    assert load(folder).digest != first


def test_no_folder_and_no_photographs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no folder"):
        find(tmp_path / "none", validation=False)
    with pytest.raises(DataError, match="no photograph below"):
        find(tmp_path, validation=False)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n cut off"], ids=["empty", "text", "cut"])
def test_a_damaged_photograph_is_named(folder: Path, content: bytes) -> None:
    (folder / "000.png").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot read .*000\.png"):
        load(folder)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_any_mode_becomes_colour(tmp_path: Path, mode: str) -> None:
    suffix = ".jpg" if mode == "CMYK" else ".png"
    Image.fromarray(position(32, 32)).convert(mode).save(tmp_path / f"001{suffix}")
    assert load(tmp_path).flat.numel() == 32 * 32 * 3


def ramp(top: float, kind: type[np.generic], side: int = 40) -> np.ndarray:
    """Colours that rise by less than a 255th from pixel to pixel, up to `top`."""
    values = np.linspace(0, top, side * side * 3).reshape(side, side, 3)
    return values.round().astype(kind) if np.issubdtype(kind, np.integer) else values.astype(kind)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])
def test_sixteen_bits_are_kept(tmp_path: Path, suffix: str, grey: bool, generator: torch.Generator) -> None:
    picture = ramp(65535, np.uint16)
    picture = picture[..., 0].copy() if grey else picture
    place = tmp_path / f"000{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(place, picture, photometric="minisblack" if grey else "rgb")
    else:
        place.write_bytes(imagecodecs.png_encode(picture))
    photographs = load(tmp_path)
    wanted = np.repeat(picture[..., None], 3, -1) if grey else picture
    assert photographs.deep is not None
    assert photographs.flat.dtype is torch.uint8
    assert np.array_equal(photographs.picture(0), wanted)
    x = photographs.crops(1, 40, generator, candidates=1)[0]
    assert torch.equal(torch.sort(x.flatten()).values, torch.from_numpy(np.sort(wanted.ravel()) / np.float32(65535)))


@pytest.mark.parametrize("top", [0.5, 1.0, 4.0])
def test_float_photographs_are_kept(tmp_path: Path, top: float, generator: torch.Generator) -> None:
    picture = ramp(top, np.float32)
    tifffile.imwrite(tmp_path / "000.tif", picture, photometric="rgb")
    x = load(tmp_path).crops(1, 40, generator, candidates=1)[0]
    scale = max(1.0, float(np.quantile(picture, 0.999)))
    wanted = np.sort((picture / scale).clip(0, 1).ravel())
    assert np.abs(np.sort(x.numpy().ravel()) - wanted).max() < 1e-5
    assert float(x.max()) == pytest.approx(min(1.0, top), abs=1e-4)
    assert len(np.unique(x)) > 4000


def test_eight_bits_stay_compact_beside_sixteen(folder: Path, generator: torch.Generator) -> None:
    before = load(folder)
    assert before.deep is None
    tifffile.imwrite(folder / "004.tif", ramp(65535, np.uint16), photometric="rgb")
    tifffile.imwrite(folder / "005.tif", position(45, 45), photometric="rgb")
    photographs = load(folder)
    assert photographs.deep is not None
    assert photographs.deep.tolist() == [name == "004.tif" for name in photographs.names]
    assert photographs.flat.numel() == before.flat.numel() + 2 * 40 * 40 * 3 + 45 * 45 * 3
    for i, name in enumerate(photographs.names):
        if name == "005.tif":
            assert np.array_equal(photographs.picture(i), position(45, 45))
        one = photographs.only(i)
        assert one.names == (name,)
        crop = one.crops(3, 32, generator)
        assert bool((crop.mul(255).frac().abs() < 1e-3).all()) == (name != "004.tif")


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.full((40, 40, 3), np.nan, np.float32), "NaN"),
        (np.zeros((5, 40, 40), np.uint16), "000.tif"),
    ],
    ids=["NaN", "stack"],
)
def test_what_cannot_be_trained_on_is_said(tmp_path: Path, picture: np.ndarray, message: str) -> None:
    tifffile.imwrite(tmp_path / "000.tif", picture, photometric="rgb" if picture.shape[-1] == 3 else "minisblack")
    with pytest.raises(DataError, match=message):
        load(tmp_path)


@pytest.mark.parametrize("depth", [8, 16])
def test_reduced_copies_have_their_share(tmp_path: Path, depth: int) -> None:
    for name, blue in zip(TRAINING, (50, 60, 70, 80), strict=True):
        picture = position(60, 80).astype(np.uint16) * (1 if depth == 8 else 257)
        picture[..., 2] = blue * (1 if depth == 8 else 257)
        write = tifffile.imwrite if depth == 16 else lambda path, a: Image.fromarray(a).save(path)
        write(tmp_path / (Path(name).stem + (".tif" if depth == 16 else ".png")), picture.astype(f"u{depth // 8}"))
    photographs = load(tmp_path)
    n = len(photographs.names)
    assert photographs.with_reduced(0.0) is photographs
    mixed = photographs.with_reduced(0.25, least=28)
    sides = [tuple(size) for size in mixed.sizes.tolist()]
    assert sides == [(60, 80)] * n + [(42, 56)] * n + [(30, 40)] * n, "0.35 of them are too small"
    assert mixed.reduced == 2 * n
    assert mixed.digest != photographs.digest
    assert mixed.picture(n).dtype == photographs.picture(0).dtype
    assert np.abs(mixed.picture(n)[20, 20].astype(float) - photographs.picture(0)[29, 29]).max() <= 300
    x = mixed.crops(800, 24, torch.Generator().manual_seed(1), candidates=3)
    step = torch.maximum(x[:, 0].diff(dim=-1).abs().amax((1, 2)), x[:, 0].diff(dim=-2).abs().amax((1, 2)))
    assert float((step > 1.2 / 255).float().mean()) == pytest.approx(0.25, abs=0.05)
    pages = mixed.with_graphics(0.5, count=3, seed=5)
    assert (pages.reduced, pages.pages, pages.reduced_share) == (2 * n, 3, 0.25)
    y = pages.crops(800, 24, torch.Generator().manual_seed(1), candidates=3)
    of_photographs = (y[:, 2].flatten(1).std(1) < 1e-6) & (y[:, 2].flatten(1).mean(1) < 0.4)
    assert float((~of_photographs).float().mean()) == pytest.approx(0.5, abs=0.06)


def test_photographs_that_are_too_small_to_reduce(folder: Path) -> None:
    with pytest.raises(DataError, match=r"reduced=0.5: no photograph has sides of 192 pixels"):
        load(folder).with_reduced(0.5)


def test_pages_have_their_share(folder: Path) -> None:
    photographs = load(folder)
    assert photographs.with_graphics(0.0) is photographs
    mixed = photographs.with_graphics(0.25, count=3, seed=5)
    assert mixed.names == (*TRAINING, "page-5-0", "page-5-1", "page-5-2")
    assert mixed.digest != photographs.digest
    x = mixed.crops(600, 32, torch.Generator().manual_seed(1), candidates=3)
    of_photographs = ((255 * x[:, 2]).round() == 7).flatten(1).all(1)
    assert float((~of_photographs).float().mean()) == pytest.approx(0.25, abs=0.05)
    again = photographs.with_graphics(0.25, count=3, seed=5)
    assert torch.equal(mixed.flat, again.flat)
    assert mixed.digest == again.digest
    other = photographs.with_graphics(0.25, count=3, seed=6)
    assert other.digest != mixed.digest
    assert not torch.equal(other.flat, mixed.flat)
    assert torch.equal(mixed.only(0).crops(2, 16, source()), photographs.only(0).crops(2, 16, source()))


def source() -> torch.Generator:
    return torch.Generator().manual_seed(3)
