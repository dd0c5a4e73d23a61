"""A task with a queue: its run waits for a worker, begins where that is, and its time counts from there."""

import asyncio
from typing import Any

from scheduler.core.schedules.schedule import Every
from scheduler.core.task import Call, Context, Outcome, Task
from scheduler.core.views import HoldKind, TaskStatus
from scheduler.engine.remote import Began
from scheduler.engine.run import RunHandle
from scheduler.executors import Result
from tests.fakes import until


class Elsewhere:
    """Workers that begin and end a run when they are asked to."""

    def __init__(self) -> None:
        self.free, self.done, self.cancelled = asyncio.Event(), asyncio.Event(), 0

    async def run(self, task: Task, context: Context, run: RunHandle, began: Began) -> Result:
        try:
            await self.free.wait()
            await began("g1")
            await self.done.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Result(Outcome.OK, "rendered")


def render(**more: Any) -> Task:
    return Task("render", Every(300), Call(lambda context: "here"), queue="gpu", **more)


async def test_it_waits_for_a_worker_and_says_where_it_runs(build, clock):
    elsewhere = Elsewhere()
    scheduler = await build(render(), carrier=elsewhere)
    await clock.advance(60)
    waits = scheduler.snapshot().tasks[0]
    assert (waits.kind, waits.note, waits.running_since) == (TaskStatus.WAITS, "waits for a gpu worker", None)
    assert waits.held and (waits.held.kind, waits.held.about) == (HoldKind.QUEUE, "gpu")
    elsewhere.free.set()
    await until(lambda: scheduler.snapshot().tasks[0].where == "g1", "a worker began it")
    runs = scheduler.snapshot().tasks[0]
    assert (runs.kind, runs.queue, runs.held) == (TaskStatus.RUNNING, "gpu", None)
    assert runs.running_since == clock.now()  # not since it waits
    await clock.advance(7)
    elsewhere.done.set()
    await until(lambda: scheduler.snapshot().tasks[0].run_count == 1, "it ended")
    ended = scheduler.snapshot().tasks[0]
    assert (ended.text, ended.where, ended.kind) == ("rendered", "", TaskStatus.OK)
    assert ended.last_duration == 7.0


async def test_its_timeout_counts_from_when_a_worker_begins_it(build, clock):
    elsewhere = Elsewhere()
    scheduler = await build(render(timeout=10.0), carrier=elsewhere)
    await clock.advance(200)
    assert elsewhere.cancelled == 0
    elsewhere.free.set()
    await until(lambda: scheduler.snapshot().tasks[0].where == "g1", "a worker began it")
    await clock.advance(9)
    assert elsewhere.cancelled == 0
    await clock.advance(2)
    assert elsewhere.cancelled == 1
    assert scheduler.snapshot().tasks[0].outcome is Outcome.TIMED_OUT


async def test_a_crash_while_it_waits_and_it_never_began(build, clock):
    elsewhere = Elsewhere()
    scheduler = await build(render(), carrier=elsewhere)
    await clock.advance(1)
    assert scheduler._registry.states["render"].starting
    elsewhere.free.set()
    await until(lambda: not scheduler._registry.states["render"].starting, "it began")


async def test_a_citizen_that_is_not_shared_has_no_workers(build, clock):
    scheduler = await build(render())
    await clock.advance(1)
    task = scheduler.snapshot().tasks[0]
    assert task.error and task.error.text.startswith("opus is not shared, so no gpu worker may run it: ")
    assert task.error.text.endswith("engine join opus")
