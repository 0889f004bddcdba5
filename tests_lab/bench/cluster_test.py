"""`acutance-lab bench cluster` and `scale`: what they count, and what they reckon from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from acutance_lab.bench import cluster, scale
from acutance_lab.bench.scale import Assumed, Constant, Load


def test_results_are_told_apart_by_their_names_and_bytes(tmp_path: Path) -> None:
    cluster.make_pictures(tmp_path / "a", 3, 32)
    cluster.make_pictures(tmp_path / "b", 3, 32)
    files = [sorted((tmp_path / folder).iterdir()) for folder in "ab"]
    assert cluster.digest(files[0]) == cluster.digest(files[1])
    files[1][0].write_bytes(files[1][1].read_bytes())
    assert cluster.digest(files[0]) != cluster.digest(files[1])


def test_the_cost_of_handing_out_is_what_sleeping_does_not_explain() -> None:
    pytest.importorskip("distributed", reason="the extra cluster is not installed")
    one, two = cluster.overheads([1, 2], 0.02, 5)
    assert (one.workers, one.items, two.workers, two.items) == (1, 5, 2, 10)
    for each in (one, two):
        assert each.ideal == pytest.approx(0.1)
        assert each.seconds >= each.ideal
        assert each.each == pytest.approx((each.seconds - 0.1) / each.items)


def test_codecs_are_measured_for_a_megapixel() -> None:
    found = {each.name: each for each in scale.codecs(0.02, rounds=1)}
    assert set(found) == set(scale.CODECS)
    assert all(each.read > 0 and each.write > 0 for each in found.values())
    assert found["JPEG"].size < found["PNG, 8 bits"].size < found["PNG, 16 bits"].size < 6.1


def test_minutes_by_hand() -> None:
    load = Load("x", units=60, samples=1e6, axes=2, traffic=6e6, codec=4.0, macs=1e12, pairs=10)
    found = scale.costs(load, Assumed(gpus=1, cores=2, flops=1e12, bandwidth=64e9, link=8e6, network=2e6))
    assert found == pytest.approx(
        {"storage and network": 3, "decode and encode": 2, "to the GPU and back": 1, "FFTs": 0.01, "networks": 2}
    )
    table = scale.costs_table([load, replace(load, macs=2e12)], Assumed(1, 2, 1e12, 64e9, 8e6, 2e6)).splitlines()
    assert [line.split("|")[-2].strip() for line in table[2:]] == ["storage and network, 3.0 min", "the GPU, 4.0 min"]


def test_a_volume_is_read_with_its_overlap_and_written_without() -> None:
    constants = [Constant("TIFF, 16 bits", 0.3, 0.6, 6.0)]
    load = scale.volume(1.0, 10, constants, side=100, overlap=10)
    assert load.units == pytest.approx(5e11 / 80**3)
    assert load.traffic == 2 * (100**3 + 80**3)
    assert load.codec == pytest.approx(0.1 + 0.2 * 0.512)
    assert load.pairs == 20
