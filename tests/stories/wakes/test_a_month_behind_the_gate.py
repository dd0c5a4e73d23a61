"""A month in which nine times of ten nothing new awaits a citizen: what its wakes cost, when it answers."""

import asyncio
import os
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.schedules.schedule import Every
from scheduler.core.task import Call, Gate, WakeTask
from tests.fakes import NOON, FakeClock, settle

EVERY, TIMES = 7200.0, 360  # seconds from wake to wake, and how many make a month
IDLE = 0.9
PRICE = Decimal("0.15")  # dollars that the agent bills for each wake


class Agent:
    """Bills each wake, answers what is queued, and notes when."""

    def __init__(self, home: Path, clock: FakeClock) -> None:
        self.queue, self.clock = home / "tasks" / "queue", clock
        self.queue.mkdir(parents=True)
        self.bill = Decimal(0)
        self.answered: dict[str, float] = {}

    async def __call__(self, context: Any) -> str:
        self.bill += PRICE
        for name in context.options["queue"]:
            self.answered[name] = self.clock.now()
            (self.queue / name).unlink()
        return "done"


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads are done at once, and disks: a month of fake time has no patience for real ones."""

    async def at_once(function: Any, *given: Any) -> Any:
        return function(*given)

    monkeypatch.setattr(asyncio, "to_thread", at_once)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


async def a_month(build: Any, home: Path, gate: Gate | None) -> Agent:
    chance, clock = random.Random(7), FakeClock()
    build.home, build.clock = home, clock
    agent = Agent(home, clock)
    scheduler = await build(wake=WakeTask(schedule=Every(EVERY), work=Call(agent), gate=gate))
    for number in range(TIMES):
        if chance.random() > IDLE:
            await clock.advance(chance.uniform(1, EVERY - 60))
            (agent.queue / f"{number}.json").write_text("{}")
        await clock.advance(NOON + (number + 1) * EVERY + 1 - clock.now())
        while scheduler.snapshot().task("wake").running_since is not None:
            await settle()
    await scheduler.stop(0)
    return agent


async def test_the_cost_falls_by_the_idle_share_and_nothing_is_answered_later(build, tmp_path, inline):
    always = await a_month(build, tmp_path / "always", None)
    gated = await a_month(build, tmp_path / "gated", Gate(at_most=86400.0))
    assert always.bill == PRICE * (TIMES + 1)
    busy = len(always.answered)
    assert gated.bill <= PRICE * (busy + 31)  # and once a day in any case
    assert gated.bill < always.bill * Decimal(1 - IDLE + 0.1)
    assert gated.answered == always.answered and busy > TIMES * 0.05
