"""Stacks in files: axes, voxel size, channel names and types come out again; hostile files are refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from acutance.errors import ImageError, OutputError
from acutance.images import stack_tiff
from acutance.images.ome import read_ome
from acutance.images.stack import Stack, Voxel
from acutance.images.stack_file import is_stack, read_stack
from acutance.images.stack_write import write_stack

Array = NDArray[Any]
VALUES = np.arange(2 * 3 * 4 * 6 * 5).reshape(2, 3, 4, 6, 5)  # T C Z Y X
KINDS = ["u1", "u2", "i2", "f2", "f4", "f8"]


def plain(path: Path, kind: str = "u2", **options: Any) -> Array:
    values = VALUES[0, 0].astype(kind)
    tifffile.imwrite(path, values, photometric="minisblack", metadata=None, **options)
    return values


def imagej(path: Path, kind: str = "u2", *, truncate: bool = False, **about: Any) -> Array:
    values = VALUES.astype(kind)
    luts = [np.full((3, 256), i, np.uint8) for i in range(3)]
    whole = {"axes": "TZCYX", "spacing": 0.3, "unit": "um", "Info": "objective 63x", "LUTs": luts} | about
    tifffile.imwrite(
        path, values.transpose(0, 2, 1, 3, 4), imagej=True, resolution=(10.0, 5.0), metadata=whole, truncate=truncate
    )
    return values


def ome(path: Path, kind: str = "u2", **options: Any) -> Array:
    values = VALUES.astype(kind)
    about = {"axes": "TCZYX", "Channel": {"Name": ["DAPI", "GFP", "Cy5"]}, "Description": "night"}
    about |= {f"PhysicalSize{a}": size for a, size in zip("ZYX", (300, 200, 100), strict=True)}
    about |= {f"PhysicalSize{a}Unit": "nm" for a in "ZYX"}
    tifffile.imwrite(path, values, ome=True, photometric="minisblack", metadata=about, **options)
    return values


def same_description(a: Any, b: Any) -> bool:
    """Equal but for the identity of the file."""
    return re.sub(r' UUID="[^"]*"', "", a.pages[0].description) == b.pages[0].description


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [plain, imagej, ome])
def test_a_stack_comes_out_as_it_went_in(tmp_path: Path, make: Any, kind: str) -> None:
    if make is imagej and kind not in ("u1", "u2", "f4"):
        pytest.skip("ImageJ has no such type")
    if make is ome and kind == "f2":
        pytest.skip("OME has no such type")
    before, after = tmp_path / "a.tif", tmp_path / "b.tif"
    values = make(before, kind)
    stack = read_stack(before)
    assert np.array_equal(np.asarray(stack), values)
    assert stack.axes == ("ZYX" if make is plain else "TCZYX")
    write_stack(after, stack)
    again = read_stack(after)
    assert (again.axes, again.dtype, again.voxel, again.channels) == (
        stack.axes, stack.dtype, stack.voxel, stack.channels,
    )  # fmt: skip
    with tifffile.TiffFile(before) as a, tifffile.TiffFile(after) as b:
        assert (a.series[0].axes, a.series[0].shape, a.series[0].dtype) == (
            b.series[0].axes, b.series[0].shape, b.series[0].dtype,
        )  # fmt: skip
        assert np.array_equal(a.asarray(), b.asarray())
        assert same_description(a, b)
        assert str(a.imagej_metadata) == str(b.imagej_metadata)
        for tag in ("XResolution", "YResolution", "ResolutionUnit"):
            assert getattr(a.pages[0].tags.get(tag), "value", 1) == getattr(b.pages[0].tags.get(tag), "value", 1)


def test_what_microscopes_say_of_voxels_and_channels(tmp_path: Path) -> None:
    imagej(tmp_path / "a.tif")
    ome(tmp_path / "b.ome.tif")
    a, b = read_stack(tmp_path / "a.tif"), read_stack(tmp_path / "b.ome.tif")
    assert a.voxel == Voxel(0.3, 0.2, 0.1, "um")
    assert b.voxel == Voxel(300, 200, 100, "nm")
    assert b.channels == ("DAPI", "GFP", "Cy5")
    assert a.voxel.micrometres == pytest.approx(b.voxel.micrometres if b.voxel else None)
    assert b.name_of(1, 2) == "moment 2, channel Cy5"


@pytest.mark.parametrize("unit", ["pixel", "", "furlong"])
def test_a_unit_that_is_no_length_tells_no_size(tmp_path: Path, unit: str) -> None:
    imagej(tmp_path / "a.tif", unit=unit)
    voxel = read_stack(tmp_path / "a.tif").voxel
    assert voxel is None or voxel.micrometres is None


@pytest.mark.parametrize(
    ("options", "notes"),
    [
        ({"bigtiff": True}, 0),
        ({"byteorder": ">"}, 0),
        ({"compression": "zlib"}, 0),
        ({"tile": (16, 16)}, 0),
        ({"photometric": "miniswhite"}, 0),
        ({"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}, 1),
    ],
)
def test_kinds_of_tiff(tmp_path: Path, options: dict[str, Any], notes: int) -> None:
    values = VALUES[0, 0].astype("u1")
    tifffile.imwrite(tmp_path / "a.tif", values, metadata=None, **({"photometric": "minisblack"} | options))
    assert is_stack(tmp_path / "a.tif")
    stack = read_stack(tmp_path / "a.tif")
    assert len(stack.notes) == notes
    write_stack(tmp_path / "b.tif", stack)
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), values)


@pytest.mark.parametrize("make", [plain, imagej, ome])
def test_a_large_stack_is_read_volume_by_volume(tmp_path: Path, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_tiff, "KEPT", 0)
    values = make(tmp_path / "a.tif")
    stack = read_stack(tmp_path / "a.tif")
    assert not isinstance(stack.values, np.ndarray)
    assert np.array_equal(np.asarray(stack), values)
    write_stack(tmp_path / "b.tif", stack)
    assert np.array_equal(np.asarray(read_stack(tmp_path / "b.tif")), values)


def test_planes_without_directories_of_their_own(tmp_path: Path) -> None:
    """As ImageJ writes stacks of more than 4 GB: one directory, and all planes behind it."""
    values = imagej(tmp_path / "a.tif", truncate=True)
    with tifffile.TiffFile(tmp_path / "a.tif") as found:
        assert len(found.pages) == 1
    assert np.array_equal(np.asarray(read_stack(tmp_path / "a.tif")), values)
    assert is_stack(tmp_path / "a.tif")


@pytest.mark.parametrize("truncate", [False, True])
def test_a_stack_that_was_cut_short_is_refused(tmp_path: Path, truncate: bool) -> None:
    imagej(tmp_path / "a.tif", truncate=truncate)
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match="intact copy"):
        read_stack(tmp_path / "cut.tif")


def test_smaller_copies_are_left_out_with_a_note(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(np.ones((4, 64, 64), "u1"), subifds=1, metadata={"axes": "ZYX"}, tile=(32, 32))
        file.write(np.ones((4, 32, 32), "u1"), subfiletype=1, tile=(32, 32))
    stack = read_stack(tmp_path / "a.ome.tif")
    assert stack.shape == (4, 64, 64)
    assert "pyramid" in " ".join(stack.notes)


@pytest.mark.parametrize(
    ("pages", "stack"),
    [
        ([(0, (6, 5)), (0, (6, 5))], True),
        ([(0, (6, 5)), (1, (3, 2))], False),  # a picture and its thumbnail
        ([(0, (6, 5)), (1, (6, 5))], False),
        ([(0, (6, 5)), (1, (3, 2)), (0, (6, 5))], True),
        ([(0, (6, 5)), (0, (3, 2))], False),
        ([(0, (6, 5, 3)), (0, (6, 5, 3))], False),  # colour
        ([(0, (6, 5))], False),
    ],
)
def test_what_is_a_stack(tmp_path: Path, pages: list[tuple[int, tuple[int, ...]]], stack: bool) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for reduced, shape in pages:
            kind = "rgb" if len(shape) == 3 else "minisblack"
            file.write(np.ones(shape, "u1"), subfiletype=reduced, metadata=None, photometric=kind)
    assert is_stack(tmp_path / "a.tif") is stack
    if stack:
        assert read_stack(tmp_path / "a.tif").shape[0] == 2


@pytest.mark.parametrize("name", ["none.tif", "folder", "text.tif", "empty.tif"])
def test_what_cannot_be_read_is_no_stack(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.tif").write_text("II*")
    (tmp_path / "empty.tif").touch()
    assert not is_stack(tmp_path / name)
    with pytest.raises(ImageError, match=r"cannot read"):
        read_stack(tmp_path / name)


def colour(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((4, 6, 5, 3), "u1"), photometric="rgb")


def nameless(path: Path) -> None:
    tifffile.imwrite(path, VALUES[0].astype("u1"), photometric="minisblack")


def two_sizes(path: Path) -> None:
    with tifffile.TiffWriter(path) as file:
        for shape in ((6, 5), (6, 5), (3, 2)):
            file.write(np.zeros(shape, "u1"), metadata=None)


def told(text: str) -> Any:
    def make(path: Path) -> None:
        tifffile.imwrite(path, VALUES[0, 0].astype("u1"), photometric="minisblack", metadata=None, description=text)

    return make


def xml(pixels: str = "", more: str = "", sizes: str = 'SizeT="1" SizeC="1" SizeZ="4" SizeY="6" SizeX="5"') -> str:
    data = pixels or '<TiffData IFD="0" PlaneCount="4"/>'
    inner = f'<Pixels ID="p" DimensionOrder="XYZCT" Type="uint8" {sizes}>{data}</Pixels>'
    return f'{more}<OME><Image ID="i">{inner}</Image></OME>'


HEAD = '<?xml version="1.0"?>'
BOMB = HEAD + '<!DOCTYPE a [<!ENTITY b "' + "c" * 1000 + '">]>'
HUGE = 'SizeT="1" SizeC="1" SizeZ="1000000000" SizeY="6" SizeX="5"'
ELSEWHERE = "".join(f'<TiffData IFD="0"><UUID FileName="{n}.tif">urn:{n}</UUID></TiffData>' for n in "ab")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (colour, "Split Channels"),
        (nameless, "which of its axes"),
        (two_sizes, "2 sizes or kinds"),
        (told(xml(more=BOMB)), "entities"),
        (told(xml(more=HEAD, sizes=HUGE)), "4 pages"),
        (told(xml(more=HEAD, sizes='SizeT="x"')), "how large"),
        (told(xml(more=HEAD, sizes='SizeT="1" SizeC="1" SizeZ="3" SizeY="6" SizeX="9"')), "Fiji"),
        (told(xml('<TiffData IFD="0" PlaneCount="999999999"/>', HEAD)), "beyond its 4 pages"),
        (told(xml('<TiffData FirstZ="999999999" IFD="0"/>', HEAD)), "beyond its 4 pages"),
        (told(xml(ELSEWHERE, HEAD)), "2 files"),
        (told(HEAD + "<OME><Image>"), "damaged"),
        (told(HEAD + "<OME></OME>"), "0 images"),
        (told('{"shape": [1000000, 1000000, 6, 5]}'), r"cannot read"),
        (told("ImageJ=1.53t\nimages=900000000\nslices=900000000\n"), r"cannot read"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path: Path, make: Any, words: str) -> None:
    make(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=words):
        read_stack(tmp_path / "a.tif")


def test_a_volume_above_the_limit_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    plain(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="over the limit"):
        read_stack(tmp_path / "a.tif", max_voxels=50)


@pytest.mark.parametrize("make", [plain, imagej, ome])
def test_damage_is_an_image_error_or_a_stack(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "a.tif")
    data = (tmp_path / "a.tif").read_bytes()
    generator = np.random.default_rng(4)
    for _ in range(25):
        wrong = bytearray(data)
        for at in generator.integers(0, min(len(wrong), 3000), 6):
            wrong[at] = generator.integers(0, 256)
        (tmp_path / "b.tif").write_bytes(bytes(wrong[: generator.integers(8, len(wrong) + 1)]))
        is_stack(tmp_path / "b.tif")
        try:
            stack = read_stack(tmp_path / "b.tif", max_voxels=100_000)
        except ImageError:
            continue
        assert stack.values.ndim == 5  # type: ignore[attr-defined]


def test_ome_in_other_units_of_each_axis() -> None:
    sizes = 'SizeT="1" SizeC="1" SizeZ="4" SizeY="6" SizeX="5" PhysicalSizeX="0.1" PhysicalSizeY="100" '
    text = xml(more=HEAD, sizes=sizes + 'PhysicalSizeYUnit="nm" PhysicalSizeZ="oo"')
    voxel = read_ome(text.encode(), 4).voxel
    assert voxel is not None
    assert (voxel.z, voxel.y, voxel.x, voxel.unit) == (None, pytest.approx(0.1), 0.1, "µm")


@pytest.mark.parametrize(
    ("name", "kind", "form"), [("a.tif", "u2", "imagej"), ("a.ome.tif", "i2", "ome"), ("a.tif", "f8", "shaped")]
)
def test_a_stack_from_an_array_gets_a_form(tmp_path: Path, name: str, kind: str, form: str) -> None:
    stack = replace(Stack.of(VALUES.astype(kind), "TCZYX"), voxel=Voxel(0.3, 0.2, 0.1), channels=("a", "b", "c"))
    write_stack(tmp_path / name, stack)
    with tifffile.TiffFile(tmp_path / name) as found:
        assert found.series[0].kind == form
    again = read_stack(tmp_path / name)
    assert (again.axes, again.dtype) == (stack.axes, stack.dtype)
    assert np.array_equal(np.asarray(again), VALUES)
    if form != "shaped":
        assert again.voxel is not None
        assert again.voxel.micrometres == pytest.approx((0.3, 0.2, 0.1))
    if form == "ome":
        assert again.channels == stack.channels


@pytest.mark.parametrize(("axes", "back"), [("ZCYX", "CZYX"), ("YXZ", "ZYX"), ("YX", "YX"), ("CYX", "CYX")])
def test_axes_are_put_in_order(axes: str, back: str) -> None:
    array = VALUES[0, : len(axes) - 1, 0] if len(axes) == 3 else VALUES[0] if len(axes) == 4 else VALUES[0, 0, 0]
    stack = Stack.of(array, axes)
    assert stack.axes == back
    assert np.array_equal(np.asarray(stack), array.transpose([axes.index(a) for a in back]))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Stack.of(VALUES, "TCZY"), "name each axis once"),
        (lambda: Stack.of(VALUES[0, 0], "ZZX"), "name each axis once"),
        (lambda: Stack(VALUES > 3), "real numbers"),
        (lambda: Stack(VALUES, "ZYX"), "name T, C"),
        (lambda: Stack(VALUES, "YXZ"), "in this order"),
    ],
)
def test_a_stack_of_something_else_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        make()


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    class Failing:
        shape, dtype = VALUES.shape, VALUES.dtype

        def __getitem__(self, at: tuple[int, int]) -> Array:
            if at == (1, 2):
                raise KeyboardInterrupt
            return np.asarray(VALUES[at])

    with pytest.raises(KeyboardInterrupt):
        write_stack(tmp_path / "a.tif", Stack(Failing(), "TCZYX"))
    assert list(tmp_path.iterdir()) == []
    plain(tmp_path / "b.tif")
    stack = read_stack(tmp_path / "b.tif")
    with pytest.raises(OutputError, match="exists"):
        write_stack(tmp_path / "b.tif", stack)
    with pytest.raises(OutputError, match=r"ends in \.tif"):
        write_stack(tmp_path / "b.png", stack)


def test_smaller_copies_are_held_against_the_file(tmp_path: Path) -> None:
    """tifffile reads the tags of SubIFDs as well."""
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for _ in range(2):
            file.write(np.ones((8, 8), "u1"), subifds=1, metadata=None)
            file.write(np.ones((4, 4), "u1"), subfiletype=1, metadata=None, description="a" * 400)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as found:
        at = found.pages[0].pages[0].tags["ImageDescription"].offset
    data[at + 4 : at + 8] = (2**31).to_bytes(4, "little")
    (tmp_path / "a.tif").write_bytes(bytes(data))
    with pytest.raises(ImageError, match="its tags claim"):
        read_stack(tmp_path / "a.tif")
