"""A real scheduler for each made-up citizen, on a fast clock and in memory: no files, no processes."""

import asyncio
import random
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
)
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.core.ports import FleetView
from scheduler.core.records import FinishedRun, Forgetful, RunQuery, RunRecord, listed
from scheduler.core.schedules.forecast import Slots, TimeGrid
from scheduler.core.state import TaskState
from scheduler.core.task import WAKE, Context, Outcome, Task, Trigger, WakeTask
from scheduler.engine.freezing import MemoryFreezes
from scheduler.engine.options import SchedulerOptions
from scheduler.engine.scheduler import Scheduler
from scheduler.engine.wake.requests import WakeRequests
from scheduler.errors import Owned, UnknownRun
from scheduler.executors.executor import Executor
from scheduler.executors.result import Result, RunListener
from scheduler.process.who import Who
from scheduler.storage.state_store import Store
from scheduler.system.clock import Clock, SystemClock, Timer
from tui.demo.data import HOSTILE, MESSAGES, NAMES, outcome, state, tasks
from tui.demo.scripts import FILES, script
from tui.demo.wakes import DAY, EVERY, DemoMoney, DemoRecord, DemoWake, plan, sleep

SPEED = 15.0  # seconds of the demo per real second
FROZEN, FROZEN_FOR = "gaia", 17 * 3600.0 + 56 * 60.0
PAST = 60  # made-up runs of each task before the demo began


class FastClock:
    """Starts at the real time and runs `speed` times as fast."""

    def __init__(self, speed: float = SPEED) -> None:
        self.speed, self._start, self._zero = speed, time.time(), time.monotonic()
        self._real = SystemClock()

    def now(self) -> float:
        return self._start + self.elapsed()

    def elapsed(self) -> float:
        return (time.monotonic() - self._zero) * self.speed

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        return self.call_later(when - self.now(), callback)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return self._real.call_later(max(0.0, seconds) / self.speed, callback)

    def on_jump(self, callback: Callable[[], None]) -> Timer:
        return self._real.on_jump(callback)


class ScriptExecutor(Executor):
    """Prints the script of a task instead of running it."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def run(self, task: Task, context: Context, listener: RunListener) -> Awaitable[Result]:
        return self._play(context, listener)

    async def _play(self, context: Context, listener: RunListener) -> Result:
        chance = random.Random(f"{context.citizen}/{context.task} after {context.last_success}")
        result, text = outcome(context.citizen, context.task)
        hostile = (context.citizen, context.task) == HOSTILE
        lines = script(context.task, result, hostile).splitlines(keepends=True)
        pause = MESSAGES[context.task][0] * chance.uniform(0.7, 1.6) / len(lines)
        for number, line in enumerate(lines):
            listener.output.write(line.encode())
            if len(lines) > FILES:
                context.progress(min(number, FILES), FILES, f"{min(number, FILES)}/{FILES} files")
            await sleep(self._clock, pause)
        return Result(result, text)


class MemoryRecorder(Forgetful):
    """Keeps the runs of one citizen in memory, after made-up ones from before the start."""

    def __init__(self, citizen: str, states: Mapping[str, TaskState], wakes: Iterable[RunRecord]) -> None:
        past = (run for name, known in states.items() for run in _past(citizen, name, known))
        self._runs = sorted((*past, *wakes), key=lambda run: run.finished)
        self._printed: dict[int, str] = {}
        self._citizen = citizen

    def record(self, run: FinishedRun) -> None:
        self._printed[len(self._runs)] = run.output.text() if run.output else ""
        when, why = (run.started, run.finished, run.seconds), run.trigger
        row = RunRecord(0, run.task, *when, run.outcome, why, run.attempt, run.text, True, run.cost)
        self._runs.append(row)

    async def runs(self, asked: RunQuery, known: Collection[str]) -> tuple[RunRecord, ...]:
        await super().runs(asked, known)
        return listed([replace(run, id=number) for number, run in enumerate(self._runs)], asked)

    async def output(self, run: int) -> str:
        if not 0 <= run < len(self._runs):
            raise UnknownRun(run)
        task, result = self._runs[run].task, self._runs[run].outcome
        hostile = result.bad and (self._citizen, task) == HOSTILE
        return self._printed.get(run) or script(task, result, hostile)


def _past(citizen: str, task: str, known: TaskState) -> Iterator[RunRecord]:
    if known.last_run is None:
        return
    chance, every = random.Random(f"past of {citizen}/{task}"), BACKGROUND_TASKS[task]["interval"]
    for number in range(PAST):
        began, lasted = known.last_run - number * every, MESSAGES[task][0] * chance.uniform(0.7, 1.3)
        failed = chance.random() < 0.02
        result, text = (
            (Outcome.FAILED, "Connection reset by peer") if failed else (Outcome.OK, MESSAGES[task][1])
        )
        if number < max(known.failures_in_a_row, 1):
            result, text = outcome(citizen, task)
        yield RunRecord(0, task, began, began + lasted, lasted, result, Trigger.SCHEDULE, 1, text, True)


class DemoControl(Scheduler):
    """A made-up citizen; its wakes run no agent, which would write to its home."""

    wake_type = DemoWake

    def __init__(self, citizen: str, clock: Clock, workers: Executor, busy_at: float) -> None:
        home, chores = Path("/srv/citizens", citizen), list(tasks(citizen))
        states = {task.name: state(citizen, task, clock.now(), busy_at) for task in chores}
        self._money = DemoMoney(citizen, home, clock, self._execute)
        super().__init__(
            citizen,
            home,
            chores,
            store=Store({**states, WAKE: self._money.state}),
            clock=clock,
            workers=workers,
            rules=SchedulerOptions(journal=False, wake=plan(citizen)),
            recorder=MemoryRecorder(citizen, states, self._money.past),
            freezes=MemoryFreezes(),
        )

    def _wake_requests(self, plan: WakeTask) -> WakeRequests:
        self._paid = self._money
        requests = super()._wake_requests(plan)
        requests.wake.record = DemoRecord(self.citizen, self.home, self._clock)
        return requests

    async def start(self, *, dispatch: bool = True) -> None:
        if self.citizen == FROZEN:
            now = self._clock.now()
            await self.freeze(until=now + FROZEN_FOR, why="invoices are under review", who=Who("ct"))
        await super().start(dispatch=dispatch)
        job = self._registry.job(WAKE)
        if hold := self._money.hold(job.task)[0]:  # it is no news: it began before the demo
            job.announced = (hold.kind, hold.about)
            self._registry.hold(job, hold)

    async def slots(self, tasks: Collection[str], window: TimeGrid) -> Slots:
        found, job = await super().slots(tasks, window), self._registry.job(WAKE)
        if WAKE not in tasks:
            return found
        first = (job.held and job.held.until) or job.when  # a real forecast knows of no hold
        times = (first + number * EVERY for number in range(int(DAY // EVERY)))
        return {**found, WAKE: tuple(when for when in times if window.start <= when < window.end)}


class DemoFleet:
    """The made-up citizens as a fleet."""

    def __init__(self, clock: Clock | None = None, names: tuple[str, ...] = NAMES) -> None:
        self.clock: Clock = clock or FastClock()
        self.can_hand_over = False
        self._names = names
        self._controls: tuple[DemoControl, ...] = ()

    async def watch(self) -> AsyncIterator[FleetView]:
        controls = self._controls = await started(self._names, self.clock, self.clock.now())
        try:
            yield FleetView(controls, root="nowhere: this is a demo")
            await asyncio.Event().wait()
        finally:
            for control in controls:
                control.stop_now()

    async def move(self, citizen: str, machine: str) -> None:
        raise Owned(self.why_not_own(citizen))

    def why_not_own(self, citizen: str) -> str:
        return f"{citizen} is made up, and so is its owner"

    async def freeze(
        self, names: Collection[str], *, until: float | None, why: str, stop_runs: bool = False
    ) -> None:
        for control in self._named(names):
            await control.freeze(until=until, why=why)

    async def thaw(self, names: Collection[str]) -> None:
        for control in self._named(names):
            await control.thaw()

    def _named(self, names: Collection[str]) -> list["DemoControl"]:
        return [control for control in self._controls if not names or control.citizen in names]

    async def look(self, citizen: str) -> NoReturn:
        raise Owned(self.why_not_own(citizen))

    start_in_background = take_over = look


async def started(names: Iterable[str], clock: Clock, busy_at: float) -> tuple[DemoControl, ...]:
    """Start these citizens; the long runs that the demo shows begin at `busy_at`."""
    workers = ScriptExecutor(clock)
    controls = tuple(DemoControl(name, clock, workers, busy_at) for name in names)
    await asyncio.gather(*(control.start() for control in controls))
    return controls
