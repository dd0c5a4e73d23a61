"""Which lines the log shows: what a filter keeps of the events, and a line where a day begins."""

import time
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache

from tui.fleet.matching import Filter
from tui.log.event_text import searched
from tui.log.events import Entry, EventLog

QUARTER = 900  # seconds: days begin on one, whatever the time zone


@dataclass(frozen=True, slots=True)
class Day:
    """The events below this line are of this day."""

    time: float


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line, and the place of its entry in the log."""

    what: Entry | Day
    at: int


class LogLines:
    """The lines of a log; only those behind a change are chosen anew."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.lines: list[LogLine] = []
        self.keep = Filter()
        self._drawn = False

    def apply_filter(self, keep: Filter) -> None:
        """Show only what the filter keeps."""
        self.keep = keep
        self._choose(0)

    def catch_up(self) -> bool:
        """Take in what is new in the log; True if there was anything."""
        log = self._log
        first = log.changed_from if self._drawn else 0
        behind = first < len(log.entries)
        if behind:
            self._choose(first)
            log.changed_from, self._drawn = len(log.entries), True
        return behind

    def place_of(self, at: int) -> int:
        """The first line at or behind this entry of the log."""
        return bisect_left(self.lines, at, key=lambda line: line.at)

    def _choose(self, first: int) -> None:
        del self.lines[self.place_of(first) :]
        if self.lines and isinstance(self.lines[-1].what, Day):
            self.lines.pop()  # it has no event below it any more
        last = day(self.lines[-1].what.time) if self.lines else ""
        for at, entry in enumerate(self._log.entries[first:], first):
            if not self.keep.all and not self.keep.finds(searched(entry)):
                continue
            if (today := day(entry.time)) != last:
                last = today
                self.lines.append(LogLine(Day(entry.time), at))
            self.lines.append(LogLine(entry, at))


def day(when: float) -> str:
    """A date, as it is written above its events."""
    return _day(int(when // QUARTER))


@lru_cache(maxsize=512)
def _day(quarter: int) -> str:
    return time.strftime("%a %d %b %Y", time.localtime(quarter * QUARTER))
