"""The client's end of a connection: it attaches again after any failure, and no request outlives it."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.control.wire.client import Connection, RemoteControl
from scheduler.control.wire.messages import PROTOCOL, Greeting, encode
from scheduler.core.views import Snapshot
from scheduler.errors import DatabaseAway, Disconnected
from scheduler.schema.json_codec import to_json
from scheduler.system.clock import SystemClock
from scheduler.system.unix_socket import HomeSocket
from tests.each import each
from tests.fakes import until


class Wire:
    """The writer of a connection; answers `watch` with a snapshot."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.transport = self
        self.aborted = False
        self.machine = "there"

    def write(self, line: bytes) -> None:
        request = json.loads(line)
        if request["method"] == "watch":
            value = {"id": request["id"], "value": to_json(Snapshot("opus"))}
            self.reader.feed_data(encode(method="item", params=value))

    def abort(self) -> None:
        self.aborted = True

    def get_extra_info(self, name: str) -> None: ...


def connection() -> tuple[Wire, Connection]:
    wire = Wire()
    return wire, Connection(wire.reader, wire, Greeting(PROTOCOL, "opus", 4711))


async def test_after_the_database_was_away_the_owner_on_another_machine_is_found_again():
    opened: list[Wire] = []
    away = [False]

    async def open_it() -> Connection:
        if away[0]:
            away[0] = False
            raise DatabaseAway("the database does not answer")
        wire, made = connection()
        opened.append(wire)
        return made

    clock = SystemClock()
    control = RemoteControl(HomeSocket(Path("none"), "opus", Path("/opus")), clock, open_it)
    await control.start()
    try:
        away[0] = True
        opened[0].reader.feed_eof()
        await until(lambda: len(opened) == 2 and not control.snapshot().stale, "it is attached again")
    finally:
        await control.stop()
        clock.close()


async def test_a_stream_on_which_a_cancelled_client_waited_for_a_greeting_is_closed():
    wire = Wire()
    opening = asyncio.create_task(Connection.over(wire, "opus"))
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait({opening})
    assert wire.aborted


@each("end", [lambda wire, made: wire.reader.feed_eof(), lambda wire, made: made.close()])
async def test_what_waits_for_an_owner_ends_with_the_connection(end: Callable[[Wire, Connection], None]):
    wire, made = connection()
    waits = asyncio.create_task(made.ask("wait", timeout=None, task="tick", run=1))
    follows = asyncio.create_task(anext(made.follow("tick")))
    await asyncio.sleep(0)
    end(wire, made)
    await made.closed()
    for waiting in (waits, follows):
        with pytest.raises(Disconnected, match="is gone"):
            async with asyncio.timeout(2):
                await waiting
    with pytest.raises(Disconnected, match="is gone"):
        async with asyncio.timeout(2):
            await made.ask("wait", timeout=None, task="tick", run=1)
    assert wire.aborted
