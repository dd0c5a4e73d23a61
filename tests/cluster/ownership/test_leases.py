"""A citizen has one owner: the database's clock decides, and an owner gives up before its lease ends."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest

from scheduler.cluster.coordinator import ClusterCoordinator
from scheduler.cluster.database import STEPS, VERSION, Connection, Database, NotInstalled, install, shown
from scheduler.cluster.database import one as exactly_one
from scheduler.cluster.leases import KILLING, Leases
from scheduler.config.settings import CitizenSettings, EngineSettings
from scheduler.core.ports import FleetOptions
from scheduler.errors import PROGRAM, DatabaseAway, Owned
from scheduler.ownership.coordinator import LocalCoordinator
from scheduler.process.process_info import BOOT, Running, born
from scheduler.storage.shared_home import mark_shared
from scheduler.system.clock import elapsed
from tests.each import each
from tests.fakes import FakeClock

LONG = 600.0
Owners = Callable[..., Leases]


@pytest.fixture
async def owners(database: Database) -> AsyncIterator[Owners]:
    made: list[Leases] = []

    def make(machine: str = "m1", seconds: float = LONG, process: Running | None = None) -> Leases:
        ours = Running(os.getpid(), born(os.getpid()) or 0.0, 0.0, BOOT)
        made.append(Leases(database, machine, process or ours, seconds))
        return made[-1]

    yield make
    for database in made:
        await database.close()


async def expire(database: Database, citizen: str) -> None:
    """As if its time had passed."""
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE experience.owners SET until = clock_timestamp() WHERE citizen = %s", (citizen,)
        )


async def replaced(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("UPDATE experience.version SET server = 'another'")


async def test_the_second_to_ask_is_refused_and_told_who_owns_the_citizen(owners: Owners) -> None:
    await owners("m1").take("opus", "home-1")
    move = f"{PROGRAM} engine move opus m2"
    with pytest.raises(
        Owned, match=f"opus runs on m1, pid {os.getpid()}: try again, or move it here: {move}$"
    ):
        await owners("m2").take("opus", "home-1")
    with pytest.raises(Owned, match=r"try again, or end that one$"):
        await owners("m1").take("opus", "home-1")


async def test_each_owner_has_a_higher_epoch(owners: Owners, database: Database) -> None:
    first = await owners("m1").take("opus", "home-1")
    await expire(database, "opus")
    second = await owners("m2").take("opus", "home-1")
    assert (first.epoch, second.epoch) == (1, 2)


async def test_of_twenty_that_ask_at_once_one_gets_it(owners: Owners) -> None:
    asked = [owners(f"m{number}").take("opus", "home-1") for number in range(20)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(not isinstance(answer, Owned) for answer in answers) == 1


async def test_a_released_citizen_is_free_at_once(owners: Owners) -> None:
    one = owners("m1")
    lease = await one.take("opus", "home-1")
    await one.release(lease)
    assert not lease.held
    assert (await owners("m2").take("opus", "home-1")).held


async def test_a_lease_that_another_has_taken_is_lost_at_the_next_renewal(
    owners: Owners, database: Database
) -> None:
    one = owners("m1")
    lost: list[str] = []
    opus, mira = await one.take("opus", "home-1"), await one.take("mira", "home-2")
    opus.on_lost.append(lambda: lost.append("opus"))
    await expire(database, "opus")
    await owners("m2").take("opus", "home-1")
    await one.renew()
    assert (lost, opus.held, mira.held) == (["opus"], False, True)


async def test_a_lease_that_has_ended_is_not_renewed_even_if_it_was_not_taken(
    owners: Owners, database: Database
) -> None:
    one = owners("m1")
    lease = await one.take("opus", "home-1")
    await expire(database, "opus")
    await one.renew()
    assert lease.lost


async def test_an_owner_gives_up_before_its_lease_ends(
    owners: Owners, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = owners("m1", seconds=600.0)
    lease = await one.take("opus", "home-1")
    assert lease.held and lease.deadline <= elapsed() + 600.0 - one.margin
    monkeypatch.setattr("scheduler.cluster.leases.elapsed", lambda: lease.deadline)
    assert not lease.held
    with pytest.raises(Owned):  # the database still calls it owned
        await owners("m2").take("opus", "home-1")


async def test_a_connection_may_take_longer_than_a_renewal_and_an_answer_that_is_late_says_the_mend(
    owners: Owners, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As through a network that delivers late: a connection takes several times there and back."""
    one = owners("m1", seconds=2.0)
    connect = one._database.connect

    async def slow() -> Connection:
        await asyncio.sleep(1.2 * one.seconds / 2)
        return await connect()

    monkeypatch.setattr(one._database, "connect", slow)
    await one.renew()
    assert one.trouble == ""
    one.seconds = 0.0
    await one.renew()
    assert one.trouble.startswith('the database does not answer in time for failover = "0s": postgresql://')
    assert one.trouble.endswith("see to the network, or raise failover")


async def test_a_citizen_whose_lease_ended_while_it_was_taken_up_is_not_run(
    database: Database, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home_id, home = "00000000-0000-0000-0000-000000000001", tmp_path / "opus"
    home.mkdir()
    mark_shared(home, home_id, "db")
    async with database.connection() as connection:
        await connection.execute("UPDATE experience.owners SET home_id = %s", (home_id,))
    engine, local = EngineSettings(url, "m1", 60.0), LocalCoordinator(FleetOptions(), FakeClock())
    coordinator = ClusterCoordinator(local, engine, tmp_path, lambda: None, lambda *_: None, None)  # type: ignore[arg-type]
    monkeypatch.setattr("scheduler.cluster.leases.Lease.held", property(lambda lease: False))
    try:
        with pytest.raises(DatabaseAway, match=r"^opus: .* in time for failover = .60s.: .* raise failover"):
            await coordinator.acquire(CitizenSettings("opus", home))
    finally:
        await coordinator.close()


async def test_renewals_move_the_deadline_from_when_they_were_sent(owners: Owners) -> None:
    heard: list[float] = []
    one = owners("m1", seconds=60.0)
    one._renewed = heard.append
    lease = await one.take("opus", "home-1")
    before, first = elapsed(), lease.deadline
    await one.renew()
    assert heard[-1] == lease.deadline + KILLING * one.margin  # the guard's deadline: before its end
    assert first < lease.deadline <= elapsed() + 50 and lease.deadline >= before + 50


@pytest.fixture
def neighbour() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until a test kills it."""
    child = subprocess.Popen(("sleep", "60"))
    yield child
    child.kill()
    child.wait()


def running(child: "subprocess.Popen[bytes]") -> Running:
    return Running(child.pid, born(child.pid) or 0.0, 0.0, BOOT)


async def test_what_a_dead_process_of_this_machine_owned_is_taken_up_at_once(
    owners: Owners, neighbour: "subprocess.Popen[bytes]"
) -> None:
    await owners("m1", process=running(neighbour)).take("opus", "home-1")
    with pytest.raises(Owned):
        await owners("m1").take("opus", "home-1")
    neighbour.kill()
    neighbour.wait()
    with pytest.raises(Owned):  # a machine of another name on the same host, as in a container
        await owners("m2").take("opus", "home-1")
    assert (await owners("m1").take("opus", "home-1")).epoch == 2


async def test_who_stands_by_on_the_same_machine_need_not_wait_for_the_lease(
    owners: Owners,
    neighbour: "subprocess.Popen[bytes]",
    home: Path,
    clock: FakeClock,
    url: str,
    database: Database,
) -> None:
    home_id = "00000000-0000-0000-0000-000000000001"
    mark_shared(home, home_id, "db")
    async with database.connection() as connection:
        await connection.execute("UPDATE experience.owners SET home_id = %s", (home_id,))
    await owners("m1", process=running(neighbour)).take("opus", home_id)
    nothing, citizen = lambda *_: None, CitizenSettings("opus", home)
    engine, local = EngineSettings(url, "m1", LONG), LocalCoordinator(FleetOptions(), clock)
    standby = ClusterCoordinator(local, engine, home.parent, nothing, nothing, nothing)  # type: ignore[arg-type]
    with pytest.raises(Owned):
        await standby.acquire(citizen)
    assert await standby.free() == []
    neighbour.kill()
    neighbour.wait()
    assert await standby.free() == ["opus"]
    await (await standby.acquire(citizen)).release()
    await standby.close()


async def test_a_process_of_another_boot_or_container_is_never_believed_to_be_dead(
    owners: Owners, database: Database
) -> None:
    dead = Running(2**22 - 1, 1.0, 0.0, BOOT)
    await owners("m1", process=dead).take("opus", "home-1")
    other = "UPDATE experience.owners SET process = process || jsonb_build_object(%s::text, 'another')"
    for key in ("pids", "boot"):
        async with database.connection() as connection:
            await connection.execute(other, (key,))
        with pytest.raises(Owned):
            await owners("m1").take("opus", "home-1")


async def test_a_citizen_that_left_the_database_is_not_taken(owners: Owners) -> None:
    with pytest.raises(Owned, match=rf"aria is not in .* any more; finish with: {PROGRAM} engine leave"):
        await owners("m1").take("aria", "home-1")


async def test_an_owner_hears_that_a_person_wants_it_on_another_machine(
    owners: Owners, database: Database
) -> None:
    one = owners("m1")
    heard: list[str] = []
    lease = await one.take("opus", "home-1")
    lease.on_wanted = heard.append
    for machine in ("m1", "m2", "m2"):
        async with database.connection() as connection:
            await connection.execute("UPDATE experience.owners SET wanted = %s", (machine,))
        await one.renew()
    assert heard == ["m2"]
    await one.release(lease)
    await owners("m2").take("opus", "home-1")
    assert await database.rows("SELECT wanted FROM experience.owners WHERE citizen = 'opus'") == [("",)]
    await database.close()


async def test_a_copied_home_never_takes_the_citizen(owners: Owners, database: Database) -> None:
    await owners("m1").take("opus", "home-1")
    await expire(database, "opus")
    with pytest.raises(Owned, match="has another home than this one"):
        await owners("m2").take("opus", "copy")


async def test_another_server_voids_every_lease_and_no_machine_owns_for_the_time_of_one(
    owners: Owners, database: Database
) -> None:
    """As after a promotion: what the row says of the server is not what the server says."""
    one, fresh = owners("m1"), owners("m2")
    lease = await one.take("opus", "home-1")
    await one.renew()
    await replaced(database)
    with pytest.raises(Owned, match="a replica was promoted, or a copy put back; opus waits until"):
        await fresh.take("opus", "home-1")
    await one.renew()
    assert lease.lost
    async with database.connection() as connection:
        ends = "SELECT min(until - clock_timestamp()) FROM experience.owners"  # of mira, too, which had none
        (left,) = await exactly_one(connection, ends)
        assert LONG - 60 < left.total_seconds() <= LONG
    await expire(database, "opus")
    assert (await fresh.take("opus", "home-1")).epoch > 1_000_000
    await expire(database, "mira")
    assert (await owners("m3").take("mira", "home-2")).epoch > 1_000_000  # had an owner that is not known


async def test_without_the_database_a_lease_is_trusted_until_its_deadline_only(
    database: Database,
) -> None:
    one = Leases(database, "m1", Running(os.getpid(), 0.0, 0.0, BOOT), 1.2)
    lease = await one.take("opus", "home-1")
    one._database = Database("postgresql://127.0.0.1:1/none")
    await one.renew()
    assert lease.held and "does not answer" in one.trouble
    lease.deadline = elapsed()
    await one.renew()
    assert lease.lost


# ------------------------------------------------------------------ the database itself


async def test_tables_are_made_once_by_whoever_comes_first(url: str) -> None:
    made = await asyncio.gather(*(install(Database(url)) for _ in range(5)))
    assert sorted(made) == [False, False, False, False, True]


async def test_without_tables_the_command_that_makes_them_is_named(url: str) -> None:
    ours = Running(os.getpid(), 0.0, 0.0, BOOT)
    with pytest.raises(NotInstalled, match=f"{PROGRAM} engine setup"):
        await Leases(Database(url), "m1", ours, LONG).take("opus", "home-1")


async def test_tables_of_a_newer_program_are_left_alone(database: Database, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE experience.version SET number = 99")
    with pytest.raises(NotInstalled, match=f"version 99, this program knows {VERSION}: install the newer"):
        await install(database)


async def test_tables_of_an_older_program_are_refused_until_set_up_adds_what_they_lack(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((files("scheduler.cluster") / "sql" / STEPS[0]).read_bytes())
    ours = Running(os.getpid(), 0.0, 0.0, BOOT)
    with pytest.raises(
        NotInstalled, match=f"of version 1, this program knows {VERSION}: {PROGRAM} engine setup"
    ):
        await Leases(Database(url), "m1", ours, LONG).take("opus", "home-1")
    assert await install(Database(url))
    assert not await install(Database(url))
    with pytest.raises(Owned, match="opus is not in"):
        await Leases(Database(url), "m1", ours, LONG).take("opus", "home-1")


@each("bad", ["postgresql://experience:secret@127.0.0.1:1/none", "nonsense", "postgresql://[/x"])
async def test_a_wrong_address_is_one_line_without_the_password(bad: str) -> None:
    with pytest.raises(DatabaseAway, match="the database does not answer") as refused:
        await Database(bad).connect()
    assert "secret" not in str(refused.value) and "\n" not in str(refused.value)


def test_an_address_is_shown_without_user_password_and_options() -> None:
    assert shown("postgresql://ct:secret@db.example/e?sslmode=require") == "postgresql://db.example/e"
    assert shown("postgresql://ct:a@secret@db.example/e") == "postgresql://db.example/e"
    assert shown("postgresql://ct:1/secret@db.example/e") == "postgresql://db.example/e"


def test_an_error_quotes_no_password_however_it_is_given() -> None:
    for url in (
        "postgresql://ct:a@secret@h/e",
        "postgresql://h/e?password=secret",
        "postgresql://c:secret@h/e",
    ):
        assert "secret" not in str(Database(url).away(OSError(f"cannot use {url}")))
