"""Many runs at once, durable runs, and many tasks to take up."""

from collections.abc import Iterator
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.child import at_once, in_turn, measure
from benchmarks.numbers import Sample, middle, ratio
from benchmarks.table import Bar, Beside, Row


def burst(quick: bool) -> Iterator[Row]:
    """10,000 jobs due at one instant, until the last one began."""
    jobs = 10_000
    ours, floor, peer = in_turn(
        ["engine.ours:burst", "engine.floor:burst", "engine.peer:burst"], 1 if quick else 3, jobs=jobs
    )
    for key, what in (("seconds", "time"), ("cpu", "CPU time")):
        faster = ratio(peer, ours, key)
        yield Row(
            f"burst of {jobs:,}, {what}",
            middle(ours, key) * 1e3,
            "ms",
            (
                Beside("floor", middle(floor, key) * 1e3, ratio(ours, floor, key)),
                Beside("APScheduler", middle(peer, key) * 1e3, faster),
            ),
            (Bar("APScheduler >= 2 x ours", faster >= 2),) if key == "seconds" else (),
        )


def durable(quick: bool) -> Iterator[Row]:
    """Runs a second with the state on disk after each force."""
    repeats, seconds = (1, 1.0) if quick else (3, 3.0)
    ours, peer, many, peer_many = [], [], [], []
    for _ in range(repeats):
        ours.append(_in_folder("engine.ours:durable", seconds=seconds))
        peer.append(_in_folder("engine.peer:durable", seconds=seconds))
        many.append(_in_folder("engine.ours:durable_at_once", seconds=seconds))
        peer_many.append(_in_folder("engine.peer:durable_at_once", jobs=100 if quick else 400))
    yield _durable("durable runs, one after the other", ours, peer)
    yield _durable("durable runs, as many at once as there are", many, peer_many)


def _durable(what: str, ours: list[Sample], peer: list[Sample]) -> Row:
    faster = ratio(ours, peer, "per_second")
    beside = Beside("APScheduler on SQLite", middle(peer, "per_second"), faster)
    return Row(what, middle(ours, "per_second"), "/s", (beside,), (Bar(">= APScheduler", faster >= 1),))


def _in_folder(contestant: str, **arguments: Any) -> Sample:
    with TemporaryDirectory() as folder:
        return measure(contestant, folder=folder, **arguments)


def registration(quick: bool) -> Iterator[Row]:
    """70,000 tasks taken up: time and memory."""
    jobs = 7_000 if quick else 70_000
    ours, peer = in_turn(["engine.ours:registration", "engine.peer:registration"], 1, jobs=jobs)
    for key, unit in (("seconds", "s"), ("bytes", "B per task")):
        beside = Beside("APScheduler", middle(peer, key), ratio(peer, ours, key))
        yield Row(f"register {jobs:,} tasks", middle(ours, key), unit, (beside,))


def idle(quick: bool) -> Iterator[Row]:
    """CPU time with 70 jobs that are due in two hours."""
    ours, floor = at_once(
        ["engine.ours:idle", "engine.floor:empty_loop"], 1, jobs=70, seconds=3 if quick else 10
    )
    mine = middle(ours, "cpu")
    beside = Beside("empty loop", middle(floor, "cpu"))
    yield Row("idle CPU, 70 far jobs", mine, "% of a core", (beside,), (Bar("<= 0.1 %", mine <= 0.1),))
