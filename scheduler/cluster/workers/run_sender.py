"""The owner's end: sends runs to workers, receives their reports, and ends those no longer wanted."""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from scheduler.cluster.bus import Stream
from scheduler.cluster.database import Connection, Database
from scheduler.cluster.leases import Lease
from scheduler.cluster.store import GATHER, ClusterStore
from scheduler.cluster.workers import run_rows
from scheduler.cluster.workers.run_messages import said, say
from scheduler.cluster.workers.run_result import (
    machine_of,
    print_piece,
    print_rest,
    record_endings,
    reported_of,
    result_of,
    usage_of,
)
from scheduler.core.task import Context, Outcome, Progress, Task
from scheduler.core.wording.text import ordinal
from scheduler.engine.paid.run_costs import RunCosts
from scheduler.engine.remote_runs import Began, Wanted
from scheduler.engine.run import RunHandle
from scheduler.errors import DatabaseAway
from scheduler.executors.result import Result
from scheduler.system.clock import elapsed

log = logging.getLogger("experience.engine")

PATIENCE = 1.0  # seconds after which a knock that led to no claim is repeated
LOOK = 1.0  # seconds between two checks of the rows of runs on workers
FOLLOW = 0.1  # seconds between two checks whether one is followed
HEARD = 3.0  # seconds for which a worker considers a run followed


@dataclass(slots=True, eq=False)
class Sent:
    """A run that a worker carries out or will carry out."""

    row: int
    lease: Lease
    queue: str
    handle: RunHandle
    began: Began
    wanted: Wanted
    machine: str = ""
    stream: Stream | None = None
    heard: float = 0.0  # when its worker was last told that it is followed
    ended: "asyncio.Future[Result | None]" = field(  # None: it was taken back
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    async def begin(self, machine: str) -> None:
        """Note that a worker on this machine begins the run."""
        if not self.machine:
            self.machine = machine
            await self.began(machine)

    def end(self, raw: dict[str, Any]) -> None:
        """Note how the run ended; the first ending counts."""
        if not self.ended.done():
            with contextlib.suppress(TypeError, ValueError):  # it is not from a worker of this program
                print_rest(raw, self.handle.output)
            self.handle.where = self.handle.where or machine_of(raw)
            for each in usage_of(raw):
                self.handle.use(each)
            self.handle.reported, self.handle.never_began = reported_of(raw), raw.get("began") is False
            self.ended.set_result(result_of(raw))

    def lost(self) -> None:
        """Note that its worker is silent: the run has ended, and its result would be refused."""
        if not self.ended.done():
            where = self.machine or f"its {self.queue} worker"
            self.ended.set_result(Result(Outcome.INTERRUPTED, f"interrupted: {where} was lost"))

    def ask(self) -> None:
        """Ask the worker to end the run, the second time without grace."""
        if self.stream and not self.stream.closed:
            say(self.stream, stop=True)

    def follow(self, now: float) -> None:
        """Tell the worker that the run's output is followed."""
        following = self.handle.printed is not None and self.handle.printed.followed
        if following and self.stream and not self.stream.closed and now - self.heard > HEARD / 2:
            self.heard = now
            say(self.stream, follow=True)

    def see(self, sight: run_rows.Sight) -> None:
        """Show what the run waits for."""
        who = f"{'an' if self.queue[0] in 'aeiou' else 'a'} {self.queue} worker"
        if not sight.workers:
            self.handle.waits_for(f"waits for {who}: none is there")
        else:
            self.handle.waits_for(f"waits for {who}: {ordinal(sight.place)} of {sight.waiting}")


class RunSender:
    """All runs of this process that are on workers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open: dict[int, Sent] = {}
        self._looking: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._asking = asyncio.Lock()
        self._results: set[int] = set()  # runs that have ended, as reported by workers
        self._reading: asyncio.Task[None] | None = None

    def of(self, lease: Lease, store: ClusterStore) -> "CitizenSender":
        """The sender of one citizen's runs."""
        return CitizenSender(self, lease, store)

    async def take_over(
        self, lease: Lease, tasks: Mapping[str, Task], now: float, costs: RunCosts
    ) -> frozenset[str]:
        """Record or end the runs that earlier owners left on workers; return the tasks of which one began."""
        async with self._database.connection() as connection, connection.transaction():
            if not await run_rows.owns(connection, lease.citizen, lease.epoch):
                return frozenset()
            await record_endings(connection, lease.citizen, lease.epoch, tasks, now, costs)
            return await run_rows.take_over(connection, lease.citizen, lease.epoch)

    async def carry(self, sent: Sent) -> Result | None:
        """Return the result, None if it was taken back; a cancel returns when no worker has the run."""
        self._open[sent.row] = sent
        self._look_soon()
        if sent.row in self._results:  # its worker was faster than this process
            self._read_soon()
        try:
            return await asyncio.shield(sent.ended)
        except asyncio.CancelledError:
            await self._end(sent)
            raise
        finally:
            del self._open[sent.row]

    async def serve(self, run: int, stream: Stream) -> None:
        """Receive a worker's reports on a run."""
        sent = self._open.get(run)
        if sent is None:
            stream.abort()
            return
        sent.stream, sent.heard = stream, 0.0
        try:
            async for message in said(stream):
                await self._hear(sent, message)
        finally:
            stream.abort()

    def ended(self, word: str) -> None:
        """Note that a worker has recorded the result of this run."""
        with contextlib.suppress(ValueError):  # any user of the database can send anything
            self._results.add(int(word))
            self._read_soon()

    async def close(self) -> None:
        for task in (self._looking, self._following, self._reading):
            if task:
                task.cancel()
                await asyncio.wait({task})
        if self._connection:
            await self._connection.close()

    async def _hear(self, sent: Sent, message: dict[str, Any]) -> None:
        match message:
            case {"began": str(machine)}:
                await sent.begin(machine)
            case {"printed": [int(), str()] as piece}:
                print_piece(piece, sent.handle.output)
            case {"progress": [int() | float() as done, int() | float() as total, str(text)]}:
                sent.handle.report(Progress(done, total, text))
            case {"ended": dict(raw)}:
                sent.end(raw)

    # -------------------------------------------------------------- ending one

    async def _end(self, sent: Sent) -> None:
        """Return when the run has ended, or another owner ends it; each further cancel shortens the grace."""
        sent.handle.left_behind(f"its run on {sent.machine or 'a worker'}", lambda: not sent.ended.done())
        ending = asyncio.ensure_future(self._until_ended(sent))
        while not ending.done():
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:
                sent.ask()

    async def _until_ended(self, sent: Sent) -> None:
        asked = False
        while sent.lease.held and not sent.ended.done():
            with contextlib.suppress(DatabaseAway, psycopg.Error):
                if not await self._stop(sent):
                    await self._look()
                    break
                if not asked:
                    sent.ask()
                    asked = True
            await asyncio.wait({sent.ended}, timeout=LOOK)
        if not sent.ended.done():
            sent.ended.set_result(Result(Outcome.INTERRUPTED, "interrupted"))

    async def _stop(self, sent: Sent) -> bool:
        """Take the run back if it waits, else ask its worker to end it; return whether a worker has it."""
        async with self._asking:
            connection = await self._connected()
            sent.handle.never_began = bool(await run_rows.take_back(connection, [sent.row]))
            return not sent.handle.never_began and await run_rows.stop(connection, sent.row)

    # -------------------------------------------------------------- looking

    def _look_soon(self) -> None:
        """Start the two background loops, which end by themselves when no run is open."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._keep_looking(), name="remote runs")
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._keep_following(), name="followed runs")

    async def _keep_looking(self) -> None:
        while self._open:
            await asyncio.sleep(LOOK)
            with contextlib.suppress(DatabaseAway, psycopg.Error):
                await self._look()

    async def _keep_following(self) -> None:
        while self._open:
            waiting = [sent for sent in self._open.values() if not sent.machine]
            if unwanted := [sent.row for sent in waiting if not sent.wanted()]:
                with contextlib.suppress(DatabaseAway, psycopg.Error):
                    await self._take_back(unwanted)
            for sent in list(self._open.values()):
                sent.follow(elapsed())
            await asyncio.sleep(FOLLOW)

    async def _take_back(self, rows: Collection[int]) -> None:
        async with self._asking:
            taken = await run_rows.take_back(await self._connected(), rows)
        for row in taken:
            if (sent := self._open.get(row)) and not sent.ended.done():
                sent.ended.set_result(None)

    def _read_soon(self) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_results(), name="results")

    async def _read_results(self) -> None:
        """Read results, and again if more came in the meantime; the regular check finds missed ones."""
        with contextlib.suppress(DatabaseAway, psycopg.Error):
            while known := self._results & self._open.keys():
                self._results.clear()
                async with self._asking:
                    found = await run_rows.results(await self._connected(), known)
                for row, result in found.items():
                    if sent := self._open.get(row):
                        sent.end(result)
                await asyncio.sleep(GATHER)

    async def _look(self) -> None:
        """Read the rows of all open runs: missed results, lost runs, waiting runs."""
        known = list(self._open)
        citizens = {sent.lease.citizen for sent in self._open.values()}
        async with self._asking:
            found = await run_rows.look(await self._connected(), known, citizens, PATIENCE)
        for row in known:
            if sent := self._open.get(row):
                await self._saw(sent, found.get(row))

    async def _saw(self, sent: Sent, sight: run_rows.Sight | None) -> None:
        if sight is None:
            sent.lost()
        elif sight.result is not None:
            sent.end(sight.result)
        elif sight.machine is not None:
            await sent.begin(sight.machine)
        else:
            sent.see(sight)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = await self._database.connect()
        return self._connection


@dataclass(frozen=True, slots=True)
class CitizenSender:
    """Sends the runs of one citizen while this process owns it."""

    sender: RunSender
    lease: Lease
    store: ClusterStore

    async def run(
        self, task: Task, context: Context, run: RunHandle, began: Began, wanted: Wanted
    ) -> Result | None:
        row = self.store.open_rows[task.name]
        return await self.sender.carry(Sent(row, self.lease, task.queue, run, began, wanted))
