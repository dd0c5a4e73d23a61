"""A citizen with one task, for stories about time: `tick` notes when it runs, restarts keep its state."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from scheduler.core.schedules.schedule import Schedule
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Task
from scheduler.core.views import TaskView
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import TaskFailed
from tests.fakes import FakeClock, state_of

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def at(text: str) -> float:
    """Unix seconds of a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def ran(last: str, **more: Any) -> TaskState:
    """The state of a task that ran then."""
    return TaskState(last_run=at(last), run_count=1, first_seen=at(last) - DAY, **more)


class Citizen:
    """One citizen on a fake clock; `runs` are the times at which `tick` was started."""

    def __init__(self, build: Any, clock: FakeClock, now: str) -> None:
        clock.wall = at(now)
        self.clock, self.runs, self._build = clock, [], build
        self.tick: Task
        self.scheduler: Scheduler

    def task(self, schedule: Schedule, *, takes: float = 0, fails: bool = False, **more: Any) -> Task:
        async def note(context: Any) -> str:
            self.runs.append(self.clock.now())
            if takes:
                over = asyncio.Event()
                self.clock.call_later(takes, over.set)
                await over.wait()
            if fails:
                raise TaskFailed("no")
            return "noted"

        return Task("tick", schedule, Call(note), **{"timeout": 10 * DAY, **more})

    async def start(self, schedule: Schedule, state: TaskState | None = None, **more: Any) -> "Citizen":
        self.tick = self.task(schedule, **more)
        await self.start_with(state)
        return self

    async def start_with(self, state: TaskState | None) -> None:
        self.scheduler = await self._build(self.tick, states={"tick": state} if state else {})

    async def stop(self) -> None:
        self.scheduler.stop_now()
        await self.scheduler.stop(0)

    async def start_again(self, change: Callable[[TaskState], TaskState] = lambda state: state) -> None:
        """A new scheduler takes up what the last one has saved, or what was made of it meanwhile."""
        await self.start_with(change(self.state))

    async def restart(self) -> None:
        await self.stop()
        await self.start_again()

    def edit(self, **changes: Any) -> None:
        """The settings of the task are changed while it is scheduled."""
        self.tick = replace(self.tick, **changes)
        self.scheduler.set_tasks([self.tick])

    async def until(self, moment: str) -> None:
        await self.clock.advance(at(moment) - self.clock.now())

    @property
    def state(self) -> TaskState:
        return state_of(self.scheduler, "tick")

    @property
    def row(self) -> TaskView:
        return self.scheduler.snapshot().tasks[0]

    @property
    def ran(self) -> list[str]:
        """`02 15:00:00`: day of month and time of each run."""
        return [datetime.fromtimestamp(each, UTC).strftime("%d %H:%M:%S") for each in self.runs]

    @property
    def due(self) -> str:
        return datetime.fromtimestamp(self.row.due or 0, UTC).strftime("%d %H:%M:%S")
