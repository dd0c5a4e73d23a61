"""Schedulers of one home on a clock that stands still, and tasks that note when they ran."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from scheduler.core.schedules.schedule import Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Task
from scheduler.engine.options import SchedulerOptions
from scheduler.engine.scheduler import Scheduler
from scheduler.executors.executor import Executor
from scheduler.storage.state_store import Store
from tests.fakes import FakeClock


class Factory:
    """Builds schedulers for one home and stops what it built."""

    def __init__(self, home: Path, clock: FakeClock) -> None:
        self.home, self.clock = home, clock
        self.workers = Executor()
        self.built: list[Scheduler] = []

    async def __call__(
        self,
        *tasks: Task,
        states: dict[str, TaskState] | None = None,
        store: Any = None,
        recorder: Any = None,
        carrier: Any = None,
        **rules: Any,
    ) -> Scheduler:
        scheduler = Scheduler(
            "opus",
            self.home,
            tasks,
            store=store or Store(states),
            clock=self.clock,
            workers=self.workers,
            rules=SchedulerOptions(**rules),
            recorder=recorder,
            carrier=carrier,
        )
        self.built.append(scheduler)
        await scheduler.start()
        return scheduler

    async def close(self) -> None:
        for scheduler in self.built:
            scheduler.stop_now()
            await scheduler.stop(0)
        await self.workers.close()


def notes_in(runs: list[Any], clock: FakeClock) -> Callable[..., Task]:
    """Makes tasks that note in `runs` when they ran."""

    def task(name: str = "tick", schedule: Any = None, **more: Any) -> Task:
        async def note(context: Any) -> str:
            runs.append((name, clock.now()) if more.get("priority") else clock.now())
            return "noted"

        return Task(name, schedule or Every(300), Call(note), **more)

    return task
