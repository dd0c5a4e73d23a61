"""An owner of opus and its remote runs, row by row, for tests."""

import asyncio
import os
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from scheduler.cluster.database import Connection, Database
from scheduler.cluster.fence import FencedWriter, Order, Started
from scheduler.cluster.leases import Lease, Leases
from scheduler.cluster.workers import run_rows
from scheduler.process.process_info import BOOT, Running

OK = {"outcome": "ok", "text": "done", "urgent": False, "traceback": "", "code": 0}
ORDER = Order("gpu", "digest", 50, None)


@dataclass
class Desk:
    """An owner of opus, and the workers that a test lets in."""

    database: Database
    connection: Connection
    leases: Leases
    writer: FencedWriter
    lease: Lease

    async def start(self, number: int = 1, task: str = "render", charge: str = "") -> int:
        slot, state = f"slot{number}", {"run_count": number}
        start = Started(task, number, slot, 1, "schedule", 1.0, state, charge, ORDER)
        (row,) = await self.writer.write(self.lease, [start])
        return row

    async def enter(self, seconds: float = 600.0) -> UUID:
        made = uuid4()
        await self.connection.execute(
            "INSERT INTO workers"
            " VALUES (%s, 'g1', '{gpu}', 1, '{}', clock_timestamp() + %s * interval '1 s')",
            (made, seconds),
        )
        return made

    async def claim(self, run: int, worker: UUID) -> run_rows.Claimed | None:
        return await run_rows.claim(self.connection, run, worker)

    async def claim_next(self, worker: UUID) -> run_rows.Claimed | None:
        return await run_rows.claim_next(self.connection, ["gpu"], worker)

    async def finish(self, run: int, worker: UUID) -> bool:
        return await run_rows.finish(self.connection, run, worker, OK)

    async def look(self, *runs: int, patience: float = 600.0) -> dict[int, run_rows.Sight]:
        return await run_rows.look(self.connection, runs, ["opus"], patience)

    async def ask(self, query: str) -> list[Any]:
        found = await self.connection.execute(query)  # type: ignore[call-overload]
        return [row[0] for row in await found.fetchall()]

    async def until_it_waits(self, work: "asyncio.Task[Any]", connection: Connection) -> None:
        """Return when this work waits for the lock of another connection than its own."""
        waits = f"SELECT cardinality(pg_blocking_pids({connection.info.backend_pid}))"
        while await self.ask(waits) == [0]:
            assert not work.done()
            await asyncio.sleep(0.01)

    async def jobs(self) -> list[Any]:
        return await self.ask("SELECT status FROM procrastinate_jobs ORDER BY id")

    async def another(self) -> Lease:
        """The lease of opus that another machine takes, for the owner is gone."""
        await self.connection.execute("UPDATE owners SET until = clock_timestamp()")
        other = Leases(self.database, "m2", Running(os.getpid(), 0.0, 0.0, BOOT), 600.0)
        return await other.take("opus", "home-1")

    async def next_owner(self) -> frozenset[str]:
        """Another machine takes opus over; its first look at what runs elsewhere."""
        lease = await self.another()
        return await run_rows.take_over(self.connection, "opus", lease.epoch)
