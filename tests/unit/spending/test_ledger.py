"""The ledger: nothing is counted twice or lost, whatever is killed and wherever the clock goes."""

import random
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from scheduler.core.task import Budget
from scheduler.spending import ledger as ledger_module
from scheduler.spending.budget import dearest, over_budget, spending
from scheduler.spending.ledger import NAME, SpendingLedger

UTC = ZoneInfo("UTC")
DAY = date(2026, 12, 1)
CAP = Decimal(5)


def opened(home: Path) -> SpendingLedger:
    ledger = SpendingLedger(home)
    ledger.load()
    return ledger


def costs(ledger: SpendingLedger, day: date = DAY) -> list[Decimal | None]:
    return [charge.cost for charge in ledger.charges(day, day)]


def test_a_run_is_counted_once_it_is_entered_and_its_cost_once_it_is_settled(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    ledger.enter("a", "wake", DAY)
    assert costs(opened(tmp_path)) == [None]
    ledger.settle("a", Decimal("0.10"), 5, 6)
    assert costs(ledger) == costs(opened(tmp_path)) == [Decimal("0.10")]


def test_a_cost_is_kept_to_the_last_digit(tmp_path: Path) -> None:
    amount = Decimal("12345678901234567890.123456789012345678")
    opened(tmp_path).enter("a", "wake", DAY)
    opened(tmp_path).settle("a", amount, None, None)
    assert costs(opened(tmp_path)) == [amount]


def test_a_torn_line_costs_nothing_but_itself(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    ledger.enter("a", "wake", DAY)
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'\n{"run": "b", "task": "wa')
    opened(tmp_path).enter("c", "wake", DAY)
    opened(tmp_path).settle("c", Decimal(1), None, None)
    assert costs(opened(tmp_path)) == [None, Decimal(1)]


@pytest.mark.parametrize("cost", ['"-1"', '"NaN"', '"x"', "1.5", "[]"])
def test_a_cost_that_is_none_stays_unknown(tmp_path: Path, cost: str) -> None:
    opened(tmp_path).enter("a", "wake", DAY)
    with (tmp_path / NAME).open("a") as file:
        file.write(f'{{"run": "a", "cost": {cost}}}\n')
    assert costs(opened(tmp_path)) in ([None], [Decimal("1.5")])


def test_a_run_that_did_not_start_cost_nothing(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    ledger.enter("a", "wake", DAY)
    ledger.cancel("a")
    assert costs(opened(tmp_path)) == [Decimal(0)]


def test_what_is_added_by_hand_is_for_its_day_and_adds_up(tmp_path: Path) -> None:
    for amount in ("2", "0.5"):
        opened(tmp_path).add_to_budget(DAY, Decimal(amount))
    assert opened(tmp_path).lift(DAY) == Decimal("2.5")
    assert opened(tmp_path).lift(DAY + timedelta(days=1)) == 0


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    opened(tmp_path).enter("a", "wake", DAY)
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_old_charges_are_dropped_and_the_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "TOO_LONG", 4)
    ledger = opened(tmp_path)
    ledger.enter("old", "wake", DAY - timedelta(days=500))
    ledger.add_to_budget(DAY, Decimal(1))
    for run in "abc":
        ledger.enter(run, "wake", DAY)
        ledger.settle(run, Decimal("0.2"), 1, None)
    opened(tmp_path)
    again = opened(tmp_path)
    assert len((tmp_path / NAME).read_bytes().splitlines()) == 4
    assert costs(again) == [Decimal("0.2")] * 3 and again.lift(DAY) == 1
    assert not again.charges(date(2020, 1, 1), DAY - timedelta(days=1))


def test_no_history_passes_the_cap_by_more_than_one_run(tmp_path: Path) -> None:
    for seed in range(30):
        (tmp_path / str(seed)).mkdir()
        play(seed, tmp_path / str(seed))


def play(seed: int, tmp_path: Path) -> None:
    """Runs of random costs; owners are killed between any two steps, the clock steps by up to two days."""
    chance, now, number = random.Random(seed), 1_796_083_200.0, 0
    true_costs: dict[date, Decimal] = {}
    most = Decimal(0)
    ledger = opened(tmp_path)
    for _ in range(120):
        now += chance.choice((600, 600, 600, 3600, -3600, 86_400, -86_400, 172_800))
        day = datetime.fromtimestamp(now, UTC).date()
        if chance.random() < 0.2:
            ledger = opened(tmp_path)  # killed between two runs
        top = dearest(ledger.last("wake", 10))
        today = spending(ledger.charges(day, day), top)
        if over_budget(Budget(day=CAP), today, today, Decimal(0), now, UTC):
            continue
        number, cost = number + 1, Decimal(chance.randrange(1, 90)) / 100
        ledger.enter(str(number), "wake", day)
        true_costs[day] = true_costs.get(day, Decimal(0)) + cost
        most = max(most, cost)
        if chance.random() < 0.15:
            ledger = opened(tmp_path)  # killed before the cost was read
        else:
            ledger.settle(str(number), cost, None, None)
    assert number == len(opened(tmp_path).charges(date.min, date.max))
    unsettled = max((sum(c.cost is None for c in ledger.charges(d, d)) for d in true_costs), default=0)
    assert all(total <= CAP + most * (1 + unsettled) for total in true_costs.values())
