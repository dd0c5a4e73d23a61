"""A task as typed in the form: the keys to write, its next times, and what is wrong with each field."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import tzinfo
from typing import Any, TypeVar

from scheduler.core.editor import Preview
from scheduler.core.schedules.schedule import NEVER, Every, Schedule, duration, parse
from scheduler.core.wording.description import schedule_words
from scheduler.editing.command_line import command_of
from scheduler.editing.document import with_table
from scheduler.errors import BadSchedule, SchedulerError, nearest
from scheduler.system.homes import NAME

TIMES = 3  # times in a preview
MOST_RETRIES = 100
T = TypeVar("T")

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

# The fields of cron as its reader names them, as people do, and the words that are valid in each.
_FIELDS = {
    "minute": ("minute", ()),
    "hour": ("hour", ()),
    "day-of-month": ("day of the month", ()),
    "month": ("month", _MONTHS),
    "day-of-week": ("weekday", _DAYS),
}


def preview(typed: Mapping[str, str], now: float, zone: tzinfo | None = None) -> Preview:
    """The task of these fields (name, when, command, timeout, retries); its times are in `zone`."""
    wrong: dict[str, str] = {}
    keys, schedule = keys_of(typed, wrong, zone)
    if not NAME.fullmatch(typed.get("name", "")):
        wrong["name"] = "small letters, digits, - and _, a letter first"
    if schedule is None:
        return Preview(wrong=wrong)
    lines = "" if wrong else with_table("", ("tasks", typed["name"]), keys)
    return Preview(lines, schedule_words(schedule), tuple(_next(schedule, now)), wrong)


def keys_of(
    typed: Mapping[str, str], wrong: dict[str, str], zone: tzinfo | None = None
) -> tuple[dict[str, Any], Schedule | None]:
    """The keys to write, and the schedule if it is valid; errors are noted by field."""
    keys: dict[str, Any] = {}
    if schedule := _tried(wrong, "when", lambda: schedule_of(typed.get("when", ""), zone)):
        keys["every" if isinstance(schedule, Every) else "cron"] = str(schedule)
    if command := _tried(wrong, "command", lambda: command_of(typed.get("command", ""))):
        keys["command"] = command
    timeout = typed.get("timeout", "").strip()
    if timeout and _tried(wrong, "timeout", lambda: duration(timeout)) is not None:
        keys["timeout"] = timeout
    retries = typed.get("retries", "").strip() or "0"
    if not (retries.isdecimal() and int(retries) <= MOST_RETRIES):
        wrong["retries"] = f"a number from 0 to {MOST_RETRIES}"
    elif int(retries):
        keys["retries"] = int(retries)
    return keys, schedule


def schedule_of(text: str, zone: tzinfo | None = None) -> Schedule:
    """An interval, with or without `every`, or a cron expression; raises BadSchedule if it is neither."""
    when = re.sub(r"^\s*every\s+", "", text, flags=re.IGNORECASE).strip()
    try:
        return parse(when, zone)
    except BadSchedule as error:
        raise BadSchedule(_wrong_part(when, str(error))) from error


def _wrong_part(when: str, error: str) -> str:
    """The part of the expression that is wrong, with the nearest valid one."""
    fields = when.split()[-5:]
    found = re.search(r"Bad ([\w-]+)", error)
    if found is None or found[1] not in _FIELDS or len(fields) != 5:
        return "an interval (30s, 15m, 2h, 1d) or the five fields of cron"
    place = [*_FIELDS].index(found[1])
    kind, names = _FIELDS[found[1]]
    for part in fields[place].split(","):
        if not _is_valid(place, part):
            near = re.sub(r"[a-z]+", lambda word: nearest(word[0], names) or word[0], part.lower())
            hint = f"; did you mean {near}?" if near != part.lower() else ""
            return f"{part} is no {kind}{hint}"
    return "there is never such a day"


def _is_valid(place: int, part: str) -> bool:
    fields = ["*"] * 5
    fields[place] = part
    try:
        parse(" ".join(fields))
    except BadSchedule:
        return False
    return True


def _next(schedule: Schedule, now: float) -> Iterator[float]:
    """The next times; an interval starts at once."""
    when = schedule.first(now)
    for _ in range(TIMES):
        if when == NEVER:
            return
        yield when
        when = schedule.after(when)


def _tried(wrong: dict[str, str], field: str, read: Callable[[], T]) -> T | None:
    try:
        return read()
    except SchedulerError as error:
        wrong[field] = str(error)
        return None
