"""A task that the settings lose and get back has missed nothing, whatever it waited for meanwhile."""

import asyncio
from collections.abc import Callable
from typing import Any

from scheduler.core.schedules.schedule import Cron, Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Command, Task
from scheduler.engine.scheduler import Scheduler
from tests.each import each
from tests.fakes import NOON, Gate, state_of, until
from tests.unit.engine.test_engine import SlowStore

RAN = {"tick": TaskState(last_run=NOON)}


def lose_and_get_back(scheduler: Scheduler, task: Task) -> None:
    scheduler.set_tasks([])
    scheduler.set_tasks([task])


@each("ask", [Scheduler.force, Scheduler.reset])
async def test_what_was_asked_for_before_is_not_run(
    build: Any, clock: Any, noting: Callable[..., Task], runs: list[float], ask: Any
) -> None:
    gate, tick = Gate(), noting("tick", Cron("0 * * * *"))
    busy = Task("busy", Every(7200), Call(gate), timeout=7200)
    scheduler = await build(busy, tick, workers=1, states=RAN)
    await clock.advance()
    await ask(scheduler, "tick")
    scheduler.set_tasks([busy])
    gate.open.set()
    await clock.advance(100)
    scheduler.set_tasks([busy, tick])
    await clock.advance(199)
    assert runs == []


async def test_neither_its_forced_start_nor_the_run_after_it_is_made_up(
    build: Any, clock: Any, noting: Callable[..., Task], runs: list[float]
) -> None:
    store, tick = SlowStore(RAN), noting("tick")
    scheduler = await build(tick, store=store)
    await asyncio.gather(scheduler.force("tick"), scheduler.force("tick", again=True))
    lose_and_get_back(scheduler, tick)
    store.gate.set()
    await clock.advance(299)
    assert runs == []
    assert (await scheduler.force("tick")).saved
    await clock.advance()
    assert runs == [NOON + 299]


async def test_a_paid_run_that_was_about_to_begin_is_not_put_back(build: Any, clock: Any, home: Any) -> None:
    task = Task("tick", Every(300), Command(("sh", "-c", "echo x >> ran")), report="claude")
    scheduler = await build(task, states=RAN)
    await scheduler.force("tick")
    lose_and_get_back(scheduler, task)
    await until(lambda: scheduler.snapshot().task("tick").running_since is None, "it is taken back")
    row = scheduler.snapshot().task("tick")
    assert (row.due, row.run_count) == (NOON + 300, 0) and not (home / "ran").exists()


async def test_a_run_that_ends_with_its_removed_task_is_not_due_in_the_next_life(
    build: Any, clock: Any
) -> None:
    slow = Task("tick", Every(300), Call(Gate()))
    scheduler = await build(slow)
    await clock.advance()
    scheduler.set_tasks([])
    await scheduler.stop(0)
    assert not state_of(scheduler, "tick").due_now


async def test_what_is_asked_for_once_it_is_back_runs(build: Any, clock: Any) -> None:
    gate = Gate()
    slow = Task("tick", Every(300), Call(gate))
    scheduler = await build(slow, states=RAN)
    await scheduler.force("tick")
    lose_and_get_back(scheduler, slow)
    await scheduler.force("tick", again=True)
    await clock.advance()
    assert gate.inside == 1


async def test_one_that_was_removed_while_nothing_ran_has_missed_nothing_once_an_owner_saw_it(
    build: Any, clock: Any, noting: Callable[..., Task], runs: list[float]
) -> None:
    tick = noting("tick", Cron("0 * * * *"))
    with_it = await build(tick, states=RAN)
    await clock.advance(5400)
    await with_it.stop(0)
    without_it = await build(states={"tick": state_of(with_it, "tick")})
    await without_it.stop(0)
    await clock.advance(3 * 3600)
    again = await build(tick, states={"tick": state_of(without_it, "tick")})
    await clock.advance(5)
    assert (runs, again.snapshot().task("tick").due) == ([NOON + 3600], NOON + 5 * 3600)
