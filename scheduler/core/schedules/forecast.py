"""Forecast the next runs of tasks, assuming each starts on time: pure functions of their arguments."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from scheduler.core.planning import A_LITTLE, active_slot, made_up, next_start, resumed, start_of, taken_up
from scheduler.core.schedules.freeze import Freeze
from scheduler.core.schedules.schedule import NEVER
from scheduler.core.state import TaskState
from scheduler.core.task import Task
from scheduler.core.values import value

COUNT = 5  # next times in a task's details
MOST_CELLS, MOST_TASKS = 1000, 200  # in one forecast

Slots = Mapping[str, tuple[float, ...]]  # by task: the first time in each cell that has any
Forecast = tuple[Task, TaskState, float]  # with the floor below which missed slots are skipped


@value
class TimeGrid:
    """`cells` cells of `cell` seconds each, starting at `start` (Unix time)."""

    start: float
    cell: float
    cells: int

    @property
    def end(self) -> float:
        return self.start + self.cell * self.cells

    def index(self, when: float) -> int:
        """The index of the cell with this time; not a valid index if the time is outside the grid."""
        return int((when - self.start) // self.cell)

    def after(self, when: float) -> float:
        """The start of the cell after the one with this time."""
        return max(self.start, self.start + self.cell * (self.index(when) + 1))


def upcoming(
    citizen: str,
    task: Task,
    state: TaskState,
    now: float,
    floor: float,
    count: int = COUNT,
    freeze: Freeze | None = None,
    held: float = 0.0,
) -> tuple[float, ...]:
    """The next times of the task if each run starts on time; none if it is disabled, or held for good.

    The task is held until `held`: slots before that become one run at that time.
    """
    state = _idle(citizen, task, state, now)
    times: list[float] = []
    when, slot = next_start(citizen, task, state, now, floor, freeze)
    if when < held:
        when, slot = held, None if slot is None else task.schedule.latest(slot, held)
    while when != NEVER and len(times) < count:
        when = max(when, now)
        times.append(when)
        state = _after_run(citizen, task, state, when, slot)
        when, slot = next_start(citizen, task, state, when, floor)
    return tuple(times)


async def forecast(
    citizen: str, tasks: Iterable[Forecast], now: float, grid: TimeGrid, freeze: Freeze | None = None
) -> Slots:
    """The slots of these tasks; other work on the loop gets its turn between two tasks."""
    from asyncio import sleep  # `--status` imports this module but needs no event loop

    found: dict[str, tuple[float, ...]] = {}
    grid = replace(grid, cells=min(grid.cells, MOST_CELLS))
    for task, state, floor in list(tasks)[:MOST_TASKS]:
        found[task.name] = slots(citizen, task, state, now, floor, grid, freeze)
        await sleep(0)
    return found


def slots(
    citizen: str,
    task: Task,
    state: TaskState,
    now: float,
    floor: float,
    grid: TimeGrid,
    freeze: Freeze | None = None,
) -> tuple[float, ...]:
    """The first time in each cell at which the task is due; one step per cell, however often it runs."""
    state = _idle(citizen, task, state, now)
    times: list[float] = []
    when, slot = next_start(citizen, task, state, now, floor, freeze)
    while when < grid.end:
        at = max(when, now)
        if at >= grid.start:
            times.append(at)
        state = _after_run(citizen, task, state, at, slot)
        when, slot = next_start(citizen, task, state, at, floor)
        if when < (edge := grid.after(at)):
            base = at if slot is None else when if made_up(task, when, slot) else slot
            when, slot = start_of(citizen, task, _later_slot(task, base, edge), at)
    return tuple(times)


def _later_slot(task: Task, base: float, edge: float) -> float:
    slot = task.schedule.skip(base, edge - A_LITTLE)
    return slot if task.catch_up else active_slot(task, slot)


def _idle(citizen: str, task: Task, state: TaskState, now: float) -> TaskState:
    return taken_up(citizen, task, state, now).changed(running=None, orphan=None)


def _after_run(citizen: str, task: Task, state: TaskState, when: float, slot: float | None) -> TaskState:
    """The state after a run that began on time, after any pause, and took as long as the last one."""
    if state.paused and not state.forced:
        state = resumed(citizen, task, state, when)
    served = state.slot if slot is None else slot
    return state.changed(last_run=when, due_now=False, forced=False, retry_at=None, slot=served)
