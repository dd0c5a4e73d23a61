"""What is usual of a task's durations, and since when they have been longer."""

from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome
from tests.fakes import NOON
from tui.common.usual_duration import Habits, Slowdown, Usual, slowdown, usual
from tui.details.definition import habit_fields


def runs(*seconds: float) -> list[RunRecord]:
    """These durations, the newest first; a run an hour."""
    begun = [NOON - 3600 * n for n in range(len(seconds))]
    return [
        RunRecord(n, "tick", at, at + took, took, Outcome.OK)
        for n, (at, took) in enumerate(zip(begun, seconds, strict=True))
    ]


def test_ten_runs_say_what_is_usual_and_nine_do_not():
    assert usual([5.0] * 9) is None
    assert usual([*range(1, 21)]) == Usual(10.5, 19.05)


def test_slower_is_beyond_the_19_of_20_and_half_as_much_again():
    assert Usual(10, 11).slow(16) and not Usual(10, 11).slow(14) and not Usual(10, 20).slow(19)


def test_a_step_is_named_by_its_first_run_and_one_slow_run_is_none():
    steady = [10.0, 11.0, 9.0] * 5
    assert slowdown(runs(*[15.0] * 4, *steady)) == Slowdown(NOON - 3 * 3600, 0.5)
    assert slowdown(runs(14.0, *steady)) is None
    assert slowdown(runs(14.0, 10.0, 14.0, *steady)) is None
    assert slowdown(runs(*[11.5] * 4, *steady)) is None  # hardly slower
    assert slowdown(runs(*[14.0] * 20)) is None  # always were


def test_the_definition_says_it_in_words():
    seconds = (60.0,) * 18 + (200.0, 210.0)
    habits = Habits(Usual(112, 160), Slowdown(NOON - 3600, 0.4), seconds, 161.0)
    assert {field.label: field.words for field in habit_fields(habits, NOON)} == {
        "usual": "p50 01:52, p95 02:40 (last 20 runs)",
        "now": "02:41",
        "since": "slower since 11:00, then +40%",
    }
    slow = Habits(Usual(60, 70), None, seconds, 161.0)
    assert [field.words for field in habit_fields(slow, NOON)][1] == "02:41, slower than 18 of 20"
    assert [*habit_fields(Habits(), NOON)] == []
