"""Who watches through the socket: one message for all, a few at a time, the newest for the slow ones."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from itertools import count, pairwise
from typing import Any

import pytest

from scheduler.control import messages as wire
from scheduler.control.audience import FEW, Broadcaster
from scheduler.core.views import Event, Snapshot
from scheduler.engine.event_bus import Subscribers
from tests.fakes import settle


class Citizen:
    """What is shown: its snapshot is another one after each event."""

    def __init__(self) -> None:
        self.subscribers = Subscribers()
        self.events: tuple[Event, ...] = ()
        self._numbers = count(1)

    def snapshot(self) -> Snapshot:
        return Snapshot("opus", events=self.events)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self.subscribers.add(callback)

    def happens(self) -> None:
        number = next(self._numbers)
        self.events = (*self.events, Event(number, float(number), "started", "opus", "tick"))
        self.subscribers.tell()


class Client:
    """A writer, and its transport, whose other end takes all or nothing."""

    def __init__(self) -> None:
        self.transport = self
        self.sent: list[bytes] = []
        self.waiting = 0
        self.gone = False
        self._takes = asyncio.Event()
        self._takes.set()

    def told(self) -> list[list[int]]:
        """The events in each message."""
        return [[each["seq"] for each in json.loads(line)["params"].get("events", ())] for line in self.sent]

    def stop_taking(self) -> None:
        self._takes.clear()

    def take(self) -> None:
        self.waiting = 0
        self._takes.set()

    def write(self, message: bytes) -> None:
        self.sent.append(message)
        self.waiting += 0 if self._takes.is_set() else len(message)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    async def drain(self) -> None:
        await self._takes.wait()

    def abort(self) -> None:
        self.gone = True


@pytest.fixture
def citizen() -> Citizen:
    return Citizen()


@pytest.fixture
async def audience(citizen: Citizen) -> AsyncIterator[Broadcaster]:
    audience = Broadcaster(citizen)
    yield audience
    for seat in list(audience._seats):
        audience.leave(seat)
    await settle()


def enter(audience: Broadcaster, told: int = 0) -> tuple[Client, Any]:
    client: Any = Client()
    return client, audience.enter(client, told)


async def test_each_is_shown_everything_once_and_from_where_it_was(citizen, audience):
    citizen.happens()
    citizen.happens()
    new, _ = enter(audience)
    back, _ = enter(audience, told=1)
    await settle()
    citizen.happens()
    await settle()
    assert new.told() == [[1, 2], [3]]
    assert back.told() == [[2], [3]]


async def test_a_snapshot_is_made_once_however_many_watch(citizen, audience, monkeypatch):
    clients = [enter(audience)[0] for _ in range(40)]
    await settle()
    made: list[int] = []
    real = wire.snapshot_message
    monkeypatch.setattr(wire, "snapshot_message", lambda *given: (made.append(1), real(*given))[1])
    citizen.happens()
    await settle()
    assert len(made) == 1
    assert all(client.told() == [[], [1]] for client in clients)


async def test_a_few_are_served_in_one_turn_so_that_a_run_that_is_due_does_not_wait(citizen, audience):
    clients = [enter(audience)[0] for _ in range(5 * FEW)]
    await settle()
    citizen.happens()
    served = [0]
    while served[-1] < len(clients):
        await asyncio.sleep(0)
        served.append(sum(len(client.sent) == 2 for client in clients))
    steps = [after - before for before, after in pairwise(served)]
    assert max(steps) <= FEW


async def test_one_that_takes_nothing_holds_one_message_and_then_gets_the_newest(citizen, audience):
    slow, _ = enter(audience)
    quick, _ = enter(audience)
    await settle()
    slow.stop_taking()
    for _ in range(20):
        citizen.happens()
        await settle()
    assert slow.told() == [[], [1]]
    assert len(quick.sent) == 21
    slow.take()
    await settle()
    assert slow.told() == [[], [1], list(range(2, 21))]


async def test_one_that_never_takes_anything_is_let_go(citizen, audience, monkeypatch):
    monkeypatch.setattr("scheduler.control.audience.STUCK", 0.0)
    stuck, _ = enter(audience)
    stuck.stop_taking()
    await settle(60)
    assert stuck.gone


async def test_with_the_last_one_nobody_listens_any_more(citizen, audience):
    (_, one), (_, other) = enter(audience), enter(audience)
    audience.leave(one)
    assert citizen.subscribers
    audience.leave(other)
    assert not citizen.subscribers
    late, _ = enter(audience)
    citizen.happens()
    await settle()
    assert late.told() == [[1]]


async def test_an_audience_that_breaks_is_not_silent(citizen, audience, monkeypatch, caplog):
    monkeypatch.setattr(wire, "snapshot_message", lambda *given: 1 / 0)
    enter(audience)
    await settle()
    assert "screens are not told any more" in caplog.text
