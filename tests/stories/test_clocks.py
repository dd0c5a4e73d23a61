"""What a clock that is wrong, set, or set again does to schedules."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from scheduler.core.schedules.schedule import Cron, Every
from scheduler.core.state import Failure, TaskState
from scheduler.core.task import Call, WakeTask
from scheduler.storage.state_store import DiskStore
from tests.each import each
from tests.fakes import until
from tests.stories.citizen import DAY, HOUR, MINUTE, Citizen, at, ran

NIGHTLY = Cron("0 2 * * *")
FIVE = Cron("*/5 * * * *")


# ------------------------------------------------------------------ moments from a wrong clock


async def test_a_daily_task_that_last_ran_in_the_future_runs_although_it_is_restarted_every_day(build, clock):
    """sidekiq-scheduler 283, dbader/schedule 323, pg_cron 105."""
    opus = Citizen(build, clock, "2026-03-02T12:00:00")
    await opus.start(Every(DAY), ran("2026-04-01T12:00:00"))
    for _ in range(10):
        await clock.advance(hours=20)
        await opus.restart()
    assert len(opus.runs) == 8


async def test_small_corrections_do_not_begin_an_interval_again(build, clock):
    """robfig/cron 480: a clock that was a month ahead, then put right, then corrected twice an hour."""
    opus = await Citizen(build, clock, "2026-04-01T12:00:00").start(Every(HOUR))
    await clock.advance(1)
    await clock.jump(-30 * DAY)
    for turn in range(24):
        await clock.advance(minutes=30)
        await clock.jump(1.5 if turn % 2 else -1.5)
    assert len(opus.runs) == 13


async def test_a_last_run_in_milliseconds_does_not_silence_a_task(build, clock):
    """airbyte 241."""
    opus = Citizen(build, clock, "2026-03-02T12:00:00")
    await opus.start(
        Every(DAY), replace(ran("2026-03-02T11:00:00"), last_run=at("2026-03-02T11:00:00") * 1e3)
    )
    await opus.until("2026-03-03T12:00:01")
    assert opus.ran == ["03 12:00:00"]


async def test_every_moment_of_a_wrong_clock_is_put_right_in_the_file_not_only_on_screen(build, clock):
    """quartz-scheduler: what is bent when it is read comes back at each restart."""
    later = at("2026-04-01T12:00:00")
    opus = Citizen(build, clock, "2026-03-02T12:00:00")
    wrong = TaskState(
        last_run=later,
        last_success=later,
        first_seen=later,
        paused=True,
        paused_at=later,
        wanted_since=later,
        error=Failure(later, "no"),
        slot=later,
    )
    await opus.start(Every(DAY), wrong)
    now, state = clock.now(), opus.state
    assert (state.last_run, state.last_success, state.first_seen, state.paused_at) == (now, now, now, now)
    assert (state.wanted_since, state.slot, state.error) == (now, None, Failure(now, "no"))


async def test_a_retry_that_a_wrong_clock_has_planned_comes_after_its_delay(build, clock):
    """The clock is set back by an hour while a retry waits: it does not wait an hour longer."""
    opus = await Citizen(build, clock, "2026-03-02T12:00:00").start(
        Every(6 * HOUR), fails=True, retries=1, retry_delay=60
    )
    await clock.advance(40)
    await clock.jump(-HOUR)
    await clock.advance(61)
    assert len(opus.runs) == 2


async def test_a_retry_of_next_month_comes_after_its_delay_when_the_clock_was_put_right_overnight(
    build, clock
):
    opus = Citizen(build, clock, "2026-03-02T12:00:00")
    state = ran("2026-03-02T11:59:00", retry_at=at("2026-04-01T12:00:00"), attempt=2)
    await opus.start(Every(DAY), state, retries=3, retry_delay=30)
    assert opus.state.retry_at == clock.now() + 60
    await clock.advance(61)
    assert opus.ran == ["02 12:01:00"]


async def test_a_cron_task_first_seen_by_a_clock_that_was_ahead_runs_at_its_next_slot(build, clock):
    """A board without a battery boots in the future, and the network puts it right."""
    opus = await Citizen(build, clock, "2026-04-01T12:00:00").start(NIGHTLY)
    await clock.jump(at("2026-03-02T12:00:00") - clock.now())
    await opus.until("2026-03-03T02:00:01")
    assert opus.ran == ["03 02:00:00"]


async def test_an_edit_under_a_clock_that_was_ahead_does_not_cost_the_next_slot(build, clock):
    """The hardware clock ran on local time: two hours ahead until the network corrected it."""
    opus = await Citizen(build, clock, "2026-03-02T12:00:00").start(Cron("0 9 * * *"))
    opus.edit(schedule=Cron("0 11 * * *"))
    await clock.jump(-2 * HOUR)
    await opus.until("2026-03-02T11:00:01")
    assert opus.ran == ["02 11:00:00"]


# ------------------------------------------------------------------ the wake


async def woken(clock, scheduler, count: int) -> None:
    def over() -> bool:
        wake = scheduler.snapshot().wake
        return wake.count >= count and wake.running_since is None

    await until(over, f"wake {count} is over")
    await clock.advance()


async def test_a_wake_by_cron_comes_after_the_clock_that_saw_its_start_was_put_right(build, clock):
    clock.wall = at("2026-04-01T12:00:30")
    scheduler = await build(wake=WakeTask(schedule=Cron("*/10 * * * *")))
    await clock.jump(at("2026-03-02T12:00:30") - clock.now())
    assert scheduler.snapshot().wake.due == at("2026-03-02T12:10:00")
    await clock.advance(minutes=10)
    await woken(clock, scheduler, 1)


async def test_a_wake_noted_by_a_clock_that_was_ahead_is_put_right_in_the_file(build, clock, home):
    (home / "metadata.json").write_text(
        json.dumps({"last_wake": "2026-04-01T12:00:00+00:00", "wake_count": 7})
    )
    for expected in (8 * HOUR, 7 * HOUR):
        scheduler = await build(wake=WakeTask(schedule=Every(8 * HOUR)))
        assert scheduler.snapshot().wake.due == clock.now() + expected
        await scheduler.stop(0)
        await clock.advance(hours=1)
    noted = json.loads((home / "metadata.json").read_text())["last_wake"]
    assert datetime.fromisoformat(noted) == datetime(2026, 3, 2, 12, tzinfo=UTC)


async def test_a_wake_by_cron_that_has_been_does_not_come_again_after_a_small_step_back(build, clock, home):
    clock.wall = at("2026-03-02T12:09:59")
    scheduler = await build(wake=WakeTask(schedule=Cron("*/10 * * * *")), store=DiskStore(home, clock))
    await clock.advance(2)
    await woken(clock, scheduler, 1)
    await clock.jump(-30)
    assert scheduler.snapshot().wake.due == at("2026-03-02T12:20:00")
    await scheduler.stop(0)
    again = await build(wake=WakeTask(schedule=Cron("*/10 * * * *")), store=DiskStore(home, clock))
    assert again.snapshot().wake.due == at("2026-03-02T12:20:00")


async def test_an_edited_wake_does_not_come_at_once(build, clock):
    clock.wall = at("2026-03-02T09:59:59")
    scheduler = await build(wake=WakeTask(schedule=Cron("0 10 * * *")))
    await clock.advance(2)
    await woken(clock, scheduler, 1)
    await clock.advance(hours=24 + 5)
    await woken(clock, scheduler, 2)
    scheduler.set_tasks([], replace(scheduler._rules, wake=WakeTask(schedule=Cron("0 13 * * *"))))
    assert scheduler.snapshot().wake.due == at("2026-03-04T13:00:00")


async def test_a_wake_by_cron_that_never_came_is_made_up_by_the_next_owner(build, clock, home):
    """Restarted at five past nine each day, it would never wake at nine."""
    plan = WakeTask(schedule=Cron("0 9 * * *"))
    clock.wall = at("2026-03-02T12:00:00")
    first = await build(wake=plan, store=DiskStore(home, clock))
    await first.stop(0)
    clock.wall = at("2026-03-03T09:05:00")
    again = await build(wake=plan, store=DiskStore(home, clock))
    await clock.advance(1)
    await woken(clock, again, 1)


async def test_a_wake_that_is_edited_while_nothing_ran_waits_for_its_time(build, clock, home):
    clock.wall = at("2026-03-02T09:59:59")
    first = await build(wake=WakeTask(schedule=Cron("0 10 * * *")), store=DiskStore(home, clock))
    await clock.advance(2)
    await woken(clock, first, 1)
    await first.stop(0)
    clock.wall = at("2026-03-03T15:00:00")
    again = await build(wake=WakeTask(schedule=Cron("0 13 * * *")), store=DiskStore(home, clock))
    assert again.snapshot().wake.due == at("2026-03-04T13:00:00")


@each("plan", [WakeTask(schedule=Every(600)), WakeTask(schedule=Cron("*/10 * * * *"))])
async def test_a_wake_longer_than_its_interval_is_not_followed_by_the_next_at_once(build, clock, plan):
    over = asyncio.Event()

    async def think(context: Any) -> str:
        await over.wait()
        return ""

    begun = clock.wall = at("2026-03-02T12:10:00")
    scheduler = await build(wake=replace(plan, work=Call(think)))
    await scheduler.wake()
    await clock.advance(25 * MINUTE)
    over.set()
    await woken(clock, scheduler, 1)
    assert scheduler.snapshot().wake.due == begun + 30 * MINUTE


# ------------------------------------------------------------------ small steps, and large ones


@each("steps", [(0.7,), (2,), (30,), (3000,), (0.9, 0.9), (2 * HOUR,), (HOUR, HOUR)])
async def test_a_backup_of_two_o_clock_is_not_made_again_because_the_clock_was_put_back(build, clock, steps):
    """kelektiv/node-cron 180, gocron 438, MichaelXavier/cron 30; cron(8): less than three hours."""
    opus = Citizen(build, clock, "2026-03-03T01:50:00")
    await opus.start(NIGHTLY, ran("2026-03-02T02:00:00"))
    await clock.advance(600.2)
    for step in steps:
        await clock.jump(-step)
    await clock.advance(hours=20)
    assert opus.ran == ["03 02:00:00"]


@each("older", [False, True])
async def test_it_is_not_made_again_when_the_scheduler_is_restarted_in_between(build, clock, older):
    opus = Citizen(build, clock, "2026-03-03T01:50:00")
    await opus.start(NIGHTLY, ran("2026-03-02T02:00:00"))
    await clock.advance(600.2)
    await opus.stop()
    clock.wall -= 2 * HOUR
    await opus.start_again(lambda state: replace(state, slot=None, schedule=None) if older else state)
    await clock.advance(hours=20)
    assert opus.ran == ["03 02:00:00"]


async def test_a_clock_that_is_set_back_by_a_day_repeats_the_day(build, clock):
    opus = Citizen(build, clock, "2026-03-03T01:50:00")
    await opus.start(NIGHTLY, ran("2026-03-02T02:00:00"))
    await opus.until("2026-03-03T05:00:00")
    await clock.jump(-3.5 * HOUR)
    await opus.until("2026-03-03T02:00:01")
    assert opus.ran == ["03 02:00:00", "03 02:00:00"]


async def test_a_run_by_hand_under_a_clock_that_was_ahead_does_not_cost_the_slot_of_the_night(build, clock):
    opus = Citizen(build, clock, "2026-03-03T01:10:00")
    await opus.start(Cron("0 0 * * *"), ran("2026-03-02T00:00:00"), catch_up=False)
    await opus.scheduler.force("tick")
    await clock.advance(1)
    await clock.jump(-2 * HOUR)
    await opus.until("2026-03-03T00:00:01")
    assert opus.ran == ["03 01:10:00", "03 00:00:00"]


@each("step", [1.5, 3.0, 59.0])
async def test_a_clock_that_steps_over_two_o_clock_does_not_lose_the_backup(build, clock, step):
    """Hexagon/croner 388, node-cron 485, WSL 40745: steps of some seconds, hundreds a day."""
    opus = Citizen(build, clock, "2026-03-03T01:50:00")
    await opus.start(NIGHTLY, ran("2026-03-02T02:00:00"), catch_up=False)
    await clock.advance(599.5)
    await clock.jump(step)
    await clock.advance(hours=20)
    assert len(opus.runs) == 1


async def test_an_hour_of_small_steps_over_each_slot_loses_none(build, clock):
    opus = await Citizen(build, clock, "2026-03-02T12:00:00").start(FIVE, catch_up=False)
    for _ in range(12):
        await clock.advance(300 - clock.now() % 300 - 0.6)
        await clock.jump(1.2)
    assert len(opus.runs) == 12


async def test_an_interval_does_not_lose_a_beat_to_a_small_step(build, clock):
    opus = await Citizen(build, clock, "2026-03-02T12:00:00").start(Every(300), catch_up=False)
    await clock.advance(299)
    await clock.jump(2.5)
    assert len(opus.runs) == 2


async def test_a_restart_of_twenty_seconds_over_a_slot_is_late_not_missed(build, clock):
    opus = Citizen(build, clock, "2026-03-03T01:59:50")
    await opus.start(NIGHTLY, ran("2026-03-02T02:00:00"), catch_up=False)
    await opus.stop()
    await clock.advance(20)
    await opus.start_again()
    await clock.advance(1)
    assert opus.ran == ["03 02:00:10"]


@each("away", [61.0, HOUR, 9 * HOUR])
async def test_what_was_missed_for_a_minute_and_more_waits_for_its_next_time(build, clock, away):
    opus = Citizen(build, clock, "2026-03-03T01:59:59")
    await opus.start(NIGHTLY, ran("2026-03-02T02:00:00"), catch_up=False)
    await clock.jump(away + 1)
    await clock.advance(HOUR)
    assert opus.runs == [] and opus.due == "04 02:00:00"


@each(("stalled", "runs"), [(40.0, 1), (90.0, 0)])
async def test_a_loop_that_stalls_over_a_slot_is_late_and_after_a_minute_it_was_missed(
    build, clock, stalled, runs
):
    """A machine that is paused for its snapshot at two o'clock: no clock jumps, time has just passed."""
    opus = Citizen(build, clock, "2026-03-03T01:59:59")
    await opus.start(NIGHTLY, ran("2026-03-02T02:00:00"), catch_up=False)
    clock.wall += stalled + 1
    clock.monotonic += stalled + 1
    await clock.advance(MINUTE)
    assert len(opus.runs) == runs and opus.due == "04 02:00:00"


async def test_after_a_stall_a_task_that_catches_up_says_so(build, clock):
    opus = Citizen(build, clock, "2026-03-03T01:59:59")
    await opus.start(NIGHTLY, ran("2026-03-02T02:00:00"))
    clock.wall += HOUR
    clock.monotonic += HOUR
    await clock.advance(1)
    (started,) = [event for event in opus.scheduler.snapshot().events if event.kind == "started"]
    assert started.trigger == "catch-up" and len(opus.runs) == 1


async def test_the_screen_says_what_a_corrected_clock_makes_of_the_next_time(build, clock):
    opus = Citizen(build, clock, "2026-03-03T01:50:00")
    await opus.start(NIGHTLY, ran("2026-03-02T02:00:00"))
    await clock.advance(600.2)
    await clock.jump(-HOUR)
    assert opus.due == "04 02:00:00"
    details: Any = await opus.scheduler.explain("tick")
    assert details.upcoming[0] == at("2026-03-04T02:00:00")


async def test_one_run_for_many_missed_slots_serves_them_all_also_after_a_small_step_back(build, clock):
    """cron(8): put back by less than three hours, nothing runs twice; kelektiv/node-cron 180."""
    opus = Citizen(build, clock, "2026-03-02T01:15:00")
    await opus.start(Cron("0,30 * * * *"), ran("2026-03-01T23:00:00"))
    await clock.advance(1)
    assert opus.ran == ["02 01:15:00"]  # one for 23:30 to 01:00
    await clock.jump(-2 * HOUR)
    await opus.until("2026-03-02T01:29:59")
    assert len(opus.runs) == 1
    await opus.until("2026-03-02T01:30:01")
    assert opus.ran[1:] == ["02 01:30:00"]


async def test_one_wake_for_many_missed_slots_serves_them_all(build, clock, home):
    """The same for a wake by cron."""
    clock.wall = at("2026-03-02T01:15:00")
    (home / "metadata.json").write_text('{"last_wake": "2026-03-01T23:00:00+00:00", "wake_count": 4}')
    scheduler = await build(wake=WakeTask(schedule=Cron("0,30 * * * *")))
    await clock.advance(1)
    await until(lambda: scheduler.snapshot().wake.count == 5, "the wake for those that were missed")
    await until(lambda: scheduler.snapshot().wake.running_since is None, "its end")
    await clock.jump(-2 * HOUR)
    assert scheduler.snapshot().wake.due == at("2026-03-02T01:30:00")
