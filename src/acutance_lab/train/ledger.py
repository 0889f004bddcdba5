"""The queue of training to come and the ledger of training that was: JSON lines, and the tables made from them.

`training/queue.jsonl` names networks, what they are trained with and what that promises; `training/ledger.jsonl` has a
row for every run, also for those that led nowhere.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from acutance.errors import ConfigError, DataError, WeightsError
from acutance.weights import find_weights
from acutance_lab.train import checkpoint
from acutance_lab.train.config import TrainConfig
from acutance_lab.train.loop import Run
from acutance_lab.train.trunk import FOLDER as TRUNKS
from acutance_lab.train.trunk import Trunk, config_hash, read_trunk

FOLDER = Path("training")
QUEUE, LEDGER = "queue.jsonl", "ledger.jsonl"

LOOK_AHEAD = 60.0
"""Minutes of a core for which the queue compares what each network would gain."""

YOUNG = 30.0
"""Minutes that a new trunk counts as having, so that its promise is finite."""

T = TypeVar("T", bound="Entry | Row")


@dataclass(frozen=True)
class Entry:
    """A network that waits to be trained further.

    Args:
        name: of its trunk and its configuration, configs/NAME.toml. minutes: of one stretch, wall-clock.
        doubling: dB that a doubling of the minutes is expected to gain, until its curve says more. worth: factor by
            which its decibels count. init: weights that a new trunk starts from; "": random. why: for people.
        open: whether it may be taken.
    """

    name: str
    minutes: float
    doubling: float
    worth: float = 1.0
    init: str = ""
    why: str = ""
    open: bool = True


@dataclass(frozen=True)
class Row:
    """A run that was.

    Args:
        minutes: of cores, of this run alone. total: with its trunk's. updates: of this run. pictures: with its trunk's.
        speed: pictures a core second. blurred, psnr: validation, dB, after `steps`; levels: by noise level.
        note: what became of it.
    """

    date: str
    name: str
    method: str
    model: str
    seed: int
    config: str
    data: str
    device: str
    minutes: float
    total: float
    updates: int
    pictures: int
    speed: float
    blurred: float | None = None
    steps: tuple[int, ...] = ()
    psnr: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    note: str = ""


def read_queue(folder: Path = FOLDER) -> list[Entry]:
    """The queue, in the order of its file.

    Raises:
        ConfigError: there is none, or a line is no entry.
    """
    return _read(folder / QUEUE, Entry)


def read_ledger(folder: Path = FOLDER) -> list[Row]:
    """All rows, oldest first.

    Raises:
        ConfigError: there is none, or a line is no row.
    """
    return _read(folder / LEDGER, Row)


def next_run(folder: Path = FOLDER, trunks: Path = TRUNKS) -> Entry:
    """The open entry that promises most for the next hour of a core.

    Raises:
        ConfigError: no queue, or nothing open.
    """
    waiting = [entry for entry in read_queue(folder) if entry.open]
    if not waiting:
        raise ConfigError(f"nothing in {folder / QUEUE} is open; name a configuration instead")
    return max(waiting, key=lambda entry: promise(entry, _trunk(trunks, entry.name)))


def promise(entry: Entry, trunk: Trunk | None) -> float:
    """Decibels that the next `LOOK_AHEAD` minutes should gain times `worth`: d log2(1 + LOOK_AHEAD / minutes)."""
    minutes = YOUNG if trunk is None else max(YOUNG, trunk.minutes)
    doubling = entry.doubling if trunk is None else slope(trunk.curve) or entry.doubling
    return entry.worth * max(0.0, doubling) * math.log2(1 + LOOK_AHEAD / minutes)


def slope(curve: Sequence[Mapping[str, Any]]) -> float | None:
    """Decibels for a doubling of the minutes, by least squares over the second half of a curve; None: too short."""
    points = [(math.log2(s["minutes"]), max(s["psnr"])) for s in curve if s["minutes"] > 0]
    points = points[len(points) // 2 :]
    if len(points) < 3:
        return None
    x, y = (sum(values) / len(points) for values in zip(*points, strict=True))
    square = sum((a - x) ** 2 for a, _ in points)
    return sum((a - x) * (b - y) for a, b in points) / square if square > 0 else None


def start_weights(path: Path) -> dict[str, Tensor]:
    """The weights of a run's folder or checkpoint (its moving average), of a weights file, or shipped ones by name."""
    if path.is_dir():
        path = path / checkpoint.NAME
    if path.name == checkpoint.NAME:
        tensors, _ = checkpoint.load(path)
        return checkpoint.part(tensors, "ema.")
    return find_weights(path).tensors


def row(name: str, config: TrainConfig, run: Run, *, note: str = "") -> Row:
    """The ledger's row for a run."""
    score = run.scores[-1] if run.scores else None
    clock = run.clock
    return Row(
        date=time.strftime("%Y-%m-%d"), name=name, method=config.method,
        model=", ".join(f"{k}={v}" for k, v in config.model.items()) or "defaults", seed=config.seed,
        config=config_hash(config), data=run.data, device=run.device, minutes=round(run.core_minutes, 1),
        total=round(clock.core / 60, 1), updates=clock.iteration, pictures=clock.pictures,
        speed=round(run.pictures_per_core_second, 2), blurred=None if score is None else score.blurred,
        steps=() if score is None else score.steps, psnr=() if score is None else score.psnr,
        levels=() if score is None else score.levels, note=note,
    )  # fmt: skip


def append(folder: Path, row: Row) -> bool:
    """Add a row to the ledger if the folder exists; returns whether it was added."""
    if not folder.is_dir():
        return False
    with (folder / LEDGER).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
    return True


def put_into(page: str, folder: Path = FOLDER, trunks: Path = TRUNKS) -> str:
    """A page with the tables of queue, trunks and ledger between ``<!-- training NAME -->`` and ``<!-- /training -->``.

    Raises:
        DataError: the page has no such lines.
    """
    tables = {
        "queue": queue_table(folder, trunks),
        "trunks": trunk_table(folder, trunks),
        "ledger": ledger_table(folder),
    }

    def fill(place: re.Match[str]) -> str:
        return f"<!-- training {place[1]} -->\n{tables[place[1]]}\n<!-- /training -->"

    names = "|".join(tables)
    pattern = rf"<!-- training ({names}) -->.*?<!-- /training -->"
    filled, count = re.subn(pattern, fill, page, flags=re.DOTALL)
    if count == 0:
        raise DataError(
            "the page has no lines <!-- training queue --> and <!-- /training --> for tables to stand between"
        )
    return filled


def queue_table(folder: Path = FOLDER, trunks: Path = TRUNKS) -> str:
    """Markdown: what waits, most promising first."""
    waiting = [(promise(e, _trunk(trunks, e.name)), e) for e in read_queue(folder) if e.open]
    waiting.sort(key=lambda pair: -pair[0])
    lines = [(e.name, f"{value:.2f}", f"{e.minutes:g}", e.init or "-", e.why) for value, e in waiting]
    return _table(
        ("network", "promise, dB in an hour", "minutes of a stretch", "a new trunk starts from", "why"), lines
    )


def trunk_table(folder: Path = FOLDER, trunks: Path = TRUNKS) -> str:
    """Markdown: where each trunk of the queue stands, with its validation curve."""
    lines = []
    for entry in read_queue(folder):
        trunk = _trunk(trunks, entry.name)
        if trunk is not None:
            curve = ", ".join(f"{s['minutes']:.0f}: {max(s['psnr']):.2f}" for s in _thinned(trunk.curve))
            lines.append((entry.name, f"{trunk.minutes:.0f}", f"{trunk.pictures:,}", curve))
    return _table(("trunk", "core minutes", "pictures", "curve, minutes: dB"), lines)


def ledger_table(folder: Path = FOLDER) -> str:
    """Markdown: every run, oldest first."""

    def cells(r: Row) -> tuple[str, ...]:
        scores = ", ".join(f"{p:.2f} ({s})" for s, p in zip(r.steps, r.psnr, strict=True)) or "-"
        blurred = "-" if r.blurred is None else f"{r.blurred:.2f}"
        return (r.date, r.name, f"{r.method}: {r.model}; seed {r.seed}", f"{r.minutes:g}", r.device, str(r.updates),
                f"{r.speed:g}", blurred, scores, r.note)  # fmt: skip

    head = ("date", "run", "settings", "minutes", "device", "updates", "pictures/s", "blurred", "validation", "note")
    return _table(head, [cells(r) for r in read_ledger(folder)])


def _thinned(curve: Sequence[dict[str, Any]], most: int = 12) -> Sequence[dict[str, Any]]:
    """At most so many points, the first and the last among them."""
    if len(curve) <= most:
        return curve
    return [curve[round(i * (len(curve) - 1) / (most - 1))] for i in range(most)]


def _trunk(trunks: Path, name: str) -> Trunk | None:
    try:
        return read_trunk(trunks / f"{name}.safetensors")
    except WeightsError:
        return None


def _read(file: Path, kind: type[T]) -> list[T]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}; run this in the project's folder") from None
    known = {f.name for f in fields(kind)}
    found = []
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            unknown = set(values) - known
            lists = {k: tuple(v) for k, v in values.items() if isinstance(v, list)}
            found.append(kind(**{**values, **lists}))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{file}, line {number}: {error}") from None
        if unknown:
            raise ConfigError(f"{file}, line {number}: unknown key {min(unknown)!r}")
    return found


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
