"""Whether a run may start under its citizen's budget: pure functions of amounts in US dollars."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal

from scheduler.core.costs import Budget
from scheduler.core.schedules.schedule import local_zone
from scheduler.errors import BadSchedule
from scheduler.spending.money import EXACT, ZERO, dollars, total

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
    """What was spent in a time; `assumed` is for the runs whose cost is unknown."""

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
    """What was spent under a budget, and what was added to today's limits by hand."""

    budget: Budget
    today: Spending
    month: Spending
    lift: Decimal = ZERO
    together: bool = False  # by all citizens


@dataclass(frozen=True, slots=True)
class OverBudget:
    """The limit that the next run could pass; it ends at `until`, a midnight in `zone_of_days`."""

    spent: Decimal
    limit: Decimal
    until: datetime
    daily: bool = True
    together: bool = False

    def __str__(self) -> str:
        end = f"{self.until:%H:%M}" if self.daily else f"{self.until:%-d %b}"
        whose = ", all citizens" if self.together else ""
        return f"over budget until {end} ({dollars(self.spent)} of {dollars(self.limit)}{whose})"


def zone_of_days() -> tzinfo:
    """The zone at whose midnights days and months end: the machine's, UTC if it is not known."""
    try:
        return local_zone()
    except BadSchedule:
        return UTC


def dearest(charges: Iterable[Charge]) -> dict[str, Decimal]:
    """The dearest known cost of the last runs of each task that has one; the oldest charge comes first."""
    known: dict[str, list[Decimal]] = {}
    for charge in charges:
        if charge.cost is not None:
            known.setdefault(charge.task, []).append(charge.cost)
    return {task: max(costs[-RECENT:]) for task, costs in known.items()}


def spending(charges: Iterable[Charge], dearest: Mapping[str, Decimal]) -> Spending:
    """What these runs cost together; an unknown cost counts as the dearest of its task."""
    found = list(charges)
    known = [charge.cost for charge in found if charge.cost is not None]
    unknown = [dearest.get(charge.task, ZERO) for charge in found if charge.cost is None]
    return Spending(total(known), total(unknown), len(unknown), len(found))


def over_budget(spent: Spent, next_run: Decimal, now: float, zone: tzinfo) -> OverBudget | None:
    """The limit that one more run of this cost could pass."""
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
