"""A worker that is interrupted in the middle of a claim: what it claimed is carried all the same."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from procrastinate.testing import InMemoryConnector

from scheduler.cluster.database import Database
from scheduler.cluster.workers import run_rows
from scheduler.cluster.workers.procrastinate_jobs import _Taken
from scheduler.cluster.workers.run_rows import Claimed
from scheduler.cluster.workers.worker import Worker
from scheduler.config.settings import EngineSettings, Settings
from tests.cluster.desk import OK, Desk
from tests.cluster.postgres import Postgres
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

    async def _connected(self) -> Any:
        return self

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
    asking = asyncio.create_task(slow.take())
    await until(lambda: slow.claims, "it claims")
    asking.cancel()
    await asyncio.wait({asking})
    slow.answers.set()
    await until(lambda: slow.carried == [7], "it is carried")
    slow.done.set()


async def test_no_more_is_claimed_than_it_carries_at_a_time(slow: Slow) -> None:
    first = asyncio.create_task(slow.take())
    await until(lambda: slow.claims, "it claims")
    assert await slow.take() is None
    slow.answers.set()
    assert await first == 7 and await slow.take() is None and len(slow.claims) == 1
    slow.done.set()
    await slow.carry(7)
    assert await slow.take() == 7


async def test_a_claim_reads_its_own_rows_however_many_wait(desk: Desk, url: str) -> None:
    """Plans that were made for an empty queue read all waiting runs for each claim."""
    settings = Settings(root=Path("/nowhere"))
    worker = Worker(settings, lambda: settings, EngineSettings(url, "g1"), ["gpu"], 1, FakeClock())
    connection, carrier = await worker._connected(), await desk.enter()
    connection.prepare_threshold = 0
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute("VACUUM ANALYZE")
    assert await run_rows.claim_next(connection, ["gpu"], carrier) is None
    await asyncio.gather(*(desk.start(task=f"t{number}") for number in range(200)))
    async with connection.transaction():
        for _ in range(3):
            claimed = await run_rows.claim_next(connection, ["gpu"], carrier)
            assert claimed and await run_rows.finish(connection, claimed.run, carrier, OK)
        rows = await connection.execute(
            "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
        )
        assert await rows.fetchone() < (100,)
    await worker._close()


async def test_a_claim_that_fails_ends_the_hearing_and_takes_no_place(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise psycopg.OperationalError

    monkeypatch.setattr(run_rows, "claim_next", refuse)
    with pytest.raises(psycopg.Error):
        await slow.take()
    assert slow._unsure  # it may be on record
    await slow._look()
    assert not slow._unsure
    monkeypatch.setattr(run_rows, "claim_next", lambda *_: slow.answer(None))
    slow.answers.set()
    assert await slow.take() == 7
    slow.done.set()


async def test_a_worker_that_has_no_run_asks_for_none(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = list[int]()

    async def look() -> None:
        looks.append(len(looks))

    monkeypatch.setattr(slow, "_look", look)
    monkeypatch.setattr("scheduler.cluster.workers.worker.LOOK", 0.0)
    looking = asyncio.create_task(slow._look_forever())
    for _ in range(50):
        await asyncio.sleep(0)
    assert not looks
    slow._unsure = True
    await until(lambda: looks, "it looks")
    looking.cancel()


async def test_a_knock_during_a_claim_is_heard(server: Postgres) -> None:
    """Procrastinate forgets it when that claim is over, and would look again only after seconds."""
    url = server.new_database()
    claims, heard = list[int](), asyncio.Event()

    async def note(**notification: object) -> None:
        heard.set()

    async def take() -> int | None:
        claims.append(7)
        if len(claims) > 1:
            return 7
        while not heard.is_set():  # it may not listen yet
            await knocking.execute('NOTIFY "procrastinate_queue_v1#gpu"')
            await asyncio.sleep(0.01)
        return None

    manager = _Taken(InMemoryConnector(), Database(url), take)
    listening = asyncio.create_task(manager.listen_for_jobs(on_notification=note, queues=["gpu"]))
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as knocking:
        job = await manager.fetch_job(["gpu"], 1)
    assert job and job.id == 7
    listening.cancel()
    await asyncio.wait({listening})


async def test_an_answer_that_comes_under_another_lease_begins_nothing(slow: Slow) -> None:
    asking = asyncio.create_task(slow.take())
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
    assert await slow.take() == 7 and given_back == [7] * len(frozen)
    slow.done.set()


async def test_a_claim_whose_answer_was_lost_is_asked_for_again(slow: Slow) -> None:
    slow.asked = {7: False, 8: True}  # on record as its own, and it carries neither
    await slow._look()
    assert slow.finished == [8]  # its owner wants it no more
    slow.answers.set()
    assert await slow.take() == 7 and slow.claims == [7]
    await slow._look()
    slow.done.set()
    await slow.carry(7)
    await slow.take()
    assert slow.claims == [7, None]
