"""Active hours: worked out again minute by minute, over changes of the clock; in forecasts, too."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from scheduler.core.planning import LATE, made_up, next_start, taken_up
from scheduler.core.schedules.active_hours import DAYS, ActiveHours
from scheduler.core.schedules.forecast import TimeGrid, slots, upcoming
from scheduler.core.schedules.schedule import NEVER, AtStart, Cron, Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Outcome, Task
from scheduler.errors import BadSchedule
from tests.each import each
from tests.fakes import NOON

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
BERLIN = ZoneInfo("Europe/Berlin")
# Days on which the clocks there change, by an hour or a half, at night or at midnight.
CHANGES = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("America/Santiago", "2026-04-05"),
    ("America/Santiago", "2026-09-06"),
    ("Africa/Casablanca", "2026-02-15"),
]
TEXTS = [
    "08:00-22:00",
    "mon-fri 08:00-18:00, sat 10:00-12:00",
    "22:00-06:00",
    "02:30-05:00",
    "06:00-02:30",
    "sun 02:15-02:45",
    "sat-mon 23:30-00:30, wed 00:00-24:00",
    "00:00-02:30, 02:30-24:00",
]


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


# ------------------------------------------------------------------ the value


def shown(moment: float, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None)


def boundary(wall: datetime, zone: ZoneInfo) -> float:
    """The first minute at which the clock shows this time or a later one, found by looking at each."""
    first = wall.replace(tzinfo=zone).timestamp() // MINUTE * MINUTE - 3 * HOUR
    return next(m for m in (first + MINUTE * n for n in range(400)) if shown(m, zone) >= wall)


def windows(text: str, zone: ZoneInfo, day: datetime) -> Iterator[tuple[float, float]]:
    """Those that begin on a day; read apart from the code under test."""
    for part in text.split(", "):
        *days, clock = part.split(" ")
        first, _, last = (days[0] if days else "mon-sun").partition("-")
        names = [*DAYS, *DAYS][DAYS.index(first) :]
        if DAYS[day.weekday()] in names[: names.index(last or first) + 1]:
            start, end = (timedelta(hours=int(each[:2]), minutes=int(each[3:])) for each in clock.split("-"))
            yield boundary(day + start, zone), boundary(day + end + timedelta(days=end <= start), zone)


@each(("name", "date"), CHANGES)
def test_hours_begin_and_end_when_the_clock_first_shows_their_time(name, date):
    zone, day = ZoneInfo(name), datetime.fromisoformat(date)
    for text in TEXTS:
        hours = ActiveHours(text, zone)
        around = (day + timedelta(days=n) for n in range(-9, 18))
        open_at = [window for each in around for window in windows(text, zone, each)]
        start = (day - timedelta(days=1)).replace(tzinfo=zone).timestamp()
        for moment in (start + 10 * MINUTE * n for n in range(3 * 144)):
            inside = any(begin <= moment < end for begin, end in open_at)
            assert hours.contains(moment) is inside, (text, shown(moment, zone))
            wanted = moment if inside else min(b for b, e in open_at if moment < b < e)
            assert hours.next_start(moment) == wanted, (text, shown(moment, zone))


def test_windows_that_touch_leave_no_hole():
    for name, date in CHANGES:
        hours, start = ActiveHours("00:00-02:30, 02:30-24:00", ZoneInfo(name)), at(date, ZoneInfo(name))
        assert all(hours.contains(start - DAY + MINUTE * n) for n in range(4 * 1440))


def test_days_are_listed_as_people_write_them():
    sunday, monday = at("2026-03-01"), at("2026-03-02")
    both = ActiveHours("Mon , WED 8:00 - 10:00, 12:00-13:00", BERLIN)
    assert [both.contains(monday + h * HOUR) for h in (7.9, 8, 9.9, 10, 12, 13)] == [
        False, True, True, False, True, False,
    ]  # fmt: skip
    assert both.next_start(sunday) == monday + 8 * HOUR
    assert both.next_start(monday + 13 * HOUR) == monday + 2 * DAY + 8 * HOUR
    week_end = ActiveHours("fri-mon 22:00-06:00", BERLIN)
    assert week_end.contains(sunday + HOUR) and week_end.contains(monday + DAY)  # Monday night, into Tuesday
    assert not week_end.contains(monday + DAY + 23 * HOUR)


@each(
    ("text", "problem"),
    [
        ("", "'' is not a window of hours"),
        ("8-22", "'8-22' is not a window of hours"),
        ("08:00-22:00,", "'' is not a window of hours"),
        ("mon", "'mon' has no hours"),
        ("08:00-09:00, sat", "'sat' has no hours"),
        ("mon-fry 08:00-10:00", "'fry' is not one of mon, tue"),
        ("08:00-25:00", "there is no time 25:00"),
        ("08:00-08:60", "there is no time 08:60"),
        ("08:00-08:00", "begins where it ends"),
        ("24:00-06:00", "or at the end of the day"),
    ],
)
def test_a_mistake_is_one_line_with_an_example(text, problem):
    with pytest.raises(BadSchedule, match=problem) as caught:
        ActiveHours(text)
    assert str(caught.value).startswith(repr(text)) and str(caught.value).count(repr(text)) == 1
    assert str(caught.value).endswith('like "08:00-22:00" or "mon-fri 08:00-18:00, sat 10:00-12:00"')
    assert "\n" not in str(caught.value)


def test_far_from_all_calendars_there_are_no_hours():
    assert (
        ActiveHours("08:00-22:00").next_start(1e18) == NEVER == ActiveHours("08:00-22:00").next_start(NEVER)
    )


# ------------------------------------------------------------------ what is due


def task(schedule, hours="08:00-22:00", zone=BERLIN, **more) -> Task:
    return Task("tick", schedule, Call(print), active=ActiveHours(hours, zone), **more)


def ran(when: float, **more) -> TaskState:
    return TaskState(last_run=when, run_count=1, first_seen=when - DAY, **more)


def due(task: Task, state: TaskState, now: float, floor: float | None = None) -> float:
    return next_start("opus", task, state, now, now if floor is None else floor)[0]


CRON_TEXTS = ("*/20 * * * *", "30 2 * * *", "0 23 * * *", "15 0,12 * * *")


def expected(slots: set[float], is_open: list[bool], since: float, catch_up: bool) -> Iterator[float]:
    """Minute by minute: a slot outside is made up once, when the hours begin."""
    owed = False
    for number, inside in enumerate(is_open[1:], 1):
        minute = since + MINUTE * number
        owed = owed or (minute in slots and not inside)
        if inside and (minute in slots or (owed and not is_open[number - 1] and catch_up)):
            yield minute
            owed = False


@each(("name", "date"), CHANGES)
def test_slots_outside_are_skipped_and_made_up_once(name, date):
    zone = ZoneInfo(name)
    since = at(date, zone) - DAY + 9 * HOUR
    for text in TEXTS:
        hours = ActiveHours(text, zone)
        is_open = [hours.contains(since + MINUTE * number) for number in range(3 * 1440)]
        if not is_open[0]:
            continue
        for cron in (Cron(text, zone) for text in CRON_TEXTS):
            slots, state = set(cron.upcoming(since, 300)), ran(since, slot=since)
            for catch_up in (True, False):
                tick = task(cron, text, zone, catch_up=catch_up)
                wanted = list(expected(slots, is_open, since, catch_up))
                found = upcoming("opus", tick, state, since, since, len(wanted) or 1)
                assert list(found)[: len(wanted)] == wanted, (text, cron.expression, catch_up)


HOURS = some.sampled_from(TEXTS).map(lambda text: ActiveHours(text, BERLIN))
MOMENTS = some.floats(-20 * DAY, 20 * DAY).map(lambda offset: NOON + offset)
TASKS = some.builds(
    Task,
    some.just("tick"),
    some.builds(Cron, some.sampled_from(["*/5 * * * *", "30 2 * * *", "0 9 * * mon-fri"]), some.just(BERLIN))
    | some.builds(Every, some.sampled_from([300.0, HOUR, DAY])),
    some.just(Call(print)),
    jitter=some.sampled_from([0.0, 30.0]),
    catch_up=some.booleans(),
    retries=some.just(3),
    active=HOURS,
)
STATES = some.builds(
    TaskState,
    last_run=some.none() | MOMENTS,
    first_seen=MOMENTS,
    wanted_since=some.none() | MOMENTS,
    retry_at=some.none() | MOMENTS,
    due_now=some.booleans(),
    outcome=some.sampled_from([None, Outcome.FAILED]),
)


@settings(max_examples=200, deadline=None)
@given(TASKS, STATES, MOMENTS)
def test_no_schedule_starts_anything_outside(task, state, now):
    state = taken_up("opus", task, state, now)
    when = next_start("opus", task, state, now, now)[0]
    if when == NEVER:
        return
    start = max(when, now)
    inside = task.active.contains(start)
    late = when > now - LATE and task.active.contains(when)
    assert inside or late
    forced = state.asked_for()
    assert next_start("opus", task, forced, now, now)[0] == 0.0


@settings(max_examples=100, deadline=None)
@given(TASKS, STATES, MOMENTS)
def test_the_timeline_agrees_with_the_next_times(task, state, now):
    state = replace(state, due_now=False)
    grid = TimeGrid(now, 300.0, 1000)
    marks = slots("opus", task, state, now, now, grid)
    said = upcoming("opus", task, state, now, now, 3)
    assert marks[:1] == tuple(when for when in said[:1] if when < grid.end)
    assert all(when == now or task.active.contains(when) for when in marks)


def test_what_was_missed_inside_waits_for_the_next_hours():
    tick = task(Cron("0 21 * * *", BERLIN))
    late, night, morning = at("2026-03-02 21:00:40"), at("2026-03-02 23:00"), at("2026-03-03 08:00")
    state = ran(at("2026-03-01 21:00"))
    assert due(tick, state, late) == at("2026-03-02 21:00")
    assert due(tick, state, night) == morning
    assert due(tick, state, morning + HOUR) == at("2026-03-02 21:00")  # at once, in hours again
    assert due(replace(tick, catch_up=False), state, night) == at("2026-03-03 21:00")


def test_the_last_moment_of_the_hours_may_be_late():
    tick = task(Every(HOUR))
    state = ran(at("2026-03-02 20:59:59"))
    assert due(tick, state, at("2026-03-02 22:00:20")) == at("2026-03-02 21:59:59")
    assert due(tick, state, at("2026-03-02 22:01:20")) == at("2026-03-03 08:00")


def test_an_interval_that_always_falls_outside_still_runs():
    night = ran(at("2026-03-02 23:00"))
    day = at("2026-03-03 09:00")
    assert due(task(Every(DAY)), night, day) == at("2026-03-04 08:00")
    assert at("2026-03-04") < due(task(Every(DAY), catch_up=False), night, day) < NEVER
    never_ran = TaskState(first_seen=at("2026-03-02 23:00"))
    assert due(task(Every(DAY), catch_up=False), never_ran, at("2026-03-02 23:00")) == at("2026-03-03 08:00")


def test_a_retry_waits_for_the_hours_or_is_left_to_the_next_slot():
    state = ran(at("2026-03-02 21:58"), outcome=Outcome.FAILED, retry_at=at("2026-03-02 22:05"), attempt=1)
    hourly, now = task(Every(12 * HOUR), retries=3), at("2026-03-02 22:00")
    assert due(hourly, state, now) == at("2026-03-03 08:00")
    assert due(replace(hourly, catch_up=False), state, now) == at("2026-03-03 09:58")


def test_a_reset_and_a_start_wait_for_the_hours_and_a_force_does_not():
    night, morning = at("2026-03-02 23:00"), at("2026-03-03 08:00")
    for schedule in (Every(HOUR), AtStart()):
        assert due(task(schedule), ran(NOON).reset(), night) == morning
        assert due(task(schedule), ran(NOON).asked_for(), night) == 0.0
    assert due(task(Every(HOUR)), ran(NOON).reset(), morning) == 0.0


def test_jitter_does_not_carry_a_start_past_the_end_of_the_hours():
    """Found by the simulation: a start an hour after them."""
    for minute in range(50, 60):
        tick = task(Cron(f"{minute} 21 * * *", BERLIN), jitter=2 * HOUR)
        when, slot = next_start("opus", tick, ran(NOON), NOON, NOON)
        assert slot == at(f"2026-03-02 21:{minute}") < when < at("2026-03-02 22:00")


def test_jitter_goes_on_into_the_hours_that_follow_at_once():
    tick = task(Cron("29 2 * * *", BERLIN), "00:00-02:30, 02:30-24:00", jitter=HOUR)
    starts = (next_start(name, tick, ran(NOON), NOON, NOON)[0] for name in ("opus", "haiku", "sonnet"))
    assert max(starts) > at("2026-03-03 02:31")


def test_what_fell_outside_is_spread_within_the_hours_in_which_it_is_made_up():
    tick = task(Cron("0 23 * * *", BERLIN), "08:00-08:10", jitter=2 * HOUR)
    when, _ = next_start("opus", tick, ran(NOON), NOON, NOON)
    assert at("2026-03-03 08:00") < when < at("2026-03-03 08:10")


def test_jitter_belongs_to_the_start():
    tick = task(Cron("59 21 * * *", BERLIN), jitter=600.0)
    when, slot = next_start("opus", tick, ran(NOON), NOON, NOON)
    assert slot == at("2026-03-02 21:59") < when
    assert not made_up(tick, when, slot)
    outside = task(Cron("0 23 * * *", BERLIN), jitter=600.0)
    when, slot = next_start("opus", outside, ran(NOON), NOON, NOON)
    assert slot == at("2026-03-02 23:00")
    assert at("2026-03-03 08:00") < when < at("2026-03-03 08:10")
    assert made_up(outside, when, slot)


def test_other_hours_are_another_schedule():
    before, now = (
        taken_up("opus", task(Cron("0 3 * * *", BERLIN), "08:00-22:00"), ran(NOON), NOON),
        at("2026-03-03 07:00"),
    )
    other = task(Cron("0 3 * * *", BERLIN), "06:00-22:00")
    assert due(other, taken_up("opus", other, before, now), now) == at("2026-03-04 06:00")
