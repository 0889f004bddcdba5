"""FITS in and out: the same values, types, cards and other HDUs; what its own maps say of the pixels."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from acutance.errors import ImageError
from acutance.images import Image, read_image, write_image
from acutance.images.fits_layout import split
from acutance.images.kernel_file import read_kernel
from acutance.images.mark import Mark, read_mark
from acutance.images.peek import peek_size
from acutance.restoration.piece import Piece

fits = pytest.importorskip("astropy.io.fits", reason="needs astropy: pip install 'acutance[fits]'")

HEIGHT, WIDTH = 20, 24
MARK = Mark("0.1.0", ("deblur",), "acute", "0" * 64, "1" * 16)


def counts(dtype: str = "f4", factor: float = 1.0) -> NDArray[Any]:
    """Values that differ everywhere, one bright, some below 0 where the type has them."""
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    values = 40.0 + 7 * rows + 3 * cols
    values[5, 7] = 30_000 if np.dtype(dtype).itemsize > 1 else 250
    values[3, 2:6] = -12 if np.dtype(dtype).kind != "u" else 1
    return (values * factor).astype(dtype)


def table() -> Any:
    return fits.BinTableHDU.from_columns([fits.Column("x", "J", array=[1, 2, 3])], name="CAT")


def write(path: Path, *hdus: Any, **options: Any) -> Path:
    fits.HDUList(list(hdus)).writeto(path, overwrite=True, **options)
    return path


def science(array: NDArray[Any], *, packed: str = "", **cards: Any) -> Any:
    """An extension SCI with a header as instruments write it; compressed where `packed` names how."""
    make = {"compression_type": packed, "quantize_level": 0} if packed else {}
    hdu = (fits.CompImageHDU if packed else fits.ImageHDU)(array, name="SCI", **make)
    hdu.header["EXPTIME"] = (1200.5, "seconds")
    hdu.header["BUNIT"] = "electron"
    for key, value in {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 11.5, "CRPIX2": 9.0, "CRVAL1": 10.68,
                       "CRVAL2": 41.27, "CDELT1": -1e-5, "CDELT2": 1e-5, "LONG": "a text " * 20}.items():  # fmt: skip
        hdu.header[key] = value
    hdu.header.update(cards)
    return hdu


def changed(image: Image, by: float = 1.0) -> Image:
    """The picture with `by` units of the file added."""
    return replace(image, pixels=image.pixels + by / image.info.scale)


def data_of(path: Path, index: int = 1) -> NDArray[Any]:
    with fits.open(path) as hdus:
        return np.array(hdus[index].data)


TYPES = ("u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8")


@pytest.mark.parametrize("packed", ["", "RICE_1", "GZIP_1", "GZIP_2"])
@pytest.mark.parametrize("dtype", TYPES)
def test_types_come_back(tmp_path: Path, dtype: str, packed: str) -> None:
    if packed == "RICE_1" and np.dtype(dtype).itemsize * 8 == 64:
        pytest.skip("RICE holds no 64 bits")
    before = counts(dtype)
    write(tmp_path / "a.fits", fits.PrimaryHDU(), science(before, packed=packed), table())
    image = read_image(tmp_path / "a.fits")
    assert np.array_equal(np.asarray(image, np.float64) * image.info.scale, before.astype(np.float64))
    write_image(tmp_path / "b.fits", changed(image))
    after = data_of(tmp_path / "b.fits")
    assert after.dtype.newbyteorder("=") == before.dtype
    assert np.array_equal(after, before + 1)
    with fits.open(tmp_path / "b.fits") as hdus:
        assert isinstance(hdus[1], fits.CompImageHDU) == bool(packed)


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("packed", ["", "GZIP_2"])
def test_headers_and_other_hdus_are_kept(tmp_path: Path, index: int, packed: str) -> None:
    if packed and index == 0:
        pytest.skip("a primary HDU is not compressed")
    sci = science(counts(), packed=packed)
    first = fits.PrimaryHDU(header=fits.Header([("TELESCOP", "T1", "where")]))
    if index == 0:
        first = fits.PrimaryHDU(sci.data, sci.header)
    others = [] if index == 0 else [sci]
    write(tmp_path / "a.fits", first, *others, table(), fits.ImageHDU(counts("f8"), name="OTHER"), checksum=True)
    done = replace(read_image(tmp_path / "a.fits"), pixels=torch.rand(1, 1, HEIGHT, WIDTH))
    done = replace(done, info=replace(done.info, history=("kernel: 3 x 3 pixels", "long " * 40)))
    write_image(tmp_path / "b.fits", done, mark=MARK)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # astropy warns of wrong checksums
        for path in (tmp_path / "a.fits", tmp_path / "b.fits"):
            with fits.open(path, checksum=True) as hdus:
                assert all(hdu.data is not None for hdu in hdus[index:])
    with fits.open(tmp_path / "a.fits") as before, fits.open(tmp_path / "b.fits") as after:
        del after[index].header["HISTORY"]
        found = fits.FITSDiff(before, after, ignore_keywords=["CHECKSUM", "DATASUM"], rtol=1e9)
        assert found.identical, found.report()
    with fits.open(tmp_path / "b.fits") as hdus:
        text = "".join(f"{line:72}" for line in hdus[index].header["HISTORY"])
        assert MARK.line in text
        assert "kernel: 3 x 3 pixels" in text
    assert read_mark(tmp_path / "b.fits") == MARK
    assert read_mark(tmp_path / "a.fits") is None
    a, b = ((tmp_path / name).read_bytes() for name in ("a.fits", "b.fits"))
    if index == 0:
        assert a.endswith(b[-2880 * 4 :])


def test_a_picture_that_is_not_changed_gives_the_same_file(tmp_path: Path) -> None:
    array = counts()
    array[4, 4], array[4, 5] = np.nan, np.inf
    write(tmp_path / "a.fits", fits.PrimaryHDU(), science(array), table(), checksum=True)
    write_image(tmp_path / "b.fits", read_image(tmp_path / "a.fits"))
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
def test_odd_cards_are_kept_to_the_byte(tmp_path: Path) -> None:
    odd = [
        b"lower   = 'not by the standard'",
        b"FREE    =1.50D3/no blanks",
        b"\xe9t\xe9     accent",
        b"HIERARCH ESO X = 1",
    ]
    data = write(tmp_path / "a.fits", fits.PrimaryHDU(counts())).read_bytes()
    end = data.index(b"END     ")
    cards = b"".join(card.ljust(80) for card in odd)
    (tmp_path / "a.fits").write_bytes((data[:end] + cards + b"END".ljust(80)).ljust(2880) + data[2880:])
    write_image(tmp_path / "b.fits", changed(read_image(tmp_path / "a.fits")))
    assert cards in (tmp_path / "b.fits").read_bytes()
    assert np.array_equal(data_of(tmp_path / "b.fits", 0), counts() + 1)


@pytest.mark.parametrize("packed", ["", "RICE_1"])
@pytest.mark.parametrize("blank", [None, -32768])
def test_scaled_integers(tmp_path: Path, packed: str, blank: int | None) -> None:
    """BSCALE and BZERO stay, values go through them; BLANK is missing and stays."""
    hdu = science(counts("i2"), packed=packed, BSCALE=0.5, BZERO=100.0)
    raw = counts("i2")
    if blank is not None:
        raw[8, 8] = blank
    made = (fits.CompImageHDU if packed else fits.ImageHDU)(raw, hdu.header)
    for key, value in (("BSCALE", 0.5), ("BZERO", 100.0), *((("BLANK", blank),) if blank is not None else ())):
        made.header[key] = value
    write(tmp_path / "a.fits", fits.PrimaryHDU(), made)
    with fits.open(tmp_path / "a.fits") as hdus:
        truth = np.array(hdus[1].data, np.float64)
    assert truth[2, 2] == 0.5 * raw[2, 2] + 100
    image = read_image(tmp_path / "a.fits")
    values = np.asarray(image, np.float64) * image.info.scale
    assert np.array_equal(values, truth, equal_nan=True)
    assert int(np.isnan(values).sum()) == (blank is not None)
    filled = replace(image, pixels=image.pixels.nan_to_num(0.3))
    notes = write_image(tmp_path / "b.fits", changed(filled, 0.7))
    assert any("rounded" in note for note in notes)
    after = data_of(tmp_path / "b.fits")
    there = ~np.isnan(truth)
    assert np.abs(after[there] - truth[there] - 0.7).max() <= 0.25
    assert np.isnan(after[~there]).all()


def test_what_an_integer_cannot_hold_is_clipped_and_told(tmp_path: Path) -> None:
    write(tmp_path / "a.fits", fits.PrimaryHDU(counts("u2")))
    image = changed(read_image(tmp_path / "a.fits"), 40_000)
    notes = write_image(tmp_path / "b.fits", image)
    assert any("1 pixels are beyond" in note and "32 bits" in note for note in notes)
    assert data_of(tmp_path / "b.fits", 0).max() == 65535
    write_image(tmp_path / "c.fits", image, bits=32)
    assert data_of(tmp_path / "c.fits", 0).max() == 70_000


@pytest.mark.parametrize(("bits", "dtype"), [(8, "u1"), (16, "u2"), (32, ">f4")])
@pytest.mark.parametrize("packed", ["", "GZIP_2"])
def test_the_depth_that_is_asked_for(tmp_path: Path, bits: int, dtype: str, packed: str) -> None:
    write(tmp_path / "a.fits", fits.PrimaryHDU(), science(counts("f8"), packed=packed))
    write_image(tmp_path / "b.fits", read_image(tmp_path / "a.fits"), bits=bits)
    after = data_of(tmp_path / "b.fits")
    assert after.dtype.newbyteorder("=") == np.dtype(dtype).newbyteorder("=")
    most = {8: 255, 16: 65535, 32: np.inf}[bits]
    assert np.array_equal(after, counts("f8").clip(-np.inf if bits == 32 else 0, most))


@pytest.mark.parametrize("factor", [1e-20, 1e-6, 1.0, 1e6, 1e30])
def test_units_of_any_size(tmp_path: Path, factor: float) -> None:
    write(tmp_path / "a.fits", fits.PrimaryHDU(counts("f8", factor)))
    image = read_image(tmp_path / "a.fits")
    assert 0.1 < float(image.pixels.max()) < 1000
    assert float(image.pixels.min()) < 0
    write_image(tmp_path / "b.fits", replace(image, pixels=image.pixels * 2))
    assert np.allclose(data_of(tmp_path / "b.fits", 0), 2 * counts("f8", factor), rtol=1e-6, atol=0)


def test_rows_keep_their_numbers(tmp_path: Path) -> None:
    """The first row of FITS is the first of the picture, of a kernel, and of a TIFF or PNG that is written."""
    array = counts("f4")
    write(tmp_path / "a.fits", fits.PrimaryHDU(array))
    image = read_image(tmp_path / "a.fits")
    write_image(tmp_path / "a.tif", image)
    tiff = read_image(tmp_path / "a.tif")
    assert np.allclose(np.asarray(tiff) * tiff.info.scale, array)
    kernel = np.zeros((5, 5), "f4")
    kernel[1, 2], kernel[2, 1:5] = 1, (1, 3, 2, 1)
    write(tmp_path / "k.fits", fits.PrimaryHDU(kernel))
    np.save(tmp_path / "k.npy", kernel)
    assert torch.equal(read_kernel(tmp_path / "k.fits").kernel, read_kernel(tmp_path / "k.npy").kernel)


@pytest.mark.parametrize(
    ("name", "dtype", "share"),
    [("DQ", "i2", True), ("MASK", "u1", True), ("FLAGS", "i4", True), ("BPM", "u1", True), ("NOTES", "i2", False)],
)
def test_flagged_pixels_are_missing(tmp_path: Path, name: str, dtype: str, share: bool) -> None:
    flags = np.zeros((HEIGHT, WIDTH), dtype)
    flags[2, 3], flags[9, 9] = 64, 1
    extension = fits.ImageHDU(flags, name=name)
    write(tmp_path / "a.fits", fits.PrimaryHDU(), science(counts()), extension)
    image = read_image(tmp_path / "a.fits")
    assert np.array_equal(np.isnan(np.asarray(image)), (flags != 0) & share)
    assert any("0.42 % of the pixels are flagged" in note for note in image.info.notes) == share
    write_image(tmp_path / "b.fits", replace(image, pixels=image.pixels.nan_to_num(0.25)))
    after = data_of(tmp_path / "b.fits")
    assert (after[2, 3] == np.float32(0.25 * image.info.scale)) == share  # the estimate; it stays flagged
    assert np.array_equal(data_of(tmp_path / "b.fits", 2), flags)


@pytest.mark.filterwarnings("ignore::astropy.io.fits.verify.VerifyWarning")
def test_masks_that_name_their_bits(tmp_path: Path) -> None:
    flags = np.zeros((HEIGHT, WIDTH), "i4")
    flags[4:9, 4:9], flags[15, 15] = 1 << 5, 1
    mask = fits.ImageHDU(flags, name="MASK")
    mask.header["MP_BAD"], mask.header["MP_DETECTED"] = 0, 5
    write(tmp_path / "a.fits", fits.PrimaryHDU(), science(counts()), mask)
    missing = np.isnan(np.asarray(read_image(tmp_path / "a.fits")))
    assert missing[15, 15]
    assert missing.sum() == 1


@pytest.mark.parametrize(
    ("name", "of"),
    [("ERR", lambda s: s), ("SIGMA", lambda s: s), ("VAR", lambda s: s**2), ("VARIANCE", lambda s: s**2),
     ("IVAR", lambda s: 1 / s**2)],
)  # fmt: skip
def test_the_uncertainty_tells_the_noise(tmp_path: Path, name: str, of: Callable[[Any], Any]) -> None:
    sigma = np.full((HEIGHT, WIDTH), 5.0)
    sigma[:4] = 9.0
    sigma[7, 7] = np.inf
    write(tmp_path / "a.fits", fits.PrimaryHDU(), science(counts()), fits.ImageHDU(of(sigma), name=name))
    image = read_image(tmp_path / "a.fits")
    assert image.info.noise is not None
    assert image.info.noise.level * image.info.scale == pytest.approx(5.0)
    assert np.isnan(np.asarray(image)).sum() == 1
    assert any(name in note and "5" in note and "no weight" in note for note in image.info.notes)
    notes = write_image(tmp_path / "b.fits", replace(image, pixels=image.pixels.nan_to_num(0)))
    assert any(name in note and "blurred" in note for note in notes)


def two_chips(path: Path) -> Path:
    bad = np.zeros((HEIGHT, WIDTH), "i2")
    bad[1, 1] = 4
    hdus = [fits.PrimaryHDU()]
    for version in (1, 2):
        hdus.append(science(counts() * version, EXTVER=version))
        hdus.append(fits.ImageHDU(bad * (version - 1), name="DQ", ver=version))
    return write(path, *hdus)


@pytest.mark.parametrize(
    ("where", "factor", "missing"),
    [("", 1, 0), ("[1]", 1, 0), ("[SCI]", 1, 0), ("[sci,2]", 2, 1), ("[ SCI , 2 ]", 2, 1), ("[3]", 2, 1)],
)
def test_extensions_by_name(tmp_path: Path, where: str, factor: int, missing: int) -> None:
    two_chips(tmp_path / "a.fits")
    name = Path(f"{tmp_path / 'a.fits'}{where}")
    image = read_image(name)
    assert float(image.pixels[0, 0, 0, 0] * image.info.scale) == 40 * factor
    assert np.isnan(np.asarray(image)).sum() == missing
    assert peek_size(name) == (WIDTH, HEIGHT)
    write_image(tmp_path / "b.fits", changed(replace(image, pixels=image.pixels.nan_to_num(0))), mark=MARK)
    restored = 1 if factor == 1 else 3
    assert data_of(tmp_path / "b.fits", restored)[9, 9] == counts()[9, 9] * factor + 1
    assert data_of(tmp_path / "b.fits", 4 - restored)[9, 9] == counts()[9, 9] * (3 - factor)
    assert read_mark(tmp_path / "b.fits", f"[{restored}]") == MARK
    assert read_mark(tmp_path / "b.fits", f"[{4 - restored}]") is None


@pytest.mark.parametrize("packed", ["", "GZIP_1"])
def test_planes_of_cubes(tmp_path: Path, packed: str) -> None:
    cube = np.stack([counts() + 1000 * n for n in range(4)])
    write(tmp_path / "a.fits", fits.PrimaryHDU(), science(cube, packed=packed))
    with pytest.raises(ImageError, match=r"is a cube; name one plane, counted from 1: FILE\[1\]\[\*,\*,1\]"):
        read_image(tmp_path / "a.fits")
    plane = read_image(f"{tmp_path / 'a.fits'}[SCI][*,*,3]")
    assert np.array_equal(np.asarray(plane) * plane.info.scale, cube[2])
    colour = read_image(f"{tmp_path / 'a.fits'}[*,*,2:4]")
    assert np.array_equal(np.asarray(colour) * colour.info.scale, np.moveaxis(cube[1:4], 0, -1))
    write_image(tmp_path / "b.fits", changed(colour))
    assert np.array_equal(data_of(tmp_path / "b.fits"), cube + np.array([0, 1, 1, 1], "f4")[:, None, None])
    write(tmp_path / "one.fits", fits.PrimaryHDU(cube[None, :1]))
    assert read_image(tmp_path / "one.fits").size == (HEIGHT, WIDTH)


@pytest.mark.parametrize("suffix", [".fits.gz", ".fits", ".FTS", ".fit.gz"])
def test_packed_files(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / "a.fits.gz", fits.PrimaryHDU(counts()))
    image = read_image(tmp_path / "a.fits.gz")
    assert image.info.notes == ()
    assert peek_size(tmp_path / "a.fits.gz") == (WIDTH, HEIGHT)
    write_image(tmp_path / f"b{suffix}", changed(image), mark=MARK)
    assert (tmp_path / f"b{suffix}").read_bytes().startswith(b"\x1f\x8b" if suffix.endswith("gz") else b"SIMPLE")
    assert read_mark(tmp_path / f"b{suffix}") == MARK
    assert np.array_equal(data_of(tmp_path / f"b{suffix}", 0), counts() + 1)


@pytest.mark.parametrize("packed", ["", "GZIP_2"])
def test_a_piece_knows_where_it_was(tmp_path: Path, packed: str) -> None:
    write(tmp_path / "a.fits", fits.PrimaryHDU(), science(counts(), packed=packed), table())
    piece = Piece(6, 4, 10, 8, margin=3)
    cut = piece.trim(piece.cut(read_image(tmp_path / "a.fits")))
    notes = write_image(tmp_path / "b.fits", changed(cut))
    assert any("other HDUs" in note for note in notes)
    with fits.open(tmp_path / "b.fits") as hdus:
        assert np.array_equal(hdus[1].data, counts()[4:12, 6:16] + 1)
        assert (hdus[1].header["CRPIX1"], hdus[1].header["CRPIX2"]) == (5.5, 5.0)
        assert len(hdus) == 2


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize(("bits", "dtype"), [(8, "u1"), (16, "u2"), (32, ">f4")])
@pytest.mark.parametrize("channels", [1, 3])
def test_fits_of_other_pictures(tmp_path: Path, channels: int, bits: int, dtype: str, alpha: bool) -> None:
    pixels = torch.rand(1, channels, 6, 7)
    image = Image(pixels, torch.ones(1, 1, 6, 7) if alpha else None)
    notes = write_image(tmp_path / "b.fits", image, bits=bits, mark=MARK)
    after = data_of(tmp_path / "b.fits", 0)
    assert after.dtype == np.dtype(dtype)
    assert after.shape == ((6, 7) if channels == 1 else (3, 6, 7))
    peak = {8: 255, 16: 65535, 32: 1}[bits]
    assert np.abs(after / peak - pixels[0].numpy().reshape(after.shape)).max() <= 0.51 / peak
    assert any("alpha" in note for note in notes) == alpha
    assert read_mark(Path(tmp_path / "b.fits"), "[*,*,1]" if channels == 3 else "") == MARK


def test_other_files_of_fits(tmp_path: Path) -> None:
    write(tmp_path / "a.fits", fits.PrimaryHDU(), science(counts()))
    image = read_image(tmp_path / "a.fits")
    notes = write_image(tmp_path / "b.png", image)
    assert any("FITS header" in note for note in notes)
    assert any("white is" in note for note in notes)
    assert float(read_image(tmp_path / "b.png").pixels.max()) == 1


def test_a_result_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.fits", fits.PrimaryHDU(counts()))
    image = read_image(tmp_path / "a.fits")
    image.pixels[0, 0, 2, 2] = torch.nan
    with pytest.raises(ImageError, match="1 samples are NaN"):
        write_image(tmp_path / "b.fits", image)


@pytest.mark.parametrize(
    ("name", "file", "where"),
    [
        ("a.fits[SCI]", "a.fits", "[SCI]"),
        ("x/a.fits.gz[2][*,*,1]", "x/a.fits.gz", "[2][*,*,1]"),
        ("scans[1].png", "scans[1].png", ""),
        ("a[1].fits", "a[1].fits", ""),
        ("a.fits", "a.fits", ""),
    ],
)
def test_names(name: str, file: str, where: str) -> None:
    assert split(Path(name)) == (Path(file), where)


def test_a_file_with_brackets_in_its_name_is_itself(tmp_path: Path) -> None:
    write(tmp_path / "a.fits", fits.PrimaryHDU(counts()))
    (tmp_path / "a.fits").rename(tmp_path / "a.fits[1]")
    assert read_image(tmp_path / "a.fits[1]").size == (HEIGHT, WIDTH)
