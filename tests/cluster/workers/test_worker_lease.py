"""A worker's lease: renewed under one number, given up on time by its own clock, and then begun again."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from scheduler.cluster.database import Database
from scheduler.cluster.workers.worker_lease import WorkerLease
from scheduler.process.process_info import Running
from scheduler.system.clock import elapsed
from tests.fakes import until


class Here(WorkerLease):
    """A worker on g1 that notes what it hears."""

    def __init__(self, database: Database, seconds: float) -> None:
        self.deadlines, self.losses = list[float](), list[float]()
        ours, lost = Running(1, 0.0, 0.0), lambda: self.losses.append(elapsed())
        super().__init__(database, "g1", ["gpu"], 1, ours, seconds, self.deadlines.append, lost)


@pytest.fixture
async def here(database: Database) -> AsyncIterator[Here]:
    made = Here(database, 600.0)
    await made.enter()
    yield made
    await made.leave()
    await database.close()


async def rows(database: Database) -> list[tuple[object, ...]]:
    return await database.rows("SELECT id, machine, queues FROM workers")


async def test_it_is_there_until_it_leaves(here: Here, database: Database) -> None:
    assert await rows(database) == [(here.id, "g1", ["gpu"])]
    assert here.held
    await here.leave()
    assert await rows(database) == [] and not here.held


async def test_it_renews_under_its_number(here: Here) -> None:
    before = here.id
    await here._renew()
    assert (here.id, len(here.deadlines)) == (before, 2)


async def test_a_lease_that_has_ended_is_lost_and_the_next_has_another_number(
    here: Here, database: Database
) -> None:
    before = here.id
    await database.rows("UPDATE workers SET until = clock_timestamp() RETURNING 1")
    await here._renew()
    assert len(here.losses) == 1 and here.id != before and here.held


async def test_another_server_ends_it(here: Here, database: Database) -> None:
    """As after a promotion: the connection breaks, and what the row says is not what the server says."""
    await database.rows("UPDATE version SET server = 'another' RETURNING 1")
    before = here.id
    await here._disconnect()  # as its end does
    await here._renew()
    assert len(here.losses) == 1 and here.id != before


async def test_it_gives_up_before_its_lease_ends_though_nothing_answers(database: Database) -> None:
    here = Here(database, 0.6)
    await here.enter()
    (end,) = here.deadlines
    await until(lambda: here.losses, "it gave up")
    assert end - here.margin - 0.01 <= here.losses[0] and not here.held
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(here.came_back.wait(), 0.01)
    await here.leave()
    await database.close()
