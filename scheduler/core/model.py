"""The words of product.md as frozen values: Task, TaskState, Run, Event, TaskView, Snapshot, Report, Context.

All times are Unix seconds (UTC), all durations seconds. A state changes only through its named transitions.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from scheduler.core.schedule import NEVER, Cron, Every, Schedule
from scheduler.system.process_info import Running

ERROR_LIMIT = 2000  # characters of an error kept in the state file
CORRECTED = 1.0  # seconds that a clock may be set back by without anybody meaning it


class Outcome(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"

    @property
    def bad(self) -> bool:
        return self in _BAD


_BAD = frozenset({Outcome.FAILED, Outcome.TIMED_OUT, Outcome.INTERRUPTED})


class Trigger(StrEnum):
    SCHEDULE = "schedule"
    FORCE = "force"
    WAKE = "wake"
    RETRY = "retry"
    CATCH_UP = "catch-up"


class Kind(StrEnum):
    """What the first glyph of a task's row says."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NEVER = "never ran"
    NOT_SET_UP = "not set up"
    RUNNING = "running"
    PAUSED = "paused"


# ------------------------------------------------------------------ what a handler gets and gives


@dataclass(frozen=True, slots=True)
class Report:
    """A handler's answer when text is not enough: a warning, or that the citizen should wake now."""

    text: str = ""
    warning: bool = False
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: `done` of `total` (0 when unknown), and what it is at."""

    done: float
    total: float
    text: str = ""


def _nobody_listens(progress: Progress) -> None: ...


@dataclass(frozen=True, slots=True)
class Llm:
    """A language model that handlers may ask; `timeout` is how many seconds it may keep silent."""

    url: str
    model: str
    api: str = "ollama"
    key: str = field(default="", repr=False)
    timeout: float = 120.0


@dataclass(frozen=True, slots=True)
class Alerts:
    """Who is told of what: of `after` failures in a row, once; where it goes may be a secret."""

    on: frozenset[str]
    after: int = 2
    command: tuple[str, ...] = ()
    webhook: str = field(default="", repr=False)
    apprise: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Context:
    """All that a handler may know of its run."""

    citizen: str
    home: Path
    task: str
    options: Any = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    last_success: float | None = None
    trigger: Trigger = Trigger.SCHEDULE
    report: Callable[[Progress], None] = _nobody_listens
    llm: Llm | None = None

    def progress(self, done: float, total: float = 0, text: str = "") -> None:
        """Show on screen how far this run is; may be called as often as you like, from any thread."""
        self.report(Progress(float(done), float(total), str(text)))

    @property
    def log(self) -> "logging.LoggerAdapter[logging.Logger]":
        """A logger whose lines carry the citizen and the task."""
        fields = {"citizen": self.citizen, "task": self.task}
        return logging.LoggerAdapter(logging.getLogger("experience.task"), fields)


class Handler(Protocol):
    """`def h(ctx: Context) -> str | Report | None`, or v2's `def h(citizen: str) -> str`; sync or async."""

    def __call__(self, context: Any, /) -> Any: ...


# ------------------------------------------------------------------ what a task runs


@dataclass(frozen=True, slots=True)
class Call:
    """A Python callable in this process: a coroutine function on the loop, any other in a thread."""

    function: Handler


@dataclass(frozen=True, slots=True)
class Isolated:
    """A Python callable in a process of its own: `source` is a file or a module."""

    source: str
    function: str


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments; never a shell. `input` goes to its standard input.

    It runs in `folder`, else in the citizen's home; without `inherit` it sees its own environment only.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    input: bytes = b""
    folder: Path | None = None
    inherit: bool = True


@dataclass(frozen=True, slots=True)
class NotSetUp:
    """Nothing yet: `setting` is what is missing, `advice` the lines to add."""

    setting: str
    advice: str = ""


Work = Call | Isolated | Command | NotSetUp


@dataclass(frozen=True, slots=True)
class Task:
    """A named chore of one citizen: a schedule plus what it runs."""

    name: str
    schedule: Schedule
    work: Work
    timeout: float = 300.0
    priority: int = 50
    retries: int = 0
    retry_delay: float = 30.0
    jitter: float = 0.0
    catch_up: bool = True
    enabled: bool = True
    options: Any = None
    description: str = ""
    ping: str = field(default="", repr=False)  # an address that wants to hear of each run
    ping_on: frozenset[str] = frozenset(("ok", "failed"))
    source: str = ""  # the files it is set in
    hidden: frozenset[str] = frozenset()  # the keys whose values came from .env or the environment

    @property
    def set_up(self) -> bool:
        return not isinstance(self.work, NotSetUp)

    def with_work(self, work: Work) -> "Task":
        return replace(self, work=work)


@dataclass(frozen=True, slots=True)
class WakePlan:
    """When the citizen has its turn and what that is; durations in seconds. `cron` goes before `every`."""

    every: float = 600.0
    patience: float = 300.0
    work: Work | None = None
    timeout: float = 3600.0
    urgent_cooldown: float = 600.0
    cron: Cron | None = None

    @property
    def schedule(self) -> Cron | Every:
        return self.cron or Every(self.every)


@dataclass(frozen=True, slots=True)
class Group:
    """A group of users of this machine."""

    name: str
    number: int

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Keep:
    """How much is remembered: so many runs of each task, and none older than so many seconds."""

    runs: int = 10_000
    seconds: float = 400 * 86400.0


# ------------------------------------------------------------------ what is remembered of a task


@dataclass(frozen=True, slots=True)
class Failure:
    time: float
    text: str

    @property
    def first_line(self) -> str:
        return next((line.strip() for line in self.text.splitlines() if line.strip()), "")


@dataclass(frozen=True, slots=True)
class TaskState:
    """What survives a restart. `error` is there only while the last run failed."""

    last_run: float | None = None
    run_count: int = 0
    error: Failure | None = None
    failures_in_a_row: int = 0
    last_duration: float | None = None
    last_success: float | None = None
    first_seen: float | None = None
    paused: bool = False
    paused_at: float | None = None
    due_now: bool = False
    retry_at: float | None = None
    attempt: int = 0
    running: Running | None = None
    outcome: Outcome | None = None
    text: str = ""
    orphan: Running | None = None  # a run of a dead owner that is still alive; nothing starts before it ends

    def started(self, running: Running) -> "TaskState":
        return replace(self, last_run=running.since, due_now=False, retry_at=None, running=running)

    def finished(self, outcome: Outcome, text: str, at: float, duration: float) -> "TaskState":
        bad = outcome.bad
        return replace(
            self,
            run_count=self.run_count + 1,
            error=Failure(at, text[:ERROR_LIMIT]) if bad else None,
            failures_in_a_row=self.failures_in_a_row + 1 if bad else 0,
            last_duration=duration,
            last_success=self.last_success if bad else at,
            retry_at=None,
            attempt=self.attempt if bad else 0,
            running=None,
            outcome=outcome,
            text="" if bad else text[:ERROR_LIMIT],
        )

    def carried_by(self, running: Running) -> "TaskState":
        """The run goes on in this process."""
        return replace(self, running=running)

    def interrupted(self, reason: str, at: float, again: bool) -> "TaskState":
        """The run ended because the process around it did; `again` makes it due at the next start."""
        since = self.running.since if self.running else at
        ended = self.finished(Outcome.INTERRUPTED, reason, at, max(0.0, at - since))
        return replace(ended, due_now=self.due_now or again)

    def orphaned(self, orphan: Running | None) -> "TaskState":
        """The run of a dead owner goes on without it, or has ended at last (None)."""
        return replace(self, orphan=orphan)

    def retrying(self, at: float) -> "TaskState":
        return replace(self, retry_at=at, attempt=self.attempt + 1)

    def gave_up(self) -> "TaskState":
        """No retry is left: the next regular slot starts afresh."""
        return replace(self, retry_at=None, attempt=0)

    def wanted(self) -> "TaskState":
        """Due now, whatever the schedule says, and kept so over a restart."""
        return replace(self, due_now=True)

    def reset(self) -> "TaskState":
        """Last run and last error forgotten: due at the next check."""
        started = self.running.since if self.running else None
        return replace(
            self,
            last_run=started,
            error=None,
            failures_in_a_row=0,
            outcome=None,
            text="",
            retry_at=None,
            attempt=0,
            due_now=True,
        )

    def put_on_hold(self, at: float) -> "TaskState":
        return replace(self, paused=True, paused_at=at)

    def resumed(self) -> "TaskState":
        return replace(self, paused=False, paused_at=None)

    def seen(self, at: float) -> "TaskState":
        return self if self.first_seen is not None else replace(self, first_seen=at)


def due(task: Task, state: TaskState, now: float) -> float:
    """When the schedule wants the task next, NEVER if it does not; a time in the past means now.

    A last run in the future (the clock was set back) counts as now, but not for a clock that was only
    corrected: a cron slot that ran a moment ago would come again.
    """
    if state.paused or state.running or state.orphan or not task.enabled or isinstance(task.work, NotSetUp):
        return NEVER
    if state.due_now:
        return 0.0
    last = state.last_run
    if last is None:
        return task.schedule.first(min(now, now if state.first_seen is None else state.first_seen))
    regular = task.schedule.after(last if last <= now + CORRECTED else now)
    return regular if state.retry_at is None else min(regular, state.retry_at)


# ------------------------------------------------------------------ what a screen sees


@dataclass(frozen=True, slots=True)
class TaskView:
    """One row: everything a screen needs to draw a task and to count down by itself."""

    name: str
    kind: Kind
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

    @property
    def paused(self) -> bool:
        """Paused by somebody, not turned off in the settings."""
        return self.paused_at is not None or (self.kind is Kind.PAUSED and self.enabled)


@dataclass(frozen=True, slots=True)
class WakeView:
    """The citizen's own turn: how many there were, when the next is, whether one is under way."""

    count: int = 0
    due: float | None = None
    last: float | None = None
    running_since: float | None = None
    configured: bool = True
    error: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: `kind` is a short verb ("started", "finished"...), `seq` only rises."""

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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of one citizen at one moment; rows in priority order, events the newest last."""

    citizen: str
    tasks: tuple[TaskView, ...] = ()
    wake: WakeView = WakeView()
    events: tuple[Event, ...] = ()
    home: str = ""
    owner: str = "here"  # or "attached, pid 4711"; "pid 4711" through its files; "" when nobody owns it
    unsaved: str = ""
    problems: tuple[str, ...] = ()  # settings, files set aside: one line each
    stale: str = ""  # why this may not be the truth any more

    def task(self, name: str) -> TaskView | None:
        return next((task for task in self.tasks if task.name == name), None)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a verb: done, and whether the change is on disk."""

    text: str = "done"
    saved: bool = True


@dataclass(frozen=True, slots=True)
class Piece:
    """What a run printed next; `skipped` bytes before it were too many for whoever reads them here."""

    text: str
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Pulse:
    """Is the scheduler alive: seconds since its loop last turned, and the run that holds it up."""

    age: float = 0.0
    culprit: str = ""


def view(task: Task, state: TaskState, when: float, **more: Any) -> TaskView:
    """The row of a task at this moment; `when` is what `due` said."""
    return TaskView(
        name=task.name,
        kind=_kind(task, state),
        schedule=str(task.schedule),
        due=None if when == NEVER else when,
        since=state.last_run if state.last_run is not None else state.first_seen,
        last_run=state.last_run,
        run_count=state.run_count,
        error=state.error,
        failures_in_a_row=state.failures_in_a_row,
        last_duration=state.last_duration,
        timeout=task.timeout,
        running_since=state.running.since if state.running else None,
        paused_at=state.paused_at,
        enabled=task.enabled,
        missing=task.work.setting if isinstance(task.work, NotSetUp) else "",
        advice=task.work.advice if isinstance(task.work, NotSetUp) else "",
        text=state.text,
        priority=task.priority,
        description=task.description,
        outcome=state.outcome,
        last_success=state.last_success,
        **more,
    )


def _kind(task: Task, state: TaskState) -> Kind:
    if state.running:
        return Kind.RUNNING
    if not task.set_up:
        return Kind.NOT_SET_UP
    if state.paused or not task.enabled:
        return Kind.PAUSED
    if state.error or (state.outcome and state.outcome.bad):
        return Kind.FAILED
    if state.last_run is None:
        return Kind.NEVER
    return Kind.WARNING if state.outcome is Outcome.WARNING else Kind.OK


def interval(task: Task) -> float:
    """Seconds between two runs, as far as the schedule has one; an hour for the rest."""
    return task.schedule.seconds if isinstance(task.schedule, Every) else 3600.0
