"""Runs carried out by workers on other machines: they wait in a queue; their time counts from the start."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from scheduler.core.task import Context, Outcome, Task
from scheduler.engine.run import RunHandle
from scheduler.engine.run_registry import RunRegistry
from scheduler.engine.runner import Runner
from scheduler.errors import PROGRAM, TaskFailed
from scheduler.executors.result import Result
from scheduler.system.clock import elapsed

CHECK_EVERY = 1.0  # seconds between two checks whether the budget and the provider of a waiting run allow it

Began = Callable[[str], Awaitable[None]]  # called with the machine that begins the run
Wanted = Callable[[], bool]


class Carrier(Protocol):
    """Has one citizen's runs carried out elsewhere."""

    async def run(
        self, task: Task, context: Context, run: RunHandle, began: Began, wanted: Wanted
    ) -> Result | None:
        """Return the result; `began` is called with the machine that begins it. A cancel waits for its end.

        Return None if the run was no longer `wanted` before it began. A run that its worker skipped never
        began, either.
        """


class RemoteRuns:
    """The runs of a citizen's tasks that have a queue."""

    def __init__(
        self,
        citizen: str,
        runs: RunRegistry,
        runner: Runner,
        carrier: Carrier | None,
        wanted: Callable[[RunHandle, Task], bool],
        allowed: Callable[[RunHandle, Task], bool],
    ) -> None:
        """`wanted` says whether a waiting run may still begin, `allowed` whether budget and provider do."""
        self._citizen, self._runs, self._runner = citizen, runs, runner
        self._carrier, self._wanted, self._allowed = carrier, wanted, allowed

    async def carry_out(self, task: Task, context: Context, run: RunHandle) -> Result:
        """Return the result of the run, whichever worker of its queue carries it out."""
        if self._carrier is None:
            fix = f"{PROGRAM} engine join {self._citizen}"
            raise TaskFailed(f"{self._citizen} is not shared, so no {task.queue} worker may run it: {fix}")

        async def began(machine: str) -> None:
            self._runner.watch(run, task.timeout)
            await self._runs.began_elsewhere(run, machine)

        checked = elapsed()

        def wanted() -> bool:
            nonlocal checked
            if elapsed() - checked >= CHECK_EVERY:
                checked = elapsed()
                return self._wanted(run, task) and self._allowed(run, task)
            return self._wanted(run, task)

        if self._runs.tasks.fenced:
            await self._runs.put_on_record(run)
        result = await self._carrier.run(task, context, run, began, wanted)
        if result is None:
            result = Result(Outcome.SKIPPED, "it waited for a worker until it might not begin any more")
        elif not (run.never_began and result.outcome is Outcome.SKIPPED):
            return result
        run.put_back, run.never_began, run.opened = True, True, False
        return result
