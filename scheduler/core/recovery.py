"""Decisions about late, missed, failed and orphaned runs: functions of their arguments."""

import random
import zlib
from collections.abc import Callable

from scheduler.core.schedule import NEVER
from scheduler.core.state import TaskState, due
from scheduler.core.task import Outcome, Task
from scheduler.system.process_info import Running


def recovered(state: TaskState, now: float, alive: Callable[[Running], bool]) -> TaskState:
    """The state a new owner goes on with: a run that a dead owner left open was interrupted.

    While the process of that run lives on, nothing may start beside it.
    """
    if state.running is None:
        return state if state.orphan is None or alive(state.orphan) else state.orphaned(None)
    orphan = state.running if alive(state.running) else None
    reason = "interrupted: the scheduler died during this run"
    return state.interrupted(reason, now, again=False).gave_up().orphaned(orphan)


def slot(citizen: str, task: Task, state: TaskState, now: float, floor: float) -> float:
    """When the task is due, jitter and skipped slots taken into account; NEVER if it is not.

    A task with `catch_up = false` skips slots before `floor`, the moment since when somebody was there.
    """
    when = due(task, state, now)
    if when == NEVER or state.due_now or when == state.retry_at:
        return when
    last = state.last_run if state.last_run is not None else state.first_seen
    if when < floor and not task.catch_up and last is not None and not _first(task, state):
        when = task.schedule.skip(min(last, now), floor)
    return when + spread(citizen, task, when) if task.jitter else when


def retry_time(task: Task, state: TaskState, outcome: Outcome, now: float) -> float | None:
    """When a failed run is tried again, None when no retry is left; doubling, at most the interval."""
    if not outcome.bad or outcome is Outcome.INTERRUPTED or state.attempt >= task.retries:
        return None
    last = state.last_run if state.last_run is not None else now
    interval = max(0.0, task.schedule.after(last) - last)
    delay = min(task.retry_delay * 2.0**state.attempt, interval)
    return now + delay * random.uniform(0.9, 1.0)


def _first(task: Task, state: TaskState) -> bool:
    """A first-ever run of an interval task is due, not missed."""
    return state.last_run is None and task.schedule.first(0.0) == 0.0


def spread(citizen: str, task: Task, when: float) -> float:
    """Where in its jitter this slot falls: by name, so that it is the same after a restart."""
    return zlib.crc32(f"{citizen}/{task.name}/{when:.0f}".encode()) / 2**32 * task.jitter
