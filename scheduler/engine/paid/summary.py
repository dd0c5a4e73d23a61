"""What a citizen has spent, as screens show it: computed when a run is settled and when the day ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from scheduler.core.costs import Budget, Money
from scheduler.core.schedules.schedule import Schedule
from scheduler.spending.budget import Charge, spending, zone_of_days
from scheduler.spending.forecast import forecast
from scheduler.spending.ledger import SpendingLedger
from scheduler.spending.money import EXACT, ZERO


@dataclass(frozen=True, slots=True)
class Summary:
    """The citizen's money on one day, and what each task's runs of that day cost."""

    day: date
    money: Money | None = None  # None: nothing has ever cost anything and there is no limit
    today: Mapping[str, str] = field(default_factory=dict)
    month: Mapping[str, str] = field(default_factory=dict)
    lift: Decimal = ZERO  # what was added to the limits of the day


def summarise(
    ledger: SpendingLedger, budget: Budget, schedules: Mapping[str, Schedule], now: float
) -> Summary:
    """The summary of the ledger as it was last read."""
    zone = zone_of_days(budget)
    day = datetime.fromtimestamp(now, zone).date()
    every = ledger.charges(date.min, date.max, zone)
    if not every and budget.day is None and budget.month is None:
        return Summary(day, lift=ledger.lift(day))
    known = ledger.dearest()
    month = [each for each in every if each.day.replace(day=1) == day.replace(day=1) and each.day <= day]
    today = [each for each in month if each.day == day]
    this_month, lift = spending(month, known), ledger.lift(day)
    expected = forecast(every, schedules, now, zone)
    end = EXACT.add(this_month.total, expected.rest_of_month) if expected else None
    money = Money(
        str(spending(today, known).total),
        str(this_month.total),
        _text(budget.day, lift),
        _text(budget.month, lift),
        "" if end is None else str(end),
        this_month.unknown,
        "" if expected is None else str(expected.day),
        "" if budget.run is None else str(budget.run),
    )
    return Summary(day, money, _by_task(today, known), _by_task(month, known), lift)


def _by_task(charges: list[Charge], known: Mapping[str, Decimal]) -> dict[str, str]:
    by_task: dict[str, list[Charge]] = {}
    for each in charges:
        by_task.setdefault(each.task, []).append(each)
    return {task: str(spending(some, known).total) for task, some in by_task.items()}


def _text(limit: Decimal | None, lift: Decimal) -> str:
    return "" if limit is None else str(EXACT.add(limit, lift))
