"""The question about a citizen's money: what was spent, what is left, and how much more is allowed today."""

from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, Decimal

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static

from scheduler.core.costs import Money
from scheduler.core.views import Hold, HoldKind, Snapshot
from scheduler.spending.money import ZERO, amount_from, dollars
from tui.common import amounts
from tui.common.questions.question import STAY, Choice, Form, Words
from tui.common.text import clean
from tui.glyphs import Glyphs

OFFERED = ("1", "2", "5")  # dollars, each its own key
OTHER = "d"
TOGETHER = "all "  # how a hold names the limit of all citizens together


def over_budget(snapshot: Snapshot | None) -> Hold | None:
    """The hold of the first row that is over budget, if any."""
    rows = snapshot.tasks if snapshot else ()
    return next((row.held for row in rows if row.held and row.held.kind is HoldKind.BUDGET), None)


def is_of_all(held: Hold | None) -> bool:
    """Whether the hold comes from the limit of all citizens together."""
    return held is not None and held.about.startswith(TOGETHER)


def can_lift(snapshot: Snapshot) -> bool:
    """Whether anything is limited."""
    money = snapshot.money or Money()
    return bool(money.day_limit or money.month_limit or is_of_all(over_budget(snapshot)))


def facts(snapshot: Snapshot) -> Iterator[Words]:
    """What was spent of which limit, and the forecast."""
    money, held = snapshot.money, over_budget(snapshot)
    if money is None:
        yield "Nothing of it ever cost anything.", "$ink"
    else:
        yield _row("today", money.today, money.day_limit)
        yield _row("this month", money.month, money.month_limit)
        if money.forecast:
            day = f"{amounts.spent(money.forecast_day)} a day, " if money.forecast_day else ""
            yield f"{'forecast':<12}{day}{amounts.about(money.forecast)} at the end of the month", "$ink"
        if money.unknown:
            yield f"{'unknown':<12}the cost of {money.unknown} runs: each counts as the dearest", "$warn"
    if held:
        yield "", "$ink"
        yield f"It is {held.why}.", "$warn"
    yield "", "$ink"
    yield (
        ("More is allowed for today; the settings stay as they are.", "$faint")
        if can_lift(snapshot)
        else ("No limit is set: [budget] in the settings sets one.", "$faint")
    )


def choices(snapshot: Snapshot) -> list[Choice]:
    """How much more to allow; only `close` where nothing is limited."""
    if not can_lift(snapshot):
        return [Choice(STAY, "close")]
    offered = [Choice(key, f"allow {dollars(Decimal(key))} more today") for key in OFFERED]
    return [*offered, Choice(OTHER, "allow another amount ..."), Choice(STAY, "leave it as it is")]


def enough(money: Money | None, held: Hold | None, next_run: Decimal) -> Decimal:
    """Whole dollars that let one more run begin, as far as is known."""
    if money is None or is_of_all(held):
        return Decimal(1)
    limits = ((money.today, money.day_limit), (money.month, money.month_limit))
    missing = [_missing(spent, limit, next_run) for spent, limit in limits]
    return max(Decimal(1), *missing)


def _missing(spent: str, limit: str, next_run: Decimal) -> Decimal:
    most = amounts.amount(limit)
    if most is None:
        return ZERO
    return ((amounts.amount(spent) or ZERO) + next_run - most).quantize(Decimal(1), rounding=ROUND_CEILING)


def _row(label: str, spent: str, limit: str) -> Words:
    share = amounts.share(spent, limit)
    style = "$bad" if share >= 1 else "$warn" if share >= amounts.NEAR else "$ink"
    left = f", {amounts.left(spent, limit)} left" if limit and share < 1 else ""
    return f"{label:<12}{amounts.of_limit(spent, limit)}{left}", style


class AmountForm(Form[str]):
    """Gives back the amount of dollars that was typed, or nothing if the form was closed."""

    def __init__(self, title: str, facts: Sequence[Words], glyphs: Glyphs) -> None:
        super().__init__()
        self._title, self._facts, self._glyphs, self._plain = title, facts, glyphs, glyphs.plain
        self._field = Input(placeholder="2 or 0.50", id="amount", compact=True)
        self._read = Static(id="read")

    def compose(self) -> ComposeResult:
        lines = [Content(clean(words, self._plain)).stylize(style) for words, style in self._facts]
        with Vertical() as box:
            yield Static(Content("\n").join(lines))
            with Horizontal(classes="field"):
                yield Static("allow $", classes="label")
                yield self._field
                yield self._read
        box.border_title = Content(clean(self._title, self._plain)).stylize("bold").markup
        box.border_subtitle = f"{self._glyphs.enter} allow   esc cancel"

    def changed(self, field: Input) -> None:
        self._show()

    def submitted(self) -> None:
        if self._amount() is not None:
            self.dismiss(self._field.value)

    def _amount(self) -> Decimal | None:
        try:
            return amount_from(self._field.value)
        except ValueError:
            return None

    def _show(self) -> None:
        """Show how the amount is understood, while it is typed."""
        amount = self._amount()
        if not self._field.value:
            self._read.update("")
        elif amount is None:
            self._read.update(Content("not an amount above 0").stylize("$bad"))
        else:
            self._read.update(Content(f"{dollars(amount)} more today").stylize("$faint"))
