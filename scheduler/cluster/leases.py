"""Ownership of citizens: a lease with a time limit in the database, and an epoch that rises with each owner.

The database compares only its own clock. A process trusts a lease only until its own deadline, which counts
from when the renewal was *sent*, on a clock that continues while the machine sleeps.
"""

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from operator import is_
from pathlib import Path
from typing import Any

import psycopg

from scheduler.cluster.database import ANSWER_WITHIN, Connection, Database, old_primary, require_schema
from scheduler.errors import PROGRAM, DatabaseAway, Owned
from scheduler.process.process_info import BOOT, Running, alive
from scheduler.schema.json_codec import from_json, to_json
from scheduler.system.clock import elapsed

RENEWALS = 6  # per lease; an owner gives the lease up one such part before it ends
RUN_BY_ANOTHER = "the citizen was run by one that was promoted after it"
REPLACED = "the database is another one: a replica was promoted, or a copy put back"
# Parts of the margin. By ENDING, everything under a lost lease has ended, or its process ends itself. By
# KILLING, the guard of a frozen owner begins to kill its runs, which takes a moment to find and kill all.
ENDING, KILLING = 0.4, 0.6

_TAKE = """
UPDATE experience.owners
SET epoch = epoch + 1, holder = %(holder)s, machine = %(machine)s, process = %(process)s, wanted = '',
    moved_from = CASE WHEN epoch = 0 OR machine = %(machine)s THEN moved_from ELSE machine END,
    moved_at = CASE WHEN epoch = 0 OR machine = %(machine)s THEN moved_at ELSE clock_timestamp() END,
    until = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE citizen = %(citizen)s AND home_id = %(home_id)s
  AND (until < clock_timestamp() OR holder = %(dead)s)
RETURNING epoch
"""
_RENEW = """
WITH mine AS (  -- in one order everywhere: writers lock these rows, too
    SELECT citizen FROM experience.owners
    WHERE holder = %(holder)s AND until > clock_timestamp() AND citizen = ANY(%(citizens)s)
    ORDER BY citizen FOR NO KEY UPDATE)
UPDATE experience.owners o SET until = clock_timestamp() + make_interval(secs => %(seconds)s)
FROM mine WHERE o.citizen = mine.citizen
RETURNING o.citizen, o.wanted
"""
_RELEASE = """
UPDATE experience.owners SET until = clock_timestamp()
WHERE citizen = %s AND holder = %s AND epoch = %s
"""
_OWNER = """
SELECT holder, machine, process, home_id, until > clock_timestamp() FROM experience.owners WHERE citizen = %s
"""


def too_slow(database: Database, seconds: float) -> str:
    """The error when leases of this many seconds cannot be kept."""
    fix = "see to the network, or raise failover"
    return f'the database does not answer in time for failover = "{seconds:g}s": {database.name}; {fix}'


def _here() -> dict[str, str]:
    """The boot and pid namespace in which a pid is unique: containers share the host's boot, not its pids."""
    try:
        return {"boot": BOOT, "pids": str(Path("/proc/self/ns/pid").readlink())}
    except OSError:
        return {}


def has_ended(process: Mapping[str, Any]) -> bool:
    """Whether the process in an owner's row is proven to have ended."""
    here = _here()
    return bool(here) and here.items() <= process.items() and not alive(from_json(Running, process))


@dataclass(slots=True)
class Lease:
    """The right to run one citizen: good until `deadline`, and never again once it is lost."""

    citizen: str
    epoch: int
    deadline: float  # by the clock of `elapsed`
    lost: bool = False
    wanted: str = ""  # the machine that should own it next
    on_lost: list[Callable[[], None]] = field(default_factory=list)
    on_wanted: Callable[[str], None] = lambda machine: None
    timer: asyncio.TimerHandle | None = None
    server: str = ""  # the server that granted it
    replaced: Callable[[], bool] = lambda: False  # whether a later promoted server has run it; blocks

    @property
    def held(self) -> bool:
        """Whether anything of the citizen may be started now."""
        return not self.lost and elapsed() < self.deadline

    def renew(self, deadline: float) -> None:
        """Trust the lease until `deadline` and lose it then."""
        self.deadline = deadline
        if self.timer:
            self.timer.cancel()
        self.timer = asyncio.get_running_loop().call_later(max(0.0, deadline - elapsed()), self._over)

    def asked_for(self, machine: str, ours: str) -> None:
        """Note that a person wants the citizen on `machine`; `ours` is this machine."""
        if machine not in (self.wanted, "", ours):
            self.wanted = machine
            self.on_wanted(machine)

    def _over(self) -> None:
        if self.held:  # the timer's clock may stop while the machine sleeps, or run early
            self.renew(self.deadline)
        else:
            self.lose()

    def lose(self) -> None:
        if self.timer:
            self.timer.cancel()
        if not self.lost:
            self.lost = True
            for callback in self.on_lost:
                callback()


class Leases:
    """All leases of this process: taken one by one, renewed in one statement, lost individually."""

    def __init__(
        self,
        database: Database,
        machine: str,
        process: Running,
        seconds: float,
        renewed: Callable[[float], None] = lambda deadline: None,
    ) -> None:
        self.machine, self.seconds = machine, seconds
        self._database, self._process, self._renewed = database, process, renewed
        self.holder = uuid.uuid4()  # not the machine's name, since two machines may have the same
        self._held: dict[str, Lease] = {}
        self._server = ""
        self._connection: Connection | None = None
        self._work: list[asyncio.Task[None]] = []
        self.trouble = ""  # why leases are not renewed now

    @property
    def margin(self) -> float:
        """The seconds before the end of a lease at which its owner gives it up."""
        return self.seconds / RENEWALS

    def _last(self, sent: float) -> float:
        """When the guard kills what runs under leases renewed at `sent`: before they end."""
        return sent + self.seconds - (1 - KILLING) * self.margin

    def begin(self) -> None:
        """Renew the leases from now on."""
        work = (self._renew_forever(), self._look_forever())
        self._work = [asyncio.create_task(each, name="leases") for each in work]

    async def close(self) -> None:
        """Stop renewing; leases still held are lost here and expire in the database."""
        for task in self._work:
            task.cancel()
            await asyncio.wait({task})
        self._lose(lambda lease: True)
        if self._connection:
            await self._connection.close()

    async def take(self, citizen: str, home_id: str) -> Lease:
        """Own the citizen; raises Owned, which names the owner, and DatabaseAway."""
        try:
            async with self._database.connection() as connection:
                await require_schema(connection, self._database)
                server = await self._database.served_by(connection, self.seconds)
                dead = await self._dead_neighbour(connection, citizen)
                sent = elapsed()
                values = {
                    "citizen": citizen,
                    "holder": self.holder,
                    "machine": self.machine,
                    "process": json.dumps(to_json(self._process) | _here()),
                    "home_id": home_id,
                    "seconds": self.seconds,
                    "dead": dead,
                }
                row = await (await connection.execute(_TAKE, values)).fetchone()
                if row is None:
                    raise Owned(await self._refusal(connection, citizen, home_id))
        except psycopg.Error as error:
            raise self._database.away(error) from error
        lease = self._held[citizen] = Lease(citizen, row[0], 0.0, server=server)
        lease.renew(sent + self.seconds - self.margin)
        self._renewed(self._last(sent))
        return lease

    async def release(self, lease: Lease) -> None:
        """Release the citizen at once, or when the lease ends if the database does not answer."""
        if self._held.get(lease.citizen) is lease:
            del self._held[lease.citizen]
        lease.on_lost.clear()
        lease.lose()
        try:
            async with self._database.connection() as connection:
                await connection.execute(_RELEASE, (lease.citizen, self.holder, lease.epoch))
        except DatabaseAway:
            pass

    async def _dead_neighbour(self, connection: Connection, citizen: str) -> uuid.UUID | None:
        """The holder of the lease if it is a process of this machine that is proven to have ended."""
        row = await (await connection.execute(_OWNER, (citizen,))).fetchone()
        return row[0] if row and row[1] == self.machine and has_ended(row[2]) else None

    async def _refusal(self, connection: Connection, citizen: str, home_id: str) -> str:
        row = await (await connection.execute(_OWNER, (citizen,))).fetchone()
        if row is None:
            name = self._database.name
            return f"{citizen} is not in {name} any more; finish with: {PROGRAM} engine leave {citizen}"
        _, machine, process, owned_home, running = row
        if running and not process:
            return f"{REPLACED}; {citizen} waits until every owner has given it up"
        if owned_home != home_id:
            return (
                f"{citizen} has another home than this one: the folder here was copied, or created again;"
                f" its home is on {machine}"
            )
        if not running:
            return f"{citizen} has just been released by {machine}, pid {process['pid']}: try again"
        move = f"move it here: {PROGRAM} engine move {citizen} {self.machine}"
        fix = "end that one" if machine == self.machine else move
        return f"{citizen} runs on {machine}, pid {process['pid']}: try again, or {fix}"

    # -------------------------------------------------------------- renewal

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(self.margin / 2 if self.trouble else self.margin)
            await self.renew()

    async def _look_forever(self) -> None:
        while True:
            for _ in range(RENEWALS):
                await asyncio.sleep(self.margin)
                await self.look_at_homes()
            with suppress(psycopg.Error):
                await self.look_for_newer()

    async def look_at_homes(self) -> None:
        """Lose the citizens that another machine has run through a server promoted after this one."""
        for lease in list(self._held.values()):
            if await asyncio.to_thread(lease.replaced):
                self.trouble = f"{old_primary(self._database.name)}; {RUN_BY_ANOTHER}"
                self._lose(partial(is_, lease))

    async def look_for_newer(self) -> None:
        """Lose all leases if this server still takes writes although another one was promoted."""
        connection = self._connection
        if connection and (replaced := await self._database.replaced(connection, self._server)):
            self.trouble = replaced
            self._lose(lambda lease: True)

    async def renew(self) -> None:
        """Renew all leases in one statement; a lease that is not renewed is lost at once."""
        try:
            connection = await self._connected()  # may take longer than a renewal may; the connection is kept
            citizens, sent = list(self._held), elapsed()
            async with asyncio.timeout(self.seconds / 2):
                values = {"holder": self.holder, "citizens": citizens, "seconds": self.seconds}
                rows = await (await connection.execute(_RENEW, values)).fetchall()
        except (psycopg.Error, DatabaseAway, TimeoutError) as error:
            if self._connection:
                await self._connection.close()
            self._connection = None
            self.trouble = str(error) or too_slow(self._database, self.seconds)
            self._lose(lambda lease: not lease.held)
            return
        self.trouble = ""
        deadline = sent + self.seconds - self.margin
        kept: dict[str, str] = dict(rows)
        for citizen in citizens:
            if citizen in kept and citizen in self._held:
                self._held[citizen].renew(deadline)
                self._held[citizen].asked_for(kept[citizen], self.machine)
        self._renewed(self._last(sent))
        self._lose(lambda lease: lease.citizen in citizens and lease.citizen not in kept)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = await self._database.connect()
            async with asyncio.timeout(ANSWER_WITHIN):
                served = self._database.served_by(self._connection, self.seconds)
                self._is_served_by(await served)
        return self._connection

    def _is_served_by(self, server: str) -> None:
        if self._server not in ("", server):
            self.trouble = REPLACED
            self._lose(lambda lease: True)
        self._server = server

    def _lose(self, which: Callable[[Lease], bool]) -> None:
        for lease in [lease for lease in self._held.values() if which(lease)]:
            del self._held[lease.citizen]
            lease.lose()
