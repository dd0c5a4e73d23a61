"""What runs cost, for the questions before a wake or a stop: amounts in a history may be of any program."""

from decimal import Decimal

from scheduler.core.costs import RunCost
from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome
from tests.each import each
from tui.common.questions.run_questions import costs


def run(amount: str | None) -> RunRecord:
    cost = None if amount is None else RunCost(amount)
    return RunRecord(1, "wake", 0.0, 1.0, 1.0, Outcome.OK, cost=cost)


@each("amount", [None, "", "0", "free", "NaN", "sNaN", "Infinity", "-1", "1e999999"])
def test_what_is_no_plausible_amount_is_left_out(amount: str | None) -> None:
    assert [*costs([run(amount), run("0.25")])] == [Decimal("0.25")]
