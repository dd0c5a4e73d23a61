"""Runs that workers on other machines carry: they wait in a queue, and their time counts from their start."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from scheduler.core.task import Context, Outcome, Task
from scheduler.engine.registry import TaskRegistry
from scheduler.engine.run import RunHandle
from scheduler.engine.runner import Runner
from scheduler.errors import PROGRAM, TaskFailed
from scheduler.executors.result import Result
from scheduler.system.clock import elapsed

BUDGET_LOOK = 1.0  # seconds between two looks whether a run that waits fits under its budget

Began = Callable[[str], Awaitable[None]]  # on which machine
Wanted = Callable[[], bool]


class Carrier(Protocol):
    """Has the runs of one citizen carried out elsewhere."""

    async def run(
        self, task: Task, context: Context, run: RunHandle, began: Began, wanted: Wanted
    ) -> Result | None:
        """The result; `began` hears which machine begins it. Cancelled, it returns when the run has ended.

        None if it waited until it was not `wanted` any more: it will not begin.
        """


class RemoteRuns:
    """The runs of a citizen's tasks that have a queue."""

    def __init__(
        self,
        citizen: str,
        registry: TaskRegistry,
        runner: Runner,
        carrier: Carrier | None,
        wanted: Callable[[RunHandle, Task], bool],
        fits: Callable[[RunHandle, Task], bool],
    ) -> None:
        """`wanted` says of a run that waits whether it may still begin, `fits` whether under its budget."""
        self._citizen, self._registry, self._runner = citizen, registry, runner
        self._carrier, self._wanted, self._fits = carrier, wanted, fits

    async def carry_out(self, task: Task, context: Context, run: RunHandle) -> Result:
        """The result of the run, wherever a worker of its queue carries it."""
        if self._carrier is None:
            fix = f"{PROGRAM} engine join {self._citizen}"
            raise TaskFailed(f"{self._citizen} is not shared, so no {task.queue} worker may run it: {fix}")

        async def began(machine: str) -> None:
            self._runner.watch(run, task.timeout)
            await self._registry.began_elsewhere(run, machine)

        looked = elapsed()

        def wanted() -> bool:
            nonlocal looked
            if elapsed() - looked >= BUDGET_LOOK:
                looked = elapsed()
                return self._wanted(run, task) and self._fits(run, task)
            return self._wanted(run, task)

        if self._registry.fenced:
            await self._registry.put_on_record(run)
        result = await self._carrier.run(task, context, run, began, wanted)
        if result is not None:
            return result
        run.put_back, run.never_began, run.opened = True, True, False
        return Result(Outcome.SKIPPED, "it waited for a worker until it might not begin any more")
