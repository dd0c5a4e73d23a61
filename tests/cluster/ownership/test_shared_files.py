"""A budget, a freeze and the record of wakes are the citizen's, on whichever machine it runs."""

import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from scheduler.cluster.coordinator import ClusterCoordinator
from scheduler.cluster.database import Database
from scheduler.cluster.membership import join, leave
from scheduler.cluster.shared_files import Notes, write_files
from scheduler.config.settings import CitizenSettings, EngineSettings
from scheduler.core.costs import Budget, SpendingRules
from scheduler.core.ports import FleetOptions
from scheduler.core.schedules.freeze import Freeze
from scheduler.core.task import Outcome
from scheduler.engine.wake.record import WakeRecord
from scheduler.errors import DatabaseAway
from scheduler.executors.result import Result
from scheduler.ownership.coordinator import LocalCoordinator
from scheduler.spending.account import FOLDER, Account, AllCitizens
from scheduler.spending.budget import Charge
from scheduler.spending.ledger import SpendingLedger, late_line
from scheduler.storage.file_copies import FREEZE, METADATA
from scheduler.storage.freeze_file import NAME, FreezeFile, HomeFreezes
from scheduler.storage.shared_home import mark_shared
from scheduler.storage.wake_note import LastDelivered, read_note
from scheduler.system.root_folder import root_folder
from tests.fakes import NOON, FakeClock, until

DAY = date(2026, 3, 2)


class Machine:
    """One process on one machine, with a root and a home of its own."""

    def __init__(self, name: str, url: str, folder: Path, clock: FakeClock) -> None:
        self.root, self.home, self.clock = folder / name, folder / name / "opus", clock
        self.home.mkdir(parents=True)
        mark_shared(self.home, "00000000-0000-0000-0000-000000000001", "db")
        self.looked = 0
        local = LocalCoordinator(FleetOptions(), clock)
        engine = EngineSettings(url, name, 60.0)
        self.ended = 0
        self.coordinator = ClusterCoordinator(
            local, engine, self.root, self._look, lambda *_: None, self._accept, self._end
        )

    def _end(self) -> None:
        self.ended += 1

    def _look(self) -> None:
        self.looked += 1

    async def _accept(self, citizen: str, stream: object, asked_by: str) -> None: ...

    async def own(self):
        return await self.coordinator.acquire(CitizenSettings("opus", self.home))

    async def listen(self) -> None:
        await self.coordinator.free()
        await until(lambda: self.looked, "it listens")

    def ledger(self) -> SpendingLedger:
        found = SpendingLedger(self.home / FOLDER)
        found.load()
        return found

    def account(self, add) -> Account:
        made = Account(self.home, self.clock, AllCitizens(self.root), add)
        made.rules = SpendingRules(budget=Budget(day=Decimal(5)))
        return made


@pytest.fixture
async def machines(url: str, database: Database, tmp_path: Path) -> AsyncIterator[tuple[Machine, Machine]]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE experience.owners SET home_id = '00000000-0000-0000-0000-000000000001'")
    clock = FakeClock(NOON)
    made = Machine("m1", url, tmp_path, clock), Machine("m2", url, tmp_path, clock)
    yield made
    for machine in made:
        await machine.coordinator.close()
    await database.close()


def end_of_lease(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE experience.owners SET until = clock_timestamp()")


async def test_what_was_spent_goes_with_the_citizen_and_a_run_that_died_before_its_cost_counts(
    machines: tuple[Machine, Machine], url: str
) -> None:
    one, two = machines
    claim = await one.own()
    before = one.account(claim.copies.add)
    for run, cost in (("a", "2.00"), ("b", "1.50")):
        assert before.enter(run, "wake") is None
        before.settle(run, "wake", Decimal(cost), (None, None))
    assert before.enter("c", "report") is None  # and its owner dies before anybody knows its cost
    end_of_lease(url)
    other = await two.own()
    charges = two.ledger().charges(DAY, DAY)
    assert [(each.run, each.cost) for each in charges] == [
        ("a", Decimal("2.00")),
        ("b", Decimal("1.50")),
        ("c", None),
    ]
    limit = two.account(other.copies.add).enter("d", "wake")
    assert limit and limit.spent == Decimal("3.50")  # one more as dear as the dearest would be above 5
    with pytest.raises(OSError, match="another machine runs this citizen"):
        before.enter("late", "report")
    assert [each.run for each in two.ledger().charges(DAY, DAY)] == ["a", "b", "c"]


async def test_a_limit_that_a_person_lifts_on_another_machine_is_lifted_once(
    machines: tuple[Machine, Machine],
) -> None:
    one, two = machines
    await one.own()
    await two.listen()
    SpendingLedger(two.home / FOLDER, two.coordinator._notes.of("opus").add).add_to_budget(DAY, Decimal(2))
    await until(lambda: one.ledger().lift(DAY) == 2, "its owner knows")
    one.coordinator._on_note(None)  # heard again, after the connection was lost
    looked = one.looked
    await until(lambda: one.looked > looked, "all is read again")
    assert (one.ledger().lift(DAY), two.ledger().lift(DAY)) == (2, 2)


async def test_a_freeze_of_all_reaches_every_machine_and_its_end_does(
    machines: tuple[Machine, Machine],
) -> None:
    one, two = machines
    await one.listen()
    await two.listen()
    file = FreezeFile(root_folder(one.root) / NAME, together=True, copies=one.coordinator.copies(None))
    file.freeze(Freeze(NOON, None, "ct", "all stop"))
    there = HomeFreezes(two.home)
    await until(lambda: there.read(NOON).now(NOON), "m2 is frozen")
    found = there.read(NOON).now(NOON)
    assert found and (found.why, found.by, found.together) == ("all stop", "ct", True)
    file.thaw(NOON + 1)
    await until(lambda: not there.read(NOON + 1).now(NOON + 1), "m2 is thawed")


async def test_a_freeze_goes_with_the_citizen(machines: tuple[Machine, Machine], url: str) -> None:
    one, two = machines
    claim = await one.own()
    HomeFreezes(one.home, claim.copies).own.freeze(Freeze(NOON, None, "ct", "under review"))
    end_of_lease(url)
    await two.own()
    assert HomeFreezes(two.home).read(NOON).now(NOON)


async def test_the_record_of_wakes_goes_with_the_citizen(machines: tuple[Machine, Machine], url: str) -> None:
    one, two = machines
    claim = await one.own()
    record = WakeRecord("opus", one.home, one.clock, claim.copies)
    record.take_up({})
    delivered = LastDelivered("report", NOON - 60)
    await record.begin(NOON, delivered, (), {"tasks": "1"})
    await record.end(NOON, Result(Outcome.OK, "thought"), {})
    end_of_lease(url)
    await two.own()
    after = WakeRecord("opus", two.home, two.clock)
    after.take_up({})
    assert (after.count, after.delivered, dict(after.seen)) == (1, delivered, {"tasks": "1"})
    assert read_note(two.home).number == 0


async def test_a_process_ends_with_a_handler_that_does_not(
    machines: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.cluster.coordinator.ENDING", 0.001)
    for machine, running in zip(machines, (0, 1), strict=True):
        claim = await machine.own()
        heard: list[int] = []
        monkeypatch.setattr(machine.coordinator._guard, "tell", lambda heard=heard: heard.append(1))
        claim.counts(lambda running=running: running)
        claim.lease.lose()
        await until(lambda heard=heard: heard, "the guard hears")
        assert machine.ended == running
        await claim.release()


async def test_joining_takes_them_along_and_leaving_brings_them_back(database: Database, home: Path) -> None:
    HomeFreezes(home).own.freeze(Freeze(NOON, None, "ct", "first"))
    ledger = SpendingLedger(home / FOLDER)
    ledger.enter("a", "wake", DAY)
    ledger.settle("a", Decimal(2), None, None)
    await join(database, "nova", home, "m1", NOON)
    rows = await database.rows("SELECT name FROM experience.notes WHERE citizen = 'nova'")
    assert rows == [("freeze",)]
    async with database.connection() as connection:
        await connection.execute("UPDATE experience.notes SET content = replace(content, 'first', 'second')")
        await connection.execute(
            "INSERT INTO experience.spending (citizen, line) VALUES ('nova', %s)",
            ('{"run": "b", "task": "wake", "day": "2026-03-02"}',),
        )
    await leave(database, "nova", home, NOON)
    frozen = HomeFreezes(home).read(NOON).now(NOON)
    assert frozen and frozen.why == "second"
    ledger.load()
    assert [(each.run, each.cost) for each in ledger.charges(DAY, DAY)] == [("a", Decimal(2)), ("b", None)]
    await database.close()


def test_a_note_that_is_heard_several_times_at_once_is_written(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        notes = [{FREEZE: str(n), METADATA: json.dumps({"last_wake": n})} for n in range(400)]
        written = [threads.submit(write_files, tmp_path / "x", each, (), False) for each in notes]
        for each in written:
            each.result()
    assert (tmp_path / "x" / NAME).read_text().isdecimal()


def test_what_is_written_after_the_database_was_restarted_is_written(url: str, database: Database) -> None:
    notes = Notes(database)
    notes.of("opus").add(b"before")
    with psycopg.connect(url, autocommit=True) as other:
        others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s"
        assert other.execute(others, ("experience",)).fetchall()
        notes.of("opus").add(b"after")
        assert other.execute("SELECT line FROM experience.spending ORDER BY id").fetchall() == [
            ("before",),
            ("after",),
        ]
    notes.close()


def test_a_cost_that_becomes_known_late_reaches_the_ledger_of_the_owner(tmp_path: Path) -> None:
    ledger = SpendingLedger(tmp_path)
    ledger.enter("render-1", "render", DAY)
    line = late_line(Charge("render-1", "render", DAY, Decimal("0.50")))
    for _ in range(2):  # it may be told twice
        write_files(
            tmp_path, {}, [line, '{"run": "other-1", "task": "other", "day": "2026-03-02"}'], owned=True
        )
        ledger.load()
        assert [charge.cost for charge in ledger.charges(DAY, DAY)] == [Decimal("0.50")]


async def test_who_reaches_an_old_primary_sees_in_the_home_that_a_newer_server_has_run_the_citizen(
    machines: tuple[Machine, Machine],
) -> None:
    one, _ = machines
    claim = await one.own()
    seen = one.home / FOLDER / "server"
    system = seen.read_text().partition("/")[0]
    leases = one.coordinator._leases
    await leases.look_at_homes()
    for server in (f"{system}/00000001", "another/000000FF", f"{system}/nonsense"):
        seen.write_text(server)
        await leases.look_at_homes()
        assert claim.in_place() and seen.read_text() == claim.lease.server
    seen.write_text(f"{system}/000000FF")
    await leases.look_at_homes()
    assert not claim.in_place() and "is an old primary that takes writes: end it" in leases.trouble
    await claim.release()
    with pytest.raises(DatabaseAway, match=r"^opus: .* is an old primary .* promoted after it"):
        await one.own()
