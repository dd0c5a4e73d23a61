"""Where each panel of the grid lies: bands of equally high panels, as many columns as fit."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

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
    """How many columns: wide panels if all of them fit on the screen, else as many as are readable."""
    roomy, most = max(1, width // WANTED), max(1, width // LEAST)
    for columns in range(roomy, most + 1):
        if -(-panels // columns) * TYPICAL <= height:
            return max(1, min(columns, panels))
    return max(1, min(most, panels))
