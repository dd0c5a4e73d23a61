"""When a task runs: pure values that answer `first` and `after`; the time is always an argument.

Times are Unix seconds (UTC). Dates appear only inside `Cron`, where a time zone is what matters.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from .errors import BadSchedule

NEVER = float("inf")

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_WORDS = {
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "min": "m",
    "mins": "m",
    "minute": "m",
    "minutes": "m",
    "hour": "h",
    "hours": "h",
    "day": "d",
    "days": "d",
    "week": "w",
    "weeks": "w",
}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)\s*")


@dataclass(frozen=True, slots=True)
class Every:
    """An interval, in seconds, counted from the start of the last run."""

    seconds: float

    def __post_init__(self) -> None:
        if not 0 < self.seconds < NEVER:
            raise BadSchedule(f"an interval must be longer than nothing, not {self.seconds!r}")

    def first(self, since: float) -> float:
        return since

    def after(self, last: float) -> float:
        return last + self.seconds

    def skip(self, last: float, now: float) -> float:
        """The first slot after `now`, keeping the rhythm of `last`."""
        return last + self.seconds * ((now - last) // self.seconds + 1)

    def __str__(self) -> str:
        return in_words(self.seconds)


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression, read in `zone` by the rules of Debian's cron, daylight saving included."""

    expression: str
    zone: tzinfo = UTC

    def __post_init__(self) -> None:
        try:
            self._next(datetime(2000, 1, 1, tzinfo=UTC))
        except (CronSimError, StopIteration) as error:
            reason = str(error) or "it never matches"
            raise BadSchedule(f"cron expression {self.expression!r}: {reason}") from error

    def first(self, since: float) -> float:
        return self.after(since)

    def after(self, last: float) -> float:
        try:
            return self._next(datetime.fromtimestamp(last, UTC)).timestamp()
        except StopIteration:  # cronsim looks fifty years ahead, no further
            return NEVER

    def skip(self, last: float, now: float) -> float:
        """The first slot after `now`."""
        return self.after(max(last, now))

    def _next(self, last: datetime) -> datetime:
        return next(CronSim(_plain(self.expression), last.astimezone(self.zone)))

    def __str__(self) -> str:
        return self.expression


@dataclass(frozen=True, slots=True)
class AtStart:
    """Once each time the scheduler starts: cron's `@reboot`."""

    def first(self, since: float) -> float:
        return NEVER

    def after(self, last: float) -> float:
        return NEVER

    def skip(self, last: float, now: float) -> float:
        return NEVER

    def __str__(self) -> str:
        return "@reboot"


Schedule = Every | Cron | AtStart


def parse(text: str, zone: tzinfo | None = None) -> Schedule:
    """The schedule that `text` means: `5m`, `0 */6 * * *`, `@daily`, `@reboot`, `TZ=Asia/Tokyo 0 9 * * *`.

    `zone` is the time zone of cron expressions (default: the machine's). Raises BadSchedule.
    """
    text = text.strip()
    if text == "@reboot":
        return AtStart()
    if match := re.match(r"(?:CRON_TZ|TZ)=(\S+)\s+(.*)", text):
        return Cron(match[2].strip(), zone_named(match[1]))
    if text.startswith("@") or len(text.split()) in (5, 6):
        return Cron(text, zone or local_zone())
    return Every(duration(text))


def duration(text: str | float) -> float:
    """Seconds in `90`, `"90"`, `"5m"`, `"1h30m"` or `"2 hours"`; raises BadSchedule."""
    if isinstance(text, int | float):
        return float(text)
    rest = text.strip().lower()
    total, position = 0.0, 0
    while match := _PART.match(rest, position):
        unit = _WORDS.get(match[2], match[2])
        if unit not in _UNITS:
            break
        total += float(match[1]) * _UNITS[unit]
        position = match.end()
    if not rest or position != len(rest):
        raise BadSchedule(f"{text!r} is no duration: write it like 30s, 5m, 2h or 1d")
    return total


def in_words(seconds: float) -> str:
    """The shortest exact spelling of a duration: `5m`, `1h30m`, `0.5s`."""
    if seconds != int(seconds):
        return f"{seconds:g}s"
    parts, rest = [], int(seconds)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    if parts == ["1d"]:
        return "24h"
    return "".join(parts) or "0s"


def zone_named(name: str) -> ZoneInfo:
    """The time zone of this IANA name; raises BadSchedule."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadSchedule(f"unknown time zone {name!r}: use a name such as Europe/Berlin") from error


@lru_cache(maxsize=1)
def local_zone() -> tzinfo:
    """The machine's own time zone, with its daylight-saving rules."""
    from tzlocal import get_localzone  # 20 ms that only cron tasks pay

    return get_localzone()


def _plain(expression: str) -> str:
    """The expression as cronsim reads it: macros spelled out, `?` as `*`."""
    return MACROS.get(expression.lower(), expression).replace("?", "*")


def unix(value: object) -> float | None:
    """Unix seconds of an ISO time; None for anything else."""
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except (ValueError, OverflowError):
        return None
