"""Waiting for a wake; the contract tests wait for forced runs."""

import asyncio
from dataclasses import replace

import pytest

from scheduler.control.session import wake_and_wait
from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Event, Snapshot, TaskStatus, TaskView
from scheduler.errors import SchedulerError
from tests.fakes import FakeControl, settle

IDLE = TaskView("news", TaskStatus.OK, "4h", run_count=4, last_run=1.0)
UNDER_WAY = replace(IDLE, kind=TaskStatus.RUNNING, running_since=5.0)
DONE = replace(IDLE, run_count=5, text="3 new")


def event(seq: int, kind: str, task: str = "news", **more: object) -> Event:
    given = {"trigger": Trigger.FORCE, **more}
    return Event(seq, 5.0, kind, "opus", task, **given)  # type: ignore[arg-type]  # the fields as they are


class Far(FakeControl):
    """A control whose newest snapshot is at hand, as a remote one's is."""

    def __init__(self, row: TaskView, *events: Event) -> None:
        super().__init__(Snapshot("opus", (row,), events=events))
        self.newest = self.snapshot
        self.snapshot = lambda: self.newest  # type: ignore[assignment, method-assign]  # a method there

    def now(self, row: TaskView, *events: Event, **more: object) -> None:
        self.newest = Snapshot("opus", (row,), events=events, **more)  # type: ignore[arg-type]  # as it is
        for changed in self._changed:
            changed.set()

    async def watch(self):
        changed = asyncio.Event()
        self._changed.append(changed)
        while True:
            yield self.newest
            await changed.wait()
            changed.clear()


async def test_a_wake_that_broke_is_an_error():
    control = Far(IDLE)
    wait = asyncio.create_task(wake_and_wait(control))
    await settle()
    control.now(IDLE, event(1, "started", "wake"))
    with pytest.raises(SchedulerError, match="opus: the wake broke; see its log"):
        await wait


async def test_a_wake_ends_with_what_it_came_to_or_with_its_owner():
    control = Far(IDLE, event(7, "finished", "wake", outcome=Outcome.FAILED))
    wait = asyncio.create_task(wake_and_wait(control))
    await settle()
    control.now(IDLE, event(8, "started", "wake"), event(9, "finished", "wake", outcome=Outcome.OK))
    assert (await wait).seq == 9
    wait = asyncio.create_task(wake_and_wait(control))
    await settle()
    control.now(IDLE, stale="its owner (pid 7) is gone")
    with pytest.raises(SchedulerError, match=r"opus: its owner \(pid 7\) is gone"):
        await wait
