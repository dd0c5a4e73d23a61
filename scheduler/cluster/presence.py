"""The machines and what runs on them: reported by each process, read by screens and commands."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from uuid import UUID

from psycopg.rows import TupleRow

from scheduler.cluster.database import Database
from scheduler.cluster.workers.worker_status import QueueRow, WorkerRow, queues, workers
from scheduler.core.machines import Cluster, Host, Machine, Queue
from scheduler.errors import DatabaseAway
from scheduler.process.process_info import BOOT
from scheduler.system.clock import elapsed
from scheduler.system.version import VERSION

log = logging.getLogger("experience.engine")

MOST_AHEAD = 1.0  # seconds between this clock and the database's

_PRESENT = """
WITH here AS (
    INSERT INTO experience.machines AS m
        (holder, name, pid, boot, version, seconds, seen, load, ahead, homes)
    VALUES (%(holder)s, %(name)s, %(pid)s, %(boot)s, %(version)s, %(seconds)s, clock_timestamp(), %(load)s,
        %(now)s - extract(epoch FROM clock_timestamp()), %(homes)s)
    ON CONFLICT (holder) DO UPDATE SET seen = excluded.seen, load = excluded.load, ahead = excluded.ahead,
        homes = excluded.homes
    RETURNING ahead),
old AS (DELETE FROM experience.machines WHERE seen < clock_timestamp() - interval '1 day')
SELECT here.ahead, (SELECT min(m.pid) FROM experience.machines m WHERE m.name = %(name)s
    AND m.boot <> %(boot)s AND m.seen > clock_timestamp() - make_interval(secs => m.seconds))
FROM here
"""
_GONE = "DELETE FROM experience.machines WHERE holder = %s RETURNING holder"
_MACHINES = """
SELECT name, holder, boot, seconds, extract(epoch FROM clock_timestamp() - seen)::float8, load, ahead, homes
FROM experience.machines WHERE seen > clock_timestamp() - interval '1 day' ORDER BY name, seen
"""
_OWNERS = """
SELECT o.citizen, o.machine, (o.process->>'pid')::integer, o.holder,
    extract(epoch FROM o.until - clock_timestamp())::float8, o.moved_from,
    extract(epoch FROM clock_timestamp() - o.moved_at)::float8,
    (SELECT count(*) FROM experience.runs r WHERE r.citizen = o.citizen AND r.outcome IS NULL)
FROM experience.owners o WHERE o.epoch > 0 ORDER BY o.citizen
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """A process as in its row; `age` is the time since its last report."""

    name: str
    holder: UUID
    boot: str
    seconds: float
    age: float
    load: float | None
    ahead: float
    homes: tuple[str, ...]

    @property
    def silent(self) -> bool:
        return self.age > self.seconds


@dataclass(frozen=True, slots=True)
class Owner:
    """The present or last owner of a citizen; its lease has `left` seconds, `since` is those after a move."""

    citizen: str
    machine: str
    pid: int | None
    holder: UUID
    left: float
    moved_from: str = ""
    since: float | None = None
    running: int = 0


class Presence:
    """Reports six times in a lease, for the other machines, that this process lives."""

    def __init__(
        self,
        database: Database,
        holder: UUID,
        machine: str,
        seconds: float,
        now: Callable[[], float],
        homes: Callable[[], Collection[str]],
    ) -> None:
        self._database, self._holder, self._machine, self._seconds = database, holder, machine, seconds
        self._now, self._homes = now, homes
        self._task: asyncio.Task[None] | None = None
        self._said: tuple[bool, bool] = (False, False)

    def begin(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._tell_forever(), name="presence")

    async def close(self) -> None:
        """Remove the row of this process, so that its machine does not count as silent."""
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task})
            with contextlib.suppress(DatabaseAway):
                await self._database.rows(_GONE, (self._holder,))

    async def tell(self) -> None:
        """Report once; raises DatabaseAway."""
        values = {
            "holder": self._holder,
            "name": self._machine,
            "pid": os.getpid(),
            "boot": BOOT,
            "version": VERSION,
            "seconds": self._seconds,
            "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "now": self._now(),
            "homes": sorted(self._homes()),
        }
        sent = elapsed()
        ((ahead, other),) = await self._database.rows(_PRESENT, values)
        self._warn(proven(ahead, elapsed() - sent), other)

    async def _tell_forever(self) -> None:
        while True:
            with contextlib.suppress(DatabaseAway):
                await self.tell()
            await asyncio.sleep(self._seconds / 6)

    def _warn(self, ahead: float, other: int | None) -> None:
        """Log once what is wrong with this machine's clock or name."""
        before, self._said = self._said, (abs(ahead) > MOST_AHEAD, other is not None)
        if self._said[0] and not before[0]:
            log.warning(skew_words(ahead))
        if self._said[1] and not before[1]:
            log.warning(same_name(self._machine, other))


def proven(ahead: float, took: float) -> float:
    """The seconds by which a clock is ahead at least; it was read before a query of `took` seconds."""
    return ahead if ahead > 0 else min(0.0, ahead + took)


def skew_words(ahead: float) -> str:
    """The warning that this machine's clock is off, with the fix."""
    where = "ahead of" if ahead > 0 else "behind"
    return f"this clock is {abs(ahead):.1f}s {where} the database's; set it by NTP"


def same_name(machine: str, pid: int | None) -> str:
    return f"another machine is called {machine}, too (pid {pid} there); give one another [engine] machine"


async def overview(database: Database, failover: float, now: float) -> Cluster:
    """Return all machines at this moment; raises DatabaseAway."""
    sent = elapsed()
    machines = await database.rows(_MACHINES)
    took = elapsed() - sent
    owners = await database.rows(_OWNERS)
    name = database.name.partition("//")[2].partition("/")[0]
    found = picture(
        name, failover, took, [_seen(row) for row in machines], [Owner(*row) for row in owners], now
    )
    working = tuple(_worker(row, now) for row in await workers(database))
    lines = tuple(_queue(row, now) for row in await queues(database))
    return replace(found, machines=(*found.machines, *working), queues=lines)


def _worker(row: WorkerRow, now: float) -> Machine:
    return Machine(
        row.machine, now + min(0.0, row.left), row.left <= 0, queues=row.queues, carries=row.carries
    )


def _queue(row: QueueRow, now: float) -> Queue:
    since = None if row.oldest is None else now - row.oldest
    return Queue(row.queue, row.workers, row.running, row.waiting, since, row.first)


def _seen(row: TupleRow) -> Seen:
    name, holder, boot, seconds, age, load, ahead, homes = row
    return Seen(name, holder, boot, seconds, age, load, ahead, tuple(homes))


def picture(
    name: str, failover: float, took: float, seen: list[Seen], owners: list[Owner], now: float
) -> Cluster:
    """The cluster that these rows describe."""
    by_holder = {one.holder: one for one in seen}
    hosts = {owner.citizen: _host(owner, by_holder.get(owner.holder), seen, now) for owner in owners}
    newest = {one.name: one for one in seen}  # the newest row of each name
    return Cluster(
        name,
        failover,
        took,
        machines=tuple(_machine(one, seen, owners, hosts, now) for one in newest.values()),
        hosts=hosts,
    )


def _host(owner: Owner, there: Seen | None, seen: list[Seen], now: float) -> Host:
    silent = None
    if owner.left <= 0 and there is not None and there.silent:
        silent = now - there.age
    others = {one.name for one in seen if owner.citizen in one.homes and not one.silent} - {owner.machine}
    moved = (
        (owner.moved_from, now - owner.since) if owner.moved_from and owner.since is not None else ("", 0.0)
    )
    return Host(owner.machine, owner.pid or 0, silent, *moved, tuple(sorted(others)))


def _machine(one: Seen, seen: list[Seen], owners: list[Owner], hosts: dict[str, Host], now: float) -> Machine:
    mine = [
        owner for owner in owners if owner.machine == one.name and (owner.left > 0 or _silent(hosts, owner))
    ]
    twins = [each for each in seen if each.name == one.name and each.boot != one.boot and not each.silent]
    return Machine(
        one.name,
        now - one.age,
        one.silent,
        tuple(owner.citizen for owner in mine),
        sum(owner.running for owner in mine),
        one.load,
        one.ahead,
        problem=f"two machines are called {one.name}: change [engine] machine on one" if twins else "",
    )


def _silent(hosts: dict[str, Host], owner: Owner) -> bool:
    return hosts[owner.citizen].silent_since is not None
