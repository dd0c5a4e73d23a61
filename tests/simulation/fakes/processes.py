"""Fake processes and the executor that starts them; the history of runs, as durable as the real one."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from scheduler.core.records import FinishedRun, Retention, RunQuery, RunRecord, listed
from scheduler.core.task import Command, Context, Outcome, Task
from scheduler.executors.deferred import Deferred
from scheduler.executors.result import Result
from scheduler.process.process_info import Running
from tests.simulation.history import Plan

KILL_GRACE = 5.0
HISTORY_DELAY = 0.5  # seconds of history that a kill -9 may lose


class Process:
    """One run of a task or the wake: a process, or a coroutine that dies with its owner."""

    def __init__(self, world: Any, pid: int, plan: Plan, number: int) -> None:
        self._world, self.pid, self.plan, self.number = world, pid, plan, number
        self.begun = self.ended = False
        self.outcome = Outcome.OK
        self.exited: asyncio.Future[None] | None = asyncio.get_running_loop().create_future()
        world.processes[pid] = self

    @property
    def is_command(self) -> bool:
        return self.plan.command or self.plan.name == "wake"

    def begin(self, trigger: str, letter: Any) -> None:
        """The program starts, or the handler."""
        self.begun = True
        self._world.past.last_began[self.plan.name] = self._world.wall
        self._world.note("began", self.plan.name, (self.pid, trigger, letter))
        slow = self._chance("slow") < self.plan.slow
        takes = self.plan.takes * (0.5 + self._chance("takes")) * (20 if slow else 1)
        if self._chance("fails") < self.plan.fails:
            self.outcome = Outcome.FAILED
        self._world.call_at(self._world.elapsed + takes, lambda: self.end("by itself"))

    def result(self) -> Result:
        urgent = self.plan.name != "wake" and self._chance("urgent") < self.plan.urgent
        if urgent:
            self._world.note("urgent", self.plan.name)
        return Result(self.outcome, f"run {self.number}", urgent=urgent)

    def end(self, how: str) -> None:
        if self.ended:
            return
        self.ended = True
        del self._world.processes[self.pid]
        if self.begun:
            self._world.note("ended", self.plan.name, (self.pid, how))
        if self.exited is not None and not self.exited.done():
            self.exited.set_result(None)

    def ask_to_end(self) -> None:
        """SIGTERM; a deaf one gets SIGKILL after the grace."""
        if self.plan.deaf and self.begun:
            self._world.call_at(self._world.elapsed + KILL_GRACE, lambda: self.end("killed"))
        else:
            self.end("asked")

    def owner_died(self) -> None:
        """A command beyond its gate lives on; everything else dies."""
        self.exited = None
        if not (self.is_command and self.begun):
            self.end("with its owner")

    def _chance(self, what: str) -> float:
        return self._world.chance(what, self.plan.name, self.number)


class Executor:
    """Stands in for the scheduler's executor: same interface, fake processes."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self.deferred = Deferred()

    async def run(self, task: Task, context: Context, run: Any) -> Result:
        process: Process = self._world.new_process(task.name)
        if isinstance(task.work, Command):
            await self._through_the_gate(process, run)
        process.begin(str(context.trigger), context.options if task.name == "wake" else None)
        return await self._to_the_end(process)

    def stop_now(self) -> None: ...

    async def close(self) -> None: ...

    async def _through_the_gate(self, process: Process, run: Any) -> None:
        """The scheduler records the process, then lets it begin."""
        self._world.note("spawned", process.plan.name, process.pid)
        try:
            await run.carried_by(Running(process.pid, float(process.pid), self._world.wall))
        except asyncio.CancelledError:
            process.end("before it began")
            raise

    async def _to_the_end(self, process: Process) -> Result:
        exited = process.exited
        assert exited is not None
        try:
            await asyncio.wait([exited])
        except asyncio.CancelledError:
            if exited.done():  # judged by its exit code, not by who looked later
                return process.result()
            await self._end(process, exited)
            raise
        return process.result()

    async def _end(self, process: Process, exited: "asyncio.Future[None]") -> None:
        if not process.is_command and process.plan.deaf:  # a coroutine cannot be killed
            await _whatever_happens(exited)
            return
        process.ask_to_end()
        await _whatever_happens(exited)


async def _whatever_happens(done: "asyncio.Future[None]") -> None:
    while not done.done():
        try:
            await asyncio.wait([done])
        except asyncio.CancelledError:
            continue


class Past:
    """What outlives every owner: recorded runs, and when each task last began."""

    def __init__(self) -> None:
        self.last_began: dict[str, float] = {}
        self.runs: list[RunRecord] = []

    def recorder(self, world: Any) -> "Recorder":
        return Recorder(world, self)


class Recorder:
    """A history that is written behind the runs: what is younger than half a second dies with its owner."""

    keep = Retention()

    def __init__(self, world: Any, past: Past) -> None:
        self._world, self._past = world, past
        self._waiting: list[FinishedRun] = []

    def begin(self, notify: Callable[[str, str], None]) -> None: ...

    def record(self, run: FinishedRun) -> None:
        self._world.note("recorded", run.task, (str(run.outcome), run.text))
        self._waiting.append(run)
        asyncio.get_running_loop().call_later(HISTORY_DELAY, self._write)

    def _write(self) -> None:
        for run in self._waiting:
            self._past.runs.append(_record(len(self._past.runs) + 1, run))
        self._waiting.clear()

    async def runs(self, asked: RunQuery, known: Collection[str]) -> tuple[RunRecord, ...]:
        self._write()
        return listed(self._past.runs, asked)

    async def output(self, run: int) -> str:
        return ""

    async def close(self) -> None:
        self._write()


def _record(number: int, run: FinishedRun) -> RunRecord:
    return RunRecord(
        number,
        run.task,
        run.started,
        run.finished,
        run.seconds,
        run.outcome,
        run.trigger,
        run.attempt,
        run.text,
    )
