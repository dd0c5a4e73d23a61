"""Freezes as values: which is in force, and what is due after one."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as some

from scheduler.core.planning import next_start, taken_up
from scheduler.core.schedules.forecast import TimeGrid, slots, upcoming
from scheduler.core.schedules.freeze import SPANS_KEPT, Freeze, FreezeNote, Freezes, Span
from scheduler.core.schedules.schedule import NEVER, Cron, Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Outcome, Task
from tests.fakes import NOON

HOUR, DAY = 3600.0, 86400.0
FAR = NOON + 30 * DAY
HOURLY = Task("tick", Cron("30 * * * *"), Call(print))
RAN = TaskState(last_run=NOON - 1800, slot=NOON - 1800, run_count=1)
FROZEN = Freeze(NOON, NOON + 2 * HOUR, "ct", "invoices are under review")


def due(state: TaskState, now: float, freeze: Freeze | None = None, task: Task = HOURLY) -> float:
    return next_start("opus", task, state, now, now, freeze)[0]


def after(state: TaskState, spans: list[Span], now: float = FAR) -> TaskState:
    return taken_up("opus", HOURLY, state, now, frozen=spans)


# ------------------------------------------------------------------ which one is in force


def test_of_two_the_one_that_lasts_longer_is_shown():
    own, root = FreezeNote(FROZEN), FreezeNote(Freeze(NOON + 1, NOON + HOUR, "mk", together=True))
    assert Freezes(own, root).now(NOON + 10) == FROZEN
    assert Freezes(FreezeNote(replace(FROZEN, until=NOON + 60)), root).now(NOON + 10) == root.last
    assert Freezes(own, FreezeNote(replace(FROZEN, until=None))).now(NOON + 10 * DAY).until is None
    assert Freezes(own, root).now(NOON + 2 * HOUR) is None


def test_a_second_freeze_begins_with_the_first_that_lasts():
    note = FreezeNote(FROZEN).frozen(Freeze(NOON + HOUR, None, "mk"))
    assert note == FreezeNote(Freeze(NOON, None, "mk"))
    later = FreezeNote(FROZEN).frozen(Freeze(NOON + 3 * HOUR, None, "mk"))
    assert later == FreezeNote(Freeze(NOON + 3 * HOUR, None, "mk"), (Span(NOON, NOON + 2 * HOUR),))


def test_what_is_over_is_kept_for_owners_that_were_not_there():
    assert FreezeNote(FROZEN).thawed(NOON + HOUR) == FreezeNote(None, (Span(NOON, NOON + HOUR),))
    assert FreezeNote(FROZEN).over(NOON + HOUR) == ()
    assert FreezeNote(FROZEN).over(NOON + 3 * HOUR) == (Span(NOON, NOON + 2 * HOUR),)
    note = FreezeNote()
    for hour in range(2 * SPANS_KEPT):
        note = note.frozen(Freeze(NOON + hour * HOUR)).thawed(NOON + hour * HOUR + 60)
    assert len(note.past) == SPANS_KEPT and note.past[-1].until == NOON + 99 * HOUR + 60


def test_the_clock_set_back_to_before_it_leaves_its_length():
    assert FROZEN.believed(NOON + 60) == FROZEN
    back = FROZEN.believed(NOON - DAY)
    assert (back.since, back.until) == (NOON - DAY, NOON - DAY + 2 * HOUR)
    assert FreezeNote(FROZEN).thawed(NOON - DAY).past == ()  # no time that has not been


# ------------------------------------------------------------------ what is due after it


def test_a_frozen_task_is_due_when_the_freeze_ends_by_itself():
    assert due(RAN, NOON, FROZEN) == NOON + 2.5 * HOUR
    assert due(RAN, NOON, replace(FROZEN, until=None)) == NEVER
    assert due(RAN, NOON, FROZEN, Task("tick", Every(60), Call(print))) == NOON + 2 * HOUR
    assert due(RAN.asked_for(), NOON, FROZEN) == NOON + 2 * HOUR
    assert upcoming("opus", HOURLY, RAN, NOON, NOON, 2, FROZEN) == (NOON + 2.5 * HOUR, NOON + 3.5 * HOUR)
    grid = TimeGrid(NOON, 600.0, 24)
    assert slots("opus", HOURLY, RAN, NOON, NOON, grid, FROZEN) == (NOON + 2.5 * HOUR, NOON + 3.5 * HOUR)
    assert slots("opus", HOURLY, RAN, NOON, NOON, grid, replace(FROZEN, until=None)) == ()


def test_slots_in_a_freeze_are_not_missed_and_those_after_it_are():
    ended = [Span(NOON, NOON + 2 * HOUR)]
    assert due(after(RAN, ended), NOON + 2 * HOUR) == NOON + 2.5 * HOUR
    late = NOON + 5 * HOUR
    assert due(after(RAN, ended), late) == NOON + 2.5 * HOUR  # no process was there: once


def test_slots_between_two_freezes_are_missed():
    two = [Span(NOON, NOON + 2 * HOUR), Span(NOON + 2.75 * HOUR, NOON + 4 * HOUR)]
    assert due(after(RAN, two), NOON + 4 * HOUR) == NOON + 2.5 * HOUR
    apart = [two[0], Span(NOON + 2.25 * HOUR, NOON + 4 * HOUR)]
    assert due(after(RAN, apart), NOON + 4 * HOUR) == NOON + 4.5 * HOUR


def test_one_that_waited_when_it_began_is_still_due():
    waited = replace(RAN, last_run=NOON - HOUR, slot=NOON - HOUR)
    assert due(after(waited, [Span(NOON, NOON + HOUR)]), NOON + HOUR) == NOON - 1800


STATES = some.builds(
    TaskState,
    last_run=some.none() | some.floats(NOON - 3 * DAY, NOON + DAY),
    first_seen=some.just(NOON - 4 * DAY),
    wanted_since=some.none() | some.floats(NOON - 3 * DAY, NOON + DAY),
    retry_at=some.none() | some.floats(NOON - DAY, NOON + DAY),
    outcome=some.sampled_from([None, Outcome.FAILED]),
)
SPANS = some.lists(
    some.builds(Span, some.floats(NOON - 2 * DAY, NOON - DAY), some.floats(NOON - DAY + 1, NOON)), max_size=3
).map(lambda spans: sorted(spans, key=lambda span: span.until))


@settings(max_examples=200, deadline=None)
@given(STATES, SPANS)
def test_to_take_them_up_twice_changes_nothing(state, spans):
    """An owner that restarts reads them again, and must not forget what was missed since."""
    once = after(state, spans)
    assert after(once, spans) == once
    ran = once.changed(last_run=NOON, slot=NOON, retry_at=None)
    assert after(ran, spans) == after(ran, [])


def test_a_pause_and_freezes_are_left_one_after_the_other_as_they_ended():
    frozen, late = [Span(NOON + 2 * HOUR, NOON + 4 * HOUR)], NOON + 6 * HOUR
    for last, begins, ends, first in (
        (0.5, 1.0, 3.0, 4.5),  # they overlap, the pause comes first
        (0.5, 0.75, 5.0, 5.5),  # the freeze is within it
        (1.5, 2.25, 3.0, 4.5),  # it is within the freeze
        (1.5, 3.0, 5.0, 5.5),  # they overlap, the freeze comes first
        (0.5, 3.0, 5.0, 1.5),  # a slot waited before both
    ):
        at = NOON + last * HOUR
        paused = RAN.changed(last_run=at, slot=at).with_pause(NOON + begins * HOUR, NOON + ends * HOUR)
        assert due(after(paused, frozen, late), late) == NOON + first * HOUR, (last, begins, ends)


def test_a_run_in_a_freeze_that_is_over_tells_that_the_clock_was_set_back_after_it():
    """Whose end the wrong clock noted: the retry of that run came later."""
    ran = RAN.changed(last_run=NOON + HOUR, slot=NOON + HOUR, outcome=Outcome.FAILED)
    retrying = ran.retrying(NOON + HOUR + 30)
    over = [Span(NOON - HOUR, NOON + HOUR + 55)]
    assert due(after(retrying, over, NOON + HOUR + 90), NOON + HOUR + 90) == NOON + HOUR + 30
    begun_at_its_start = [Span(NOON + HOUR - 1, NOON + HOUR + 55)]
    assert after(retrying, begun_at_its_start, NOON + HOUR + 90).retry_at is None


def test_a_freeze_that_is_ahead_since_the_clock_was_set_back_is_none_of_the_past():
    ended = [Span(NOON, NOON + 2 * HOUR)]
    assert due(after(RAN, ended, NOON + HOUR), NOON + HOUR) == NOON + 1800
