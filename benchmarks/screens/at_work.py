"""A thousand make-believe citizens in the monitor, of whose tasks fifty run and twenty a second change."""

import asyncio
import random
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from dataclasses import replace

from benchmarks.homes import BUILT_IN
from scheduler.core.ports import FleetView
from scheduler.core.records import RunRecord
from scheduler.core.schedules.forecast import Slots, TimeGrid
from scheduler.core.state import Failure
from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import (
    Event,
    Heartbeat,
    OutputChunk,
    Receipt,
    Snapshot,
    TaskStatus,
    TaskView,
    WakeView,
)
from scheduler.core.wording.description import TaskDetails
from scheduler.errors import UnknownRun
from scheduler.system.clock import Clock, SystemClock
from tui.app import ExperienceApp

RUNNING, CHANGES = 50, 20  # at once, and a second
EVERY = (300.0, 900.0, 3600.0, 14400.0, 21600.0, 21600.0, 86400.0)
KEPT = 200  # events of a citizen


class Person:
    """One citizen; implements Control as far as a screen that only looks asks."""

    def __init__(self, citizen: str, tasks: tuple[TaskView, ...], wake: WakeView) -> None:
        self.citizen = citizen
        self.snapshot = Snapshot(citizen, tasks, wake=wake)
        self._changed = asyncio.Event()
        self._seq = 0

    def put(self, place: int, task: TaskView, now: float, kind: str, outcome: Outcome | None) -> None:
        """This task is different from now on."""
        tasks = (*self.snapshot.tasks[:place], task, *self.snapshot.tasks[place + 1 :])
        self._seq += 1
        trigger, said = Trigger.SCHEDULE, "184 MB in 3 files, verified"
        event = Event(self._seq, now, kind, self.citizen, task.name, outcome, said, trigger)
        self.snapshot = replace(self.snapshot, tasks=tasks, events=(*self.snapshot.events, event)[-KEPT:])
        self._changed.set()

    async def watch(self) -> AsyncIterator[Snapshot]:
        while True:
            self._changed.clear()
            yield self.snapshot
            await self._changed.wait()

    def pulse(self) -> Heartbeat:
        return Heartbeat()

    async def force(self, task: str, *, again: bool = False) -> Receipt:
        return Receipt()

    async def reset(self, task: str) -> Receipt:
        return Receipt()

    async def pause(self, task: str) -> Receipt:
        return Receipt()

    async def resume(self, task: str) -> Receipt:
        return Receipt()

    async def wake(self) -> Receipt:
        return Receipt()

    async def history(
        self, task: str | None = None, *, limit: int = 50, failed: bool = False, before: int | None = None
    ) -> tuple[RunRecord, ...]:
        return ()

    async def output(self, run: int) -> str:
        raise UnknownRun(run)

    async def explain(self, task: str) -> TaskDetails:
        return TaskDetails(task)

    async def slots(self, tasks: Collection[str], window: TimeGrid) -> Slots:
        return {}

    async def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]:
        return
        yield


class Crowd:
    """The fleet that they are."""

    def __init__(self, size: int) -> None:
        self.clock: Clock = SystemClock()
        self.can_hand_over = False
        self._chance = random.Random(size)
        self._people = [self._person(f"citizen{number:04}") for number in range(size)]

    async def watch(self) -> AsyncIterator[FleetView]:
        yield FleetView(tuple(self._people))
        await self._live()

    async def take_over(self, citizen: str) -> None: ...

    def _person(self, citizen: str) -> Person:
        now, tasks = self.clock.now(), []
        for name, every in zip(BUILT_IN, EVERY, strict=True):
            last = now - self._chance.random() * every
            failed = Failure(last, "Connection timeout") if self._chance.random() < 0.02 else None
            kind = TaskStatus.FAILED if failed else TaskStatus.OK
            due = last + every
            tasks.append(
                TaskView(name, kind, f"{every:g}s", due, last, last, 42, failed, int(failed is not None))
            )
        return Person(citizen, tuple(tasks), WakeView(7, now + 600 * self._chance.random()))

    async def _live(self) -> None:
        """Whenever one run ends another begins, so that the number that run stays."""
        running: deque[tuple[Person, int]] = deque()
        while True:
            if len(running) >= RUNNING:
                self._end(*running.popleft())
            running.append(self._begin())
            await asyncio.sleep(0.001 if len(running) < RUNNING else 2 / CHANGES)

    def _begin(self) -> tuple[Person, int]:
        while True:
            person, place = self._chance.choice(self._people), self._chance.randrange(len(BUILT_IN))
            task, now = person.snapshot.tasks[place], self.clock.now()
            if task.kind is not TaskStatus.RUNNING:
                person.put(
                    place, replace(task, kind=TaskStatus.RUNNING, running_since=now), now, "started", None
                )
                return person, place

    def _end(self, person: Person, place: int) -> None:
        task, now = person.snapshot.tasks[place], self.clock.now()
        done = replace(
            task, kind=TaskStatus.OK, running_since=None, since=now, due=now + EVERY[place], error=None
        )
        person.put(place, done, now, "finished", Outcome.OK)


if __name__ == "__main__":
    ExperienceApp(Crowd(int(sys.argv[1]))).run()
