"""Pauses with an end on the scheduler: they end by themselves, also after a restart, and say who and why."""

import pytest

from scheduler.core.schedules.schedule import Every
from scheduler.core.state import TaskState
from scheduler.core.task import Command, Task
from scheduler.core.views import TaskStatus
from scheduler.errors import BadSchedule
from scheduler.process.who import Who
from scheduler.storage.state_store import DiskStore
from tests.fakes import NOON, state_of, until
from tests.unit.engine.test_engine import SlowStore

HOUR = 3600.0


def events(scheduler) -> list[tuple[str, str]]:
    return [(event.kind, event.text) for event in scheduler.snapshot().events if event.kind != "started"]


async def test_it_resumes_by_itself(build, clock, noting, runs):
    scheduler = await build(noting(), states={"tick": TaskState(last_run=NOON, run_count=1)})
    receipt = await scheduler.pause("tick", until=NOON + HOUR, why="table changes", who=Who("ct"))
    assert receipt.text.startswith("tick: paused until ") and receipt.text.endswith(": table changes")
    (row,) = scheduler.snapshot().tasks
    assert (row.kind, row.paused_until, row.paused_why, row.paused_by) == (
        TaskStatus.PAUSED, NOON + HOUR, "table changes", "ct",
    )  # fmt: skip
    await clock.advance(HOUR - 1)
    assert runs == []
    await clock.advance(2)
    assert runs == [NOON + HOUR]
    (row,) = scheduler.snapshot().tasks
    assert row.kind is TaskStatus.OK and not row.paused
    said = [each for each in events(scheduler) if each[0] in ("paused", "resumed")]
    assert said[0][1].endswith(": table changes") and said[1] == ("resumed", "its pause is over")


async def test_it_resumes_though_nothing_is_due(build, clock, noting):
    scheduler = await build(noting(), states={"tick": TaskState(last_run=NOON)})
    await scheduler.pause("tick", until=NOON + 10)
    await clock.advance(11)
    assert not scheduler.snapshot().tasks[0].paused


async def test_a_forced_run_does_not_end_it(build, clock, noting, runs):
    scheduler = await build(noting(), states={"tick": TaskState(last_run=NOON)})
    await scheduler.pause("tick", until=NOON + HOUR)
    await clock.advance(60)
    await scheduler.force("tick")
    await clock.advance(HOUR - 61)
    assert runs == [NOON + 60]
    await clock.advance(2)
    assert runs == [NOON + 60, NOON + HOUR]


async def test_it_lasts_over_restarts(build, clock, noting, runs, home):
    first = await build(noting(), store=DiskStore(home, clock))
    await clock.advance()
    await until(lambda: runs, "its first run")
    await first.pause("tick", until=NOON + HOUR, why="table changes", who=Who("ct"))
    await first.stop(0)
    await clock.advance(HOUR / 2)
    again = await build(noting(), store=DiskStore(home, clock))
    (row,) = again.snapshot().tasks
    assert (row.paused_until, row.paused_why, row.paused_by) == (NOON + HOUR, "table changes", "ct")
    await clock.advance(HOUR / 2 - 1)
    assert runs == [NOON]
    await clock.advance(1)
    await until(lambda: len(runs) == 2, "it runs when its pause is over")
    assert runs == [NOON, NOON + HOUR]


async def test_a_wake_notices_its_end_where_no_schedule_does(build, clock, noting, runs):
    scheduler = await build(noting(), background=False, states={"tick": TaskState(last_run=NOON - HOUR)})
    await scheduler.pause("tick", until=NOON + 60)
    assert await scheduler.run_due_once(1.0) == []
    await clock.advance(61)
    assert await scheduler.run_due_once(None) == []
    assert runs == [NOON + 61]


async def test_an_end_that_has_passed_is_refused(build, noting):
    scheduler = await build(noting())
    with pytest.raises(BadSchedule, match="tick: the pause would end before it begins"):
        await scheduler.pause("tick", until=NOON)


async def test_the_clock_set_forward_ends_it(build, clock, noting, runs):
    scheduler = await build(noting(), states={"tick": TaskState(last_run=NOON)})
    await scheduler.pause("tick", until=NOON + HOUR)
    await clock.jump(2 * HOUR)
    await clock.advance(1)
    assert runs == [NOON + 2 * HOUR]


async def test_one_run_more_that_was_forced_is_kept_though_its_owner_stops_before_the_first_began(
    build,
):
    tick = Task("tick", Every(HOUR), Command(("true",)))
    scheduler = await build(tick, store=SlowStore({"tick": TaskState(last_run=NOON)}))
    await scheduler.force("tick")
    await scheduler.force("tick", again=True)
    await scheduler.pause("tick")
    scheduler.stop_now()
    await scheduler.stop(0)
    assert state_of(scheduler, "tick").forced
