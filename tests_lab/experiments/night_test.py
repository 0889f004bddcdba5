"""The night experiment: what it makes, and that it runs."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from acutance_lab.experiments.night import POWER, Settings, lamps_of, report, run
from acutance_lab.experiments.output import write_report


def test_lamps_are_beyond_white_and_few(generator: torch.Generator) -> None:
    lamps = lamps_of(torch.zeros(1, 3, 200, 200), 10, generator)
    assert float((lamps > 1).any(1).float().mean()) < 0.01
    assert POWER[0] < float(lamps.max()) <= POWER[1]
    red, green, blue = lamps[0].flatten(1).unbind()
    assert bool((red >= green).all() and (green >= blue).all())


def test_it_restores_and_reports(photographs: Path, tmp_path: Path) -> None:
    settings = Settings(scenes=2, side=80, lamps=12, methods=("fd",))
    found = run(photographs, settings)
    assert [n.span for n in found] == [15, 21]
    assert any(n.share > 0 for n in found)
    again = run(photographs, settings)
    assert again == found
    assert sum(n.restored["fd"] - n.blurred for n in found) > 0
    made = report(found, settings)
    assert made.text.splitlines()[4].startswith("| mean |")
    (file,) = write_report(tmp_path, made)
    written = json.loads(file.read_text())
    assert written["scenes"][0]["restored_lit"]["fd"] == found[0].restored_lit["fd"]
