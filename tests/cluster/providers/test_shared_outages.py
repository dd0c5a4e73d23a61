"""What a provider said on one machine holds on all of them, by the clock of the database."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from scheduler.cluster.database import Database, install
from scheduler.cluster.providers.outage_rows import Noter
from scheduler.cluster.providers.shared_outages import SharedOutages
from scheduler.errors import PROGRAM
from scheduler.process.process_info import BOOT, Running
from scheduler.providers.outage import Probe, Refused
from tests.cluster.postgres import Postgres
from tests.fakes import NOON, FakeClock

FAILOVER = 60.0
HOUR = 3600.0
AHEAD = 900.0  # seconds of the other machine's clock


def run(name: str) -> Probe:
    return Probe(name, name, Running(os.getpid(), 0.0, NOON, BOOT))


def machine(url: str, clock: FakeClock | None = None, holder: UUID | None = None) -> SharedOutages:
    return SharedOutages(Database(url), Noter(holder or uuid4(), clock or FakeClock(), FAILOVER))


@pytest.fixture
def tables(url: str) -> str:
    """The address of a database with all tables."""
    asyncio.run(install(Database(url)))
    return url


@pytest.fixture
def ask(tables: str) -> Iterator[Callable[[str], list[Any]]]:
    with psycopg.connect(tables, autocommit=True, options="-c search_path=experience") as connection:

        def rows(query: str) -> list[Any]:
            cursor = connection.execute(query)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

        yield rows


@pytest.fixture
def two(tables: str) -> tuple[SharedOutages, SharedOutages]:
    """Two machines; the clock of the second one is ahead."""
    return machine(tables), machine(tables, FakeClock(NOON + AHEAD))


def is_away(outages: SharedOutages, moment: float | None = None, by: str = "opus") -> None:
    outages.refused("anthropic", Refused(run(by), "rate_limit", moment))


def pass_by(ask: Callable[[str], list[Any]], seconds: float) -> None:
    """So much time passes in the database."""
    ask(f"UPDATE providers SET noted = noted - {seconds} * interval '1 s'")


def test_a_refusal_on_one_machine_holds_the_others_until_the_moment_said_by_any_clock(two, ask) -> None:
    one, other = two
    is_away(one, NOON + HOUR)
    other.refresh()
    waits = other.begin("anthropic", run("mira"))
    assert waits and (waits.reason, waits.told_by, waits.named) == ("rate limit", "opus", True)
    assert NOON + AHEAD + 0.8 * HOUR < waits.until <= NOON + AHEAD + HOUR
    pass_by(ask, HOUR)
    other.refresh()
    assert other.begin("anthropic", run("mira")) is None


def test_one_run_of_all_machines_tries_it_and_its_answer_is_that_of_all(two, ask) -> None:
    one, other = two
    is_away(one, NOON + HOUR)
    pass_by(ask, HOUR)
    for each in two:
        each.refresh()
    assert one.begin("anthropic", run("opus")) is None
    waits = other.begin("anthropic", run("mira"))
    assert waits and waits.probe and waits.probe.citizen == "opus"
    is_away(one, NOON + 3 * HOUR)  # the probe fails
    other.refresh()
    waits = other.begin("anthropic", run("mira"))
    assert waits and waits.probe is None and waits.pauses == 2
    pass_by(ask, 3 * HOUR)
    other.refresh()
    assert other.begin("anthropic", run("mira")) is None
    assert not one.ended("anthropic", "opus", tried=True)  # it is the probe no more
    assert other.ended("anthropic", "mira", tried=True)
    assert ask("SELECT 1 FROM providers") == []
    one.refresh()
    assert one.begin("anthropic", run("opus")) is None and one.all() == []


def test_a_probe_that_did_not_find_out_leaves_its_place_to_any_machine(two, ask) -> None:
    one, other = two
    is_away(one, NOON + HOUR)
    pass_by(ask, HOUR)
    other.refresh()
    assert one.begin("anthropic", run("opus")) is None
    assert not one.ended("anthropic", "opus", tried=False)
    assert other.begin("anthropic", run("mira")) is None


@pytest.mark.parametrize("table", ["machines", "workers", None])
def test_a_probe_lasts_as_long_as_its_process_is_heard_of(tables: str, ask, table: str | None) -> None:
    holder = uuid4()
    one, other = machine(tables, holder=holder), machine(tables)
    is_away(one, NOON + HOUR)
    pass_by(ask, HOUR)
    other.refresh()
    assert one.begin("anthropic", run("opus")) is None
    assert other.begin("anthropic", run("mira"))  # it is young
    pass_by(ask, FAILOVER)
    if table == "machines":
        ask(f"INSERT INTO machines VALUES ('{holder}', 'm1', 1, '', '', {FAILOVER}, now(), 0, 0, '{{}}')")
    if table == "workers":
        ask(f"INSERT INTO workers VALUES ('{holder}', 'g1', '{{gpu}}', 1, '{{}}', 'infinity')")
    waits = other.begin("anthropic", run("mira"))
    assert bool(waits) is (table is not None)
    if table:
        ask(f"DELETE FROM {table}")
        assert other.begin("anthropic", run("mira")) is None


def test_what_a_machine_knows_of_a_probe_gets_old(two, ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process may have died, of which nothing is heard: then the next run reads the row again."""
    one, other = two
    is_away(one, NOON + HOUR)
    pass_by(ask, HOUR)
    assert one.begin("anthropic", run("opus")) is None
    other.refresh()
    seen = other.of("anthropic")
    assert seen and seen.probe
    later = other._looked["anthropic"] + FAILOVER
    monkeypatch.setattr("scheduler.cluster.providers.shared_outages.elapsed", lambda: later)
    seen = other.of("anthropic")
    assert seen and seen.probe is None
    assert other.begin("anthropic", run("mira"))
    seen = other.of("anthropic")
    assert seen and seen.probe


def test_without_the_database_each_machine_goes_by_what_it_knows_and_notes_it_later(
    tables: str, server: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = machine(tables), machine(tables)
    server.crash()
    try:
        assert one.begin("anthropic", run("opus")) is None  # nothing is away, so nothing is asked
        assert caplog.records == []
        with caplog.at_level(logging.WARNING):
            is_away(one, NOON + HOUR)
            assert not one.ended("anthropic", "opus", tried=True)
            assert one.begin("anthropic", run("mira"))
    finally:
        server.start()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("outages of providers are not shared: the database does not answer")
    assert one.unsaved
    one.refresh()
    other.refresh()
    assert not one.unsaved and [each.provider for each in other.all()] == ["anthropic"]


def test_tables_of_an_older_version_are_named_once(url: str, caplog: pytest.LogCaptureFixture) -> None:
    one = machine(url)
    with caplog.at_level(logging.WARNING):
        is_away(one, NOON + HOUR)
        is_away(one, NOON + 2 * HOUR, by="mira")
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith(f"has no tables yet; make them with: {PROGRAM} engine setup")
    assert one.begin("anthropic", run("mira"))


def test_what_others_wrote_into_a_row_is_no_reason_to_fail(two, ask) -> None:
    one, _ = two
    ask("INSERT INTO providers VALUES ('anthropic', '{\"until\": []}', now(), '', gen_random_uuid())")
    one.refresh()
    assert one.all() == [] and one.begin("anthropic", run("opus")) is None
    is_away(one, NOON + HOUR)
    assert [each.told_by for each in one.all()] == ["opus"]
