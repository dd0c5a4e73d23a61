"""Streams by way of the database: what is written arrives whole and in order, and ends are noticed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from scheduler.cluster import bus as module
from scheduler.cluster.bus import Bus, Stream
from scheduler.cluster.database import Connection, Database
from scheduler.errors import Disconnected
from tests.fakes import until

OWNER = uuid4()


class Place:
    """Two processes on one bus: one that owns opus and answers in capitals, one that asks."""

    def __init__(self, database: Database) -> None:
        self.served: list[tuple[str, str]] = []
        self.streams: list[Stream] = []
        self.owner = Bus(database, OWNER, self._accept)
        self.client = Bus(database, uuid4(), self._accept)

    async def _accept(self, citizen: str, stream: Stream, asked_by: str) -> None:
        self.served.append((citizen, asked_by))
        self.streams.append(stream)
        while line := await stream.reader.readline():
            stream.write(line.upper())


@pytest.fixture
async def place(database: Database) -> AsyncIterator[Place]:
    await own(database, OWNER)
    made = Place(database)
    made.owner.begin()
    yield made
    await made.client.close()
    await made.owner.close()
    await database.close()


async def own(database: Database, holder: UUID) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE experience.owners SET holder = %s, machine = 'm1',"
            " until = clock_timestamp() + interval '1 h' WHERE citizen = 'opus'",
            (holder,),
        )


async def test_a_home_that_only_claims_to_be_that_citizens_leads_nowhere(place: Place) -> None:
    for home_id in ("home-2", ""):
        with pytest.raises(Disconnected):
            await place.client.connect("opus", home_id, "")
    assert place.served == []


async def test_what_is_sent_again_since_the_answer_was_lost_arrives_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute, lost = psycopg.AsyncConnection.execute, [0]

    async def losing(connection: Connection, query: Any, *values: Any) -> Any:
        answer = await execute(connection, query, *values)
        if query == module._SEND and lost[0] < 3:
            lost[0] += 1
            raise psycopg.OperationalError("the network is gone")
        return answer

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", losing)
    monkeypatch.setattr(module, "BEAT", 0.05)  # until a new connection
    stream = await place.client.connect("opus", "home-1", "")
    stream.write(b"force\n")
    assert await stream.reader.readline() == b"FORCE\n"
    stream.write(b"pause\n")
    assert await stream.reader.readline() == b"PAUSE\n"
    stream.abort()
    await until(lambda: place.streams[0].closed, "its end has come")
    await place.client.sent()
    await asyncio.sleep(0.2)
    assert len(place.served) == 1 and lost == [3]


async def test_lines_go_there_and_back_in_order(place: Place) -> None:
    stream = await place.client.connect("opus", "home-1", "ct on m2")
    sent = [f"line {number} \u00e4 \u202e\n".encode() for number in range(200)]
    for line in sent:
        stream.write(line)
    assert [await stream.reader.readline() for _ in sent] == [line.upper() for line in sent]
    assert place.served == [("opus", "ct on m2")]
    assert stream.machine == "m1"


async def test_a_notification_that_is_none_ends_nothing(place: Place, database: Database) -> None:
    stream = await place.client.connect("opus", "home-1", "a\ud800b")
    async with database.connection() as connection:
        for payload in ("", "x", f"{OWNER} nonsense", f"{OWNER}"):
            await connection.execute("SELECT pg_notify('experience', %s)", (payload,))
    stream.write(b"hello\n")
    assert await stream.reader.readline() == b"HELLO\n"
    assert place.served == [("opus", "a\ufffdb")]


async def test_a_long_line_arrives_whole(place: Place) -> None:
    stream = await place.client.connect("opus", "home-1", "")
    line = b"x" * 2_000_000 + b"\n"
    stream.write(line)
    assert await stream.reader.readline() == line.upper()


async def test_the_end_of_one_side_is_the_end_of_the_other(place: Place) -> None:
    stream = await place.client.connect("opus", "home-1", "")
    stream.write(b"hello\n")
    await stream.reader.readline()
    stream.abort()
    await until(lambda: place.streams[0].closed, "the end was noticed")
    with pytest.raises(ConnectionError):
        await place.streams[0].drain()


async def test_a_process_that_is_silent_is_gone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = await place.client.connect("opus", "home-1", "")
    monkeypatch.setattr(module, "SILENT", 2.5 * module.BEAT)
    stream.write(b"hello\n")
    await stream.reader.readline()
    for task in place.owner._tasks:
        task.cancel()
    assert await stream.reader.readline() == b""


async def test_no_machine_answers_for_a_citizen_without_an_owner(place: Place) -> None:
    with pytest.raises(Disconnected, match="no machine runs mira"):
        await place.client.connect("mira", "home-2", "")


async def test_what_is_not_taken_out_does_not_stay(
    place: Place, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLEAN", 1)
    stream = await place.client.connect("opus", "home-1", "")
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO experience.mail (target, sender, session, sent)"
            " VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now() - interval '1 h')"
        )
    old = "SELECT 1 FROM experience.mail WHERE sent < now() - interval '30 min'"
    for _ in range(200):
        if not await database.rows(old):
            break
        await asyncio.sleep(0.05)
    assert not await database.rows(old)
    stream.abort()
