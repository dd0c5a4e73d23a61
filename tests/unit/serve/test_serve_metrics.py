"""What health and metrics are made of: each event counted once, each owner judged, each name spelt right."""

import json
from collections.abc import Iterable
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from scheduler.control.wire.messages import with_events, without_events
from scheduler.core.schedules.freeze import Freeze
from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Event, Heartbeat, Snapshot, TaskStatus, TaskView, WakeView
from tests.each import each
from tests.fakes import NOON
from tui.serve.health import STALE, CitizenStatus, OwnerState, health, status_of
from tui.serve.metrics import EventCounts, page

NEWS = "opus", "news_scan"
PID = "attached, pid 4711"


def event(seq: int, outcome: Outcome | None = Outcome.OK, time: float | None = None, **more: object) -> Event:
    kind = "started" if outcome is None else "finished"
    given = {"duration": 2.0 if outcome else None, "trigger": Trigger.SCHEDULE} | more
    return Event(seq, NOON + seq if time is None else time, kind, *NEWS, outcome, **given)


def attached(*events: Event, owner: str = PID) -> Snapshot:
    return Snapshot("opus", events=events, owner=owner)


def counted(counts: EventCounts, outcome: Outcome = Outcome.OK) -> int:
    return counts.outcomes.get((NEWS, outcome), 0)


def test_an_event_counts_once_however_often_it_is_received():
    counts = EventCounts(NOON)
    counts.count(attached(event(1), event(2)))
    counts.count(attached(event(1), event(2), event(3, Outcome.FAILED)))
    counts.count(attached(event(2), event(3, Outcome.FAILED)))
    assert counted(counts) == 2 and counted(counts, Outcome.FAILED) == 1


def test_what_was_before_us_is_not_counted():
    counts = EventCounts(NOON + 2.5)
    counts.count(attached(event(1), event(2), event(3)))
    assert counted(counts) == 1


@each(
    "after",
    [
        attached(
            event(1, time=NOON + 50),
            event(2, time=NOON + 51),
            event(3, time=NOON + 52),
            owner="attached, pid 9",
        ),
        attached(event(1, time=NOON + 50)),  # the same pid, as in a container: its numbers are smaller
        attached(event(1, time=NOON + 50), event(2, time=NOON + 51)),  # or stand for something else
    ],
)
def test_another_owners_numbers_start_again(after):
    counts = EventCounts(NOON)
    counts.count(attached(event(1), event(2)))
    counts.count(after)
    counts.count(after)
    assert counted(counts) == 2 + len(after.events)


def test_an_owner_with_the_pid_of_the_one_before_sends_all_of_its_events():
    """As in a container, where every owner is process 1."""
    before = (event(1), event(2), event(3))
    now = attached(event(1, time=NOON + 50), owner="here")
    assert with_events(without_events(now, 3), before).events == now.events


def test_events_that_came_too_fast_are_counted_as_missed():
    counts = EventCounts(NOON)
    counts.count(attached(event(1)))
    counts.count(attached(event(7), event(8)))
    assert counted(counts) == 3 and counts.missed == {"opus": 5}


def test_how_long_and_how_late():
    counts = EventCounts(NOON)
    counts.count(
        attached(
            event(1, None, late=0.005),
            event(2, duration=0.1),
            event(3, None, late=100.0),
            event(4, duration=2000.0),
            event(5, None, late=0.0, trigger=Trigger.FORCE),  # forced: not late
        )
    )
    assert counts.durations[NEWS].counts == [1, 0, 0, 0, 0, 0, 1] and counts.durations[NEWS].sum == 2000.1
    assert counts.lateness[NEWS].counts == [1, 0, 0, 0, 0, 1]


def test_citizens_that_are_gone_leave_nothing_behind():
    counts = EventCounts(NOON)
    counts.count(attached(event(1, None, late=1.0), event(2), event(9)))
    counts.keep(set())
    assert (counts.outcomes, counts.durations, counts.lateness, counts.missed, counts._last) == (
        {},
        {},
        {},
        {},
        {},
    )


# ------------------------------------------------------------------ health


@each(
    ("snapshot", "pulse", "expected", "found"),
    [
        (attached(), Heartbeat(0.5), False, OwnerState.ALIVE),
        (attached(), Heartbeat(STALE + 1), False, OwnerState.HUNG),
        (replace(attached(), stale="its owner is gone"), Heartbeat(), True, OwnerState.GONE),
        (replace(attached(), stale="its owner is gone"), Heartbeat(), False, OwnerState.FREE),
        (attached(owner=""), Heartbeat(), False, OwnerState.FREE),
        (attached(owner=""), Heartbeat(), True, OwnerState.GONE),
        (attached(owner="pid 4711"), Heartbeat(), False, OwnerState.ALIVE),
    ],
)
def test_the_state_of_an_owner(snapshot, pulse, expected, found):
    assert status_of(snapshot, pulse, expected, 7.0).owner_state is found


def sighting(found: OwnerState, age: float | None = 0.0, **more: object) -> CitizenStatus:
    return CitizenStatus(replace(attached(), **more), found, age)


def test_one_stale_owner_makes_all_unhealthy():
    well = [sighting(OwnerState.ALIVE), sighting(OwnerState.FREE, None, citizen="mira")]
    assert health(well)[0] and health([])[0]
    for bad in (OwnerState.HUNG, OwnerState.GONE):
        good, found = health([*well, sighting(bad, 12.34, citizen="aria")])
        assert not good and found["status"] == "stale"
        assert found["citizens"]["aria"]["owner"] == bad.value
        assert found["citizens"]["aria"]["heartbeat_age_seconds"] == 12.3
        json.dumps(found)


# ------------------------------------------------------------------ the page


TASK = TaskView(
    "news_scan",
    TaskStatus.FAILED,
    "4h",
    due=NOON - 5,
    last_run=NOON - 70,
    run_count=42,
    failures_in_a_row=3,
    last_success=NOON - 3600,
)
RUNNING = TaskView("email_check", TaskStatus.RUNNING, "1h", running_since=NOON - 1)


def metrics(
    sightings: Iterable[CitizenStatus], counts: EventCounts
) -> dict[str, dict[tuple[str, ...], float]]:
    """Every sample by name and label values, as Prometheus' own reader understands it."""
    text, kind = page(list(sightings), counts, NOON, 2, "")
    assert kind.startswith("text/plain")
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = tuple(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[key] = sample.value
    return found


def test_the_page_says_what_is_and_what_happened():
    counts = EventCounts(NOON)
    counts.count(attached(event(1, None, late=0.02), event(2, Outcome.TIMED_OUT, duration=31.0)))
    freeze = Freeze(NOON, NOON + 60)
    opus = sighting(OwnerState.ALIVE, 0.5, tasks=(TASK, RUNNING), wake=WakeView(count=7), freeze=freeze)
    found = metrics([opus, sighting(OwnerState.GONE, 60.0, citizen="mira")], counts)
    assert found["experience_owner_up"] == {("opus",): 1, ("mira",): 0}
    assert found["experience_owner_heartbeat_age_seconds"] == {("opus",): 0.5, ("mira",): 60}
    assert found["experience_wakes_total"][("opus",)] == 7
    assert found["experience_frozen"] == {("opus",): 1, ("mira",): 0}
    assert found["experience_frozen_until_timestamp_seconds"] == {("opus",): NOON + 60}
    assert found["experience_task_runs_total"] == {NEWS: 42, ("opus", "email_check"): 0}
    assert found["experience_task_running"] == {NEWS: 0, ("opus", "email_check"): 1}
    assert found["experience_task_due"] == {NEWS: 1, ("opus", "email_check"): 0}
    assert found["experience_task_due_timestamp_seconds"] == {NEWS: NOON - 5}
    assert found["experience_task_last_run_timestamp_seconds"] == {NEWS: NOON - 70}
    assert found["experience_task_last_success_timestamp_seconds"] == {NEWS: NOON - 3600}
    assert found["experience_task_last_success_age_seconds"] == {NEWS: 3600}
    assert found["experience_task_failures_in_a_row"][NEWS] == 3
    assert found["experience_task_outcomes_total"][("opus", "timed out", "news_scan")] == 1
    assert found["experience_task_outcomes_total"][("opus", "ok", "email_check")] == 0
    assert found["experience_task_duration_seconds_bucket"][("opus", "60.0", "news_scan")] == 1
    assert found["experience_task_duration_seconds_bucket"][("opus", "10.0", "news_scan")] == 0
    assert found["experience_task_duration_seconds_sum"][NEWS] == 31
    assert found["experience_task_lateness_seconds_count"][NEWS] == 1
    assert found["experience_events_missed_total"][("opus",)] == 0
    assert found["experience_serve_screens"] == {(): 2}


def test_prometheus_may_ask_for_open_metrics():
    text, kind = page(
        [sighting(OwnerState.ALIVE, tasks=(TASK,))],
        EventCounts(NOON),
        NOON,
        0,
        "application/openmetrics-text",
    )
    assert kind.startswith("application/openmetrics-text") and text.endswith(b"# EOF\n")
