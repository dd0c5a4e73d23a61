"""What runs may cost and what tokens do, as it is set."""

from decimal import Decimal

import pytest

from scheduler.core.costs import Budget, Price
from tests.each import each
from tests.unit.config.test_settings import Place


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)


def test_limits_in_the_main_file_are_for_all_citizens_together_and_its_run_for_those_without_one(place):
    place.main.write_text("[budget]\nrun = 0.5\nday = 20\nmonth = 300.10\n[citizens.mira.budget]\nday = 3")
    place.home("opus", "[budget]\nrun = 2\nday = 5")
    opus, mira = (place.load().citizen(name).spending for name in ("opus", "mira"))
    assert opus.together == mira.together == Budget(Decimal("0.5"), Decimal(20), Decimal("300.1"))
    assert opus.budget == Budget(Decimal(2), Decimal(5))
    assert mira.budget == Budget(Decimal("0.5"), Decimal(3))


def test_a_citizens_own_file_cannot_lift_the_limit_of_all(place):
    place.main.write_text("[budget]\nday = 1")
    place.home("opus", "[budget]\nday = 1000")
    assert place.opus().spending.together.day == 1


@each("limit", ["day = -1", "day = 0", "day = '5'", "day = nan", "days = 5", "day = 1e10"])
def test_a_mistake_in_the_limit_of_all_stops_all(place, limit):
    place.main.write_text(f"[budget]\n{limit}")
    place.home("opus")
    settings = place.load()
    assert len(settings.problems) == 1 and "budget.day" in settings.problems[0]
    assert settings.citizen("opus").tasks == ()


def test_prices_are_exact_and_the_own_file_goes_before_the_main_one(place):
    place.main.write_text(
        '[prices]\n"gpt-5*" = { input = 0.1, output = 10 }\n[prices.local]\ninput = 0\noutput = 0'
    )
    place.home("opus", '[prices."gpt-5*"]\ninput = 0.3')
    prices = place.opus().spending.prices
    assert prices == {"gpt-5*": Price(Decimal("0.3"), Decimal(10)), "local": Price(Decimal(0), Decimal(0))}


@each(
    "price, problem",
    [
        ("{ input = 1 }", "prices.small: has no output; add both, like { input = 1.25, output = 10 }"),
        ("{ input = -1, output = 1 }", "prices.small.input: is -1; write an amount from 0 on"),
        ("{ input = 1, output = 1, out = 2 }", "prices.small.out: unknown key; did you mean output?"),
        ("3", "prices.small: is a number; write it as a table, in [brackets]"),
    ],
)
def test_a_mistake_in_a_price_is_named(place, price, problem):
    home = place.home("opus", f"[prices]\nsmall = {price}")
    assert place.opus().problems == (f"{home}/experience.toml: {problem}",)
