"""Kernel files: every format there and back, what is refused, and that damage is never anything but a KernelError."""

from __future__ import annotations

import io
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import tifffile
import torch
from kernel_values import grey, kernel, psf
from PIL import Image

from acutance.errors import KernelError, OutputError
from acutance.images.kernel_file import read_kernel, write_kernel

# -- there and back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "tolerance"), [("k.npy", 0), ("k.txt", 0), ("k.tif", 0), ("k.TIFF", 0), ("k.png", 1e-6)]
)
def test_round_trip(tmp_path: Path, name: str, tolerance: float) -> None:
    write_kernel(tmp_path / name, kernel())
    back = read_kernel(tmp_path / name)
    assert back.notes == ()
    assert back.kernel.shape == (1, 1, 9, 7)
    assert float((back.kernel - kernel()).abs().max()) <= tolerance


@pytest.mark.parametrize(("name", "tolerance"), [("k.npy", 0), ("k.tif", 0), ("k.png", 1e-4)])
@pytest.mark.parametrize("shape", [(9, 9), (3, 3)])
def test_round_trip_in_colour(tmp_path: Path, name: str, tolerance: float, shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    three = torch.rand((1, 3, *shape), generator=generator)
    three = (three / three.double().sum((2, 3), keepdim=True)).float()
    write_kernel(tmp_path / name, three)
    back = read_kernel(tmp_path / name)
    assert float((back.kernel - three).abs().max()) <= tolerance
    assert "each colour" in back.notes[0]


def test_png_depths(tmp_path: Path) -> None:
    for bits, bound in ((8, 1e-3), (16, 1e-6)):
        write_kernel(tmp_path / "k.png", kernel(), bits=bits, overwrite=True)  # type: ignore[arg-type]
        assert float((read_kernel(tmp_path / "k.png").kernel - kernel()).abs().max()) < bound
        with Image.open(tmp_path / "k.png") as image:
            assert image.mode == ("L" if bits == 8 else "I;16")
    with pytest.raises(KernelError, match="bits=12"):
        write_kernel(tmp_path / "k.png", kernel(), bits=12, overwrite=True)  # type: ignore[arg-type]


def test_writing_refuses(tmp_path: Path) -> None:
    write_kernel(tmp_path / "k.npy", kernel())
    with pytest.raises(OutputError, match="exists"):
        write_kernel(tmp_path / "k.npy", kernel())
    write_kernel(tmp_path / "k.npy", kernel(), overwrite=True)
    with pytest.raises(OutputError, match=r"\.jpg"):
        write_kernel(tmp_path / "k.jpg", kernel())
    with pytest.raises(OutputError, match="one channel"):
        write_kernel(tmp_path / "k.txt", kernel().expand(1, 3, 9, 7))
    with pytest.raises(OutputError, match="there is no folder"):
        write_kernel(tmp_path / "nowhere" / "k.npy", kernel())
    for bad in (kernel()[0], -kernel(), kernel() * 0, kernel() * torch.nan):
        with pytest.raises(KernelError):
            write_kernel(tmp_path / "bad.npy", bad)
    assert not (tmp_path / "bad.npy").exists()


# -- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "suffix", "note"),
    [
        ("L", "png", None),
        ("L", "bmp", None),
        ("L", "tif", None),
        ("RGB", "png", "channels are equal"),
        ("RGB", "bmp", "channels are equal"),
        ("RGB", "tif", "channels are equal"),
        ("RGBA", "png", "alpha"),
        ("LA", "png", "alpha"),
        ("RGBA", "tif", "alpha"),
        ("P", "png", "palette"),
        ("P", "tif", "palette"),
    ],
)
def test_pictures(tmp_path: Path, mode: str, suffix: str, note: str | None) -> None:
    path = tmp_path / f"k.{suffix}"
    Image.fromarray(grey()).convert(mode).save(path)
    back = read_kernel(path)
    np.testing.assert_allclose(back.kernel[0, 0].numpy(), grey() / grey().sum(), atol=1e-6)
    assert (back.notes == ()) if note is None else any(note in said for said in back.notes)


def test_jpeg_is_read_with_a_warning(tmp_path: Path) -> None:
    Image.fromarray(np.kron(grey(), np.ones((3, 3), np.uint8))).convert("RGB").save(tmp_path / "k.jpg", quality=95)
    assert "JPEG is lossy" in read_kernel(tmp_path / "k.jpg").notes[0]


@pytest.mark.parametrize(("ground", "sign"), [(20, 1), (235, -1)])
def test_grounds_in_a_jpeg(tmp_path: Path, ground: int, sign: int) -> None:
    big = np.pad(np.kron(grey(), np.ones((3, 3))), 8)
    picture = np.rint(ground + sign * big * 0.9).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "k.jpg", quality=90)
    back = read_kernel(tmp_path / "k.jpg")
    h, w = back.kernel.shape[2:]
    top, left = big.shape[0] // 2 - h // 2, big.shape[1] // 2 - w // 2
    expected = (big / big.sum())[top : top + h, left : left + w]
    assert float(abs(back.kernel[0, 0].numpy() - expected).sum()) < 0.1
    assert ("The background was not zero" if sign > 0 else "it was inverted") in " ".join(back.notes)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, np.float16, np.int16])
def test_tiff_types(tmp_path: Path, dtype: type) -> None:
    values = (grey().astype(np.float64) / (1 if np.dtype(dtype).kind in "ui" else 256)).astype(dtype)
    for compression in (None, "zlib", "lzw"):
        tifffile.imwrite(tmp_path / "k.tif", values, compression=compression)
        np.testing.assert_allclose(
            read_kernel(tmp_path / "k.tif").kernel[0, 0].numpy(), grey() / grey().sum(), atol=1e-6
        )


def test_tiff_with_white_zero(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "k.tif", 255 - grey(), photometric="miniswhite")
    back = read_kernel(tmp_path / "k.tif")
    assert back.notes == ()
    np.testing.assert_allclose(back.kernel[0, 0].numpy(), grey() / grey().sum(), atol=1e-7)


def test_a_stack_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "k.tif", np.stack([grey()] * 5), photometric="minisblack")
    with pytest.raises(KernelError, match="several pictures"):
        read_kernel(tmp_path / "k.tif")


def test_a_kernel_in_the_transparency_is_refused(tmp_path: Path) -> None:
    white = np.full((9, 7, 4), 255, np.uint8)
    white[..., 3] = grey()
    Image.fromarray(white).save(tmp_path / "k.png")
    with pytest.raises(KernelError, match="transparency"):
        read_kernel(tmp_path / "k.png")


@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_large_pictures_are_refused_before_decoding(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (5000, 5000)).save(tmp_path / f"k.{suffix}")
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("was decoded"))
    with pytest.raises(KernelError, match="5000 x 5000"):
        read_kernel(tmp_path / f"k.{suffix}")


def test_large_kernels_are_refused_after_trimming(tmp_path: Path) -> None:
    values = np.zeros((99, 99))
    values[40:59, 40:59] = 1 / 361
    np.save(tmp_path / "k.npy", values)
    assert read_kernel(tmp_path / "k.npy", max_size=19).kernel.shape[-1] == 19
    with pytest.raises(KernelError, match=r"k\.npy: .* cut to fit it would lose"):
        read_kernel(tmp_path / "k.npy", max_size=17)


# -- arrays -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<f2", ">u2", "u1", "<i4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_types_and_orders(tmp_path: Path, dtype: str, order: str) -> None:
    np.save(tmp_path / "k.npy", np.array(grey(), dtype=dtype, order=order))  # type: ignore[call-overload]
    np.testing.assert_allclose(read_kernel(tmp_path / "k.npy").kernel[0, 0].numpy(), grey() / grey().sum(), atol=1e-7)


def npy_claiming(shape: str, descr: str = "'<f8'", data: bytes = b"\0" * 8) -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head + data


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (npy_claiming("(3000, 3000)"), "do not fit"),
        (npy_claiming("(10**9, 10**9)"), "damaged"),
        (npy_claiming("(1000000000, 1000000000)"), "too many"),
        (npy_claiming("(-1, -8)"), "empty"),
        (npy_claiming("(0, 8)"), "empty"),
        (npy_claiming("()"), "two-dimensional"),
        (npy_claiming("(1, 1)", "'|O'"), "not a kernel"),
        (npy_claiming("(1, 1)", "'<c8'"), "not a kernel"),
        (npy_claiming("(1, 1)", "[('a', '<f8')]"), "not a kernel"),
        (npy_claiming("(1, 1)", "'<U2'"), "not a kernel"),
        (npy_claiming("(1, 1)", "'<M8[s]'"), "not a kernel"),
        (npy_claiming("(8,)", "'|u1'"), "two dimensions"),
        (npy_claiming("(1, 1)"), "zero"),
    ],
)
def test_npy_is_checked_before_it_is_believed(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "k.npy").write_bytes(content)
    with pytest.raises(KernelError, match=says):
        read_kernel(tmp_path / "k.npy")


def test_npz(tmp_path: Path) -> None:
    path = tmp_path / "k.npz"
    np.savez_compressed(path, anything=psf())
    assert read_kernel(path).notes == ()
    np.savez(path, image=np.ones((50, 50)), psf=psf())
    back = read_kernel(path)
    assert back.notes == ("The variable psf was taken, of image, psf.",)
    assert back.kernel.shape == (1, 1, 9, 7)
    np.savez(path, one=psf(), two=psf())
    with pytest.raises(KernelError, match="one, two"):
        read_kernel(path)
    np.savez(path, psf=np.array([None], dtype=object))
    with pytest.raises(KernelError, match="not a kernel"):
        read_kernel(path)


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    bomb = npy_claiming("(20000, 20000)", data=b"")
    with zipfile.ZipFile(tmp_path / "k.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("psf.npy", bomb + bytes(130_000_000))
    assert (tmp_path / "k.npz").stat().st_size < 1_000_000
    with pytest.raises(KernelError, match="too many"):
        read_kernel(tmp_path / "k.npz")
    with zipfile.ZipFile(tmp_path / "l.npz", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("psf.npy", npy_claiming("(1, 1)"))
    with pytest.raises(KernelError, match="not compressed as numpy does"):
        read_kernel(tmp_path / "l.npz")


# -- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "1 2 1\n2 4 2\n1 2 1\n",
        "1,2,1\r\n2,4,2\r\n1,2,1",
        "1, 2, 1,\n2, 4, 2,\n1, 2, 1,\n",
        "1;2;1\n2;4;2\n1;2;1\n",
        "1\t2\t1\n2\t4\t2\n1\t2\t1\n",
        "# a kernel\n\n  1e0 2.0 +1  # first row\n2 4 2\n% MATLAB\n1 2 1\n",
        "\ufeff1 2 1\n2 4 2\n1 2 1",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_tables(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "k.csv").write_bytes(text.removeprefix("\ufeff" if encoding == "utf-16" else "").encode(encoding))
    back = read_kernel(tmp_path / "k.csv")
    expected = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    np.testing.assert_allclose(back.kernel[0, 0].numpy(), expected, atol=1e-7)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 2 3\n1 2 3\n\n1 2\n", "line 4 has 2 numbers, but the first row has 3"),
        ("0,1;0.2;0,1\n", "line 1 seems to have decimal commas.*write 0.5 instead of 0,5"),
        ("0,1 0.2 0,1\n", "is not a number"),
        ("0,001,0,02\n", "decimal commas"),
        ("1,,2\n", "line 1, column 2: nothing stands"),
        ("x,y\n1,2\n", "line 1, column 1: 'x' is not a number.*comments and titles"),
        ("1 1_0\n", "'1_0' is not a number"),
        ("1 nan\n", "NaN or infinite"),
        ("1 1e999\n", "NaN or infinite"),
        ("# nothing\n", "no numbers"),
        ("1 \xff\n", "not a number"),
        ("1 " * 600_000, "longer than"),
        ("1\n" * 20_002, "more than 20000 rows"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "k.txt").write_text(text, encoding="utf-8")
    with pytest.raises(KernelError, match=says):
        read_kernel(tmp_path / "k.txt")


def test_large_tables_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acutance.images.kernel_tables._MAX_TEXT", 10)
    (tmp_path / "k.txt").write_text("1 2 3\n4 5 6\n")
    with pytest.raises(KernelError, match="too large"):
        read_kernel(tmp_path / "k.txt")


# -- MATLAB -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compressed", [False, True])
def test_mat(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "k.mat"
    scipy.io.savemat(path, {"anything": psf()}, do_compression=compressed)
    back = read_kernel(path)
    assert back.notes == ()
    np.testing.assert_allclose(back.kernel[0, 0].numpy(), psf(), atol=1e-7)
    scipy.io.savemat(path, {"f": psf(), "x": np.ones((20, 20)), "n": 3.0, "s": "text"}, do_compression=compressed)
    assert read_kernel(path).notes == ("The variable f was taken, of f, x, n, s.",)
    scipy.io.savemat(path, {"only": psf(), "n": 3.0, "s": {"a": psf()}}, do_compression=compressed)
    assert read_kernel(path).kernel.shape == (1, 1, 9, 7)


@pytest.mark.parametrize(
    ("contents", "says"),
    [
        ({"one": psf(), "two": psf()}, "one, two"),
        ({"f": psf(), "h": psf()}, "f, h"),
        ({"s": "text"}, "cannot be told"),
        ({"k": psf() * 1j}, "real numbers"),
        ({"k": np.ones((5, 5, 5))}, "slice of a volume"),
    ],
)
def test_mat_that_is_refused(tmp_path: Path, contents: dict[str, object], says: str) -> None:
    scipy.io.savemat(tmp_path / "k.mat", contents)
    with pytest.raises(KernelError, match=says):
        read_kernel(tmp_path / "k.mat")


def test_mat_types(tmp_path: Path) -> None:
    for dtype in ("f4", "u1", "i2", "u2", "i4", "u4", "i8", "u8"):
        scipy.io.savemat(tmp_path / "k.mat", {"k": grey().astype(dtype) // 2}, do_compression=True)
        expected = grey() // 2 / (grey() // 2).sum()
        np.testing.assert_allclose(read_kernel(tmp_path / "k.mat").kernel[0, 0].numpy(), expected, atol=1e-7)
    scipy.io.savemat(tmp_path / "k.mat", {"k": grey() > 100})
    assert float(read_kernel(tmp_path / "k.mat").kernel.max()) == pytest.approx(1 / (grey() > 100).sum())


@pytest.mark.parametrize("order", ["<", ">"])
def test_mat_as_matlab_stores_whole_doubles(tmp_path: Path, order: str) -> None:
    """[1 2 1; 0 4 0; 1 2 1] as doubles of which each takes one byte, from either kind of machine."""
    body = struct.pack(f"{order}IIII", 6, 8, 6, 0) + struct.pack(f"{order}IIII", 5, 8, 3, 3)
    body += struct.pack(f"{order}I", 1 << 16 | 1) + b"k\0\0\0"
    body += struct.pack(f"{order}II", 2, 9) + bytes([1, 0, 1, 2, 4, 2, 1, 0, 1]) + bytes(7)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", 0x0100) + {"<": b"IM", ">": b"MI"}[order]
    (tmp_path / "k.mat").write_bytes(head + struct.pack(f"{order}II", 14, len(body)) + body)
    np.testing.assert_array_equal(scipy.io.loadmat(tmp_path / "k.mat")["k"], [[1, 2, 1], [0, 4, 0], [1, 2, 1]])
    back = read_kernel(tmp_path / "k.mat")
    np.testing.assert_allclose(back.kernel[0, 0].numpy(), np.array([[1, 2, 1], [0, 4, 0], [1, 2, 1]]) / 12, atol=1e-7)


def test_mat_that_unpacks_too_large_is_refused(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "k.mat", {"k": np.zeros((4001, 4000), np.uint8)}, do_compression=True)
    with pytest.raises(KernelError, match="4001 x 4000"):
        read_kernel(tmp_path / "k.mat")


def test_mat_7_3_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "k.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(KernelError, match="-v7"):
        read_kernel(tmp_path / "k.mat")


def test_mat_needs_no_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scipy.io.savemat(tmp_path / "k.mat", {"k": psf()})
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    assert read_kernel(tmp_path / "k.mat").kernel.shape == (1, 1, 9, 7)


# -- damage -----------------------------------------------------------------------------------------------------------


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "k.gif").write_bytes(b"GIF89a")
    (tmp_path / "k.npy").write_bytes(b"1 2 3")
    for name, says in (
        ("none.png", "no such file"),
        ("", "not a file"),
        ("empty.png", "empty"),
        ("k.gif", "save it as PNG"),
        ("k.npy", "save it as PNG"),
    ):
        with pytest.raises(KernelError, match=says):
            read_kernel(tmp_path / name)


def _saved(save: Callable[[io.BytesIO], object]) -> bytes:
    stream = io.BytesIO()
    save(stream)
    return stream.getvalue()


SOUND: dict[str, Callable[[], bytes]] = {
    "k.npy": lambda: _saved(lambda s: np.save(s, psf())),
    "k.npz": lambda: _saved(lambda s: np.savez_compressed(s, image=np.ones((9, 9)), psf=psf())),
    "k.txt": lambda: _saved(lambda s: np.savetxt(s, psf())),
    "k.mat": lambda: _saved(lambda s: scipy.io.savemat(s, {"f": psf(), "x": np.ones((9, 9))})),
    "z.mat": lambda: _saved(lambda s: scipy.io.savemat(s, {"f": psf(), "n": {"a": 1}}, do_compression=True)),
    "k.png": lambda: _saved(lambda s: Image.fromarray(grey()).convert("RGB").save(s, "PNG")),
    "k.bmp": lambda: _saved(lambda s: Image.fromarray(grey()).save(s, "BMP")),
    "k.jpg": lambda: _saved(lambda s: Image.fromarray(grey()).save(s, "JPEG")),
    "k.tif": lambda: _saved(lambda s: tifffile.imwrite(s, psf().astype(np.float32), compression="zlib")),
}


def damage(content: bytes, generator: np.random.Generator) -> bytes:
    """A few bytes changed, most of them near the front where the headers are; or cut off; or both."""
    changed = bytearray(content)
    for _ in range(generator.integers(0, 6)):
        reach = len(changed) if generator.random() < 0.5 else min(len(changed), 160)
        changed[generator.integers(reach)] = generator.choice([0, 1, 127, 255, generator.integers(256)])
    if generator.random() < 0.3:
        del changed[generator.integers(len(changed)) :]
    return bytes(changed)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SOUND)
def test_damage_is_a_kernel_error_or_nothing(tmp_path: Path, name: str) -> None:
    sound = SOUND[name]()
    generator = np.random.default_rng(list(name.encode()))
    for _ in range(40):
        (tmp_path / name).write_bytes(damage(sound, generator))
        try:
            back = read_kernel(tmp_path / name)
        except KernelError:
            continue
        assert torch.isfinite(back.kernel).all()
        assert back.kernel.min() >= 0
        np.testing.assert_allclose(back.kernel.double().sum((2, 3)).numpy(), 1, atol=1e-5)
