"""What can be wrong with a database: each is one line with its fix, and nothing is lost by it."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import psycopg
import pytest

from scheduler.cluster import health
from scheduler.cluster.database import Database, NotInstalled, require_schema
from scheduler.cluster.fence import FencedWriter, Started
from scheduler.cluster.health import problems
from scheduler.cluster.leases import Leases
from scheduler.cluster.membership import join
from scheduler.errors import DatabaseAway
from scheduler.process.process_info import BOOT, Running
from scheduler.runtime.engine_report import Seen, wrong
from tests.cluster.postgres import Postgres

SEEN = """
INSERT INTO experience.machines VALUES
    (gen_random_uuid(), %s, %s, %s, %s, 30, clock_timestamp() - make_interval(secs => %s), 0, 0, '{}')
"""
ROLE = "ALTER ROLE experience {} default_transaction_read_only"


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=off") as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


@pytest.fixture
def read_only(url: str, database: Database) -> Iterator[None]:
    """As on a replica."""
    run(url, f"{ROLE.format('SET')} = on")
    yield
    run(url, ROLE.format("RESET"))


@pytest.fixture
async def leases(database: Database) -> AsyncIterator[Leases]:
    made = Leases(database, "m1", Running(os.getpid(), 0.0, 0.0, BOOT), 600.0)
    yield made
    await made.close()
    await database.close()


async def test_a_replica_takes_no_owner_and_the_line_leads_to_the_primary(
    read_only: None, leases: Leases, database: Database, home
) -> None:
    with pytest.raises(DatabaseAway, match=r"is read-only: .*; point \[engine\] url at the primary"):
        await leases.take("opus", "home-1")
    with pytest.raises(DatabaseAway, match="is read-only"):
        await join(database, "nova", home, "m1", 0.0)
    assert any("is read-only, maybe a replica" in line for line in await problems(database))


async def test_a_wrong_password_is_said_as_such_and_not_quoted(server: Postgres, url: str) -> None:
    hba = server._data / "pg_hba.conf"
    before = hba.read_text()
    run(url, "DROP ROLE IF EXISTS locked", "CREATE ROLE locked LOGIN PASSWORD 'right'")
    try:
        hba.write_text(f"host all locked 127.0.0.1/32 scram-sha-256\n{before}")
        run(url, "SELECT pg_reload_conf()")
        await asyncio.sleep(0.2)
        bad = url.replace("experience@", "locked:wr0ng@")
        with pytest.raises(
            DatabaseAway, match=r"the database refuses: .*password authentication failed"
        ) as said:
            await Database(bad).connect()
        assert "wr0ng" not in str(said.value) and "\n" not in str(said.value)
    finally:
        hba.write_text(before)
        run(url, "SELECT pg_reload_conf()")


async def test_a_pooler_is_refused_whatever_it_makes_of_what_a_session_begins_with(
    database: Database,
) -> None:
    """As pgbouncer 1.18 does: it refuses options, or is set to ignore them; both in each of its modes."""
    said = database.away(psycopg.OperationalError("FATAL: unsupported startup parameter: options"))
    assert str(said).endswith("a pooler, as pgbouncer: connect [engine] url to PostgreSQL itself")
    async with database.connection() as connection:
        await require_schema(connection, database)
        await connection.execute("SET statement_timeout = 0")  # what it makes of an option that it ignores
        with pytest.raises(NotInstalled, match=r"through a pooler, .* connect .* to PostgreSQL itself"):
            await require_schema(connection, database)


async def test_machines_of_different_versions_and_two_of_one_name_are_said(database: Database) -> None:
    async with database.connection() as connection:
        for row in (("m1", 1, "a", "0.1.0", 0), ("m2", 2, "b", "0.2.0", 0), ("m3", 3, "c", "0.0.9", 99)):
            await connection.execute(SEEN, row)
        assert await problems(database) == [
            "machines run different versions: 0.1.0 on m1, 0.2.0 on m2; update the older ones"
        ]
        await connection.execute("UPDATE experience.machines SET version = '0.2.0'")
        await connection.execute(SEEN, ("m2", 4, "d", "0.2.0", 0))
    (line,) = await problems(database)
    assert line.startswith("another machine is called m2, too")
    await database.close()


@pytest.mark.needs("openssl")
async def test_whether_tls_is_used_is_seen_of_the_connection_itself(server: Postgres, url: str) -> None:
    server.certify()
    server.set_to("ssl", "on")
    try:
        for mode, encrypted in (("require", True), ("disable", False)):
            database = Database(f"{url}?sslmode={mode}")
            ((seen, *_),) = await database.rows(health._SESSION)
            await database.close()
            assert seen == encrypted
        with pytest.raises(DatabaseAway, match=r"root certificate file .* check \[engine\] url"):
            await Database(f"{url}?sslmode=verify-full&sslrootcert=/none").connect()
    finally:
        server.set_to("ssl", "off")


def test_plain_text_to_another_host_is_said() -> None:
    said = [*health._about_session("postgresql://db/e", False, "10.0.0.7", False)]
    assert said == ["postgresql://db/e is reached without TLS: add ?sslmode=verify-full to [engine] url"]
    for encrypted, client in ((True, "10.0.0.7"), (False, "127.0.0.1"), (False, None)):
        assert [*health._about_session("db", encrypted, client, False)] == []


async def test_a_full_disk_is_said_once_and_the_start_is_made_when_there_is_room(
    leases: Leases, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    writer, left, troubles = FencedWriter(database), [3], list[str]()
    commit = writer._commit

    async def full(batch):
        if left[0]:
            left[0] -= 1
            raise psycopg.errors.DiskFull("could not extend file: No space left on device")
        await commit(batch)

    monkeypatch.setattr(writer, "_commit", full)
    writer.on_trouble.add(troubles.append)
    opus = await leases.take("opus", "home-1")
    with caplog.at_level(logging.WARNING):
        start = Started("report", 1, "1", 1, "schedule", 1.0, {"run_count": 1})
        assert all(await writer.write(opus, [start]))
    said = [record.getMessage() for record in caplog.records if record.name == "experience.engine"]
    assert "the database is full" in troubles[0] and troubles[1:] == [""]  # on screen meanwhile
    assert len(said) == 1 and "nothing new is started: the database is full" in said[0]
    assert "make room on its disk" in said[0]
    await writer.close()


async def test_doctor_names_a_database_that_is_full(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await problems(database) == []
    execute = psycopg.AsyncConnection.execute

    async def full(connection, query, *values):
        if query == health._ROOM:
            raise psycopg.errors.DiskFull("could not extend file: No space left on device")
        return await execute(connection, query, *values)

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", full)
    (line,) = await problems(database)
    assert line.startswith("the database is full: ") and line.endswith("; make room on its disk")
    assert await database.rows("SELECT 1 FROM pg_class WHERE relname = 'room'") == []
    await database.close()


async def test_a_database_that_stands_still_for_a_moment_delivers_late_and_once(
    leases: Leases, server: Postgres, database: Database
) -> None:
    writer = FencedWriter(database)
    opus = await leases.take("opus", "home-1")
    server.freeze()
    try:
        start = Started("report", 1, "1", 1, "schedule", 1.0, {"run_count": 1})
        writing = asyncio.create_task(writer.write(opus, [start]))
        await asyncio.sleep(1.0)
        assert not writing.done()
    finally:
        server.thaw()
    assert all(await writing)
    assert await database.rows("SELECT count(*) FROM experience.runs") == [(1,)]
    await writer.close()


def test_doctor_says_when_an_answer_takes_long_for_the_leases() -> None:
    seen = Seen("postgresql://db/e", 5.0, 0.4, 0.0, [], [], [], [])
    assert [*wrong(seen)] == []
    (line,) = wrong(replace(seen, took=0.71))
    assert line == (
        'postgresql://db/e takes 0.7s to answer, long for failover = "5s":'
        " see to the network, or raise failover to 8s"
    )
