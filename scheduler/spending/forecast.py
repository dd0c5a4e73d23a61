"""Forecasts the cost of a month: the schedule times the mean cost of the last runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal

from scheduler.core.schedules.schedule import Cron, Every, Schedule
from scheduler.spending.budget import RECENT, Charge
from scheduler.spending.money import EXACT, ZERO, total

FEWEST = 5  # runs: with fewer there is no forecast
WINDOW = 7  # days for which runs are compared with their schedule: a gate skips some, people force others
COUNTED = 500  # slots of a cron expression that are counted; more are extrapolated
DAY = 86400.0
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Forecast:
    """Expected costs in dollars: of the next day, and until the end of the month."""

    day: Decimal = ZERO
    rest_of_month: Decimal = ZERO

    def __add__(self, other: "Forecast") -> "Forecast":
        rest = EXACT.add(self.rest_of_month, other.rest_of_month)
        return Forecast(EXACT.add(self.day, other.day), rest)


def forecast(
    charges: Iterable[Charge], schedules: Mapping[str, Schedule], now: float, zone: tzinfo
) -> Forecast | None:
    """The forecast for all tasks, None if too little is known; `charges` are complete, the oldest first."""
    by_task: dict[str, list[Charge]] = {name: [] for name in schedules}
    for charge in charges:
        if charge.task in by_task:
            by_task[charge.task].append(charge)
    found = [_of_task(by_task[name], schedule, now, zone) for name, schedule in schedules.items()]
    known = [each for each in found if each is not None]
    return sum(known, Forecast()) if known else None


def _of_task(charges: Sequence[Charge], schedule: Schedule, now: float, zone: tzinfo) -> Forecast | None:
    costs = [each.cost for each in charges if each.cost is not None][-RECENT:]
    if len(costs) < FEWEST:
        return None
    mean = EXACT.divide(total(costs), Decimal(len(costs)))
    each_slot = EXACT.multiply(mean, Decimal(_share(charges, schedule, now, zone)))

    def cost(until: float) -> Decimal:
        return EXACT.multiply(each_slot, Decimal(slots(schedule, now, until))).quantize(CENT, context=EXACT)

    return Forecast(cost(now + DAY), cost(_end_of_month(now, zone)))


def _share(charges: Sequence[Charge], schedule: Schedule, now: float, zone: tzinfo) -> float:
    """The share of its slots in which the task ran, at most 1, in case its schedule was changed."""
    today = datetime.fromtimestamp(now, zone).date()
    since = max(today - timedelta(days=WINDOW), charges[0].day)
    runs = sum(since <= each.day <= today for each in charges)
    possible = slots(schedule, _midnight(since, zone), now)
    return min(1.0, runs / possible) if possible >= 1 else 1.0


def slots(schedule: Schedule, start: float, end: float) -> float:
    """The number of slots of the schedule between these two moments."""
    if isinstance(schedule, Every):
        return max(0.0, end - start) / schedule.seconds
    if not isinstance(schedule, Cron):
        return 0.0
    times = schedule.upcoming(start, COUNTED)
    if len(times) == COUNTED and start < times[-1] < end:
        return COUNTED * (end - start) / (times[-1] - start)
    return float(sum(time <= end for time in times))


def _end_of_month(now: float, zone: tzinfo) -> float:
    next_month = datetime.fromtimestamp(now, zone).replace(day=1) + timedelta(days=32)
    return _midnight(next_month.date().replace(day=1), zone)


def _midnight(day: date, zone: tzinfo) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
