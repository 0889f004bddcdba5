"""OME-Zarr: round trips of 0.4 and 0.5, pyramids, and metadata that is damaged or hostile."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import acutance
from acutance.errors import ImageError, OutputError
from acutance.images.stack import Stack, Voxel
from acutance.images.stack_file import is_stack
from acutance.images.zarr_write import ZarrPart, halved, levels_of

zarr = pytest.importorskip("zarr")

UNITS = {"z": "micrometer", "y": "micrometer", "x": "micrometer", "t": "second"}
KINDS = {"t": "time", "c": "channel"}


def counts(shape: tuple[int, ...], dtype: str = "u2") -> NDArray[Any]:
    return np.random.default_rng(1).poisson(90, shape).astype(dtype)


def write(folder: Path, values: NDArray[Any], axes: str, version: str, **image: Any) -> Path:
    """An OME-Zarr as others write it: by zarr, without any code of ours."""
    records = [{"name": a, "type": KINDS.get(a, "space"), **({"unit": UNITS[a]} if a in UNITS else {})} for a in axes]
    scale = [{"z": 0.3, "y": 0.1, "x": 0.1}.get(a, 1.0) for a in axes]
    described: dict[str, Any] = {
        "axes": records,
        "datasets": [{"path": "full", "coordinateTransformations": [{"type": "scale", "scale": scale}]}],
        "name": "cells",
        **image,
    }
    omero = {"channels": [{"label": "DAPI", "color": "0000FF"}, {"label": "GFP", "color": "00FF00"}]}
    folder.mkdir()
    chunks = [min(n, 16) if a in "zyx" else 1 for a, n in zip(axes, values.shape, strict=True)]
    options: dict[str, Any] = {"shape": values.shape, "chunks": chunks, "dtype": values.dtype}
    if version == "0.4":
        (folder / ".zgroup").write_text('{"zarr_format": 2}')
        attributes = {"multiscales": [{"version": "0.4", **described}], "omero": omero, "lab": "ours"}
        (folder / ".zattrs").write_text(json.dumps(attributes))
        array = zarr.create_array(str(folder / "full"), zarr_format=2, **options)
    else:
        ome = {"version": "0.5", "multiscales": [described], "omero": omero}
        group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome, "lab": "ours"}}
        (folder / "zarr.json").write_text(json.dumps(group))
        array = zarr.create_array(str(folder / "full"), **options)
    array[...] = values
    return folder


def attributes_of(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """All attributes, and those of OME."""
    if (folder / ".zattrs").exists():
        found = json.loads((folder / ".zattrs").read_text())
        return found, found
    found = json.loads((folder / "zarr.json").read_text())["attributes"]
    return found, found["ome"]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(("axes", "dtype"), [("tczyx", "u2"), ("czyx", "u1"), ("zyx", "f4"), ("cyx", ">i2")])
def test_a_stack_comes_back_with_all_it_knows(tmp_path: Path, version: str, axes: str, dtype: str) -> None:
    lengths = {"t": 2, "c": 2, "z": 6, "y": 20, "x": 300}
    values = counts(tuple(lengths[a] for a in axes), dtype)
    source = write(tmp_path / "a.ome.zarr", values, axes, version)
    assert is_stack(source)
    stack = acutance.read_stack(source)
    assert stack.axes == axes.upper()
    assert stack.dtype == values.dtype.newbyteorder("=")
    assert stack.voxel == Voxel(0.3 if "z" in axes else None, 0.1, 0.1, "micrometer")
    assert stack.channels == ("DAPI", "GFP")
    np.testing.assert_array_equal(np.asarray(stack), values)

    target = tmp_path / "b.ome.zarr"
    acutance.write_stack(target, stack)
    (all_before, before), (all_after, after) = attributes_of(source), attributes_of(target)
    image, was = after["multiscales"][0], before["multiscales"][0]
    assert image["axes"] == was["axes"]
    assert image["name"] == "cells"
    assert after["omero"] == before["omero"]
    assert all_after["lab"] == all_before["lab"] == "ours"
    assert image["datasets"][0]["coordinateTransformations"] == was["datasets"][0]["coordinateTransformations"]
    assert (target / "zarr.json").exists() == (version == "0.5")
    again = zarr.open_array(str(target / image["datasets"][0]["path"]), mode="r")
    np.testing.assert_array_equal(again[...], values)
    assert again.dtype == stack.dtype
    smaller = zarr.open_array(str(target / image["datasets"][1]["path"]), mode="r")
    assert smaller.shape == (*values.shape[:-2], 10, 150)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_axes_in_another_order_are_taken_by_name(tmp_path: Path) -> None:
    values = counts((5, 12, 14, 2))
    stack = acutance.read_stack(write(tmp_path / "a.zarr", values, "zyxc", "0.5"))
    assert stack.axes == "CZYX"
    np.testing.assert_array_equal(np.asarray(stack), values.transpose(3, 0, 1, 2))
    acutance.write_stack(tmp_path / "b.zarr", stack)
    np.testing.assert_array_equal(zarr.open_array(str(tmp_path / "b.zarr/0"), mode="r")[...], values)


def test_a_stack_from_an_array_becomes_0_5_and_a_tiff_and_back(tmp_path: Path) -> None:
    stack = Stack.of(counts((4, 10, 12)), voxel=Voxel(0.5, 0.2, 0.2, "µm"))
    acutance.write_stack(tmp_path / "a.ome.zarr", stack)
    back = acutance.read_stack(tmp_path / "a.ome.zarr")
    assert attributes_of(tmp_path / "a.ome.zarr")[1]["version"] == "0.5"
    assert back.voxel is not None
    assert back.voxel.micrometres == (0.5, 0.2, 0.2)
    acutance.write_stack(tmp_path / "a.tif", back)
    np.testing.assert_array_equal(np.asarray(acutance.read_stack(tmp_path / "a.tif")), np.asarray(stack))


def test_levels_are_means_of_four_pixels() -> None:
    values = np.array([[[1, 3, 8], [5, 7, 8], [10, 20, 30]]], np.uint8)
    np.testing.assert_array_equal(halved(values), [[[4, 8], [15, 30]]])
    assert [levels_of((1, 1, 1, n, 5)) for n in (256, 257, 512, 513)] == [1, 2, 2, 3]


def changed(folder: Path, what: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Change the metadata. Args: what: of the group (its "ome") and of the array."""
    files = [folder / "zarr.json", folder / "full/zarr.json"]
    group, array = (json.loads(file.read_text()) for file in files)
    what(group["attributes"]["ome"], array)
    for file, content in zip(files, (group, array), strict=True):
        file.write_text(json.dumps(content))


HOSTILE: dict[str, tuple[str, Callable[[dict[str, Any], dict[str, Any]], Any]]] = {
    "a path outside": ("path of its array", lambda g, a: g["multiscales"][0]["datasets"][0].update(path="../b")),
    "an absolute path": ("path of its array", lambda g, a: g["multiscales"][0]["datasets"][0].update(path="/etc")),
    "no such array": ("missing", lambda g, a: g["multiscales"][0]["datasets"][0].update(path="1")),
    "no levels": ("where its arrays are", lambda g, a: g["multiscales"][0].update(datasets=[])),
    "two images": ("2 images", lambda g, a: g["multiscales"].append(g["multiscales"][0])),
    "other axes": ("axes are", lambda g, a: g["multiscales"][0]["axes"][0].update(name="angle")),
    "an axis twice": ("axes are", lambda g, a: g["multiscales"][0]["axes"][0].update(name="y")),
    "no axes": ("axes are", lambda g, a: g["multiscales"][0].update(axes=7)),
    "another version": ("0.6", lambda g, a: g.update(version="0.6")),
    "objects": ("kind", lambda g, a: a.update(data_type="object")),
    "a codec that runs code": ("pickle", lambda g, a: a.update(codecs=[{"name": "numcodecs.pickle"}])),
    "a huge chunk": ("MiB", lambda g, a: a["chunk_grid"]["configuration"].update(chunk_shape=[2**20] * 3)),
    "tiny chunks": ("chunks, over", lambda g, a: (a.update(shape=[2**20] * 3),)),
    "a negative size": ("sizes", lambda g, a: a.update(shape=[-1, 20, 20])),
    "a size of text": ("sizes", lambda g, a: a.update(shape=["9", 20, 20])),
    "another number of axes": ("axes", lambda g, a: a.update(shape=[20, 20])),
    "no chunks": ("sizes", lambda g, a: a["chunk_grid"].update(configuration={})),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_metadata_is_refused_with_a_message(tmp_path: Path, case: str) -> None:
    folder = write(tmp_path / "a.zarr", counts((6, 20, 20)), "zyx", "0.5")
    said, change = HOSTILE[case]
    changed(folder, change)
    with pytest.raises(ImageError, match=said):
        acutance.read_stack(folder)


def test_sizes_links_and_broken_files_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "a.zarr", counts((6, 20, 20)), "zyx", "0.5")
    with pytest.raises(ImageError, match="over the limit"):
        acutance.read_stack(folder, max_voxels=2000)
    assert acutance.read_stack(folder, max_voxels=None).size == (6, 20, 20)
    chunk = folder / "full/c/0/0/0"
    chunk.write_bytes(b"\0" * 40)
    with pytest.raises(ImageError, match="cannot read"):
        acutance.read_stack(folder).volume()
    chunk.unlink()
    chunk.symlink_to("/etc/passwd")
    with pytest.raises(ImageError, match="link"):
        acutance.read_stack(folder)
    chunk.unlink()
    (folder / "zarr.json").write_text("[" * 100_000)
    with pytest.raises(ImageError, match="JSON"):
        acutance.read_stack(folder)
    (folder / "zarr.json").write_text('{"node_type": "array"}')
    with pytest.raises(ImageError, match="bare array"):
        acutance.read_stack(folder)


def test_a_result_is_whole_or_not_there(tmp_path: Path) -> None:
    class Broken:
        shape, dtype = (1, 2, 4, 8, 8), np.dtype(np.uint8)

        def __getitem__(self, at: tuple[int, int]) -> NDArray[Any]:
            if at[1] == 1:
                raise KeyError("lost")
            return np.zeros(self.shape[2:], np.uint8)

    with pytest.raises(KeyError):
        acutance.write_stack(tmp_path / "a.zarr", Stack(Broken(), "CZYX"))
    assert list(tmp_path.iterdir()) == []
    acutance.write_stack(tmp_path / "a.zarr", Stack.of(counts((4, 8, 8))))
    with pytest.raises(OutputError, match="exists"):
        acutance.write_stack(tmp_path / "a.zarr", Stack.of(counts((4, 8, 8))))
    acutance.write_stack(tmp_path / "a.zarr", Stack.of(counts((2, 8, 8))), overwrite=True)
    assert acutance.read_stack(tmp_path / "a.zarr").size == (2, 8, 8)
    (tmp_path / "folder.zarr").mkdir()
    (tmp_path / "folder.zarr/mine.txt").write_text("keep me")
    with pytest.raises(OutputError, match="no Zarr"):
        acutance.write_stack(tmp_path / "folder.zarr", Stack.of(counts((2, 8, 8))), overwrite=True)
    assert (tmp_path / "folder.zarr/mine.txt").exists()


def test_two_runs_do_not_write_one_result(tmp_path: Path) -> None:
    stack = Stack.of(counts((4, 8, 8)))
    from acutance.images.zarr_stack import form_of

    def begin(overwrite: bool = False, **settings: int) -> ZarrPart:
        return ZarrPart.open(
            tmp_path / "a.zarr", form_of(stack, (4, 8, 8)), stack.values.shape, stack.dtype, settings,
            overwrite=overwrite,
        )  # fmt: skip

    first = begin(a=1)
    with pytest.raises(OutputError, match="another run"):
        begin(a=1)
    with pytest.raises(OutputError, match="other settings"):
        begin(a=2)
    with pytest.raises(OutputError, match="another run"):
        begin(overwrite=True, a=2)
    first._journal.close()
    begin(overwrite=True, a=2).publish()
    assert (np.asarray(acutance.read_stack(tmp_path / "a.zarr")) == 0).all()
