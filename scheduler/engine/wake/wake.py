"""What is special about a wake: due tasks run before it, it gets a letter, and it is recorded."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from scheduler.core.task import Command, Context, Isolated, Outcome, Task, WakeConfig
from scheduler.core.views import Hold, HoldKind
from scheduler.engine.registry import TaskRegistry
from scheduler.engine.run import RunHandle
from scheduler.engine.wake.cost import WakeCost
from scheduler.engine.wake.letter import letter
from scheduler.engine.wake.record import WakeRecord
from scheduler.engine.wake.results import TaskResult
from scheduler.executors import Result
from scheduler.process.process_info import Running
from scheduler.storage.wake_note import HandedOver
from scheduler.system.clock import Clock

log = logging.getLogger("experience.wake")

Execute = Callable[[Task, Context, Any], Awaitable[Result]]


class Wake:
    """One citizen's wake, as far as it is not a run like others."""

    def __init__(
        self,
        citizen: str,
        home: Path,
        plan: WakeConfig,
        registry: TaskRegistry,
        clock: Clock,
        frozen: Callable[[], str],
    ) -> None:
        self.plan, self._frozen = plan, frozen
        self.record = WakeRecord(citizen, home, clock)
        self.cost = WakeCost(citizen, home, clock)
        self._citizen, self._home, self._registry, self._clock = citizen, home, registry, clock
        self._last_urgent: float | None = None
        self._noted = asyncio.Event()  # a crash does not lose the turn that is open
        self._told = 0
        self._amounts: dict[str, Any] = {}  # what the last wake cost

    # -------------------------------------------------------------- whether and when

    def hold(self) -> Hold | None:
        """Why no turn may begin now; reads files."""
        if frozen := self._frozen():
            return Hold(HoldKind.FREEZE, frozen)
        if agents := self.record.agents():
            named = ", ".join(f"pid {agent.pid}" for agent in agents)
            return Hold(HoldKind.AWAKE, f"the wake before has not ended ({named})")
        if limit := self.cost.over_budget():
            return Hold(HoldKind.BUDGET, str(limit), limit.until.timestamp())
        return None

    def cools_down(self) -> bool:
        """Whether something urgent woke the citizen a short while ago; if not, this is the last time."""
        now, last = self._clock.now(), self._last_urgent
        if last is not None and 0 <= now - last < self.plan.urgent_cooldown:
            return True
        self._last_urgent = now
        return False

    async def noted(self) -> None:
        """Return when the open turn would survive a crash: whoever asks for a wake now has got it."""
        await self._noted.wait()

    # -------------------------------------------------------------- the turn

    async def turn(
        self,
        task: Task,
        context: Context,
        run: RunHandle,
        *,
        barrier: Callable[[float], Awaitable[list[str]]] | None,
        execute: Execute,
        watch: Callable[[RunHandle, float], None],
    ) -> Result:
        """What the wake came to: the tasks that are due run first, then the agent with its letter."""
        late = await barrier(self.plan.patience) if barrier else []
        if held := self.hold():
            run.put_back = True
            return Result(Outcome.SKIPPED, held.why)
        results = self._registry.results()
        self._told, self._amounts = len(results), {}
        self._noted.clear()
        assert run.job
        run.number = self.record.count + 1
        self._registry.open_turn(run.job, run)
        watch(run, task.timeout)
        try:
            return await self._give_turn(task, context, run, results, late, execute)
        finally:
            run.exited()  # who asks from now on gets a wake of their own
            self._noted.set()

    async def close(self, run: RunHandle, result: Result) -> None:
        """Record the wake."""
        await self.record.end(run.since, result, {**self._amounts, "tasks": self._told})

    async def _give_turn(
        self,
        task: Task,
        context: Context,
        run: RunHandle,
        results: list[TaskResult],
        late: list[str],
        execute: Execute,
    ) -> Result:
        async def begin(*agents: Running) -> None:
            await self.record.begin(run.since, _last_of(results), agents)
            self._registry.forget_results(results)
            self._noted.set()

        work, number = task.work, run.number
        if self.plan.work is None:
            self._registry.forget_results(results)
            return Result(Outcome.OK, "no wake command set")
        why = run.trigger
        content = await asyncio.to_thread(letter, self._citizen, number, why, results, late, self._home)
        try:
            await asyncio.to_thread(self.cost.enter, self.plan)
        except OSError as error:
            return Result(
                Outcome.FAILED, f"not started: its cost cannot be noted ({error.strerror or error})"
            )
        if isinstance(work, Command):
            wake = {"EXPERIENCE_WAKE": str(number), **self.cost.environment()}
            text = json.dumps(content).encode() + b"\n"
            work = replace(work, input=text, environment={**work.environment, **wake})
        run.before_carried(begin)
        if not isinstance(work, Command | Isolated):  # it has no process of its own
            await begin()
            await self._registry.began(run)
        failed = True
        try:
            given = replace(context, options=content)
            result = await execute(task.with_work(work), given, run)
            failed = result.outcome.bad
            return result
        finally:
            run.exited()  # what it cost is settled, however it ends
            printed = run.printed.text() if run.printed else ""
            self._amounts = await asyncio.to_thread(self._settle, printed, failed)

    def _settle(self, printed: str, failed: bool) -> dict[str, Any]:
        """Note what the wake cost; blocks."""
        try:
            return self.cost.settle(self.plan, printed, failed)
        except OSError as error:  # it stays unknown, and counts as the dearest of the last ones
            log.warning("cost not noted", extra={"citizen": self._citizen, "error": str(error)})
            return {}


def _last_of(results: list[TaskResult]) -> HandedOver | None:
    return HandedOver(results[-1].task, results[-1].time) if results else None
