"""`acutance restore` of folders and globs: every file is accounted for, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest
import torch
from cli_restore import refused, run, runner
from PIL import Image as PillowImage

from acutance.cli.app import app
from acutance.cli.journal import NAME
from acutance.images import read_image, write_image
from acutance.images.kernel_file import write_kernel
from acutance.images.mark import Mark, file_hash, read_mark
from acutance.psf.shapes import gaussian

WIENER = ("--gaussian", "1.2", "--exact", "--method", "wiener")


def names(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name != NAME}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a folder `in` of two pictures and one that is a folder deeper."""
    monkeypatch.chdir(tmp_path)
    generator = torch.Generator().manual_seed(5)
    x = torch.nn.functional.interpolate(torch.rand(1, 3, 8, 9, generator=generator), size=(40, 44), mode="bilinear")
    Path("in/sub").mkdir(parents=True)
    for name, factor in (("a.png", 1.0), ("b.jpg", 0.8), ("sub/c.tif", 0.6)):
        write_image(Path("in") / name, x * factor)
    return tmp_path


def test_every_file_of_a_folder_is_accounted_for() -> None:
    with PillowImage.open("in/a.png") as picture:
        picture.quantize(16).save("in/a.gif")
        picture.convert("RGB").save("in/no-suffix", format="JPEG")
        picture.save("in/d.dib", format="BMP")
        picture.save("in/f-restored.png")
        picture.save("in/a-restored.png")
    write_kernel(Path("in/kernel.png"), gaussian(1.2))
    Path("in/desktop.ini").write_text("[x]")
    Path("in/broken.png").write_bytes(Path("in/a.png").read_bytes()[:200])
    Path("in/photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    Path("in/.hidden").touch()
    Path("in/loose.png").symlink_to("nowhere")
    if hasattr(os, "mkfifo"):
        os.mkfifo("in/pipe.png")
    said = run("in", "-o", "out", "--kernel", "in/kernel.png", "--method", "wiener", status=1).output
    expected = {"a.png", "a.gif.png", "b.jpg", "no-suffix.jpg", "d.dib", "f-restored.png"}
    assert names(Path("out")) == expected
    last = said[said.index("6 restored") :]
    for path in Path("in").iterdir():
        stems = {Path(name).name.split(".")[0] for name in expected}
        assert path.name in last or path.stem in stems, path
    reasons = (
        "not a picture: in/desktop.ini", "the kernel: in/kernel.png", "leads nowhere: in/loose.png", "HEIC",
        "looks into it): in/sub", "the result of a.", "failed: in/broken.png: it is cut short",
    )  # fmt: skip
    for reason in reasons:
        assert reason in last


def test_folders_below_are_made_again_below_the_results() -> None:
    assert "--recursive" in run("in", "-o", "out", *WIENER).output
    assert names(Path("out")) == {"a.png", "b.jpg"}
    said = run("in", "-o", "out", "--recursive", *WIENER).output
    assert names(Path("out")) == {"a.png", "b.jpg", "sub/c.tif"}
    assert "1 restored, 2 done already" in said
    said = run("in", "-o", "in/results", "--recursive", *WIENER).output
    assert names(Path("in/results")) == {"a.png", "b.jpg", "sub/c.tif"}
    assert "3 done already" in run("in", "-o", "in/results", "--recursive", *WIENER).output
    assert "--recursive" in refused("in/a.png", "--recursive", *WIENER)


@pytest.mark.parametrize(
    ("pattern", "results"),
    [
        ("in/**/*.*", {"a.png", "b.jpg", "sub/c.tif"}),
        ("in/**/*.tif", {"sub/c.tif"}),
        ("**/c.tif", {"in/sub/c.tif", "[2020] in/sub/c.tif"}),
        ("in/[ab].*", {"a.png", "b.jpg"}),
        ("[2020] in/*.png", {"a.png"}),
        ("*[2020]*/s[u]b/*", {"[2020] in/sub/c.tif"}),
        ("in/*", {"a.png", "b.jpg", "c.tif"}),
    ],
)
def test_globs(pattern: str, results: set[str]) -> None:
    shutil.copytree("in", "[2020] in")
    run(pattern, "-o", "out", *WIENER)
    assert {name if pattern != "in/*" else Path(name).name for name in names(Path("out"))} == results
    assert "nothing matches" in refused("in/**/*.bmp", *WIENER)


def test_a_picture_is_never_replaced_unasked() -> None:
    before = Path("in/a.png").read_bytes()
    os.link("in/a.png", "hard.png")
    Path("soft.png").symlink_to("in/a.png")
    for wrong in (("in", "-o", "in"), ("in/a.png", "-o", "in/a.png"), ("in/a.png", "-o", "in"),
                  ("in/a.png", "-o", "hard.png"), ("in/a.png", "-o", "soft.png"),
                  ("in/b.jpg", "in/sub/c.tif", "-o", "in/sub")):  # fmt: skip
        assert "another" in refused(*wrong, *WIENER, "--overwrite")
    assert Path("in/a.png").read_bytes() == before
    assert "--in-place together" in refused("in", "-o", "out", "--in-place", *WIENER)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp"])
def test_in_place_works_once(suffix: str) -> None:
    file = Path(f"x{suffix}")
    write_image(file, read_image("in/a.png"))
    before = file.read_bytes()
    run(file, "--in-place", *WIENER)
    once = file.read_bytes()
    assert once != before
    assert "done already" in run(file, "--in-place", *WIENER).output
    said = run(file, "--in-place", "--disc", 2, "--exact", "--method", "wiener", status=1).output
    assert "--again" in said
    assert "deblurred already (by wiener" in said
    assert file.read_bytes() == once
    run(file, "--in-place", *WIENER, "--again")
    assert file.read_bytes() != once


def test_restoring_twice_is_refused_but_another_task_is_not() -> None:
    run("in/a.png", *WIENER)
    assert "--again" in run("in/a-restored.png", *WIENER, status=1).output
    said = run("in", *WIENER).output
    assert "1 restored, 1 done already, 2 skipped" in said
    assert "by its name the result of a.png: in/a-restored.png" in said
    shutil.copy("in/a-restored.png", "in/moved.png")
    assert "deblurred already (by wiener" in run("in", *WIENER).output
    assert not Path("in/a-restored-restored.png").exists()
    run("in/a-restored.png", "--task", "denoise", "-o", "clean.png")
    mark = read_mark(Path("clean.png"))
    assert mark is not None
    assert mark.tasks == ("deblur", "denoise")
    assert "--again" in run("clean.png", *WIENER, status=1).output
    run("clean.png", *WIENER, "--again", "-o", "twice.png")


def test_a_result_without_its_line_is_recognised() -> None:
    run("in", "-o", "out", *WIENER)
    made = {p: p.stat().st_mtime_ns for p in Path("out").glob("*.*g")}
    Path("out", NAME).unlink()
    assert "2 done already" in run("in", "-o", "out", *WIENER).output
    assert {p: p.stat().st_mtime_ns for p in Path("out").glob("*.*g")} == made
    assert len(Path("out", NAME).read_text().splitlines()) == 2, "the journal is healed"
    write_image("in/a.png", 1 - read_image("in/a.png").pixels, overwrite=True)
    said = run("in", "-o", "out", *WIENER, status=1).output  # another picture by this name
    assert "out/a.png exists" in said
    assert "1 done already, 1 skipped, 1 failed" in said


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: lines[0] + "\n" + lines[1][:30],  # torn
        lambda lines: lines[0][:50],
        lambda lines: "[" * 100_000 + "\n" + "\n".join(lines) + "\n",
        lambda lines: '{"key": 7}\n{}\n[]\n"x"\n' + lines[0] + "\n",
        lambda lines: "\udcff\udcfe\n" + lines[1] + "\n",
    ],
)
def test_a_damaged_journal_costs_nothing(damage: object) -> None:
    run("in", "-o", "out", *WIENER)
    journal = Path("out", NAME)
    journal.write_text(damage(journal.read_text().splitlines()), errors="surrogateescape")  # type: ignore[operator]
    write_image("in/z.png", read_image("in/a.png").pixels * 0.5)
    said = run("in", "-o", "out", *WIENER).output
    assert "1 restored, 2 done already" in said
    for file in Path("out").glob("*.*g"):  # by the journal alone
        file.write_bytes(b"no mark")
    assert "3 done already" in run("in", "-o", "out", *WIENER).output


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes")
@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_what_stands_in_the_place_of_the_journal(kind: str) -> None:
    Path("out").mkdir()
    journal, precious = Path("out", NAME), Path("precious")
    precious.write_text("precious")
    if kind == "fifo":
        os.mkfifo(journal)
    elif kind == "link":
        journal.symlink_to(precious.absolute())
    else:
        journal.mkdir()
    said = run("in", "-o", "out", *WIENER).output
    assert said.count("no journal is kept") == 1
    assert "2 restored" in said
    assert precious.read_text() == "precious"
    assert "2 done already" in run("in", "-o", "out", *WIENER).output


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes")
def test_pipes_are_not_waited_for() -> None:
    for name in ("pipe.png", "pipe", "pipe.cs", "out.png"):
        os.mkfifo(name)
    for source in ("pipe.png", "pipe"):
        assert "not an ordinary file" in run(source, *WIENER, status=1).output
    assert "not an ordinary file" in run("pipe.cs", status=1).output
    assert "out.png" in run("in/a.png", "-o", "out.png", *WIENER, status=1).output
    assert "pipe.cs: it is not" in refused("in/a.png", "--method", "acute", "--disc", 2, "--weights", "pipe.cs")


def test_a_folder_that_ends_with_a_slash_is_made() -> None:
    run("in/a.png", "-o", "new/er/", *WIENER)
    assert names(Path("new")) == {"er/a.png"}
    assert "there is no such file" in run("in/none.png", "-o", "new/", *WIENER, status=1).output


def test_in_place_skips_what_cannot_be_written() -> None:
    with PillowImage.open("in/a.png") as picture:
        picture.quantize(16).save("in/g.gif")
    said = run("in", "--in-place", *WIENER).output
    assert "2 restored, 2 skipped" in said
    assert ".gif is not written: in/g.gif" in said
    assert not Path("in", NAME).exists()
    assert "2 done already" in run("in", "--in-place", *WIENER).output
    assert "GIF is only read" in refused("in/g.gif", "--in-place", *WIENER)


def test_old_parts_are_removed() -> None:
    Path("out").mkdir()
    part = Path("out/.acutance-0123456789abcdef.part")
    part.write_bytes(b"half")
    os.utime(part, (0, 0))
    run("in", "-o", "out", *WIENER)
    assert not part.exists()


def test_one_failure_of_any_kind_does_not_stop_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: Path, **options: object) -> object:
        if path.name == "a.png":
            raise errors.pop()
        return read_image(path, **options)  # type: ignore[arg-type]

    errors: list[Exception] = [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        OSError(28, "No space left on device"),
        ZeroDivisionError("a mistake of ours"),
    ]
    monkeypatch.setattr("acutance.cli.batch.read_image", failing)
    for count, words in ((3, "please report it"), (2, "No space left"), (1, "not enough memory"), (0, "not enough")):
        said = run("in", "-o", f"out{count}", *WIENER, status=1).output
        assert words in said
        assert "1 restored, 1 skipped, 1 failed" in said
        assert names(Path(f"out{count}")) == {"b.jpg"}


def test_long_names_are_cut_and_told_apart() -> None:
    for last in "xy":
        write_image(f"in/{'n' * 249}{last}.png", read_image("in/a.png"))
    run("in", *WIENER)
    results = [path.name for path in Path("in").iterdir() if "~" in path.name]
    assert len(results) == 2
    assert all(len(name) <= 255 for name in results)
    assert "File name too long" in refused("in/a.png", "-o", f"{'n' * 300}.png", *WIENER)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("in/a.png", "in/b.jpg", "-o", "x.png"), "x.png is the name of one file"),
        (("in", "-o", "x.png"), "x.png is the name of one file"),
        (("in", "-o", "in/a.png"), "is a file"),
        (("in/a.png", "-o", "x"), "x.png"),
        (("in/a.png", "-o", "x.xyz"), "unknown suffix"),
        (("in/a.png", "-o", "x.gif"), "GIF is only read"),
        (("in/a.png", "-o", "x.jpg", "--bits", "16"), "JPEG has no 16 bits"),
        (("in", "--bits", "16", "-o", "out"), "JPEG has no 16 bits"),
        (("in/a.png", "-o", "none/x.png"), "there is no folder none"),
        (("in/a.png", "-o", ""), "-o is empty"),
        (("in/a.png", "-o", "in/b.jpg/x/"), "in/b.jpg is a file"),
        (("in/a.png", "-o", "x.png", "--compare", "c.xyz"), "unknown suffix"),
        (("in/a.png", "-o", "x.png", "--compare", "none/c.png"), "there is no folder none"),
        (("in/a.png", "-o", "x.png", "--compare", "in/a.png", "--overwrite"), "would replace the picture"),
        (("in/a.png", "-o", "x.png", "--compare", "x.png"), "would replace the result"),
        (("in/a.png", "-o", "x.png", "--compare", "in/b.jpg"), "exists"),
        (("in/a.png", "-o", "x.png", "--explain", "in/b.jpg"), "is a file"),
        (("in/a.png", "-o", "x.png", "--explain", "ex"), "no inner pictures"),
        (("in", "-o", "out", "--compare", "c.png"), "one picture"),
        (("in/a.png", "--in-place", "--preview", "0,0,8,8"), "a piece of it"),
        (("in/a.png", "-o", "x.png", "--flip-kernel"), "--flip-kernel is for"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, tuple) else None,
)
def test_what_cannot_be_is_told_before_a_picture_is_read(
    arguments: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a picture was read")

    monkeypatch.setattr("acutance.cli.batch.read_image", never)
    before = names(Path())
    assert words in refused(*arguments, *WIENER)
    assert names(Path()) == before
    assert not Path("ex").exists()


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.webp", "x.tif", "x.bmp"])
def test_a_kernel_that_cannot_fit_is_told_by_the_header(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(name, read_image("in/a.png"))
    monkeypatch.setattr("acutance.cli.batch.read_image", None)
    said = run(name, "--disc", 30, "--exact", "--method", "wiener", status=1).output
    assert "a kernel of 61 x 61 pixels for a picture of 44 x 40" in said


def test_measurements_take_no_options_of_pictures() -> None:
    Path("y.cs").write_bytes(b"")
    options = (
        ("--kernel", "none.npy"), ("--mask", "none.png"), ("--preview", "0,0,5,5"), ("--linear",),
        ("--strength", "0.5"), ("--sigma", "1%"), ("--method", "acute"), ("--compare", "c.png"),
    )  # fmt: skip
    for option in options:
        assert f"no use for {option[0]}" in refused("y.cs", *option)


@pytest.mark.parametrize("command", [("kernel", "in/a.png"), ("sense", "in/a.png"), ("restore", "in/a.png", *WIENER)])
def test_no_command_writes_through_a_link(command: tuple[str, ...]) -> None:
    target = {"kernel": "in/a-kernel.npy", "sense": "in/a.cs", "restore": "in/a-restored.png"}[command[0]]
    Path(target).symlink_to(Path("precious").absolute())
    result = runner.invoke(app, [*command, "--overwrite"])
    assert "is a link" in str(result.exception)
    assert not Path("precious").exists()


def test_json_accounts_for_everything() -> None:
    Path("in/notes.txt").write_text("x")
    Path("in/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    write_image("in/shot:100:[red].png", read_image("in/a.png"))
    output = run("in", "-o", "out", *WIENER, "--json", status=1).stdout
    records = [json.loads(line) for line in output.splitlines()]
    by_name = {Path(record["picture"]).name: record for record in records}
    assert {name: r["status"] for name, r in by_name.items()} == {
        "a.png": "restored", "b.jpg": "restored", "broken.png": "failed", "notes.txt": "skipped", "sub": "skipped",
        "shot:100:[red].png": "restored",
    }  # fmt: skip
    record = by_name["a.png"]
    assert record["method"] == "wiener"
    assert record["noise_assumed"]
    assert 0 <= record["noise_level"] < 0.1
    assert record["confidence"] is None


def test_a_folder_that_cannot_be_opened_is_a_failure() -> None:
    if os.geteuid() == 0:
        pytest.skip("root opens everything")
    Path("in/sub").chmod(stat.S_IWUSR)
    assert "in/sub: cannot be opened" in run("in", "--recursive", "-o", "out", *WIENER, status=1).output


def test_the_mark_names_the_source() -> None:
    run("in/a.png", "-o", "x.png", *WIENER)
    mark = read_mark(Path("x.png"))
    assert mark is not None
    assert mark == Mark(mark.version, ("deblur",), "wiener", file_hash(Path("in/a.png")), mark.settings)
    assert "x.png: done already" in run("in/a.png", "-o", "x.png", *WIENER).output
    assert "exists" in run("in/a.png", "-o", "x.png", *WIENER, "--sigma", "2%", status=1).output
