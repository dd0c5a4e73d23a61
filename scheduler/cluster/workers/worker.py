"""A worker: claims runs of its queues, carries them out by its own settings, and reports how they ended.

Procrastinate only notifies; the row decides. A worker that cannot renew its lease ends its runs before others
may count them as lost; if it cannot, its guard does.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Collection
from uuid import UUID, uuid4

import psycopg

from scheduler.cluster.bus import Bus, Stream, own_channel
from scheduler.cluster.database import Connection, Database
from scheduler.cluster.guard import Guard
from scheduler.cluster.leases import ENDING, too_slow
from scheduler.cluster.providers import outage_rows
from scheduler.cluster.providers.outage_rows import Noter
from scheduler.cluster.workers import run_rows
from scheduler.cluster.workers.definitions import Definitions
from scheduler.cluster.workers.procrastinate_jobs import hear
from scheduler.cluster.workers.run_reporter import RunReporter
from scheduler.cluster.workers.run_result import ending
from scheduler.cluster.workers.worker_costs import WorkerCharge, charge_of, tell, tell_left_over
from scheduler.cluster.workers.worker_lease import WorkerLease
from scheduler.config.loader import Settings
from scheduler.config.settings import EngineSettings
from scheduler.core.secrets import Masks
from scheduler.core.task import Context, Outcome, Trigger
from scheduler.engine.paid.holds import away
from scheduler.engine.run import RunHandle, RunObserver
from scheduler.engine.run_registry import RunRegistry
from scheduler.engine.runner import WRITE_OFF, Runner
from scheduler.engine.task_registry import TaskRegistry
from scheduler.errors import DatabaseAway, TaskFailed, file_error
from scheduler.executors.executor import IN_PROCESS, Executor
from scheduler.executors.result import Result
from scheduler.process.process_info import BOOT, Running, born
from scheduler.providers.outage import Probe
from scheduler.storage.state_store import Store
from scheduler.system.clock import Clock

log = logging.getLogger("experience.worker")

LOOK = 1.0  # seconds between two checks of the owners' requests, while it has runs
AGAIN = 1.0  # seconds until the next attempt after the database did not answer
CLOSING = 5.0  # seconds that Procrastinate gets to shut down
HURRY = 0.1  # seconds of grace for runs whose lease has ended
GRACE = 10.0  # seconds that runs get when the worker is stopped
SHUT_DOWN = "the worker on {} was shut down"
WRITTEN_OFF = "its owner wrote it off"
NEVER_BEGAN = Result(Outcome.INTERRUPTED, "interrupted: it never began")


class Carried:
    """A run under way on this worker."""

    def __init__(self, claimed: run_rows.Claimed, worker: UUID, handle: RunHandle) -> None:
        self.claimed, self.worker, self.handle = claimed, worker, handle
        self.over = False  # only its result is still to be recorded
        self.charge: WorkerCharge | None = None


class Worker(RunObserver):
    """Carries out runs of its queues, a limited number at a time."""

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], Settings],
        engine: EngineSettings,
        queues: Collection[str],
        concurrency: int,
        clock: Clock,
    ) -> None:
        self._machine, self._url, self._clock = engine.machine, engine.url, clock
        self._queues, self._concurrency = queues, concurrency
        self._database = Database(engine.url)
        self._definitions = Definitions(settings, load, engine.machine)
        self._executor = Executor()
        self._guard = Guard(self._executor.calls)
        ours = Running(os.getpid(), born(os.getpid()) or 0.0, clock.now(), BOOT)
        facts = (engine.machine, queues, concurrency, ours, engine.failover)
        self._lease = WorkerLease(self._database, *facts, self._guard.renewed, self._lost)
        self._runs = RunRegistry("worker", TaskRegistry("worker", Store(), clock, lambda job: None), clock)
        self._runner = Runner(self._runs, clock, self._executor, self._ended)
        self._bus = Bus(self._database, uuid4(), self._refuse)
        self._carried: dict[int, Carried] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}  # by run, from its claim to its end
        self._taking: set[asyncio.Task[int | None]] = set()
        self._unsure = False  # whether the answer to a claim may have been lost
        self._unanswered: set[int] = set()  # runs whose claim is on record but whose answer never came
        self._connection: Connection | None = None
        self._asking = asyncio.Lock()
        self._stopping = False

    async def work(self, stop: asyncio.Event) -> None:
        """Carry out runs until `stop` is set; raises NotInstalled."""
        self._executor.begin()
        await asyncio.to_thread(self._guard.begin)
        await self._enter(stop)
        self._bus.begin()
        work = (self._lease.keep(), self._look_forever(), self._hear_forever())
        keeping, looking, hearing = (asyncio.create_task(each, name="worker") for each in work)
        queues = ", ".join(self._queues)
        log.info(
            f"{self._machine} works for {queues}, {self._concurrency} at a time, by {self._database.name}"
        )
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({stopped, keeping, looking, hearing}, return_when=asyncio.FIRST_COMPLETED)
            await self._end(hearing)
        finally:
            stopped.cancel()
            for task in (hearing, looking, keeping):
                task.cancel()
            await asyncio.wait({hearing, looking, keeping})
            await self._close()

    async def _enter(self, stop: asyncio.Event) -> None:
        """Return when the worker has its lease: the database's machine may start later than this one."""
        said = ""
        while not stop.is_set():
            try:
                return await self._lease.enter()
            except DatabaseAway as error:
                if str(error) != said:
                    log.error(said := str(error))
                await asyncio.sleep(AGAIN)

    def stop_now(self) -> None:
        """End everything at once."""
        self._executor.stop_now()
        for each in self._carried.values():
            each.handle.halt(Outcome.INTERRUPTED, SHUT_DOWN.format(self._machine))

    # -------------------------------------------------------------- knocks

    async def _hear_forever(self) -> None:
        """Take knocks, on new connections whenever the database has been away."""
        said = ""
        while True:
            self._lease.came_back.clear()
            taking = hear(self._database, self._url, self._queues, self._concurrency, self.take, self.carry)
            hearing = asyncio.create_task(taking, name="knocks")
            came_back = asyncio.create_task(self._lease.came_back.wait())
            try:
                await asyncio.wait({hearing, came_back}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                came_back.cancel()
                hearing.cancel()
                await asyncio.wait({hearing}, timeout=CLOSING)
            error = hearing.exception() if hearing.done() and not hearing.cancelled() else None
            if error and str(error) != said and not self._lease.troubled:
                log.error(said := str(error))
            await asyncio.sleep(AGAIN)

    async def take(self) -> int | None:
        """Claim and begin the next run of these queues; return None if none waits or may begin now.

        The caller may be cancelled: a claim is on record before its answer arrives and must not be lost.
        Raises psycopg.Error, DatabaseAway.
        """
        if self._stopping or len(self._tasks) + len(self._taking) >= self._concurrency:
            return None
        taking = asyncio.create_task(self._take(), name="claim")
        self._taking.add(taking)
        taking.add_done_callback(self._taking.discard)
        return await asyncio.shield(taking)

    async def carry(self, run: int) -> None:
        """Return when the run has ended; the caller may be cancelled."""
        if task := self._tasks.get(run):
            await asyncio.shield(task)

    async def _take(self) -> int | None:
        if not self._guard.alive:
            await asyncio.to_thread(self._guard.begin)
        async with self._asking:
            unsure, self._unsure = self._unsure, True
            while True:
                worker, claimed = await self._claim()
                # The answer came late, after a cut or a freeze: the run may belong to another worker by now.
                if claimed and not (self._lease.held and self._lease.id == worker):
                    return None
                if claimed is None or not claimed.frozen(self._clock.now()):
                    break
                await run_rows.give_back(await self._connected(), claimed.run, worker)
            self._unsure = unsure
            if claimed is None:
                return None
            task = asyncio.create_task(self._carry(claimed, worker), name=f"run {claimed.run}")
            self._tasks[claimed.run] = task
        task.add_done_callback(lambda _: self._tasks.pop(claimed.run))
        return claimed.run

    async def _claim(self) -> tuple[UUID, run_rows.Claimed | None]:
        """Return the worker id and the run claimed under it; raises psycopg.Error, DatabaseAway."""
        worker = self._lease.id
        if not self._lease.held:
            return worker, None
        connection = await self._connected()
        if self._unanswered:
            return worker, await run_rows.claim(connection, self._unanswered.pop(), worker)
        return worker, await run_rows.claim_next(connection, self._queues, worker)

    # -------------------------------------------------------------- a run

    async def _carry(self, claimed: run_rows.Claimed, worker: UUID) -> None:
        name, trigger = f"{claimed.citizen}/{claimed.task}", Trigger(claimed.trigger)
        handle = RunHandle(name, trigger, self._clock.now(), self, citizen=claimed.citizen)
        carried = self._carried[claimed.run] = Carried(claimed, worker, handle)
        self._runs.on_workers[name] = handle
        teller = RunReporter(self._bus, claimed, handle, self._machine)
        log.info("begins", extra={"citizen": claimed.citizen, "task": claimed.task})
        handle.task = asyncio.create_task(self._run(carried), name=name)
        try:
            await asyncio.wait({handle.task})
            carried.over = True
            await self._finish(carried, teller)
        finally:
            self._runs.free_worker(handle)
            del self._carried[claimed.run]

    async def _run(self, carried: Carried) -> None:
        claimed, handle = carried.claimed, carried.handle
        try:
            known = (claimed.citizen, claimed.task, claimed.digest)
            found = self._definitions.at_once(*known)
            if found is None:
                found = await asyncio.to_thread(self._definitions.find, *known)
        except TaskFailed as error:
            handle.result = Result(Outcome.FAILED, str(error))
            return
        citizen, task = found
        if task.provider and (why := await self._waits(carried, task.provider)):
            handle.result = Result(Outcome.SKIPPED, why)
            return
        handle.masks = Masks(citizen.hidden)
        try:
            carried.charge = charge_of(citizen, task, claimed.charge, self._clock)
        except OSError as error:
            why = f"its cost could not be counted: {file_error(error, citizen.home)}"
            handle.result = Result(Outcome.FAILED, why)
            return
        says = carried.charge.variables if carried.charge else {}
        context = Context(
            citizen.name,
            citizen.home,
            task.name,
            task.options,
            citizen.secrets,
            claimed.last_success,
            handle.trigger,
            handle.report,
            citizen.llm,
            handle.use,
            {**claimed.variables, **says},
        )
        self._runner.watch(handle, task.timeout + WRITE_OFF)  # in case its owner is not there to end it
        if isinstance(task.work, IN_PROCESS):
            self._guard.begins_inside()
            handle.began_at = self._clock.elapsed()
        await self._runner.run(task, handle, context)

    async def _waits(self, carried: Carried, provider: str) -> str:
        """Why the run may not begin, which perhaps tries its provider from now on; empty if it may."""
        claimed, now = carried.claimed, self._clock.now()
        noter = Noter(carried.worker, self._clock, self._lease.seconds)
        process = Running(os.getpid(), born(os.getpid()) or 0.0, now, BOOT)
        probe = Probe(claimed.charge, claimed.citizen, process)
        try:
            async with asyncio.timeout(self._lease.seconds / 2), self._asking:
                outage = await outage_rows.begin(await self._connected(), noter, provider, probe)
        except (psycopg.Error, DatabaseAway, TimeoutError) as error:
            why = str(error) or too_slow(self._database, noter.failover)
            return f"whether {provider} is away is not known: {why}"
        return away(outage, claimed.task, now)[0].why if outage else ""

    async def _finish(self, carried: Carried, teller: RunReporter) -> None:
        """Record the result, however long the database is away; it may be refused."""
        claimed, handle = carried.claimed, carried.handle
        result = handle.result or Result(Outcome.FAILED, "it left without a result")
        took = self._clock.elapsed() - handle.began_at if handle.began_at else 0.0
        charge, reported = carried.charge, None
        if charge:
            reported = await asyncio.to_thread(charge.read, handle.printed, failed=result.outcome.bad)
        said = (teller.rest(), handle.used or (), took, self._machine, reported)
        raw = ending(result, *said, began=handle.began)
        channel = "" if teller.tells else own_channel(claimed.holder)  # its stream's messages come first
        counts = None
        while counts is None and self._may_finish():
            with contextlib.suppress(psycopg.Error, DatabaseAway):
                async with self._asking:
                    ended = (claimed.run, carried.worker, raw, channel)
                    counts = await run_rows.finish(await self._connected(), *ended)
            if counts is None:
                await asyncio.sleep(AGAIN)
        teller.end(raw if counts else None)
        word = result.outcome.value if counts else "its result is refused: it was written off meanwhile"
        log.info(word, extra={"citizen": claimed.citizen, "task": claimed.task})
        if charge and counts is not None:  # otherwise it is reported at the next start
            with contextlib.suppress(psycopg.Error, DatabaseAway):
                async with self._asking:
                    await tell(await self._connected(), claimed.citizen, charge, None if counts else reported)

    def _may_finish(self) -> bool:
        return not self._stopping or self._lease.held

    def _ended(self, handle: RunHandle, result: Result) -> None:
        handle.result = result

    async def carried_by(self, handle: RunHandle, process: Running) -> None:
        self._guard.add(process)
        handle.began_at = self._clock.elapsed()

    # -------------------------------------------------------------- what ends runs

    def _lost(self) -> None:
        """End all runs when the lease is lost, before others may assume that they have ended."""
        asyncio.get_running_loop().call_later(ENDING * self._lease.margin, self._guard.tell)
        for each in self._carried.values():
            if not each.over:
                each.handle.halt(Outcome.INTERRUPTED, f"{self._machine} lost touch with the database")
                asyncio.get_running_loop().call_later(HURRY, _hurry, each)

    async def _look_forever(self) -> None:
        """First report left-over costs, then read the owners' requests, even where a stream broke."""
        with contextlib.suppress(psycopg.Error, DatabaseAway):  # retried at the next start
            async with self._asking:
                connection = await self._connected()
            await tell_left_over(connection, self._definitions.citizens, self._clock)
        while True:
            await asyncio.sleep(LOOK)
            if self._tasks or self._unsure:
                with contextlib.suppress(psycopg.Error, DatabaseAway):
                    await self._look()

    async def _look(self) -> None:
        worker = self._lease.id
        seen = [each for each in self._carried.values() if each.worker == worker and not each.over]
        async with self._asking:
            connection = await self._connected()
            asked = await run_rows.asked(connection, worker)
            self._unsure = False
            unanswered = asked.keys() - self._tasks.keys()
            self._unanswered = {run for run in unanswered if not asked[run]}
            for run in unanswered - self._unanswered:  # its owner no longer wants it
                await run_rows.finish(connection, run, worker, ending(NEVER_BEGAN, began=False))
        for each in seen:
            stop = asked.get(each.claimed.run)
            if not each.over and each.handle.reason is None and stop is not False:
                each.handle.halt(Outcome.INTERRUPTED if stop is None else Outcome.STOPPED, WRITTEN_OFF)

    # -------------------------------------------------------------- end

    async def _end(self, hearing: "asyncio.Task[None]") -> None:
        """Take no more runs and give those under way their grace."""
        self._stopping = True
        hearing.cancel()
        if self._taking:
            await asyncio.wait(self._taking, timeout=GRACE)
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=GRACE)
        for each in self._carried.values():
            each.handle.halt(Outcome.INTERRUPTED, SHUT_DOWN.format(self._machine))
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=WRITE_OFF)

    async def _close(self) -> None:
        await self._executor.close()
        await self._lease.leave()
        await self._bus.close()
        if self._connection:
            await self._connection.close()
        await asyncio.to_thread(self._guard.close)
        await self._database.close()

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = await self._database.connect()
            await self._database.served_by(self._connection, self._lease.seconds)
            await self._connection.execute("SET enable_seqscan = off")  # plans outlast the empty tables
        return self._connection

    async def _refuse(self, citizen: str, stream: Stream, asked_by: str) -> None:
        stream.abort()  # clients of a citizen must ask its owner


def _hurry(carried: Carried) -> None:
    """Ask the run to end a second time, which gives no more grace."""
    if not carried.over:
        carried.handle.halt(Outcome.INTERRUPTED)
