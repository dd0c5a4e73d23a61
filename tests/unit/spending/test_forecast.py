"""Forecasts: the schedule times the mean of the last runs, to the end of the month in the citizen's zone."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from scheduler.core.schedules.schedule import AtStart, Cron, Every
from scheduler.spending.budget import Charge
from scheduler.spending.forecast import forecast, slots
from tests.each import each

NOON = datetime(2026, 3, 30, 12, tzinfo=UTC).timestamp()
HOURLY = {"wake": Every(3600)}


def charges(*costs: str | None, task: str = "wake", day: date = date(2026, 3, 30)) -> list[Charge]:
    return [Charge(str(n), task, day, None if c is None else Decimal(c)) for n, c in enumerate(costs)]


def test_a_month_costs_its_slots_times_the_mean_of_the_last_ten() -> None:
    found = forecast(charges(*["9"] * 5, *["0.50"] * 10), HOURLY, NOON, UTC)
    assert found is not None
    assert (found.day, found.rest_of_month) == (12, 18)  # 24 hours, and 36 until April


def test_a_gate_that_lets_wakes_go_is_counted_by_the_runs_of_the_last_days() -> None:
    week = [each for back in range(8) for each in charges("1", day=date(2026, 3, 30) - timedelta(days=back))]
    found = forecast(reversed(week), HOURLY, NOON, UTC)
    assert found is not None
    assert found.day == Decimal("1.07")  # 8 runs in 7.5 days


def test_the_month_ends_at_midnight_in_the_zone() -> None:
    found = forecast(charges(*["1"] * 12), HOURLY, NOON, ZoneInfo("Asia/Tokyo"))
    assert found is not None
    assert found.rest_of_month == Decimal("15.43")  # 27 hours; since 9 o'clock: 12 runs of 21 slots


@each("known", [charges(), charges("1", "1", "1", "1"), charges(*["1"] * 9, task="gone")])
def test_there_is_no_forecast_of_what_is_hardly_known(known: list[Charge]) -> None:
    assert forecast(known, HOURLY, NOON, UTC) is None


def test_tasks_add_up() -> None:
    both = [*charges(*["1"] * 12), *charges(*["2"] * 12, task="report")]
    found = forecast(both, {**HOURLY, "report": Every(3600)}, NOON, UTC)
    assert found is not None
    assert found.day == 72


@each(
    ("schedule", "days", "count"),
    [
        (Cron("0 9 * * mon-fri", UTC), 7, 5), (Cron("* * * * *", UTC), 30, 43_200), (AtStart(), 30, 0),
        (Every(60), 1, 1440), (Cron("0 0 1 1 *", UTC), 30, 0),
    ],
)  # fmt: skip
def test_slots_of_schedules(schedule, days: int, count: float) -> None:
    assert slots(schedule, NOON, NOON + days * 86400) == pytest.approx(count, rel=0.01)
