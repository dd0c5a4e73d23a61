"""Reads the five fields of a line as Debian's cron does: a line that cron refuses does not move."""

import re
from functools import lru_cache
from typing import NamedTuple

from scheduler.core.schedules.schedule import MACROS

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


class NotCron(ValueError):
    """Why cron does not run a line."""


class AcceptedByCron(NotCron):
    """Why a line does not move although cron reads it: cron never runs it, or takes it for something else."""


class Fields(NamedTuple):
    """The values that each field allows."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday
    both: bool  # whether both days must match: one field begins with a star


def read_fields(text: str) -> Fields:
    """The fields of `text`, either five or a macro other than `@reboot`; raises NotCron."""
    texts = MACROS.get(text, text).split(" ")
    if len(texts) != 5:
        raise NotCron(f"{text} is not a time that cron knows")
    minutes, hours, days, months, weekdays = (_field(at, each) for at, each in enumerate(texts))
    both = any(texts[at][0] in "*?" for at in (2, 4))
    fields = Fields(minutes, hours, days, months, weekdays, both)
    if both and not any(min(fields.days) <= _LONGEST[month - 1] for month in fields.months):
        raise AcceptedByCron("there is no such day in any year")
    return fields


def is_read(text: str) -> bool:
    """Whether Debian's cron reads these five fields, even if it never runs them."""
    return all(_is_read(at, part) for at, each in enumerate(text.split(" ")) for part in each.split(","))


def _is_read(at: int, part: str) -> bool:
    try:
        _part(at, part)
    except AcceptedByCron:
        return True
    except NotCron:
        return False
    return True


@lru_cache(maxsize=4096)  # thousands of lines share few different fields
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
        raise AcceptedByCron(f"{_NAMES[at]} {part!r} runs backwards")
    if match[2] and start == end and first != last:  # the scheduler would read fri-5/2 as fri/2
        raise AcceptedByCron(
            f"{_NAMES[at]} {part!r} is a single value with a step; write it without the step"
        )
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
