"""A process that stood still: whatever a start depends on is asked again before it."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from scheduler.core.schedules.active_hours import ActiveHours
from scheduler.core.schedules.freeze import Freeze
from scheduler.core.schedules.schedule import Cron, Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Command, Outcome, Task, Trigger, WakeTask
from scheduler.engine.scheduler import Scheduler
from scheduler.process.who import Who
from scheduler.storage.freeze_file import HomeFreezes
from scheduler.storage.state_store import Store
from tests.fakes import NOON, FakeClock, Gate, until
from tests.unit.engine.wake.test_wake import awake
from tests.unit.engine.wake.test_wake_cost import agent, under

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


# ------------------------------------------------------------------ between a start and its program


class SlowStore(Store):
    """Says that a start is written when a test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    def written(self) -> Awaitable[bool]:
        return self.gate.wait()


PROGRAM = Task("tick", Every(HOUR), Command(("touch", "ran")), active=MORNING)


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(("catch_up", "hour"), [(True, 8), (False, 12)])
async def test_what_waits_for_its_record_until_its_hours_are_over_does_not_begin(
    build, clock, noting, runs, home, inside, catch_up, hour
):
    clock.wall, store = BEFORE_ONE - 1, SlowStore()
    task = noting(active=MORNING) if inside else PROGRAM
    daily = replace(task, schedule=Cron("30 59 12 * * *"), catch_up=catch_up)
    scheduler = await build(daily, store=store)
    await clock.advance(2)
    await until(lambda: scheduler.snapshot().tasks[0].running_since, "it waits for its record")
    clock.stall(2 * HOUR)
    store.gate.set()
    await until(lambda: scheduler.snapshot().tasks[0].running_since is None, "it is taken back")
    assert runs == [] and not (home / "ran").exists()
    row = scheduler.snapshot().tasks[0]
    assert row.run_count == 0 and datetime.fromtimestamp(row.due, UTC).hour == hour


@pytest.mark.parametrize("inside", [False, True])
async def test_what_waits_for_its_record_does_not_begin_in_a_freeze_that_another_process_made(
    build, clock, noting, runs, home, inside
):
    store = SlowStore()
    scheduler = await build(noting() if inside else replace(PROGRAM, active=None), store=store)
    await clock.advance()
    await until(lambda: scheduler.snapshot().tasks[0].running_since, "it waits for its record")
    HomeFreezes(home).own.freeze(Freeze(clock.now() + 1, None, "ct"))
    clock.stall(2)
    store.gate.set()
    await until(lambda: scheduler.snapshot().tasks[0].running_since is None, "it is taken back")
    assert runs == [] and not (home / "ran").exists()
    assert scheduler.snapshot().freeze and scheduler.snapshot().tasks[0].run_count == 0


async def by_a_pause(scheduler: Scheduler, clock: FakeClock) -> None:
    await scheduler.pause("wake")


async def by_its_hours(scheduler: Scheduler, clock: FakeClock) -> None:
    clock.stall(HOUR)


async def by_settings(scheduler: Scheduler, clock: FakeClock) -> None:
    off = replace(scheduler._rules.wake, enabled=False)
    scheduler.set_tasks(scheduler._tasks, replace(scheduler._rules, wake=off))


@pytest.mark.parametrize("ended", [by_a_pause, by_its_hours, by_settings])
async def test_a_wake_that_waits_for_its_tasks_asks_again_whether_it_may_begin(build, clock, ended):
    clock.wall, wakes, hold = BEFORE_ONE, [], Gate()
    plan = WakeTask(
        schedule=Every(HOUR), work=Call(lambda context: wakes.append(clock.now())), active=MORNING
    )
    slow = Task("slow", Every(10 * HOUR), Call(hold), timeout=5 * HOUR)
    scheduler = await build(slow, wake=replace(plan, patience=4 * HOUR))
    await clock.advance()
    await until(lambda: scheduler.snapshot().wake.running_since is not None, "it waits for slow")
    await ended(scheduler, clock)
    hold.open.set()
    await until(lambda: scheduler.snapshot().wake.running_since is None, "it has no turn")
    assert wakes == []


async def test_a_wake_that_was_asked_for_while_it_waited_has_no_hours(build, clock):
    clock.wall, wakes, hold = BEFORE_ONE, [], Gate()
    plan = WakeTask(
        schedule=Every(HOUR), work=Call(lambda context: wakes.append(clock.now())), active=MORNING
    )
    slow = Task("slow", Every(10 * HOUR), Call(hold), timeout=5 * HOUR)
    scheduler = await build(slow, wake=replace(plan, patience=4 * HOUR))
    await clock.advance()
    await scheduler.wake()
    clock.stall(HOUR)
    hold.open.set()
    await until(lambda: wakes, "it wakes")


async def test_a_wake_whose_budget_is_lifted_outside_its_hours_waits_for_the_next(build, clock):
    plan = WakeTask(schedule=Every(600), work=agent(), report="claude", active=MORNING)
    clock.wall = BEFORE_ONE - HOUR
    scheduler = await build(wake=plan, spending=under(day="0.50"))
    await clock.advance()
    await awake(clock, scheduler, 1)
    await clock.advance(hours=3)
    await scheduler.add_to_budget("10", who=Who("ct"))
    await clock.advance(hours=1)
    assert scheduler.snapshot().wake.count == 1
    assert datetime.fromtimestamp(scheduler.snapshot().wake.due, UTC).hour == 8
