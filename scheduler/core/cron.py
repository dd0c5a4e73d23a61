"""Where the slots of a cron expression fall in a time zone, by the daylight-saving rules of Debian's cron.

cronsim reads the expression and says which days fit. What a change of the clock does to a slot is decided
here: cronsim 2.8 itself misses slots where the clock moves by less than an hour (Australia/Lord_Howe), and
reads the range `4-4/3` as `4/3`. Times are Unix seconds.
"""

import math
import re
from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from cronsim import CronSim, CronSimError

NEVER = float("inf")
_SECOND = timedelta(seconds=1)
_YEARS = 50  # that it looks ahead: a 29 February on a given weekday can be forty years away
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_RANGE_OF_ONE = re.compile(r"\b0*(\w+)-0*\1/0*[1-9][0-9]*")


class _Pattern(NamedTuple):
    """What an expression allows, in order; `fits` judges a day of one of the months."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    follows: bool  # the clock, for it has a star in minute or hour
    days: tuple[int, ...]  # of a month, that may fit
    months: frozenset[int]
    fits: Callable[[date], bool]


def next_slot(expression: str, zone: tzinfo, last: float) -> float:
    """The first slot after `last`, NEVER if there is none in fifty years; raises CronSimError.

    An expression has the five fields of cron, or six with the seconds first: these count inside the minutes
    that the other five name, so that the rules are the same for both.
    """
    pattern = _pattern(expression)
    try:
        last = math.floor(last)  # slots are whole seconds, and dates round what is finer
        minute = _next_minute(pattern, zone, last - pattern.seconds[-1])
        return next((minute + each for each in pattern.seconds if minute + each > last), NEVER)
    except (StopIteration, OverflowError, ValueError, OSError):  # also where the calendar ends
        return NEVER


def next_slots(expression: str, zone: tzinfo, last: float, count: int) -> list[float]:
    """The first `count` slots after `last`, fewer if there are no more: quicker than one after the other."""
    pattern = _pattern(expression)
    if not pattern.follows and pattern.seconds == (0,):
        try:
            return list(islice(_times_of_day(pattern, zone, math.floor(last)), count))
        except (OverflowError, ValueError, OSError):
            return []
    found: list[float] = []
    while len(found) < count and (last := next_slot(expression, zone, last)) < NEVER:
        found.append(last)
    return found


def check(expression: str) -> None:
    """Raises CronSimError for what is no expression, and for one that never matches."""
    pattern = _pattern(expression)
    if all(min(pattern.days) > _LONGEST[month - 1] for month in pattern.months):
        raise CronSimError("it never matches")


@lru_cache(maxsize=512)
def _pattern(expression: str) -> _Pattern:
    fields = expression.upper().split()
    if len(fields) not in (5, 6):
        raise CronSimError("Wrong number of fields")
    if not expression.isascii():
        raise CronSimError("Bad character")
    if "-" in expression:
        fields = [_RANGE_OF_ONE.sub(r"\1", field) for field in fields]
    return _Pattern(*_in_a_day(*fields[:-3]), *_in_a_year(*fields[-3:]))


# Ten thousand expressions have few different halves.


@lru_cache(maxsize=4096)
def _in_a_day(*fields: str) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], bool]:
    """Seconds, minutes and hours, and whether they follow the clock."""
    read = _read(*fields, "*", "*", "*")
    seconds, minutes, hours = (tuple(sorted(each)) for each in (read.seconds, read.minutes, read.hours))
    return seconds, minutes, hours, any(field.startswith("*") for field in fields[-2:])


@lru_cache(maxsize=512)
def _in_a_year(*fields: str) -> tuple[tuple[int, ...], frozenset[int], Callable[[date], bool]]:
    """Days of a month that may fit, months, and the judge of a day."""
    read = _read("*", "*", *fields)
    plain = read.day_and and all(day > 0 for day in read.days)  # no L, and nothing that a weekday could add
    days = tuple(sorted(read.days)) if plain else tuple(range(1, 32))
    return days, frozenset(read.months), read.match_day


def _read(*fields: str) -> CronSim:
    return CronSim(" ".join(fields), datetime(2000, 1, 1))  # noqa: DTZ001  # not used


def _next_minute(pattern: _Pattern, zone: tzinfo, last: float) -> float:
    return _follow(pattern, zone, last) if pattern.follows else next(_times_of_day(pattern, zone, last))


def _times_of_day(pattern: _Pattern, zone: tzinfo, last: float) -> Iterator[float]:
    """Fixed times: skipped by the clock they come right after the gap, once; repeated they come once."""
    for wall in _walls(pattern, _wall(last, zone)):
        moments = _moments(wall, zone)
        slot = moments[0] if moments else _gap_end(wall, zone)
        if slot > last:
            last = slot
            yield slot


def _follow(pattern: _Pattern, zone: tzinfo, last: float) -> float:
    """A pattern over minutes or hours: it follows the clock, through a gap and over repeated hours."""
    wall, after = _wall(last, zone), last
    again = _moments(wall, zone)[-1]
    if again > last:  # the clock will be put back and show this once more
        turn = _change(last, again, zone)
        before = _first_after(_walls(pattern, wall), zone, last)
        if before < turn:
            return before
        wall, after = _wall(turn, zone) - _SECOND, turn - 1
    return _first_after(_walls(pattern, wall), zone, after)


def _first_after(walls: Iterator[datetime], zone: tzinfo, after: float) -> float:
    return next(moment for wall in walls for moment in _moments(wall, zone) if moment > after)


def _walls(pattern: _Pattern, after: datetime) -> Iterator[datetime]:
    """What a clock on the wall shows at each slot, were it never set."""
    for day in _days(pattern, after.date()):
        first = day == after.date()
        for hour in pattern.hours[bisect_left(pattern.hours, after.hour) if first else 0 :]:
            same = first and hour == after.hour
            for minute in pattern.minutes[bisect_right(pattern.minutes, after.minute) if same else 0 :]:
                yield datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001  # the wall has no zone


def _days(pattern: _Pattern, day: date) -> Iterator[date]:
    year, month, first = day.year, day.month, day.day
    while year <= day.year + _YEARS:
        if month in pattern.months:
            length = _length(year, month)
            for number in pattern.days:
                if first <= number <= length and pattern.fits(found := date(year, month, number)):
                    yield found
        year, month, first = year + month // 12, month % 12 + 1, 1


@lru_cache(maxsize=1024)
def _length(year: int, month: int) -> int:
    return monthrange(year, month)[1]


def _wall(moment: float, zone: tzinfo) -> datetime:
    """What the clock on the wall shows."""
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0)


def _moments(wall: datetime, zone: tzinfo) -> list[float]:
    """When the clock shows this: once, twice where it is put back, never where it skips it."""
    first = wall.replace(tzinfo=zone).timestamp()
    second = wall.replace(tzinfo=zone, fold=1).timestamp()
    if second < first:
        return []
    return [first] if first == second else [first, second]


def _gap_end(wall: datetime, zone: tzinfo) -> float:
    """When the clock jumps over this."""
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
