"""Tasks cost money like wakes: entered before they start, held by the budget, settled by what they say."""

import asyncio
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.costs import Budget, Price, RunCost, SpendingRules
from scheduler.core.schedules.active_hours import ActiveHours
from scheduler.core.schedules.schedule import Cron, Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Command, Llm, Outcome, Task, WakeTask
from scheduler.engine.paid.paid_runs import PaidRuns
from scheduler.errors import SchedulerError
from scheduler.spending.budget import spending
from scheduler.spending.ledger import SpendingLedger
from tests.fakes import NOON, state_of, until

DAY = date(2026, 3, 2)
RESULT = '{"type":"result","subtype":"success","session_id":"s","total_cost_usd":0.40}'
PRICES = {"small": Price(Decimal(1), Decimal(2))}


def agent(**more: Any) -> Task:
    return Task(
        "render",
        Every(3600),
        Command(("sh", "-c", f"echo '{RESULT}'; echo x >> ran")),
        report="claude",
        **more,
    )


def times(home: Path) -> int:
    return len((home / "ran").read_text().splitlines()) if (home / "ran").exists() else 0


def ledger(home: Path) -> SpendingLedger:
    found = SpendingLedger(home / ".experience")
    found.load()
    return found


def costs(home: Path) -> list[Decimal | None]:
    return [each.cost for each in ledger(home).charges(date.min, date.max)]


def under(prices: Any = None, **limits: str) -> SpendingRules:
    budget = Budget(**{name: Decimal(limit) for name, limit in limits.items()})
    return SpendingRules(budget, prices=prices or {})


class Recorder:
    """Keeps what the history gets."""

    def __init__(self) -> None:
        self.runs: list[Any] = []
        self.keep: Any = None

    def begin(self, notify: Any) -> None: ...

    def record(self, run: Any) -> None:
        self.runs.append(run)

    async def runs_of(self) -> None: ...

    async def close(self) -> None: ...


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


async def ran(clock: Any, scheduler: Any, count: int, name: str = "render") -> None:
    row = lambda: scheduler.snapshot().task(name)  # noqa: E731
    await clock.advance()
    await until(lambda: row().run_count >= count and row().running_since is None, f"{name} ran {count} times")


async def test_the_cost_of_a_task_is_in_the_ledger_and_in_its_history(build, clock, home, recorder):
    scheduler = await build(agent(), recorder=recorder)
    await ran(clock, scheduler, 1)
    assert costs(home) == [Decimal("0.40")]
    assert recorder.runs[-1].cost == RunCost("0.40", session="s")


async def test_a_task_that_could_pass_the_budget_does_not_start_and_free_tasks_do(
    build, clock, home, noting, runs
):
    scheduler = await build(agent(), noting(), spending=under(day="1.00"))
    for number in (1, 2):
        await clock.advance(3600 * (number - 1))
        await ran(clock, scheduler, number)
    await clock.advance(3600)
    row = scheduler.snapshot().task("render")
    assert row.held is not None and row.held.why == "over budget until 00:00 ($0.80 of $1.00)"
    assert (row.kind, row.due) == ("over budget", row.held.until)
    await clock.advance(7200)
    assert times(home) == 2 and len(runs) > 40
    said = [event.text for event in scheduler.snapshot().events if event.kind == "over budget"]
    assert said == ["over budget until 00:00 ($0.80 of $1.00)"]  # once
    with pytest.raises(SchedulerError, match=r"opus/render is over budget .* budget opus --add 2 --today"):
        await scheduler.force("render")
    await clock.advance(8 * 3600)
    await ran(clock, scheduler, 3)
    assert scheduler.snapshot().task("render").held is None


async def test_a_lifted_budget_lets_it_start_and_a_slot_without_catch_up_is_let_go(build, clock, home):
    ledger(home).enter("before", "render", DAY)
    ledger(home).settle("before", Decimal(9), None, None)
    strict = Task("strict", Cron("0 13 * * *"), Command(("true",)), report="file", catch_up=False)
    states = {"strict": TaskState(last_run=NOON - 82_800)}
    scheduler = await build(agent(), strict, spending=under(day="5"), states=states)
    await clock.advance(3700)
    assert times(home) == 0 and scheduler.snapshot().task("strict").held is not None
    ledger(home).add_to_budget(DAY, Decimal(20))
    await clock.advance(20)
    await ran(clock, scheduler, 1)
    await clock.advance(20)
    assert scheduler.snapshot().task("strict").run_count == 0


async def test_any_command_may_say_what_it_cost_and_is_held_by_the_budget_from_then_on(build, clock, home):
    write = 'echo x >> ran; echo \'{"cost_usd": 0.7}\' > "$EXPERIENCE_REPORT"'
    task = Task("render", Every(3600), Command(("sh", "-c", write)))
    scheduler = await build(task, spending=under(day="1"))
    await ran(clock, scheduler, 1)
    assert costs(home) == [Decimal("0.7")]
    await clock.advance(3600)
    assert scheduler.snapshot().task("render").held is not None and times(home) == 1


async def test_a_run_that_is_killed_with_its_owner_counts_as_the_dearest(build, clock, home):
    scheduler = await build(agent(timeout=5000), spending=under(day="1"))
    await ran(clock, scheduler, 1)
    slow = Command(("sh", "-c", "echo y >> ran; exec sleep 60"))
    scheduler.set_tasks([Task("render", Every(3600), slow, report="claude", timeout=5000)])
    await clock.advance(3600)
    await until(lambda: times(home) == 2, "it runs")
    assert costs(home) == [Decimal("0.40"), None]
    scheduler.stop_now()
    await scheduler.stop(0)
    found = ledger(home)
    assert spending(found.charges(DAY, DAY), found.dearest()).total == Decimal("0.80")


async def test_handlers_that_ask_a_model_with_a_price_are_paid_and_free_ones_only_counted(
    build, clock, home, recorder
):
    class Options:
        llm = True

    async def dream(context: Any) -> str:
        context.used("small", 1_000_000, 500_000)
        return "dreamt"

    def task(name: str) -> Task:
        return Task(name, Every(100_000), Call(dream), options=Options())

    scheduler = await build(
        task("render"), llm=Llm("http://x", "small"), spending=under(PRICES, day="1"), recorder=recorder
    )
    await ran(clock, scheduler, 1)
    assert costs(home) == [Decimal(2)]
    assert recorder.runs[-1].cost == RunCost("2", False, 1_000_000, 500_000, model="small")
    scheduler.set_tasks([task("again")])
    await clock.advance(10)
    assert scheduler.snapshot().task("again").held is not None  # what it will cost is unknown


async def test_tokens_without_a_price_are_in_the_history_alone(build, clock, home, recorder):
    async def dream(context: Any) -> str:
        context.used("llama", 10, 20)
        context.used("llama", 1, None)
        return "dreamt"

    scheduler = await build(Task("render", Every(100_000), Call(dream)), recorder=recorder)
    await ran(clock, scheduler, 1)
    assert costs(home) == []
    assert recorder.runs[-1].cost == RunCost(tokens_in=11, tokens_out=20, model="llama")


async def test_a_handler_that_breaks_or_is_ended_has_used_what_it_used(build, clock, home, recorder):
    async def dream(context: Any) -> str:
        context.used("small", 1_000_000, 0)
        raise ValueError("woken")

    scheduler = await build(
        Task("render", Every(100_000), Call(dream)), spending=under(PRICES), recorder=recorder
    )
    await ran(clock, scheduler, 1)
    assert recorder.runs[-1].outcome is Outcome.FAILED
    assert costs(home) == [Decimal(1)]


async def test_a_run_whose_tokens_are_being_noted_when_the_scheduler_stops_has_ended(
    build, clock, monkeypatch
):
    begun, noted, settle_used = asyncio.Event(), asyncio.Event(), PaidRuns.settle_used

    async def on_a_slow_disk(paid: PaidRuns, *run: Any) -> None:
        begun.set()
        await noted.wait()
        await settle_used(paid, *run)

    async def dream(context: Any) -> str:
        context.used("llama", 10, 20)
        return "dreamt"

    monkeypatch.setattr(PaidRuns, "settle_used", on_a_slow_disk)
    scheduler = await build(Task("render", Every(100_000), Call(dream)))
    await clock.advance()
    await begun.wait()
    stopping = asyncio.create_task(scheduler.stop(0))
    await asyncio.wait({stopping}, timeout=0.2)
    noted.set()
    await stopping
    assert state_of(scheduler, "render").outcome is Outcome.OK


async def test_a_task_whose_cost_cannot_be_noted_fails_and_does_not_run(build, clock, home):
    (home / ".experience").mkdir()
    (home / ".experience" / "spending.jsonl").mkdir()
    scheduler = await build(agent())
    await ran(clock, scheduler, 1)
    row = scheduler.snapshot().task("render")
    assert "not started: its cost cannot be noted" in row.error.text and times(home) == 0


async def test_a_paid_task_whose_slots_are_all_outside_its_hours_runs_when_forced(build, clock, home):
    never = {"schedule": Cron("0 3 * * *"), "active": ActiveHours("08:00-20:00"), "catch_up": False}
    scheduler = await build(replace(agent(), **never))
    assert scheduler.snapshot().task("render").due is None
    await scheduler.force("render")
    await ran(clock, scheduler, 1)
    assert (scheduler.snapshot().task("render").error, times(home)) == (None, 1)


async def test_wake_and_task_share_the_budget_of_their_citizen(build, clock, home):
    wake = WakeTask(schedule=Every(100_000), work=Command(("sh", "-c", f"echo '{RESULT}'")), report="claude")
    ledger(home).enter("before", "wake", DAY)
    ledger(home).settle("before", Decimal("0.5"), None, None)
    scheduler = await build(agent(), wake=wake, spending=under(day="0.90"))
    await clock.advance()
    await ran(clock, scheduler, 1)
    await until(lambda: scheduler.snapshot().wake.note.startswith("over budget"), "the wake is held")
