"""Runs that workers on other machines carry: they wait in a queue, and their time counts from their start."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from scheduler.core.task import Context, Task
from scheduler.engine.registry import TaskRegistry
from scheduler.engine.run import RunHandle
from scheduler.engine.runner import Runner
from scheduler.errors import PROGRAM, TaskFailed
from scheduler.executors import Result

Began = Callable[[str], Awaitable[None]]  # on which machine


class Carrier(Protocol):
    """Has the runs of one citizen carried out elsewhere."""

    async def run(self, task: Task, context: Context, run: RunHandle, began: Began) -> Result:
        """The result; `began` hears which machine begins it. Cancelled, it returns when the run has ended."""
        ...


class RemoteRuns:
    """The runs of a citizen's tasks that have a queue."""

    def __init__(self, citizen: str, registry: TaskRegistry, runner: Runner, carrier: Carrier | None) -> None:
        self._citizen, self._registry, self._runner, self._carrier = citizen, registry, runner, carrier

    async def carry_out(self, task: Task, context: Context, run: RunHandle) -> Result:
        """The result of the run, wherever a worker of its queue carries it."""
        if self._carrier is None:
            fix = f"{PROGRAM} engine join {self._citizen}"
            raise TaskFailed(f"{self._citizen} is not shared, so no {task.queue} worker may run it: {fix}")

        async def began(machine: str) -> None:
            self._runner.watch(run, task.timeout)
            await self._registry.began_elsewhere(run, machine)

        return await self._carrier.run(task, context, run, began)
