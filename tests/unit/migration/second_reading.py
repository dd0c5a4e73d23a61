"""A second reading of cron's rules, written without the first: the days and the changes of the clock."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

from scheduler.core.schedules.schedule import MACROS
from scheduler.migration.cron_fields import Fields, read_fields

LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_YEARS = 45  # a 29 February on a given weekday can be forty years away
_DAY = timedelta(days=1)


def upcoming(text: str, zone: tzinfo, after: float, count: int = 3) -> list[float]:
    """The next `count` moments at which cron would run this, Unix seconds.

    Fixed times in an hour that the clock skips run right after it, once, and in one that it repeats once;
    anything with a star in minute or hour follows the clock.
    """
    fields, fixed = read_fields(text), not any(each[0] == "*" for each in MACROS.get(text, text).split()[:2])
    found: set[float] = set()  # all that falls into a gap comes right after it, at once
    enough: date | None = None
    for day in _days(fields, datetime.fromtimestamp(after, zone).date() - _DAY):
        if enough is not None and day > enough:
            break
        found.update(_on(fields, fixed, day, zone, after, count))
        if enough is None and len(found) >= count:
            enough = day + 2 * _DAY  # near a change of the clock the days may overlap
    return sorted(found)[:count]


def _fits(fields: Fields, day: date) -> bool:
    fits, fits_week = day.day in fields.days, day.isoweekday() % 7 in fields.weekdays
    return fits and fits_week if fields.both else fits or fits_week


def _days(fields: Fields, day: date) -> Iterator[date]:
    numbers = sorted(fields.days) if fields.both else range(1, 32)
    for month in range(12 * day.year + day.month - 1, 12 * (day.year + _YEARS)):
        if month % 12 + 1 not in fields.months:
            continue
        year, length = month // 12, LONGEST[month % 12]
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        for number in numbers:
            if number <= (28 if length == 29 and not leap else length):
                each = date(year, month % 12 + 1, number)
                if each >= day and _fits(fields, each):
                    yield each


def _on(fields: Fields, fixed: bool, day: date, zone: tzinfo, after: float, count: int) -> list[float]:
    start, found = _quiet(day, zone), []
    if start is None:
        return [moment for moment in _near_a_change(fields, fixed, day, zone) if moment > after]
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


def _near_a_change(fields: Fields, fixed: bool, day: date, zone: tzinfo) -> Iterator[float]:
    for hour in fields.hours:
        for minute in fields.minutes:
            wall = datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001  # the wall has no zone
            shown = [moment for moment in _candidates(wall, zone) if _shows(moment, zone) == wall]
            if shown:
                yield from shown[:1] if fixed else shown
            elif fixed:
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
