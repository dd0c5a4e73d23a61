"""The metrics page for Prometheus: what is, from the citizens' status; what happened, from counted events."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Event, Snapshot, TaskView
from tui.serve.health import CitizenStatus, Standing

TASK = ("citizen", "task")
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


def page(
    sightings: Sequence[CitizenStatus], tally: Tally, now: float, screens: int, accept: str
) -> tuple[bytes, str]:
    """The page in the format that was asked for, and its content type."""
    registry = CollectorRegistry()
    registry.register(
        _Once([*_of_owners(sightings), *_of_tasks(sightings, now), *_of_runs(sightings, tally)])
    )
    registry.register(_Once([_screens(screens)]))
    encode, kind = choose_encoder(accept)
    return encode(registry), kind


class _Once(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def _of_owners(sightings: Sequence[CitizenStatus]) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        "experience_owner_up", "1 while an owner runs the citizen's tasks and answers.", labels=["citizen"]
    )
    age = GaugeMetricFamily(
        "experience_owner_heartbeat_age_seconds",
        "Seconds since the owner's last sign of life.",
        labels=["citizen"],
    )
    wakes = CounterMetricFamily("experience_wakes", "Wakes of the citizen, ever.", labels=["citizen"])
    for each in sightings:
        up.add_metric([each.citizen], each.standing is Standing.ALIVE)
        if each.age is not None:
            age.add_metric([each.citizen], each.age)
        wakes.add_metric([each.citizen], each.snapshot.wake.count)
    yield from (up, age, wakes)


def _of_tasks(sightings: Sequence[CitizenStatus], now: float) -> Iterator[Metric]:
    runs = CounterMetricFamily(
        "experience_task_runs", "Finished runs, ever: the state file's own count.", labels=TASK
    )
    running = _gauge("running", "1 while the task runs.")
    due = _gauge("due_timestamp_seconds", "When the task is due next; none while nothing wants it.")
    overdue = _gauge("due", "1 while the task is due and does not run yet.")
    last = _gauge("last_run_timestamp_seconds", "When the last run started.")
    succeeded = _gauge("last_success_timestamp_seconds", "When a run last ended well.")
    age = _gauge("last_success_age_seconds", "Seconds since a run last ended well.")
    failures = _gauge("failures_in_a_row", "Runs that failed since the last one that did not.")
    for place, task in _tasks(sightings):
        runs.add_metric(place, task.run_count)
        running.add_metric(place, task.running_since is not None)
        overdue.add_metric(place, task.due is not None and task.due <= now and task.running_since is None)
        failures.add_metric(place, task.failures_in_a_row)
        if task.due is not None:
            due.add_metric(place, task.due)
        if task.last_run is not None:
            last.add_metric(place, task.last_run)
        if task.last_success is not None:
            succeeded.add_metric(place, task.last_success)
            age.add_metric(place, max(0.0, now - task.last_success))
    yield from (runs, running, due, overdue, last, succeeded, age, failures)


def _of_runs(sightings: Sequence[CitizenStatus], tally: Tally) -> Iterator[Metric]:
    outcomes = CounterMetricFamily(
        "experience_task_outcomes", "Finished runs by outcome, seen from here.", labels=[*TASK, "outcome"]
    )
    for place, _ in _tasks(sightings):
        for outcome in Outcome:  # also those that never happened: a rate needs a first value
            outcomes.add_metric([*place, outcome.value], tally.outcomes.get((place, outcome), 0))
    yield outcomes
    yield _histogram("duration_seconds", "How long runs took, seen from here.", tally.took.items())
    yield _histogram(
        "lateness_seconds", "How late runs began that were not forced, seen from here.", tally.late.items()
    )
    missed = CounterMetricFamily(
        "experience_events_missed", "Events that came too fast to be counted here.", labels=["citizen"]
    )
    for each in sightings:
        missed.add_metric([each.citizen], tally.missed.get(each.citizen, 0))
    yield missed


def _screens(count: int) -> Metric:
    return GaugeMetricFamily("experience_serve_screens", "Browser screens that are open.", value=count)


def _tasks(sightings: Sequence[CitizenStatus]) -> Iterator[tuple[Place, TaskView]]:
    return (((each.citizen, task.name), task) for each in sightings for task in each.snapshot.tasks)


def _gauge(name: str, words: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"experience_task_{name}", words, labels=TASK)


def _histogram(name: str, words: str, spreads: Iterable[tuple[Place, Spread]]) -> Metric:
    family = HistogramMetricFamily(f"experience_task_{name}", words, labels=TASK)
    for place, spread in spreads:
        edges = [*map(str, spread.edges), "+Inf"]
        family.add_metric(place, list(zip(edges, accumulate(spread.counts), strict=True)), spread.sum)
    return family
