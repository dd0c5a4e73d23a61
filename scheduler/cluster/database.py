"""Connections to the engine's database, its schema, and errors that explain what is wrong with it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from itertools import cycle
from typing import Any, LiteralString
from weakref import WeakSet

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from scheduler.config.sections.engine import passwords
from scheduler.errors import PROGRAM, DatabaseAway, SchedulerError

# Each step adds to the one before; a released step never changes.
STEPS = ("schema.sql", "workers.sql", "machines.sql", "server.sql", "costs.sql", "providers.sql")
VERSION = len(STEPS)
CONNECT_WITHIN = 5.0  # seconds
PER_SERVER = 1_000_000  # added to epochs and run numbers: more than a replica can lack
ANSWER_WITHIN = 10.0  # seconds that a statement may take
SETUP_LOCK = 7042615  # a lock, so that two set-ups wait for each other
OPTIONS = "-c search_path=experience,public"  # options of every connection

Connection = psycopg.AsyncConnection[TupleRow]


_READ_ONLY = "is read-only", "point [engine] url at the primary, with ?target_session_attrs=read-write"
_POOLED = "is reached through a pooler, as pgbouncer: connect [engine] url to PostgreSQL itself"
_FULL = "is full", "make room on its disk"
_KINDS = {
    psycopg.errors.ReadOnlySqlTransaction: _READ_ONLY,
    psycopg.errors.DiskFull: _FULL,
    psycopg.errors.InsufficientPrivilege: ("lets this user not do that", "make it the owner of the database"),
}


class NotInstalled(SchedulerError):
    """The tables are missing or of another version."""

    code = "engine-not-set-up"


class Database:
    """One PostgreSQL database; `url` is shown without its password."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.name = shown(url)
        self._reader: Connection | None = None
        self._reading = asyncio.Lock()
        self._open: WeakSet[Connection | psycopg.Connection[Any]] = WeakSet()
        self._newest = Served("", 0)  # the most recently promoted server seen

    async def connect(self, idle: float = ANSWER_WITHIN) -> Connection:
        """Return a new connection in autocommit mode; raises DatabaseAway.

        A transaction idle for `idle` seconds is ended: a process that is frozen or cut off
        must not keep rows locked.
        """
        limits = (("statement_timeout", ANSWER_WITHIN), ("idle_in_transaction_session_timeout", idle))
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                connection = await psycopg.AsyncConnection.connect(
                    self._url,
                    autocommit=True,
                    application_name="experience",
                    options=" ".join(
                        (OPTIONS, *(f"-c {name}={int(limit * 1000)}" for name, limit in limits))
                    ),
                    tcp_user_timeout=int(ANSWER_WITHIN * 1000),
                )
                self._open.add(connection)
                return connection
        except (psycopg.Error, TimeoutError, UnicodeError) as error:
            raise self.away(error) from error

    def connect_blocking(self) -> "psycopg.Connection[Any]":
        """Return a new connection for a thread; raises psycopg.Error."""
        connection = psycopg.connect(
            self._url,
            autocommit=True,
            application_name="experience",
            connect_timeout=int(CONNECT_WITHIN),
            options=f"-c statement_timeout={int(ANSWER_WITHIN * 1000)}",
        )
        self._open.add(connection)
        return connection

    async def served_by(self, connection: Connection, failover: float) -> str:
        """Return which server this is; raises DatabaseAway if it was replaced, psycopg.Error on a replica."""
        server = await notice_server(connection, failover)
        if replaced := await self.replaced(connection, server):
            raise DatabaseAway(replaced)
        self._newest = Served.of(server)
        return server

    async def replaced(self, connection: Connection, server: str) -> str:
        """Return the error if a server promoted after this one also takes writes; empty if none is seen.

        From then on only the newer one is used, which is searched among the hosts of the address.
        """
        here, at = Served.of(server), f"{connection.info.host}:{connection.info.port}"
        if newer := await self._newer(here):
            self._url = make_conninfo(self._url, host=newer[0], port=newer[1])
        elif not self._newest.replaces(here):
            return ""
        other = ":".join(newer) if newer else "another one"
        await self._leave_old()
        return f"{old_primary(at)}; {other} was promoted after it"

    async def _newer(self, here: "Served") -> tuple[str, str] | None:
        for host, port in self._hosts():
            found = await self._server_at(host, port)
            if found and Served.of(found).replaces(here):
                return host, port
        return None

    def _hosts(self) -> list[tuple[str, str]]:
        """The hosts and ports of the address, if there are several."""
        given = conninfo_to_dict(self._url)
        hosts, ports = (str(given.get(name) or "").split(",") for name in ("host", "port"))
        return list(zip(hosts, cycle(ports), strict=False)) if len(hosts) > 1 else []

    async def _server_at(self, host: str, port: str) -> str:
        """Return the server there if it takes writes; empty if it does not or does not answer."""
        alone = make_conninfo(self._url, host=host, port=port, target_session_attrs="any")
        try:
            async with (
                asyncio.timeout(CONNECT_WITHIN),
                await psycopg.AsyncConnection.connect(alone, autocommit=True) as there,
            ):
                return str((await one(there, _TAKES_WRITES))[0] or "")
        except (psycopg.Error, TimeoutError):
            return ""

    async def _leave_old(self) -> None:
        """Close all connections to a server that was replaced."""
        for each in list(self._open):
            closing = each.close()
            if closing is not None:
                await closing

    async def rows(self, query: LiteralString, values: Any = ()) -> list[TupleRow]:
        """Return the rows of the query, on a connection that all readers share; raises DatabaseAway."""
        async with self._reading:
            try:
                if self._reader is None or self._reader.closed:
                    self._reader = await self.connect()
                return await (await self._reader.execute(query, values)).fetchall()
            except psycopg.Error as error:
                await self.close()
                raise self.away(error) from error

    async def close(self) -> None:
        """Close the readers' connection; the next query opens another."""
        reader, self._reader = self._reader, None
        if reader:
            await reader.close()

    def away(self, error: Exception) -> DatabaseAway:
        """The error in one line, with the address but without the password."""
        why = " ".join(str(error).split()) or "no answer"
        for secret in sorted(passwords(self._url), key=len, reverse=True):
            why = why.replace(secret, "***")
        for kind, (what, fix) in _KINDS.items():
            if isinstance(error, kind):
                return DatabaseAway(f"the database {what}: {self.name}: {why}; {fix}")
        if "unsupported startup parameter" in why:
            return DatabaseAway(f"{self.name} {_POOLED}")
        what = "refuses" if "FATAL:" in why else "does not answer"
        return DatabaseAway(f"the database {what}: {self.name}: {why}; check [engine] url")

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for some statements; raises DatabaseAway, also for errors inside the block."""
        connection = await self.connect()
        try:
            yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError, *_KINDS) as error:
            raise self.away(error) from error
        finally:
            await connection.close()


@dataclass(frozen=True, slots=True)
class Served:
    """A server: its replicas have the same `system`, and each promotion begins a new timeline."""

    system: str
    timeline: int

    @classmethod
    def of(cls, server: str) -> "Served":
        system, _, timeline = server.strip().partition("/")
        return cls(system, int(timeline, 16) if _TIMELINE.fullmatch(timeline) else 0)

    def replaces(self, other: "Served") -> bool:
        """Whether this server was promoted later than the other."""
        return self.system == other.system and self.timeline > other.timeline


def old_primary(where: str) -> str:
    """The error with the fix for a server that takes writes although another one was promoted."""
    return f"the database at {where} is an old primary that takes writes: end it"


def shown(url: str) -> str:
    """The address without user, password or options."""
    return re.sub(r"//.*@", "//", url).partition("?")[0]  # to the last @, whatever the password holds


# ------------------------------------------------------------------ schema


async def install(database: Database) -> bool:
    """Create the tables, or what older ones lack; return False if nothing was missing.

    Raises NotInstalled if they are from a newer program.
    """
    # A slow import, needed only here.
    from scheduler.cluster.workers.procrastinate_jobs import schema

    async with database.connection() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (SETUP_LOCK,))
        found = await _version(connection) or 0
        if found >= VERSION:
            _refuse_other(found, database)
            return False
        for step in STEPS[found:]:
            await connection.execute((files("scheduler.cluster") / "sql" / step).read_bytes())
        if found < STEPS.index("workers.sql") + 1:
            await connection.execute("SET LOCAL search_path TO experience")
            await connection.execute(schema().encode())
        await connection.execute("UPDATE experience.version SET number = %s", (VERSION,))
        return True


async def require_schema(connection: Connection, database: Database) -> None:
    """Raise NotInstalled unless this program knows the tables and sessions keep their settings."""
    limit = (await one(connection, "SELECT setting FROM pg_settings WHERE name = 'statement_timeout'"))[0]
    if int(limit) != int(ANSWER_WITHIN * 1000):  # it was set when this session began
        raise NotInstalled(f"{database.name} {_POOLED}")
    found = await _version(connection)
    if found is None:
        raise NotInstalled(f"{database.name} has no tables yet; make them with: {PROGRAM} engine setup")
    _refuse_other(found, database)


def _refuse_other(found: int, database: Database) -> None:
    if found != VERSION:
        older = f"{PROGRAM} engine setup" if found < VERSION else "install the newer program here, too"
        raise NotInstalled(
            f"{database.name} has tables of version {found}, this program knows {VERSION}: {older}"
        )


_TIMELINE = re.compile("[0-9A-F]{8}")
_TAKES_WRITES = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN experience.server() END"
_NOTICE = """
WITH found AS MATERIALIZED (SELECT experience.server() AS server),
changed AS (
    UPDATE experience.version v SET server = found.server FROM found
    WHERE v.server IS DISTINCT FROM found.server RETURNING v.server),
claims AS (DELETE FROM experience.workers WHERE EXISTS (SELECT FROM changed)),
leases AS (
    UPDATE experience.owners SET epoch = epoch + %(step)s, holder = '00000000-0000-0000-0000-000000000000',
        process = '{}', until = clock_timestamp() + make_interval(secs => %(seconds)s)
    WHERE EXISTS (SELECT FROM changed))
SELECT server FROM found
"""


async def notice_server(connection: Connection, failover: float) -> str:
    """Return which server this is; the first to see a new server makes every lease void.

    A promoted replica may lack the newest epochs: the next ones are far above, and no machine owns anything
    for `failover` seconds, in which all earlier owners give up. Raises psycopg.Error on a replica.
    """
    return str((await one(connection, _NOTICE, {"step": PER_SERVER, "seconds": failover}))[0])


async def _version(connection: Connection) -> int | None:
    there = await one(connection, "SELECT to_regclass('experience.version') IS NOT NULL")
    if not there[0]:
        return None
    number: int = (await one(connection, "SELECT max(number) FROM experience.version"))[0]
    return number


async def one(connection: Connection, query: LiteralString, values: Any = ()) -> TupleRow:
    """Return the only row of the query."""
    row = await (await connection.execute(query, values)).fetchone()
    if row is None:
        raise LookupError(query)
    return row
