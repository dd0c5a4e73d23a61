"""Why a task is in its state: a sentence for every kind, note and accident."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from scheduler.core.state import Failure
from scheduler.core.task import Outcome, Progress, Trigger
from scheduler.core.views import Event, Heartbeat, Hold, HoldKind, Snapshot, TaskStatus, TaskView
from tests.fakes import NOON
from tui.common.usual_duration import Usual
from tui.details.why import TRIGGERS, Evidence, Stall, Stalls, why


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def task(kind: TaskStatus = TaskStatus.OK, **more) -> TaskView:
    given = {"schedule": "5m", "due": NOON + 190, "last_run": NOON - 110, "run_count": 42, **more}
    return TaskView("report", kind, **given)


def failed(text: str = "Connection timeout", at: float = NOON - 3600, **more) -> TaskView:
    given = {"outcome": Outcome.FAILED, "failures_in_a_row": 1, **more}
    return task(TaskStatus.FAILED, error=Failure(at, text), **given)


def running(seconds: float = 12, **more) -> TaskView:
    return task(TaskStatus.RUNNING, due=None, running_since=NOON - seconds, timeout=120.0, **more)


def started(late: float = 0.0, trigger: Trigger = Trigger.SCHEDULE, at: float = NOON - 12) -> Event:
    return Event(7, at, "started", "opus", "report", trigger=trigger, late=late)


def other(name: str, seconds: float) -> TaskView:
    return TaskView(name, TaskStatus.RUNNING, "1h", running_since=NOON - seconds)


STALLED = Evidence(Heartbeat(5.2, "opus/price_monitor"))
HELD_UP = Evidence(stall=Stall("opus/price_monitor", NOON - 15, NOON - 12))
QUEUED = task(due=None, queued=True)
ORPHAN = failed("interrupted: the scheduler died during this run", due=None, outcome=Outcome.INTERRUPTED)

SPENT = Hold(HoldKind.BUDGET, "over budget until 00:00 ($5.02 of $5.00)", NOON + 43_200)
AWAY = Hold(HoldKind.PROVIDER, "waits for anthropic until 15:00 (usage limit)", NOON + 10_800, "anthropic")
TABLE = [
    # at rest
    (task(), (), Evidence(), "next run in 4m (12:03); last run ok, 1m ago"),
    (
        task(TaskStatus.STOPPED, outcome=Outcome.STOPPED, text="stopped"),
        (),
        Evidence(),
        "next run in 4m (12:03); last run stopped, 1m ago",
    ),
    (
        running(note="stopping"),
        (),
        Evidence(),
        "running since 11:59:48 (timeout 2m); it is being stopped",
    ),
    (
        task(due=NOON + 86400),
        (),
        Evidence(),
        "next run in 24h (Tue 12:00); last run ok, 1m ago",
    ),
    (
        task(due=NOON + 9 * 86400),
        (),
        Evidence(),
        "next run in 9d (2026-03-11 12:00); last run ok, 1m ago",
    ),
    (task(due=NOON - 1), (), Evidence(), "due now; last run ok, 1m ago"),
    (task(due=0.0), (), Evidence(), "due now, on request; last run ok, 1m ago"),
    (task(due=None), (), Evidence(), "no next time; last run ok, 1m ago"),
    (
        task(due=None, schedule="@reboot"),
        (),
        Evidence(),
        "next run when the scheduler starts; last run ok, 1m ago",
    ),
    (
        task(outcome=Outcome.SKIPPED),
        (),
        Evidence(),
        "next run in 4m (12:03); last run skipped, 1m ago",
    ),
    (
        task(TaskStatus.WARNING, text="disk 91 % full\nmore"),
        (),
        Evidence(),
        "next run in 4m (12:03); last run with a warning, 1m ago: disk 91 % full",
    ),
    # held back
    (
        task(
            TaskStatus.OVER_BUDGET, due=0.0, held=Hold(HoldKind.BUDGET, "over budget until 00:00 ($5 of $5)")
        ),
        (),
        Evidence(),
        "over budget until 00:00 ($5 of $5); B allows more",
    ),
    (
        task(TaskStatus.WAITS, due=0.0, held=Hold(HoldKind.PROVIDER, "waits for anthropic until 15:00")),
        (),
        Evidence(),
        "waits for anthropic until 15:00",
    ),
    # never ran
    (
        task(TaskStatus.NEVER, last_run=None, run_count=0),
        (),
        Evidence(),
        "never ran: first run in 4m (12:03)",
    ),
    (task(TaskStatus.NEVER, last_run=None, run_count=0, due=NOON), (), Evidence(), "never ran: due now"),
    (task(TaskStatus.NEVER, last_run=None, run_count=0, due=None), (), Evidence(), "never ran: no next time"),
    (
        task(TaskStatus.NEVER, last_run=None, run_count=0, due=None, schedule="@reboot"),
        (),
        Evidence(),
        "never ran: first run when the scheduler starts",
    ),
    (
        task(TaskStatus.NEVER, last_run=None, due=0.0),
        (),
        Evidence(),
        "reset: next run now",
    ),
    # queued and held up
    (
        QUEUED,
        (other("dream_generate", 192),),
        Evidence(),
        "queued: the only worker is busy with dream_generate for 3m12s",
    ),
    (
        QUEUED,
        tuple(other(name, 60 * n) for n, name in enumerate("abcde", 1)),
        Evidence(),
        "queued: all 5 workers are busy with e for 5m, d for 4m, c for 3m and 2 more",
    ),
    (QUEUED, (), Evidence(), "queued: it starts as soon as a worker is free"),
    (QUEUED, (), STALLED, "queued: the scheduler is stalled by opus/price_monitor for 5s"),
    (task(due=NOON - 3), (), STALLED, "3s late: the scheduler is stalled by opus/price_monitor"),
    (task(due=NOON - 3), (), Evidence(Heartbeat(9.0)), "3s late: the scheduler is stalled"),
    (
        task(),
        (),
        STALLED,
        "next run in 4m (12:03); last run ok, 1m ago; the scheduler is stalled by opus/price_monitor for 5s",
    ),
    # left over
    (
        replace(ORPHAN, note="waits for pid 812, started by an owner that died"),
        (),
        Evidence(),
        "waits for pid 812, started by an owner that died, to end: a task never overlaps itself",
    ),
    (
        task(due=None, note="waits for thread"),
        (),
        Evidence(),
        "waits for the thread of its last run, which cannot be killed, to end: a task never overlaps itself",
    ),
    (
        task(due=None, note="waits for a coroutine that ignores being cancelled"),
        (),
        Evidence(),
        "waits for a coroutine that ignores being cancelled to end: a task never overlaps itself",
    ),
    # at work
    (running(), (), Evidence(), "running since 11:59:48 (timeout 2m)"),
    (running(where="g1"), (), Evidence(), "running on g1 since 11:59:48 (timeout 2m)"),
    (running(100), (), Evidence(), "running since 11:58:20 (stopped in 20s by its timeout of 2m)"),
    (running(125), (), Evidence(), "running since 11:57:55 (beyond its timeout of 2m: it is being stopped)"),
    (
        running(progress=Progress(18, 40, "18/40 files")),
        (),
        Evidence(),
        "running since 11:59:48. At this pace it ends in 00:14, before its timeout of 2m",
    ),
    (
        running(60, progress=Progress(1, 4, "1/4 files")),
        (),
        Evidence(),
        "running since 11:59:00. At this pace it ends in 03:00, after its timeout of 2m",
    ),
    (
        running(100),
        (),
        Evidence(usual=Usual(60.0, 80.0)),
        "running since 11:58:20 (stopped in 20s by its timeout of 2m), slower than usual: half of its runs "
        "take 01:00, 19 of 20 end within 01:20",
    ),
    (running(85), (), Evidence(usual=Usual(60.0, 80.0)), "running since 11:58:35 (timeout 2m)"),
    (running(progress=Progress(7, 0)), (), Evidence(), "running since 11:59:48 (timeout 2m): 7 done"),
    (
        running(paused_at=NOON - 60),
        (),
        Evidence(),
        "running since 11:59:48 (timeout 2m); paused at 11:59: no further runs by schedule",
    ),
    (
        running(),
        (),
        Evidence(Heartbeat(5.2, "opus/report")),
        "running since 11:59:48 (timeout 2m): it holds up the scheduler for 5s",
    ),
    # not wanted
    (
        task(TaskStatus.PAUSED, due=None, paused_at=NOON - 600),
        (),
        Evidence(),
        "paused at 11:50; only force runs it",
    ),
    (task(TaskStatus.PAUSED, due=None), (), Evidence(), "paused; only force runs it"),
    (
        task(TaskStatus.PAUSED, due=None, enabled=False),
        (),
        Evidence(),
        "disabled in the settings (enabled = false): only force runs it",
    ),
    (
        task(
            TaskStatus.PAUSED,
            due=None,
            paused_at=NOON - 600,
            error=Failure(NOON - 3600, "timed out after 30s"),
            outcome=Outcome.TIMED_OUT,
        ),
        (),
        Evidence(),
        "paused at 11:50; only force runs it; timed out 1h ago (11:00): timed out after 30s",
    ),
    (
        task(TaskStatus.NOT_SET_UP, due=None, missing="host", advice="# in /etc/x.toml\n[tasks.report]"),
        (),
        Evidence(),
        "not set up: host is missing; add the lines below to /etc/x.toml",
    ),
    (
        task(TaskStatus.NOT_SET_UP, due=None, missing="host"),
        (),
        Evidence(),
        "not set up: host is missing; add it to the settings",
    ),
    # went wrong
    (failed(), (), Evidence(), "failed 1h ago (11:00); next try in 4m (12:03): Connection timeout"),
    (
        failed(failures_in_a_row=3, last_success=NOON - 86400),
        (),
        Evidence(),
        "failed 1h ago (11:00), 3rd failure in a row, last ok Sun 12:00; next try in 4m (12:03):"
        " Connection timeout",
    ),
    (
        failed(note="attempt 2 of 4", due=NOON + 20),
        (),
        Evidence(),
        "failed 1h ago (11:00); attempt 2 of 4 in 20s (12:00): Connection timeout",
    ),
    (
        task(TaskStatus.OVER_BUDGET, held=SPENT),
        (),
        Evidence(),
        "over budget until 00:00 ($5.02 of $5.00); B allows more",
    ),
    (
        task(TaskStatus.WAITS, held=AWAY),
        (),
        Evidence(),
        "waits for anthropic until 15:00 (usage limit); until then no run calls it, then one tries it first",
    ),
    (
        task(TaskStatus.WAITS, held=replace(AWAY, why="waits for anthropic, which opus tries", until=None)),
        (),
        Evidence(),
        "waits for anthropic, which opus tries",
    ),
    (failed(due=NOON), (), Evidence(), "failed 1h ago (11:00); next try now: Connection timeout"),
    (failed(due=None), (), Evidence(), "failed 1h ago (11:00); no next try: Connection timeout"),
    (
        failed(due=None, schedule="@reboot"),
        (),
        Evidence(),
        "failed 1h ago (11:00); next try when the scheduler starts: Connection timeout",
    ),
    (failed(" \n", at=0.0), (), Evidence(), "failed; next try in 4m (12:03): no reason given"),
    (
        failed("timed out after 30s", outcome=Outcome.TIMED_OUT),
        (),
        Evidence(),
        "timed out 1h ago (11:00); next try in 4m (12:03): timed out after 30s",
    ),
    (
        failed("interrupted: the scheduler was shut down", outcome=Outcome.INTERRUPTED, due=0.0),
        (),
        Evidence(),
        "interrupted 1h ago (11:00); next try now: the scheduler was shut down",
    ),
]


def test_every_state_has_its_sentence():
    for view, others, seen, sentence in TABLE:
        assert why(view, Snapshot("opus", (view, *others)), NOON, seen) == sentence, sentence


def test_every_kind_is_in_the_table():
    assert {view.kind for view, *_ in TABLE} == set(TaskStatus)


def test_a_run_says_what_started_it():
    for trigger, words in TRIGGERS.items():
        snapshot = Snapshot("opus", (running(),), events=(started(trigger=trigger),))
        assert why(running(), snapshot, NOON) == f"running since 11:59:48 ({words}, timeout 2m)"


def test_a_late_run_names_who_stalled_the_scheduler_if_that_was_seen():
    snapshot = Snapshot("opus", (running(),), events=(started(late=2.1),))
    said = why(running(), snapshot, NOON, HELD_UP)
    assert "2.1s late: the scheduler was stalled by opus/price_monitor" in said
    unseen = why(running(), snapshot, NOON, Evidence(stall=Stall("x", NOON - 900, NOON - 800)))
    assert "2.1s late, timeout" in unseen and "stalled" not in unseen
    ended = task(last_run=NOON - 12)
    said = why(ended, Snapshot("opus", (ended,), events=(started(late=2.1),)), NOON, HELD_UP)
    assert said.endswith("2.1s late: the scheduler was stalled by opus/price_monitor")


def test_catching_up_is_not_called_late():
    event = started(late=7200.0, trigger=Trigger.CATCH_UP)
    assert "late" not in why(running(), Snapshot("opus", (running(),), events=(event,)), NOON)


def test_a_task_without_an_owner_is_not_live():
    snapshot = Snapshot("opus", (task(),), stale="its owner (pid 4711) is gone")
    assert why(task(), snapshot, NOON) == "not live: its owner (pid 4711) is gone"
    seen = Evidence(gone_since=NOON - 120)
    assert why(task(), snapshot, NOON, seen) == "not live since 11:58: its owner (pid 4711) is gone"
    assert why(running(), snapshot, NOON).endswith("is gone; it was running since 11:59")


def test_what_is_not_saved_is_said_with_every_state():
    for view, others, seen, sentence in TABLE:
        snapshot = Snapshot("opus", (view, *others), unsaved="disk full")
        assert why(view, snapshot, NOON, seen) == f"{sentence}; not saved: disk full"


def test_the_last_stall_is_remembered():
    stalls = Stalls()
    stalls.beat("opus", Heartbeat(0.2), NOON)
    assert stalls.last("opus") is None
    for second in (2, 3):
        stalls.beat("opus", Heartbeat(float(second), "opus/slow"), NOON + second)
    stalls.beat("opus", Heartbeat(0.1), NOON + 4)
    assert stalls.last("opus") == Stall("opus/slow", NOON, NOON + 3)
