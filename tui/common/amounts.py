"""Amounts of money on screen, from the text in views; an invalid amount is unknown."""

from decimal import Decimal, InvalidOperation

from scheduler.core.costs import Money
from scheduler.spending.money import EXACT, UNKNOWN, ZERO, believed, dollars
from scheduler.spending.money import about as about_dollars
from scheduler.spending.money import brief as brief_dollars

NEAR = Decimal("0.8")  # share of a limit from which an amount stands out


def amount(text: str) -> Decimal | None:
    """The amount; None if the text is empty or no valid amount of money."""
    try:
        found = Decimal(text)
    except InvalidOperation:  # raised for empty text, too
        return None
    return found if believed(found) else None


def spent(text: str) -> str:
    """`$0.37`; blank where nothing was spent, `$?` for an invalid amount."""
    return _shown(text) if text else ""


def brief(text: str) -> str:
    """The amount spent, in five cells."""
    found = amount(text)
    return brief_dollars(found) if found is not None else UNKNOWN if text else ""


def about(text: str) -> str:
    """A forecast; blank if there is none."""
    found = amount(text)
    return about_dollars(found) if found is not None else ""


def of_limit(text: str, limit: str) -> str:
    """`$5.02 of $5.00`, or only the amount where there is no limit."""
    return f"{_shown(text or '0')} of {_shown(limit)}" if limit else _shown(text or "0")


def left(text: str, limit: str) -> str:
    """What may still be spent; `$0.00` once the limit is exceeded."""
    used, most = amount(text) or ZERO, amount(limit)
    return UNKNOWN if most is None else dollars(max(ZERO, EXACT.subtract(most, used)))


def share(text: str, limit: str) -> Decimal:
    """How much of the limit is spent; 0 without one."""
    most = amount(limit)
    if most is None:
        return ZERO
    used = amount(text) or ZERO
    return EXACT.divide(used, most) if most else Decimal(1)


def fullest(money: Money) -> Decimal:
    """The share spent of the limit that is used up most."""
    return max(share(money.today, money.day_limit), share(money.month, money.month_limit))


def _shown(text: str) -> str:
    found = amount(text)
    return dollars(found) if found is not None else UNKNOWN
