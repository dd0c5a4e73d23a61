"""Past runs and forecasts of the rows in sight, requested from their owners."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scheduler.core.ports import Control
from scheduler.core.records import MOST_LISTED, RunRecord
from scheduler.core.schedules.forecast import TimeGrid
from scheduler.errors import SchedulerError
from tui.common.task_ref import Place


@dataclass(frozen=True, slots=True)
class RunForecast:
    """When a task will run within a window, and its past runs there."""

    slots: tuple[float, ...] = ()
    runs: tuple[RunRecord, ...] = ()


class TimelineData:
    """Forecasts by row for one window; a new window clears them."""

    def __init__(self, find: Callable[[str], Control | None]) -> None:
        self._find = find
        self._forecasts: dict[Place, RunForecast] = {}
        self.window = TimeGrid(0.0, 1.0, 1)

    def set_window(self, window: TimeGrid) -> None:
        """Collect data for this window from now on."""
        if window != self.window:
            self.window = window
            self._forecasts.clear()

    def forecast(self, row: Place) -> RunForecast | None:
        return self._forecasts.get(row)

    def runs_at(self, row: Place) -> list[int]:
        """The cells in which a task will run."""
        forecast = self._forecasts.get(row)
        return [self.window.index(when) for when in forecast.slots] if forecast else []

    async def ask(self, rows: Iterable[Place], now: float) -> None:
        """Ask the owners of these rows, all at once; rows of an owner that refuses stay unknown."""
        window, by_citizen = self.window, dict[str, list[str]]()
        for citizen, task in rows:
            by_citizen.setdefault(citizen, []).append(task)
        answers = [self._ask(citizen, tasks, window, now) for citizen, tasks in by_citizen.items()]
        for forecasts in await asyncio.gather(*answers):
            if window == self.window:
                self._forecasts |= forecasts

    async def _ask(
        self, citizen: str, tasks: list[str], window: TimeGrid, now: float
    ) -> dict[Place, RunForecast]:
        control = self._find(citizen)
        if control is None:
            return {}
        try:
            slots = await control.slots(tasks, window)
            runs = await control.history(limit=MOST_LISTED) if window.start < now else ()
        except SchedulerError:
            return {}
        within = [run for run in runs if run.finished >= window.start and run.started < window.end]
        return {
            Place(citizen, task): RunForecast(
                slots.get(task, ()), tuple(run for run in within if run.task == task)
            )
            for task in tasks
        }
