"""Workers: what happens to one order never reaches another."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serve_workers

from acutance.serve.orders import Failed, Full, Order
from acutance.serve.pool import Pool
from acutance.serve.settings import Limits, Settings


def order(what: str) -> Order:
    return Order("restore", Path("nowhere"), what)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    made = Pool(Settings(limits=Limits(queue=2, deadline=20)), serve_workers.make)
    made.start()
    yield made
    made.close(grace=1)


def answer(pool: Pool, what: str, seconds: float = 20) -> dict[str, object]:
    return pool.submit(order(what)).future.result(seconds)


def outcome(pool: Pool, what: str) -> Failed:
    with pytest.raises(Failed) as caught:
        answer(pool, what)
    return caught.value


def test_an_order_is_carried_out_in_another_process(pool: Pool) -> None:
    assert answer(pool, "sleep-0")["pid"] == pool.pids()[0] != os.getpid()


@pytest.mark.parametrize(
    ("what", "kind", "dies"), [("crash", "crash", True), ("raise", "bug", False), ("refuse", "input", False)]
)
def test_a_failure_is_that_of_its_order_alone(pool: Pool, what: str, kind: str, dies: bool) -> None:
    before, restarts = answer(pool, "sleep-0")["pid"], pool.restarts
    assert outcome(pool, what).kind == kind
    after = answer(pool, "sleep-0")["pid"]
    assert (after != before) == dies
    assert pool.restarts - restarts == dies


def test_a_killed_worker_costs_its_order_and_no_other(pool: Pool) -> None:
    running, waiting = pool.submit(order("sleep-10")), pool.submit(order("sleep-0"))
    _until(lambda: pool.running == 1)
    os.kill(pool.pids()[0], signal.SIGKILL)
    with pytest.raises(Failed, match="other pictures are not affected"):
        running.future.result(20)
    assert waiting.future.result(20)["did"] == "sleep-0"


def test_an_idle_worker_that_dies_costs_nothing(pool: Pool) -> None:
    answer(pool, "sleep-0")
    os.kill(pool.pids()[0], signal.SIGKILL)
    assert answer(pool, "sleep-0")["did"] == "sleep-0"


def test_the_queue_is_bounded(pool: Pool) -> None:
    answer(pool, "sleep-0")
    running = pool.submit(order("work-20"))
    _until(lambda: pool.running == 1)
    waiting = [pool.submit(order("sleep-0")) for _ in range(2)]
    with pytest.raises(Full) as caught:
        pool.submit(order("sleep-0"))
    assert 1 <= caught.value.seconds <= 120
    running.cancel()
    with pytest.raises(Failed, match="cancelled"):
        running.future.result(20)
    assert [w.future.result(20)["did"] for w in waiting] == ["sleep-0"] * 2


@pytest.mark.parametrize(("what", "replaced"), [("work-20", False), ("sleep-20", True)])
def test_a_cancelled_order_stops(pool: Pool, what: str, replaced: bool) -> None:
    """By itself where it listens, else with its worker."""
    before, begun = answer(pool, "sleep-0")["pid"], time.monotonic()
    ticket = pool.submit(order(what))
    _until(lambda: pool.running == 1)
    ticket.cancel()
    with pytest.raises(Failed) as caught:
        ticket.future.result(10)
    assert caught.value.kind == "cancelled"
    assert time.monotonic() - begun < 10
    assert (answer(pool, "sleep-0")["pid"] != before) == replaced


def test_progress_is_told(pool: Pool) -> None:
    seen: list[dict[str, object]] = []
    pool.submit(order("work-0.1"), seen.append).future.result(20)
    assert {"phase": "restoring", "step": 1, "steps": 2} in seen


def test_deadline_and_memory_are_limits_and_the_end_is_graceful() -> None:
    """A worker without torch has some 20 MB; one that takes 300 more dies of it, or is told that there is no more."""
    pool = Pool(Settings(limits=Limits(queue=4, deadline=2.5, memory=150_000_000)), serve_workers.make)
    pool.start()
    assert outcome(pool, "eat-300").kind == "memory"
    _until(lambda: pool.ready == 1)
    running, waiting = pool.submit(order("work-20")), pool.submit(order("work-20"))
    for ticket in (running, waiting):
        with pytest.raises(Failed) as caught:
            ticket.future.result(10)
        assert caught.value.kind == "deadline"
    last = pool.submit(order("work-0.3"))
    _until(lambda: pool.running == 1)
    pids = pool.pids()
    pool.close(grace=10)
    assert last.future.result(0)["did"] == "work-0.3"
    with pytest.raises(Failed, match="ending"):
        pool.submit(order("sleep-0"))
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def _until(true: object, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)
