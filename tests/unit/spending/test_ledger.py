"""The ledger: nothing is counted twice or lost, whatever is killed and wherever the clock goes."""

import errno
import os
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from scheduler.core.costs import Usage
from scheduler.spending import ledger as ledger_module
from scheduler.spending.budget import Charge
from scheduler.spending.ledger import NAME, Session, SpendingLedger, late_line
from tests.each import each

DAY = date(2026, 12, 1)


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


def test_what_is_known_of_a_cost_is_neither_forgotten_nor_lowered_by_what_comes_late(tmp_path: Path) -> None:
    def late(run: str, cost: str) -> bytes:
        return late_line(Charge(run, "render", DAY, Decimal(cost), 1, 2)).encode() + b"\n"

    ledger = opened(tmp_path)
    ledger.enter("a", "render", DAY)
    for cost, known in (("0.20", "0.20"), ("0.10", "0.20"), ("0.30", "0.30")):
        with (tmp_path / NAME).open("ab") as file:
            file.write(late("a", cost) + late("b", "9.00"))  # which were not entered
        assert costs(opened(tmp_path)) == [Decimal(known), Decimal(9)]
    ledger.settle("a", None, None, None)  # its owner never heard
    assert costs(ledger) == [Decimal("0.30"), Decimal(9)]


def test_a_run_is_on_the_disk_before_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, synced = opened(tmp_path), list[int]()
    monkeypatch.setattr(os, "fsync", synced.append)
    ledger.enter("a", "wake", DAY)
    assert len(synced) == 1


@each("step", ["open", "fsync"])
def test_a_cost_that_a_full_disk_did_not_take_is_written_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    ledger = opened(tmp_path)
    ledger.enter("a", "wake", DAY)
    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(OSError, match="No space left"):
            ledger.settle("a", Decimal("0.10"), 5, 6, Session("s", (Usage("", 5, 6),)))
    ledger.load()
    assert costs(ledger) == costs(opened(tmp_path)) == [Decimal("0.10")]
    assert opened(tmp_path).used_before("s") == (Usage("", 5, 6),)


def full(*given: object, **more: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_cost_is_kept_to_the_last_digit(tmp_path: Path) -> None:
    amount = Decimal("123456789.123456789012345678901234567890")
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


@each("cost", ['"-1"', '"NaN"', '"x"', "1.5", "[]", '"1e400"', "{}", "true"])
def test_a_cost_that_is_none_stays_unknown(tmp_path: Path, cost: str) -> None:
    opened(tmp_path).enter("a", "wake", DAY)
    with (tmp_path / NAME).open("a") as file:
        file.write(f'{{"run": "a", "cost": {cost}}}\n')
    assert costs(opened(tmp_path)) == [None]


def test_a_run_that_did_not_start_cost_nothing(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    ledger.enter("a", "wake", DAY)
    ledger.cancel("a")
    assert costs(opened(tmp_path)) == []


def test_what_is_added_by_hand_is_for_its_day_and_adds_up(tmp_path: Path) -> None:
    for amount in ("2", "0.5"):
        opened(tmp_path).add_to_budget(DAY, Decimal(amount))
    assert opened(tmp_path).lift(DAY) == Decimal("2.5")
    assert opened(tmp_path).lift(DAY + timedelta(days=1)) == 0


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    opened(tmp_path).enter("a", "wake", DAY)
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_old_charges_are_dropped_at_a_start_and_the_others_stay(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ledger_module, "TOO_LONG", 8)
    ledger = opened(tmp_path)
    for run, day in (("old", DAY - timedelta(days=500)), ("ahead", DAY + timedelta(days=900))):
        ledger.enter(run, "wake", day)
    ledger.add_to_budget(DAY, Decimal(1))
    for run in "abc":
        ledger.enter(run, "wake", DAY)
        ledger.settle(run, Decimal("0.2"), 1, None, Session("s", (Usage("m", 5, None),)))
    opened(tmp_path).compact(DAY)
    again = opened(tmp_path)
    assert len((tmp_path / NAME).read_bytes().splitlines()) == 6
    assert again.used_before("s") == (Usage("m", 5, None),)
    assert costs(again) == [Decimal("0.2")] * 3 and again.lift(DAY) == 1
    assert not again.charges(date(2020, 1, 1), DAY - timedelta(days=1))


def test_a_clock_that_is_years_ahead_at_a_start_loses_nothing_of_today(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ledger_module, "TOO_LONG", 8)
    ledger = opened(tmp_path)
    for run in range(10):
        ledger.enter(str(run), "wake", DAY)
    opened(tmp_path).compact(DAY + timedelta(days=900))
    assert [each.run for each in opened(tmp_path).charges(DAY, DAY)] == ["8", "9"]


def test_each_process_reads_what_the_others_added_and_no_line_twice(tmp_path: Path) -> None:
    ours, theirs = opened(tmp_path), opened(tmp_path)
    ours.add_to_budget(DAY, Decimal(1))
    theirs.add_to_budget(DAY, Decimal(2))
    theirs.enter("a", "wake", DAY)
    ours.load()
    ours.load()
    assert ours.lift(DAY) == theirs.lift(DAY) == 3 and costs(ours) == [None]


def test_half_a_line_is_read_once_it_is_whole(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    ledger.enter("a", "wake", DAY)
    with (tmp_path / NAME).open("a") as file:
        file.write('{"run": "a", "co')
        file.flush()
        ledger.load()
        file.write('st": "2"}\n')
    ledger.load()
    assert costs(ledger) == [Decimal(2)]


def test_a_file_that_was_replaced_or_cut_is_read_anew(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    ledger.enter("a", "wake", DAY)
    content = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(b"")
    ledger.load()
    assert costs(ledger) == []
    (tmp_path / "other").write_bytes(content)
    (tmp_path / "other").replace(tmp_path / NAME)
    ledger.load()
    assert costs(ledger) == [None]
    (tmp_path / NAME).unlink()
    ledger.load()
    assert costs(ledger) == []


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(OSError, match="move it away"):
        SpendingLedger(tmp_path).load()
