"""Counts what owners tell of their runs, each event once, however often they are asked anew."""

from bisect import bisect_left
from collections.abc import Collection, Iterable
from copy import deepcopy
from dataclasses import dataclass, field

from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Event, Snapshot

TOOK = (0.1, 1.0, 10.0, 60.0, 300.0, 1800.0)  # seconds: the upper edges of durations
LATE = (0.01, 0.1, 1.0, 10.0, 60.0)  # and of lateness

Place = tuple[str, str]  # citizen, task


@dataclass(slots=True)
class Spread:
    """How many values fell below each edge, and their sum."""

    edges: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    sum: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.edges) + 1)

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.edges, value)] += 1
        self.sum += value


@dataclass(slots=True)
class _Told:
    """The last event that was counted, and whose it was."""

    owner: str = ""
    seq: int = 0
    time: float = 0.0


@dataclass(slots=True)
class Tally:
    """Since `since`, a wall clock time: what happened before was not seen from here."""

    since: float
    outcomes: dict[tuple[Place, Outcome], int] = field(default_factory=dict)
    took: dict[Place, Spread] = field(default_factory=dict)
    late: dict[Place, Spread] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)  # events that came and went between two looks
    _told: dict[str, _Told] = field(default_factory=dict)

    def take(self, snapshot: Snapshot) -> None:
        """Count the events in it that were not counted yet."""
        if not snapshot.events:
            return
        told = self._told.setdefault(snapshot.citizen, _Told(snapshot.owner))
        if _another_owner(told, snapshot):
            told = self._told[snapshot.citizen] = _Told(snapshot.owner)
        fresh = [event for event in snapshot.events if event.seq > told.seq]
        if fresh:
            self._skipped(snapshot.citizen, told, fresh[0])
            told.seq, told.time = fresh[-1].seq, fresh[-1].time
            self._count(event for event in fresh if event.time >= self.since)

    def keep(self, citizens: Collection[str]) -> None:
        """The others are gone from the settings."""
        for citizen in self._told.keys() - citizens:
            del self._told[citizen]
            self.missed.pop(citizen, None)
        self.outcomes = {key: count for key, count in self.outcomes.items() if key[0][0] in citizens}
        self.took = {place: spread for place, spread in self.took.items() if place[0] in citizens}
        self.late = {place: spread for place, spread in self.late.items() if place[0] in citizens}

    def copy(self) -> "Tally":
        """As it is now, for another thread."""
        return deepcopy(self)

    def _skipped(self, citizen: str, told: _Told, first: Event) -> None:
        if told.seq and first.seq > told.seq + 1:
            self.missed[citizen] = self.missed.get(citizen, 0) + first.seq - told.seq - 1

    def _count(self, events: Iterable[Event]) -> None:
        for event in events:
            place = event.citizen, event.task
            if event.kind == "finished" and event.outcome is not None:
                self.outcomes[place, event.outcome] = self.outcomes.get((place, event.outcome), 0) + 1
                if event.duration is not None:
                    self.took.setdefault(place, Spread(TOOK)).add(event.duration)
            elif event.kind == "started" and event.late is not None and event.trigger is not Trigger.FORCE:
                self.late.setdefault(place, Spread(LATE)).add(event.late)


def _another_owner(told: _Told, snapshot: Snapshot) -> bool:
    """Its numbers start anew then; in a container every owner may have the same pid."""
    if snapshot.owner != told.owner or snapshot.events[-1].seq < told.seq:
        return True
    return any(event.seq == told.seq and event.time != told.time for event in snapshot.events)
