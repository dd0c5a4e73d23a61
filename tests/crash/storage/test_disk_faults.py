"""A disk that fails at any of its calls: nothing is lost, doubled or left behind once it works again."""

import asyncio
import errno
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from scheduler.core.records import RunQuery
from scheduler.core.schedules.schedule import Every
from scheduler.core.task import Call, Command, Retention, Task, WakeTask
from scheduler.engine.options import SchedulerOptions
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import TaskFailed
from scheduler.executors.executor import Executor
from scheduler.storage.history_reader import runs as rows_of
from scheduler.storage.history_writer import HistoryWriter
from scheduler.storage.state_store import DiskStore
from tests.fakes import FakeClock, until

pytestmark = pytest.mark.timeout(120)

CALLS = ("open", "fsync", "replace", "rename", "mkdir")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
PAID = 'echo x >> paid; echo \'{"type":"result","subtype":"success","total_cost_usd":0.5}\''
TASKS = ["tick", "bad", "paid", "wake"]


class FaultyDisk:
    """Fails `count` calls that change something, from the one with number `first`."""

    def __init__(self, first: int, count: int, code: int) -> None:
        self._failing, self._code = range(first, first + count), code
        self._calls, self._lock = 0, threading.Lock()  # several threads write

    @contextmanager
    def used(self) -> Iterator[None]:
        with patch.multiple(os, **{name: self._faulty(name) for name in CALLS}):
            yield

    def _faulty(self, name: str) -> Any:
        real = getattr(os, name)

        def call(*given: Any, **more: Any) -> Any:
            if name != "open" or given[1] & WRITES:
                with self._lock:
                    self._calls += 1
                    fails = self._calls in self._failing
                if fails:
                    raise OSError(self._code, os.strerror(self._code), str(given[0]))
            return real(*given, **more)

        return call


class Opus:
    """A citizen on a fake clock and a real disk; `ran` and `given` are what ran and what its agent read."""

    def __init__(self, home: Path) -> None:
        self.home, self.clock = home, FakeClock()
        self.ran: Counter[str] = Counter()
        self.given: list[tuple[str, str, float]] = []

    async def lives(self, minutes: int, disk: FaultyDisk | None = None) -> None:
        """An owner runs it for so long, the first half of it on this disk."""
        writer, workers = HistoryWriter(), Executor()
        scheduler = Scheduler(
            "opus",
            self.home,
            self._tasks(),
            store=DiskStore(self.home, self.clock),
            clock=self.clock,
            workers=workers,
            rules=SchedulerOptions(wake=WakeTask(schedule=Every(150), work=Call(self._wake))),
            recorder=writer.of(self.home, Retention()),
        )
        await scheduler.start()
        if disk:
            with disk.used():
                await self._passes(scheduler, minutes // 2)
            await self._passes(scheduler, 1)
        await self._passes(scheduler, minutes // 2)
        await scheduler.stop(0)
        await writer.close()
        await workers.close()

    async def _passes(self, scheduler: Scheduler, minutes: int) -> None:
        for _ in range(6 * minutes):
            await self.clock.advance(10)
            await until(lambda: not scheduler.running(), "nothing runs")

    def _tasks(self) -> list[Task]:
        async def tick(context: Any) -> str:
            self.ran["tick"] += 1
            return f"tick {self.ran['tick']}"

        async def bad(context: Any) -> str:
            self.ran["bad"] += 1
            raise TaskFailed(f"bad {self.ran['bad']}")

        paid = Command(("sh", "-c", PAID))
        return [
            Task("tick", Every(60), Call(tick)),
            Task("bad", Every(90), Call(bad)),
            Task("paid", Every(120), paid, report="claude"),
        ]

    async def _wake(self, context: Any) -> str:
        self.ran["wake"] += 1
        self.given += [(each["task"], each["text"], each["time"]) for each in context.options["results"]]
        return "woke"


def lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text().splitlines() if line]


def check(opus: Opus) -> None:
    """Its files say what it did."""
    home, ran = opus.home, opus.ran
    state = json.loads((home / "background_tasks.json").read_text())["run_counts"]
    rows = Counter(row.task for row in rows_of(home, RunQuery(None, 1000), TASKS))
    assert {name: state[name] for name in ("tick", "bad", "wake")} == dict(ran)
    assert rows == state  # runs that the ledger did not admit are failures, too
    assert len(opus.given) == len(set(opus.given)), "no result is given twice"
    ticks = [text for task, text, _ in opus.given if task == "tick"]
    assert ticks == [f"tick {number + 1}" for number in range(len(ticks))], "and none is lost"
    wakes = json.loads((home / "wake_log.json").read_text())["wakes"]
    assert [wake["wake"] for wake in wakes] == list(range(1, ran["wake"] + 1))
    assert json.loads((home / "metadata.json").read_text())["wake_count"] == ran["wake"]
    events = [
        event for day in (home / "memory" / "raw").rglob("*.json") for event in json.loads(day.read_text())
    ]
    began = len((home / "paid").read_text().splitlines())
    kinds = Counter(event["type"] for event in events)
    assert kinds == {"wake_complete": ran["wake"], "task_failed": ran["bad"] + state["paid"] - began}
    ledger = lines(home / ".experience" / "spending.jsonl")
    assert len({entry["run"] for entry in ledger if entry.get("cost")}) == began
    assert not [path for path in home.rglob(".*") if path.suffix in (".partial", ".saving", ".starting")]


@pytest.mark.parametrize(("count", "code"), [(1, errno.EIO), (15, errno.ENOSPC), (40, errno.EROFS)])
async def test_what_ran_is_on_record_once_the_disk_works_again(tmp_path: Path, count: int, code: int) -> None:
    for first in range(1, 80, 13):
        home = tmp_path / str(first) / "opus"
        home.mkdir(parents=True)
        opus = Opus(home)
        await opus.lives(4, FaultyDisk(first, count, code))
        await opus.lives(4)
        await asyncio.to_thread(check, opus)
