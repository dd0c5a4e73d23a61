"""Which machines there are, who runs what on them, and what is said of one that is silent."""

import asyncio
import logging
from uuid import UUID, uuid4

import pytest

from scheduler.cluster import presence as module
from scheduler.cluster.database import Database
from scheduler.cluster.leases import Leases
from scheduler.cluster.presence import Owner, Presence, Seen, overview, picture, proven
from scheduler.core.machines import Host
from scheduler.process.process_info import BOOT, Running
from tests.fakes import NOON

ONE, TWO, THREE = UUID(int=1), UUID(int=2), UUID(int=3)


def seen(name: str, holder: UUID, age: float = 0.0, homes: tuple[str, ...] = (), boot: str = "a") -> Seen:
    return Seen(name, holder, boot, 30.0, age, 0.5, 0.0, homes)


def test_a_silent_machine_keeps_what_no_other_can_run() -> None:
    owners = [
        Owner("luna", "m2", 316, TWO, -11.0, running=1),
        Owner("nova", "m3", 902, THREE, 20.0, "m2", 8.0),
        Owner("opus", "m1", 4711, ONE, 20.0),
    ]
    there = [
        seen("m1", ONE, 1.0, ("opus",)),
        seen("m2", TWO, 41.0, ("luna", "nova")),
        seen("m3", THREE, 2.0, ("nova", "opus")),
    ]
    found = picture("db.example", 30.0, 0.003, there, owners, NOON)
    assert [machine.name for machine in found.silent] == ["m2"]
    assert found.hosts == {
        "luna": Host("m2", 316, NOON - 41.0),
        "nova": Host("m3", 902, None, "m2", NOON - 8.0),
        "opus": Host("m1", 4711, others=("m3",)),
    }
    by_name = {machine.name: machine for machine in found.machines}
    assert (by_name["m2"].citizens, by_name["m2"].running) == (("luna",), 1)
    assert by_name["m3"].citizens == ("nova",)


def test_a_machine_that_is_only_slow_is_not_silent_and_a_citizen_that_was_released_is_with_none() -> None:
    owners = [Owner("opus", "m1", 1, ONE, 12.0), Owner("mira", "m1", 1, ONE, -3.0)]
    found = picture("db", 30.0, 0.0, [seen("m1", ONE, 29.0)], owners, NOON)
    assert found.silent == () and found.hosts["mira"].silent_since is None
    assert found.machines[0].citizens == ("opus",)


def test_two_machines_of_one_name_are_a_problem_and_a_restart_is_none() -> None:
    twins = [seen("m1", ONE, 1.0), seen("m1", TWO, 2.0, boot="b")]
    assert "two machines are called m1" in picture("db", 30.0, 0.0, twins, [], NOON).machines[0].problem
    again = [seen("m1", ONE, 400.0, boot="b"), seen("m1", TWO, 2.0)]
    assert picture("db", 30.0, 0.0, again, [], NOON).machines[0].problem == ""


def here(database: Database, name: str, now: float, homes: tuple[str, ...] = ("opus",)) -> Presence:
    return Presence(database, uuid4(), name, 30.0, lambda: now, lambda: homes)


async def test_a_process_tells_of_itself_until_it_ends(database: Database) -> None:
    ((now,),) = await database.rows("SELECT extract(epoch FROM clock_timestamp())::float8")
    leases = Leases(database, "m1", Running(7, 0.0, 0.0, BOOT), 30.0)
    one = Presence(database, leases.holder, "m1", 30.0, lambda: now + 600.0, lambda: ("opus", "mira"))
    one.begin()
    await leases.take("opus", "home-1")
    for _ in range(200):
        found = await overview(database, 30.0, now)
        if found.machines:
            break
        await asyncio.sleep(0.02)
    (machine,) = found.machines
    assert (machine.name, machine.citizens, machine.silent) == ("m1", ("opus",), False)
    assert 598 < (machine.ahead or 0.0) < 602 and found.hosts["opus"].pid == 7
    await one.close()
    assert (await overview(database, 30.0, now)).machines == ()
    await leases.close()
    await database.close()


async def test_a_clock_that_is_off_and_a_name_that_is_taken_are_said_once(
    database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((now,),) = await database.rows("SELECT extract(epoch FROM clock_timestamp())::float8")
    with monkeypatch.context() as other:
        other.setattr(module, "BOOT", "another machine")
        await here(database, "m1", now).tell()
    with caplog.at_level(logging.WARNING):
        twin = here(database, "m1", now - 600)
        await twin.tell()
        await twin.tell()
    said = [record.getMessage() for record in caplog.records if record.name == "experience.engine"]
    assert len(said) == 2
    assert "this clock is 600" in said[0] and "behind the database's; set it by NTP" in said[0]
    assert "another machine is called m1, too" in said[1] and "[engine] machine" in said[1]
    await database.close()


def test_the_way_of_a_question_is_not_taken_for_a_clock_that_is_behind() -> None:
    assert [proven(*each) for each in ((600.0, 5.0), (-3.3, 5.0), (-600.0, 5.0))] == [600.0, 0.0, -595.0]
