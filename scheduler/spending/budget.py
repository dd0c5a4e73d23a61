"""Decides whether a budget allows another run: pure functions of amounts in US dollars."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal

from scheduler.core.costs import Budget
from scheduler.core.schedules.schedule import local_zone
from scheduler.errors import BadSchedule
from scheduler.spending.money import EXACT, ZERO, dollars, total

RECENT = 10  # runs: an unknown cost counts as the highest of these


@dataclass(frozen=True, slots=True)
class Charge:
    """The cost of one run, counted on the day on which it started; None until it is known, if ever."""

    run: str
    task: str
    day: date
    cost: Decimal | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    at: float | None = None  # when it started: the day depends on the zone


@dataclass(frozen=True, slots=True)
class Spending:
    """The money spent in a period; `assumed` stands for the runs whose cost is unknown."""

    known: Decimal = ZERO
    assumed: Decimal = ZERO
    unknown: int = 0  # runs
    runs: int = 0

    @property
    def total(self) -> Decimal:
        return EXACT.add(self.known, self.assumed)

    def __add__(self, other: "Spending") -> "Spending":
        known, assumed = EXACT.add(self.known, other.known), EXACT.add(self.assumed, other.assumed)
        return Spending(known, assumed, self.unknown + other.unknown, self.runs + other.runs)


@dataclass(frozen=True, slots=True)
class Spent:
    """The money spent under a budget, and the amount added to today's limits by hand."""

    budget: Budget
    today: Spending
    month: Spending
    lift: Decimal = ZERO
    together: bool = False  # by all citizens


@dataclass(frozen=True, slots=True)
class OverBudget:
    """A limit that the next run could exceed, until `until`, a midnight in the budget's zone."""

    spent: Decimal
    limit: Decimal
    until: datetime
    daily: bool = True
    together: bool = False

    def __str__(self) -> str:
        end = self.until.astimezone(zone_of_days())  # like all times on screen
        day = "%-d %b" if end.hour == end.minute == 0 else "%-d %b %H:%M"
        when = f"{end:%H:%M}" if self.daily else f"{end:{day}}"
        whose = ", all citizens" if self.together else ""
        return f"over budget until {when} ({dollars(self.spent)} of {dollars(self.limit)}{whose})"


def zone_of_days(budget: Budget = Budget()) -> tzinfo:  # noqa: B008  # frozen
    """The zone at whose midnights days and months end: the budget's, else the machine's, UTC if unknown."""
    try:
        return budget.zone or local_zone()
    except BadSchedule:
        return UTC


def today_of(budget: Budget, now: float) -> date:
    """The day whose runs count towards the budget."""
    return datetime.fromtimestamp(now, zone_of_days(budget)).date()


def dearest(charges: Iterable[Charge]) -> dict[str, Decimal]:
    """The highest known cost of each task's last runs; `charges` begin with the oldest."""
    known: dict[str, list[Decimal]] = {}
    for charge in charges:
        if charge.cost is not None:
            known.setdefault(charge.task, []).append(charge.cost)
    return {task: max(costs[-RECENT:]) for task, costs in known.items()}


def spending(charges: Iterable[Charge], dearest: Mapping[str, Decimal]) -> Spending:
    """The total cost of these runs; an unknown cost counts as the highest of its task."""
    found = list(charges)
    known = [charge.cost for charge in found if charge.cost is not None]
    unknown = [dearest.get(charge.task, ZERO) for charge in found if charge.cost is None]
    return Spending(total(known), total(unknown), len(unknown), len(found))


def over_budget(spent: Spent, next_run: Decimal, now: float) -> OverBudget | None:
    """The limit that another run of this cost could exceed, if any."""
    zone = zone_of_days(spent.budget)
    here = datetime.fromtimestamp(now, zone)
    tomorrow, next_month = here.date() + timedelta(days=1), (here.replace(day=1) + timedelta(days=32)).date()
    limits = (
        (spent.budget.day, spent.today.total, tomorrow),
        (spent.budget.month, spent.month.total, next_month.replace(day=1)),
    )
    for limit, amount, ends in limits:
        if limit is None:
            continue
        lifted = EXACT.add(limit, spent.lift)
        if amount >= lifted or EXACT.add(amount, next_run) > lifted:
            until = datetime(ends.year, ends.month, ends.day, tzinfo=zone)
            return OverBudget(amount, lifted, until, ends is tomorrow, spent.together)
    return None
