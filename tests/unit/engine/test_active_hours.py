"""Active hours on the scheduler: the schedule starts nothing outside, people do; rows say so."""

import asyncio
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from scheduler.core.schedules.active_hours import ActiveHours
from scheduler.core.schedules.schedule import Cron, Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Task, Trigger, WakeTask
from tests.each import each
from tests.fakes import NOON, FakeClock, until

BERLIN = ZoneInfo("Europe/Berlin")  # NOON is 13:00 there
HOUR = 3600.0
DAY_SHIFT = ActiveHours("08:00-22:00", BERLIN)


def clock_of(when: float) -> str:
    return f"{datetime.fromtimestamp(when, BERLIN):%H:%M}"


def triggers(scheduler) -> list:
    return [event.trigger for event in scheduler.snapshot().events if event.kind == "started"]


async def test_a_task_rests_outside_and_starts_once_when_the_hours_begin(build, clock, noting, runs):
    scheduler = await build(noting(schedule=Cron("0 */2 * * *", BERLIN), active=DAY_SHIFT))
    await clock.advance(hours=24)
    shown = [clock_of(when) for when in runs]
    assert shown == ["14:00", "16:00", "18:00", "20:00", "08:00", "10:00", "12:00"]
    await clock.advance(hours=9.5)
    (row,) = scheduler.snapshot().tasks
    assert (clock_of(row.due), row.active) == ("08:00", "08:00-22:00")
    assert (await scheduler.explain("tick")).upcoming[0] == row.due


async def test_who_waits_for_a_worker_until_the_hours_are_over_starts_when_they_begin(
    build, clock, noting, runs
):
    free = asyncio.Event()

    async def busy(context: object) -> None:
        await free.wait()

    long = Task("long", Cron("59 21 * * *", BERLIN), Call(busy), priority=1, timeout=24 * HOUR)
    tick = noting(schedule=Cron("59 21 * * *", BERLIN), active=DAY_SHIFT)
    scheduler = await build(long, tick, workers=1)
    await clock.advance(hours=9.5)
    assert [row.name for row in scheduler.snapshot().tasks if row.queued] == ["tick"]
    free.set()
    await clock.advance(hours=1)
    assert runs == []
    await clock.advance(hours=12)
    assert [clock_of(when) for when in runs] == ["08:00"]


async def test_what_is_made_up_is_said_to_be(build, clock, noting, runs):
    hours = ActiveHours("08:30-22:00", BERLIN)
    scheduler = await build(noting(schedule=Cron("0 */2 * * *", BERLIN), active=hours))
    await clock.advance(hours=21.5)
    assert [clock_of(when) for when in runs][-2:] == ["08:30", "10:00"]
    assert triggers(scheduler)[-2:] == [Trigger.CATCH_UP, Trigger.SCHEDULE]


async def test_without_catch_up_it_waits_for_its_first_slot_inside(build, clock, noting, runs):
    hours = ActiveHours("08:30-22:00", BERLIN)
    await build(noting(schedule=Cron("0 */2 * * *", BERLIN), active=hours, catch_up=False))
    await clock.advance(hours=22)
    assert [clock_of(when) for when in runs][-2:] == ["20:00", "10:00"]


async def test_a_force_passes_the_hours_and_a_reset_does_not(build, clock, noting, runs):
    night = ActiveHours("22:00-06:00", BERLIN)
    states = {"tick": TaskState(last_run=NOON - HOUR, first_seen=NOON - HOUR)}
    scheduler = await build(noting(schedule=Every(HOUR), active=night), states=states)
    await scheduler.reset("tick")
    await clock.advance(60)
    assert runs == []
    await scheduler.force("tick")
    await clock.advance(60)
    assert runs == [NOON + 60]
    await clock.advance(hours=9)
    assert [clock_of(when) for when in runs][1] == "22:00"


async def nights(build, clock, home, start: datetime, span: float, **wake) -> list[str]:
    """When a citizen is woken in these hours, by the clock on its wall."""
    clock.wall, woken = start.timestamp(), []

    async def turn(context) -> str:
        woken.append(clock_of(clock.now()))
        return "done"

    home.mkdir(exist_ok=True)
    build.home, build.clock = home, clock
    scheduler = await build(wake=WakeTask(schedule=Every(HOUR), work=Call(turn), **wake))
    for _ in range(int(span / 600)):
        await clock.advance(600)
        await until(lambda: scheduler.snapshot().wake.running_since is None, "the wake is over")
    await scheduler.stop(0)
    return woken


async def test_a_wake_rests_outside_its_hours_over_midnight(build, clock, home):
    start = datetime(2026, 3, 2, 18, tzinfo=BERLIN)
    woken = await nights(build, clock, home, start, 30 * HOUR, active=ActiveHours("22:00-02:00", BERLIN))
    assert woken == ["22:00", "23:00", "00:00", "01:00", "22:00", "23:00", "00:00"]


@each(
    ("day", "woken"),
    [
        (datetime(2026, 3, 28, 23, tzinfo=BERLIN), ["01:00", "03:00"]),  # from 2 to 3 there is no time
        (datetime(2026, 10, 24, 23, tzinfo=BERLIN), ["01:00", "02:00", "02:00", "03:00"]),
    ],
)
async def test_a_wake_in_a_night_in_which_clocks_change(build, tmp_path, day, woken):
    hours = ActiveHours("01:00-04:00", BERLIN)
    home = tmp_path / f"{day:%b}"
    assert await nights(build, FakeClock(), home, day, 10 * HOUR, active=hours) == woken


async def test_a_wake_by_hand_passes_its_hours(build, clock, home):
    woken = []

    async def turn(context) -> str:
        woken.append(context.options["why"])
        return "done"

    night = ActiveHours("22:00-06:00", BERLIN)
    scheduler = await build(wake=WakeTask(schedule=Every(HOUR), work=Call(turn), active=night))
    await clock.advance(HOUR)
    assert woken == []
    await scheduler.wake()
    await clock.advance(1)
    await until(lambda: scheduler.snapshot().wake.due is not None, "it was awake")
    assert woken == ["force"] and clock_of(scheduler.snapshot().wake.due) == "22:00"


async def test_other_hours_count_at_once(build, clock, noting, runs):
    night = ActiveHours("22:00-06:00", BERLIN)
    scheduler = await build(noting(schedule=Every(HOUR), active=night))
    await clock.advance(hours=1)
    assert runs == []
    scheduler.set_tasks([replace(scheduler._tasks[0], active=None)])
    await clock.advance(1)
    assert runs == [NOON + HOUR]
