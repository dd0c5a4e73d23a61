"""A task with a queue and a provider: its run tries the provider where it begins, never while it waits."""

import asyncio
from pathlib import Path
from typing import Any

from scheduler.core.schedules.schedule import Every
from scheduler.core.task import Command, Context, Outcome, Task
from scheduler.core.views import HoldKind
from scheduler.engine.remote_runs import Began, Wanted
from scheduler.engine.run import RunHandle
from scheduler.executors.result import Result
from scheduler.process.process_info import Running
from scheduler.providers.outage import Outage, Probe, Refused
from scheduler.providers.outage_files import OutageFiles
from tests.fakes import NOON, FakeClock, until
from tests.unit.engine.remote.test_fenced_store import Fenced
from tests.unit.engine.remote.test_remote_runs import Elsewhere

HOUR = 3600.0
ASK = Task("ask", Every(HOUR), Command(("true",)), queue="gpu", provider="anthropic")


class Answering(Elsewhere):
    """Workers that end a run with this result, which has begun there or not."""

    def __init__(self, result: Result, *, begins: bool = True) -> None:
        super().__init__()
        self.result, self.begins = result, begins
        self.free.set()
        self.done.set()

    async def run(
        self, task: Task, context: Context, run: RunHandle, began: Began, wanted: Wanted
    ) -> Result | None:
        await super().run(task, context, run, began, wanted)
        run.never_began = not self.begins
        return self.result


def outages(home: Path, clock: FakeClock) -> OutageFiles:
    return OutageFiles(home.parent, clock)


def refuse(home: Path, clock: FakeClock, moment: float = NOON + 600) -> Outage:
    run = Probe("mira-1", "mira", Running(1, 0.0, NOON))
    return outages(home, clock).refused("anthropic", Refused(run, "rate_limit", moment))


def why(scheduler: Any) -> str:
    held = scheduler.snapshot().tasks[0].held
    return held.why if held and held.kind is HoldKind.PROVIDER else ""


async def waits(scheduler: Any, clock: FakeClock) -> None:
    """Return when the task waits for its provider."""
    while not why(scheduler):
        await asyncio.sleep(0.005)
        await clock.advance(0.1)


async def test_while_it_waits_for_a_worker_it_is_no_probe(build, clock, home):
    refuse(home, clock)
    elsewhere = Elsewhere()
    scheduler = await build(ASK, carrier=elsewhere, store=Fenced())
    await clock.advance(60)
    assert why(scheduler).startswith("waits for anthropic until 12:10") and elsewhere.asked == 0
    await clock.advance(600)
    await until(lambda: elsewhere.asked == 1, "it waits for a worker")
    found = outages(home, clock).of("anthropic")
    assert found and found.probe is None


async def test_a_run_that_waits_is_taken_back_when_its_provider_goes_away(build, clock, home, monkeypatch):
    monkeypatch.setattr("scheduler.engine.remote_runs.CHECK_EVERY", 0.0)
    scheduler = await build(ASK, carrier=(elsewhere := Elsewhere()), store=(store := Fenced()))
    await clock.advance(1)
    await until(lambda: elsewhere.asked == 1, "it waits for a worker")
    refuse(home, clock)
    await until(lambda: store.put_back == ["ask"], "it is taken back")
    await waits(scheduler, clock)
    assert elsewhere.asked == 1


async def test_a_worker_that_may_not_begin_it_gives_it_back_and_it_stays_due(build, clock, home):
    closed = Result(Outcome.SKIPPED, "waits for anthropic, which mira tries now")
    elsewhere = Answering(closed, begins=False)
    scheduler = await build(ASK, carrier=elsewhere, store=(store := Fenced()))
    await clock.advance(1)
    await until(lambda: elsewhere.asked, "a worker was asked")
    refuse(home, clock)
    await waits(scheduler, clock)
    assert store.put_back and scheduler.snapshot().tasks[0].run_count == 0
    elsewhere.result, elsewhere.begins = Result(Outcome.OK, code=0), True
    await clock.advance(700)
    await until(lambda: scheduler.snapshot().tasks[0].run_count == 1, "it ran when it might")


async def test_what_its_program_says_there_holds_all_others_here(build, clock, home):
    refused = Result(Outcome.FAILED, "exit 1: 429 too many requests", code=1)
    scheduler = await build(ASK, carrier=Answering(refused), store=Fenced())
    await clock.advance(1)
    await until(lambda: outages(home, clock).of("anthropic"), "the provider is away")
    await waits(scheduler, clock)
    assert scheduler.snapshot().tasks[0].failures_in_a_row == 0


async def test_a_program_that_a_worker_cannot_start_has_not_tried_its_provider(build, clock, home):
    outage = refuse(home, clock)
    missing = Result(Outcome.FAILED, "g1 has no program claude")
    elsewhere = Answering(missing)
    scheduler = await build(ASK, carrier=elsewhere, store=Fenced())
    await clock.advance(601)
    await until(lambda: scheduler.snapshot().tasks[0].failures_in_a_row == 1, "it failed")
    assert outages(home, clock).of("anthropic") == outage
