"""JSON lines survive a crash, and say which of them is wrong."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from acutance.errors import DataError, OutputError
from acutance_lab.records import append_lines, append_records, read_records


@dataclass(frozen=True)
class Record:
    """A line."""

    picture: str
    psnr: float = 0.0
    curve: tuple[float, ...] | None = None


RECORD = Record("Baum-Straße", 30.25)


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folders" / "set.jsonl"
    assert read_records(file, Record, what="record") == []
    append_records(file, [RECORD, Record("b", 30.25)])
    append_records(file, [])
    append_records(file, [Record("c", 30.25)])
    found = read_records(file, Record, what="record")
    assert found == [RECORD, Record("b", 30.25), Record("c", 30.25)]
    assert file.read_bytes().count(b"\n") == 3
    assert "Straße" in file.read_text(encoding="utf-8"), "letters stay legible"


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    append_lines(file, [{"picture": math.inf, "curve": (1.0, math.nan, 2)}])
    assert json.loads(file.read_text()) == {"picture": None, "curve": [1.0, None, 2]}


def test_null_is_not_a_number_where_a_number_is_wanted(tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    append_records(file, [Record("a", math.nan, (1.0, math.inf)), Record("b")])
    first, second = read_records(file, Record, what="record")
    assert first.curve is not None
    assert math.isnan(first.psnr)
    assert math.isnan(first.curve[1])
    assert second == Record("b")


@pytest.mark.parametrize("kept", range(1, len(json.dumps(asdict(RECORD), ensure_ascii=False).encode()) - 1))
def test_a_line_cut_off_anywhere_costs_no_other(kept: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Inside a letter of two bytes, too."""
    file = tmp_path / "set.jsonl"
    append_records(file, [RECORD])
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:kept])
    assert read_records(file, Record, what="record") == [RECORD]
    assert f"{file}, line 2 is cut off and left out" in caplog.text
    append_records(file, [Record("later")])
    assert [r.picture for r in read_records(file, Record, what="record")] == [RECORD.picture, "later"]


def test_a_line_that_lacks_only_its_end_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    append_records(file, [RECORD])
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    append_records(file, [RECORD])
    assert read_records(file, Record, what="record") == [RECORD, RECORD]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\n", "\r"])
def test_no_letter_ends_a_line(separator: str, tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    record = Record(f"a{separator}b")
    append_records(file, [record])
    assert read_records(file, Record, what="record") == [record]


def test_ends_of_lines_and_empty_lines_of_other_systems(tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    file.write_bytes(b'\r\n{"picture": "a"}\r\n  \r\n{"picture": "b"}\r\n')
    assert read_records(file, Record, what="record") == [Record("a"), Record("b")]


@pytest.mark.parametrize(
    "line", ["{}", "[]", "1", "null", '"picture"', '{"picture": 1}', '{"picture": "a", "ssim": 1}']
)
def test_a_whole_line_of_something_else_is_refused(line: str, tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    append_records(file, [RECORD])
    with file.open("a") as stream:
        stream.write(f"\n{line}\n")
    with pytest.raises(DataError, match=r"set\.jsonl, line 3 is no record .*; move the file away or remove the line"):
        read_records(file, Record, what="record")


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="give another --out"):
        append_records(tmp_path / "file" / "set.jsonl", [RECORD])
    with pytest.raises(OutputError, match=r"cannot write .*give another --out"):
        append_records(tmp_path, [RECORD])


def test_what_cannot_be_a_line_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    with pytest.raises(TypeError):
        append_lines(file, [asdict(RECORD), {"picture": file}])
    with pytest.raises(UnicodeEncodeError):
        append_lines(file, [{"picture": "\udcff"}])
    assert not file.exists()
