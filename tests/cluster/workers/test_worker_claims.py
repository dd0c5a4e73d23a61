"""A worker whose knock is taken back in the middle of its claim: what it claimed is carried all the same."""

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from scheduler.cluster.remote.rows import Claimed
from scheduler.cluster.remote.worker import Worker
from scheduler.config.settings import EngineSettings, Settings
from tests.fakes import FakeClock, until

CLAIMED = Claimed(7, "opus", "render", "", None, 1, "1", 1, "schedule", uuid4())


class Slow(Worker):
    """Its database answers when it is told to."""

    def __init__(self) -> None:
        settings = Settings(root=Path("/nowhere"))
        engine = EngineSettings("postgresql:///nowhere", "g1")
        super().__init__(settings, lambda: settings, engine, ["gpu"], 1, FakeClock())
        self.answers, self.done = asyncio.Event(), asyncio.Event()
        self.claims, self.carried = 0, list[int]()

    async def _claim(self, run: int) -> tuple[UUID, Claimed | None]:
        self.claims += 1
        worker = self._lease.id
        await self.answers.wait()
        return worker, CLAIMED

    async def _carry(self, claimed: Claimed, worker: UUID) -> None:
        self.carried.append(claimed.run)
        await self.done.wait()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow()
    monkeypatch.setattr(type(made._guard), "alive", True)
    monkeypatch.setattr(type(made._lease), "held", True)
    return made


async def test_what_was_claimed_is_carried_although_the_knock_is_gone(slow: Slow) -> None:
    knock = asyncio.create_task(slow.carry(7))
    await until(lambda: slow.claims, "it claims")
    knock.cancel()
    await asyncio.wait({knock})
    slow.answers.set()
    await until(lambda: slow.carried == [7], "it is carried")
    slow.done.set()


async def test_a_second_knock_for_the_same_run_is_let_go(slow: Slow) -> None:
    first = asyncio.create_task(slow.carry(7))
    await until(lambda: slow.claims, "it claims")
    await slow.carry(7)
    assert slow.claims == 1
    slow.answers.set()
    slow.done.set()
    await first


async def test_an_answer_that_comes_under_another_lease_begins_nothing(slow: Slow) -> None:
    knock = asyncio.create_task(slow.carry(7))
    await until(lambda: slow.claims, "it claims")
    slow._lease.id = uuid4()
    slow.answers.set()
    await knock
    assert slow.carried == []
