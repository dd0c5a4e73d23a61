"""A worker that is interrupted in the middle of a claim: what it claimed is carried all the same."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from scheduler.cluster.workers import run_rows
from scheduler.cluster.workers.run_rows import Claimed
from scheduler.cluster.workers.worker import Worker
from scheduler.config.settings import EngineSettings, Settings
from tests.fakes import FakeClock, until

CLAIMED = Claimed(7, "opus", "render", "", None, "", 1, "1", 1, "schedule", uuid4(), ())


class Slow(Worker):
    """Its database answers when it is asked to."""

    def __init__(self) -> None:
        settings = Settings(root=Path("/nowhere"))
        engine = EngineSettings("postgresql:///nowhere", "g1")
        super().__init__(settings, lambda: settings, engine, ["gpu"], 1, FakeClock())
        self.answers, self.done = asyncio.Event(), asyncio.Event()
        self.claims, self.carried, self.finished = list[int | None](), list[int](), list[int]()
        self.asked: dict[int, bool] = {}
        self.said = list[str]()

    async def _connected(self) -> Any:
        return self

    async def execute(self, query: str) -> None:
        self.said.append(query)

    async def answer(self, run: int | None) -> Claimed:
        self.claims.append(run)
        await self.answers.wait()
        return CLAIMED

    async def _carry(self, claimed: Claimed, worker: UUID) -> None:
        self.carried.append(claimed.run)
        await self.done.wait()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow()

    async def asked(*_: object) -> dict[int, bool]:
        return made.asked

    async def finish(connection: object, run: int, *_: object) -> bool:
        made.finished.append(run)
        return True

    monkeypatch.setattr(type(made._guard), "alive", True)
    monkeypatch.setattr(type(made._lease), "held", True)
    monkeypatch.setattr(run_rows, "claim_next", lambda *_: made.answer(None))
    monkeypatch.setattr(run_rows, "claim", lambda _, run, worker: made.answer(run))
    monkeypatch.setattr(run_rows, "asked", asked)
    monkeypatch.setattr(run_rows, "finish", finish)
    return made


async def test_what_was_claimed_is_carried_although_who_asked_is_gone(slow: Slow) -> None:
    asking = asyncio.create_task(slow.take(1))
    await until(lambda: slow.claims, "it claims")
    asking.cancel()
    await asyncio.wait({asking})
    slow.answers.set()
    await until(lambda: slow.carried == [7], "it is carried")
    slow.done.set()


async def test_no_more_is_claimed_than_it_carries_at_a_time(slow: Slow) -> None:
    first = asyncio.create_task(slow.take(1))
    await until(lambda: slow.claims, "it claims")
    assert await slow.take(1) is None
    slow.answers.set()
    assert await first == 7 and await slow.take(1) is None and len(slow.claims) == 1
    slow.done.set()
    await slow.carry(7)
    assert await slow.take(1) == 7


async def test_when_many_wait_claims_are_planned_anew_once(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By plans of an empty queue each claim of a thousand took the server ten milliseconds and more."""
    said = list[int]()
    slow.done.set()
    slow.answers.set()
    for _ in range(4):
        assert await slow.take(1) == 7
        await slow.carry(7)
        said.append(len(slow.said))
    assert said == [0, 0, 1, 1] and slow.said == ["DISCARD PLANS"]

    async def none(*_: object) -> None:
        return None

    monkeypatch.setattr(run_rows, "claim_next", none)
    assert await slow.take(1) is None and slow._in_a_row == 0


async def test_a_claim_that_fails_ends_the_hearing_and_takes_no_place(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Procrastinate may have forgotten the number under which this worker hears: it gets another one."""

    async def refuse(*_: object) -> None:
        raise psycopg.errors.ForeignKeyViolation

    monkeypatch.setattr(run_rows, "claim_next", refuse)
    with pytest.raises(psycopg.Error):
        await slow.take(1)
    monkeypatch.setattr(run_rows, "claim_next", lambda *_: slow.answer(None))
    slow.answers.set()
    assert await slow.take(2) == 7
    slow.done.set()


async def test_an_answer_that_comes_under_another_lease_begins_nothing(slow: Slow) -> None:
    asking = asyncio.create_task(slow.take(1))
    await until(lambda: slow.claims, "it claims")
    slow._lease.id = uuid4()
    slow.answers.set()
    assert await asking is None and slow.carried == []


async def test_what_was_claimed_during_a_freeze_is_given_back(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back: list[int] = []

    async def give_back(connection: object, run: int, worker: UUID) -> None:
        given_back.append(run)

    async def claim_next(*_: object) -> Claimed:
        return next(claims)

    monkeypatch.setattr(run_rows, "give_back", give_back)
    monkeypatch.setattr(run_rows, "claim_next", claim_next)
    now = slow._clock.now()
    lasts, is_over, for_ever = (
        json.dumps({"last": {"since": 1.0, "until": until}}) for until in (now + 1, now, None)
    )
    frozen = ([lasts], [is_over, lasts], [for_ever], ["{}", "not readable"])
    claims = (replace(CLAIMED, freezes=each) for each in (*frozen, ["{}", is_over]))
    for _ in frozen:
        assert await slow.take(1) is None
    assert given_back == [7] * len(frozen) and slow.carried == []
    assert await slow.take(1) == 7
    slow.done.set()


async def test_a_claim_whose_answer_was_lost_is_asked_for_again(slow: Slow) -> None:
    slow.asked = {7: False, 8: True}  # on record as its own, and it carries neither
    await slow._look()
    assert slow.finished == [8]  # its owner wants it no more
    slow.answers.set()
    assert await slow.take(1) == 7 and slow.claims == [7]
    await slow._look()
    slow.done.set()
    await slow.carry(7)
    await slow.take(1)
    assert slow.claims == [7, None]
