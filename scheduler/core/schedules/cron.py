"""Where the slots of a cron expression fall in a time zone, by the daylight-saving rules of Debian's cron.

cronsim reads the expression and walks a clock that is never set. How a change of the real clock moves a
slot is decided here: cronsim 2.8 misses slots where clocks change by half an hour, as in Lord Howe, and
reads the range `4-4/3` as `4/3`. Times are Unix seconds.
"""

import copy
import math
import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import islice, product, starmap
from typing import NamedTuple

from cronsim import CronSim, CronSimError

NEVER = float("inf")
_SECOND, _DAY = timedelta(seconds=1), timedelta(days=1)
_RANGE_OF_ONE = re.compile(r"\b0*(\w+)-0*\1/0*[1-9][0-9]*")
_END_OF_CALENDAR = (StopIteration, OverflowError, ValueError, OSError)


class _Expression(NamedTuple):
    times: str  # minute and hour
    days: str  # day of month, month, day of week
    seconds: tuple[int, ...]
    follows: bool  # it follows the clock, because minute or hour begins with a star

    def walls(self, after: datetime) -> Iterator[datetime]:
        """The times of the slots on a clock that is never set."""
        return self._patterns(after) if self.follows else self._fixed(after)

    def _patterns(self, after: datetime) -> Iterator[datetime]:
        walk = copy.copy(_read(f"{self.times} {self.days}"))
        walk.dt = after
        return walk

    def _fixed(self, after: datetime) -> Iterator[datetime]:
        """The times, day by day, since days are cached: 10,000 lines of crontab have few different ones."""
        read = _read(f"{self.times} * * *")
        times = list(starmap(time, product(sorted(read.hours), sorted(read.minutes))))
        day: date | None = after.date() - _DAY
        while day := _next_day(self.days, day):
            walls = (datetime.combine(day, each) for each in times)
            yield from (wall for wall in walls if wall > after)


def next_slot(expression: str, zone: tzinfo, last: float) -> float:
    """The first slot after `last`, NEVER if there is none in fifty years; raises CronSimError.

    An expression has the five fields of cron, or six with the seconds first: these count inside the minutes
    that the other five fields name, so that the rules are the same for both.
    """
    parsed = check(expression)
    try:
        last = math.floor(last)  # slots are whole seconds, and dates round fractions
        minute = next(
            (_clock_pattern if parsed.follows else _times_of_day)(parsed, zone, last - parsed.seconds[-1])
        )
        return next((minute + each for each in parsed.seconds if minute + each > last), NEVER)
    except _END_OF_CALENDAR:
        return NEVER


def next_slots(expression: str, zone: tzinfo, last: float, count: int) -> list[float]:
    """The first `count` slots after `last`, fewer if there are no more; faster than repeated `next_slot`."""
    parsed = check(expression)
    if not parsed.follows and parsed.seconds == (0,):
        try:
            return list(islice(_times_of_day(parsed, zone, math.floor(last)), count))
        except _END_OF_CALENDAR:
            return []
    slots: list[float] = []
    while len(slots) < count and (last := next_slot(expression, zone, last)) < NEVER:
        slots.append(last)
    return slots


@lru_cache(maxsize=4096)
def check(expression: str) -> _Expression:
    """The expression as read; raises CronSimError if it is invalid or never matches."""
    fields = expression.upper().split()
    if len(fields) not in (5, 6):
        raise CronSimError("Wrong number of fields")
    if not expression.isascii():
        raise CronSimError("Bad character")
    if "-" in expression:
        fields = [_RANGE_OF_ONE.sub(r"\1", field) for field in fields]
    seconds = _read(f"{fields[0]} * * * * *").seconds if len(fields) == 6 else {0}
    *times, _, _, _ = fields[-5:]
    parsed = _Expression(
        " ".join(times),
        " ".join(fields[-3:]),
        tuple(sorted(seconds)),
        follows=any(field.startswith("*") for field in times),
    )
    _read(f"{parsed.times} * * *")
    _read(f"0 0 {parsed.days}")
    return parsed


@lru_cache(maxsize=4096)
def _read(fields: str) -> CronSim:
    return CronSim(fields, datetime(2000, 1, 1))  # noqa: DTZ001  # a clock that is never set has no zone


@lru_cache(maxsize=4096)
def _next_day(days: str, last: date) -> date | None:
    """The first day after `last` that matches; None if there is none in fifty years."""
    walk = copy.copy(_read(f"0 0 {days}"))
    walk.dt = datetime.combine(last, time())
    found = next(walk, None)
    return found and found.date()


def _times_of_day(parsed: _Expression, zone: tzinfo, last: float) -> Iterator[float]:
    """Slots at fixed times of day: one in a gap comes right after it; one in a repeated hour comes once."""
    for wall in parsed.walls(wall_time(last, zone)):
        slot = first_shown(wall, zone)
        if slot > last:
            last = slot
            yield slot


def _clock_pattern(parsed: _Expression, zone: tzinfo, last: float) -> Iterator[float]:
    """Slots of a pattern over minutes or hours: they follow the clock, through gaps and repeated hours."""
    wall, after = wall_time(last, zone), last
    again = _moments(wall, zone)[-1]
    if again > last:  # clocks will go back and show this time again
        turn = _change(last, again, zone)
        before = _first_after(parsed.walls(wall), zone, last)
        if before < turn:
            yield before
            return
        wall, after = wall_time(turn, zone) - _SECOND, turn - 1
    yield _first_after(parsed.walls(wall), zone, after)


def _first_after(walls: Iterator[datetime], zone: tzinfo, after: float) -> float:
    return next(moment for wall in walls for moment in _moments(wall, zone) if moment > after)


def first_shown(wall: datetime, zone: tzinfo) -> float:
    """The first moment at which clocks there show this local time; in a gap, the moment that skips it."""
    moments = _moments(wall, zone)
    return moments[0] if moments else _gap_end(wall, zone)


def wall_time(moment: float, zone: tzinfo) -> datetime:
    """The local time at this moment."""
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0)


def _moments(wall: datetime, zone: tzinfo) -> list[float]:
    """The moments of this local time: one, or two if clocks go back over it, or none in a gap."""
    first = wall.replace(tzinfo=zone).timestamp()
    second = wall.replace(tzinfo=zone, fold=1).timestamp()
    if second < first:
        return []
    return [first] if first == second else [first, second]


def _gap_end(wall: datetime, zone: tzinfo) -> float:
    """The moment at which clocks skip this time."""
    early, late = wall.replace(tzinfo=zone, fold=1), wall.replace(tzinfo=zone, fold=0)
    return _change(early.timestamp(), late.timestamp(), zone)


def _change(early: float, late: float, zone: tzinfo) -> float:
    """The first second after `early` at which the zone has another offset, if it has one by `late`."""
    before = datetime.fromtimestamp(early, zone).utcoffset()
    low, high = int(early), int(late) + 1
    while high - low > 1:
        middle = (low + high) // 2
        same = datetime.fromtimestamp(middle, zone).utcoffset() == before
        low, high = (middle, high) if same else (low, middle)
    return float(high)
