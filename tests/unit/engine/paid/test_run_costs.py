"""The cost of runs: what they say, when they say it, and what is not believed."""

import json
import logging
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from scheduler.core.costs import Budget, Price, RunCost, SpendingRules, Usage
from scheduler.engine.paid.run_costs import REPORTS, RunCharge, RunCosts
from scheduler.spending.account import AllCitizens
from tests.each import each
from tests.fakes import FakeClock

PRICES = {"small": Price(Decimal(1), Decimal(2)), "codex": Price(Decimal(3), Decimal(4))}
TURN = '{"type":"turn.completed","usage":{"input_tokens":1000000,"output_tokens":500000}}'
RESULT = '{"type":"result","subtype":"success","session_id":"s","total_cost_usd":0.5}'


@pytest.fixture
def costs(home: Path, clock: FakeClock) -> RunCosts:
    return owner(home, clock)


def owner(home: Path, clock: FakeClock) -> RunCosts:
    """A new process that owns the home."""
    costs = RunCosts("opus", home, clock, AllCitizens(home.parent))
    costs.account.rules = SpendingRules(Budget(day=Decimal(50)), prices=PRICES)
    return costs


def entered(costs: RunCosts, task: str = "wake") -> RunCharge:
    charge = costs.new_charge(task)
    assert costs.enter(charge) is None
    return charge


def settled(costs: RunCosts, charge: RunCharge, program: str = "", output: str = "") -> RunCost | None:
    return costs.settle(charge, program, output, failed=False)


def known(costs: RunCosts) -> list[Decimal | None]:
    costs.account.ledger.load()
    return [each.cost for each in costs.account.ledger.charges(date.min, date.max)]


def test_tokens_cost_what_the_prices_say_where_no_cost_is_given(costs: RunCosts) -> None:
    assert settled(costs, entered(costs), "codex", TURN) == RunCost("5", False, 1_000_000, 500_000, 1)
    charge = entered(costs)
    charge.file.write_text('{"tokens_in": 1000000, "tokens_out": 0, "model": "small"}')
    assert settled(costs, charge) == RunCost("1", False, 1_000_000, 0, model="small")
    assert known(costs) == [Decimal(5), Decimal(1)]


def test_tokens_without_a_price_cost_an_unknown_amount(costs: RunCosts) -> None:
    costs.account.rules = SpendingRules()
    cost = settled(costs, entered(costs), "codex", TURN)
    assert cost is not None and cost.unknown and cost.cost_usd == ""
    assert known(costs) == [None]
    (charge,) = costs.account.ledger.charges(date.min, date.max)
    assert (charge.tokens_in, charge.tokens_out) == (1_000_000, 500_000)


def test_what_a_handler_used_is_added_up(costs: RunCosts) -> None:
    charge = costs.new_charge("dream_generate")
    used = [Usage("small", 1_000_000, 0), Usage("small", 0, 1_000_000)]
    cost = costs.settle(charge, "", "", failed=False, used=used)
    assert cost == RunCost("3", False, 1_000_000, 1_000_000, model="small")
    assert known(costs) == [Decimal(3)]


def test_a_local_model_without_a_price_is_not_charged_and_its_tokens_are_known(costs: RunCosts) -> None:
    charge = costs.new_charge("dream_generate")
    cost = costs.settle(charge, "", "", failed=False, used=[Usage("llama", 5, 6)])
    assert cost == RunCost(tokens_in=5, tokens_out=6, model="llama")
    assert known(costs) == []


def test_a_run_that_says_nothing_and_was_not_entered_costs_nothing(costs: RunCosts) -> None:
    assert settled(costs, costs.new_charge("tidy")) is None
    assert known(costs) == []


@each(
    "report",
    [
        "{", "[]", "\x00", '{"cost_usd": -1}', '{"cost_usd": NaN}', '{"cost_usd": Infinity}',
        '{"cost_usd": "0.1"}', '{"cost_usd": true}', '{"cost_usd": 1e400}', '{"cost_usd": 1e-400}',
        '{"cost_usd": 1000000001}', '{"cost_usd": 0.1, "currency": "EUR"}', '{"cost_eur": 1}',
        '{"cost_usd": ' + "9" * 5000 + "}", " " * 70_000 + '{"cost_usd": 1}', "[" * 100_000,
    ],
)  # fmt: skip
def test_a_report_that_says_nothing_leaves_the_cost_unknown(
    home: Path, clock: FakeClock, report: str
) -> None:
    costs = owner(home, clock)
    charge = entered(costs)
    charge.file.write_text(report)
    assert settled(costs, charge) == RunCost(unknown=True)
    assert known(costs) == [None]


def test_a_link_in_the_place_of_a_report_is_not_followed(costs: RunCosts, tmp_path: Path, caplog) -> None:
    (tmp_path / "cheap.json").write_text('{"cost_usd": 0.01}')
    charge = entered(costs)
    charge.file.symlink_to(tmp_path / "cheap.json")
    with caplog.at_level(logging.WARNING):
        assert settled(costs, charge) == RunCost(unknown=True)
    assert "is not read" in caplog.text
    assert (tmp_path / "cheap.json").exists() and not charge.file.is_symlink()


def test_long_words_are_cut(costs: RunCosts) -> None:
    charge = entered(costs)
    charge.file.write_text(json.dumps({"cost_usd": 1, "summary": "x" * 9000, "session": "y" * 9000}))
    cost = settled(costs, charge)
    assert cost is not None and len(cost.summary) == len(cost.session) == 200


def test_a_report_of_a_run_whose_owner_was_killed_is_counted_by_the_next(
    costs: RunCosts, home: Path, clock: FakeClock
) -> None:
    killed = entered(costs)
    killed.file.write_text('{"cost_usd": 0.7}')
    after = owner(home, clock)
    assert known(after) == [None]
    after.settle_left_over()
    assert known(after) == [Decimal("0.7")]
    assert list((home / REPORTS).iterdir()) == []


def test_what_is_written_after_the_end_may_raise_a_cost_and_not_lower_it(costs: RunCosts) -> None:
    charge = entered(costs)
    assert settled(costs, charge, "claude", RESULT)
    for late, counted in (("0.3", "0.5"), ("0.9", "0.9")):
        charge.file.write_text(f'{{"cost_usd": {late}}}')
        costs.settle_left_over()
        assert known(costs) == [Decimal(counted)]
    charge.file.write_text('{"cost_usd": 1.1}')
    entered(costs)  # before the next run may start, at the latest
    assert known(costs) == [Decimal("1.1"), None]


def test_the_report_of_a_run_under_way_is_left_alone(costs: RunCosts) -> None:
    first, second = entered(costs), entered(costs, "report")
    second.file.write_text('{"cost_usd": 0.1')
    costs.settle_left_over()
    assert second.file.exists() and first.file != second.file


def test_files_that_are_no_reports_are_removed(costs: RunCosts, home: Path) -> None:
    (home / REPORTS).mkdir(parents=True)
    (home / REPORTS / "stranger.json").write_text('{"cost_usd": 100}')
    costs.settle_left_over()
    assert known(costs) == [] and list((home / REPORTS).iterdir()) == []


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


THREAD = '{"type":"thread.started","thread_id":"t1"}\n'


def test_a_resumed_session_costs_what_it_used_since_its_last_run(costs: RunCosts) -> None:
    """`codex exec resume` reports the total of the thread."""
    turn = '{"type":"turn.completed","usage":{"input_tokens":%d,"output_tokens":%d}}'
    amounts = []
    for sent, made in ((1_000_000, 0), (3_000_000, 500_000), (3_000_000, 500_000), (1_000_000, 0)):
        cost = settled(costs, entered(costs), "codex", THREAD + turn % (sent, made))
        assert cost is not None
        amounts.append((cost.cost_usd, cost.tokens_in))
    # The last is less than before: a new session began.
    assert amounts == [("3", 1_000_000), ("8", 2_000_000), ("0", 0), ("3", 1_000_000)]


def test_what_a_session_used_is_known_to_the_next_owner(
    costs: RunCosts, home: Path, clock: FakeClock
) -> None:
    settled(costs, entered(costs), "codex", THREAD + TURN)
    cost = settled(owner(home, clock), entered(costs), "codex", THREAD + TURN)
    assert cost == RunCost("0", False, 0, 0, 1, session="t1")


def test_a_folder_in_the_place_of_a_report_stops_no_run(
    costs: RunCosts, home: Path, clock: FakeClock
) -> None:
    sly = entered(costs)
    sly.file.mkdir()
    assert settled(costs, sly, "codex", TURN) == RunCost("5", False, 1_000_000, 500_000, 1)
    assert settled(costs, entered(costs), "codex", TURN)
    assert entered(owner(home, clock))
    assert known(costs) == [Decimal(5), Decimal(5), None]
