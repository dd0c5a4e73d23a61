"""One PostgreSQL for all tests of this folder, and a database that each test finds empty."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from scheduler.cluster.database import Database, install
from scheduler.cluster.fence import FencedWriter
from scheduler.cluster.leases import Leases
from scheduler.process.process_info import BOOT, Running
from tests.cluster.desk import Desk
from tests.cluster.postgres import Postgres, postgres

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.needs("postgres"))


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture
def url(server: Postgres) -> str:
    """Of a database without tables."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS experience CASCADE")
    return server.url()


@pytest.fixture
async def database(url: str) -> Database:
    """With two citizens in it without an owner."""
    database = Database(url)
    await install(database)
    async with database.connection() as connection:
        for citizen, home in (("opus", "home-1"), ("mira", "home-2")):
            await connection.execute(
                "INSERT INTO experience.owners VALUES (%s, 0, gen_random_uuid(), '', '{}', %s, '', now())",
                (citizen, home),
            )
    return database


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    leases = Leases(database, "m1", Running(os.getpid(), 0.0, 0.0, BOOT), 600.0)
    writer = FencedWriter(database)
    lease = await leases.take("opus", "home-1")
    async with database.connection() as connection:
        yield Desk(database, connection, leases, writer, lease)
    await writer.close()
    await leases.close()
    await database.close()
