"""A paid run that a freeze takes back between its entry in the ledger and its begin costs nothing."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scheduler.core.task import Command, WakeTask
from scheduler.engine.paid.paid_runs import PaidRuns
from scheduler.engine.wake import wake as wakes
from scheduler.process.process_info import Running
from scheduler.providers.outage import Probe, Refused
from scheduler.providers.outage_files import OutageFiles
from tests.fakes import NOON, until
from tests.unit.engine.paid.test_paid_tasks import agent, costs, times, under


class Held:
    """Keeps a thread where it is until `go`."""

    def __init__(self) -> None:
        self.reached, self.go = threading.Event(), threading.Event()

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def held(*arguments: Any) -> Any:
            self.reached.set()
            self.go.wait()
            return function(*arguments)

        return held

    def after(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def held(*arguments: Any) -> Any:
            answer = function(*arguments)
            self.reached.set()
            self.go.wait()
            return answer

        return held


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    made.go.set()


async def test_a_task_that_is_taken_back_while_it_is_entered(build, clock, home, held, monkeypatch):
    monkeypatch.setattr(PaidRuns, "_admit", held.after(PaidRuns._admit))
    scheduler = await build(agent(), spending=under(day="5"))
    await clock.advance(1)
    await until(held.reached.is_set, "it is entered")
    assert costs(home) == [None]
    await scheduler.freeze()
    held.go.set()
    await until(lambda: costs(home) == [], "its entry is cancelled")
    assert times(home) == 0


async def test_a_wake_that_is_taken_back_while_its_letter_is_written(build, clock, home, held, monkeypatch):
    outages = OutageFiles(home.parent, clock)
    outages.refused("anthropic", Refused(Probe("m", "mira", Running(1, 0.0, NOON)), "rate_limit", NOON))
    monkeypatch.setattr(wakes, "letter", held.before(wakes.letter))
    plan = WakeTask(work=Command(("true",)), report="claude", provider="anthropic")
    scheduler = await build(wake=plan, spending=under(day="5"))
    await clock.advance(1)
    await until(held.reached.is_set, "its letter is written")
    found = outages.of("anthropic")
    assert costs(home) == [None] and found and found.probe
    await scheduler.freeze()
    await until(lambda: costs(home) == [], "its entry is cancelled")
    await until(lambda: (found := outages.of("anthropic")) and not found.probe, "it is no probe any more")
