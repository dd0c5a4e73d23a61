"""What cron itself makes of five fields: a second reading, by its own rules and without cronsim.

A line moves only if this reading and the one that we run by agree on its times, so nothing is shared.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

from scheduler.core.schedule import MACROS

_NAMES = ("minute", "hour", "day of month", "month", "day of week")
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec"
_DAYS = "sun mon tue wed thu fri sat"
_WORDS: tuple[dict[str, int], ...] = (
    *({}, {}, {}),
    {name: at for at, name in enumerate(_MONTHS.split(), 1)},
    {name: at for at, name in enumerate(_DAYS.split())},
)
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART = re.compile(r"(\*|[A-Za-z0-9]+(?:-[A-Za-z0-9]+)?)(?:/([0-9]+))?", re.ASCII)
_YEARS = 45  # a 29 February on a given weekday can be forty years away
_DAY = timedelta(days=1)


class NotCron(ValueError):
    """Why cron does not run this."""


class Fields(NamedTuple):
    """What each field allows, and the two marks that cron keeps of a star."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday
    fixed: bool  # a time of day: neither minute nor hour begins with a star
    both: bool  # day of month and day of week must both fit: one of them begins with a star

    def on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        fits, fits_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return fits and fits_week if self.both else fits or fits_week


def read_fields(text: str) -> Fields:
    """The fields of `text`, five of them or a macro but `@reboot`; raises NotCron."""
    texts = MACROS.get(text, text).split()
    if len(texts) != 5:
        raise NotCron(f"{text} is no time that cron knows")
    minutes, hours, days, months, weekdays = (_field(at, each) for at, each in enumerate(texts))
    fixed = not (texts[0].startswith("*") or texts[1].startswith("*"))
    both = any(texts[at][0] in "*?" for at in (2, 4))
    fields = Fields(minutes, hours, days, months, weekdays, fixed, both)
    if both and not any(min(fields.days) <= _LONGEST[month - 1] for month in fields.months):
        raise NotCron("there is no such day in any year")
    return fields


@lru_cache(maxsize=4096)  # thousands of lines have few different fields
def _field(at: int, text: str) -> frozenset[int]:
    low, high = _BOUNDS[at]
    if text == "?" and at in (2, 4):
        return frozenset(range(low, high + 1))
    found: set[int] = set()
    for part in text.split(","):
        found.update(_part(at, part))
    return frozenset(each % 7 for each in found) if at == 4 else frozenset(found)


def _part(at: int, part: str) -> range:
    low, high = _BOUNDS[at]
    match = _PART.fullmatch(part)
    if match is None:
        raise _refused(at, part, "is not understood by cron")
    span, step = match[1].lower(), int(match[2] or 1)
    if step == 0:
        raise _refused(at, part, "has a step of 0")
    if span == "*":
        return range(low, high + 1, step)
    first, dash, last = span.partition("-")
    if match[2] and not dash:
        raise _refused(at, part, "has a step after a single number; cron refuses it, or forgets the step")
    start, end = (_number(at, word, part) for word in (first, last or first))
    if end < start:
        raise _refused(at, part, "runs backwards")
    return range(start, end + 1, step)


def _number(at: int, word: str, part: str) -> int:
    number = _WORDS[at].get(word)
    if number is None:
        if not word.isdecimal():
            raise _refused(at, part, "is not understood by cron")
        number = int(word[-9:])
    if not _BOUNDS[at][0] <= number <= _BOUNDS[at][1] or len(word.lstrip("0")) > 3:
        raise _refused(at, part, f"is outside {_BOUNDS[at][0]}-{_BOUNDS[at][1]}")
    return number


def _refused(at: int, part: str, reason: str) -> NotCron:
    return NotCron(f"{_NAMES[at]} {part or 'empty'!r} {reason}")


# ------------------------------------------------------------------ times


def upcoming(fields: Fields, zone: tzinfo, after: float, count: int = 3) -> list[float]:
    """The next `count` moments at which cron would run this, Unix seconds.

    Fixed times in an hour that the clock skips run right after it, once, and in one that it repeats once;
    anything with a star in minute or hour follows the clock.
    """
    found: set[float] = set()  # all that falls into a gap comes right after it, at once
    enough: date | None = None
    for day in _days(fields, datetime.fromtimestamp(after, zone).date() - _DAY):
        if enough is not None and day > enough:
            break
        found.update(_on(fields, day, zone, after, count))
        if enough is None and len(found) >= count:
            enough = day + 2 * _DAY  # near a change of the clock the days may overlap
    return sorted(found)[:count]


def _days(fields: Fields, day: date) -> Iterator[date]:
    numbers = sorted(fields.days) if fields.both else range(1, 32)
    for month in range(12 * day.year + day.month - 1, 12 * (day.year + _YEARS)):
        if month % 12 + 1 not in fields.months:
            continue
        year, length = month // 12, _LONGEST[month % 12]
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        for number in numbers:
            if number <= (28 if length == 29 and not leap else length):
                each = date(year, month % 12 + 1, number)
                if each >= day and fields.on(each):
                    yield each


def _on(fields: Fields, day: date, zone: tzinfo, after: float, count: int) -> list[float]:
    start, found = _quiet(day, zone), []
    if start is None:
        return [moment for moment in _near_a_change(fields, day, zone) if moment > after]
    for hour in sorted(fields.hours):
        if start + 3600 * (hour + 1) <= after:
            continue
        found += [at for minute in fields.minutes if (at := start + 3600 * hour + 60 * minute) > after]
        if len(found) >= count:
            break
    return sorted(found)[:count]


@lru_cache(maxsize=4096)
def _quiet(day: date, zone: tzinfo) -> float | None:
    """When the day begins, None if the clock is set on it or beside it."""
    around = {_midnight(day + by * _DAY, zone).utcoffset() for by in (-1, 0, 1, 2)}
    return _midnight(day, zone).timestamp() if len(around) == 1 else None


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def _near_a_change(fields: Fields, day: date, zone: tzinfo) -> Iterator[float]:
    for hour in fields.hours:
        for minute in fields.minutes:
            wall = datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001  # the wall has no zone
            shown = [moment for moment in _candidates(wall, zone) if _shows(moment, zone) == wall]
            if shown:
                yield from shown[:1] if fields.fixed else shown
            elif fields.fixed:
                yield _after_the_gap(wall, zone)


def _candidates(wall: datetime, zone: tzinfo) -> list[float]:
    return sorted({wall.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1)})


def _after_the_gap(wall: datetime, zone: tzinfo) -> float:
    moment = _candidates(wall, zone)[0] // 60 * 60
    while _shows(moment, zone) <= wall:
        moment += 60
    return moment


def _shows(moment: float, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(moment, UTC).astimezone(zone).replace(tzinfo=None, fold=0)
