"""What is remembered of a task, and when its schedule wants it next.

All times are Unix seconds (UTC), all durations seconds. A state changes only through its named transitions.
"""

from dataclasses import dataclass
from typing import Any

from scheduler.core.schedule import NEVER, Every
from scheduler.core.task import NotSetUp, Outcome, Task
from scheduler.core.values import value
from scheduler.system.process_info import Running

OK = Outcome.OK  # members of an enumeration are slow to find
ERROR_LIMIT = 2000  # characters of an error kept in the state file


CORRECTED = 1.0  # seconds that a clock may be set back by without anybody meaning it


@value
class Failure:
    time: float
    text: str

    @property
    def first_line(self) -> str:
        return next((line.strip() for line in self.text.splitlines() if line.strip()), "")


@dataclass(frozen=True)
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

    def changed(self, **fields: Any) -> "TaskState":
        """A copy with these fields changed.

        `dataclasses.replace` takes 3 us instead of 0.5: with two copies a run, a burst of 10,000 runs takes
        a third longer.
        """
        copy = object.__new__(TaskState)
        object.__setattr__(copy, "__dict__", self.__dict__ | fields)
        return copy

    def started(self, running: Running) -> "TaskState":
        return self.changed(last_run=running.since, due_now=False, retry_at=None, running=running)

    def finished(self, outcome: Outcome, text: str, at: float, duration: float) -> "TaskState":
        bad = outcome is not OK and outcome.bad
        return self.changed(
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
        return self.changed(running=running)

    def interrupted(self, reason: str, at: float, again: bool) -> "TaskState":
        """The run ended because the process around it did; `again` makes it due at the next start."""
        since = self.running.since if self.running else at
        ended = self.finished(Outcome.INTERRUPTED, reason, at, max(0.0, at - since))
        return ended.changed(due_now=self.due_now or again)

    def orphaned(self, orphan: Running | None) -> "TaskState":
        """The run of a dead owner goes on without it, or has ended at last (None)."""
        return self.changed(orphan=orphan)

    def retrying(self, at: float) -> "TaskState":
        return self.changed(retry_at=at, attempt=self.attempt + 1)

    def gave_up(self) -> "TaskState":
        """No retry is left: the next regular slot starts with a first attempt."""
        return self.changed(retry_at=None, attempt=0)

    def wanted(self) -> "TaskState":
        """Due now, whatever the schedule says, and kept so over a restart."""
        return self.changed(due_now=True)

    def reset(self) -> "TaskState":
        """Last run and last error forgotten: due at the next check."""
        started = self.running.since if self.running else None
        return self.changed(
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
        return self.changed(paused=True, paused_at=at)

    def resumed(self) -> "TaskState":
        return self.changed(paused=False, paused_at=None)

    def seen(self, at: float) -> "TaskState":
        return self if self.first_seen is not None else self.changed(first_seen=at)


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


def interval(task: Task) -> float:
    """Seconds between two runs, as far as the schedule has one; an hour for the rest."""
    return task.schedule.seconds if isinstance(task.schedule, Every) else 3600.0
