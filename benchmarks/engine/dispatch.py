"""How late runs begin, from 7 to 70,000 jobs, in memory and with every state on disk."""

from collections.abc import Iterator
from tempfile import TemporaryDirectory

from benchmarks.child import at_once, in_turn, measure
from benchmarks.numbers import Sample, middle, ratio
from benchmarks.table import Bar, Beside, Row

CONTESTANTS = ["engine.ours:lateness", "engine.floor:lateness", "engine.peer:lateness"]
ALMOST_IDLE = 70  # jobs; up to here the contestants are measured in the very same seconds


def dispatch(quick: bool) -> Iterator[Row]:
    """Lateness in memory, beside the floor and APScheduler."""
    for jobs in (70, 7000) if quick else (7, 70, 700, 7000):
        yield from _beside_both(jobs, quick)


def _beside_both(jobs: int, quick: bool) -> Iterator[Row]:
    if jobs <= ALMOST_IDLE:
        samples = at_once(CONTESTANTS, 1 if quick else 3, jobs=jobs, seconds=3 if quick else 8)
    else:
        samples = in_turn(CONTESTANTS, 1 if quick else 3, jobs=jobs, seconds=2 if quick else 3)
    for key in ("p50", "p99"):
        yield _row(f"dispatch {key}, {jobs:,} jobs", key, *samples)


def _row(what: str, key: str, ours: list[Sample], floor: list[Sample], peer: list[Sample]) -> Row:
    over, under = ratio(ours, floor, key), ratio(peer, ours, key)
    bars = (Bar("<= 1.5 x floor", over <= 1.5), Bar("APScheduler >= 3 x ours", under >= 3))
    return Row(
        what,
        middle(ours, key),
        "ms",
        (Beside("floor", middle(floor, key), over), Beside("APScheduler", middle(peer, key), under)),
        bars if key == "p99" else (),
    )


def disk(quick: bool) -> Iterator[Row]:
    """Lateness at 70 jobs when every state is saved, beside one write and rename through a thread."""
    ours, floor = [], []
    for _ in range(1 if quick else 3):  # in turn, so that noise meets both
        for samples, contestant in ((ours, "engine.ours:lateness"), (floor, "engine.floor:lateness")):
            with TemporaryDirectory() as folder:
                samples.append(measure(contestant, jobs=70, seconds=3 if quick else 5, folder=folder))
    for key in ("p50", "p99"):
        mine, over = middle(ours, key), ratio(ours, floor, key)
        bar = Bar("<= 5 ms", mine <= 5) if key == "p99" else Bar("<= 2 x floor", over <= 2)
        beside = Beside("floor, one write and rename through a thread", middle(floor, key), over)
        yield Row(f"dispatch {key}, 70 jobs on disk", mine, "ms", (beside,), (bar,))


def flood(quick: bool) -> Iterator[Row]:
    """70,000 jobs, 20,500 runs a second."""
    jobs, seconds = (14_000, 2) if quick else (70_000, 10)
    ours, floor = in_turn(["engine.ours:lateness", "engine.floor:lateness"], 1, jobs=jobs, seconds=seconds)
    missed = any(sample["missed"] or sample["runs"] < 0.99 * sample["expected"] for sample in ours)
    yield Row(
        f"dispatch p99, {jobs:,} jobs",
        middle(ours, "p99"),
        "ms",
        (Beside("floor", middle(floor, "p99"), ratio(ours, floor, "p99")),),
        (Bar("<= 50 ms", middle(ours, "p99") <= 50), Bar("none missed", not missed)),
        f"{middle(ours, 'runs'):,.0f} runs of {ours[0]['expected']:,.0f}",
    )
