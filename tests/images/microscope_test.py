"""What microscopes write into TIFFs comes out again, or a note says that it was dropped."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from acutance.images import read_image, write_image
from acutance.images.image import Image

SAMPLES = np.random.default_rng(0).integers(0, 255, (20, 30), dtype=np.uint8)


def imagej(path: Path, kind: str, **options: object) -> Image:
    tifffile.imwrite(path, SAMPLES.astype(kind), imagej=True, resolution=(5.0, 4.0), metadata={"unit": "um"}, **options)
    return read_image(path)


def ome(path: Path, kind: str) -> Image:
    about = {"axes": "YX", "PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "µm", "Channel": {"Name": ["DAPI"]}}
    tifffile.imwrite(path, SAMPLES.astype(kind), ome=True, metadata=about)
    return read_image(path)


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
@pytest.mark.parametrize("bits", [None, 16, 32])
def test_imagej_metadata_and_pixel_size_come_out_again(tmp_path: Path, kind: str, bits: int | None) -> None:
    assert write_image(tmp_path / "out.tif", imagej(tmp_path / "in.tif", kind), bits=bits) == ()
    with tifffile.TiffFile(tmp_path / "out.tif") as found:
        assert found.imagej_metadata is not None
        assert found.imagej_metadata["unit"] == "um"
        page = found.pages[0]
        assert page.tags["XResolution"].value == (5, 1)
        assert page.tags["YResolution"].value == (4, 1)
        assert page.tags["ResolutionUnit"].value == 1


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
@pytest.mark.parametrize("size", [(20, 30), (8, 6)])
def test_ome_metadata_is_that_of_the_result(tmp_path: Path, kind: str, size: tuple[int, int]) -> None:
    image = ome(tmp_path / "in.ome.tif", kind)
    part = Image(image.pixels[..., : size[0], : size[1]], info=image.info)
    assert write_image(tmp_path / "out.ome.tif", part) == ()
    with tifffile.TiffFile(tmp_path / "out.ome.tif") as found:
        text = found.ome_metadata
        assert found.series[0].shape == size
        assert found.asarray().dtype == np.dtype(kind)
    assert text is not None
    assert 'PhysicalSizeX="0.2"' in text
    assert "DAPI" in text


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp"])
def test_a_format_without_a_place_for_it_says_so(tmp_path: Path, suffix: str) -> None:
    notes = " ".join(write_image(tmp_path / f"out{suffix}", imagej(tmp_path / "in.tif", "u1")))
    assert "microscope" in notes
    assert "resolution without a unit" in notes


def test_metadata_of_several_files_is_left_out(tmp_path: Path) -> None:
    about = '<Pixels SizeX="30"><TiffData><UUID FileName="b.tif"/></TiffData></Pixels>'
    text = f'<?xml version="1.0"?><OME><Image>{about}</Image></OME>'
    tifffile.imwrite(tmp_path / "in.tif", SAMPLES, description=text, metadata=None)
    assert "several files" in write_image(tmp_path / "out.tif", read_image(tmp_path / "in.tif"))[0]


@pytest.mark.parametrize("turn", [1, 6])
def test_a_resolution_turns_with_the_picture(tmp_path: Path, turn: int) -> None:
    tags = [(274, 3, 1, turn, True)]
    tifffile.imwrite(tmp_path / "in.tif", SAMPLES, resolution=(5, 4), resolutionunit=1, metadata=None, extratags=tags)
    assert read_image(tmp_path / "in.tif").info.carried.resolution == ((5, 4) if turn == 1 else (4, 5))


def test_a_plain_tiff_has_none(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "in.tif", SAMPLES)
    info = read_image(tmp_path / "in.tif").info
    assert (info.carried.microscope, info.carried.resolution, info.notes) == (None, None, ())
    write_image(tmp_path / "other.tif", torch.zeros(1, 1, 4, 4))
