"""A process that stood still: whatever a start depends on is asked again before it."""

import asyncio
from datetime import UTC, datetime

import pytest

from scheduler.core.schedules.active_hours import ActiveHours
from scheduler.core.schedules.schedule import Cron, Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Outcome, Task, Trigger
from tests.fakes import NOON

HOUR = 3600.0
MORNING = ActiveHours("08:00-13:00")
BEFORE_ONE = NOON + HOUR - 30  # the hours end at 13:00


def ran(at: float, **more: object) -> TaskState:
    return TaskState(last_run=at, first_seen=at, **more)


DUE = {
    "since it was seen": (Every(HOUR), {}),
    "as ever": (Every(HOUR), {"tick": ran(NOON - HOUR)}),
    "as a retry": (
        Every(2 * HOUR),
        {"tick": ran(NOON, retry_at=BEFORE_ONE, outcome=Outcome.FAILED, attempt=1)},
    ),
    "as reset": (Every(HOUR), {"tick": ran(NOON, due_now=True)}),
}


@pytest.mark.parametrize(("schedule", "states"), DUE.values(), ids=DUE)
async def test_what_was_due_before_its_hours_ended_waits_for_the_next(
    build, clock, noting, runs, schedule, states
):
    clock.wall = BEFORE_ONE
    await build(noting(schedule=schedule, active=MORNING, retries=3, jitter=10), states=states)
    clock.stall(2 * HOUR)
    await clock.advance(60)
    assert runs == []
    await clock.advance(hours=18)
    assert datetime.fromtimestamp(runs[0], UTC).hour == 8


async def test_two_that_were_due_in_the_last_minute_of_their_hours_are_late(build, clock, noting, runs):
    clock.wall = BEFORE_ONE - 5
    await build(*(noting(name, schedule=Cron("30 59 12 * * *"), active=MORNING) for name in "ab"))
    clock.stall(50)
    await clock.advance(1)
    assert runs == [BEFORE_ONE + 45] * 2


async def test_who_waits_for_a_worker_until_the_hours_are_over_waits_for_the_next_also_before_a_wake(
    build, clock, noting, runs
):
    free = asyncio.Event()

    async def busy(context: object) -> None:
        await free.wait()

    clock.wall = BEFORE_ONE
    long = Task("long", Every(HOUR), Call(busy), priority=1, timeout=2 * HOUR)
    tick = noting(schedule=Every(HOUR), active=MORNING)
    scheduler = await build(long, tick, workers=1, background=False)
    due = asyncio.create_task(scheduler.run_due_once(2 * HOUR))
    await clock.advance(hours=1)
    free.set()
    await due
    assert runs == []


async def test_a_retry_that_a_stall_made_later_than_the_next_slot_is_left_to_it(build, clock, noting):
    states = {"tick": ran(NOON - HOUR, retry_at=NOON + 60, outcome=Outcome.FAILED, attempt=1)}
    scheduler = await build(noting(schedule=Every(2 * HOUR), retries=3), states=states)
    clock.stall(3 * HOUR)
    await clock.advance(1)
    started = [event.trigger for event in scheduler.snapshot().events if event.kind == "started"]
    assert started == [Trigger.CATCH_UP]


async def test_without_catch_up_such_a_retry_is_given_up(build, clock, noting, runs):
    states = {"tick": ran(NOON - HOUR, retry_at=NOON + 60, outcome=Outcome.FAILED, attempt=1)}
    await build(noting(schedule=Every(2 * HOUR), retries=3, catch_up=False), states=states)
    clock.stall(2 * HOUR)
    await clock.advance(1)
    assert runs == []
    await clock.advance(hours=1)
    assert runs == [NOON + 3 * HOUR]
