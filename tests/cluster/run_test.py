"""A run over workers that are threads of this process: chunks, stopping, and what is told when nothing can be run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_work import Broken, Square

pytest.importorskip("distributed", reason="the extra cluster is not installed")

from acutance.cluster import connect, run
from acutance.cluster.run import Cluster
from acutance.errors import ClusterError, MissingExtra, WeightsError


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with connect.local(2, processes=False) as found:
        yield found


def test_every_item_has_one_answer_and_each_worker_loads_once(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CHUNK", 5)
    answers: list[tuple[int, object]] = []
    asked = 0

    def items() -> Iterator[int]:
        nonlocal asked
        for number in range(40):
            asked += 1
            assert asked - len(answers) <= run.IN_FLIGHT * run.CHUNK, "no more than a few chunks are in flight"
            yield number

    loads = tmp_path / "loads"
    assert cluster.workers == 2
    left = cluster.run(Square(loads=str(loads)), items(), lambda *pair: answers.append(pair))
    assert left == []
    assert sorted(answers) == [(n, n * n) for n in range(40)]
    assert sorted(loads.read_text().split()) == ["0", "1"]


def test_a_run_that_is_stopped_finishes_what_is_at_work(cluster: Cluster) -> None:
    answers: list[int] = []
    left = cluster.run(Square(0.05), range(50), lambda item, _: answers.append(item), lambda: len(answers) >= 4)
    assert sorted([*left, *answers]) == list(range(50))
    assert 4 <= len(answers) <= 8


def test_what_cannot_be_loaded_ends_the_run_with_its_reason(cluster: Cluster) -> None:
    with pytest.raises(WeightsError, match="no such weights here"):
        cluster.run(Broken(), range(3), lambda *_: None)


def test_nobody_answers() -> None:
    with pytest.raises(ClusterError, match="dask scheduler"), connect.at("tcp://127.0.0.1:9", patience=1):
        pass


def test_a_scheduler_without_workers() -> None:
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=0, processes=False, protocol="tcp", dashboard_address=None) as machine,
        pytest.raises(ClusterError, match="has no worker"),
        connect.at(machine.scheduler_address, patience=1),
    ):
        pass


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"acutance\[cluster\]"), connect.local(2):
        pass
