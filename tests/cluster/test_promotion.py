"""A server dies and its replica is promoted: owners follow, and what the replica lacks is not believed."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from scheduler.cluster.database import Database
from scheduler.cluster.fence import FencedWriter, Started
from scheduler.cluster.health import problems
from scheduler.cluster.leases import Lease, Leases
from scheduler.errors import DatabaseAway, Owned
from scheduler.process.process_info import BOOT, Running
from scheduler.system.clock import elapsed
from tests.cluster.machines import FORWARDER
from tests.cluster.postgres import Postgres, postgres

pytestmark = pytest.mark.timeout(120)
FAILOVER = 3.0


@pytest.fixture
def wire(server: Postgres) -> Iterator["subprocess.Popen[str]"]:
    """Between a replica and its server."""
    command = (sys.executable, "-c", FORWARDER, str(server.port))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forwarder:
        yield forwarder
        forwarder.kill()


@pytest.fixture
def replica(server: Postgres, wire: "subprocess.Popen[str]", database: Database) -> Iterator[Postgres]:
    assert wire.stdout
    through = server.url().replace(str(server.port), wire.stdout.readline().strip())
    with postgres(copy_of=through) as running:
        yield running
        if not server.running:
            server.start()


@pytest.fixture
async def both(server: Postgres, replica: Postgres) -> AsyncIterator[Database]:
    hosts = f"127.0.0.1:{server.port},127.0.0.1:{replica.port}"
    made = Database(f"postgresql://experience@{hosts}/postgres?target_session_attrs=read-write")
    yield made
    await made.close()


def started(task: str) -> list[Started]:
    return [Started(task, 1, "slot", 1, "schedule", 1.0, {"run_count": 1})]


def leases_of(machine: str, database: Database) -> Leases:
    return Leases(database, machine, Running(os.getpid(), 0.0, 0.0, BOOT), FAILOVER)


async def tasks(database: Database) -> list[str]:
    return [row[0] for row in await database.rows("SELECT task FROM experience.runs ORDER BY id")]


async def test_what_a_promoted_replica_lacks_is_never_given_again(
    server: Postgres, replica: Postgres, wire: "subprocess.Popen[str]", both: Database
) -> None:
    """Nothing that was committed while it was synchronous; what came later is lost, the epoch, too."""
    one, two, writer = leases_of("m1", both), leases_of("m2", both), FencedWriter(both)
    server.set_to("synchronous_standby_names", "*")
    first = await one.take("opus", "home-1")
    assert all(await writer.write(first, started("kept")))
    server.set_to("synchronous_standby_names", "")
    wire.kill()
    await one.release(first)
    lost = await one.take("opus", "home-1")
    assert all(await writer.write(lost, started("lost")))
    server.crash()
    replica.promote()
    assert await tasks(both) == ["kept"]
    with pytest.raises(Owned, match="a replica was promoted"):
        await two.take("opus", "home-1")
    assert await writer.write(lost, started("late")) == [0]
    await one.renew()
    assert lost.lost
    await asyncio.sleep(FAILOVER)
    after = await two.take("opus", "home-1")
    assert after.epoch > lost.epoch
    assert all(await writer.write(after, started("next")))
    assert await tasks(both) == ["kept", "next"]
    server.start()  # the address names it first
    await two.release(after)  # reaches the old primary, so the lease has to end by itself
    await asyncio.sleep(FAILOVER)
    await stays_away_from_the_old_primary(server, replica, both, after.epoch)
    for each in (one, two, writer):
        await each.close()


async def stays_away_from_the_old_primary(
    server: Postgres, replica: Postgres, both: Database, epoch: int
) -> None:
    line = (
        f"127.0.0.1:{server.port} is an old primary that takes writes: end it; 127.0.0.1:{replica.port} was"
    )
    url = replica.url().replace("@", f"@127.0.0.1:{server.port},") + "?target_session_attrs=read-write"
    owner, doctor, remembers = Database(url), Database(url), Database(url)
    three = leases_of("m3", owner)
    with pytest.raises(DatabaseAway, match=line):
        await three.take("opus", "home-1")
    assert (await three.take("opus", "home-1")).epoch == epoch + 1  # it has gone over to the newer one
    assert any(line in problem for problem in await problems(doctor))
    goes_on = leases_of("m4", remembers)  # it owns by the old one, and the other one is promoted
    goes_on._connection = await remembers.connect()
    ((goes_on._server,),) = await remembers.rows("SELECT experience.server()")
    lease = goes_on._held["opus"] = Lease("opus", 1, elapsed() + 600.0)
    await goes_on.look_for_newer()
    assert lease.lost and line in goes_on.trouble
    assert goes_on._connection.closed and await tasks(remembers) == ["kept", "next"]
    await both.close()
    remembered = Database(server.url())  # alone, by a process that has seen the newer one
    remembered._newest = both._newest
    async with remembered.connection() as connection:
        with pytest.raises(DatabaseAway, match="another one was promoted after it"):
            await remembered.served_by(connection, FAILOVER)
    for each in (three, goes_on, owner, doctor, remembers, remembered):
        await each.close()
