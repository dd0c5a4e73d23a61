"""Clients that watch through the socket: one encoding for all, the newest snapshot for the slow ones."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from itertools import count
from pathlib import Path

import pytest

from scheduler.control.wire import messages, server
from scheduler.control.wire.server import Server
from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Event, HoldKind, OutputChunk, Snapshot, TaskStatus
from scheduler.engine.event_bus import Subscribers
from tests.fakes import until

LARGE = "x" * 1_000_000  # more than a socket holds


class Citizen:
    """What is shown: its snapshot is another one after each event."""

    citizen = "opus"

    def __init__(self) -> None:
        self.subscribers = Subscribers()
        self.events: tuple[Event, ...] = ()
        self.home = ""
        self.chunks: dict[str, int] = {}  # how many were taken of each task
        self._numbers = count(1)

    def snapshot(self) -> Snapshot:
        return Snapshot("opus", events=self.events, home=self.home)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self.subscribers.add(callback)

    async def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]:
        while True:
            self.chunks[task] = self.chunks.get(task, 0) + 1
            yield OutputChunk(LARGE[:60_000])
            await asyncio.sleep(0)

    def happens(self) -> None:
        number = next(self._numbers)
        self.events = (*self.events, Event(number, float(number), "started", "opus", "tick"))
        self.subscribers.notify()


class Client:
    """A client that watches."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def events(self) -> list[int]:
        """The events in the next snapshot."""
        message = json.loads(await self.reader.readuntil(b"\n"))
        return [event["seq"] for event in message["params"]["value"].get("events", ())]


@pytest.fixture
def citizen() -> Citizen:
    return Citizen()


@pytest.fixture
async def path(citizen: Citizen, tmp_path: Path) -> AsyncIterator[Path]:
    path = tmp_path / "s" / "control.sock"
    listening = Server(citizen, path, tmp_path)
    await listening.open()
    yield path
    await listening.close()


@pytest.fixture
async def watching(path: Path) -> AsyncIterator[Callable[..., Awaitable[Client]]]:
    clients: list[Client] = []

    async def watching(after: int = 0) -> Client:
        client = Client(*await asyncio.open_unix_connection(str(path), limit=4 * len(LARGE)))
        clients.append(client)
        await client.reader.readuntil(b"\n")
        client.writer.write(messages.encode(id=1, method="watch", params={"after": after}))
        return client

    yield watching
    for client in clients:
        client.writer.transport.abort()


async def test_each_is_shown_everything_once_and_from_where_it_was(citizen, watching):
    citizen.happens()
    citizen.happens()
    new, back, other = await watching(), await watching(1), await watching(77)
    assert (await new.events(), await back.events(), await other.events()) == ([1, 2], [2], [1, 2])
    citizen.happens()
    assert (await new.events(), await back.events(), await other.events()) == ([3], [3], [3])


async def test_a_snapshot_is_encoded_once_however_many_watch(citizen, watching, monkeypatch):
    clients = [await watching() for _ in range(40)]
    assert [await client.events() for client in clients] == [[]] * 40
    made: list[int] = []
    real = messages.encoded
    monkeypatch.setattr(messages, "encoded", lambda value: (made.append(1), real(value))[1])
    citizen.happens()
    assert [await client.events() for client in clients] == [[1]] * 40
    assert len(made) == 1


async def test_one_that_reads_nothing_holds_no_other_up_and_then_gets_the_newest(citizen, watching):
    citizen.home = LARGE
    slow, quick = await watching(), await watching()
    await slow.events()
    await quick.events()
    slow.writer.transport.pause_reading()  # type: ignore[attr-defined]  # of asyncio's own transports
    for number in range(1, 21):
        citizen.happens()
        assert await quick.events() == [number]
    slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
    had: list[list[int]] = []
    while not had or had[-1][-1] < 20:
        had.append(await slow.events())
    assert [number for numbers in had for number in numbers] == list(range(1, 21))
    assert len(had) < 10, "what was in between was never sent"


async def test_one_that_never_reads_is_disconnected(citizen, watching, monkeypatch):
    monkeypatch.setattr(server, "STUCK", 0.05)
    citizen.home = LARGE
    stuck = await watching()
    stuck.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await until(lambda: citizen.subscribers, "it watches")
    await until(lambda: not citizen.subscribers, "it is let go")


async def test_what_a_run_prints_waits_in_the_run_and_not_for_a_client_that_reads_nothing(citizen, watching):
    stuck, quick = await watching(), await watching()
    stuck.writer.transport.pause_reading()  # type: ignore[attr-defined]
    stuck.writer.write(messages.encode(id=2, method="follow", params={"task": "stuck"}))
    quick.writer.write(messages.encode(id=2, method="follow", params={"task": "quick"}))
    for _ in range(100):
        await quick.reader.readuntil(b"\n")
    assert citizen.chunks["quick"] >= 99
    assert 1 <= citizen.chunks["stuck"] < 20


async def test_with_the_last_client_the_server_listens_no_more(citizen, watching):
    one, other = await watching(), await watching()
    await one.events()
    await other.events()
    one.writer.transport.abort()
    citizen.happens()
    assert await other.events() == [1]
    other.writer.transport.abort()
    await until(lambda: not citizen.subscribers, "no client is left")
    late = await watching()
    assert await late.events() == [1]


async def test_a_request_that_breaks_is_logged_and_ends_the_connection(
    citizen, watching, monkeypatch, caplog
):
    monkeypatch.setattr(citizen, "snapshot", lambda: 1 / 0)
    client = await watching()
    assert await client.reader.read() == b""
    assert "a request broke" in caplog.text and "ZeroDivisionError" in caplog.text


def test_a_word_that_an_older_peer_does_not_know_raises_the_version_of_the_protocol():
    """It would break the connection over an unknown word; over a version it says which of the two is old."""
    words = {
        each: tuple(member.value for member in each) for each in (Outcome, TaskStatus, HoldKind, Trigger)
    }
    known = {
        Outcome: ("ok", "warning", "failed", "timed out", "interrupted", "stopped", "skipped", "refused"),
        TaskStatus: (
            *("ok", "warning", "failed", "never ran", "not set up", "running", "paused"),
            *("stopped", "waits", "over budget"),
        ),
        HoldKind: ("awake", "budget", "provider", "freeze", "queue"),
        Trigger: ("schedule", "force", "wake", "retry", "catch-up", "urgent"),
    }
    assert (messages.PROTOCOL, words) == (3, known), "raise PROTOCOL, then write both here"
