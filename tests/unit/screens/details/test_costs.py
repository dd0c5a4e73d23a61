"""What the details of a wake say of money: its lines, and the column beside its runs."""

from dataclasses import replace
from decimal import Decimal

from scheduler.core.costs import Money, RunCost
from scheduler.core.records import RunRecord
from scheduler.core.task import WAKE, Outcome, Trigger
from scheduler.core.views import TaskStatus
from scheduler.process.who import Who
from tests.fakes import NOON
from tests.screens.money_situations import MIRA, OPUS
from tui.common.questions.stop_question import facts
from tui.details.costs import COST, CostColumn
from tui.details.money_fields import MoneyField, money_fields
from tui.details.run_rows import _why, skip_kind
from tui.glyphs import UNICODE


def run(cost: RunCost | None = None, **more) -> RunRecord:
    return RunRecord(1, WAKE, NOON, NOON + 60, 60.0, Outcome.OK, Trigger.SCHEDULE, cost=cost, **more)


def said(snapshot, last: RunRecord | None = None) -> dict[str, str]:
    return {field.label: field.words for field in money_fields(snapshot.tasks[0], snapshot, last)}


def test_the_lines_of_a_wake_are_its_limits_what_it_spent_and_what_is_expected():
    last = run(RunCost("0.22", tokens_in=31_500, tokens_out=410, turns=4))
    assert said(MIRA, last) == {
        "budget": "run $2.00, day $5.00, month $60.00",
        "spent": "$0.37 today, $11.84 this month",
        "left": "$4.63 today, $48.16 this month",
        "forecast": "$0.59 a day, about $16 a month",
        "last run": "$0.22, 31.5k in, 410 out, 4 turns",
        "skipped": "81 of 85 today (95%)",
    }


def test_they_stand_out_when_a_budget_is_nearly_or_wholly_spent():
    def style(today: str) -> str:
        snapshot = replace(MIRA, money=Money(today, "11.84", "5.00"))
        fields = money_fields(MIRA.tasks[0], snapshot, None)
        return next(f.style for f in fields if isinstance(f, MoneyField) and f.label == "spent")

    assert [style(today) for today in ("3.99", "4.00", "5.00")] == ["ink", "warning", "failed"]


def test_what_tasks_cost_beside_the_wake_is_said():
    snapshot = replace(OPUS, money=Money("6.00", "40.00"))
    assert said(snapshot)["spent"] == "$5.02 today, $31.16 this month; with its tasks $6.00, $40.00"


def test_a_wake_that_costs_nothing_has_no_line_and_no_column():
    free = replace(MIRA, money=None, tasks=(replace(MIRA.tasks[0], skips=None, cost_today=""),))
    assert said(free) == {} and CostColumn([run(), run(RunCost("0"))]).cells(80) == 0


def test_the_bar_goes_before_the_amount_where_there_is_little_room():
    column = CostColumn([run(RunCost("0.62")), run(RunCost(unknown=True))])
    assert [column.cells(spare) for spare in (7, 8, 21, 22)] == [0, COST, COST, COST + 7]
    pieces = column.pieces(run(RunCost("0.31")), COST + 7, UNICODE)
    assert "".join(piece.text for piece in pieces) == "   $0.31 ━━━───"
    assert column.pieces(run(RunCost(unknown=True)), COST, UNICODE)[0].text == "      $?"


def test_what_began_a_run_is_said_with_who_asked():
    assert _why(replace(run(), trigger=Trigger.FORCE, who=Who("ct"))) == "w by ct"
    assert _why(replace(run(), trigger=Trigger.FORCE, who=Who("somebody-long"))) == "w by som…"
    assert (_why(replace(run(), trigger=Trigger.URGENT)), _why(replace(run(), attempt=2))) == (
        "URGENT",
        "attempt 2",
    )


def test_a_time_that_was_let_go_has_the_sign_of_what_held_it():
    texts = ("over budget until 00:00 ($5 of $5)", "waits for anthropic", "frozen until 08:00", "nothing new")
    assert [skip_kind(text) for text in texts] == [
        TaskStatus.OVER_BUDGET, TaskStatus.WAITS, TaskStatus.PAUSED, None,
    ]  # fmt: skip


def test_stopping_a_wake_says_what_it_counts_as():
    row = ("mira", replace(MIRA.tasks[0], running_since=NOON, held=None))
    words = [line for line, _ in facts([row], None, NOON + 60, [Decimal("0.22"), Decimal("0.62")])]
    assert "spent so far: unknown, counts as $0.62 unless it says so itself" in words
    assert not any("spent" in line for line, _ in facts([row], None, NOON + 60))
