"""JSON lines survive a crash, and say which of them is wrong."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from acutance.errors import DataError, OutputError
from acutance_lab.bench.lines import append_lines, read_lines

RECORD = {"picture": "Baum-Straße", "psnr": 30.25}


def same(values: Any) -> dict[str, Any] | None:
    return values if isinstance(values, dict) and "picture" in values else None


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folders" / "set.jsonl"
    assert read_lines(file, same, what="record") == []
    append_lines(file, [RECORD, {**RECORD, "picture": "b"}])
    append_lines(file, [])
    append_lines(file, [{**RECORD, "picture": "c"}])
    found = read_lines(file, same, what="record")
    assert found == [RECORD, {**RECORD, "picture": "b"}, {**RECORD, "picture": "c"}]
    assert file.read_bytes().count(b"\n") == 3
    assert "Straße" in file.read_text(encoding="utf-8"), "letters stay legible"


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    append_lines(file, [{"picture": math.inf, "curve": (1.0, math.nan, 2)}])
    assert json.loads(file.read_text()) == {"picture": None, "curve": [1.0, None, 2]}


@pytest.mark.parametrize("kept", range(1, len(json.dumps(RECORD, ensure_ascii=False).encode()) - 1))
def test_a_line_cut_off_anywhere_costs_no_other(kept: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Inside a letter of two bytes, too."""
    file = tmp_path / "set.jsonl"
    append_lines(file, [RECORD])
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:kept])
    assert read_lines(file, same, what="record") == [RECORD]
    assert f"{file}, line 2 is cut off and left out" in caplog.text
    append_lines(file, [{**RECORD, "picture": "later"}])
    assert [r["picture"] for r in read_lines(file, same, what="record")] == [RECORD["picture"], "later"]


def test_a_line_that_lacks_only_its_end_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    append_lines(file, [RECORD])
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    append_lines(file, [RECORD])
    assert read_lines(file, same, what="record") == [RECORD, RECORD]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\n", "\r"])
def test_no_letter_ends_a_line(separator: str, tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    record = {"picture": f"a{separator}b"}
    append_lines(file, [record])
    assert read_lines(file, same, what="record") == [record]


def test_ends_of_lines_and_empty_lines_of_other_systems(tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    file.write_bytes(b'\r\n{"picture": "a"}\r\n  \r\n{"picture": "b"}\r\n')
    assert read_lines(file, same, what="record") == [{"picture": "a"}, {"picture": "b"}]


@pytest.mark.parametrize("line", ["{}", "[]", "1", "null", '"picture"'])
def test_a_whole_line_of_something_else_is_refused(line: str, tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    append_lines(file, [RECORD])
    with file.open("a") as stream:
        stream.write(f"\n{line}\n")
    with pytest.raises(DataError, match=r"set\.jsonl, line 3 is no record; move the file away or remove the line"):
        read_lines(file, same, what="record")


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="give another --out"):
        append_lines(tmp_path / "file" / "set.jsonl", [RECORD])
    with pytest.raises(OutputError, match=r"cannot write .*give another --out"):
        append_lines(tmp_path, [RECORD])


def test_what_cannot_be_a_line_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    with pytest.raises(TypeError):
        append_lines(file, [RECORD, {"picture": file}])
    with pytest.raises(UnicodeEncodeError):
        append_lines(file, [{"picture": "\udcff"}])
    assert not file.exists()
