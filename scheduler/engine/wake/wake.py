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
from scheduler.engine.paid.paid_runs import Admission, PaidRuns
from scheduler.engine.registry import TaskRegistry
from scheduler.engine.run import RunHandle
from scheduler.engine.wake.letter import letter
from scheduler.engine.wake.record import WakeRecord
from scheduler.engine.wake.results import TaskResult
from scheduler.executors import Result
from scheduler.process.process_info import Running
from scheduler.schema.json_codec import to_json
from scheduler.storage.wake_note import HandedOver
from scheduler.system.clock import Clock

log = logging.getLogger("experience.wake")

HELD_LOOK = 2.0  # seconds between two looks whether a freeze, or the wake before, has ended


class Wake:
    """One citizen's wake, as far as it is not a run like others."""

    def __init__(
        self,
        citizen: str,
        home: Path,
        plan: WakeConfig,
        registry: TaskRegistry,
        clock: Clock,
        paid: PaidRuns,
        frozen: Callable[[], str],
    ) -> None:
        self.plan, self._frozen = plan, frozen
        self.record = WakeRecord(citizen, home, clock)
        self._paid = paid
        self._citizen, self._home, self._registry, self._clock = citizen, home, registry, clock
        self._last_urgent: float | None = None
        self._noted = asyncio.Event()  # a crash does not lose the turn that is open
        self._told: list[TaskResult] = []

    # -------------------------------------------------------------- whether and when

    def hold(self) -> tuple[Hold | None, float]:
        """Why no turn may begin now, and after how many seconds to look again; reads files."""
        if frozen := self._frozen():
            return Hold(HoldKind.FREEZE, frozen), HELD_LOOK
        hold, look_after = self._paid.hold(self.plan.task)  # the cheaper look
        if hold is None and (agents := self.record.agents()):
            named = ", ".join(f"pid {agent.pid}" for agent in agents)
            return Hold(HoldKind.AWAKE, f"the wake before has not ended ({named})"), HELD_LOOK
        return hold, look_after

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
        watch: Callable[[RunHandle, float], None],
    ) -> Result:
        """What the wake came to: the tasks that are due run first, then the agent with its letter."""
        late = await barrier(self.plan.patience) if barrier else []
        held, _ = self.hold()
        if held:
            run.put_back = True
            return Result(Outcome.SKIPPED, held.why)

        def start() -> None:
            assert run.job
            self._told = self._registry.results()
            self._noted.clear()
            run.number = self.record.count + 1
            self._registry.open_turn(run.job, run)
            watch(run, task.timeout)

        admitted = None
        if self._paid.concerns(task):
            begun = await self._paid.begin(task, run, start)
            if isinstance(begun, Result):
                return begun
            admitted = begun
        else:
            start()
        try:
            return await self._give_turn(task, context, run, late, admitted)
        finally:
            run.exited()  # who asks from now on gets a wake of their own
            self._noted.set()

    async def close(self, run: RunHandle, result: Result) -> None:
        """Record the wake."""
        if result.outcome is Outcome.REFUSED:  # it keeps its number, and the next one gets its letter
            await self.record.withdraw()
            self._registry.untold(self._told)
            return
        known: dict[str, Any] = to_json(run.cost) if run.cost else {}
        known.pop("unknown", None)
        refused = {"refused": run.refusal} if run.refusal else {}
        await self.record.end(run.since, result, {**known, **refused, "tasks": len(self._told)})

    async def _give_turn(
        self,
        task: Task,
        context: Context,
        run: RunHandle,
        late: list[str],
        admitted: Admission | None,
    ) -> Result:
        results = self._told

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
        if isinstance(work, Command):
            wake = {"EXPERIENCE_WAKE": str(number)}
            text = json.dumps(content).encode() + b"\n"
            work = replace(work, input=text, environment={**work.environment, **wake})
        run.before_carried(begin)
        if not isinstance(work, Command | Isolated):  # it has no process of its own
            await begin()
            await self._registry.began(run)
        given = replace(context, options=content)
        return await self._paid.carry_out(task.with_work(work), given, run, admitted)


def _last_of(results: list[TaskResult]) -> HandedOver | None:
    return HandedOver(results[-1].task, results[-1].time) if results else None
