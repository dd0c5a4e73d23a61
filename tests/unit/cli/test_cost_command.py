"""`experience-tui cost` and `budget`: amounts for people and for scripts, and a limit lifted for a day."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from scheduler.cli.main import run
from scheduler.spending.ledger import SpendingLedger
from tests.crash.loops import Place, everything_in
from tests.each import each
from tui.__main__ import monitor

TODAY = datetime.now(UTC).date()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("TZ", "UTC")
    place = Place(tmp_path)
    place.tasks('report\nevery = "1h"\ncommand = ["true"]', more="[budget]\nday = 5\nmonth = 60.50\n")
    ledger = SpendingLedger(place.home / ".experience")
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
        "at",
        "its",
        "end",
        "runs",
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


def test_scripts_get_the_budget_as_it_is_after_it_was_lifted(place, capsys):
    assert asked(place, "budget", "opus", "--add", "2", "--today", "--json") == 0
    opus = json.loads(capsys.readouterr().out)
    assert (opus["citizen"], opus["today_usd"], opus["added_today_usd"]) == ("opus", "7.25", "2")
    assert opus["budget"] == {"run": None, "day": "5", "month": "60.5"}


def test_looking_at_costs_writes_nothing(place, capsys):
    before = everything_in(place.root)
    assert asked(place, "cost", "opus") == asked(place, "budget", "opus") == 0
    assert everything_in(place.root) == before


def test_a_budget_is_lifted_for_today(place, capsys):
    assert asked(place, "budget", "opus", "--add", "2", "--today") == 0
    day, month = capsys.readouterr().out.splitlines()
    assert day == "opus: $7.25 today, of $7.00, $2.00 of it added for today"
    assert "of $62.50" in month


@each("amount", ["0", "-1", "NaN", "much", "1e99"])
def test_what_is_no_amount_lifts_nothing(place, capsys, amount):
    assert asked(place, "budget", "opus", "--add", amount, "--today") == 2
    assert "write an amount of dollars" in capsys.readouterr().err


def test_a_lift_says_for_how_long(place, capsys):
    assert asked(place, "budget", "opus", "--add", "2") == 2
    assert "add --today" in capsys.readouterr().err


def test_an_unknown_citizen_is_named(place, capsys):
    assert asked(place, "cost", "opsu") == 2
    assert "opus" in capsys.readouterr().err


def test_what_is_still_to_come_is_forecast_from_the_fifth_run_on(place, capsys):
    ledger = SpendingLedger(place.home / ".experience")
    for number in range(5):
        ledger.enter(f"w{number}", "wake", TODAY)
        ledger.settle(f"w{number}", Decimal("0.50"), None, None)
    assert asked(place, "cost", "--json") == 0
    (opus,) = json.loads(capsys.readouterr().out)
    assert Decimal(opus["forecast_month_usd"]) >= Decimal(opus["month_usd"])
    assert Decimal(opus["forecast_day_usd"]) > 0
    assert asked(place, "cost") == 0
    assert "about $" in capsys.readouterr().out


@pytest.fixture
def together(place: Place) -> Place:
    place.config.write_text(place.config.read_text() + "[budget]\nday = 10\n")
    mira = place.root / "mira"
    mira.mkdir()
    (mira / "experience.toml").touch()
    ledger = SpendingLedger(mira / ".experience")
    ledger.enter("m", "wake", TODAY)
    ledger.settle("m", Decimal("1.5"), None, None)
    return place


def test_all_citizens_together_are_the_last_line_and_lifted_with_all(together, capsys):
    assert asked(together, "cost") == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[:3] == ["all", "citizens", "$8.75"]
    assert asked(together, "budget", "--all", "--add", "2.5", "--today") == 0
    day, _ = capsys.readouterr().out.splitlines()
    assert day == "all citizens: $8.75 today, of $12.50, $2.50 of it added for today"
    assert asked(together, "cost", "mira", "--json") == 0
    (mira,) = json.loads(capsys.readouterr().out)
    assert mira["together"]["today_usd"] == "8.75" and mira["added_today_usd"] == "0"


def test_without_a_limit_of_all_there_is_nothing_to_lift(place, capsys):
    before = everything_in(place.root)
    for words in ((), ("--add", "2", "--today")):
        assert asked(place, "budget", "--all", *words) == 2
        assert "add [budget] to the main file" in capsys.readouterr().err
    assert everything_in(place.root) == before


def test_without_citizens_there_is_no_budget(tmp_path, capsys):
    config = tmp_path / "main.toml"
    config.write_text(f"root = {json.dumps(str(tmp_path))}\n[budget]\nday = 10\n")
    words = ("budget", "--all", "--add", "2", "--today", "--config", str(config))
    assert run(monitor, list(words), "experience-tui") == 2
    assert "no citizens yet" in capsys.readouterr().err


@each("words", [(), ("opus", "--all")])
def test_a_budget_is_one_citizens_or_that_of_all(place, capsys, words):
    assert asked(place, "budget", *words) == 2
    assert "name one citizen, or write --all" in capsys.readouterr().err


def test_days_are_those_of_the_citizens_zone_which_is_named(place, capsys, monkeypatch):
    """At 20:30 in London it is tomorrow in Tokyo, where the run of an hour ago was of today, too."""
    settings = place.home / "experience.toml"
    settings.write_text("timezone = 'Asia/Tokyo'\n" + settings.read_text())
    evening = datetime(2001, 4, 30, 20, 30, tzinfo=UTC).timestamp()
    monkeypatch.setattr("scheduler.cli.queries.cost.SystemClock.now", lambda: evening)
    ledger = SpendingLedger(place.home / ".experience")
    for hours in (1, 7):
        at = evening - 3600 * hours
        ledger.enter(f"at {hours}", "wake", datetime.fromtimestamp(at, UTC).date(), at)
        ledger.settle(f"at {hours}", Decimal(2), None, None)
    assert asked(place, "cost", "opus", "--json") == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert (document["timezone"], document["today_usd"], document["month_usd"]) == ("Asia/Tokyo", "2", "2")
    assert document["days"]["2001-05-01"] == "2"
    assert asked(place, "cost", "opus") == 0
    assert "the days of opus are those of Asia/Tokyo" in capsys.readouterr().err
