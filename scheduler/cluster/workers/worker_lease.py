"""A worker's lease: its runs last only while the lease is renewed; when it ends, none of them runs."""

import asyncio
import json
import logging
from collections.abc import Callable, Collection
from uuid import UUID, uuid4

import psycopg

from scheduler.cluster.database import ANSWER_WITHIN, Connection, Database, require_schema
from scheduler.cluster.leases import KILLING, RENEWALS, too_slow
from scheduler.errors import DatabaseAway, SchedulerError
from scheduler.process.process_info import Running
from scheduler.schema.json_codec import to_json
from scheduler.system.clock import elapsed

log = logging.getLogger("experience.worker")

_ENTER = """
INSERT INTO experience.workers (id, machine, queues, concurrency, process, until)
VALUES (%(id)s, %(machine)s, %(queues)s, %(concurrency)s, %(process)s,
    clock_timestamp() + make_interval(secs => %(seconds)s))
"""
_FORGET = "DELETE FROM experience.workers WHERE until < clock_timestamp() - interval '1 day'"
_RENEW = """
UPDATE experience.workers SET until = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE id = %(id)s AND until > clock_timestamp() RETURNING id
"""
_LEAVE = "DELETE FROM experience.workers WHERE id = %s"


class WorkerLease:
    """This worker's row; each lease has a new `id`, and runs claimed under an older one have ended."""

    def __init__(
        self,
        database: Database,
        machine: str,
        queues: Collection[str],
        concurrency: int,
        process: Running,
        seconds: float,
        renewed: Callable[[float], None],
        lost: Callable[[], None],
    ) -> None:
        """`renewed` gets the time until which runs may last; `lost` is called when all must end now."""
        self.id: UUID = uuid4()
        self.seconds = seconds
        self.came_back = asyncio.Event()  # set when the database answers again
        self._database, self._renewed, self._lost = database, renewed, lost
        self._facts = {
            "machine": machine,
            "queues": list(queues),
            "concurrency": concurrency,
            "process": json.dumps(to_json(process)),
            "seconds": seconds,
        }
        self._deadline = 0.0
        self._connection: Connection | None = None
        self.troubled = False  # whether the database does not answer
        self._timer: asyncio.TimerHandle | None = None

    @property
    def margin(self) -> float:
        """The seconds before its end at which the lease is given up."""
        return self.seconds / RENEWALS

    @property
    def held(self) -> bool:
        """Whether a run may begin now."""
        return elapsed() < self._deadline

    async def enter(self) -> None:
        """Register the worker under a new id; raises NotInstalled, DatabaseAway."""
        made = uuid4()
        try:
            connection = await self._connected()  # kept, since a new one may take longer than the lease
            await require_schema(connection, self._database)
            await connection.execute(_FORGET)
            sent = elapsed()
            await connection.execute(_ENTER, {**self._facts, "id": made})
        except (psycopg.Error, TimeoutError) as error:
            await self._disconnect()
            raise self._database.away(error) from error
        self.id = made
        self._count_from(sent)

    async def keep(self) -> None:
        """Renew forever, under a new id after the lease was lost."""
        while True:
            await asyncio.sleep(self.margin / 2 if self.troubled else self.margin)
            try:
                await self._renew()
            except (psycopg.Error, SchedulerError, TimeoutError) as error:
                await self._failed(error)

    async def leave(self) -> None:
        """Remove the worker's row: nothing runs here any more."""
        self._deadline = 0.0
        if self._timer:
            self._timer.cancel()
        await self._disconnect()
        try:
            async with self._database.connection() as connection:
                await connection.execute(_LEAVE, (self.id,))
        except DatabaseAway:  # the lease then expires by itself
            pass

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = await self._database.connect()
            async with asyncio.timeout(ANSWER_WITHIN):
                await self._database.served_by(self._connection, self.seconds)
        return self._connection

    async def _renew(self) -> None:
        connection = await self._connected()
        sent, values = elapsed(), {**self._facts, "id": self.id}
        async with asyncio.timeout(self.seconds / 2):
            row = await (await connection.execute(_RENEW, values)).fetchone()
        if row is None:
            self._give_up("the lease of this worker has ended")
            await self.enter()
        else:
            self._count_from(sent)
        if self.troubled:
            log.info("the database answers again")
            self.troubled = False
            self.came_back.set()

    async def _disconnect(self) -> None:
        if self._connection:
            await self._connection.close()
        self._connection = None

    async def _failed(self, error: Exception) -> None:
        await self._disconnect()
        if not self.troubled:
            self.troubled = True
            log.error(str(error) or too_slow(self._database, self.seconds))

    def _count_from(self, sent: float) -> None:
        self._deadline = sent + self.seconds - self.margin
        self._renewed(sent + self.seconds - (1 - KILLING) * self.margin)
        self._watch()

    def _watch(self) -> None:
        """Give the lease up on time, whatever the database does."""
        if self._timer:
            self._timer.cancel()
        left = max(0.0, self._deadline - elapsed())
        self._timer = asyncio.get_running_loop().call_later(left, self._over)

    def _over(self) -> None:
        if self.held:  # the timer's clock may stop while the machine sleeps, or run early
            self._watch()
        elif self._deadline:
            self._give_up("no word from the database for too long")

    def _give_up(self, why: str) -> None:
        if self._deadline:
            log.error(f"ends its runs: {why}")
        self._deadline = 0.0
        self._lost()
