"""The rows of runs on workers: claimed once, ended by that claim, never under an owner that is no more."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from uuid import UUID, uuid4

import pytest

from scheduler.cluster.database import (
    STEPS,
    VERSION,
    Connection,
    Database,
    NotInstalled,
    install,
    require_schema,
)
from scheduler.cluster.fence import Ended, FencedWriter, Order, Started
from scheduler.cluster.leases import Lease, Leases
from scheduler.cluster.remote import rows
from scheduler.process.process_info import BOOT, Running

OK = {"outcome": "ok", "text": "done", "urgent": False, "traceback": "", "code": 0}
ORDER = Order("gpu", "digest", 50, None)


@dataclass
class Desk:
    """An owner of opus, and the workers that a test lets in."""

    database: Database
    connection: Connection
    leases: Leases
    writer: FencedWriter
    lease: Lease

    async def start(self, number: int = 1, task: str = "render") -> int:
        start = Started(task, number, f"slot{number}", 1, "schedule", 1.0, {"run_count": number}, ORDER)
        (row,) = await self.writer.write(self.lease, [start])
        return row

    async def enter(self, seconds: float = 600.0) -> UUID:
        made = uuid4()
        await self.connection.execute(
            "INSERT INTO workers"
            " VALUES (%s, 'g1', '{gpu}', 1, '{}', clock_timestamp() + %s * interval '1 s')",
            (made, seconds),
        )
        return made

    async def claim(self, run: int, worker: UUID) -> rows.Claimed | None:
        return await rows.claim(self.connection, run, worker)

    async def finish(self, run: int, worker: UUID) -> bool:
        return await rows.finish(self.connection, run, worker, OK)

    async def look(self, *runs: int, patience: float = 600.0) -> dict[int, rows.Sight]:
        return await rows.look(self.connection, runs, ["opus"], patience)

    async def ask(self, query: str) -> list[Any]:
        found = await self.connection.execute(query)  # type: ignore[call-overload]
        return [row[0] for row in await found.fetchall()]

    async def jobs(self) -> list[Any]:
        return await self.ask("SELECT status FROM procrastinate_jobs ORDER BY id")

    async def next_owner(self) -> frozenset[str]:
        """Another machine takes opus over; its first look at what runs elsewhere."""
        await self.connection.execute("UPDATE owners SET until = clock_timestamp()")
        other = Leases(self.database, "m2", Running(os.getpid(), 0.0, 0.0, BOOT), 600.0)
        lease = await other.take("opus", "home-1")
        return await rows.take_over(self.connection, "opus", lease.epoch)


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    leases = Leases(database, "m1", Running(os.getpid(), 0.0, 0.0, BOOT), 600.0)
    writer = FencedWriter(database, rows.wait)
    lease = await leases.take("opus", "home-1")
    async with database.connection() as connection:
        yield Desk(database, connection, leases, writer, lease)
    await writer.close()
    await leases.close()
    await database.close()


async def test_a_run_waits_with_its_row_and_a_knock(desk: Desk) -> None:
    run = await desk.start()
    assert await desk.jobs() == ["todo"]
    assert await desk.ask("SELECT lock || ' ' || (args->>'run') FROM procrastinate_jobs") == [
        f"opus/render {run}"
    ]
    assert (await desk.look(run))[run] == rows.Sight(None, None, 1, 1, 0)
    await desk.enter()
    assert (await desk.look(run))[run].workers == 1


async def test_a_start_that_is_committed_again_knocks_once(desk: Desk) -> None:
    assert await desk.start() == await desk.start()
    assert await desk.jobs() == ["todo"]


async def test_one_worker_claims_it_and_that_one_ends_it(desk: Desk) -> None:
    run, one, two = await desk.start(), await desk.enter(), await desk.enter()
    claimed = await desk.claim(run, one)
    assert claimed and claimed.holder == desk.leases.holder and claimed.digest == "digest"
    assert claimed.variables == {"EXPERIENCE_SLOT": "opus/render/slot1", "EXPERIENCE_EPOCH": "1"}
    assert await desk.claim(run, two) is None and await desk.claim(run, one) is None
    assert not await desk.finish(run, two)
    assert await desk.finish(run, one) and await desk.finish(run, one)  # again: the answer was lost
    assert (await desk.look(run))[run].result == OK


async def test_its_row_goes_when_its_outcome_is_on_record(desk: Desk) -> None:
    run, worker = await desk.start(), await desk.enter()
    await desk.claim(run, worker)
    await desk.finish(run, worker)
    assert await desk.writer.write(desk.lease, [Ended("render", 2.0, 1.0, "ok", "done")]) == [1]
    assert await desk.ask("SELECT run FROM remote") == []


async def test_a_worker_that_is_silent_claims_nothing(desk: Desk) -> None:
    run = await desk.start()
    assert await desk.claim(run, await desk.enter(-1.0)) is None
    assert await desk.claim(run, uuid4()) is None


async def test_a_run_of_an_owner_that_is_no_more_is_not_claimed(desk: Desk) -> None:
    run, worker = await desk.start(), await desk.enter()
    await desk.connection.execute("UPDATE owners SET until = clock_timestamp()")
    assert await desk.claim(run, worker) is None
    await desk.connection.execute("UPDATE owners SET until = 'infinity', epoch = epoch + 1")
    assert await desk.claim(run, worker) is None


async def test_a_result_under_an_older_epoch_is_refused(desk: Desk) -> None:
    run, worker = await desk.start(), await desk.enter()
    await desk.claim(run, worker)
    await desk.connection.execute("UPDATE owners SET epoch = epoch + 1")
    assert not await desk.finish(run, worker)
    assert await desk.ask("SELECT run FROM remote") == []


async def test_a_zombie_cannot_end_the_run_that_was_given_to_another(desk: Desk) -> None:
    first, zombie = await desk.start(), await desk.enter()
    await desk.claim(first, zombie)
    await desk.connection.execute("UPDATE workers SET until = clock_timestamp()")
    assert await desk.look(first) == {} and await desk.jobs() == []  # swept, with its knock
    await desk.writer.write(desk.lease, [Ended("render", 2.0, 1.0, "interrupted", "lost")])
    second, worker = await desk.start(2), await desk.enter()
    assert await desk.claim(second, worker)
    assert not await desk.finish(first, zombie) and not await desk.finish(second, zombie)
    assert await desk.finish(second, worker)


async def test_a_task_never_overlaps_itself_on_two_workers(desk: Desk) -> None:
    before, one, two = await desk.start(), await desk.enter(), await desk.enter()
    await desk.claim(before, one)
    await desk.next_owner()
    await desk.connection.execute("UPDATE runs SET outcome = 'interrupted'")
    (run,) = await desk.ask(
        "INSERT INTO runs (citizen, task, number, slot, attempt, epoch, trigger, started)"
        " VALUES ('opus', 'render', 2, '', 1, 2, 'schedule', 1) RETURNING id"
    )
    await desk.connection.execute(
        "INSERT INTO remote (run, citizen, task, epoch, queue, digest, job)"
        f" VALUES ({run}, 'opus', 'render', 2, 'gpu', '', 0)"
    )
    assert await desk.claim(run, two) is None  # the run of the owner before has not ended
    await desk.connection.execute(f"UPDATE workers SET until = clock_timestamp() WHERE id = '{one}'")
    assert await desk.claim(run, two)


async def test_the_next_owner_drops_what_waits_and_ends_what_runs(desk: Desk) -> None:
    worker = await desk.enter()
    waits, runs, ended = [await desk.start(task=name) for name in ("waits", "runs", "ended")]
    await desk.claim(runs, worker)
    await desk.claim(ended, worker)
    await desk.finish(ended, worker)
    assert await desk.next_owner() == {"runs", "ended"}
    assert await desk.ask("SELECT run FROM remote") == [runs]
    assert await rows.asked(desk.connection, worker) == {runs: True}
    assert await desk.claim(waits, worker) is None


async def test_a_run_that_waits_is_dropped_and_one_that_runs_is_asked_to_end(desk: Desk) -> None:
    worker = await desk.enter()
    waits, runs = await desk.start(task="waits"), await desk.start(task="runs")
    await desk.claim(runs, worker)
    assert not await rows.stop(desk.connection, waits) and await rows.stop(desk.connection, runs)
    assert await desk.ask("SELECT run FROM remote") == [runs] and await desk.jobs() == ["todo"]
    assert await rows.asked(desk.connection, worker) == {runs: True}
    assert await desk.claim(waits, worker) is None


async def test_a_knock_that_nobody_followed_is_made_again(desk: Desk) -> None:
    run = await desk.start()
    await desk.connection.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    await desk.look(run)
    assert await desk.jobs() == ["doing"]  # a moment is normal
    await desk.look(run, patience=0.0)
    assert await desk.jobs() == ["todo"]
    await desk.connection.execute("DELETE FROM procrastinate_jobs")
    await desk.look(run, patience=0.0)
    assert await desk.jobs() == ["todo"]
    assert await desk.ask("SELECT job FROM remote") == await desk.ask("SELECT id FROM procrastinate_jobs")


async def test_tables_of_the_version_before_are_completed_and_others_are_refused(url: str) -> None:
    database = Database(url)
    async with database.connection() as connection:
        await connection.execute((files("scheduler.cluster") / STEPS[0]).read_bytes())
        with pytest.raises(NotInstalled, match=f"version 1, this program knows {VERSION}: .*engine setup"):
            await require_schema(connection, database)
        assert await install(database) and not await install(database)
        await require_schema(connection, database)
        await connection.execute("UPDATE version SET number = 99")
        with pytest.raises(NotInstalled, match=r"version 99, .* install the newer program"):
            await install(database)
    await database.close()
