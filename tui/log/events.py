"""The events of all citizens in the order of time, as far back as they are kept."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import takewhile

from scheduler.core.views import Event, Snapshot

KEPT = 5000
SPARE = 500  # so many more before the oldest go, all at once


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of a citizen that happened, and that nobody here was told of."""

    time: float
    citizen: str
    skipped: int


Entry = Event | Gap


def _time(entry: Entry) -> float:
    return entry.time


class EventLog:
    """Takes what is new from each snapshot; `changed_from` is the first entry that is not as before.

    Who draws the entries sets `changed_from` to their number once it has drawn them.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.changed_from = 0
        self.lost = 0  # oldest entries that were let go
        self.longest = 0  # letters of a citizen and a task
        self._told: dict[str, Event] = {}

    def put(self, snapshot: Snapshot) -> bool:
        """Take in what is new; True if there was anything."""
        if not snapshot.events or snapshot.events[-1] is self._told.get(snapshot.citizen):
            return False
        fresh = self._fresh(snapshot)
        for entry in fresh:
            place = bisect_right(self.entries, entry.time, key=_time)
            self.entries.insert(place, entry)
            self.changed_from = min(self.changed_from, place)
            self.longest = max(self.longest, _letters(entry))
        if fresh:
            self._told[snapshot.citizen] = snapshot.events[-1]
            self._trim()
        return bool(fresh)

    def _fresh(self, snapshot: Snapshot) -> list[Entry]:
        told, citizen = self._told.get(snapshot.citizen), snapshot.citizen
        if told is None or _began_again(told, snapshot.events):
            return list(snapshot.events)
        events = list(takewhile(lambda event: event.seq > told.seq, reversed(snapshot.events)))[::-1]
        missing = events[0].seq - told.seq - 1 if events else 0
        gap = [Gap(events[0].time, citizen, missing)] if missing else []
        return [*gap, *events]

    def _trim(self) -> None:
        if len(self.entries) > KEPT + SPARE:
            gone = len(self.entries) - KEPT
            del self.entries[:gone]
            self.lost, self.changed_from = self.lost + gone, 0


def _letters(entry: Entry) -> int:
    task = entry.task if isinstance(entry, Event) else ""
    return len(entry.citizen) + (1 + len(task) if task else 0)


def _began_again(told: Event, events: tuple[Event, ...]) -> bool:
    """A new owner counts from one again."""
    if events[-1].seq < told.seq:
        return True
    same = (event for event in reversed(events) if event.seq == told.seq)
    return next(same, told) != told
