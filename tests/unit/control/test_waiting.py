"""Waiting for a forced run, also where so much happens that its events are gone before they are seen."""

import asyncio
from dataclasses import replace

import pytest

from scheduler.control.waiting import force_and_wait, outcome_of, wake_and_wait
from scheduler.core.state import Failure
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


async def waiting(control: Far) -> "asyncio.Task[Event]":
    task = asyncio.create_task(force_and_wait(control, "news"))
    await settle()
    return task


async def test_the_run_that_was_forced_is_the_one_that_counts():
    before = event(7, "finished", outcome=Outcome.FAILED, text="an old one")
    control = Far(IDLE, before)
    wait = await waiting(control)
    control.now(UNDER_WAY, before, event(8, "started", trigger=Trigger.SCHEDULE))
    other = event(9, "finished", trigger=Trigger.SCHEDULE, outcome=Outcome.FAILED, text="another")
    control.now(UNDER_WAY, before, other, event(10, "started"))
    await settle()
    assert not wait.done()
    control.now(
        DONE, other, event(10, "started"), event(11, "finished", outcome=Outcome.OK, text="\n 3 new\n")
    )
    assert outcome_of(await wait) == "news: ok: 3 new"


async def test_where_its_events_are_gone_its_row_is_believed():
    control = Far(IDLE, event(7, "reset"))
    wait = await waiting(control)
    control.now(UNDER_WAY, event(300, "finished", "other"))
    await settle()
    control.now(replace(DONE, queued=True), event(600, "finished", "other"))
    await settle()
    assert not wait.done(), "it is queued once more"
    control.now(replace(DONE, error=Failure(5.0, "no ink\nat all")), event(900, "finished", "other"))
    assert outcome_of(await wait) == "news: failed: no ink"


async def test_a_run_that_was_over_before_anything_was_seen_has_ended():
    control = Far(IDLE, event(7, "reset"))
    wait = await waiting(control)
    control.now(DONE, event(900, "finished", "other"))
    assert outcome_of(await wait) == "news: ok: 3 new"


@pytest.mark.parametrize(
    ("row", "more", "said"),
    [
        (UNDER_WAY, {"stale": "its owner (pid 7) is gone"}, r"opus: its owner \(pid 7\) is gone"),
        (replace(IDLE, missing="url"), {}, "news is not set up any more: it needs url"),
        (replace(IDLE, name="olds"), {}, "unknown task 'news'"),
    ],
)
async def test_a_wait_that_has_no_end_ends(row, more, said):
    control = Far(IDLE)
    wait = await waiting(control)
    control.now(row, **more)
    with pytest.raises(SchedulerError, match=said):
        await wait


async def test_a_wake_that_broke_is_said_to_have():
    control = Far(IDLE)
    wait = asyncio.create_task(wake_and_wait(control))
    await settle()
    control.now(IDLE, event(1, "wake started", ""))
    with pytest.raises(SchedulerError, match="the wake did not end as one should"):
        await wait
