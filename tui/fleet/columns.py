"""How the cells inside a panel are shared out between a row's columns."""

from dataclasses import dataclass
from functools import lru_cache

from tui.common.text import TIME


@dataclass(frozen=True, slots=True)
class Columns:
    """Widths in cells, 0 for a column that has no room; each but the glyph has a gap before it."""

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
    bar, runs, took = take(6), take(4), take(5)
    bar = widen(bar, 14)
    schedule = widen(schedule, min(7, schedules))
    text = take(12)
    schedule = widen(schedule, min(15, schedules)) if text else schedule
    return Columns(inner, name, widen(bar, 18 if text else 99), schedule, runs, took, widen(text, 999))
