"""What is known of the past and the future of tasks, asked of their owners for the rows in sight."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from scheduler.core.ports import Control
from scheduler.core.records import MOST_LISTED, RunRecord
from scheduler.core.window import TimeGrid
from scheduler.errors import SchedulerError

Row = tuple[str, str]  # citizen and task


@dataclass(frozen=True, slots=True)
class RunForecast:
    """When a task will run within a window, and what its runs there came to."""

    slots: tuple[float, ...] = ()
    runs: tuple[RunRecord, ...] = ()


class TimelineData:
    """Fates by row, for one window; another window forgets them."""

    def __init__(self, find: Callable[[str], Control | None]) -> None:
        self._find = find
        self._fates: dict[Row, RunForecast] = {}
        self.window = TimeGrid(0.0, 1.0, 1)
        self.refused: dict[str, str] = {}

    def look_at(self, window: TimeGrid) -> None:
        """Of this window from now on."""
        if window != self.window:
            self.window = window
            self._fates.clear()

    def fate(self, row: Row) -> RunForecast | None:
        return self._fates.get(row)

    @property
    def known(self) -> Mapping[Row, RunForecast]:
        return self._fates

    async def ask(self, rows: Iterable[Row], now: float) -> None:
        """Ask the owners of these rows, all at once; a refusal is kept as the reason why nothing is known."""
        window, by_citizen = self.window, dict[str, list[str]]()
        for citizen, task in rows:
            by_citizen.setdefault(citizen, []).append(task)
        answers = [self._ask(citizen, tasks, window, now) for citizen, tasks in by_citizen.items()]
        for found in await asyncio.gather(*answers):
            if window == self.window:
                self._fates |= found

    async def _ask(
        self, citizen: str, tasks: list[str], window: TimeGrid, now: float
    ) -> dict[Row, RunForecast]:
        control = self._find(citizen)
        if control is None:
            return {}
        try:
            slots = await control.slots(tasks, window)
            runs = await control.history(limit=MOST_LISTED) if window.start < now else ()
        except SchedulerError as error:
            self.refused[citizen] = str(error)
            return {}
        self.refused.pop(citizen, None)
        within = [run for run in runs if run.finished >= window.start and run.started < window.end]
        return {
            (citizen, task): RunForecast(
                slots.get(task, ()), tuple(run for run in within if run.task == task)
            )
            for task in tasks
        }
