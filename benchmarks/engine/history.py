"""What history costs: lateness while every run is recorded, and how long a look at a million runs takes."""

import asyncio
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.child import measure
from benchmarks.engine.load import Planned, Record, staggered
from benchmarks.engine.ours import TASKS as CITIZEN
from benchmarks.engine.ours import Place, Watched
from benchmarks.numbers import Sample, middle, percentile, ratio
from benchmarks.table import Bar, Beside, Row
from scheduler.core.records import FinishedRun, RunQuery
from scheduler.core.task import Outcome, Retention, Task, Trigger
from scheduler.engine.scheduler import Scheduler
from scheduler.storage.history_file import HistoryFile
from scheduler.storage.history_reader import output, runs
from scheduler.storage.history_writer import HistoryWriter
from scheduler.storage.state_store import Store

RUNS = 1_000_000
TASKS = 100
FASTER = 100  # times the usual load on the same 70 jobs: 2,050 runs a second of ten citizens
SHOWN = 50
ADDED = 0.3  # milliseconds that recording may add: one thread shares the interpreter with the loop


def history(quick: bool) -> Iterator[Row]:
    """Lateness with recording beside the same without; then the last runs of a large history."""
    loads = [
        ("70 jobs on disk", {"jobs": 70, "on_disk": True}),
        ("2,050 runs a second of 10 citizens", {"jobs": 70, "faster": FASTER}),
        ("2,050 runs a second of 1,000 citizens", {"jobs": 7000}),
    ]
    for what, load in loads:
        yield from _recording(what, load, 1 if quick else 3, 3 if quick else 6)
    yield from _looks(100_000 if quick else RUNS)


def _recording(what: str, load: dict[str, Any], repeats: int, seconds: float) -> Iterator[Row]:
    with_it, without = [], []
    for _ in range(repeats):  # in turn, so that noise meets both
        for samples, record in ((without, False), (with_it, True)):
            with TemporaryDirectory() as folder:
                arguments = {**load, "seconds": seconds, "folder": folder, "record": record}
                samples.append(measure("engine.history:lateness", **arguments))
    for key in ("p50", "p99"):
        beside = Beside("not recorded", middle(without, key), ratio(with_it, without, key))
        lost = sum(sample["lost"] for sample in with_it)
        more = middle(with_it, key) - middle(without, key)
        bars = () if load.get("on_disk") else (Bar(f"adds <= {ADDED} ms", more <= ADDED),)
        bars += (Bar("none left out", not lost),) if key == "p99" else ()
        note = f"{middle(with_it, 'recorded'):,.0f} runs recorded" if key == "p99" else ""
        yield Row(f"recorded {key}, {what}", middle(with_it, key), "ms", (beside,), bars, note)


def _looks(count: int) -> Iterator[Row]:
    with TemporaryDirectory() as folder:
        sample = measure("engine.history:looks", folder=folder, count=count)
    for key, what in (("last", f"last {SHOWN} of one task"), ("failed", f"last {SHOWN} failures of all")):
        bars = (Bar("<= 20 ms", sample[key] <= 20),)
        yield Row(f"history of {count:,}: {what}", sample[key], "ms", bars=bars)
    yield Row(f"history of {count:,}: size", sample["megabytes"], "MB")


# ------------------------------------------------------------------ in a process of their own


@dataclass(slots=True)
class Recorded(Place):
    """Where the citizens live, and one writer for them."""

    homes: Path = Path()
    writer: HistoryWriter | None = None
    recorders: list[Any] = field(default_factory=list)

    async def citizen(self, number: int, tasks: Iterable[Task], store: Store) -> Scheduler:
        home = self.homes / f"c{number}"
        home.mkdir(exist_ok=True)
        recorder = self.writer.of(home, Retention()) if self.writer else None
        self.recorders.append(recorder)
        scheduler = Scheduler(
            home.name, home, tasks, store=store, clock=self.clock, workers=self.workers, recorder=recorder
        )
        await scheduler.start()
        return scheduler


async def lateness(
    jobs: int, seconds: float, folder: str, record: bool, on_disk: bool = False, faster: float = 1
) -> Sample:
    """How late runs begin, and how many of them were recorded and lost."""
    plan = [Planned(each.every / faster, each.phase) for each in staggered(jobs)]
    homes, observed = Path(folder), Record()
    place = Recorded(homes if on_disk else None, homes=homes)
    if record:
        place.writer = HistoryWriter()
        citizens = [homes / f"c{number}" for number in range(0 if on_disk else -(-jobs // CITIZEN))]
        await asyncio.to_thread(_lay, citizens)
    await Watched(plan, observed).take_in(place)
    sample = await observed.window(seconds, plan)
    if place.writer:
        await place.writer.close()
    everything = await asyncio.to_thread(_count, homes)
    lost = sum(recorder.lost for recorder in place.recorders if recorder)
    return {**sample, "recorded": everything, "lost": lost}


def _lay(homes: Iterable[Path]) -> None:
    """Databases, empty: a home makes its own once in its life."""
    for home in homes:
        home.mkdir()
        file = HistoryFile(home)
        file.add([], Retention())
        file.close()


def _count(homes: Path) -> int:
    return sum(_rows(path) for path in homes.glob("*/runs.db"))


def _rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT count(*) FROM runs").fetchone()[0])


async def looks(folder: str, count: int) -> Sample:
    """Milliseconds, the slowest of 20, each with a database opened for it."""
    home = Path(folder)
    _fill(HistoryFile(home), count)
    last = RunQuery(f"task{TASKS // 2}", SHOWN)
    return {
        "last": _slowest(lambda: runs(home, last, ())),
        "failed": _slowest(lambda: runs(home, RunQuery(None, SHOWN, failed=True), ())),
        "output": _slowest(lambda: output(home, count // 2)),
        "megabytes": (home / "runs.db").stat().st_size / 1e6,
    }


def _fill(file: HistoryFile, count: int) -> None:
    keep, at = Retention(count), time.time() - count
    for first in range(0, count, 10_000):
        file.add([_ended(number, at + number) for number in range(first, min(first + 10_000, count))], keep)
    file.close()


def _ended(number: int, at: float) -> FinishedRun:
    outcome = Outcome.FAILED if number % 1000 == 0 else Outcome.OK
    task = f"task{number % TASKS}"
    return FinishedRun(task, Trigger.SCHEDULE, 1, at, at + 1, 1.0, outcome, "12 new items from 4 feeds")


def _slowest(look: Any) -> float:
    took = []
    for _ in range(20):
        start = time.perf_counter()
        look()
        took.append((time.perf_counter() - start) * 1e3)
    return percentile(took, 100)
