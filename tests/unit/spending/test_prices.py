"""Tokens turned into money."""

from decimal import Decimal

from scheduler.core.costs import Price, Usage
from scheduler.spending.prices import cost_of
from tests.each import each

DEAR, CHEAP = Price(Decimal("1.25"), Decimal(10)), Price(Decimal("0.05"), Decimal("0.4"))
PRICES = {"pro": DEAR, "mini*": CHEAP, "mini-max*": DEAR, "codex": DEAR}


def cost(model: str, tokens_in: int | None, tokens_out: int | None, program: str = "") -> Decimal | None:
    return cost_of([Usage(model, tokens_in, tokens_out)], PRICES, program)


def test_tokens_cost_their_price_to_the_last_digit() -> None:
    assert cost("pro", 1, 0) == Decimal("0.00000125")
    assert cost("pro", 24_011, 512) == Decimal("0.03513375")


@each(("model", "amount"), [("mini", "0.05"), ("mini-2026", "0.05"), ("mini-max-1", "1.25"), ("pro-2", None)])
def test_a_name_with_a_star_stands_for_all_that_begin_so_and_the_longest_fits(model, amount) -> None:
    assert cost(model, 1_000_000, 0) == (None if amount is None else Decimal(amount))


def test_a_program_stands_for_the_models_that_it_does_not_name() -> None:
    assert cost("", 1_000_000, 0, "codex") == Decimal("1.25")
    assert cost("", 1_000_000, 0, "gemini") is None


@each(("sent", "made"), [(None, 5), (5, None), (None, None), (-1, 5), (5, -1)])
def test_what_was_not_counted_has_no_price(sent, made) -> None:
    assert cost("pro", sent, made) is None


def test_models_of_one_run_add_up_and_one_without_a_price_makes_all_unknown() -> None:
    both = [Usage("pro", 1_000_000, 0), Usage("mini", 1_000_000, 0)]
    assert cost_of(both, PRICES) == Decimal("1.3")
    assert cost_of([*both, Usage("other", 1, 1)], PRICES) is None
    assert cost_of([], PRICES) is None
