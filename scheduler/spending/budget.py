"""Whether a run may start under its citizen's budget: pure functions of amounts in US dollars."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal

from scheduler.core.schedules.schedule import local_zone
from scheduler.core.task import Budget
from scheduler.errors import BadSchedule
from scheduler.spending.money import EXACT, ZERO, dollars

RECENT = 10  # runs: an unknown cost counts as the dearest of these


@dataclass(frozen=True, slots=True)
class Charge:
    """The cost of one run, counted on the day on which it started; None until it is known, or for ever."""

    run: str
    task: str
    day: date
    cost: Decimal | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None


@dataclass(frozen=True, slots=True)
class Spending:
    """What was spent in a time; each unknown cost counts as the dearest of the last runs."""

    known: Decimal = ZERO
    unknown: int = 0  # runs
    dearest: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return EXACT.add(self.known, EXACT.multiply(self.dearest, Decimal(self.unknown)))


@dataclass(frozen=True, slots=True)
class OverBudget:
    """The limit that the next run could pass; it ends at the midnight `until`, in the citizen's zone."""

    spent: Decimal
    limit: Decimal
    until: datetime
    daily: bool = True

    def __str__(self) -> str:
        end = f"{self.until:%H:%M}" if self.daily else f"{self.until:%-d %b}"
        return f"over budget until {end} ({dollars(self.spent)} of {dollars(self.limit)})"


def zone_of_days() -> tzinfo:
    """The zone at whose midnights days and months end: the machine's, UTC if it is not known."""
    try:
        return local_zone()
    except BadSchedule:
        return UTC


def spending(charges: Iterable[Charge], dearest: Decimal) -> Spending:
    """What these runs cost together."""
    known, unknown = ZERO, 0
    for charge in charges:
        if charge.cost is None:
            unknown += 1
        else:
            known = EXACT.add(known, charge.cost)
    return Spending(known, unknown, dearest)


def dearest(charges: Sequence[Charge]) -> Decimal:
    """The dearest known cost of the last runs; nothing if none is known."""
    known = [charge.cost for charge in charges if charge.cost is not None]
    return max(known[-RECENT:], default=ZERO)


def over_budget(
    budget: Budget, today: Spending, month: Spending, lift: Decimal, now: float, zone: tzinfo
) -> OverBudget | None:
    """The limit that one more run as dear as the dearest could pass; `lift` is added to today's limits."""
    here = datetime.fromtimestamp(now, zone)
    tomorrow, next_month = here.date() + timedelta(days=1), (here.replace(day=1) + timedelta(days=32)).date()
    limits = ((budget.day, today, tomorrow), (budget.month, month, next_month.replace(day=1)))
    for limit, spent, ends in limits:
        if limit is not None and EXACT.add(spent.total, spent.dearest) > EXACT.add(limit, lift):
            until = datetime(ends.year, ends.month, ends.day, tzinfo=zone)
            return OverBudget(spent.total, EXACT.add(limit, lift), until, daily=ends is tomorrow)
    return None
