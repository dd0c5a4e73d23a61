"""A pause with an end: what is due after it, over restarts and steps of the clock."""

from dataclasses import replace

from scheduler.core.planning import next_start, pause_is_over, taken_up
from scheduler.core.schedules.forecast import TimeGrid, slots, upcoming
from scheduler.core.schedules.schedule import NEVER, Cron, Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Task
from tests.fakes import NOON

HOUR = 3600.0
HOURLY = Task("tick", Cron("30 * * * *"), Call(print))
RAN = TaskState(last_run=NOON - 1800, slot=NOON - 1800, run_count=1)
PAUSED = RAN.with_pause(NOON, NOON + 2 * HOUR, "table changes", "ct")


def due(state: TaskState, now: float, task: Task = HOURLY) -> float:
    return next_start("opus", task, state, now, now)[0]


def test_it_is_due_at_its_first_slot_after_the_pause():
    assert due(PAUSED, NOON) == NOON + 2.5 * HOUR
    assert due(replace(PAUSED, paused_until=None), NOON) == NEVER
    assert upcoming("opus", HOURLY, PAUSED, NOON, NOON, 2) == (NOON + 2.5 * HOUR, NOON + 3.5 * HOUR)
    assert slots("opus", HOURLY, PAUSED, NOON, NOON, TimeGrid(NOON, 600.0, 24)) == (
        NOON + 2.5 * HOUR,
        NOON + 3.5 * HOUR,
    )


def test_an_interval_that_passed_is_due_when_the_pause_ends():
    task = Task("tick", Every(HOUR), Call(print))
    assert due(PAUSED, NOON, task) == NOON + 2 * HOUR


def test_a_force_passes_it_and_leaves_it():
    forced = PAUSED.asked_for()
    assert due(forced, NOON) == 0.0
    assert upcoming("opus", HOURLY, forced, NOON, NOON, 2) == (NOON, NOON + 2.5 * HOUR)


def test_slots_after_its_end_are_missed_where_no_owner_was_there():
    early, late = taken_up("opus", HOURLY, PAUSED, NOON + HOUR), NOON + 5 * HOUR
    assert early.paused
    assert due(taken_up("opus", HOURLY, early, NOON + 2.25 * HOUR), NOON + 2.25 * HOUR) == NOON + 2.5 * HOUR
    woken = taken_up("opus", HOURLY, early, late)
    assert not woken.paused and (woken.paused_until, woken.paused_why, woken.paused_by) == (None, "", "")
    assert due(woken, late) == NOON + 2.5 * HOUR  # once, at once


def test_one_that_waited_when_it_began_is_still_due():
    waited = replace(RAN, last_run=NOON - HOUR, slot=NOON - HOUR).with_pause(NOON, NOON + HOUR)
    assert due(waited, NOON) == NOON + HOUR


def test_a_second_pause_has_its_own_end_and_begins_with_the_first():
    again = PAUSED.with_pause(NOON + HOUR, None, "", "mk")
    assert (again.paused_at, again.paused_until, again.paused_why, again.paused_by) == (NOON, None, "", "mk")
    assert not pause_is_over(again, NOON + DAY) and pause_is_over(PAUSED, NOON + 2 * HOUR)
    assert not pause_is_over(PAUSED, NOON + 2 * HOUR - 1)


DAY = 24 * HOUR


def test_it_ends_by_the_clock_on_the_wall():
    back = taken_up("opus", HOURLY, PAUSED, NOON + 600)  # the clock was set back within the pause
    assert back.paused_until == NOON + 2 * HOUR
    assert not taken_up("opus", HOURLY, PAUSED, NOON + DAY).paused


def test_set_back_to_before_it_began_it_keeps_its_length():
    corrected = taken_up("opus", HOURLY, PAUSED, NOON - DAY)
    assert (corrected.paused_at, corrected.paused_until) == (NOON - DAY, NOON - DAY + 2 * HOUR)
    assert due(corrected, NOON - DAY) < NOON - DAY + 4 * HOUR
