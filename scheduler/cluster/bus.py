"""Streams between processes of different machines: the socket's protocol, carried by the database.

Each line is a row for its target and a notification; the target removes its rows. Nothing listens on a port:
everyone who may connect to the database may watch.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb

from scheduler.cluster.database import Connection, Database
from scheduler.cluster.fence import storable
from scheduler.errors import DatabaseAway, NoOwner
from scheduler.system.clock import elapsed

log = logging.getLogger("experience.engine")

CHANNEL = "experience"
NOTE = "notes"  # in place of a target: there is something new that all machines read
BEAT = 1.0  # seconds between two signs of life to the other end of a stream
SILENT = 5.0  # seconds without a sign of life after which a stream counts as ended
PACE = 0.05  # seconds that a snapshot waits for a newer one: at most twenty a second
LOOK, CLEAN = 5, 30  # beats between two checks for mail, and between two removals of old mail
SESSIONS = 10_000  # whose last line is remembered
ALIVE = "alive"  # the last word of a notification that is only a sign of life
OLD = "DELETE FROM experience.mail WHERE sent < clock_timestamp() - interval '1 min'"

_OWNER = """
SELECT holder, machine FROM experience.owners
WHERE citizen = %s AND home_id = %s AND until > clock_timestamp()
"""
_ALIVE = f"SELECT pg_notify('{CHANNEL}', sign) FROM unnest(%s::text[]) AS signs (sign)"
_SEND = f"""
WITH put AS (
    INSERT INTO experience.mail (target, sender, session, number, citizen, about, data, ended)
    SELECT r.* FROM jsonb_array_elements(%(rows)s) WITH ORDINALITY AS each (value, place),
        jsonb_to_record(value) AS r (target uuid, sender uuid, session uuid, number bigint, citizen text,
                                     about text, data text, ended boolean)
    ORDER BY place)
SELECT pg_notify('{CHANNEL}', target || ' ' || %(sender)s) FROM (
    SELECT DISTINCT value->>'target' AS target FROM jsonb_array_elements(%(rows)s)) AS targets
"""
_TAKE = """
DELETE FROM experience.mail WHERE target = %s
RETURNING id, sender, session, number, citizen, about, data, ended
"""


def own_channel(endpoint: UUID) -> str:
    """The channel on which only this process listens, so that a word there wakes no other."""
    return f"{CHANNEL} {endpoint}"


Accept = Callable[[str, "Stream", str], Coroutine[Any, Any, None]]


@dataclass(slots=True, eq=False)
class Stream:
    """One end of a connection, with the methods of an asyncio reader and writer in one."""

    bus: "Bus"
    session: UUID
    peer: UUID
    machine: str = ""  # the machine at the other end
    reader: asyncio.StreamReader = field(default_factory=lambda: asyncio.StreamReader(limit=64 << 20))
    first: dict[str, str] = field(default_factory=dict)  # additional columns of the first row
    max_size: int = 0
    sent: int = 0  # number of lines sent so far
    closed: bool = False

    @property
    def transport(self) -> "Stream":
        return self

    def get_extra_info(self, name: str) -> None:
        """Return None: there is no socket and no peer that the kernel knows."""

    def set_write_buffer_limits(self, high: int) -> None:
        """Do nothing: the database is the buffer."""

    def write(self, data: bytes) -> None:
        if not self.closed:
            self.bus.send(self, storable(data.decode("utf-8", "replace")))

    async def drain(self) -> None:
        """Return when everything is written; raises ConnectionError if the other end is gone."""
        await self.bus.sent()
        await asyncio.sleep(PACE)
        if self.closed:
            raise ConnectionResetError("the other end is gone")

    def abort(self) -> None:
        if not self.closed:
            self.bus.send(self, "", ended=True)
            self.end()

    def end(self) -> None:
        self.closed = True
        self.reader.feed_eof()
        self.bus.forget(self)


class Bus:
    """This process's end of the bus: one connection that listens, one that writes."""

    def __init__(
        self,
        database: Database,
        endpoint: UUID,
        accept: Accept,
        on_note: Callable[[str | None], None] = lambda citizen: None,
        on_word: Callable[[str], None] = lambda word: None,
    ) -> None:
        """`on_note` gets the citizen with new notes (None: maybe any), `on_word` the own channel's words."""
        self._on_note, self._on_word = on_note, on_word
        self._database, self._endpoint, self._accept = database, endpoint, accept
        self._streams: dict[UUID, Stream] = {}
        self._heard: dict[UUID, float] = {}
        self._lines: dict[UUID, int] = {}  # number of the last line of each session, including ended ones
        self._serving: set[asyncio.Task[None]] = set()
        self._outgoing: list[dict[str, Any]] = []
        self._wake, self._arrived = asyncio.Event(), asyncio.Event()
        self._flushed: asyncio.Future[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._listening = asyncio.Event()

    def begin(self) -> None:
        if not self._tasks:
            work = (self._listen, self._write, self._take, self._beat)
            self._tasks = [asyncio.create_task(self._forever(each), name="bus") for each in work]

    async def close(self) -> None:
        for stream in list(self._streams.values()):
            stream.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BEAT):
                await self.sent()
        for task in (*self._tasks, *self._serving):
            task.cancel()
        if self._tasks:
            await asyncio.wait({*self._tasks, *self._serving})

    async def connect(self, citizen: str, home_id: str, about: str) -> Stream:
        """Return a stream to the owner of the citizen in this home; raises NoOwner, DatabaseAway.

        The id keeps a home that a user marked as shared from reaching another home of the same name.
        """
        self.begin()
        rows = await self._database.rows(_OWNER, (citizen, home_id))
        if not rows:
            raise NoOwner(f"no machine runs {citizen}")
        holder, machine = rows[0]
        return await self.reach(holder, machine, citizen, about)

    @property
    def hears(self) -> bool:
        """Whether the bus listens, or did until a moment ago."""
        return self._listening.is_set()

    async def reach(self, peer: UUID, machine: str, name: str, about: str) -> Stream:
        """Return a stream to the process `peer` about `name`; it ends by itself if nothing answers."""
        self.begin()
        await self._listening.wait()
        stream = Stream(self, uuid4(), peer, machine, first={"citizen": name, "about": about})
        self._add(stream)
        self.send(stream, "")
        return stream

    # -------------------------------------------------------------- sending

    def send(self, stream: Stream, data: str, *, ended: bool = False) -> None:
        first = {name: storable(value) for name, value in stream.first.items()}
        row: dict[str, Any] = {"citizen": "", "about": "", **first, "data": data, "ended": ended}
        stream.first, stream.sent = {}, stream.sent + 1
        row["number"] = stream.sent
        ends = {"target": stream.peer, "sender": self._endpoint, "session": stream.session}
        self._outgoing.append({**row, **{name: str(value) for name, value in ends.items()}})
        self._wake.set()

    async def sent(self) -> None:
        """Return when all waiting rows are written."""
        if self._outgoing:
            if self._flushed is None:
                self._flushed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._flushed)

    async def _write(self, connection: Connection) -> None:
        await connection.execute("SET synchronous_commit = off")
        self._wake.set()  # the answer to the last write may have been lost
        while True:
            await self._wake.wait()
            self._wake.clear()
            rows, waiting = list(self._outgoing), self._flushed
            self._flushed = None
            if rows:
                await connection.execute(_SEND, {"rows": Jsonb(rows), "sender": str(self._endpoint)})
                del self._outgoing[: len(rows)]
            if waiting and not waiting.done():
                waiting.set_result(None)

    async def _beat(self, connection: Connection) -> None:
        """Send the other ends a sign of life, and end the streams of silent ones."""
        beats = 0
        while True:
            await asyncio.sleep(BEAT)
            signs = {f"{stream.peer} {self._endpoint} {ALIVE}" for stream in self._streams.values()}
            if signs:
                await connection.execute(_ALIVE, (sorted(signs),))
            for stream in list(self._streams.values()):
                if elapsed() - self._heard.get(stream.peer, 0.0) > SILENT:
                    stream.end()
            if (beats := beats + 1) % LOOK == 0:
                self._arrived.set()  # a notification may have been missed
            if signs and beats % CLEAN == 0:
                await connection.execute(OLD)

    # -------------------------------------------------------------- receiving

    async def _listen(self, connection: Connection) -> None:
        own = own_channel(self._endpoint)
        for channel in (CHANNEL, own):
            await connection.execute(SQL("LISTEN {}").format(Identifier(channel)))
        self._listening.set()
        self._arrived.set()
        self._on_note(None)  # earlier notes may have been missed
        async for notification in connection.notifies():
            if notification.channel == own:
                self._on_word(notification.payload)
                continue
            target, _, sender = notification.payload.partition(" ")
            sender, _, sign = sender.partition(" ")
            if target == NOTE:
                self._on_note(sender)
            elif target == str(self._endpoint):
                with contextlib.suppress(ValueError):  # any user of the database can send any notification
                    self._heard[UUID(sender)] = elapsed()
                if sign != ALIVE:  # there is mail
                    self._arrived.set()

    async def _take(self, connection: Connection) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            rows = await (await connection.execute(_TAKE, (self._endpoint,))).fetchall()
            for _, *row in sorted(rows):
                self._receive(*row)

    def _receive(
        self, sender: UUID, session: UUID, number: int, citizen: str, about: str, data: str, ended: bool
    ) -> None:
        self._heard[sender] = elapsed()
        if self._is_known(session, number):
            return
        stream = self._streams.get(session)
        if stream is None:
            if ended or not citizen:
                return
            stream = self._add(Stream(self, session, sender))
            serving = asyncio.create_task(self._accept(citizen, stream, about), name=f"{citizen}/bus")
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)
        if data:
            stream.reader.feed_data(data.encode())
        if ended:
            stream.end()

    def _is_known(self, session: UUID, number: int) -> bool:
        """Whether this line has come before, so that a repeated verb acts only once."""
        last = self._lines.pop(session, 0)
        self._lines[session] = max(last, number)  # the newest at the end
        if len(self._lines) > SESSIONS:
            del self._lines[next(iter(self._lines))]
        return number <= last

    def _add(self, stream: Stream) -> Stream:
        self._streams[stream.session] = stream
        self._heard[stream.peer] = elapsed()
        return stream

    def forget(self, stream: Stream) -> None:
        self._streams.pop(stream.session, None)

    async def _forever(self, work: Callable[[Connection], Awaitable[None]]) -> None:
        """Do this work on its own connection, and on a new one when that breaks."""
        while True:
            with contextlib.suppress(psycopg.Error, DatabaseAway):
                connection = await self._database.connect()
                try:
                    await work(connection)
                finally:
                    await connection.close()
            await asyncio.sleep(BEAT)
