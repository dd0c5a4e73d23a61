"""Budgets: what was spent, what one more run could cost, and until when a limit holds."""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from scheduler.core.costs import Budget
from scheduler.spending.budget import Charge, OverBudget, Spending, Spent, dearest, over_budget, spending
from tests.each import each

BERLIN = ZoneInfo("Europe/Berlin")
EVENING = datetime(2026, 12, 31, 22, tzinfo=BERLIN).timestamp()
DAY = date(2026, 12, 31)


@pytest.fixture(autouse=True)
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")


def charges(*costs: str | None, task: str = "wake") -> list[Charge]:
    return [Charge(str(n), task, DAY, None if c is None else Decimal(c)) for n, c in enumerate(costs)]


def spent(budget: Budget, today: str, month: str = "0", lift: str = "0") -> Spent:
    return Spent(budget, Spending(Decimal(today)), Spending(Decimal(month)), Decimal(lift))


def limit_of(spent: Spent, next_run: str = "0", now: float = EVENING) -> OverBudget | None:
    return over_budget(spent, Decimal(next_run), now)


def test_amounts_are_added_to_the_last_digit() -> None:
    tiny = "0.0000000000000000000000000000000000000001"
    total = spending(charges("12345678901234567890", tiny), {}).total
    assert str(total) == "12345678901234567890." + tiny[2:]


def test_an_unknown_cost_counts_as_the_dearest_of_the_last_ten_of_its_task() -> None:
    every = [*charges("9", *["0.1"] * 9, "0.5"), *charges("7", task="report")]
    assert dearest(every) == {"wake": Decimal("0.5"), "report": Decimal(7)}
    unknown = [*charges("1", None, None), *charges(None, task="report"), *charges(None, task="other")]
    assert spending(unknown, dearest(every)) == Spending(Decimal(1), Decimal(8), 4, 5)


def test_without_any_known_cost_nothing_can_be_counted() -> None:
    assert spending(charges(None), dearest(charges(None))) == Spending(unknown=1, runs=1)


@each(
    ("today", "next_run", "allowed"),
    [
        ("4.50", "0.5", True), ("4.51", "0.5", False), ("5.00", "0.5", False), ("9", "0.5", False),
        ("0", "0.5", True), ("4.99", "0", True), ("5.00", "0", False), ("0", "5", True), ("0", "5.01", False),
    ],
)  # fmt: skip
def test_a_run_that_could_pass_the_limit_does_not_start(today: str, next_run: str, allowed: bool) -> None:
    assert (limit_of(spent(Budget(day=Decimal(5)), today), next_run) is None) is allowed


def test_a_limit_names_what_was_spent_and_ends_at_midnight_in_the_citizens_zone() -> None:
    limit = limit_of(spent(Budget(day=Decimal(5)), "5.02"))
    assert limit is not None
    assert str(limit) == "over budget until 00:00 ($5.02 of $5.00)"
    assert limit.until == datetime(2027, 1, 1, tzinfo=BERLIN)


def test_the_limit_of_all_citizens_says_so() -> None:
    together = replace(spent(Budget(month=Decimal(50)), "0", "50.1"), together=True)
    assert str(limit_of(together)) == "over budget until 1 Jan ($50.10 of $50.00, all citizens)"


@each(("month", "ends"), [(12, (2027, 1, 1)), (1, (2026, 2, 1)), (2, (2026, 3, 1))])
def test_the_limit_of_a_month_ends_with_it(month: int, ends: tuple[int, int, int]) -> None:
    now = datetime(2026, month, 28, 12, tzinfo=BERLIN).timestamp()
    limit = limit_of(spent(Budget(month=Decimal(1)), "0", "2"), now=now)
    assert limit is not None
    assert limit.until == datetime(*ends, tzinfo=BERLIN)


def test_what_is_added_by_hand_lifts_the_limit() -> None:
    assert limit_of(spent(Budget(day=Decimal(5)), "5.02", lift="2"), "0.5") is None


def test_no_budget_sets_no_limit() -> None:
    assert limit_of(spent(Budget(), "1e9", "1e9"), "1e9") is None
