"""Nothing is written for a citizen but by its owner, and no run begins twice."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from scheduler.cluster.database import Database
from scheduler.cluster.fence import Ended, FencedWriter, Saved, Started, Withdrawn
from scheduler.cluster.leases import Lease, Leases
from scheduler.process.process_info import BOOT, Running
from scheduler.system.clock import elapsed
from tests.cluster.postgres import Postgres

LONG = 600.0


@pytest.fixture
async def leases(database: Database) -> AsyncIterator[Leases]:
    made = Leases(database, "m1", Running(os.getpid(), 0.0, 0.0, BOOT), LONG)
    yield made
    await made.close()


@pytest.fixture
async def writer(database: Database) -> AsyncIterator[FencedWriter]:
    made = FencedWriter(database)
    yield made
    await made.close()


@pytest.fixture
async def opus(leases: Leases) -> Lease:
    return await leases.take("opus", "home-1")


def started(slot: str = "100.0", number: int = 1, task: str = "report", **state: Any) -> Started:
    return Started(task, number, slot, 1, "schedule", 100.0, state or {"run_count": 1})


def ended(task: str = "report", text: str = "done") -> Ended:
    return Ended(task, 101.0, 1.0, "ok", text, "printed", "")


async def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    def ask() -> list[tuple[Any, ...]]:
        with psycopg.connect(url) as connection:
            return connection.execute(query).fetchall()  # type: ignore[call-overload, no-any-return]

    return await asyncio.to_thread(ask)


async def expire(url: str) -> None:
    await asyncio.to_thread(expire_now, url)


def expire_now(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE experience.owners SET until = clock_timestamp()")


async def test_a_start_is_committed_with_the_state_of_its_task(
    writer: FencedWriter, opus: Lease, url: str
) -> None:
    assert all(await writer.write(opus, [started(last_run=100.0)]))
    assert await rows(url, "SELECT task, number, slot, epoch, outcome FROM experience.runs") == [
        ("report", 1, "100.0", 1, None)
    ]
    assert await rows(url, "SELECT task, state, epoch FROM experience.states") == [
        ("report", {"last_run": 100.0}, 1)
    ]


async def test_an_old_owner_writes_nothing(
    writer: FencedWriter, opus: Lease, leases: Leases, url: str
) -> None:
    await writer.write(opus, [started()])
    await expire(url)
    other = await leases.take("opus", "home-1")
    assert not any(await writer.write(opus, [ended(text="late"), Saved("report", {"run_count": 99})]))
    assert not any(await writer.write(opus, [started("200.0", task="other")]))
    assert all(await writer.write(other, [Saved("mine", {})]))
    assert await rows(url, "SELECT outcome FROM experience.runs") == [(None,)]
    assert await rows(url, "SELECT task, state FROM experience.states ORDER BY task") == [
        ("mine", {}),
        ("report", {"run_count": 1}),
    ]


async def test_a_lease_that_has_ended_writes_nothing_even_if_it_was_not_taken(
    writer: FencedWriter, opus: Lease, url: str
) -> None:
    await expire(url)
    assert not any(await writer.write(opus, [started()]))
    assert await rows(url, "SELECT * FROM experience.runs") == []


async def test_a_run_begins_once(writer: FencedWriter, opus: Lease, url: str) -> None:
    assert all(await writer.write(opus, [started()]))
    assert all(await writer.write(opus, [ended()]))
    assert not any(await writer.write(opus, [started(run_count=7)]))
    assert await rows(url, "SELECT state FROM experience.states") == [({"run_count": 1},)]
    assert all(await writer.write(opus, [started(number=2)]))


async def test_a_task_never_overlaps_itself(writer: FencedWriter, opus: Lease) -> None:
    assert all(await writer.write(opus, [started("100.0")]))
    assert not any(await writer.write(opus, [started("200.0", 2)]))
    assert all(await writer.write(opus, [ended()]))
    assert all(await writer.write(opus, [started("200.0", 2)]))


async def test_a_run_that_did_not_begin_holds_up_no_other(
    writer: FencedWriter, opus: Lease, url: str
) -> None:
    assert all(await writer.write(opus, [started()]))
    assert not any(await writer.write(opus, [started("200.0", 2)]))
    assert all(await writer.write(opus, [Withdrawn("report")]))
    assert all(await writer.write(opus, [started("200.0", 2)]))
    assert await rows(url, "SELECT number, outcome FROM experience.runs") == [(2, None)]
    assert all(await writer.write(opus, [ended(), Withdrawn("other")]))
    assert all(await writer.write(opus, [Withdrawn("report")]))
    assert await rows(url, "SELECT number, outcome FROM experience.runs") == [(2, "ok")]


async def test_an_end_whose_answer_was_lost_does_not_end_the_run_that_began_with_it(
    writer: FencedWriter, opus: Lease, url: str
) -> None:
    """It was recorded as ok, by the end of the one before, and its program never began."""
    assert all(await writer.write(opus, [started()]))
    for end in (replace(ended(), number=1), Withdrawn("report", 1)):
        changes = [end, started("200.0", 2)]
        assert await writer.write(opus, changes) == await writer.write(opus, changes)
    assert await rows(url, "SELECT number, outcome FROM experience.runs ORDER BY number") == [
        (1, "ok"),
        (2, None),
    ]


async def test_a_start_whose_answer_was_lost_is_the_same_start(writer: FencedWriter, opus: Lease) -> None:
    assert all(await writer.write(opus, [started()]))
    assert all(
        await writer.write(opus, [started()])
    )  # open, of this epoch: only this process can have made it


async def test_an_end_and_the_next_start_of_a_task_fit_into_one_write(
    writer: FencedWriter, opus: Lease, url: str
) -> None:
    await writer.write(opus, [started("100.0")])
    one = asyncio.create_task(writer.write(opus, [ended()]))
    assert all(await writer.write(opus, [started("200.0", 2)]))
    assert all(await one)
    assert await rows(url, "SELECT slot, outcome FROM experience.runs ORDER BY id") == [
        ("100.0", "ok"),
        ("200.0", None),
    ]


async def test_a_thousand_starts_at_once_are_all_committed(
    writer: FencedWriter, opus: Lease, url: str
) -> None:
    asked = [writer.write(opus, [started(task=f"t{number}")]) for number in range(1000)]
    assert all(map(all, await asyncio.gather(*asked)))
    assert await rows(url, "SELECT count(*) FROM experience.runs") == [(1000,)]


async def test_a_refused_write_does_not_take_others_with_it(
    writer: FencedWriter, opus: Lease, leases: Leases
) -> None:
    mira = await leases.take("mira", "home-2")
    stale = Lease("opus", 99, elapsed() + 60)
    one, two = await asyncio.gather(
        writer.write(stale, [started(task="a")]), writer.write(mira, [started(task="a")])
    )
    assert (one, two) == ([False], [True])


async def test_a_process_that_is_frozen_in_a_write_holds_up_no_other(
    writer: FencedWriter, opus: Lease, leases: Leases, url: str
) -> None:
    await writer.write(opus, [started()])
    stuck = writer._connection
    assert stuck
    await stuck.execute("BEGIN")
    await stuck.execute("SELECT 1 FROM experience.owners WHERE citizen = 'opus' FOR KEY SHARE")
    taking = asyncio.create_task(asyncio.to_thread(expire_now, url))
    await asyncio.wait_for(taking, 8.0)
    assert (await leases.take("opus", "home-1")).epoch == 2


async def test_a_start_whose_answer_was_lost_is_found_although_it_is_committed_only_now(
    writer: FencedWriter, opus: Lease, url: str
) -> None:
    """A network that delivers late: it was given up, is asked for again, and comes through meanwhile."""
    async with await psycopg.AsyncConnection.connect(url) as late:
        await late.execute(
            "INSERT INTO experience.runs (citizen, task, number, slot, attempt, epoch, trigger, started)"
            " VALUES ('opus', 'report', 1, '1', 1, %s, 'schedule', 1.0)",
            (opus.epoch,),
        )
        writing = asyncio.create_task(writer.write(opus, [started()]))
        while not await rows(url, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
            assert not writing.done()
            await asyncio.sleep(0.01)
    assert [(row,) for row in await writing] == await rows(url, "SELECT id FROM experience.runs")


async def test_a_renewal_does_not_wait_for_a_write_and_a_take_over_does(
    writer: FencedWriter, opus: Lease, leases: Leases, url: str
) -> None:
    async with await psycopg.AsyncConnection.connect(url) as slow:
        await slow.execute("SELECT 1 FROM experience.owners WHERE citizen = 'opus' FOR KEY SHARE")
        before = opus.deadline
        await asyncio.wait_for(leases.renew(), 10.0)
        assert opus.deadline > before and not opus.lost
        await asyncio.to_thread(expire_now, url)
        taking = asyncio.create_task(leases.take("opus", "home-1"))
        blocked = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while not await rows(url, blocked):
            assert not taking.done()
            await asyncio.sleep(0.01)
    assert (await taking).epoch == 2


async def test_text_that_postgresql_does_not_take_is_kept_as_far_as_it_can_be(
    writer: FencedWriter, opus: Lease, url: str
) -> None:
    await writer.write(opus, [started()])
    assert all(await writer.write(opus, [ended(text="a\0b \ud800 \u202e [/red]")]))
    assert await rows(url, "SELECT text FROM experience.runs") == [("a\ufffdb \ufffd \u202e [/red]",)]


async def test_a_database_that_comes_back_in_time_gets_the_write(
    writer: FencedWriter, opus: Lease, server: Postgres, url: str
) -> None:
    await writer.write(opus, [started()])
    server.crash()
    writing = asyncio.create_task(writer.write(opus, [ended()]))
    await asyncio.sleep(0.3)
    assert not writing.done()
    await asyncio.to_thread(server.start)
    assert all(await writing)
    assert await rows(url, "SELECT outcome FROM experience.runs") == [("ok",)]


async def test_a_database_that_stays_away_is_waited_for_until_the_deadline(
    opus: Lease, database: Database
) -> None:
    writer = FencedWriter(Database("postgresql://127.0.0.1:1/none"))
    opus.deadline = elapsed() + 0.5
    assert not any(await writer.write(opus, [started()]))
    assert not opus.held
    await writer.close()
