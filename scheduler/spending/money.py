"""Amounts in US dollars: exact sums, and their text and that of tokens for people."""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation

from scheduler.core.costs import RunCost

ZERO = Decimal(0)
EXACT = Context(prec=100)  # the default rounds sums to 28 digits
MOST = Decimal(10**9)  # dollars: no run costs more, and sums stay exact
FINEST = -40  # the last decimal place of a plausible amount, for the same reason
UNKNOWN = "$?"


def believed(amount: Decimal) -> bool:
    """Whether this is a plausible cost of a run; sums of such amounts lose no digit."""
    exponent = amount.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= FINEST and 0 <= amount <= MOST


def amount_from(text: str) -> Decimal:
    """An amount above 0 as a person writes it: `2`, `0.50`, `$1`; raises ValueError."""
    try:
        amount = Decimal(text.strip().removeprefix("$"))
    except InvalidOperation:
        amount = ZERO
    if not (believed(amount) and ZERO < amount < MOST):
        raise ValueError(f"{text[:40]!r} is no amount of dollars above 0; write it like 2 or 0.50")
    return amount


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    found = ZERO
    for amount in amounts:
        found = EXACT.add(found, amount)
    return found


def dollars(amount: Decimal) -> str:
    """The amount as a person reads it: `$0.37`, `$1,240.00`, `<$.01` below a cent."""
    if ZERO < amount < Decimal("0.01"):
        return "<$.01"
    return f"${_rounded(amount, '0.01'):,}"


def brief(amount: Decimal) -> str:
    """The amount in five cells: `$0.37`, `$12.4`, `$124`, `$1.2k`."""
    if amount < 10:
        return dollars(min(amount, Decimal("9.99")))
    if (rounded := _rounded(amount, "0.1")) < 100:
        return f"${rounded}"
    if (rounded := _rounded(amount, "1")) < 1000:
        return f"${rounded}"
    return f"${count_tokens(int(amount), figures=2)}"


def about(amount: Decimal) -> str:
    """A forecast: whole dollars from ten on."""
    whole = amount >= 10
    return f"about ${_rounded(amount, '1'):,}" if whole else f"about {dollars(amount)}"


def price(cost: RunCost | None) -> str:
    """The cost of one run as text: blank for a run that costs nothing, `$?` if unknown."""
    if cost is None:
        return ""
    try:
        return dollars(Decimal(cost.cost_usd)) if cost.cost_usd else UNKNOWN if cost.unknown else ""
    except InvalidOperation:  # written by another program
        return UNKNOWN


def tokens(cost: RunCost | None) -> str:
    """Input and output tokens together: `850 tok`, `12.3k tok`, `1.24M tok`; blank if not counted."""
    if cost is None or (cost.tokens_in is None and cost.tokens_out is None):
        return ""
    return f"{count_tokens((cost.tokens_in or 0) + (cost.tokens_out or 0))} tok"


def count_tokens(number: int, figures: int = 3) -> str:
    """The number as `850`, `12.3k` or `1.24M`, rounded down so that it never reaches the next unit."""
    for unit, one in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= one:
            places = max(0, figures - len(str(number // one)))
            return f"{number * 10**places // one / 10**places:.{places}f}{unit}"
    return str(number)


def _rounded(amount: Decimal, to: str) -> Decimal:
    return amount.quantize(Decimal(to), rounding=ROUND_HALF_UP, context=EXACT)
