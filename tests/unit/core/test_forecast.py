"""The slots of a stretch of time: those of the scheduler, the first of each cell, over clock changes, too."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from scheduler.core.planning import spread
from scheduler.core.schedules.forecast import TimeGrid, slots, upcoming
from scheduler.core.schedules.schedule import AtStart, Cron, Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Task
from tests.each import each
from tests.fakes import NOON

RAN = TaskState(last_run=NOON - 60, run_count=1)
HOUR = 3600.0


def task(schedule, **more) -> Task:
    return Task("tick", schedule, Call(print), **more)


def times(schedule, window: TimeGrid, state: TaskState = RAN, now: float = NOON, **more) -> list[float]:
    return [when - NOON for when in slots("opus", task(schedule, **more), state, now, 0.0, window)]


def day(cell: float = 900.0, start: float = NOON) -> TimeGrid:
    return TimeGrid(start, cell, int(24 * HOUR / cell))


def test_they_are_those_that_the_scheduler_says_come_next():
    for schedule in (Every(3600), Every(7200), Cron("*/20 * * * *"), Cron("7 3,15 * * *")):
        said = upcoming("opus", task(schedule), RAN, NOON, 0.0, 500)
        window = day(60.0)
        assert slots("opus", task(schedule), RAN, NOON, 0.0, window) == tuple(
            when for when in said if when < window.end
        )


def test_of_many_in_a_cell_only_the_first_is_listed_however_often_it_runs():
    every_second = times(Every(1.0), day(900.0))
    assert len(every_second) == 96
    assert every_second[:3] == [0.0, 900.0, 1800.0]
    assert len(times(Cron("* * * * *"), day(900.0))) == 96


def test_the_rhythm_is_kept_over_the_cells_that_are_jumped():
    seen = times(Every(70), day(3600.0))
    assert len(seen) == 24
    assert all((when + 60) % 70 == 0 for when in seen[1:])
    assert all(0 <= when % 3600 < 70 for when in seen[1:])


def test_a_slot_at_the_very_start_of_a_cell_is_in_it():
    state = TaskState(last_run=NOON, run_count=1)
    assert times(Every(900), day(), state)[:2] == [900.0, 1800.0]
    assert times(Cron("0 * * * *"), day(900.0), state)[:2] == [3600.0, 7200.0]


def test_a_window_further_on_starts_where_it_starts():
    later = day(900.0, NOON + 10 * HOUR)
    assert (
        times(Every(3600), later)[0] == 11 * HOUR - 60 - HOUR * 0 or times(Every(3600), later)[0] >= 10 * HOUR
    )
    assert times(Every(1.0), later)[0] == 10 * HOUR


@each(
    ("schedule", "state", "more"),
    [
        (AtStart(), RAN, {}),
        (Every(300), RAN, {"enabled": False}),
        (Every(300), RAN.with_pause(NOON), {}),
    ],
)
def test_what_is_not_to_run_has_none(schedule, state, more):
    assert times(schedule, day(), state, **more) == []


def test_jitter_is_where_the_scheduler_puts_it():
    tick = task(Every(3600), jitter=600.0)
    said = upcoming("opus", tick, RAN, NOON, 0.0, 30)
    assert slots("opus", tick, RAN, NOON, 0.0, day(60.0))[:5] == said[:5]


def test_jitter_is_there_after_cells_that_were_jumped_too():
    tick = task(Cron("*/10 * * * *"), jitter=300.0)
    found = slots("opus", tick, RAN, NOON, 0.0, day(3600.0))
    assert len(found) == 24
    for when in found:
        slot = when // 600 * 600
        assert abs(when - slot - spread("opus", tick, slot)) < 0.001


def local(zone: str, expression: str, first: str, hours: int = 26) -> list[str]:
    """When the expression matches from this local time on, as clocks there show it."""
    place = ZoneInfo(zone)
    start = datetime.fromisoformat(first).replace(tzinfo=place).timestamp()
    state = TaskState(first_seen=start - 1)
    window = TimeGrid(start, 900.0, hours * 4)
    found = slots("opus", task(Cron(expression, place)), state, start - 1, 0.0, window)
    return [datetime.fromtimestamp(when, UTC).astimezone(place).strftime("%H:%M%z") for when in found]


def test_a_day_of_23_hours_in_berlin():
    assert local("Europe/Berlin", "30 * * * *", "2026-03-29T00:00", 4) == [
        "00:30+0100", "01:30+0100", "03:30+0200", "04:30+0200",
    ]  # fmt: skip


def test_a_day_of_25_hours_in_berlin():
    assert local("Europe/Berlin", "30 * * * *", "2026-10-25T01:00", 4) == [
        "01:30+0200", "02:30+0200", "02:30+0100", "03:30+0100",
    ]  # fmt: skip


def test_half_an_hour_is_skipped_and_repeated_in_lord_howe():
    assert local("Australia/Lord_Howe", "*/30 * * * *", "2026-10-04T01:00", 2) == [
        "01:00+1030", "01:30+1030", "02:30+1100", "03:00+1100",
    ]  # fmt: skip
    autumn = local("Australia/Lord_Howe", "*/30 * * * *", "2026-04-05T01:00", 2)
    assert autumn == ["01:00+1100", "01:30+1100", "01:30+1030", "02:00+1030"]


def test_what_holds_a_task_stands_before_its_next_times():
    """What comes meanwhile is one run at the end of it; from there on the schedule goes on."""
    until = NOON + 1000
    for schedule, after in ((Every(600), (600, 1200)), (Cron("*/10 * * * *"), (200, 800))):
        said = upcoming("opus", task(schedule), RAN, NOON, 0.0, 3, held=until)
        assert [when - until for when in said] == [0, *after], schedule
