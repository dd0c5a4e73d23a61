"""Which runs stand in one row: times that were let go for one reason, and the dearest first."""

from scheduler.core.costs import RunCost
from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome, Trigger
from tests.fakes import NOON
from tui.details.run_groups import begun_before, grouped, span_of


def run(number: int, outcome: Outcome = Outcome.OK, text: str = "", cost: str = "") -> RunRecord:
    at = NOON - 600 * number
    paid = RunCost(cost_usd=cost) if cost else None
    return RunRecord(
        100 - number, "wake", at, at + 9, 9.0, outcome, Trigger.SCHEDULE, 1, text, False, cost=paid
    )


SKIPPED = Outcome.SKIPPED
RUNS = (
    run(0, SKIPPED, "nothing new since 11:00"),
    run(1, SKIPPED, "nothing new since 11:00"),
    run(2, SKIPPED, "over budget"),
    run(3, cost="0.10"),
    run(4),
    run(5, cost="0.61"),
    run(6, SKIPPED, "nothing new since 11:00"),
)


def ids(groups) -> list[list[int]]:
    return [[100 - each.id for each in group] for group in groups]


def test_times_let_go_one_after_the_other_for_one_reason_are_one_row():
    rows = grouped(RUNS, unfolded=False, by_cost=False)
    assert ids(rows) == [[0, 1], [2], [3], [4], [5], [6]]
    assert span_of(rows[0]) == "11:50 - 12:00"


def test_unfolded_each_is_a_row_and_by_cost_the_dearest_comes_first():
    assert ids(grouped(RUNS, unfolded=True, by_cost=False)) == [[n] for n in range(7)]
    assert ids(grouped(RUNS, unfolded=False, by_cost=True))[:2] == [[5], [3]]


def test_each_time_let_go_knows_the_run_before_it():
    before = begun_before(RUNS)
    assert before == dict.fromkeys((100, 99, 98), NOON - 1800)
