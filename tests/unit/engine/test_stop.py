"""Stopping a run: it ends as by a timeout, and counts as no failure; one that waits does not run."""

import asyncio
import contextlib
import threading
from typing import Any

import pytest

from scheduler.core.schedules.schedule import Cron
from scheduler.core.state import Failure, TaskState
from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Ping, TaskStatus
from scheduler.errors import NotRunning, SchedulerError, Stopping, TaskFailed
from scheduler.process.process_info import BOOT, Running, born
from scheduler.process.who import Who
from tests.each import each
from tests.fakes import NOON, until, us
from tests.unit.engine.test_engine import Gate, task

CT = Who("ct", "experience-tui", 4711)


class Noting:
    """A listener that notes how runs ended."""

    def __init__(self) -> None:
        self.ended: list[Outcome | None] = []

    def began(self, tasks: Any) -> None: ...

    def started(self, task: Any) -> None: ...

    def finished(self, task: Any, before: TaskState, after: TaskState) -> None:
        self.ended.append(after.outcome)

    def last_ping(self, task: str) -> Ping:
        return Ping(NOON - 125, "it answered 503")


async def test_a_stopped_run_is_no_failure_and_not_retried(build, clock):
    gate = Gate()
    scheduler = await build(task("slow", gate, every=600, retries=3, retry_delay=5))
    await clock.advance(60)
    receipt = await scheduler.stop_run("slow", who=CT)
    assert (receipt.text, receipt.run) == ("slow: stopped", 1)
    row = scheduler.snapshot().task("slow")
    assert (row.kind, row.outcome, row.text) == (TaskStatus.STOPPED, Outcome.STOPPED, "stopped by ct")
    assert (row.error, row.failures_in_a_row, row.run_count, row.last_success) == (None, 0, 1, None)
    assert row.due == NOON + 600 and gate.inside == 0
    last = scheduler.snapshot().events[-1]
    assert (last.kind, last.outcome, last.duration) == ("finished", Outcome.STOPPED, 60)
    await clock.advance(539)
    assert gate.entered == 1, "not before its time"
    await clock.advance(1)
    assert gate.entered == 2


async def test_slots_that_came_during_a_stopped_run_are_not_made_up(build, clock):
    gate = Gate()
    scheduler = await build(task("slow", gate, schedule=Cron("*/5 * * * *"), timeout=7200))
    await clock.advance(minutes=18)
    await scheduler.stop_run("slow", who=CT)
    assert scheduler.snapshot().task("slow").due == NOON + 20 * 60


async def test_a_stop_neither_lengthens_nor_ends_a_streak(build, clock):
    gate = Gate()

    async def work(context: Any) -> str:
        if context.trigger is Trigger.FORCE:
            return await gate(context)
        raise TaskFailed("no route")

    scheduler = await build(task("t", work, every=300))
    await clock.advance(300)
    assert scheduler.snapshot().task("t").failures_in_a_row == 2
    await scheduler.force("t")
    await clock.advance()
    await scheduler.stop_run("t", who=CT)
    row = scheduler.snapshot().task("t")
    assert (row.error, row.failures_in_a_row) == (None, 2), "the last run has not failed, nor succeeded"
    await clock.advance(300)
    row = scheduler.snapshot().task("t")
    assert (row.failures_in_a_row, row.kind) == (3, TaskStatus.FAILED)


async def test_what_is_not_running_cannot_be_stopped(build, clock, noting):
    scheduler = await build(noting())
    await clock.advance()
    with pytest.raises(NotRunning, match=r"^tick is not running$"):
        await scheduler.stop_run("tick", who=CT)


async def test_a_run_of_a_dead_owner_is_named_and_left_alone(build, clock, noting):
    orphan = Running(us(), born(us()) or 0.0, NOON - 60, BOOT)
    scheduler = await build(noting(), states={"tick": TaskState(last_run=NOON - 60, orphan=orphan)})
    with pytest.raises(NotRunning, match=rf"pid {us()} is of an owner that died; end it with: kill {us()}"):
        await scheduler.stop_run("tick", who=CT)


@each("forced", [False, True])
async def test_a_queued_run_is_taken_out_and_runs_at_its_next_time(build, clock, noting, runs, forced):
    gate = Gate()
    busy = task("busy", gate, every=7200, priority=1, timeout=7200)
    scheduler = await build(busy, noting(), workers=1)
    await clock.advance()
    if forced:
        await scheduler.force("tick")
    assert scheduler.snapshot().task("tick").queued
    receipt = await scheduler.stop_run("tick", who=CT)
    assert (receipt.text, receipt.run) == ("tick: was waiting; will not run", 0)
    row = scheduler.snapshot().task("tick")
    assert (row.queued, row.due, row.run_count, row.kind) == (False, NOON + 300, 0, TaskStatus.NEVER)
    gate.open.set()
    await clock.advance(299)
    assert runs == []
    await clock.advance(1)
    assert runs == [NOON + 300]


async def test_who_waits_for_a_run_that_is_taken_out_is_told(build, clock, noting):
    gate = Gate()
    scheduler = await build(task("busy", gate, every=7200, priority=1), noting(), workers=1)
    await clock.advance()
    receipt = await scheduler.force("tick")
    waiting = asyncio.create_task(scheduler.wait("tick", receipt.run))
    await clock.advance()
    await scheduler.stop_run("tick", who=CT)
    with pytest.raises(SchedulerError, match="taken out of the queue"):
        await waiting


async def test_a_slot_that_was_turned_down_does_not_come_back_after_a_restart(build, clock, noting, runs):
    due = TaskState(last_run=NOON - 7200, first_seen=NOON - 9000, schedule="0 * * * * UTC", slot=NOON - 7200)
    after = due.taken_out(NOON + 5, NOON)
    scheduler = await build(noting(schedule=Cron("0 * * * *")), states={"tick": after})
    await clock.advance(60)
    assert runs == [] and scheduler.snapshot().task("tick").due == NOON + 3600


async def test_a_retry_that_is_taken_out_is_not_tried_again(build, clock):
    state = TaskState(
        last_run=NOON - 60, error=Failure(NOON - 60, "no"), outcome=Outcome.FAILED, retry_at=NOON, attempt=1
    )
    gate = Gate()
    retried = task("t", gate, every=3600, retries=3)
    scheduler = await build(
        task("busy", Gate(), every=7200, priority=1), retried, states={"t": state}, workers=1
    )
    await clock.advance()
    await scheduler.stop_run("t", who=CT)
    row = scheduler.snapshot().task("t")
    assert (row.due, row.note) == (NOON + 3540, "")
    assert row.error is not None, "its last run has failed all the same"


async def test_the_run_that_was_forced_behind_it_starts_next(build, clock):
    gate = Gate()
    scheduler = await build(task("slow", gate, every=3600))
    await clock.advance()
    await scheduler.force("slow", again=True)
    receipt = await scheduler.stop_run("slow", who=CT)
    assert receipt.text == "slow: stopped; the run that was forced behind it starts next"
    await clock.advance()
    assert gate.entered == 2 and gate.inside == 1


async def test_a_thread_is_written_off_and_the_answer_says_so(build, clock):
    let_go, entered = threading.Event(), threading.Event()

    def thread(context: Any) -> str:
        entered.set()
        let_go.wait(20)
        return "late"

    scheduler = await build(task("slow", thread, every=3600))
    await clock.advance()
    await until(entered.is_set, "it runs")
    try:
        receipt = await scheduler.stop_run("slow", who=CT)
        assert "its thread cannot be killed" in receipt.text
        row = scheduler.snapshot().task("slow")
        assert (row.outcome, row.note) == (Outcome.STOPPED, "waits for thread")
        with pytest.raises(NotRunning, match="what its last run left still runs"):
            await scheduler.stop_run("slow", who=CT)
    finally:
        let_go.set()


async def test_a_deaf_coroutine_is_stopping_until_it_is_written_off(build, clock):
    gate = asyncio.Event()

    async def deaf(context: Any) -> str:
        while not gate.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await gate.wait()
        return ""

    scheduler = await build(task("slow", deaf, every=3600, timeout=3000))
    await clock.advance()
    receipt = await scheduler.stop_run("slow", who=CT)
    assert receipt.text == "slow: stopping" and scheduler.snapshot().task("slow").note == "stopping"
    await clock.advance(11)
    row = scheduler.snapshot().task("slow")
    assert (row.outcome, row.text) == (Outcome.STOPPED, "stopped by ct")
    gate.set()


async def test_listeners_hear_of_a_stop_and_a_shutting_scheduler_refuses(build, clock):
    scheduler, noted = await build(task("slow", Gate(), every=3600, ping="https://hc")), Noting()
    scheduler.add_listener(noted)
    await clock.advance()
    await scheduler.stop_run("slow", who=CT)
    assert noted.ended == [Outcome.STOPPED]
    facts = {each.label: each.words for each in (await scheduler.explain("slow")).facts}
    assert facts["ping"].endswith("on failed and ok; the last one failed 2m ago: it answered 503")
    await scheduler.stop(0)
    with pytest.raises(Stopping):
        await scheduler.stop_run("slow", who=CT)
