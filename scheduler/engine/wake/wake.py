"""The special parts of a wake: due tasks run before it, it gets a letter, and it is recorded."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scheduler.core.task import Command, Context, Isolated, Outcome, Task, Trigger, WakeTask
from scheduler.core.views import Hold, HoldKind
from scheduler.engine.paid.paid_runs import Admission, PaidRuns
from scheduler.engine.run import RunHandle
from scheduler.engine.run_registry import RunRegistry
from scheduler.engine.runner import Runner
from scheduler.engine.wake import news
from scheduler.engine.wake.gate import Verdict, ask_command, ask_news, due_anyway
from scheduler.engine.wake.letter import letter
from scheduler.engine.wake.record import WakeRecord
from scheduler.engine.wake.results import TaskResult
from scheduler.executors.result import Result
from scheduler.process.process_info import Running
from scheduler.schema.json_codec import to_json
from scheduler.storage.file_copies import NO_COPIES, FileCopies
from scheduler.storage.wake_note import LastDelivered
from scheduler.system.clock import Clock

log = logging.getLogger("experience.wake")

HELD_CHECK = 2.0  # seconds between two checks whether a freeze, or the last wake, has ended
PASSES = (Trigger.FORCE, Trigger.URGENT, Trigger.RETRY)  # triggers that pass without asking the gate


@dataclass(frozen=True, slots=True)
class Turn:
    """What a wake that has begun needs until it ends."""

    task: Task
    context: Context
    run: RunHandle
    late: tuple[str, ...]
    why: str


class Wake:
    """One citizen's wake, as far as it differs from other runs."""

    def __init__(
        self,
        citizen: str,
        home: Path,
        plan: WakeTask,
        runs: RunRegistry,
        clock: Clock,
        paid: PaidRuns,
        runner: Runner,
        frozen: Callable[[], str],
        run_due: Callable[[float], Awaitable[list[str]]],
        recorded: Callable[[], Awaitable[None]],
        wanted: Callable[[RunHandle, Task], bool],
        copies: FileCopies = NO_COPIES,
    ) -> None:
        """`run_due` runs the due tasks and returns those that still run after so many seconds.

        `wanted` says whether the wake may still begin after that.
        """
        self.plan, self._frozen, self._run_due, self._recorded = plan, frozen, run_due, recorded
        self._wanted = wanted
        self.record = WakeRecord(citizen, home, clock, copies)
        self._paid, self._runner = paid, runner
        self._citizen, self._home, self._runs, self._clock = citizen, home, runs, clock
        self._last_urgent: float | None = None
        self._noted = asyncio.Event()  # set once the open turn is on disk and survives a crash
        self._told: list[TaskResult] = []

    # -------------------------------------------------------------- whether and when

    def hold(self) -> tuple[Hold | None, float]:
        """Why no turn may begin now, and the seconds until the next check; reads files."""
        if frozen := self._frozen():
            return Hold(HoldKind.FREEZE, frozen), HELD_CHECK
        hold, check_after = self._paid.hold(self.plan)  # checked first, since it is cheaper
        if hold is None and (agents := self.record.agents()):
            named = ", ".join(f"pid {agent.pid}" for agent in agents)
            return Hold(HoldKind.AWAKE, f"the wake before has not ended ({named})"), HELD_CHECK
        return hold, check_after

    def cools_down(self) -> bool:
        """Whether something urgent woke the citizen within the cooldown; if not, the cooldown starts now."""
        now, last = self._clock.now(), self._last_urgent
        if last is not None and 0 <= now - last < self.plan.urgent_cooldown:
            return True
        self._last_urgent = now
        return False

    async def noted(self) -> None:
        """Return when the open turn would survive a crash, so that a request for a wake is served by it."""
        await self._noted.wait()

    # -------------------------------------------------------------- the turn

    async def turn(self, task: Task, context: Context, run: RunHandle) -> Result:
        """Return the result of the wake: the due tasks run first, then the agent with its letter."""
        late = await self._run_due(self.plan.patience)
        verdict = await self._ask_gate(task, context, run, late)
        turn = Turn(task, context, run, tuple(late), verdict.why)
        begun = self._skipped(verdict, turn) or await self._open(turn)
        if isinstance(begun, Result):
            return begun
        try:
            return _warned(await self._give_turn(turn, begun), verdict.problem)
        finally:
            run.exited()  # a request from now on gets its own wake
            self._noted.set()

    def _skipped(self, verdict: Verdict, turn: Turn) -> Result | None:
        """The result if the wake is skipped: not worth its cost, or since it was due it may not begin."""
        if not verdict.wake:
            return Result(Outcome.SKIPPED, verdict.why)
        held, _ = self.hold()
        if not held and self._wanted(turn.run, turn.task):
            return None
        turn.run.put_back = True
        return Result(Outcome.SKIPPED, held.why if held else "")

    async def _open(self, turn: Turn) -> Admission | Result | None:
        """Let the turn begin, its cost entered if it costs money; return its result if it may not begin."""
        run = turn.run

        def start() -> None:
            assert run.job
            self._told = list(self._runs.results)
            self._noted.clear()
            run.number = self.record.count + 1
            self._runs.open_turn(run.job, run, turn.why)
            self._runner.watch(run, turn.task.timeout)

        if self.plan.configured and self._paid.concerns(turn.task):
            return await self._paid.begin(turn.task, run, start)
        start()
        return None

    async def _ask_gate(self, task: Task, context: Context, run: RunHandle, late: list[str]) -> Verdict:
        """Whether the wake is worth its cost; forced and urgent wakes always are."""
        gate, job, number = self.plan.gate, run.job, self.record.count + 1
        if gate is None or job is None or job.state.forced or run.trigger in PASSES:
            return Verdict(True)
        last, outcome = job.state.last_run, job.state.outcome
        failed = outcome is not None and (outcome.bad or outcome is Outcome.REFUSED)
        if last is None or (why := due_anyway(gate, last, failed, self._clock.now())):
            return Verdict(True, why if last is not None else "the first wake")
        results, tasks = list(self._runs.results), self._tasks()
        if gate.command is None:
            return await ask_news(gate, self._home, self.record.seen, results, tasks)
        content = await asyncio.to_thread(
            letter, self._citizen, number, run.trigger, results, late, self._home
        )
        return await ask_command(gate.command, content, task, context, run, self._runner.execute)

    def _tasks(self) -> dict[str, Task]:
        return {name: job.task for name, job in self._runs.tasks.jobs.items()}

    async def _sees(self, results: list[TaskResult]) -> news.Seen:
        """Return what the agent is about to see, for the gate of the next wake."""
        gate, before = self.plan.gate, self.record.seen
        if gate is None or gate.command is not None:
            return {}
        words = news.words_of(results, self._tasks(), before)
        return await asyncio.to_thread(news.seen, self._home, gate.paths, words)

    async def close(self, run: RunHandle, result: Result) -> None:
        """Record the wake."""
        if result.outcome is Outcome.REFUSED or run.put_back:  # the next wake gets its number and its letter
            if self.record.begun:
                await self.record.withdraw()
            self._runs.results.give_back(self._told)
            return
        known: dict[str, Any] = to_json(run.cost) if run.cost else {}
        known.pop("unknown", None)
        refused = {"refused": run.refusal} if run.refusal else {}
        at = (run.job and run.job.state.last_run) or run.since  # the clock may have been set since
        await self.record.end(at, result, {**known, **refused, "tasks": len(self._told)})

    async def _give_turn(self, turn: Turn, admitted: Admission | None) -> Result:
        run, results, work, number = turn.run, self._told, turn.task.work, turn.run.number
        if not self.plan.configured:
            self._runs.results.delivered(results)
            return Result(Outcome.OK, "no wake command set")

        async def begin(*agents: Running) -> None:
            await self.record.begin(run.since, _last_of(results), agents, seen)
            self._runs.results.delivered(results)
            self._noted.set()

        async with AsyncExitStack() as undo:
            if admitted:  # a freeze may take it back
                undo.push_async_callback(self._paid.give_back, turn.task, admitted)
            seen = await self._sees(results)
            if results:
                await self._recorded()
            given = (self._citizen, number, turn.why or run.trigger, results, turn.late, self._home)
            content = await asyncio.to_thread(letter, *given)
            if isinstance(work, Command):
                wake = {"EXPERIENCE_WAKE": str(number)}
                text = json.dumps(content).encode() + b"\n"
                work = replace(work, input=text, environment={**work.environment, **wake})
            run.before_carried = begin
            if not isinstance(work, Command | Isolated):  # the work has no process of its own
                await begin()
                await self._runs.began(run)
            undo.pop_all()
        context = replace(turn.context, options=content)
        return await self._paid.carry_out(turn.task.with_work(work), context, run, admitted)


def _warned(result: Result, problem: str) -> Result:
    """The result as a warning if the wake went well but its gate is broken."""
    if not problem or result.outcome is not Outcome.OK:
        return result
    text = f"{problem}; {result.text}" if result.text else problem
    return replace(result, outcome=Outcome.WARNING, text=text)


def _last_of(results: list[TaskResult]) -> LastDelivered | None:
    return LastDelivered(results[-1].task, results[-1].time) if results else None
