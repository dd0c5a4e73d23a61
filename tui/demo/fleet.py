"""Runs the make-believe fleet on a clock of its own: nothing on the machine is touched."""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from dataclasses import replace
from itertools import count

from scheduler.core.details import TaskDetails
from scheduler.core.forecast import forecast
from scheduler.core.ports import FleetView
from scheduler.core.records import LISTED, MOST_LISTED, RunQuery, RunRecord, listed
from scheduler.core.state import TaskState
from scheduler.core.state import due as due_of
from scheduler.core.task import Outcome, Progress, Task, Trigger
from scheduler.core.views import Heartbeat, OutputChunk, Receipt, Snapshot, WakeView, view
from scheduler.core.window import Slots, TimeGrid
from scheduler.errors import AlreadyRunning, NotSetUp, Owned, UnknownRun, UnknownTask
from scheduler.system.clock import Clock, SystemClock, Timer
from scheduler.system.process_info import Running
from tui.demo.data import CHORES, FAILURES, NAMES, OURS, moved, tasks
from tui.demo.details import details
from tui.demo.events import DemoEvents
from tui.demo.history import LATER, output, past
from tui.demo.prints import printing, script

SPEED = 15.0  # seconds of the demo in one of ours
WAKE_EVERY = 600.0
LATELY = 500  # finished runs of a citizen that are remembered
LASTS = {chore.name: chore.lasts for chore in CHORES}


class FastClock:
    """Starts at the real time and runs `speed` times as fast."""

    def __init__(self, speed: float = SPEED) -> None:
        self.speed = speed
        self._start, self._zero = time.time(), time.monotonic()
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


class DemoControl:
    """One make-believe citizen: its tasks come due, run for a while, and some fail."""

    def __init__(self, citizen: str, clock: Clock) -> None:
        self.citizen, self._clock = citizen, clock
        self._chance = random.Random(f"runs of {citizen}")
        now = clock.now()
        self._tasks: dict[str, Task] = {}
        self._states: dict[str, TaskState] = {}
        self._ends: dict[str, float] = {}
        self._triggers: dict[str, Trigger] = {}
        for task, state in tasks(citizen):
            self._tasks[task.name], self._states[task.name] = task, moved(state, now)
            if state.running:
                self._ends[task.name] = now + LASTS[task.name] * 0.6
        self._at_first, self._past = dict(self._states), list[RunRecord]()
        self._lately: deque[RunRecord] = deque(maxlen=LATELY)
        self._numbers = count(LATER)
        self._events = DemoEvents(citizen, self._states)
        self._wakes = self._chance.randint(40, 2000)
        self._next_wake = now + self._chance.uniform(0.05, 1) * WAKE_EVERY
        self._changed = asyncio.Event()

    # -------------------------------------------------------------- to look at

    async def watch(self) -> AsyncIterator[Snapshot]:
        while True:
            self._changed.clear()
            self._live(self._clock.now())
            yield self.snapshot()
            timer = self._clock.call_at(self._next(), self._changed.set)
            await self._changed.wait()
            timer.cancel()

    def pulse(self) -> Heartbeat:
        return Heartbeat()

    def snapshot(self) -> Snapshot:
        """The citizen as it is now."""
        now = self._clock.now()
        rows = [
            view(task, self._states[name], due_of(task, self._states[name], now))
            for name, task in self._tasks.items()
        ]
        return Snapshot(
            self.citizen,
            tuple(replace(row, progress=self._progress(row.name, now)) for row in rows),
            wake=WakeView(self._wakes, self._next_wake, self._next_wake - WAKE_EVERY),
            events=self._events.newest(),
        )

    def _progress(self, name: str, now: float) -> Progress | None:
        running = self._states[name].running
        if running is None or name != "offsite_backup":
            return None
        files = int(40 * (now - running.since) / (self._ends[name] - running.since))
        return Progress(min(files, 40), 40, f"{min(files, 40)}/40 files")

    # -------------------------------------------------------------- its life

    def _live(self, now: float) -> None:
        """Everything that has come due by `now` happens."""
        for name in [name for name, end in self._ends.items() if end <= now]:
            self._finish(name, now)
        for name, task in self._tasks.items():
            if due_of(task, self._states[name], now) <= now:
                self._start(name, now, Trigger.SCHEDULE)
        if self._next_wake <= now:
            self._next_wake, self._wakes = now + WAKE_EVERY, self._wakes + 1
            self._events.note(now, "wake finished", outcome=Outcome.OK, text="read its queue and slept again")

    def _next(self) -> float:
        now = self._clock.now()
        dues = [due_of(task, self._states[name], now) for name, task in self._tasks.items()]
        steps = [now + 5] if "offsite_backup" in self._ends else []  # its progress is to be seen
        return min([*dues, *self._ends.values(), *steps, self._next_wake])

    def _start(self, name: str, now: float, trigger: Trigger) -> None:
        self._triggers[name] = trigger
        self._events.note(now, "started", name, trigger=trigger)
        self._states[name] = self._states[name].started(Running(OURS, 0.0, now))
        self._ends[name] = now + LASTS[name] * self._chance.uniform(0.7, 1.6)

    def _finish(self, name: str, now: float) -> None:
        self._ends.pop(name)
        state, task = self._states[name], self._tasks[name]
        lasted = now - state.running.since if state.running else 0.0
        known = FAILURES.get((self.citizen, name))
        if known or self._chance.random() < 0.01:
            outcome, text = Outcome.FAILED, known[0] if known else "Connection reset by peer"
        else:
            outcome, text = Outcome.OK, task.description
        self._states[name] = state.finished(outcome, text, now, lasted)
        self._events.note(now, "finished", name, outcome, text, lasted)
        trigger = self._triggers.pop(name, Trigger.SCHEDULE)
        self._lately.append(
            RunRecord(next(self._numbers), name, now - lasted, now, lasted, outcome, trigger, 1, text, True)
        )

    # -------------------------------------------------------------- verbs

    async def force(self, task: str, *, again: bool = False) -> Receipt:
        if self._known(task).running:
            raise AlreadyRunning(f"{task} is already running")
        if not self._tasks[task].set_up:
            raise NotSetUp(f"{task} is not set up: this is a demo, so there is nothing to add")
        self._start(task, self._clock.now(), Trigger.FORCE)
        return self._done()

    async def reset(self, task: str) -> Receipt:
        return self._put(task, self._known(task).reset(), "reset")

    async def pause(self, task: str) -> Receipt:
        return self._put(task, self._known(task).put_on_hold(self._clock.now()), "paused")

    async def resume(self, task: str) -> Receipt:
        return self._put(task, self._known(task).resumed(), "resumed")

    async def wake(self) -> Receipt:
        self._next_wake = self._clock.now()
        return self._done()

    async def history(
        self, task: str | None = None, *, limit: int = LISTED, failed: bool = False, before: int | None = None
    ) -> tuple[RunRecord, ...]:
        if task is not None:
            self._known(task)
        return listed(self._runs(), RunQuery(task, min(limit, MOST_LISTED), failed, before))

    async def output(self, run: int) -> str:
        for each in self._runs():
            if each.id == run:
                return output(each)
        raise UnknownRun(run)

    async def slots(self, tasks: Collection[str], window: TimeGrid) -> Slots:
        asked = [(task, self._states[name], 0.0) for name, task in self._tasks.items() if name in tasks]
        return await forecast(self.citizen, asked, self._clock.now(), window)

    async def explain(self, task: str) -> TaskDetails:
        state = self._known(task)
        return details(self.citizen, self._tasks[task], state, self._clock.now())

    async def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]:
        running, ends = self._known(task).running, self._ends.get(task, 0.0)
        step = asyncio.Event()
        for number in count():
            if running is None or self._states[task].running is not running:
                return
            when = running.since + number * (ends - running.since) / (len(script(task)) + 1)
            timer = self._clock.call_at(min(when, ends), step.set)
            try:
                await step.wait()
            finally:
                timer.cancel()
            step.clear()
            if when >= ends:
                return
            yield OutputChunk(printing(task, number))

    def _runs(self) -> list[RunRecord]:
        self._past = self._past or past(self.citizen, self._tasks, self._at_first)
        return [*self._past, *self._lately]

    def _known(self, task: str) -> TaskState:
        if task not in self._states:
            raise UnknownTask(task, self._states)
        return self._states[task]

    def _put(self, task: str, state: TaskState, kind: str) -> Receipt:
        self._states[task] = state
        self._events.note(self._clock.now(), kind, task)
        return self._done()

    def _done(self) -> Receipt:
        self._changed.set()
        return Receipt()


class DemoFleet:
    """Thirty of them."""

    def __init__(self, clock: Clock | None = None, names: tuple[str, ...] = NAMES) -> None:
        self.clock: Clock = clock or FastClock()
        self.controls = tuple(DemoControl(name, self.clock) for name in names)

    async def watch(self) -> AsyncIterator[FleetView]:
        yield FleetView(self.controls, root="nowhere: this is a demo")
        await asyncio.Event().wait()

    def why_not_own(self, citizen: str) -> str:
        return f"{citizen} is made up, and so is its owner"

    async def take_over(self, citizen: str) -> None:
        raise Owned(f"{citizen} is made up, and so is its owner")
