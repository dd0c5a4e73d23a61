"""The next times of a task: what the scheduler would do, asked in advance."""

from scheduler.core.planning import slot
from scheduler.core.schedule import NEVER
from scheduler.core.state import TaskState
from scheduler.core.task import Task

COUNT = 5


def upcoming(
    citizen: str, task: Task, state: TaskState, now: float, floor: float, count: int = COUNT
) -> tuple[float, ...]:
    """When the schedule wants the task next if each run starts on time; nothing while it is not to run."""
    state = state.changed(running=None, orphan=None).seen(now)
    times: list[float] = []
    when = slot(citizen, task, state, now, floor)
    while when != NEVER and len(times) < count:
        when = max(when, now)
        times.append(when)
        state = state.changed(last_run=when, due_now=False, retry_at=None)
        when = slot(citizen, task, state, when, floor)
    return tuple(times)
