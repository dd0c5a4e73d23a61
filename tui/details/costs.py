"""The column with the cost of each run of a task: an amount, and a bar where there is room."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from scheduler.core.records import RunRecord
from scheduler.spending.money import ZERO, price
from tui.common import amounts
from tui.common.pane import StyledText
from tui.glyphs import Glyphs

COST, BAR = 8, 7  # cells of an amount and of its bar, each with a gap before it


def cost_of(run: RunRecord) -> Decimal:
    """The known cost of the run; 0 if it is unknown."""
    return (amounts.amount(run.cost.cost_usd) if run.cost else None) or ZERO


class CostColumn:
    """Shown only if a run cost something; the most expensive run of the list has a full bar."""

    def __init__(self, runs: Iterable[RunRecord] = ()) -> None:
        found = list(runs)
        self._dearest = max(map(cost_of, found), default=ZERO)
        self.shown = bool(self._dearest) or any(run.cost and run.cost.unknown for run in found)

    def cells(self, spare: int) -> int:
        """How many cells of `spare` the column takes; the bar is left out first."""
        if not self.shown or spare < COST:
            return 0
        return COST + BAR if spare >= COST + 2 * BAR else COST

    def head(self, cells: int) -> str:
        """The column's title in so many cells."""
        return f"{'cost':>{COST}}".ljust(cells) if cells else ""

    def pieces(self, run: RunRecord, cells: int, glyphs: Glyphs) -> Sequence[StyledText]:
        """The cost of one run as styled text."""
        if not cells:
            return ()
        amount = StyledText(f"{price(run.cost):>{COST}}", "ink")
        return (amount, *self._bar(cost_of(run), glyphs)) if cells > COST else (amount,)

    def _bar(self, cost: Decimal, glyphs: Glyphs) -> Sequence[StyledText]:
        width = BAR - 1
        share = float(cost / self._dearest) if self._dearest else 0.0
        done = glyphs.bar(round(2 * width * share))
        return StyledText(f" {done}", "running"), StyledText(glyphs.track * (width - len(done)), "track")
