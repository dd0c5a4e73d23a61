"""Format times: running and finished spans in at most six cells, and moments."""

import math
import time


def elapsed(seconds: float) -> str:
    """Time gone by, in whole units, rounded down: `03:12`, `1h28m`, `2d03h`."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    if minutes < 60:
        return f"{minutes:02d}:{rest:02d}"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02d}h" if days < 100 else f"{days}d"


def took(seconds: float) -> str:
    """How long something took, rounded down: `170ms`, `1.4s`, `47s`, then as `elapsed`."""
    thousandths = math.floor(round(max(0.0, seconds) * 1000, 3))  # floats: 0.29 s must not become 289 ms
    if thousandths < 1000:
        return f"{thousandths}ms" if thousandths else "<1ms"
    if thousandths < 10_000:
        return f"{thousandths // 100 / 10:.1f}s"
    return f"{thousandths // 1000}s" if thousandths < 60_000 else elapsed(seconds)


def moment(when: float, now: float) -> str:
    """A time of day, with the day where it is not today: `14:02`, `Mon 14:02`, `2026-02-27 14:02`."""
    day = day_of(when, now)
    return f"{day} {clock(when, '%H:%M')}" if day else clock(when, "%H:%M")


def date_and_time(when: float) -> str:
    """`2026-02-27 14:02:09`."""
    return clock(when, "%Y-%m-%d %H:%M:%S")


def day_of(when: float, now: float) -> str:
    """The day of a moment, empty for today."""
    if time.localtime(when)[:3] == time.localtime(now)[:3]:
        return ""
    return clock(when, "%a" if abs(when - now) < 6 * 86400 else "%Y-%m-%d")


def clock(when: float, shape: str) -> str:
    return time.strftime(shape, time.localtime(when))
