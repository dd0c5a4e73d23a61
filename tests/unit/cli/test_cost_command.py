"""`experience-tui cost` and `budget`: amounts for people and for scripts, and a limit lifted for a day."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from scheduler.cli.main import run
from scheduler.spending.ledger import SpendingLedger
from tests.crash.loops import Place, everything_in
from tui.__main__ import monitor

TODAY = datetime.now(UTC).date()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("TZ", "UTC")
    place = Place(tmp_path)
    place.tasks('report\nevery = "1h"\ncommand = ["true"]', more="[budget]\nday = 5\nmonth = 60.50\n")
    ledger = SpendingLedger(place.home)
    for run_, days, cost in (("a", 400, "7"), ("b", 1, "0.10"), ("c", 0, "0.25"), ("d", 0, None)):
        ledger.enter(run_, "wake", TODAY - timedelta(days=days))
        if cost:
            ledger.settle(run_, Decimal(cost), None, None)
    return place


def asked(place: Place, *words: str) -> int:
    return run(monitor, [*words, "--config", str(place.config)], "experience-tui")


def test_costs_are_a_line_per_citizen_and_the_days_of_a_single_one(place, capsys):
    assert asked(place, "cost", "opus", "--days", "2") == 0
    head, row, *days = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "citizen",
        "today",
        "this",
        "month",
        "wakes",
        "unknown",
        "of",
        "day",
        "of",
        "month",
    ]
    # The unknown one counts as the dearest of the last ten, which is $7.00.
    assert row.split()[:2] == ["opus", "$7.25"]
    assert row.split()[3:] == ["3", "1", "$5.00", "$60.50"]
    assert [line.split() for line in days if line] == [
        [str(TODAY - timedelta(days=1)), "$0.10"],
        [str(TODAY), "$7.25"],
    ]


def test_scripts_get_exact_amounts(place, capsys):
    assert asked(place, "cost", "--json") == 0
    (opus,) = json.loads(capsys.readouterr().out)
    assert (opus["today_usd"], opus["unknown"], opus["budget"]["month"]) == ("7.25", 1, "60.5")


def test_looking_at_costs_writes_nothing(place, capsys):
    before = everything_in(place.root)
    assert asked(place, "cost", "opus") == asked(place, "budget", "opus") == 0
    assert everything_in(place.root) == before


def test_a_budget_is_lifted_for_today(place, capsys):
    assert asked(place, "budget", "opus", "--add", "2", "--today") == 0
    day, month = capsys.readouterr().out.splitlines()
    assert day == "opus: $7.25 today, of $7.00, $2.00 of it added for today"
    assert "of $62.50" in month


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "much", "1e99"])
def test_what_is_no_amount_lifts_nothing(place, capsys, amount):
    assert asked(place, "budget", "opus", "--add", amount, "--today") == 2
    assert "write an amount of dollars" in capsys.readouterr().err


def test_a_lift_says_for_how_long(place, capsys):
    assert asked(place, "budget", "opus", "--add", "2") == 2
    assert "add --today" in capsys.readouterr().err


def test_an_unknown_citizen_is_named(place, capsys):
    assert asked(place, "cost", "opsu") == 2
    assert "opus" in capsys.readouterr().err
