"""`acutance-lab train`, its trunks and branches, and the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acutance.errors import ConfigError
from acutance_lab.cli import training
from acutance_lab.train.trunk import read_trunk

CONFIG = """
method = "rgdn"
[model]
features = 6
[optimiser]
learning_rate = 1e-4
schedule = "{schedule}"
[[phases]]
until = 1.0
batch = 2
crop = 12
steps = 1
windows = 1
spans = [5]
[pool]
batches = 2
life = [2, 3]
[validation]
crops = 1
crop = 16
steps = [1]
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with a configuration, a queue and no trunk yet."""
    monkeypatch.chdir(tmp_path)
    for folder in ("configs", "training"):
        Path(folder).mkdir()
    Path("configs/tiny.toml").write_text(CONFIG.format(schedule="constant"))
    Path("configs/ending.toml").write_text(CONFIG.format(schedule="cosine"))
    Path("training/queue.jsonl").write_text(json.dumps({"name": "tiny", "minutes": 1, "doubling": 0.5}) + "\n")
    return tmp_path


def train(name: str, data: Path, **options: object) -> None:
    training.train(name, data, iterations=2, accelerator="cpu", **options)  # type: ignore[arg-type]


def test_a_trunk_grows_from_checkout_to_checkout_and_has_branches(place: Path, photographs: Path) -> None:
    file = place / "training" / "trunks" / "tiny.safetensors"
    with pytest.raises(ConfigError, match=r"there is no trunk .*tiny\.safetensors; train it"):
        train("tiny", photographs, branch=True)
    train("next", photographs)
    assert read_trunk(file).episode == 2
    train("tiny", photographs, folder=place / "elsewhere")
    trunk = read_trunk(file)
    assert trunk.episode == 4
    train("tiny", photographs, branch=True, note="cooled")
    assert read_trunk(file).episode == 4, "a branch leaves the trunk alone"
    rows = [json.loads(line) for line in (place / "training" / "ledger.jsonl").read_text().splitlines()]
    assert [(row["name"], row["updates"], row["note"]) for row in rows] == [
        ("tiny", 2, ""), ("tiny", 2, ""), ("tiny-branch", 2, "cooled"),
    ]  # fmt: skip
    assert rows[2]["total"] >= rows[2]["minutes"]


def test_what_ends_has_no_branches(place: Path, photographs: Path) -> None:
    with pytest.raises(ConfigError, match="ending is no trunk"):
        train("ending", photographs, branch=True)
    train("ending", photographs)
    assert not (place / "training" / "trunks").exists()


def test_the_page_is_filled(place: Path, photographs: Path) -> None:
    train("tiny", photographs)
    page = place / "page.md"
    page.write_text("<!-- training ledger -->\n<!-- /training -->\n")
    training.page(page)
    assert "| tiny | rgdn: features=6; seed 1 |" in page.read_text()
