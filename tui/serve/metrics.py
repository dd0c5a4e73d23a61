"""The metrics page for Prometheus: the status of the citizens, and counts of the events seen."""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Event, Snapshot, TaskView, new_events
from tui.serve.health import CitizenStatus, OwnerState
from tui.serve.money_metrics import of_holds, of_money

TASK = ("citizen", "task")
DURATION_EDGES = (0.1, 1.0, 10.0, 60.0, 300.0, 1800.0)  # seconds: the upper edges of durations
LATENESS_EDGES = (0.01, 0.1, 1.0, 10.0, 60.0)  # the same for lateness
TaskKey = tuple[str, str]  # citizen, task


@dataclass(slots=True)
class Histogram:
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
class EventCounts:
    """Counts each event of the snapshots once; `since` is a wall clock time, earlier ones do not count."""

    since: float
    outcomes: dict[tuple[TaskKey, Outcome], int] = field(default_factory=dict)
    durations: dict[TaskKey, Histogram] = field(default_factory=dict)
    lateness: dict[TaskKey, Histogram] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)  # events that came and went between two snapshots
    providers: set[str] = field(default_factory=set)  # providers that a run has waited for
    _last: dict[str, tuple[str, Event]] = field(default_factory=dict)  # owner, and its newest event

    def count(self, snapshot: Snapshot) -> None:
        """Count the events in it that are new."""
        citizen = snapshot.citizen
        owner, last = self._last.get(citizen, ("", None))
        new, missed = new_events(snapshot.events, last if owner == snapshot.owner else None)
        if new:
            self._last[citizen] = snapshot.owner, new[-1]
            self._count(event for event in new if event.time >= self.since)
        if missed:
            self.missed[citizen] = self.missed.get(citizen, 0) + missed

    def keep(self, citizens: Collection[str]) -> None:
        """Forget all other citizens, which are gone from the settings."""
        for citizen in self._last.keys() - citizens:
            del self._last[citizen]
            self.missed.pop(citizen, None)
        self.outcomes = {key: count for key, count in self.outcomes.items() if key[0][0] in citizens}
        self.durations = {key: histogram for key, histogram in self.durations.items() if key[0] in citizens}
        self.lateness = {key: histogram for key, histogram in self.lateness.items() if key[0] in citizens}

    def _count(self, events: Iterable[Event]) -> None:
        for event in events:
            key = event.citizen, event.task
            if event.kind == "finished" and event.outcome is not None:
                self.outcomes[key, event.outcome] = self.outcomes.get((key, event.outcome), 0) + 1
                if event.duration is not None:
                    self.durations.setdefault(key, Histogram(DURATION_EDGES)).add(event.duration)
            elif event.kind == "started" and event.late is not None and event.trigger is not Trigger.FORCE:
                self.lateness.setdefault(key, Histogram(LATENESS_EDGES)).add(event.late)


def page(
    statuses: Sequence[CitizenStatus], counts: EventCounts, now: float, screens: int, accept: str
) -> tuple[bytes, str]:
    """The page in the format that was asked for, and its content type."""
    registry = CollectorRegistry()
    open_screens = GaugeMetricFamily(
        "experience_serve_screens", "Browser screens that are open.", value=screens
    )
    money = [*of_money(statuses), *of_holds(statuses, counts.providers)]
    tasks = [*_of_tasks(statuses, now), *_of_runs(statuses, counts)]
    families = [*_of_owners(statuses), *tasks, *money, open_screens]
    registry.register(_Families(families))
    encode, kind = choose_encoder(accept)
    return encode(registry), kind


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def _of_owners(statuses: Sequence[CitizenStatus]) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        "experience_owner_up", "1 while an owner runs the citizen's tasks and answers.", labels=["citizen"]
    )
    age = GaugeMetricFamily(
        "experience_owner_heartbeat_age_seconds",
        "Seconds since the owner's last sign of life.",
        labels=["citizen"],
    )
    wakes = CounterMetricFamily("experience_wakes", "Wakes of the citizen, ever.", labels=["citizen"])
    frozen = GaugeMetricFamily(
        "experience_frozen", "1 while nothing of the citizen is started.", labels=["citizen"]
    )
    thaws = GaugeMetricFamily(
        "experience_frozen_until_timestamp_seconds", "When its freeze ends by itself.", labels=["citizen"]
    )
    for each in statuses:
        freeze = each.snapshot.freeze
        frozen.add_metric([each.citizen], freeze is not None)
        if freeze and freeze.until is not None:
            thaws.add_metric([each.citizen], freeze.until)
        up.add_metric([each.citizen], each.owner_state is OwnerState.ALIVE)
        if each.age is not None:
            age.add_metric([each.citizen], each.age)
        wakes.add_metric([each.citizen], each.snapshot.wake.count)
    yield from (up, age, wakes, frozen, thaws)


def _is_due(task: TaskView, now: float) -> bool:
    return task.due is not None and task.due <= now and task.running_since is None


def _age(task: TaskView, now: float) -> float | None:
    return None if task.last_success is None else max(0.0, now - task.last_success)


# Name, help and value of each gauge of a task, which has none while the value is None.
GAUGES: tuple[tuple[str, str, Callable[[TaskView, float], float | None]], ...] = (
    ("running", "1 while the task runs.", lambda task, _: task.running_since is not None),
    ("due_timestamp_seconds", "When the task is due next, if it is scheduled.", lambda task, _: task.due),
    ("due", "1 while the task is due and does not run yet.", _is_due),
    ("last_run_timestamp_seconds", "When the last run started.", lambda task, _: task.last_run),
    ("last_success_timestamp_seconds", "When a run last ended well.", lambda task, _: task.last_success),
    ("last_success_age_seconds", "Seconds since a run last ended well.", _age),
    ("failures_in_a_row", "Runs failed since the last good one.", lambda task, _: task.failures_in_a_row),
)


def _of_tasks(statuses: Sequence[CitizenStatus], now: float) -> Iterator[Metric]:
    runs = CounterMetricFamily(
        "experience_task_runs", "Finished runs, ever: the state file's own count.", labels=TASK
    )
    for key, task in _tasks(statuses):
        runs.add_metric(key, task.run_count)
    yield runs
    for name, help, value in GAUGES:
        gauge = GaugeMetricFamily(f"experience_task_{name}", help, labels=TASK)
        for key, task in _tasks(statuses):
            if (number := value(task, now)) is not None:
                gauge.add_metric(key, number)
        yield gauge


def _of_runs(statuses: Sequence[CitizenStatus], counts: EventCounts) -> Iterator[Metric]:
    outcomes = CounterMetricFamily(
        "experience_task_outcomes", "Finished runs by outcome, seen from here.", labels=[*TASK, "outcome"]
    )
    for key, _ in _tasks(statuses):
        for outcome in Outcome:  # also those that never happened: a rate needs a first value
            outcomes.add_metric([*key, outcome.value], counts.outcomes.get((key, outcome), 0))
    yield outcomes
    yield _histogram("duration_seconds", "How long runs took, seen from here.", counts.durations.items())
    yield _histogram(
        "lateness_seconds",
        "How late runs began that were not forced, seen from here.",
        counts.lateness.items(),
    )
    missed = CounterMetricFamily(
        "experience_events_missed", "Events that came too fast to be counted here.", labels=["citizen"]
    )
    for each in statuses:
        missed.add_metric([each.citizen], counts.missed.get(each.citizen, 0))
    yield missed


def _tasks(statuses: Sequence[CitizenStatus]) -> Iterator[tuple[TaskKey, TaskView]]:
    return (((each.citizen, task.name), task) for each in statuses for task in each.snapshot.tasks)


def _histogram(name: str, help: str, histograms: Iterable[tuple[TaskKey, Histogram]]) -> Metric:
    family = HistogramMetricFamily(f"experience_task_{name}", help, labels=TASK)
    for key, histogram in histograms:
        edges = [*map(str, histogram.edges), "+Inf"]
        family.add_metric(key, list(zip(edges, accumulate(histogram.counts), strict=True)), histogram.sum)
    return family
