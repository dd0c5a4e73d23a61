"""A moment as people type it: `08:00`, `mon 9:00`, `2h`, an ISO time."""

import re
from datetime import datetime, time, timedelta, tzinfo

from scheduler.core.schedules.active_hours import DAYS
from scheduler.core.schedules.cron import first_shown, wall_time
from scheduler.core.schedules.schedule import LONGEST, duration
from scheduler.errors import BadSchedule

FORMS = "write 08:00, mon 9:00, 2h or 2026-11-25T08:00"
_TIME = re.compile(rf"(?:({'|'.join(DAYS)})[a-z]*\s+)?(\d\d?):(\d\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def moment_from(text: str, now: float, zone: tzinfo) -> float:
    """The moment after `now` that `text` names for a clock in `zone`; raises BadSchedule."""
    plain = " ".join(text.lower().split())
    try:
        if found := _TIME.fullmatch(plain):
            return _next_time(found, now, zone)
        when = _date(text.strip(), zone) if _DATE.match(plain) else now + _length(plain)
    except (ValueError, OverflowError, BadSchedule) as error:
        raise BadSchedule(f"{text!r} is not a time: {FORMS}") from error
    if not now < when <= now + LONGEST:
        wrong = "is not ahead of now" if when <= now else "is more than a century ahead"
        raise BadSchedule(f"{text!r} {wrong}: {FORMS}")
    return when


def _next_time(found: re.Match[str], now: float, zone: tzinfo) -> float:
    """The next moment at which the clock shows this time, on this day of the week if one is named."""
    at, today = time(int(found[2]), int(found[3])), wall_time(now, zone).date()
    days = (today + timedelta(days=ahead) for ahead in range(9))
    named = (day for day in days if not found[1] or DAYS[day.weekday()] == found[1])
    moments = (first_shown(datetime.combine(day, at), zone) for day in named)
    return next(moment for moment in moments if moment > now)


def _date(text: str, zone: tzinfo) -> float:
    when = datetime.fromisoformat(text)
    return when.timestamp() if when.tzinfo else first_shown(when, zone)


def _length(text: str) -> float:
    if not re.search("[a-z]", text):  # a bare number has no unit
        raise BadSchedule("no unit")
    return duration(text)
