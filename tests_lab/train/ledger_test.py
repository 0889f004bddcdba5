"""The queue, the ledger, and the tables made from them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from acutance.errors import ConfigError, DataError
from acutance_lab.train import ledger
from acutance_lab.train.config import TrainConfig
from acutance_lab.train.ledger import Entry, append, next_run, promise, put_into, read_ledger, read_queue, slope
from acutance_lab.train.loop import Budget, train
from acutance_lab.train.trunk import Trunk


def trunk(minutes: float, curve: list[tuple[float, float]]) -> Trunk:
    scores: tuple[dict[str, Any], ...] = tuple({"minutes": m, "psnr": [p - 1, p], "steps": [1, 2]} for m, p in curve)
    return Trunk("rgdn", {}, {"a": torch.zeros(1)}, minutes=minutes, pictures=1000, curve=scores)


def book(folder: Path, *entries: Entry) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / ledger.QUEUE).write_text("".join(json.dumps(asdict(e)) + "\n" for e in entries))
    (folder / ledger.LEDGER).write_text("")
    return folder


A, B = Entry("a", 60, 0.2, init="acute", why="because"), Entry("b", 30, 0.5)


def test_a_slope_is_decibels_for_a_doubling() -> None:
    curve = trunk(80, [(10, 27.0), (20, 27.3), (40, 27.6), (80, 27.9)]).curve
    assert slope(curve) is None, "two points of the second half say little"
    rising = trunk(160, [(5, 20.0), (10, 27.0), (20, 27.3), (40, 27.6), (80, 27.9), (160, 28.2)]).curve
    assert slope(rising) == pytest.approx(0.3)


def test_what_promises_most_is_next(tmp_path: Path) -> None:
    folder = book(tmp_path / "training", A, B)
    assert next_run(folder, tmp_path).name == "b"
    book(folder, A, replace(B, open=False))
    assert next_run(folder, tmp_path) == A
    book(folder, replace(A, worth=3.0), B)
    assert next_run(folder, tmp_path).name == "a"
    trunk(3000, []).save(tmp_path / "a.safetensors")
    assert next_run(folder, tmp_path).name == "b", "an old trunk gains little in an hour"


def test_a_promise_falls_with_the_minutes_and_follows_the_curve() -> None:
    promises = [promise(A, t) for t in (None, trunk(60, []), trunk(600, []))]
    assert promises == sorted(promises, reverse=True)
    flat = trunk(60, [(m, 28.0) for m in (10, 20, 30, 40, 50, 60)])
    falling = trunk(60, [(m, 28.0 - m / 100) for m in (10, 20, 30, 40, 50, 60)])
    assert promise(A, falling) == 0
    assert promise(A, flat) == promise(A, trunk(60, []))


def test_nothing_open(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is open"):
        next_run(book(tmp_path, replace(A, open=False)), tmp_path)
    with pytest.raises(ConfigError, match=r"cannot read .*queue\.jsonl"):
        read_queue(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "line", ['{"name": "a"', '{"name": "a"}', '{"name": "a", "minutes": 1, "doubling": 1, "x": 1}']
)
def test_a_line_that_is_no_entry_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / ledger.QUEUE).write_text(f"{json.dumps(asdict(A))}\n{line}\n")
    with pytest.raises(ConfigError, match=r"queue\.jsonl, line 2"):
        read_queue(tmp_path)


def test_a_run_becomes_a_row_and_a_page(config: TrainConfig, photographs: Path, tmp_path: Path) -> None:
    run = train(config, photographs, tmp_path / "run", Budget(iterations=3), accelerator="cpu")
    row = ledger.row("tiny", config, run, note="a note")
    assert (row.updates, row.pictures, row.steps, row.note) == (3, 6, (1, 2), "a note")
    assert row.minutes == row.total
    assert row.speed > 0
    assert not append(tmp_path / "nowhere", row)
    folder = book(tmp_path / "training", A, B)
    assert append(folder, row)
    assert read_ledger(folder) == [row]
    trunk(60, [(m, 27.0 + m / 100) for m in range(1, 40)]).save(folder / "trunks" / "a.safetensors")
    places = "".join(f"<!-- training {name} -->\nold\n<!-- /training -->\n" for name in ("queue", "trunks", "ledger"))
    page = put_into(f"# Title\n{places}end\n", folder, folder / "trunks")
    assert page.startswith("# Title\n<!-- training queue -->\n| network |")
    assert page.endswith("<!-- /training -->\nend\n")
    assert "old" not in page
    assert page.index("| b |") < page.index("| a |"), "most promising first"
    assert "1: 27.01" in page
    assert "39: 27.39" in page
    assert "| tiny | rgdn: features=6; seed 1 |" in page
    assert put_into(page, folder, folder / "trunks") == page


def test_a_page_without_places_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no lines"):
        put_into("nothing\n", book(tmp_path, A), tmp_path)


def test_weights_to_start_from_are_shipped_ones_a_file_or_a_run(
    config: TrainConfig, photographs: Path, tmp_path: Path
) -> None:
    train(
        config,
        photographs,
        tmp_path / "run",
        Budget(iterations=1),
        accelerator="cpu",
        trunk_file=tmp_path / "t.safetensors",
    )
    of_run, of_file = (ledger.start_weights(tmp_path / name) for name in ("run", "t.safetensors"))
    assert set(of_run) == set(of_file)
    assert "networks.0.gains.weight" in ledger.start_weights(Path("acute"))
