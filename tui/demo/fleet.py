"""A real scheduler for each made-up citizen, on a fast clock and in memory: no files, no processes."""

import asyncio
import random
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.core.ports import FleetView
from scheduler.core.records import LISTED, MOST_LISTED, FinishedRun, Forgetful, RunQuery, RunRecord, listed
from scheduler.core.schedules.forecast import Slots, TimeGrid
from scheduler.core.state import TaskState
from scheduler.core.task import WAKE, Context, Outcome, Task, Trigger
from scheduler.core.views import OutputChunk, Receipt, Snapshot
from scheduler.core.wording.description import TaskDetails
from scheduler.core.wording.text import pause_words
from scheduler.engine.freezing import MemoryFreezes
from scheduler.engine.options import SchedulerOptions
from scheduler.engine.paid.holds import Held
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import Owned, UnknownRun
from scheduler.executors.executor import Executor
from scheduler.executors.result import Result, RunListener
from scheduler.process.who import Who, this_process
from scheduler.spending.money import amount_from, dollars
from scheduler.storage.state_store import Store
from scheduler.system.clock import Clock, SystemClock, Timer
from tui.demo.data import HOSTILE, MESSAGES, NAMES, outcome, state, tasks
from tui.demo.scripts import FILES, script
from tui.demo.wakes import DemoWakes

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
            await self._sleep(pause)
        return Result(result, text)

    async def _sleep(self, seconds: float) -> None:
        over = asyncio.Event()
        timer = self._clock.call_later(seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()


class MemoryRecorder(Forgetful):
    """Keeps the runs of one citizen in memory, after made-up ones from before the start."""

    def __init__(self, citizen: str, states: Mapping[str, TaskState], wakes: Iterable[RunRecord]) -> None:
        past = (run for name, known in states.items() for run in _past(citizen, name, known))
        self._runs = sorted((*past, *wakes), key=lambda run: run.finished)
        self._printed: dict[int, str] = {}
        self._citizen = citizen

    def record(self, run: FinishedRun) -> None:
        self._printed[len(self._runs)] = run.output.text() if run.output else ""
        times = run.started, run.finished, run.seconds
        self.add(RunRecord(0, run.task, *times, run.outcome, run.trigger, run.attempt, run.text, True))

    def add(self, run: RunRecord) -> None:
        """Remember a run that printed nothing."""
        self._runs.append(run)

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
    """A made-up citizen; its wakes are counted but not run, since a wake would write to its home."""

    def __init__(self, citizen: str, clock: Clock, workers: Executor, busy_at: float) -> None:
        chores = list(tasks(citizen))
        states = {task.name: state(citizen, task, clock.now(), busy_at) for task in chores}
        self.wakes = DemoWakes(citizen, clock, self._is_frozen, self._woke, self._slept)
        self._memory = MemoryRecorder(citizen, states, self.wakes.past)
        super().__init__(
            citizen,
            Path("/srv/citizens", citizen),
            chores,
            store=Store(states),
            clock=clock,
            workers=workers,
            rules=SchedulerOptions(journal=False),
            recorder=self._memory,
            freezes=MemoryFreezes(),
        )

    async def start(self, *, dispatch: bool = True) -> None:
        await super().start(dispatch=dispatch)
        if self.citizen == FROZEN:
            now = self._clock.now()
            await self.freeze(until=now + FROZEN_FOR, why="invoices are under review", who=Who("ct"))

    def _is_frozen(self) -> bool:
        return self._freezing.current is not None

    def _woke(self) -> None:
        number = self.wakes.count + 1
        self._registry.bus.add_event("started", WAKE, trigger=Trigger.SCHEDULE, number=number)
        self._registry.bus.notify()

    def _slept(self, run: RunRecord) -> None:
        self._memory.add(run)
        facts = (run.outcome, run.text, run.trigger, run.seconds)
        self._registry.bus.add_event("finished", WAKE, *facts, cost=run.cost, number=self.wakes.count)
        self._registry.bus.notify()

    def snapshot(self) -> Snapshot:
        made, wakes = super().snapshot(), self.wakes
        return replace(made, tasks=(wakes.row(), *made.tasks), wake=wakes.view(), money=wakes.money())

    async def wake(self, *, who: Who | None = None) -> Receipt:
        self._freezing.refuse()
        if hold := self.wakes.hold:
            raise Held(self.citizen, hold)
        if self.wakes.running_since is None:
            self.wakes.begin(Trigger.FORCE)
        return Receipt()

    async def force(self, task: str, *, again: bool = False, who: Who | None = None) -> Receipt:
        return await (self.wake(who=who) if task == WAKE else super().force(task, again=again, who=who))

    async def stop_run(self, task: str, *, who: Who | None = None) -> Receipt:
        if task != WAKE:
            return await super().stop_run(task, who=who)
        if self.wakes.running_since is not None:
            self.wakes.end(Outcome.STOPPED)
        return Receipt()

    async def reset(self, task: str, *, who: Who | None = None) -> Receipt:
        return await (self.wake(who=who) if task == WAKE else super().reset(task, who=who))

    async def pause(
        self, task: str, *, until: float | None = None, why: str = "", who: Who | None = None
    ) -> Receipt:
        if task != WAKE:
            return await super().pause(task, until=until, why=why, who=who)
        now, by = self._clock.now(), who or this_process()
        self.wakes.pause(until, why, str(by))
        said = pause_words(until, why, "", now)
        self._registry.bus.add_event("paused", WAKE, text=said.lstrip(" :"), who=by)
        self._registry.bus.notify()
        return Receipt(f"{WAKE}: paused{said}")

    async def resume(self, task: str, *, who: Who | None = None) -> Receipt:
        if task != WAKE:
            return await super().resume(task, who=who)
        self.wakes.resume()
        self._registry.bus.add_event("resumed", WAKE, who=who or this_process())
        self._registry.bus.notify()
        return Receipt(f"{WAKE}: resumed")

    async def add_to_budget(self, amount: str, *, together: bool = False, who: Who | None = None) -> Receipt:
        self.wakes.allow(amount_from(amount))
        self._registry.bus.add_event("budget lifted", text=f"{dollars(amount_from(amount))} more for today")
        self._registry.bus.notify()
        return Receipt()

    async def try_provider(self, provider: str, *, who: Who | None = None) -> Receipt:
        self.wakes.try_provider()
        self._registry.bus.notify()
        return Receipt()

    async def explain(self, task: str) -> TaskDetails:
        return self.wakes.details(self._clock.now()) if task == WAKE else await super().explain(task)

    async def history(
        self, task: str | None = None, *, limit: int = LISTED, failed: bool = False, before: int | None = None
    ) -> tuple[RunRecord, ...]:
        known = (*self._registry.jobs, WAKE)
        return await self._memory.runs(RunQuery(task, min(limit, MOST_LISTED), failed, before), known)

    async def slots(self, tasks: Collection[str], window: TimeGrid) -> Slots:
        found = await super().slots(tasks, window)
        wakes = () if self._is_frozen() or WAKE not in tasks else self.wakes.times(window.start, window.end)
        return {**found, WAKE: wakes} if WAKE in tasks else found

    async def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]:
        if task == WAKE:
            yield OutputChunk(script(WAKE, Outcome.OK))
            return
        async with aclosing(super().follow(task)) as chunks:
            async for chunk in chunks:
                yield chunk


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
