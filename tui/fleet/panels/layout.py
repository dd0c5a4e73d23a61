"""Where each panel of the grid lies, and how its width is divided among its columns."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

from scheduler.core.values import value
from tui.common.text import TIME

LEAST = 39  # cells of a panel, at least
SMALLEST = 12  # cells below which a panel is cut off at the right
NAME, BAR, SCHEDULE, RECENT, SAID = 14, 6, 5, 10, 30  # cells of columns, at least


@value
class Layout:
    """Rows of panels from top to bottom; `tops` has one entry more than bands, the total height."""

    columns: int
    widths: tuple[int, ...]
    lefts: tuple[int, ...]
    tops: tuple[int, ...]
    panels: int

    @property
    def height(self) -> int:
        return self.tops[-1]

    def band_at(self, y: int) -> int:
        """The band that covers line `y`; one past the last if none does."""
        return bisect_right(self.tops, y) - 1

    def column_at(self, x: int) -> int:
        return max(0, bisect_right(self.lefts, x) - 1)

    def panels_in(self, band: int) -> range:
        first = band * self.columns
        return range(first, min(first + self.columns, self.panels))

    def top(self, panel: int) -> int:
        return self.tops[panel // self.columns]

    def bottom(self, panel: int) -> int:
        return self.tops[panel // self.columns + 1]


def widths_for(width: int, columns: int) -> tuple[int, ...]:
    """The widths of the `columns` of panels in `width` cells."""
    each, more = divmod(max(width, columns * SMALLEST), columns)
    return tuple(each + (column < more) for column in range(columns))


def arrange(heights: Sequence[int], widths: tuple[int, ...]) -> Layout:
    """Panels of these heights, in bands of columns of these widths."""
    columns = len(widths)
    bands = (max(heights[first : first + columns]) for first in range(0, len(heights), columns))
    return Layout(
        columns=columns,
        widths=widths,
        lefts=tuple(accumulate(widths, initial=0))[:-1],
        tops=tuple(accumulate(bands, initial=0)),
        panels=len(heights),
    )


def columns_for(panels: int, width: int) -> int:
    """As many columns as there are panels, but only as many as stay readable."""
    return max(1, min(width // LEAST, panels))


@value
class Columns:
    """Widths in cells, 0 for a column without room; each but the sign has a gap before it."""

    inner: int
    name: int
    bar: int = 0
    schedule: int = 0
    recent: int = 0
    took: int = 0
    text: int = 0

    @property
    def time_end(self) -> int:
        return 2 + self.name + 1 + TIME

    @property
    def bar_end(self) -> int:
        return self.time_end + (self.bar + 1 if self.bar else 0)

    @property
    def rest(self) -> int:
        """Unused cells at the right."""
        facts = self.schedule, self.recent and self.recent + 1, self.took, self.text and self.text + 1
        return self.inner - self.bar_end - sum(cells + 1 for cells in facts if cells)

    @property
    def heads(self) -> bool:
        """Whether the columns need titles: durations without one would be unclear."""
        return self.took > 0


@lru_cache(maxsize=64)
def share(inner: int, longest: int, schedules: int = 5) -> Columns:
    """The columns of a panel with `inner` cells; `longest` and `schedules` are the longest of either text."""
    room = max(0, inner - 2 - 1 - TIME)
    name = min(room, max(8, min(longest, NAME)))
    rest = room - name

    def take(cells: int) -> int:
        nonlocal rest
        if rest < cells + 1:
            return 0
        rest -= cells + 1
        return cells

    def widen(cells: int, most: int) -> int:
        nonlocal rest
        more = max(0, min(rest, most - cells)) if cells else 0
        rest -= more
        return cells + more

    schedule = take(SCHEDULE)
    bar = take(BAR) or take(BAR - 1)
    took = take(TIME) if rest >= TIME + 1 + RECENT + 2 else 0
    text = take(SAID + 1) - 1 if took and rest >= SAID + 2 else 0
    recent = take(RECENT + 1) - 1 if took and rest >= RECENT + 2 else 0
    name = widen(name, longest)
    bar = widen(bar, 12 if took else 20)
    schedule = widen(schedule, min(15, schedules)) if text else schedule
    return Columns(inner, name, bar, schedule, recent, took, widen(text, 999))
