"""One life of the process that runs the citizen: the real scheduler and store on the world's clock."""

import asyncio
from contextlib import suppress
from typing import Any

from scheduler.core.task import Command, Task, WakeTask
from scheduler.engine.options import SchedulerOptions
from scheduler.engine.scheduler import Scheduler
from scheduler.storage.state_store import DiskStore
from tests.simulation.fakes.loop import Loop, clock
from tests.simulation.fakes.processes import Executor
from tests.simulation.history import History, Plan
from tests.simulation.rules.oracle import schedule_of


class Owner:
    """One life of the process that runs the citizen."""

    def __init__(self, world: Any, pid: int) -> None:
        self.world, self.pid, self.up = world, pid, False
        self.loop, self._known = Loop(world), world.tasks()
        self._kept: list[asyncio.Task[None]] = []
        self.clock = clock(world, self.loop, realtime=world.history.realtime)
        self.scheduler = Scheduler(
            "opus",
            world.home,
            self._known,
            store=DiskStore(world.home, self.clock),
            clock=self.clock,
            workers=Executor(world),
            rules=_options(world.history),
            recorder=world.past.recorder(world),
            freezes=world.freezes,
        )
        self.scheduler.add_listener(self)

    async def start(self) -> None:
        await self.scheduler.start()
        if self.world.tasks() != self._known:  # they were changed meanwhile: a scheduler looks at them again
            self.scheduler.set_tasks(self.world.tasks())
        self.up = True
        if self.world.freezes.note.past:  # it may have been thawed while this one started
            await self.look_at_freeze()

    async def look_at_freeze(self) -> None:
        await self.scheduler.look_at_freeze()

    def began(self, tasks: Any) -> None:
        """As a listener: it knows its tasks now."""
        self.world.note("up", more=self.pid)

    def started(self, task: Task) -> None: ...

    def finished(self, task: Task, before: Any, after: Any) -> None: ...

    def keep(self, coroutine: Any) -> None:
        self._kept.append(self.loop.create_task(coroutine))

    def bury(self, *, quietly: bool = False) -> None:
        """Nothing of it goes on: what its coroutines would still do at their end meets a dead disk."""
        self.up = False
        self.loop.stop()  # a handler of its own may have caught its death
        for task in asyncio.all_tasks(self.loop):
            with suppress(BaseException):
                task.get_coro().close()


def _options(history: History) -> SchedulerOptions:
    return SchedulerOptions(workers=history.workers, wake=_wake(history.wake) if history.wake else None)


def _wake(plan: Plan) -> WakeTask:
    return WakeTask(schedule=schedule_of(plan), work=Command(("agent",)), timeout=plan.timeout)
