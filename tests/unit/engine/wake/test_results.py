"""Which results a wake still gets, also when the history lacks the last one that it was given."""

from scheduler.core.records import RunRecord
from scheduler.core.state import TaskState
from scheduler.core.task import Outcome
from scheduler.engine.wake.results import results_since
from scheduler.storage.wake_note import LastDelivered
from tests.fakes import NOON

HOUR = 3600.0
LAST = LastDelivered("news", NOON)  # a kill may come before its row is written


def delivered(now: float, *times: float) -> list[float]:
    """When what is delivered now had ended, in hours since noon; `times` are of the history, oldest first."""
    rows = [row(number, NOON + hours * HOUR) for number, hours in enumerate(times)]
    found = results_since(LAST, rows[::-1], {}, NOON + now * HOUR)
    return [(result.time - NOON) / HOUR for result in found]


def row(number: int, at: float) -> RunRecord:
    return RunRecord(number, "mail", at, at, 0.0, Outcome.OK)


def test_by_order_where_the_row_that_was_told_is_there():
    """The clock was set back after it, and has passed its time again."""
    rows = [row(2, NOON - HOUR), RunRecord(1, "news", NOON, NOON, 0.0, Outcome.OK), row(0, NOON - 2 * HOUR)]
    found = results_since(LAST, rows, {}, NOON + HOUR)
    assert [result.time for result in found] == [NOON - HOUR]


def test_by_time_while_the_clock_goes_on():
    assert delivered(3, -2, -1, 1, 2) == [1, 2]


def test_what_ran_since_the_clock_was_set_back_is_told():
    assert delivered(-19, -21, -20) == [-21, -20]


def test_what_ran_before_the_clock_was_set_back_is_not_told_again():
    assert delivered(-19, -2, -1, -21, -20) == [-21, -20]
    assert delivered(-19, -2, -1) == []


def test_what_ran_between_the_wake_and_the_step_back_is_told_too():
    assert delivered(-19, -1, 1, -20) == [1, -20]


def test_all_that_is_read_is_told_where_the_last_wake_came_before_it():
    """The clock was set back twice since, and more ran than is kept."""
    times = [-1.0] * 150 + [-20.0] * 50
    assert delivered(-19, *times) == times


def told_of(state: TaskState) -> list[str]:
    """What is delivered of news, on record at noon; mail ran when the clock had been set back to 10:00."""
    rows = [row(1, NOON - 2 * HOUR), RunRecord(0, "news", NOON - 5, NOON, 5.0, Outcome.OK, text="all quiet")]
    found = results_since(LastDelivered("mail", NOON - 2 * HOUR), rows, {"news": state}, NOON - HOUR)
    return [result.text for result in found]


def test_a_run_on_record_is_not_told_again_as_of_when_the_clock_was_seen_to_be_set_back():
    ran = TaskState(last_run=NOON - 5).finished(Outcome.OK, "all quiet", NOON, 5.0)
    assert told_of(ran.believed(NOON - HOUR)) == []
    assert told_of(ran.believed(NOON - 2)) == []
    rounded = TaskState(last_run=NOON - 5).finished(Outcome.OK, "all quiet", NOON + 5e-7, 5.0)
    assert told_of(rounded) == []  # the state file rounds times, also up


def test_a_run_after_the_step_back_that_is_not_on_record_is_told():
    again = TaskState(last_run=NOON - HOUR - 9)
    assert told_of(again.finished(Outcome.OK, "a storm", NOON - HOUR, 5.0)) == ["a storm"]
    assert told_of(again.finished(Outcome.OK, "all quiet", NOON - HOUR, 9.0)) == ["all quiet"]
