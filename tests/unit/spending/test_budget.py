"""Budgets: what was spent, what one more run could cost, and until when a limit holds."""

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from scheduler.core.task import Budget
from scheduler.spending.budget import Charge, Spending, dearest, over_budget, spending

BERLIN = ZoneInfo("Europe/Berlin")
EVENING = datetime(2026, 12, 31, 22, tzinfo=BERLIN).timestamp()
DAY = date(2026, 12, 31)
NOTHING = Decimal(0)


def charges(*costs: str | None) -> list[Charge]:
    return [Charge(str(n), "wake", DAY, None if c is None else Decimal(c)) for n, c in enumerate(costs)]


def spent(known: str, unknown: int = 0, most: str = "0") -> Spending:
    return Spending(Decimal(known), unknown, Decimal(most))


def test_amounts_are_added_to_the_last_digit() -> None:
    tiny = "0.0000000000000000000000000000000000000001"
    total = spending(charges("12345678901234567890", tiny), NOTHING).total
    assert str(total) == "12345678901234567890." + tiny[2:]


def test_an_unknown_cost_counts_as_the_dearest_of_the_last_ten() -> None:
    known = charges("9", *["0.1"] * 9, "0.5")
    assert dearest(known) == Decimal("0.5")
    assert spending(charges("1", None, None), Decimal("0.5")).total == Decimal("2")


def test_without_any_known_cost_nothing_can_be_counted() -> None:
    assert dearest(charges(None)) == 0
    assert spending(charges(None), dearest(charges(None))) == spent("0", 1)


@pytest.mark.parametrize(
    ("today", "allowed"),
    [("4.50", True), ("4.51", False), ("5.00", False), ("9", False), ("0", True)],
)
def test_a_run_that_could_pass_the_limit_does_not_start(today: str, allowed: bool) -> None:
    limit = over_budget(
        Budget(day=Decimal(5)), spent(today, most="0.5"), spent(today), NOTHING, EVENING, BERLIN
    )
    assert (limit is None) is allowed


def test_a_limit_names_what_was_spent_and_ends_at_midnight_in_the_citizens_zone() -> None:
    limit = over_budget(Budget(day=Decimal(5)), spent("5.02"), spent("5.02"), NOTHING, EVENING, BERLIN)
    assert limit is not None
    assert str(limit) == "over budget until 00:00 ($5.02 of $5.00)"
    assert limit.until == datetime(2027, 1, 1, tzinfo=BERLIN)


@pytest.mark.parametrize(("month", "ends"), [(12, (2027, 1, 1)), (1, (2026, 2, 1)), (2, (2026, 3, 1))])
def test_the_limit_of_a_month_ends_with_it(month: int, ends: tuple[int, int, int]) -> None:
    now = datetime(2026, month, 28, 12, tzinfo=BERLIN).timestamp()
    limit = over_budget(Budget(month=Decimal(1)), spent("0"), spent("2"), NOTHING, now, BERLIN)
    assert limit is not None
    assert limit.until == datetime(*ends, tzinfo=BERLIN)


def test_what_is_added_by_hand_lifts_the_limit() -> None:
    budget, today = Budget(day=Decimal(5)), spent("5.02", most="0.5")
    assert over_budget(budget, today, today, Decimal(2), EVENING, BERLIN) is None


def test_no_budget_sets_no_limit() -> None:
    assert over_budget(Budget(), spent("1e9"), spent("1e9"), NOTHING, EVENING, BERLIN) is None
