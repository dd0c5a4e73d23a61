"""Points in time as people say them, in the machine's own zone."""

import time

DAY = 86400.0


def moment(when: float, now: float) -> str:
    """A time of day, with the day where it is not today: `14:02`, `Mon 14:02`, `2026-02-27 14:02`."""
    day = _day(when, now)
    return f"{day} {_clock(when, '%H:%M')}" if day else _clock(when, "%H:%M")


def day_and_time(when: float, now: float) -> str:
    """The same to the second, in a fixed width: `today 14:02:11`, `Mon   14:02:11`, `02-27 14:02:11`."""
    day = _day(when, now)[-5:] or "today"
    return f"{day:<5} {_clock(when, '%H:%M:%S')}"


def _day(when: float, now: float) -> str:
    if time.localtime(when)[:3] == time.localtime(now)[:3]:
        return ""
    return _clock(when, "%a" if abs(when - now) < 6 * DAY else "%Y-%m-%d")


def _clock(when: float, shape: str) -> str:
    return time.strftime(shape, time.localtime(when))
