"""When tasks will run in a stretch of time: what the scheduler would do, asked at bounded cost."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from scheduler.core.planning import slot, spread
from scheduler.core.schedule import NEVER
from scheduler.core.state import TaskState
from scheduler.core.task import Task
from scheduler.core.window import MOST_CELLS, MOST_TASKS, Slots, TimeGrid

A_LITTLE = 0.001  # seconds: a slot at the very start of a cell is in it

Asked = tuple[Task, TaskState, float]  # with the floor below which missed slots are skipped


async def forecast(citizen: str, tasks: Iterable[Asked], now: float, window: TimeGrid) -> Slots:
    """The slots of these tasks; the loop turns between two of them."""
    found: dict[str, tuple[float, ...]] = {}
    window = replace(window, cells=min(window.cells, MOST_CELLS))
    for task, state, floor in list(tasks)[:MOST_TASKS]:
        found[task.name] = slots(citizen, task, state, now, floor, window)
        await asyncio.sleep(0)
    return found


def slots(
    citizen: str, task: Task, state: TaskState, now: float, floor: float, window: TimeGrid
) -> tuple[float, ...]:
    """The first time in each cell at which the schedule wants the task: a step a cell, however often."""
    state = state.changed(running=None, orphan=None).seen(now)
    times: list[float] = []
    when = slot(citizen, task, state, now, floor)
    while when < window.end:
        at = max(when, now)
        if at >= window.start:
            times.append(at)
        state = state.changed(last_run=at, due_now=False, retry_at=None)
        when = slot(citizen, task, state, at, floor)
        if when < (edge := window.after(at)):
            when = task.schedule.skip(at, edge - A_LITTLE)
            when += spread(citizen, task, when) if task.jitter and when != NEVER else 0.0
    return tuple(times)
