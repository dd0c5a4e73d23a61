"""What a wake has cost and may cost, as lines of its definition."""

from collections.abc import Iterator
from dataclasses import dataclass

from scheduler.core.costs import Money
from scheduler.core.records import RunRecord
from scheduler.core.views import Snapshot, TaskView
from scheduler.core.wording.description import DefinitionField
from scheduler.spending.money import count_tokens, price
from tui.common import amounts


@dataclass(frozen=True, slots=True)
class MoneyField(DefinitionField):
    """A line that stands out when a limit comes near."""

    style: str = "ink"


def money_fields(task: TaskView, snapshot: Snapshot, last: RunRecord | None) -> Iterator[DefinitionField]:
    """Limits, money spent, left and expected; the cost of the `last` paid run; skipped runs."""
    money = snapshot.money
    if money and (task.is_wake or task.cost_month):
        yield from _limits(money)
        yield _spent(task, money)
        yield from _left(money)
        if money.forecast and task.is_wake:
            day = f"{amounts.spent(money.forecast_day)} a day, " if money.forecast_day else ""
            yield MoneyField("forecast", f"{day}{amounts.about(money.forecast)} a month")
    if last and last.cost:
        yield MoneyField("last run", _of_run(last))
    if task.skips and task.skips.skipped:
        skips = task.skips
        share = 100 * skips.skipped // skips.of
        yield MoneyField("skipped", f"{skips.skipped:,} of {skips.of:,} today ({share}%)")


def _limits(money: Money) -> Iterator[DefinitionField]:
    known = (("run", money.run_limit), ("day", money.day_limit), ("month", money.month_limit))
    if said := ", ".join(f"{name} {amounts.spent(limit)}" for name, limit in known if limit):
        yield MoneyField("budget", said)


def _left(money: Money) -> Iterator[DefinitionField]:
    limits = (("today", money.today, money.day_limit), ("this month", money.month, money.month_limit))
    if said := ", ".join(f"{amounts.left(used, most)} {when}" for when, used, most in limits if most):
        yield MoneyField("left", said, style=_style(money))


def _spent(task: TaskView, money: Money) -> DefinitionField:
    """The cost of the wake itself, and including its tasks if they cost anything."""
    today, month = task.cost_today or "0", task.cost_month or "0"
    all_of_it = (
        ""
        if amounts.amount(month) == amounts.amount(money.month)
        else (f"; with its tasks {amounts.spent(money.today)}, {amounts.spent(money.month)}")
    )
    said = f"{amounts.spent(today)} today, {amounts.spent(month)} this month{all_of_it}"
    return MoneyField("spent", said, style=_style(money))


def _style(money: Money) -> str:
    share = amounts.fullest(money)
    return "failed" if share >= 1 else "warning" if share >= amounts.NEAR else "ink"


def _of_run(run: RunRecord) -> str:
    cost = run.cost
    assert cost is not None  # the caller checked
    sent = f"{count_tokens(cost.tokens_in)} in" if cost.tokens_in is not None else ""
    made = f"{count_tokens(cost.tokens_out)} out" if cost.tokens_out is not None else ""
    turns = f"{cost.turns} turns" if cost.turns else ""
    return ", ".join(filter(None, [price(cost), sent, made, turns, cost.model]))
