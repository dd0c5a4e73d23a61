"""When a task runs: pure values that answer `first` and `after`; the time is always an argument.

Times are Unix seconds (UTC). Dates appear only inside `Cron`, where a time zone is what matters.
"""

import re
from datetime import UTC, datetime, tzinfo

from cronsim import CronSim, CronSimError

from scheduler.core.schedules.cron import NEVER as NEVER
from scheduler.core.schedules.cron import check, next_slot, next_slots
from scheduler.core.schedules.english import plain
from scheduler.core.values import value
from scheduler.errors import BadSchedule
from scheduler.system.time_zones import local_zone as local_zone
from scheduler.system.time_zones import zone_named as zone_named

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_NAMES = r"ms|w(?:eeks?)?|d(?:ays?)?|h(?:ours?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?"
_PART = re.compile(rf"([0-9]+(?:\.[0-9]+)?)\s*({_NAMES})\s*")
_SIZES = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
ON_TIME = 0.1  # seconds of delay at which a run still counts as on time
DRIFT = 1.0  # seconds: a run that begins earlier than its slot by more shows a clock that was set back
LONGEST = 100 * 365 * 86400.0  # seconds: timers and dates overflow far beyond a century


@value
class Every:
    """An interval, in seconds, counted from the start of the last run."""

    seconds: float

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= LONGEST:
            reason = "must be longer than nothing and at most a century"
            raise BadSchedule(f"an interval {reason}, not {self.seconds!r}")

    def first(self, since: float) -> float:
        return since

    def after(self, last: float) -> float:
        return last + self.seconds

    def skip(self, last: float, now: float) -> float:
        """The first slot after `now`, keeping the rhythm of `last`."""
        slot = last + self.seconds * ((now - last) // self.seconds + 1)
        return slot if slot > now else slot + self.seconds  # rounding may give `now` itself

    def latest(self, slot: float, now: float) -> float:
        """The last slot up to `now`; `slot` is one of them."""
        return max(slot, self.skip(slot, now) - self.seconds)

    def counted(self, slot: float, began: float) -> float:
        """When the run of this slot counts as started: small delays do not shift the interval.

        Otherwise runs that a busy moment delays together would coincide again and again.
        """
        late = began - slot
        return slot if -DRIFT <= late < ON_TIME and 2 * late < self.seconds else began

    def __str__(self) -> str:
        return short_duration(self.seconds)


FIXES = {  # by the end of cronsim's error message
    "second": "write 0 to 59",
    "minute": "write 0 to 59",
    "hour": "write 0 to 23",
    "day-of-month": "write a day that its months have",
    "month": "write 1 to 12, or jan to dec",
    "day-of-week": "write 0 to 7, or sun to sat",
    "number of fields": "write five, like 0 9 * * mon-fri",
}


@value
class Cron:
    """A cron expression, read in `zone` by the rules of Debian's cron, daylight saving included."""

    expression: str
    zone: tzinfo = UTC

    def __post_init__(self) -> None:
        try:
            check(_for_cronsim(self.expression))
        except CronSimError as error:
            fix = next((fix for what, fix in FIXES.items() if str(error).endswith(what)), "")
            raise BadSchedule(f"cron expression {self.expression!r}: {error}{fix and '; '}{fix}") from error

    def first(self, since: float) -> float:
        return self.after(since)

    def after(self, last: float) -> float:
        return next_slot(_for_cronsim(self.expression), self.zone, last)

    def skip(self, last: float, now: float) -> float:
        """The first slot after `now`."""
        return self.after(max(last, now))

    def latest(self, slot: float, now: float) -> float:
        """The last slot up to `now`; `slot` is one of them."""
        early, late = int(slot) - 1, int(now)
        while late - early > 1:
            middle = (early + late) // 2
            early, late = (middle, late) if self.after(middle) <= now else (early, middle)
        return self.after(early)

    def counted(self, slot: float, began: float) -> float:
        """When the slot's run counts as started: not before the slot, whatever a corrected clock shows."""
        return max(slot, began)

    def upcoming(self, last: float, count: int) -> list[float]:
        """The first `count` slots after `last`, fewer if there are no more."""
        return next_slots(_for_cronsim(self.expression), self.zone, last, count)

    def in_english(self) -> str:
        """`at 09:00, Monday to Friday`."""
        last = datetime(2000, 1, 1, tzinfo=UTC)
        return plain(str(CronSim(_for_cronsim(self.expression), last).explain()))

    def __str__(self) -> str:
        return self.expression


@value
class AtStart:
    """Once each time the scheduler starts: cron's `@reboot`."""

    def first(self, since: float) -> float:
        return NEVER

    def after(self, last: float) -> float:
        return NEVER

    def skip(self, last: float, now: float) -> float:
        return NEVER

    def latest(self, slot: float, now: float) -> float:
        return NEVER

    def counted(self, slot: float, began: float) -> float:
        return began

    def __str__(self) -> str:
        return "@reboot"


Schedule = Every | Cron | AtStart


def parse(text: str, zone: tzinfo | None = None) -> Schedule:
    """The schedule that `text` means: `5m`, `0 */6 * * *`, `@daily`, `@reboot`, `TZ=Asia/Tokyo 0 9 * * *`.

    `zone` is the time zone of cron expressions (default: the machine's). Raises BadSchedule.
    """
    text = text.strip()
    if text.lower() == "@reboot":
        return AtStart()
    if match := re.match(r"(?:CRON_TZ|TZ)=(\S+)\s+(.*)", text):
        return Cron(match[2].strip(), zone_named(match[1]))
    length = _length(text)
    if length is not None:
        return Every(length)
    if text.startswith("@") or len(text.split()) in (5, 6):
        return Cron(text, zone or local_zone())
    raise BadSchedule(f"{text!r} is not a schedule: write 30s, 5m, 2h or 1d, or the five fields of cron")


def duration(text: str | float) -> float:
    """Seconds in `90`, `"90"`, `"5m"`, `"1h30m"` or `"2 hours"`; raises BadSchedule."""
    length = _length(text) if isinstance(text, str) else text
    if length is not None and LONGEST < length < float("inf"):
        raise BadSchedule(f"{text!r} is more than a century; write a shorter time")
    if length is None or isinstance(length, bool) or not 0 <= length <= LONGEST:
        raise BadSchedule(f"{text!r} is not a duration: write it like 30s, 5m, 2h or 1d")
    return float(length)


def _length(text: str) -> float | None:
    rest = text.strip().lower()
    if _NUMBER.fullmatch(rest):
        return float(rest)
    total, position = 0.0, 0
    while match := _PART.match(rest, position):
        total += float(match[1]) * _UNITS["ms" if match[2] == "ms" else match[2][0]]
        position = match.end()
    return total if rest and position == len(rest) else None


def short_duration(seconds: float) -> str:
    """The shortest exact spelling of a duration: `5m`, `1h30m`, `0.5s`; `none` for the longest limit."""
    if seconds == LONGEST:
        return "none"
    if seconds != int(seconds):
        return f"{seconds:g}s"
    parts = [f"{count}{unit[0]}" for count, unit in _parts(seconds)]
    return "24h" if parts == ["1d"] else "".join(parts) or "0s"


def long_duration(seconds: float) -> str:
    """A duration in full words: `5 minutes`, `1 hour 30 minutes`, `0.5 seconds`."""
    if seconds != int(seconds):
        return f"{seconds:g} seconds"
    parts = [f"{count} {unit}" if count == 1 else f"{count} {unit}s" for count, unit in _parts(seconds)]
    return " ".join(parts) or "0 seconds"


def _parts(seconds: float) -> list[tuple[int, str]]:
    parts, rest = [], int(seconds)
    for unit, size in _SIZES:
        count, rest = divmod(rest, size)
        if count:
            parts.append((count, unit))
    return parts


def _for_cronsim(expression: str) -> str:
    """The expression for cronsim: macros expanded, `?` as `*`."""
    return MACROS.get(expression.lower(), expression).replace("?", "*")


def iso(when: float, timespec: str = "auto") -> str:
    """The ISO time of Unix seconds, in UTC."""
    return datetime.fromtimestamp(when, UTC).isoformat(timespec=timespec)


def unix(value: object) -> float | None:
    """Unix seconds of an ISO time; None for anything else."""
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except (ValueError, OverflowError):
        return None
