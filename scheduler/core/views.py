"""The values that screens and clients get: task rows, events, snapshots, receipts.

All times are Unix seconds (UTC), all durations seconds.
"""

from dataclasses import fields
from enum import StrEnum
from itertools import takewhile
from typing import Any

from scheduler.core.costs import Money, RunCost
from scheduler.core.schedules.freeze import Freeze
from scheduler.core.schedules.schedule import NEVER
from scheduler.core.state import Failure, Skips, TaskState
from scheduler.core.task import WAKE, NotSetUp, Outcome, Progress, Task, Trigger
from scheduler.core.values import value
from scheduler.process.who import Who

STOPPING = "stopping"  # the note of a task whose run has been asked to end
LEFT_BEHIND = "waits for "  # how a task's note begins if its last run left something behind
OWNER_GONE = "nobody runs this"  # the text of a snapshot whose owner has died


class TaskStatus(StrEnum):
    """The status that the first glyph of a row shows."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NEVER = "never ran"
    NOT_SET_UP = "not set up"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    WAITS = "waits"
    OVER_BUDGET = "over budget"


class HoldKind(StrEnum):
    """What keeps a due run from starting."""

    AWAKE = "awake"  # the agent of an earlier wake is still alive
    BUDGET = "budget"
    PROVIDER = "provider"
    FREEZE = "freeze"
    QUEUE = "queue"  # no worker has begun it yet


@value
class Hold:
    """Why a due run does not start, in words, and until when at the latest, if known."""

    kind: HoldKind
    why: str
    until: float | None = None
    about: str = ""  # the provider or the limit; a hold is the same while this is the same


@value
class Ping:
    """The last ping of a task: when it was answered or given up, and why it failed, if it did."""

    time: float
    error: str


@value
class TaskView:
    """One row: everything a screen needs to draw a task and to count down on its own."""

    name: str
    kind: TaskStatus
    schedule: str
    due: float | None = None
    since: float | None = None
    last_run: float | None = None
    run_count: int = 0
    error: Failure | None = None
    failures_in_a_row: int = 0
    last_duration: float | None = None
    timeout: float = 300.0
    running_since: float | None = None
    progress: Progress | None = None
    paused_at: float | None = None
    paused_until: float | None = None
    paused_why: str = ""
    paused_by: str = ""
    enabled: bool = True
    queued: bool = False
    missing: str = ""
    advice: str = ""
    note: str = ""
    text: str = ""
    priority: int = 50
    description: str = ""
    outcome: Outcome | None = None
    last_success: float | None = None
    active: str = ""  # the hours in which the schedule may start it
    recent: str = ""
    cost_today: str = ""  # US dollars, exact; empty if it never cost anything
    cost_month: str = ""
    builtin: bool = False  # it runs a built-in handler, or is not set up yet
    held: Hold | None = None
    number: int = 0  # of the last wake
    skips: Skips | None = None  # on the last day when it was due
    queue: str = ""  # the queue of the workers that carry out its runs
    where: str = ""  # the machine of the worker that carries out the run

    @property
    def is_wake(self) -> bool:
        return self.name == WAKE

    @property
    def paused(self) -> bool:
        """Whether a person paused the task; not whether the settings disable it."""
        return self.paused_at is not None or (self.kind is TaskStatus.PAUSED and self.enabled)


@value
class WakeView:
    """The wakes of the citizen: how many there were, the next one, and whether one is running."""

    count: int = 0
    due: float | None = None
    last: float | None = None
    running_since: float | None = None
    configured: bool = True
    error: str = ""
    note: str = ""


@value
class Event:
    """Something that happened: `kind` is a short verb ("started", "finished"...), `seq` always increases."""

    seq: int
    time: float
    kind: str
    citizen: str
    task: str = ""
    outcome: Outcome | None = None
    text: str = ""
    trigger: Trigger | None = None
    duration: float | None = None
    late: float | None = None
    who: Who | None = None  # who asked for the verb or the run
    cost: RunCost | None = None
    number: int = 0  # of the wake
    provider: str = ""  # the provider that is away or back

    @property
    def about(self) -> str:
        """`citizen/task` (with the number of a wake), the provider, or only the citizen."""
        if self.provider or not self.task:
            return self.provider or self.citizen
        return f"{self.citizen}/{self.task}{f' #{self.number}' if self.number else ''}"


def new_events(events: tuple[Event, ...], last: Event | None) -> tuple[list[Event], int]:
    """The events after `last`, and how many are missing before them; all events if the owner is new.

    A new owner counts from one again. In a container all owners may have the same pid.
    """
    if last is None or not events:
        return list(events), 0
    same = (event for event in reversed(events) if event.seq == last.seq)
    if events[-1].seq < last.seq or next(same, last) != last:
        return list(events), 0
    new = list(takewhile(lambda event: event.seq > last.seq, reversed(events)))[::-1]
    return new, new[0].seq - last.seq - 1 if new else 0


@value
class Snapshot:
    """Everything about one citizen at one moment; rows in priority order, the newest event last."""

    citizen: str
    tasks: tuple[TaskView, ...] = ()
    wake: WakeView = WakeView()
    events: tuple[Event, ...] = ()
    home: str = ""
    owner: str = "here"  # or "attached, pid 4711"; "pid 4711" if read from its files; "" without an owner
    unsaved: str = ""
    problems: tuple[str, ...] = ()  # of settings and files set aside, one line each
    stale: str = ""  # why the snapshot may be out of date
    zone: str = ""  # the zone of its owner's times, if asked for
    freeze: Freeze | None = None
    money: Money | None = None
    settings_from: float | None = None  # when the settings in use were read, while the files have errors

    @property
    def background(self) -> tuple[TaskView, ...]:
        """The rows without the wake's."""
        return tuple(task for task in self.tasks if not task.is_wake)

    def task(self, name: str) -> TaskView | None:
        return next((task for task in self.tasks if task.name == name), None)


@value
class Receipt:
    """The answer to a verb: what was done, and whether it is on disk.

    `run` is the run to wait for after `force` or `stop_run`, 0 for none.
    """

    text: str = "done"
    saved: bool = True
    run: int = 0


@value
class OutputChunk:
    """The next output of a run; `skipped` bytes before it were dropped for a slow reader."""

    text: str
    skipped: int = 0


@value
class Heartbeat:
    """Seconds since the scheduler's loop last turned, and the run that blocks it."""

    age: float = 0.0
    culprit: str = ""


def view(task: Task, state: TaskState, when: float, *, held: Hold | None = None, **more: Any) -> TaskView:
    """The row of a task; `when` is its due time."""
    due = held.until if held and held.until else when
    same = {name: getattr(state, name) for name in _OF_STATE}
    same |= {name: getattr(task, name) for name in _OF_TASK}
    return TaskView(
        kind=_kind(task, state, held),
        held=held,
        schedule=str(task.schedule),
        due=None if when == NEVER else due,
        since=state.last_run if state.last_run is not None else state.first_seen,
        running_since=state.running.since if state.running and not _in_queue(held) else None,
        missing=task.work.setting if isinstance(task.work, NotSetUp) else "",
        advice=task.work.advice if isinstance(task.work, NotSetUp) else "",
        active=str(task.active or ""),
        builtin=task.builtin,
        **same,
        **more,
    )


# What a row takes over as it is.
_FIELDS = {each.name for each in fields(TaskView)}
_OF_STATE = _FIELDS & {each.name for each in fields(TaskState)} - {"schedule"}
_OF_TASK = ("name", "timeout", "enabled", "priority", "description", "queue")


def _in_queue(held: Hold | None) -> bool:
    """Whether the run waits for a worker: it is on record but has not begun."""
    return held is not None and held.kind is HoldKind.QUEUE


def _kind(task: Task, state: TaskState, held: Hold | None) -> TaskStatus:
    if _in_queue(held):
        return TaskStatus.WAITS
    if state.running:
        return TaskStatus.RUNNING
    if not task.set_up:
        return TaskStatus.NOT_SET_UP
    if state.paused or not task.enabled:
        return TaskStatus.PAUSED
    if held:
        return TaskStatus.OVER_BUDGET if held.kind is HoldKind.BUDGET else TaskStatus.WAITS
    if state.error or (state.outcome and state.outcome.bad):
        return TaskStatus.FAILED
    if state.outcome is Outcome.STOPPED:
        return TaskStatus.STOPPED
    if state.last_run is None:
        return TaskStatus.NEVER
    return TaskStatus.WARNING if state.outcome is Outcome.WARNING else TaskStatus.OK
