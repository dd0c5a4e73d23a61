"""Stand-ins for what the outside world brings: time, and citizens to look at."""

import asyncio
import heapq
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from datetime import UTC, datetime
from itertools import count
from typing import Any

from scheduler.core.ports import FleetView
from scheduler.core.records import LISTED, MOST_LISTED, RunQuery, RunRecord, listed
from scheduler.core.schedules.forecast import Slots, TimeGrid
from scheduler.core.state import TaskState
from scheduler.core.views import Heartbeat, OutputChunk, Receipt, Snapshot
from scheduler.core.wording.description import DefinitionField, TaskDetails
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import Disconnected, SchedulerError, UnknownRun, UnknownTask
from scheduler.system.clock import _Alarm

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()


async def settle(turns: int = 20) -> None:
    """Let everything that is ready on the loop happen."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(predicate: Callable[[], object], words: str, seconds: float = 25.0) -> None:
    """Return once `predicate` holds; real time, for tests with processes, threads and files."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not predicate():
        assert loop.time() < end, f"never came true: {words}"
        await asyncio.sleep(0.005)


def state_of(scheduler: Scheduler, task: str) -> TaskState:
    """What is remembered of a task, in memory: the next save may still wait."""
    return scheduler._registry.states[task]


class Gate:
    """A handler that runs until it is let go, and counts itself."""

    def __init__(self) -> None:
        self.entered = self.inside = self.most = 0
        self.open = asyncio.Event()

    async def __call__(self, context: Any) -> str:
        self.entered += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self.open.wait()
        finally:
            self.inside -= 1
        return "through"


class FakeClock:
    """Time stands still until a test advances it."""

    def __init__(self, start: float = NOON) -> None:
        self.wall, self.monotonic = start, 1000.0
        self._order = count()
        self._by_wall: list[tuple[float, int, _Alarm]] = []
        self._by_monotonic: list[tuple[float, int, _Alarm]] = []
        self._jumped: dict[int, Callable[[], None]] = {}

    def now(self) -> float:
        return self.wall

    def elapsed(self) -> float:
        return self.monotonic

    @property
    def waiting(self) -> int:
        """How many alarms by elapsed time are set."""
        return len(self._by_monotonic)

    def call_at(self, when: float, callback: Callable[[], None]) -> _Alarm:
        return self._push(self._by_wall, when, callback)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> _Alarm:
        return self._push(self._by_monotonic, self.monotonic + seconds, callback)

    def on_jump(self, callback: Callable[[], None]) -> _Alarm:
        key = next(self._order)
        self._jumped[key] = callback
        return _Alarm(lambda: None, lambda: self._jumped.pop(key, None))

    def _push(self, heap: list, when: float, callback: Callable[[], None]) -> _Alarm:
        alarm = _Alarm(callback)
        heapq.heappush(heap, (when, next(self._order), alarm))
        return alarm

    async def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0) -> None:
        """Move on, waking every sleeper at its own moment and letting the loop settle between."""
        left = seconds + 60 * minutes + 3600 * hours
        await settle()
        while (step := self._next(left)) is not None:
            self.wall += step
            self.monotonic += step
            left -= step
            self._ring()
            await settle()
        self.wall += left
        self.monotonic += left
        await settle()

    def stall(self, seconds: float) -> None:
        """Time passes while nothing on the loop gets a turn; then all timers fire at once."""
        self.wall += seconds
        self.monotonic += seconds
        self._ring()

    async def jump(self, seconds: float) -> None:
        """The wall clock is set."""
        self.wall += seconds
        for callback in list(self._jumped.values()):
            callback()
        self._ring()
        await settle()

    def _next(self, limit: float) -> float | None:
        for heap in (self._by_wall, self._by_monotonic):
            while heap and heap[0][2].callback is None:
                heapq.heappop(heap)
        waits = [heap[0][0] - now for heap, now in self._heaps() if heap]
        nearest = max(0.0, min(waits, default=limit + 1))
        return nearest if nearest <= limit else None

    def _heaps(self) -> list[tuple[list[tuple[float, int, _Alarm]], float]]:
        return [(self._by_wall, self.wall), (self._by_monotonic, self.monotonic)]

    def _ring(self) -> None:
        for heap, now in self._heaps():
            while heap and heap[0][0] <= now + 1e-9:
                alarm = heapq.heappop(heap)[2]
                if alarm.callback is not None:
                    alarm.callback()


def us() -> int:
    return os.getpid()


class FakeControl:
    """A citizen that shows what a test tells it to, and remembers what it was asked."""

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        refusal: SchedulerError | None = None,
        receipt: Receipt | None = None,
        pulse: Heartbeat | None = None,
    ) -> None:
        self.citizen = snapshot.citizen
        self.snapshot, self.refusal = snapshot, refusal
        self.receipt, self.beat = receipt or Receipt(), pulse or Heartbeat()
        self.asked: list[tuple[str, ...]] = []
        self.holds: list[tuple[float | None, str]] = []  # of each pause: until, why
        self.runs: tuple[RunRecord, ...] = ()
        self.outputs: dict[int, str] = {}
        self.times: dict[str, tuple[float, ...]] = {}
        self.looked: list[tuple[tuple[str, ...], TimeGrid]] = []
        self.details: dict[str, TaskDetails] = {}
        self.printing: dict[str, asyncio.Queue[OutputChunk | None]] = {}
        self._changed: list[asyncio.Event] = []

    def show(self, snapshot: Snapshot) -> None:
        """Publish another snapshot to everyone who watches."""
        self.snapshot = snapshot
        for changed in self._changed:
            changed.set()

    def lose(self, error: SchedulerError) -> None:
        """Break the connection of everyone who watches."""
        self.refusal = error
        self.show(self.snapshot)

    async def watch(self) -> AsyncIterator[Snapshot]:
        changed = asyncio.Event()
        self._changed.append(changed)
        try:
            while True:
                if isinstance(self.refusal, Disconnected):
                    raise self.refusal
                yield self.snapshot
                await changed.wait()
                changed.clear()
        finally:
            self._changed.remove(changed)

    def pulse(self) -> Heartbeat:
        return self.beat

    async def force(self, task: str, *, again: bool = False) -> Receipt:
        return self._answer("force", task, *(["again"] if again else []))

    async def reset(self, task: str) -> Receipt:
        return self._answer("reset", task)

    async def pause(self, task: str, *, until: float | None = None, why: str = "") -> Receipt:
        self.holds.append((until, why))
        return self._answer("pause", task)

    async def resume(self, task: str) -> Receipt:
        return self._answer("resume", task)

    async def stop_run(self, task: str) -> Receipt:
        return self._answer("stop_run", task)

    async def freeze(self, *, until: float | None = None, why: str = "") -> Receipt:
        self.holds.append((until, why))
        return self._answer("freeze")

    async def thaw(self) -> Receipt:
        return self._answer("thaw")

    async def add_to_budget(self, amount: str, *, together: bool = False) -> Receipt:
        return self._answer("add_to_budget", amount, *(["together"] if together else []))

    async def try_provider(self, provider: str) -> Receipt:
        return self._answer("try_provider", provider)

    async def wake(self) -> Receipt:
        return self._answer("wake")

    async def history(
        self, task: str | None = None, *, limit: int = LISTED, failed: bool = False, before: int | None = None
    ) -> tuple[RunRecord, ...]:
        if task is not None and self.snapshot.task(task) is None:
            raise UnknownTask(task, [each.name for each in self.snapshot.tasks])
        return listed(self.runs, RunQuery(task, min(limit, MOST_LISTED), failed, before))

    async def output(self, run: int) -> str:
        if run not in {each.id for each in self.runs}:
            raise UnknownRun(run)
        return self.outputs.get(run, "")

    async def slots(self, tasks: Collection[str], window: TimeGrid) -> Slots:
        self.looked.append((tuple(tasks), window))
        within = {name: self.times.get(name, ()) for name in tasks}
        return {
            name: tuple(when for when in times if window.start <= when < window.end)
            for name, times in within.items()
        }

    async def explain(self, task: str) -> TaskDetails:
        view = self.snapshot.task(task)
        if view is None:
            raise UnknownTask(task, [each.name for each in self.snapshot.tasks])
        return self.details.get(task) or TaskDetails(
            task, (DefinitionField("schedule", f"every {view.schedule}"),)
        )

    def prints(self, task: str, text: str, skipped: int = 0) -> None:
        """A run of the task is under way, and printed this; whoever follows it gets it, once."""
        self.printing.setdefault(task, asyncio.Queue()).put_nowait(OutputChunk(text, skipped))

    def ends(self, task: str) -> None:
        """The run that printed has ended."""
        self.printing.setdefault(task, asyncio.Queue()).put_nowait(None)

    async def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]:
        if self.snapshot.task(task) is None:
            raise UnknownTask(task, [each.name for each in self.snapshot.tasks])
        if isinstance(self.refusal, SchedulerError):
            raise self.refusal
        printed = self.printing.get(task)
        while printed and (piece := await printed.get()):
            yield piece

    def _answer(self, *asked: str) -> Receipt:
        self.asked.append(asked)
        if self.refusal:
            raise self.refusal
        return self.receipt


class FakeFleet:
    """Citizens for a screen to look at, on a clock that stands still."""

    def __init__(self, *controls: FakeControl, clock: Any = None, **view: Any) -> None:
        self.clock = clock or FakeClock()
        self.view = FleetView(controls, **view)
        self.can_hand_over = True
        self.taken: list[str] = []
        self.asked: list[tuple[Any, ...]] = []
        self.refusal: SchedulerError | None = None
        self.kept: dict[str, str] = {}  # why a citizen cannot be taken over
        self._changed: list[asyncio.Event] = []

    def why_not_own(self, citizen: str) -> str:
        return self.kept.get(citizen, "")

    async def freeze(
        self, names: Collection[str], *, until: float | None, why: str, stop_runs: bool = False
    ) -> None:
        self.asked.append(("freeze", tuple(names), until, why, stop_runs))
        if self.refusal:
            raise self.refusal

    async def thaw(self, names: Collection[str]) -> None:
        self.asked.append(("thaw", tuple(names)))
        if self.refusal:
            raise self.refusal

    async def look(self, citizen: str) -> Snapshot:
        return next(control.snapshot for control in self.view.controls if control.citizen == citizen)

    async def start_in_background(self, citizen: str) -> None:
        self.asked.append(("start", citizen))

    async def take_over(self, citizen: str) -> None:
        self.taken.append(citizen)

    async def move(self, citizen: str, machine: str) -> None:
        self.asked.append(("move", citizen, machine))

    def show(self, view: FleetView) -> None:
        """Citizens came or went."""
        self.view = view
        for changed in self._changed:
            changed.set()

    async def watch(self) -> AsyncIterator[FleetView]:
        changed = asyncio.Event()
        self._changed.append(changed)
        try:
            while True:
                yield self.view
                await changed.wait()
                changed.clear()
        finally:
            self._changed.remove(changed)
