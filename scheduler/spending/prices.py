"""Tokens turned into money by the prices of the settings: pure functions."""

from collections.abc import Sequence
from decimal import Decimal

from scheduler.core.costs import Price, Prices, Usage
from scheduler.spending.money import EXACT, total

MILLION = Decimal(1_000_000)


def price_of(model: str, prices: Prices) -> Price | None:
    """The price under this name, else under the longest matching prefix that ends in `*`."""
    if model in prices:
        return prices[model]
    beginnings = [name for name in prices if name.endswith("*") and model.startswith(name[:-1])]
    return prices[max(beginnings, key=len)] if model and beginnings else None


def cost_of(used: Sequence[Usage], prices: Prices, program: str = "") -> Decimal | None:
    """The cost of these tokens; None if a count or a price is missing, so that it is never too low.

    An unnamed model, or one without a price, has the price of the `program`.
    """
    amounts = [_cost(each, prices, program) for each in used]
    known = [amount for amount in amounts if amount is not None]
    return total(known) if known and len(known) == len(amounts) else None


def _cost(used: Usage, prices: Prices, program: str) -> Decimal | None:
    price = price_of(used.model, prices) or price_of(program, prices)
    if price is None or used.tokens_in is None or used.tokens_out is None:
        return None
    if min(used.tokens_in, used.tokens_out) < 0:
        return None
    sent = EXACT.multiply(price.input, Decimal(used.tokens_in))
    made = EXACT.multiply(price.output, Decimal(used.tokens_out))
    return EXACT.divide(EXACT.add(sent, made), MILLION)
