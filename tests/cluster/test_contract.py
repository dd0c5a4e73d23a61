"""What a claim promises: one contract for the lock of a home alone and for a lease of the database."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from scheduler.cluster.coordinator import ClusterCoordinator
from scheduler.cluster.database import Database
from scheduler.config.settings import CitizenSettings, EngineSettings
from scheduler.core.ports import FleetOptions
from scheduler.core.records import FinishedRun, RunQuery
from scheduler.core.state import TaskState
from scheduler.core.task import Outcome, Trigger
from scheduler.errors import Owned, UnknownRun, UnknownTask
from scheduler.ownership.coordinator import Claim, Coordinator, LocalCoordinator
from scheduler.storage.shared_home import mark_shared
from scheduler.storage.state_store import RunStart
from tests.fakes import FakeClock

HOME_ID = "00000000-0000-0000-0000-000000000001"
RUN = FinishedRun("tick", Trigger.FORCE, 1, 100.0, 101.0, 1.0, Outcome.FAILED, "boom", "trace", None)
START = RunStart("tick", "", 1, "force", 100.0, TaskState(run_count=1))


@pytest.fixture(params=["lock", "lease"])
async def two(
    request: pytest.FixtureRequest, url: str, database: Database, home: Path, clock: FakeClock
) -> AsyncIterator[tuple[Coordinator, Coordinator]]:
    """Two processes that want the same home."""
    await database.close()
    made: list[Any] = []
    if request.param == "lease":
        mark_shared(home, HOME_ID, "db")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("UPDATE experience.owners SET home_id = %s", (HOME_ID,))
    for name in ("m1", "m2"):
        local = LocalCoordinator(FleetOptions(), clock)
        if request.param == "lock":
            made.append(local)
            continue
        engine, nothing = EngineSettings(url, name, 60.0), lambda *_: None
        made.append(ClusterCoordinator(local, engine, home.parent, nothing, nothing, nothing))  # type: ignore[arg-type]
    yield made[0], made[1]
    for each in made:
        await each.close()


def opus(home: Path) -> CitizenSettings:
    return CitizenSettings("opus", home)


async def begun(claim: Claim, states: dict[str, TaskState]) -> None:
    """As a scheduler takes it up."""
    claim.store.load()
    claim.store.begin(lambda: states, lambda found, notes: None, lambda: None)
    claim.recorder.begin(lambda kind, text: None)


async def test_one_has_it_until_it_lets_go(two: tuple[Coordinator, Coordinator], home: Path) -> None:
    one, other = two
    claim = await one.acquire(opus(home), "loop")
    assert claim.in_place()
    with pytest.raises(Owned):
        await other.acquire(opus(home))
    await claim.release()
    again = await other.acquire(opus(home))
    assert again.in_place()
    await again.release()


async def test_a_machine_that_is_frozen_keeps_no_lock_on_a_shared_disk(
    database: Database, url: str, home: Path, clock: FakeClock
) -> None:
    """The lock of a network file system stays with a process that is frozen; here, with one that is not."""
    mark_shared(home, HOME_ID, "db")
    made, nothing = [], lambda *_: None
    for name in ("m1", "m2"):
        engine, local = EngineSettings(url, name, 60.0), LocalCoordinator(FleetOptions(), clock)
        made.append(ClusterCoordinator(local, engine, home.parent, nothing, nothing, nothing))  # type: ignore[arg-type]
    await database.rows("UPDATE owners SET home_id = %s RETURNING 1", (HOME_ID,))
    await made[0].acquire(opus(home))
    await database.rows("UPDATE owners SET until = clock_timestamp() RETURNING 1")
    assert (await made[1].acquire(opus(home))).in_place()
    for each in made:
        await each.close()
    await database.close()


async def test_the_next_owner_continues_with_what_was_saved(
    two: tuple[Coordinator, Coordinator], home: Path
) -> None:
    one, other = two
    claim = await one.acquire(opus(home))
    states = {"tick": TaskState(run_count=7, last_run=100.0)}
    await begun(claim, states)
    claim.store.changed()
    assert await claim.store.saved()
    states["tick"] = TaskState(run_count=8, last_run=200.0)
    claim.store.changed()
    await claim.store.close()
    await claim.release()
    after = await other.acquire(opus(home))
    found, notes = after.store.load()
    assert (found["tick"].run_count, found["tick"].last_run, notes) == (8, 200.0, [])
    await after.release()


async def test_a_run_is_in_the_history_of_the_next_owner(
    two: tuple[Coordinator, Coordinator], home: Path
) -> None:
    one, other = two
    claim = await one.acquire(opus(home))
    await begun(claim, {})
    if claim.store.fenced:
        assert await claim.store.started(START)
    claim.recorder.record(RUN)
    (record,) = await claim.recorder.runs(RunQuery(), ("tick",))
    await claim.recorder.close()
    await claim.store.close()
    await claim.release()
    after = await other.acquire(opus(home))
    await begun(after, {})
    (found,) = await after.recorder.runs(RunQuery("tick", failed=True), ("tick",))
    assert (found.task, found.text, found.outcome, found.trigger) == (
        "tick",
        "boom",
        Outcome.FAILED,
        Trigger.FORCE,
    )
    assert (found.started, found.finished, found.id) == (100.0, 101.0, record.id)
    assert await after.recorder.output(found.id) == "trace"
    assert await after.recorder.runs(RunQuery(before=found.id), ()) == ()
    with pytest.raises(UnknownRun):
        await after.recorder.output(found.id + 1)
    with pytest.raises(UnknownTask):
        await after.recorder.runs(RunQuery("tock"), ("tick",))
    await after.recorder.close()
    await after.release()
