"""Where each panel of the grid lies, and how the cells inside a panel are shared between its columns."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from tui.common.text import TIME

WANTED, LEAST = 56, 39  # cells of a panel
SMALLEST = 12  # below that a panel is cut off at the right
TYPICAL = 10  # lines of one, for a guess that does not change with every error


@dataclass(frozen=True, slots=True)
class Layout:
    """Bands from top to bottom; `tops` has one entry more than there are bands: the whole height."""

    columns: int
    widths: tuple[int, ...]
    lefts: tuple[int, ...]
    tops: tuple[int, ...]
    panels: int

    @property
    def height(self) -> int:
        return self.tops[-1]

    def band_at(self, y: int) -> int:
        """The band that covers line `y`, one past the last if none does."""
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


def arrange(heights: Sequence[int], width: int, columns: int) -> Layout:
    """Panels of these heights, in rows of `columns`, over `width` cells."""
    each, more = divmod(max(width, columns * SMALLEST), columns)
    widths = tuple(each + (column < more) for column in range(columns))
    bands = (max(heights[first : first + columns]) for first in range(0, len(heights), columns))
    return Layout(
        columns=columns,
        widths=widths,
        lefts=tuple(accumulate(widths, initial=0))[:-1],
        tops=tuple(accumulate(bands, initial=0)),
        panels=len(heights),
    )


def columns_for(panels: int, width: int, height: int) -> int:
    """How many columns: wide panels if all fit on the screen, else as many columns as are readable."""
    roomy, most = max(1, width // WANTED), max(1, width // LEAST)
    for columns in range(roomy, most + 1):
        if -(-panels // columns) * TYPICAL <= height:
            return max(1, min(columns, panels))
    return max(1, min(most, panels))


@dataclass(frozen=True, slots=True)
class Columns:
    """Widths in cells, 0 for a column without room; each has a gap before it, the glyph excepted."""

    inner: int
    name: int
    bar: int = 0
    schedule: int = 0
    runs: int = 0
    took: int = 0
    text: int = 0

    @property
    def time_end(self) -> int:
        return 2 + self.name + 1 + TIME

    @property
    def bar_end(self) -> int:
        return self.time_end + (self.bar + 1 if self.bar else 0)


@lru_cache(maxsize=64)
def share(inner: int, longest: int, schedules: int = 7) -> Columns:
    """The columns of a panel with `inner` cells; `longest` is the longest name, `schedules` the same."""
    room = max(0, inner - 2 - 1 - TIME)
    name = min(room, max(8, min(longest, 14 + max(0, inner - 36) // 3)))
    rest = room - name

    def take(cells: int, spare: int = 0) -> int:
        nonlocal rest
        if rest < cells + 1 + spare:
            return 0
        rest -= cells + 1
        return cells

    def widen(cells: int, most: int) -> int:
        nonlocal rest
        more = max(0, min(rest, most - cells)) if cells else 0
        rest -= more
        return cells + more

    schedule = take(4)
    bar, runs, took = take(6), take(6), take(6)
    bar = widen(bar, 14)
    schedule = widen(schedule, min(7, schedules))
    text = take(12)
    schedule = widen(schedule, min(15, schedules)) if text else schedule
    return Columns(inner, name, widen(bar, 18 if text else 99), schedule, runs, took, widen(text, 999))
