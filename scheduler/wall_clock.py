"""Where the slots of a cron expression fall in a time zone, by the daylight-saving rules of Debian's cron.

cronsim finds what matches on a calendar without zones; what a change of the clock does to it is decided here,
because cronsim 2.8 itself misses slots where the clock moves by less than an hour (Australia/Lord_Howe). It
also reads the range `4-4/3` as `4/3`. Times are Unix seconds.
"""

import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo

from cronsim import CronSim, CronSimError

NEVER = float("inf")
_TICK = timedelta(seconds=1)
_RANGE_OF_ONE = re.compile(r"\b0*(\w+)-0*\1/0*[1-9][0-9]*")


def next_slot(fields: list[str], zone: tzinfo, last: float) -> float:
    """The first slot after `last`, NEVER if there is none in fifty years; raises CronSimError.

    `fields` are the five of cron, or six with the seconds first: these count inside the minutes that the
    other five name, so that the rules are the same for both.
    """
    if len(fields) not in (5, 6):
        raise CronSimError("Wrong number of fields")
    if not "".join(fields).isascii():
        raise CronSimError("Bad character")
    fields = [_RANGE_OF_ONE.sub(r"\1", field.upper()) if "-" in field else field for field in fields]
    try:
        last = math.floor(last)  # slots are whole seconds, and dates round what is finer
        if len(fields) == 5:
            return _next_minute(fields, zone, last)
        seconds = sorted(CronSim(" ".join(fields), _wall(last, zone)).seconds)
        minute = _next_minute(fields[1:], zone, last - seconds[-1])
        return next((minute + each for each in seconds if minute + each > last), NEVER)
    except (StopIteration, OverflowError, ValueError, OSError):  # also where the calendar ends
        return NEVER


def _next_minute(fields: list[str], zone: tzinfo, last: float) -> float:
    follows = fields[0].startswith("*") or fields[1].startswith("*")
    return (_follow if follows else _once)(" ".join(fields), zone, last)


def _once(expression: str, zone: tzinfo, last: float) -> float:
    """A fixed time of day: skipped by the clock it comes right after the gap, repeated it comes once."""
    for wall in CronSim(expression, _wall(last, zone)):
        moments = _moments(wall, zone)
        slot = moments[0] if moments else _gap_end(wall, zone)
        if slot > last:
            return slot
    return NEVER


def _follow(expression: str, zone: tzinfo, last: float) -> float:
    """A pattern over minutes or hours: it follows the clock, through a gap and over repeated hours."""
    wall, after = _wall(last, zone), last
    again = _moments(wall, zone)[-1]
    if again > last:  # the clock will be put back and show this once more
        turn = _change(last, again, zone)
        before = _first_after(CronSim(expression, wall), zone, last)
        if before < turn:
            return before
        wall, after = _wall(turn, zone) - _TICK, turn - 1
    return _first_after(CronSim(expression, wall), zone, after)


def _first_after(walls: Iterator[datetime], zone: tzinfo, after: float) -> float:
    return next(moment for wall in walls for moment in _moments(wall, zone) if moment > after)


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
