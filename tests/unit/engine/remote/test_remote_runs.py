"""A task with a queue: its run waits for a worker, begins where that is, and its time counts from there."""

import asyncio
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from scheduler.agents.report import AgentReport
from scheduler.core.schedules.active_hours import ActiveHours
from scheduler.core.schedules.schedule import Every
from scheduler.core.task import Call, Command, Context, Outcome, Task
from scheduler.core.views import HoldKind, TaskStatus
from scheduler.engine.remote_runs import Began, Wanted
from scheduler.engine.run import RunHandle
from scheduler.engine.scheduler import Scheduler
from scheduler.executors.result import Result
from scheduler.spending.ledger import SpendingLedger
from tests.fakes import state_of, until
from tests.unit.engine.paid.test_paid_tasks import DAY, costs, ledger, under
from tests.unit.engine.remote.test_fenced_store import Fenced

HOUR = 3600.0
HOURS = ActiveHours("10:00-14:00")


class Elsewhere:
    """Workers that begin and end a run when they are asked to."""

    def __init__(self) -> None:
        self.free, self.done = asyncio.Event(), asyncio.Event()
        self.asked = self.cancelled = 0
        self.reported: AgentReport | None = None

    async def run(
        self, task: Task, context: Context, run: RunHandle, began: Began, wanted: Wanted
    ) -> Result | None:
        self.asked += 1
        try:
            while not self.free.is_set():
                if not wanted():
                    return None
                await asyncio.sleep(0.001)
            await began("g1")
            await self.done.wait()
            run.reported = self.reported
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Result(Outcome.OK, "rendered")


def render(**more: Any) -> Task:
    return Task("render", Every(300), Call(lambda context: "here"), queue="gpu", **more)


def paid() -> Task:
    return Task("render", Every(3600), Command(("true",)), queue="gpu", report="file")


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
    assert state_of(scheduler, "render").starting
    elsewhere.free.set()
    await until(lambda: not state_of(scheduler, "render").starting, "it began")


async def test_a_citizen_that_is_not_shared_has_no_workers(build, clock):
    scheduler = await build(render())
    await clock.advance(1)
    task = scheduler.snapshot().tasks[0]
    assert task.error and task.error.text.startswith("opus is not shared, so no gpu worker may run it: ")
    assert task.error.text.endswith("engine join opus")


async def test_what_may_not_begin_any_more_is_taken_back_and_due_as_before(build, clock):
    async def by_a_freeze(scheduler: Scheduler) -> None:
        await scheduler.freeze()

    async def by_a_pause(scheduler: Scheduler) -> None:
        await scheduler.pause("render")

    async def by_its_hours(scheduler: Scheduler) -> None:
        await clock.advance(3 * HOUR)

    async def by_settings(scheduler: Scheduler) -> None:
        scheduler.set_tasks([render(active=HOURS, enabled=False)])

    async def back(scheduler: Scheduler) -> None:
        await scheduler.thaw()
        await scheduler.resume("render")
        scheduler.set_tasks([render()])

    for take in (by_a_freeze, by_a_pause, by_settings, by_its_hours):
        elsewhere, store = Elsewhere(), Fenced()
        scheduler = await build(render(active=HOURS), carrier=elsewhere, store=store)
        before = state_of(scheduler, "render")
        await clock.advance(1)
        await until(lambda elsewhere=elsewhere: elsewhere.asked == 1, "it waits for a worker")
        await take(scheduler)
        await until(lambda store=store: store.put_back == ["render"], "it is taken back")
        await clock.advance(1)
        row, after = scheduler.snapshot().tasks[0], state_of(scheduler, "render")
        assert (row.run_count, row.outcome, row.running_since) == (0, None, None), take
        assert (after.last_run, after.due_now, after.slot) == (before.last_run, before.due_now, before.slot)
        assert elsewhere.asked == 1 and elsewhere.cancelled == 0
        await back(scheduler)
        await clock.advance(300)
        await until(lambda elsewhere=elsewhere: elsewhere.asked == 2, "it waits again")
        await scheduler.stop(0)


async def test_with_other_settings_it_is_handed_over_again(build, clock):
    scheduler = await build(render(), carrier=(elsewhere := Elsewhere()), store=(store := Fenced()))
    await clock.advance(1)
    scheduler.set_tasks([render(options={"size": 2})])
    await until(lambda: store.put_back == ["render"], "it is taken back")
    await clock.advance(1)
    assert elsewhere.asked == 2
    assert [start.remote and start.remote.options for start in store.asked] == [None, {"size": 2}]


async def test_what_a_person_asked_for_waits_through_a_pause_and_not_through_a_freeze(build, clock):
    scheduler = await build(render(), carrier=(elsewhere := Elsewhere()), store=(store := Fenced()))
    await scheduler.pause("render")
    await scheduler.force("render")
    await until(lambda: elsewhere.asked, "it waits for a worker")
    await asyncio.sleep(0.05)
    assert store.put_back == []
    await scheduler.freeze()
    await until(lambda: store.put_back, "it is taken back")
    await scheduler.thaw()
    await clock.advance(1)
    await until(lambda: elsewhere.asked == 2, "it is asked for still")


async def test_what_a_run_on_a_worker_costs_is_counted_from_before_it_is_handed_over(build, clock, home):
    elsewhere, store = Elsewhere(), Fenced()
    scheduler = await build(paid(), carrier=elsewhere, store=store, spending=under(day="1.00"))
    await clock.advance(1)
    await until(lambda: elsewhere.asked == 1, "it waits for a worker")
    (charge,) = ledger(home).charges(date.min, date.max)
    assert (store.asked[0].charge, charge.cost) == (charge.run, None)
    elsewhere.reported = AgentReport(cost=Decimal("0.60"))
    elsewhere.free.set()
    elsewhere.done.set()
    await until(lambda: scheduler.snapshot().tasks[0].run_count == 1, "it ended")
    assert costs(home) == [Decimal("0.60")]
    await clock.advance(3601)
    held = scheduler.snapshot().tasks[0].held
    assert held and held.why.startswith("over budget") and elsewhere.asked == 1  # two would be 1.20


async def test_a_run_that_waits_is_taken_back_when_it_could_pass_its_budget(build, clock, home, monkeypatch):
    """It was entered yesterday, and waits: it counts today, and others have spent meanwhile."""
    monkeypatch.setattr("scheduler.engine.remote_runs.CHECK_EVERY", 0.0)
    elsewhere, store = Elsewhere(), Fenced()
    scheduler = await build(paid(), carrier=elsewhere, store=store, spending=under(day="1.00"))
    await clock.advance(1)
    await until(lambda: elsewhere.asked == 1, "it waits for a worker")
    await clock.advance(86400)
    await until(
        lambda: [c.day for c in ledger(home).charges(date.min, date.max)] == [DAY + timedelta(1)], "moved"
    )
    spent = SpendingLedger(home / ".experience")
    spent.enter("other", "other", DAY + timedelta(1))
    spent.settle("other", Decimal("1.50"), None, None)
    await until(lambda: store.put_back == ["render"], "it is taken back")
    await until(lambda: costs(home) == [Decimal("1.50")], "it is counted no more")
    await clock.advance(1)
    held = scheduler.snapshot().tasks[0].held
    assert held and held.why.startswith("over budget") and elsewhere.asked == 1


async def test_one_that_was_stopped_before_it_began_cost_nothing(build, clock, home):
    class Dropped(Elsewhere):
        async def run(self, task, context, run, began, wanted):
            try:
                return await super().run(task, context, run, began, wanted)
            except asyncio.CancelledError:
                run.never_began = True
                raise

    scheduler = await build(paid(), carrier=(elsewhere := Dropped()), store=Fenced())
    await clock.advance(1)
    await until(lambda: elsewhere.asked, "it waits for a worker")
    assert costs(home) == [None]
    await scheduler.stop_run("render")
    await until(lambda: scheduler.snapshot().tasks[0].outcome is Outcome.STOPPED, "it was stopped")
    assert costs(home) == []


async def test_a_cost_of_which_nothing_was_known_before_is_counted_too(build, clock, home):
    scheduler = await build(render(), carrier=(elsewhere := Elsewhere()), store=Fenced())
    elsewhere.reported = AgentReport(cost=Decimal("0.10"))
    elsewhere.free.set()
    elsewhere.done.set()
    await clock.advance(1)
    await until(lambda: scheduler.snapshot().tasks[0].run_count == 1, "it ended")
    assert costs(home) == [Decimal("0.10")]
