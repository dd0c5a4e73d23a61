"""Random histories of freezes, thaws, timed pauses and kills on the fake clock, many in a second.

What is judged: nothing starts later than a second after a freeze, by whichever process; everything goes on
afterwards; no slot runs twice; what passed in a freeze is not made up. FREEZE_HISTORIES sets how many.
"""

import asyncio
import os
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.schedules.freeze import Freeze
from scheduler.core.schedules.schedule import Cron, Every
from scheduler.core.task import Call, Task, Trigger
from scheduler.engine import task_registry
from scheduler.engine.freezing import MemoryFreezes
from scheduler.engine.options import SchedulerOptions
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import SchedulerError
from scheduler.executors.executor import Executor
from scheduler.process.who import Who
from scheduler.storage.state_store import Store
from tests.fakes import NOON, FakeClock

HISTORIES = int(os.environ.get("FREEZE_HISTORIES", "2000"))
GRACE = 1.0  # seconds after a freeze in which a start is all right
INTERVALS, CRONS = (40.0, 120.0, 300.0), ("* * * * *", "*/3 * * * *", "*/5 * * * *")
SCHEDULES = (*map(Every, INTERVALS), *map(Cron, CRONS))
SPANS = (0.1, 0.3, 1.0, 5.0, 40.0, 61.0, 200.0)
TAKES = (0.0, 0.0, 0.0, 3.0, 30.0)  # seconds of a run
CT = Who("ct")


@dataclass
class Start:
    task: str
    at: float
    trigger: Trigger


@dataclass
class World:
    """A citizen whose scheduler dies and comes back; `cold` are the times in which it was frozen."""

    dice: random.Random
    clock: FakeClock = field(default_factory=FakeClock)
    freezes: MemoryFreezes = field(default_factory=MemoryFreezes)
    saved: dict[str, Any] = field(default_factory=dict)
    starts: list[Start] = field(default_factory=list)
    cold: list[tuple[float, float]] = field(default_factory=list)
    resets: dict[str, list[float]] = field(default_factory=dict)
    pauses: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    story: list[str] = field(default_factory=list)
    scheduler: Scheduler | None = None
    since: float | None = None  # when the freeze began that is in force
    thawed: float = 0.0  # for the last time

    def __post_init__(self) -> None:
        count = self.dice.choice((1, 2, 3))
        self.tasks = [self._task(f"t{number}") for number in range(count)]

    def _task(self, name: str) -> Task:
        async def run(context: Any) -> str:
            self.starts.append(Start(name, self.clock.now(), context.trigger))
            over = asyncio.Event()
            self.clock.call_later(self.dice.choice(TAKES), over.set)
            await over.wait()
            return "ran"

        return Task(name, self.dice.choice(SCHEDULES), Call(run), catch_up=self.dice.random() < 0.7)

    # -------------------------------------------------------------- the process

    async def start(self) -> None:
        self.scheduler = Scheduler(
            "opus",
            Path("/nowhere/opus"),
            self.tasks,
            store=Store(dict(self.saved)),
            clock=self.clock,
            workers=Executor(),
            rules=SchedulerOptions(workers=self.dice.choice((1, 4)), journal=False),
            freezes=self.freezes,
        )
        await self.scheduler.start()

    def kill(self) -> None:
        """kill -9: what it would still do is lost; every start was saved before it."""
        if self.scheduler is None:
            return
        self.saved = dict(self.scheduler._registry.states)
        self.scheduler._dispatch.stop()
        self.scheduler._runner.kill_all()
        self.scheduler = None
        self.clock._by_wall.clear()
        self.clock._by_monotonic.clear()
        self.clock._jumped.clear()

    # -------------------------------------------------------------- time

    async def advance(self, seconds: float) -> None:
        """In steps that end where the freeze does, so that its end is known to the moment."""
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            freeze = self.freezes.note.last
            until = freeze.until if freeze and freeze.until is not None else end
            step = min(end, until if until > self.clock.now() else end) - self.clock.now()
            await self._pass(step)
            self.look()

    async def _pass(self, seconds: float) -> None:
        clock = self.clock
        left = seconds
        await _settle()
        while (step := clock._next(left)) is not None:
            clock.wall, clock.monotonic, left = clock.wall + step, clock.monotonic + step, left - step
            self.look()
            clock._ring()
            await _settle()
        clock.wall, clock.monotonic = clock.wall + left, clock.monotonic + left

    def look(self) -> None:
        """Note when a freeze begins and ends."""
        now = self.clock.now()
        frozen = self.freezes.read(now).now(now) is not None
        if frozen and self.since is None:
            self.since = now
        elif not frozen and self.since is not None:
            self.cold.append((self.since, now))
            self.since = None

    # -------------------------------------------------------------- what happens

    async def pass_time(self) -> None:
        await self.advance(self.dice.choice(SPANS) * self.dice.uniform(0.9, 1.1))

    async def freeze(self) -> None:
        until = None if self.dice.random() < 0.3 else self.clock.now() + self.dice.choice(SPANS)
        if self.scheduler and self.dice.random() < 0.5:
            await self.scheduler.freeze(until=until, who=CT)
        else:
            self.freezes.freeze(Freeze(self.clock.now(), until, "ct"))
        self.look()

    async def thaw(self) -> None:
        if self.scheduler and self.dice.random() < 0.5:
            await self.scheduler.thaw(who=CT)
        else:
            self.freezes.thaw(self.clock.now())
            if self.scheduler:  # as its fleet does, or the command
                self.scheduler.reload_if_edited()
        self.look()

    async def die(self) -> None:
        self.kill()
        await self.advance(self.dice.choice((0.0, 0.5, 5.0, 70.0, 400.0)))
        if self.dice.random() < 0.5:
            await self.dice.choice((self.freeze, self.thaw))()
            await self.advance(self.dice.choice(SPANS))
        await self.start()

    async def force(self) -> None:
        if self.scheduler:
            with suppress(SchedulerError):
                await self.scheduler.force(self.dice.choice(self.tasks).name)

    async def pause(self) -> None:
        if self.scheduler:
            name, now = self.dice.choice(self.tasks).name, self.clock.now()
            until = now + self.dice.choice(SPANS)
            known = self.pauses.setdefault(name, [])
            lasts = known.pop() if known and known[-1][1] > now else (now, until)
            known.append((lasts[0], until))  # a second pause begins with the first
            await self.scheduler.pause(name, until=until, who=CT)

    async def reset(self) -> None:
        if self.scheduler:
            name = self.dice.choice(self.tasks).name
            self.resets.setdefault(name, []).append(self.clock.now())
            await self.scheduler.reset(name)

    async def live(self) -> None:
        """A dozen things happen, then it is thawed and has its time."""
        happen: tuple[Callable[[], Coroutine[Any, Any, None]], ...] = (
            *(self.pass_time, self.freeze, self.thaw, self.die, self.force, self.pause, self.reset),
        )
        await self.start()
        for _ in range(self.dice.randint(4, 10)):
            await self.pass_time()
            step = self.dice.choices(happen, (2, 4, 3, 2, 1, 1, 1))[0]
            self.story.append(f"{self.clock.now() - NOON:9.2f} {step.__name__}")
            await step()
        if self.scheduler is None:
            await self.start()
        if self.dice.random() < 0.5:
            await self.thaw()
        else:  # it ends by itself
            self.freezes.freeze(Freeze(self.clock.now(), self.clock.now() + 5.0, "ct"))
            self.scheduler.reload_if_edited()
            self.look()
            await self.advance(6.0)
        self.thawed = self.clock.now()
        await self.advance(max(SPANS) + 301.0)  # the longest pause, and the longest way to a slot
        self.kill()


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


# ------------------------------------------------------------------ what must hold


def broken(world: World) -> list[str]:
    wrong = []
    for start in world.starts:
        for since, until in world.cold:
            if since + GRACE < start.at < until:
                wrong.append(f"{start.task} starts {start.at - since:.2f} s after a freeze")
    for task in world.tasks:
        mine = [start for start in world.starts if start.task == task.name]
        if not any(start.at >= world.thawed for start in mine):
            wrong.append(f"{task.name} does not go on after the thaw")
        wrong += twice(world, task, mine)
    return wrong


def twice(world: World, task: Task, starts: list[Start]) -> list[str]:
    """Runs by its schedule that serve the same slot as the one before, or none that was wanted."""
    schedule, resets = task.schedule, world.resets.get(task.name, [])
    wrong = []
    for before, start in pairwise(starts):
        asked = not _planned(start) or any(before.at <= reset <= start.at for reset in resets)
        every = isinstance(schedule, Every)
        slot = before.at + schedule.seconds - 0.2 if every else schedule.after(before.at)
        if not asked and start.at < slot:
            wrong.append(f"{task.name} runs a slot twice at {start.at - NOON:.2f}")
        elif not (asked or every or any(_wanted(world, task, slot) for slot in _slots(task, before, start))):
            wrong.append(f"{task.name} makes up at {start.at - NOON:.2f} what was not wanted")
    return wrong


def _slots(task: Task, before: Start, start: Start) -> Iterator[float]:
    slot = task.schedule.after(before.at)
    while slot <= start.at:
        yield slot
        slot = task.schedule.after(slot)


def _wanted(world: World, task: Task, slot: float) -> bool:
    away = (*world.cold, *world.pauses.get(task.name, []))
    return not any(since <= slot < until for since, until in away)


def _planned(start: Start) -> bool:
    return start.trigger in (Trigger.SCHEDULE, Trigger.CATCH_UP)


def test_no_history_breaks_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "to_thread", _at_once)
    monkeypatch.setattr(task_registry, "alive", lambda running: False)  # what was killed has no process here

    async def all_of_them() -> None:
        for seed in range(HISTORIES):
            world = World(random.Random(seed))
            await world.live()
            if wrong := broken(world):
                pytest.fail(f"seed {seed}: {wrong[0]}\n{story(world)}", pytrace=False)

    asyncio.run(all_of_them())


def story(world: World) -> str:
    names = ", ".join(f"{task.name}: {task.schedule}, catch up {task.catch_up}" for task in world.tasks)
    ran = [f"{start.at - NOON:9.2f} {start.task} {start.trigger}" for start in world.starts]
    cold = [f"{since - NOON:.2f} to {until - NOON:.2f}" for since, until in world.cold]
    return "\n".join([names, *world.story, f"frozen: {cold}", *ran])


async def _at_once(work: Callable[..., Any], *given: Any) -> Any:
    return work(*given)
