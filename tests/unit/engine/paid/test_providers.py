"""A provider that is away: no failure of those who call it, no run calls it meanwhile, one tries it first."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.schedules.schedule import Every
from scheduler.core.state import Failure, TaskState
from scheduler.core.task import Call, Outcome, Task, WakeTask
from scheduler.engine.options import SchedulerOptions
from scheduler.engine.paid.shared_by_root import SharedByRoot, shared_by_root
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import SchedulerError, TaskFailed
from scheduler.executors.executor import Executor
from scheduler.providers.outage_files import OutageFiles
from scheduler.storage.state_store import Store
from tests import fakes
from tests.fakes import NOON, FakeClock, settle

LIMIT = "API error 429: usage limit reached, your limit resets at 3pm (UTC)"
BUSY = "the service is overloaded: 529 overloaded"


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """What blocks is done at once, so that a fake clock waits for it."""

    async def at_once(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return function(*arguments, **named)

    monkeypatch.setattr(asyncio, "to_thread", at_once)
    monkeypatch.setenv("TZ", "UTC")


class Service:
    """A provider, and how often it was called."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.refusal = clock, ""
        self.calls: list[tuple[str, float]] = []
        self.lasts = 0.0

    async def __call__(self, context: Any) -> str:
        self.calls.append((context.citizen, self.clock.now()))
        if self.lasts:
            done = asyncio.Event()
            self.clock.call_later(self.lasts, done.set)
            await done.wait()
        if self.refusal:
            raise TaskFailed(self.refusal)
        return "done"

    def task(self, name: str = "ask", every: float = 600.0, **more: Any) -> Task:
        return Task(name, Every(every), Call(self), provider="anthropic", **more)

    def wake(self, **more: Any) -> WakeTask:
        return WakeTask(**{"schedule": Every(600.0), "work": Call(self), "provider": "anthropic", **more})


@pytest.fixture
def service(clock: FakeClock) -> Service:
    return Service(clock)


class Root:
    """Citizens of one root, in one process or several."""

    def __init__(self, root: Path, clock: FakeClock) -> None:
        self.root, self.clock, self.workers = root, clock, Executor()
        self.schedulers: list[Scheduler] = []

    def shared(self) -> SharedByRoot:
        return shared_by_root(self.root, self.clock)

    async def citizen(
        self, name: str, *tasks: Task, shared: SharedByRoot | None = None, **rules: Any
    ) -> Scheduler:
        home = self.root / name
        home.mkdir()
        states = rules.pop("states", None)
        scheduler = Scheduler(
            name,
            home,
            tasks,
            store=Store(states),
            clock=self.clock,
            workers=self.workers,
            rules=SchedulerOptions(journal=False, **rules),
            shared=shared or self.shared(),
        )
        self.schedulers.append(scheduler)
        await scheduler.start()
        return scheduler


@pytest.fixture
async def root(tmp_path: Path, clock: FakeClock):
    root = Root(tmp_path, clock)
    yield root
    for scheduler in root.schedulers:
        scheduler.stop_now()
        await scheduler.stop(0)
    await root.workers.close()


def row(scheduler: Scheduler, name: str = "ask") -> Any:
    return scheduler.snapshot().task(name)


async def test_a_refusal_is_no_failure_and_the_run_comes_when_the_provider_said(root, clock, service):
    service.refusal = LIMIT
    scheduler = await root.citizen("mira", service.task(retries=3, timeout=60.0))
    await clock.advance(60)
    shown = row(scheduler)
    assert (shown.kind, shown.failures_in_a_row, shown.error, shown.run_count) == ("waits", 0, None, 0)
    assert shown.held.why == "waits for anthropic until 15:00 (usage limit)"
    assert shown.due == NOON + 3 * 3600
    (refused,) = [event for event in scheduler.snapshot().events if event.outcome is Outcome.REFUSED]
    assert refused.text == "refused by anthropic: usage limit, until 15:00"
    service.refusal, service.lasts = "", 600.0
    await clock.advance(3 * 3600 - 61)
    assert len(service.calls) == 1
    await clock.advance(2)
    assert len(service.calls) == 2 and row(scheduler).held is None
    await clock.advance(61)  # its limit, which counts once
    assert row(scheduler).run_count == 1 and row(scheduler).outcome is Outcome.TIMED_OUT


async def test_a_streak_and_averages_stay_as_they_were(root, clock, service):
    state = TaskState(last_run=NOON - 600, run_count=7, failures_in_a_row=2, last_duration=9.0)
    state = state.changed(error=Failure(NOON - 600, "x"), outcome=Outcome.FAILED)
    service.refusal = BUSY
    scheduler = await root.citizen("mira", service.task(), states={"ask": state})
    await clock.advance(1)
    shown = row(scheduler)
    assert (shown.failures_in_a_row, shown.last_duration, shown.run_count) == (2, 9.0, 7)
    assert shown.error is not None and shown.kind == "waits"


@pytest.mark.parametrize(
    "text", ["Not logged in", "credit balance is too low", "prompt is too long", "division by zero"]
)
async def test_what_waiting_cannot_help_is_a_failure(root, clock, service, text):
    service.refusal = text
    scheduler = await root.citizen("mira", service.task())
    await clock.advance(1)
    assert row(scheduler).error.text == text and row(scheduler).held is None


async def test_without_a_provider_the_same_words_are_a_failure(root, clock, service):
    service.refusal = LIMIT
    scheduler = await root.citizen("mira", Task("ask", Every(600), Call(service)))
    await clock.advance(1)
    assert row(scheduler).failures_in_a_row == 1


async def test_all_citizens_of_the_root_wait_and_those_of_another_provider_do_not(root, clock, service):
    service.refusal = BUSY
    await root.citizen("mira", service.task())
    await clock.advance(1)
    other = Service(clock)
    opus = await root.citizen("opus", service.task())
    aria = await root.citizen("aria", Task("ask", Every(600), Call(other), provider="openai"))
    await clock.advance(30)
    assert [name for name, _ in service.calls] == ["mira"] and len(other.calls) == 1
    assert row(opus).held.why == "waits for anthropic until 12:01 (overloaded)" and row(aria).held is None


async def test_one_tries_it_alone_and_the_rest_follow_within_a_minute_of_its_success(root, clock, service):
    service.refusal, service.lasts = BUSY, 20.0
    schedulers = [await root.citizen(f"c{n}", service.task(every=86_400)) for n in range(5)]
    await clock.advance(21)
    assert len(service.calls) == 5  # they began together, and are one refusal
    service.refusal = ""
    await clock.advance(65)
    assert len(service.calls) == 6
    assert sum(row(each).held is not None and "tries now" in row(each).held.why for each in schedulers) == 4
    await clock.advance(60)
    assert len(service.calls) == 10


async def test_a_probe_that_is_stopped_or_fails_by_itself_does_not_keep_the_others(root, clock, service):
    service.refusal = BUSY
    mira = await root.citizen("mira", service.task())
    await clock.advance(1)
    service.refusal, service.lasts = "", 500.0
    await clock.advance(61)
    opus = await root.citizen("opus", service.task())
    await clock.advance(1)
    assert len(service.calls) == 2 and row(opus).held is not None
    await mira.stop_run("ask")
    service.refusal, service.lasts = "", 0.0
    await clock.advance(60)
    assert [name for name, _ in service.calls] == ["mira", "mira", "opus"]
    assert root.shared().outages.all() == []


async def test_a_forced_run_waits_too_and_a_person_may_have_it_tried(root, clock, service):
    service.refusal = LIMIT
    scheduler = await root.citizen("mira", service.task())
    await clock.advance(1)
    with pytest.raises(
        SchedulerError, match=r"mira/ask waits for anthropic until 15:00 .* providers anthropic --retry"
    ):
        await scheduler.force("ask")
    assert len(service.calls) == 1
    OutageFiles(root.root, clock).retry("anthropic")
    service.refusal = ""
    await scheduler.force("ask")
    await clock.advance(1)
    assert len(service.calls) == 2 and root.shared().outages.all() == []


async def test_a_refused_wake_keeps_its_number_and_its_letter(root, clock, service):
    letters = []

    async def turn(context: Any) -> str:
        letters.append(context.options)
        return await service(context)

    async def found(context: Any) -> str:
        return "3 mails"

    service.refusal = LIMIT
    mail = Task("mail", Every(86_400), Call(found))
    scheduler = await root.citizen("mira", mail, wake=service.wake(work=Call(turn)))
    await clock.advance(60)
    assert scheduler.snapshot().wake.count == 0
    assert scheduler.snapshot().wake.note == "waits for anthropic until 15:00 (usage limit)"
    assert not (root.root / "mira" / "wake_log.json").exists()
    service.refusal = ""
    await clock.advance(3 * 3600)
    assert [each["wake"] for each in letters] == [1, 1]
    assert [[result["text"] for result in each["results"]] for each in letters] == [["3 mails"], ["3 mails"]]
    log = json.loads((root.root / "mira" / "wake_log.json").read_text())["wakes"]
    assert [entry["wake"] for entry in log] == [1]


async def test_no_alert_and_no_ping_tells_of_a_refusal(root, clock, service):
    said: list[str] = []

    class Listener:
        def began(self, tasks: Any) -> None: ...

        def started(self, task: Task) -> None: ...

        def held(self, task: Task, hold: Any) -> None:
            said.append(f"held: {hold.kind}")

        def finished(self, task: Task, before: TaskState, after: TaskState) -> None:
            said.append("finished")

    service.refusal = BUSY
    scheduler = await root.citizen("mira", service.task())
    scheduler.add_listener(Listener())
    await clock.advance(30)
    assert said == ["held: provider"]


async def test_a_provider_that_cannot_be_noted_makes_an_ordinary_failure(root, clock, service, monkeypatch):
    def full(self: Any, *arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(OutageFiles, "refused", full)
    service.refusal = BUSY
    scheduler = await root.citizen("mira", service.task())
    await clock.advance(1)
    assert row(scheduler).failures_in_a_row == 1


CITIZENS, AWAY = 100, 6 * 3600


async def test_six_hours_away_cost_a_hundred_citizens_one_call_for_each_pause(
    root, clock, service, monkeypatch
):
    """From 3,600 calls: a wake every ten minutes for each of them."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(fakes, "settle", lambda: settle(7))  # enough turns for one run, 40,000 times
    several = [root.shared() for _ in range(4)]  # processes
    schedulers = []
    for number in range(CITIZENS):  # their wakes are spread over the ten minutes
        scheduler = await root.citizen(f"c{number}", wake=service.wake(), shared=several[number % 4])
        schedulers.append(scheduler)
        await clock.advance(6)
    service.calls.clear()
    service.refusal, began = BUSY, clock.now()
    await clock.advance(AWAY)
    pauses = [60 * 2**n for n in range(5)]
    steps = 1 + len(pauses) + (AWAY - sum(pauses)) // 1800
    assert len(service.calls) <= steps + 1
    service.refusal = ""
    outage = several[0].outages.of("anthropic")
    assert outage is not None
    service.calls.clear()
    await clock.advance(outage.until - clock.now() + 15)
    assert len(service.calls) >= 1
    await clock.advance(60)
    assert len({name for name, _ in service.calls}) == CITIZENS
    assert began + AWAY <= clock.now()


async def test_one_event_says_that_the_provider_is_away_and_one_that_it_is_back(root, clock, service):
    service.refusal = LIMIT
    shared = root.shared()
    both = [
        await root.citizen("mira", service.task(), shared=shared),
        await root.citizen("opus", service.task(), shared=shared),
    ]
    await clock.advance(60)
    service.refusal = ""
    await clock.advance(hours=3, minutes=2)
    said = [event for each in both for event in each.snapshot().events if event.provider]
    assert [(event.about, event.kind) for event in said] == [("anthropic", "away"), ("anthropic", "back")]
    assert said[0].text.startswith("away until 15:00 (usage limit): runs that call it wait")
    assert said[1].text.startswith("back: ") and said[1].time >= NOON + 3 * 3600
