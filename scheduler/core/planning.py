"""Compute when a task is due, and forecast its next runs: pure functions of their arguments."""

import random
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from scheduler.core.schedule import NEVER
from scheduler.core.state import TaskState, due
from scheduler.core.task import Outcome, Task
from scheduler.system.process_info import Running

COUNT = 5  # next times in a task's details
MOST_CELLS, MOST_TASKS = 1000, 200  # in one forecast
A_LITTLE = 0.001  # seconds: a slot at the very start of a cell belongs to it

Slots = Mapping[str, tuple[float, ...]]  # by task: the first time in each cell that has one
Forecast = tuple[Task, TaskState, float]  # with the floor below which missed slots are skipped


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """`cells` cells of `cell` seconds each, starting at `start` (Unix time)."""

    start: float
    cell: float
    cells: int

    @property
    def end(self) -> float:
        return self.start + self.cell * self.cells

    def index(self, when: float) -> int:
        """The cell of this time; outside the grid it is no valid index."""
        return int((when - self.start) // self.cell)

    def after(self, when: float) -> float:
        """The start of the cell after the one with this time."""
        return max(self.start, self.start + self.cell * (self.index(when) + 1))


# ------------------------------------------------------------------ decisions


def slot(citizen: str, task: Task, state: TaskState, now: float, floor: float) -> float:
    """When the task is due, with jitter and skipped slots; NEVER if it is not.

    A task with `catch_up = false` skips slots before `floor`, the moment at which its scheduler started.
    """
    when = due(task, state, now)
    if when == NEVER or state.due_now or when == state.retry_at:
        return when
    last = state.last_run if state.last_run is not None else state.first_seen
    first_ever = state.last_run is None and task.schedule.first(0.0) == 0.0  # due, not missed
    if when < floor and not task.catch_up and last is not None and not first_ever:
        when = task.schedule.skip(min(last, now), floor)
    return when + spread(citizen, task, when)


def spread(citizen: str, task: Task, when: float) -> float:
    """The jitter of this slot: made from the names, so that it is the same after a restart."""
    if not task.jitter or when == NEVER:
        return 0.0
    return zlib.crc32(f"{citizen}/{task.name}/{when:.0f}".encode()) / 2**32 * task.jitter


def retry_time(task: Task, state: TaskState, outcome: Outcome, now: float) -> float | None:
    """When a failed run is retried, None when no retry is left; the delay doubles, up to the interval."""
    if not outcome.bad or outcome is Outcome.INTERRUPTED or state.attempt >= task.retries:
        return None
    last = state.last_run if state.last_run is not None else now
    interval = max(0.0, task.schedule.after(last) - last)
    delay = min(task.retry_delay * 2.0**state.attempt, interval)
    return now + delay * random.uniform(0.9, 1.0)


def recovered(state: TaskState, now: float, alive: Callable[[Running], bool]) -> TaskState:
    """The state with which a new owner starts: a run that a dead owner left open was interrupted.

    While the process of that run is alive, the task does not start again.
    """
    if state.running is None:
        return state if state.orphan is None or alive(state.orphan) else state.orphaned(None)
    orphan = state.running if alive(state.running) else None
    reason = "interrupted: the scheduler died during this run"
    return state.interrupted(reason, now, again=False).gave_up().orphaned(orphan)


# ------------------------------------------------------------------ forecasts


def upcoming(
    citizen: str, task: Task, state: TaskState, now: float, floor: float, count: int = COUNT
) -> tuple[float, ...]:
    """The next times of the task if each run starts on time; none while it is paused or disabled."""
    state = _idle(state, now)
    times: list[float] = []
    when = slot(citizen, task, state, now, floor)
    while when != NEVER and len(times) < count:
        when = max(when, now)
        times.append(when)
        state = _after_run(state, when)
        when = slot(citizen, task, state, when, floor)
    return tuple(times)


async def forecast(citizen: str, tasks: Iterable[Forecast], now: float, grid: TimeGrid) -> Slots:
    """The slots of these tasks; the loop turns between two of them."""
    from asyncio import sleep  # `--status` needs this module, and no event loop

    found: dict[str, tuple[float, ...]] = {}
    grid = replace(grid, cells=min(grid.cells, MOST_CELLS))
    for task, state, floor in list(tasks)[:MOST_TASKS]:
        found[task.name] = slots(citizen, task, state, now, floor, grid)
        await sleep(0)
    return found


def slots(
    citizen: str, task: Task, state: TaskState, now: float, floor: float, grid: TimeGrid
) -> tuple[float, ...]:
    """The first time in each cell at which the task is due; one step per cell, however often it runs."""
    state = _idle(state, now)
    times: list[float] = []
    when = slot(citizen, task, state, now, floor)
    while when < grid.end:
        at = max(when, now)
        if at >= grid.start:
            times.append(at)
        state = _after_run(state, at)
        when = slot(citizen, task, state, at, floor)
        if when < (edge := grid.after(at)):
            when = task.schedule.skip(at, edge - A_LITTLE)
            when += spread(citizen, task, when)
    return tuple(times)


def _idle(state: TaskState, now: float) -> TaskState:
    return state.changed(running=None, orphan=None).seen(now)


def _after_run(state: TaskState, when: float) -> TaskState:
    return state.changed(last_run=when, due_now=False, retry_at=None)
