"""The metrics page for Prometheus: what is, from sightings; what happened, from the tally."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from scheduler.core.task import Outcome
from scheduler.core.views import TaskView
from tui.serve.counters import Place, Spread, Tally
from tui.serve.health import CitizenStatus, Standing

TASK = ("citizen", "task")


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
