"""A stretch of time in equal cells, as a timeline draws it."""

from collections.abc import Mapping
from dataclasses import dataclass

MOST_CELLS, MOST_TASKS = 1000, 200  # that may be asked for at once

Slots = Mapping[str, tuple[float, ...]]  # by task: the first time in each cell that has one


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """So many cells of so many seconds from `start` on (Unix seconds)."""

    start: float
    cell: float
    cells: int

    @property
    def end(self) -> float:
        return self.start + self.cell * self.cells

    def index(self, when: float) -> int:
        """The cell that this time is in; outside the window it is none of them."""
        return int((when - self.start) // self.cell)

    def after(self, when: float) -> float:
        """Where the cell after the one with this time begins."""
        return max(self.start, self.start + self.cell * (self.index(when) + 1))
