"""A scheduler whose states are in the database: another continues where it was, and only one of them runs."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from scheduler.cluster.database import Database
from scheduler.cluster.fence import FencedWriter
from scheduler.cluster.history import ClusterHistory
from scheduler.cluster.leases import Lease, Leases
from scheduler.cluster.store import ClusterStore, read_committed
from scheduler.core.records import RunQuery
from scheduler.core.schedules.schedule import Every
from scheduler.core.task import Call, Context, Outcome, Retention, Task
from scheduler.engine.options import SchedulerOptions
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import NotConfirmed, TaskFailed
from scheduler.executors.executor import Executor
from scheduler.process.process_info import BOOT, Running
from tests.fakes import FakeClock, until


class Machine:
    """One process on one machine, with a home of its own for the citizen."""

    def __init__(self, database: Database, home: Path, clock: FakeClock) -> None:
        self.database, self.home, self.clock = database, home, clock
        home.mkdir(exist_ok=True)
        self.leases = Leases(database, home.name, Running(os.getpid(), 0.0, 0.0, BOOT), 600.0)
        self.writer = FencedWriter(database)
        self.workers = Executor()
        self.ran: list[str] = []
        self.lease: Lease
        self.scheduler: Scheduler

    async def own(self, *, fails: bool = False, hold: asyncio.Event | None = None) -> Scheduler:
        self.lease = await self.leases.take("opus", "home-1")
        committed = await read_committed(self.database, "opus")
        store = ClusterStore(self.home, self.clock, self.lease, self.writer, self, committed)
        history = ClusterHistory(self.database, "opus", store, Retention(), self.home.name)

        async def work(context: Context) -> str:
            self.ran.append(context.task)
            if hold:
                await hold.wait()
            if fails:
                raise TaskFailed("boom\0")
            return "done"

        self.scheduler = Scheduler(
            "opus",
            self.home,
            [Task("tick", Every(300), Call(work), retries=1 if fails else 0, retry_delay=10.0)],
            store=store,
            clock=self.clock,
            workers=self.workers,
            rules=SchedulerOptions(),
            recorder=history,
        )
        await self.scheduler.start()
        await self.clock.advance()
        return self.scheduler

    async def guarded(self) -> None: ...

    def carried(self, process: Running) -> None: ...

    def begins_inside(self) -> None: ...

    async def close(self) -> None:
        self.scheduler.stop_now()
        await self.scheduler.stop(0)
        await self.leases.close()
        await self.writer.close()
        await self.workers.close()


@pytest.fixture
async def machines(database: Database, tmp_path: Path, clock: FakeClock) -> AsyncIterator[list[Machine]]:
    made = [Machine(database, tmp_path / name, clock) for name in ("m1", "m2")]
    yield made
    for each in made:
        if hasattr(each, "scheduler"):
            await each.close()
    await database.close()


async def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    def ask() -> list[tuple[Any, ...]]:
        with psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute(query)  # type: ignore[call-overload]
            return found.fetchall() if found.description else []

    return await asyncio.to_thread(ask)


async def until_ran(machine: Machine, times: int) -> None:
    await until(
        lambda: len(machine.ran) == times and not machine.scheduler.snapshot().tasks[0].running_since,
        "it ran",
    )


async def test_another_machine_continues_where_the_first_was(machines: list[Machine], url: str) -> None:
    one, two = machines
    await one.own()
    await until_ran(one, 1)
    await one.scheduler.stop(0)
    await one.leases.release(one.lease)
    scheduler = await two.own()
    task = scheduler.snapshot().tasks[0]
    assert (task.run_count, task.last_run, two.ran) == (1, one.clock.now(), [])
    await two.clock.advance(300)
    await until_ran(two, 1)
    assert [run.machine for run in await scheduler.history()] == ["m2", "m1"]
    assert await rows(url, "SELECT number, epoch, outcome, text FROM experience.runs ORDER BY id") == [
        (1, 1, "ok", "done"),
        (2, 2, "ok", "done"),
    ]


async def test_runs_are_numbered_anew_on_a_server_that_may_lack_the_last_ones(
    machines: list[Machine], url: str
) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE experience.owners SET epoch = epoch + 1000000")
        await machines[0].own()
        await until(lambda: machines[0].ran, "it ran")
        assert connection.execute("SELECT number FROM experience.runs").fetchall() == [(1_000_001,)]


async def test_who_lost_the_lease_begins_nothing(machines: list[Machine], url: str) -> None:
    one, two = machines
    await one.own()
    await until_ran(one, 1)
    await until(lambda: not one.scheduler.snapshot().unsaved, "it is saved")
    await one.scheduler.history()  # what it wrote is there
    await rows(url, "UPDATE experience.owners SET until = clock_timestamp()")
    with pytest.raises(NotConfirmed, match=r"tick: reset; not saved: .*the next owner does not know of it"):
        await one.scheduler.reset("tick")
    await two.own()
    await one.clock.advance(300)  # for both: they share it
    await until_ran(two, 1)
    await one.scheduler.history()
    assert one.ran == ["tick"]
    assert one.scheduler.snapshot().tasks[0].outcome is Outcome.INTERRUPTED
    assert await rows(url, "SELECT number, epoch FROM experience.runs ORDER BY id") == [(1, 1), (2, 2)]


async def test_a_run_that_its_owner_left_open_is_closed_as_interrupted_and_the_task_goes_on(
    machines: list[Machine], url: str
) -> None:
    """Also where its process is the next owner, too: it lost touch for longer than its lease."""
    one, two = machines
    hold = asyncio.Event()
    await one.own(hold=hold)
    await until_began(one)
    await rows(url, "UPDATE experience.owners SET until = clock_timestamp()")
    scheduler = await two.own()
    assert (await scheduler.history())[-1].outcome is Outcome.INTERRUPTED
    await two.clock.advance(300)
    await until_ran(two, 1)
    hold.set()
    await one.scheduler.history()
    assert (await rows(url, "SELECT outcome FROM experience.runs ORDER BY id"))[0] == ("interrupted",)


async def until_began(machine: Machine) -> None:
    await until(lambda: machine.ran, "it began")


async def test_history_and_output_are_read_with_the_owner_dead(machines: list[Machine]) -> None:
    one, two = machines
    await one.own(fails=True)
    await until_ran(one, 1)
    await one.clock.advance(60)
    await until_ran(one, 2)
    await one.scheduler.stop(0)
    await one.leases.release(one.lease)
    scheduler = await two.own()
    runs = await scheduler.history()
    assert [(run.attempt, run.outcome, run.text) for run in runs] == [
        (2, Outcome.FAILED, "boom\ufffd"),
        (1, Outcome.FAILED, "boom\ufffd"),
    ]
    assert await two.database.rows("SELECT DISTINCT slot FROM experience.runs") == [("1",)]
    assert await scheduler._recorder.runs(RunQuery("tick", failed=True, before=runs[0].id), ()) == runs[1:]
    assert "boom" in await scheduler.output(runs[0].id) or not runs[0].printed


async def test_a_start_that_is_taken_back_while_the_database_is_slow_leaves_no_open_row(
    machines: list[Machine], url: str
) -> None:
    """Wherever it was then: on its way to the database, or still waiting for the write before."""
    (one, _), open_runs = machines, "SELECT count(*) FROM experience.runs WHERE outcome IS NULL"
    await one.own()
    await until_ran(one, 1)
    await one.scheduler.history()
    for waits, begun in ((False, 2), (True, 3)):
        async with one.database.connection() as blocker, blocker.transaction():
            await blocker.execute("LOCK TABLE experience.runs IN EXCLUSIVE MODE")
            if waits:
                store = one.scheduler._registry.store
                store.withdrawn("other")
                await until(lambda store=store: not store._ends, "a write is under way")
            await one.clock.advance(300)
            await until(lambda: one.scheduler.snapshot().tasks[0].running_since, "it waits for its record")
            await asyncio.sleep(0.05)
            await (one.scheduler.stop_run("tick") if waits else one.scheduler.freeze())
        await until(lambda: not one.scheduler.snapshot().tasks[0].running_since, "it is taken back")
        await one.scheduler.history()
        assert await rows(url, open_runs) == [(0,)] and len(one.ran) == begun - 1
        if waits:
            await one.clock.advance(300)
        else:
            await one.scheduler.thaw()
            await one.clock.advance()
        await until_ran(one, begun)


async def test_the_end_of_a_run_is_written_before_the_start_of_the_next(
    machines: list[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it printed is gathered on a thread, and the next run may be due at once."""
    one, hold, pack = machines[0], asyncio.Event(), ClusterHistory._pack

    async def slow(history: ClusterHistory, run: Any) -> None:
        await asyncio.sleep(0.1)
        await pack(history, run)

    monkeypatch.setattr(ClusterHistory, "_pack", slow)
    await one.own(hold=hold)
    await until_began(one)
    await one.scheduler.force("tick", again=True)
    hold.set()
    await until_ran(one, 2)
    assert [run.outcome for run in await one.scheduler.history()] == ["ok", "ok"]
