"""What counts as missed, what waits, and what is spread."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from scheduler.config.settings import CitizenSettings
from scheduler.control.home_snapshot import read_snapshot
from scheduler.core.schedules.schedule import Cron, Every
from scheduler.core.task import NotSetUp
from scheduler.storage.state_file import StateFile
from scheduler.storage.state_store import DiskStore
from tests.each import each
from tests.fakes import until
from tests.stories.citizen import DAY, HOUR, Citizen, at, ran

FIVE, HOURLY = Cron("*/5 * * * *"), Cron("0 * * * *")


# ------------------------------------------------------------------ slots that were not wanted


@each("catch_up", [True, False])
async def test_a_changed_expression_does_not_run_the_backup_in_the_middle_of_the_day(build, clock, catch_up):
    """kubernetes 65457, Hangfire 366, cron-resource 3, celery 2531, django-celery 264."""
    opus = Citizen(build, clock, "2026-03-01T12:00:00")
    await opus.start(Cron("0 23 * * *"), ran("2026-02-28T23:00:00"), catch_up=catch_up)
    await opus.until("2026-03-02T15:00:00")
    opus.edit(schedule=Cron("0 3 * * *"))
    assert opus.due == "03 03:00:00"
    await opus.until("2026-03-03T04:00:00")
    assert opus.ran == ["01 23:00:00", "03 03:00:00"]


async def test_an_edit_that_was_made_while_nothing_ran_is_noticed_too(build, clock):
    opus = Citizen(build, clock, "2026-03-02T12:00:00")
    await opus.start(Cron("0 23 * * *"), ran("2026-03-01T23:00:00"))
    await opus.stop()
    opus.tick = replace(opus.tick, schedule=Cron("0 3 * * *"))
    await opus.until("2026-03-03T15:00:00")
    await opus.start_again()
    await opus.until("2026-03-04T04:00:00")
    assert opus.ran == ["04 03:00:00"]


async def test_a_restart_without_an_edit_still_makes_up_what_was_missed(build, clock):
    opus = Citizen(build, clock, "2026-03-02T12:00:00")
    await opus.start(Cron("0 23 * * *"), ran("2026-03-01T23:00:00"))
    await opus.stop()
    await opus.until("2026-03-03T15:00:00")
    await opus.start_again()
    await clock.advance(1)
    assert opus.ran == ["03 15:00:00"]


async def test_the_state_of_an_older_version_makes_up_what_was_missed(build, clock):
    opus = Citizen(build, clock, "2026-03-03T15:00:00")
    await opus.start(Cron("0 23 * * *"), ran("2026-03-01T23:00:00"))
    await clock.advance(1)
    assert opus.ran == ["03 15:00:00"]


@each(
    ("before", "after"),
    [
        ({"schedule": Every(DAY)}, {"schedule": Cron("0 3 * * *")}),
        ({"schedule": Cron("0 20 * * *")}, {"schedule": Cron("0 20 * * *", ZoneInfo("America/New_York"))}),
        ({"schedule": Cron("0 3 * * *"), "enabled": False}, {"enabled": True}),
        ({"schedule": Cron("0 3 * * *"), "catch_up": False}, {"catch_up": True}),
    ],
)
@each("restarts", [False, True])
async def test_another_zone_an_interval_that_became_cron_and_a_task_enabled_again_wait_for_their_slot(
    build, clock, before, after, restarts
):
    opus = Citizen(build, clock, "2026-03-03T02:50:00")
    await opus.start(state=ran("2026-03-02T20:00:00"), **{"catch_up": True} | before)
    await clock.jump(12 * HOUR)
    if restarts:
        await opus.stop()
        opus.tick = replace(opus.tick, **after)
        await opus.start_again()
    else:
        opus.edit(**after)
    await clock.advance(HOUR)
    assert opus.runs == []
    await opus.until("2026-03-04T09:00:00")
    assert len(opus.runs) == 1


async def test_a_task_whose_settings_were_missing_has_not_missed_its_slots(build, clock):
    opus = Citizen(build, clock, "2026-03-02T12:00:00")
    await opus.start(HOURLY)
    work = opus.tick.work
    opus.edit(work=NotSetUp("host"))
    await clock.advance(hours=3.5)
    opus.edit(work=work)
    await clock.advance(hours=1)
    assert opus.ran == ["02 16:00:00"]


async def test_a_task_that_was_removed_and_is_put_back_waits_for_its_slot(build, clock):
    opus = Citizen(build, clock, "2026-03-02T12:00:00")
    await opus.start(HOURLY, ran("2026-03-02T12:00:00"))
    opus.scheduler.set_tasks([])
    await clock.advance(hours=3.5)
    opus.scheduler.set_tasks([opus.tick])
    await clock.advance(hours=1)
    assert opus.ran == ["02 16:00:00"]


@each("catch_up", [True, False])
@each("restarts", [False, True])
async def test_a_task_that_is_resumed_in_the_afternoon_does_not_run_for_the_night_it_was_paused(
    build, clock, catch_up, restarts
):
    opus = Citizen(build, clock, "2026-03-02T12:00:00")
    await opus.start(Cron("0 2 * * *"), ran("2026-03-02T02:00:00"), catch_up=catch_up)
    await opus.scheduler.pause("tick")
    await opus.until("2026-03-03T15:00:00")
    if restarts:
        await opus.restart()
    await opus.scheduler.resume("tick")
    assert opus.due == "04 02:00:00"
    await opus.until("2026-03-04T03:00:00")
    assert opus.ran == ["04 02:00:00"]


async def test_a_slot_that_was_missed_before_the_pause_is_still_made_up(build, clock):
    opus = Citizen(build, clock, "2026-03-02T12:00:00")
    await opus.start(Cron("0 2 * * *"), ran("2026-03-02T02:00:00"))
    await opus.stop()
    await opus.until("2026-03-03T09:00:00")
    opus.tick = replace(opus.tick, jitter=0.0)
    await opus.start_again(lambda state: state.with_pause(clock.now()))
    await clock.advance(600)
    await opus.scheduler.resume("tick")
    await clock.advance(1)
    assert opus.ran == ["03 09:10:00"]


async def test_a_task_that_is_resumed_by_an_edit_of_the_state_file_waits_for_its_slot(build, clock):
    opus = Citizen(build, clock, "2026-03-02T12:00:00")
    await opus.start(Cron("0 2 * * *"), ran("2026-03-02T02:00:00"))
    await opus.scheduler.pause("tick")
    await opus.stop()
    await opus.until("2026-03-03T15:00:00")
    await opus.start_again(lambda state: replace(state, paused=False))
    await clock.advance(HOUR)
    assert opus.runs == [] and opus.state.paused_at is None


async def test_a_retry_that_came_due_during_a_pause_does_not_run_when_the_task_is_resumed(build, clock):
    opus = Citizen(build, clock, "2026-03-02T01:59:00")
    await opus.start(Cron("0 2 * * *"), fails=True, retries=3, retry_delay=600)
    await opus.until("2026-03-02T02:01:00")
    await opus.scheduler.pause("tick")
    await opus.until("2026-03-02T15:00:00")
    await opus.scheduler.resume("tick")
    await clock.advance(HOUR)
    assert opus.ran == ["02 02:00:00"]


async def test_an_interval_that_has_passed_during_a_pause_is_due_when_it_is_resumed(build, clock):
    opus = Citizen(build, clock, "2026-03-02T12:00:00")
    await opus.start(Every(HOUR), ran("2026-03-02T12:00:00"))
    await opus.scheduler.pause("tick")
    await opus.until("2026-03-02T15:20:00")
    await opus.scheduler.resume("tick")
    await clock.advance(1)
    assert opus.ran == ["02 15:20:00"]


async def test_without_catch_up_it_keeps_its_rhythm(build, clock):
    opus = Citizen(build, clock, "2026-03-02T12:00:00")
    await opus.start(Every(HOUR), ran("2026-03-02T12:00:00"), catch_up=False)
    await opus.scheduler.pause("tick")
    await opus.until("2026-03-02T15:20:00")
    await opus.scheduler.resume("tick")
    await clock.advance(HOUR)
    assert opus.ran == ["02 16:00:00"]


# ------------------------------------------------------------------ runs that are longer than their slots


@each("catch_up", [True, False])
async def test_a_run_that_is_longer_than_its_slots_waits_for_its_time(build, clock, catch_up):
    """kubernetes 57853 and 63371, scylla-manager 4310, airflow 46618: a short overrun is no full load."""
    opus = Citizen(build, clock, "2026-03-02T12:00:00")
    await opus.start(FIVE, takes=430, catch_up=catch_up)
    await clock.advance(minutes=29)
    assert opus.ran == ["02 12:05:00", "02 12:15:00", "02 12:25:00"]


async def test_a_run_by_hand_that_is_longer_than_its_slots_waits_for_its_time_too(build, clock):
    opus = await Citizen(build, clock, "2026-03-02T12:01:00").start(FIVE, takes=430)
    await opus.scheduler.force("tick")
    await clock.advance(minutes=13)
    assert opus.ran == ["02 12:01:00", "02 12:10:00"]


async def test_a_daily_run_of_25_hours_starts_at_two_o_clock(build, clock):
    opus = Citizen(build, clock, "2026-03-02T01:00:00")
    await opus.start(Cron("0 2 * * *"), takes=25 * HOUR)
    await clock.advance(hours=80)
    assert opus.ran == ["02 02:00:00", "04 02:00:00"]


async def test_an_interval_that_is_shorter_than_its_run_keeps_its_rhythm(build, clock):
    opus = Citizen(build, clock, "2026-03-02T12:00:00")
    await opus.start(Every(300), takes=430)
    await clock.advance(minutes=29)
    assert opus.ran == ["02 12:00:00", "02 12:10:00", "02 12:20:00"]


async def test_slots_after_the_scheduler_died_during_a_run_are_made_up(build, clock):
    opus = Citizen(build, clock, "2026-03-02T01:59:59")
    await opus.start(Cron("0 2 * * *"), takes=600)
    await clock.advance(60)
    died = opus.state
    await opus.stop()
    await opus.until("2026-03-04T10:00:00")
    await opus.start_again(lambda _: replace(died, running=replace(died.running, pid=2**30)))
    await clock.advance(1)
    assert opus.ran == ["02 02:00:00", "04 10:00:00"]


# ------------------------------------------------------------------ jitter


async def test_jitter_does_not_make_an_interval_longer(build, clock):
    """apscheduler 291, symfony 64827, temporal 3059."""
    opus = await Citizen(build, clock, "2026-03-02T12:00:00").start(Every(HOUR), jitter=1800.0)
    await clock.advance(hours=240)
    assert len(opus.runs) == 240
    assert all(abs(each - opus.runs[0] - n * HOUR) < 1800 for n, each in enumerate(opus.runs))


async def test_jitter_that_is_longer_than_the_time_between_two_slots_loses_none(build, clock):
    opus = await Citizen(build, clock, "2026-03-02T12:00:00").start(FIVE, jitter=900.0)
    await clock.advance(hours=10)
    assert {int(each // 300) for each in opus.runs} == {
        int(at("2026-03-02T12:05:00") // 300) + n for n in range(len(opus.runs))
    }
    assert len(opus.runs) in (119, 120)


@each("schedule", [Every(HOUR), HOURLY])
@each("catch_up", [True, False])
async def test_jitter_is_the_same_over_restarts_and_loses_no_slot(build, clock, schedule, catch_up):
    straight = Citizen(build, clock, "2026-03-02T12:00:00")
    await straight.start(schedule, ran("2026-03-02T12:00:00"), jitter=1800.0, catch_up=catch_up)
    await clock.advance(hours=24)
    await straight.stop()
    broken = Citizen(build, clock, "2026-03-02T12:00:00")
    await broken.start(schedule, ran("2026-03-02T12:00:00"), jitter=1800.0, catch_up=catch_up)
    for _ in range(48):
        await clock.advance(minutes=30)
        await broken.restart()
    assert broken.runs == straight.runs and len(broken.runs) in (23, 24)


async def test_a_start_that_jitter_has_put_off_is_not_missed_by_a_restart_before_it(build, clock):
    opus = Citizen(build, clock, "2026-03-03T01:00:00")
    await opus.start(Cron("0 2 * * *"), ran("2026-03-02T02:00:00"), jitter=3 * HOUR, catch_up=False)
    due = opus.due
    assert due > "03 02:10:00"
    await opus.stop()
    await opus.until("2026-03-03T02:05:00")
    await opus.start_again()
    assert opus.due == due
    await clock.advance(hours=4)
    assert opus.ran == [due]


# ------------------------------------------------------------------ retries


@each(
    ("cron", "slot", "retries", "delay"),
    [
        ("*/5 * * * *", 300, 5, 240.0),
        ("*/10 * * * *", 600, 5, 60.0),
        ("0 * * * *", 3600, 8, 60.0),
        ("*/5 * * * *", 300, 2, 600.0),
    ],
)
async def test_a_service_that_asks_for_patience_does_not_get_five_requests_in_one_second(
    build, clock, cron, slot, retries, delay
):
    """openclaw 85896, qm 768, borgcube 9."""
    opus = await Citizen(build, clock, "2026-03-02T12:00:00").start(
        Cron(cron), fails=True, retries=retries, retry_delay=delay
    )
    await clock.advance(3.1 * slot)
    retried = [b - a for a, b in zip(opus.runs, opus.runs[1:], strict=False) if b % slot > 0.5]
    assert all(gap >= 0.9 * delay for gap in retried)
    assert sum(each % slot < 0.5 for each in opus.runs) == 3


async def test_a_retry_later_than_the_next_slot_is_left_to_the_slot_which_has_all_its_retries(build, clock):
    opus = await Citizen(build, clock, "2026-03-02T12:00:00").start(
        FIVE, fails=True, retries=1, retry_delay=200.0
    )
    await clock.advance(minutes=11)
    assert len(opus.runs) == 3 and opus.state.attempt == 1
    await opus.stop()
    late = Citizen(build, clock, "2026-03-02T12:00:00")
    await late.start(FIVE, fails=True, retries=1, retry_delay=400.0)
    await clock.advance(minutes=11)
    assert late.ran == ["02 12:05:00", "02 12:10:00"] and late.state.attempt == 0


async def test_a_retry_whose_next_slot_has_passed_while_nothing_ran_is_dropped(build, clock):
    opus = Citizen(build, clock, "2026-03-02T12:04:59")
    await opus.start(FIVE, fails=True, retries=3, retry_delay=120.0, catch_up=False)
    await clock.advance(10)
    await opus.stop()
    await opus.until("2026-03-02T12:32:00")
    await opus.start_again()
    await opus.until("2026-03-02T12:35:01")
    assert opus.ran == ["02 12:05:00", "02 12:35:00"]


# ------------------------------------------------------------------ what status says, and edits by hand


@each(
    ("task", "state", "due"),
    [
        (
            {"schedule": Cron("0 2 * * *"), "catch_up": False},
            {},
            "04 02:00:00",
        ),  # it stays missed
        ({"schedule": Cron("0 2 * * *")}, {}, "03 09:00:00"),  # it is made up when a scheduler starts
        ({"schedule": Cron("0 3 * * *")}, {"schedule": "0 2 * * * UTC"}, "04 03:00:00"),  # edited meanwhile
        ({"schedule": Every(HOUR)}, {"last_run": at("2026-04-01T00:00:00")}, "03 10:00:00"),
    ],
)
async def test_status_and_next_say_when_a_scheduler_that_starts_now_will_run_it(
    build, clock, home, task, state, due
):
    opus = Citizen(build, clock, "2026-03-03T09:00:00")
    state = replace(ran("2026-03-02T02:00:00"), **state)
    opus.tick = opus.task(**{"catch_up": True} | task)
    StateFile(home).save({"tick": state}, 1, durable=False)
    _, row = read_snapshot(CitizenSettings("opus", home, (opus.tick,)), clock.now()).tasks
    said = max(row.due or 0.0, clock.now())
    assert datetime.fromtimestamp(said, UTC).strftime("%d %H:%M:%S") == due
    await opus.start_with(state)
    await clock.advance(said - clock.now() + 1)
    assert opus.ran == [due]


async def edited_by_hand(clock, home, scheduler, **changes) -> None:
    """Another program changes the state file while the scheduler runs."""
    file = StateFile(home)
    states, _ = file.load()
    file.save({"tick": replace(states["tick"], **changes)}, 1, durable=False)
    scheduler.reload_if_edited()
    await until(
        lambda: "changed by hand" in {each.kind for each in scheduler.snapshot().events}, "it is seen"
    )


async def test_a_last_run_that_is_edited_by_hand_decides_what_is_due(build, clock, home):
    opus = Citizen(build, clock, "2026-03-03T02:00:30")
    opus.tick = opus.task(Cron("0 2 * * *"))
    state = ran("2026-03-03T02:00:00", slot=at("2026-03-03T02:00:00"))
    StateFile(home).save({"tick": state}, 1, durable=False)
    opus.scheduler = await build(opus.tick, store=DiskStore(home, clock))
    await clock.advance(1)
    assert opus.ran == []
    await edited_by_hand(clock, home, opus.scheduler, last_run=at("2026-03-03T01:00:00"))
    await clock.advance(1)
    await until(lambda: opus.runs, "it runs")
    assert len(opus.runs) == 1


async def test_a_moment_in_the_future_that_is_edited_by_hand_is_put_right_in_the_file(build, clock, home):
    opus = Citizen(build, clock, "2026-03-03T02:00:30")
    opus.tick = opus.task(Every(HOUR))
    StateFile(home).save({"tick": ran("2026-03-03T02:00:00")}, 1, durable=False)
    opus.scheduler = await build(opus.tick, store=DiskStore(home, clock))
    await clock.advance(1)
    await edited_by_hand(clock, home, opus.scheduler, last_run=at("2026-04-03T02:00:00"))
    now = clock.now()
    await until(lambda: StateFile(home).load()[0]["tick"].last_run == now, "it is saved")


async def test_resume_of_a_task_that_is_not_paused_does_not_drop_the_slot_that_waits_for_its_jitter(
    build, clock
):
    """Found by the simulation: the slot of 13:00 never ran."""
    opus = await Citizen(build, clock, "2026-03-02T12:30:00").start(Cron("0 * * * *"), jitter=1200.0)
    await opus.until("2026-03-02T13:00:00")
    await opus.scheduler.resume("tick")
    await opus.until("2026-03-02T13:30:00")
    assert len(opus.runs) == 1


async def test_a_task_that_is_paused_twice_does_not_run_when_it_is_resumed(build, clock):
    """Found by the simulation: slots between the two pauses counted as missed."""
    opus = await Citizen(build, clock, "2026-03-02T12:00:00").start(Cron("0 2 * * *"))
    await opus.scheduler.pause("tick")
    await opus.until("2026-03-03T03:00:00")
    await opus.scheduler.pause("tick")
    await opus.until("2026-03-03T07:00:00")
    await opus.scheduler.resume("tick")
    await opus.until("2026-03-03T08:00:00")
    assert opus.runs == []
