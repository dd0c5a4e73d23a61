"""Remembers who held up the scheduler last: pulses say it only while it lasts."""

from dataclasses import dataclass

from scheduler.core.views import Heartbeat

FELT = 1.0  # seconds without a turn of the loop that make a run late enough to be asked about


@dataclass(frozen=True, slots=True)
class Stall:
    """From `since` to `until` (Unix seconds) the scheduler's loop did not turn."""

    culprit: str
    since: float
    until: float

    def covers(self, start: float, end: float) -> bool:
        """Did it last during any of that time?"""
        return self.since <= end and start <= self.until


class Stalls:
    """The last stall of each citizen's scheduler, as far as a screen has seen it."""

    def __init__(self) -> None:
        self._last: dict[str, Stall] = {}

    def beat(self, citizen: str, pulse: Heartbeat, now: float) -> None:
        """Take the newest pulse."""
        if pulse.age < FELT:
            return
        before, since = self._last.get(citizen), now - pulse.age
        goes_on = before is not None and since - before.since < FELT
        culprit = pulse.culprit or (before.culprit if before and goes_on else "")
        self._last[citizen] = Stall(culprit, since, now)

    def last(self, citizen: str) -> Stall | None:
        return self._last.get(citizen)
