"""The hours in which a task may start: `08:00-22:00`, or `mon-fri 08:00-18:00, sat 10:00-12:00`."""

import re
from collections.abc import Iterator
from dataclasses import field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from scheduler.core.schedules.cron import NEVER, first_shown, wall_time
from scheduler.core.values import value
from scheduler.errors import BadSchedule

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EXAMPLE = 'write hours like "08:00-22:00" or "mon-fri 08:00-18:00, sat 10:00-12:00"'
AHEAD = 16  # days: two weeks and a bit, since a clock change can skip a window
_DAY, _MIDNIGHT = timedelta(days=1), 24 * 60
_PART = re.compile(r"(?:([a-z]+)(?:\s*-\s*([a-z]+))?)?\s*(?:(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d))?")


@value
class Window:
    """Minutes of the day from `start` until `end` on some days of the week; `end` may be on the next day."""

    days: frozenset[int]  # Monday is 0
    start: int
    end: int


@value
class ActiveHours:
    """Windows of local time. They begin and end when clocks in `zone` first show those times, or skip them.

    Raises BadSchedule. Hours of the same text and zone are equal.
    """

    text: str
    zone: tzinfo = UTC
    windows: tuple[Window, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "windows", _windows(self.text))

    def contains(self, moment: float) -> bool:
        """Whether a task may start at this moment."""
        return self.next_start(moment) == moment

    def next_start(self, moment: float) -> float:
        """This moment if a task may start then, else the start of the next window; NEVER if none comes."""
        if moment >= _LAST:
            return NEVER
        today = wall_time(moment, self.zone).date()
        begins = NEVER
        for ahead in range(-1, AHEAD):
            day = today + ahead * _DAY
            if ahead > 1 and begins < NEVER:  # clocks that go back over midnight repeat the day before
                break
            for start, end in _spans(self, day):
                if start <= moment < end:
                    return moment
                if moment < start < end:
                    begins = min(begins, start)
        return begins

    def left(self, moment: float, most: float) -> float:
        """The number of seconds from this moment in which a task may start, up to `most`."""
        until = moment
        while until < moment + most and (end := self._end(until)) > until:
            until = end
        return min(until - moment, most)

    def _end(self, moment: float) -> float:
        """The end of the window around this moment; the moment itself if it is in none."""
        if moment >= _LAST:
            return moment
        today = wall_time(moment, self.zone).date()
        spans = (span for ahead in (-1, 0, 1) for span in _spans(self, today + ahead * _DAY))
        return max((end for start, end in spans if start <= moment < end), default=moment)

    def __str__(self) -> str:
        return " ".join(self.text.lower().split())


_LAST = datetime(9990, 1, 1, tzinfo=UTC).timestamp()


@lru_cache(maxsize=4096)
def _spans(hours: ActiveHours, day: date) -> tuple[tuple[float, float], ...]:
    """The windows that begin on this day, as moments."""
    return tuple(
        (_moment(day, window.start, hours.zone), _moment(day, window.end, hours.zone))
        for window in hours.windows
        if day.weekday() in window.days
    )


def _moment(day: date, minute: int, zone: tzinfo) -> float:
    return first_shown(datetime.combine(day, time()) + timedelta(minutes=minute), zone)


@lru_cache(maxsize=256)
def _windows(text: str) -> tuple[Window, ...]:
    try:
        return tuple(_read(text.lower()))
    except BadSchedule as error:
        where = "" if str(error).startswith(repr(text)) else f"{text!r}: "  # the text may be a single part
        raise BadSchedule(f"{where}{error}; {EXAMPLE}") from None


def _read(text: str) -> Iterator[Window]:
    days: frozenset[int] = frozenset(range(7))
    waiting: frozenset[int] = frozenset()  # days whose times have not been read yet
    for part in text.split(","):
        found = _PART.fullmatch(part.strip())
        if found is None or not part.strip():
            raise BadSchedule(f"{part.strip()!r} is not a window of hours")
        first, last, *clock = found.groups()
        if first:
            waiting |= _days(first, last or first)
        if clock[0] is None:
            continue
        days, waiting = waiting or days, frozenset()
        start, end = _minute(*clock[:2]), _minute(*clock[2:])
        if start in (end, _MIDNIGHT):
            raise BadSchedule(f"{part.strip()!r} begins where it ends, or at the end of the day")
        yield Window(days, start, end if end > start else end + _MIDNIGHT)
    if waiting:
        raise BadSchedule(f"{text.rpartition(',')[2].strip()!r} has no hours")


def _days(first: str, last: str) -> frozenset[int]:
    for name in (first, last):
        if name not in DAYS:
            raise BadSchedule(f"{name!r} is not one of {', '.join(DAYS)}")
    start, end = DAYS.index(first), DAYS.index(last)
    return frozenset(number % 7 for number in range(start, (end if end >= start else end + 7) + 1))


def _minute(hour: str, minute: str) -> int:
    found = 60 * int(hour) + int(minute)
    if int(minute) > 59 or found > _MIDNIGHT:
        raise BadSchedule(f"there is no time {hour}:{minute}")
    return found
