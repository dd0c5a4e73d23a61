"""The slots of a cron expression, worked out slowly and without the code under test."""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from scheduler.core.schedules.schedule import Cron, Every
from tests.simulation.history import Plan

NEVER = float("inf")
MINUTE, QUARTER, DAY = 60, 900, 86400


def schedule_of(plan: Plan) -> Cron | Every:
    """The schedule as the scheduler is given it: the only line here that knows the code under test."""
    return Cron(plan.cron, ZoneInfo(plan.zone)) if plan.cron else Every(plan.every)


# ------------------------------------------------------------------ cron, minute by minute


def next_slot(cron: str, zone: str, after: float) -> float:
    """The first slot later than `after`."""
    return next(slots(cron, zone, after), NEVER)


def last_slot(cron: str, zone: str, until: float) -> float:
    """The last slot not later than `until`; -NEVER if there is none in six weeks."""
    day = int(until // DAY)
    for each in range(day, day - 42, -1):
        if found := [slot for slot in slots_of_day(cron, zone, each) if slot <= until]:
            return found[-1]
    return -NEVER


def slots(cron: str, zone: str, after: float) -> Iterator[float]:
    """All slots later than `after`, for a year."""
    day = int(after // DAY)
    for each in range(day, day + 366):
        yield from (slot for slot in slots_of_day(cron, zone, each) if slot > after)


@lru_cache(maxsize=20_000)
def slots_of_day(cron: str, zone: str, day: int) -> tuple[int, ...]:
    """The slots of this day of UTC, by the rules of Debian's cron.

    An expression whose minute or hour begins with a star follows the clock. Any other names times of day:
    what a change of the clock skips runs right after it, what it repeats runs the first time only.
    """
    minute, hour, _, _, weekday = cron.split()
    fields = Fields(_numbers(minute, 60), _numbers(hour, 24), _numbers(weekday, 7))
    wanted = fields.follow if minute.startswith("*") or hour.startswith("*") else fields.once
    return tuple(at for at in range(day * DAY, (day + 1) * DAY, MINUTE) if wanted(at, zone))


class Fields(NamedTuple):
    minutes: frozenset[int]
    hours: frozenset[int]
    weekdays: frozenset[int]  # Sunday is 0

    def match(self, shows: int) -> bool:
        """Whether a clock that shows this (seconds since 1970, but local) is at one of these times."""
        return (
            shows // 60 % 60 in self.minutes
            and shows // 3600 % 24 in self.hours
            and (shows // DAY + 4) % 7 in self.weekdays
        )

    def follow(self, at: int, zone: str) -> bool:
        return self.match(at + offset(zone, at // QUARTER))

    def once(self, at: int, zone: str) -> bool:
        now, before = offset(zone, at // QUARTER), offset(zone, (at - MINUTE) // QUARTER)
        skipped = range(at + before, at + now, MINUTE)
        return any(map(self.match, skipped)) or (self.match(at + now) and not _again(at, zone, now))


def _again(at: int, zone: str, now: int) -> bool:
    """Whether the clock has shown this time of day before."""
    earlier = offset(zone, (at - 3 * 3600) // QUARTER)
    return earlier > now and offset(zone, (at - (earlier - now)) // QUARTER) == earlier


@lru_cache(maxsize=100_000)
def offset(zone: str, quarter: int) -> int:
    """Seconds that clocks there are ahead of UTC in this quarter of an hour; they change between two."""
    ahead = datetime.fromtimestamp(quarter * QUARTER, ZoneInfo(zone)).utcoffset()
    assert ahead is not None
    return int(ahead.total_seconds())


def _numbers(field: str, end: int) -> frozenset[int]:
    return frozenset(number for part in field.split(",") for number in _range(part, end))


def _range(part: str, end: int) -> range:
    span, _, step = part.partition("/")
    first, _, last = span.partition("-")
    if span == "*":
        return range(0, end, int(step or 1))
    return range(int(first), int(last or first) + 1, int(step or 1))
