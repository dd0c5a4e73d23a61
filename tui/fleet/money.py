"""What all citizens have spent, for the line above them."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from scheduler.core.costs import Money
from scheduler.core.values import value
from scheduler.spending.money import ZERO, about, dollars, total
from tui.common import amounts
from tui.glyphs import Glyphs

Piece = tuple[str, str]  # text and style


@value
class Spent:
    """Dollars; None if nothing ever cost anything. `near`: a citizen's budget is nearly used up."""

    today: Decimal | None = None
    month: Decimal | None = None
    month_end: Decimal | None = None  # expected
    near: bool = False


NOTHING_SPENT = Spent()


def spent_by(money: Money | None) -> Spent:
    """What one citizen has spent."""
    if money is None:
        return NOTHING_SPENT
    month, today = amounts.amount(money.month), amounts.amount(money.today)
    end = amounts.amount(money.forecast)
    return Spent(today, month, month if end is None else end, amounts.fullest(money) >= amounts.NEAR)


def together(spent: Iterable[Spent]) -> Spent:
    """The sum over these citizens."""
    found = [each for each in spent if each != NOTHING_SPENT]
    if not found:
        return NOTHING_SPENT
    days, months, ends = zip(*((each.today, each.month, each.month_end) for each in found), strict=True)
    return Spent(_sum(days), _sum(months), _sum(ends), any(each.near for each in found))


def _sum(parts: Iterable[Decimal | None]) -> Decimal:
    return total(part for part in parts if part is not None)


def money_words(spent: Spent, glyphs: Glyphs) -> Iterator[list[Piece]]:
    """What was spent today, and this month with the forecast for its end."""
    if not spent.month and not spent.today:
        yield from ([], [])
        return
    yield [(f"  {dollars(spent.today or ZERO)} today", "$warn" if spent.near else "$ink")]
    month = f"{glyphs.dot}{dollars(spent.month or ZERO)} this month"
    end = spent.month_end if spent.month_end is not None and spent.month_end != spent.month else None
    yield [(f"{month}{glyphs.dot}{about(end)} at its end" if end else month, "$ink")]
