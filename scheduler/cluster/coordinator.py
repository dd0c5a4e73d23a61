"""Decides which machine may run a citizen: by leases besides locks, with states and runs in the database."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from scheduler.cluster.bus import Accept, Bus, Stream
from scheduler.cluster.database import Database, old_primary
from scheduler.cluster.fence import FencedWriter
from scheduler.cluster.guard import Guard
from scheduler.cluster.history import ClusterHistory, read_output, read_runs
from scheduler.cluster.leases import ENDING, RUN_BY_ANOTHER, Lease, Leases, has_ended, too_slow
from scheduler.cluster.membership import move
from scheduler.cluster.presence import Presence, overview
from scheduler.cluster.providers.outage_rows import Noter
from scheduler.cluster.providers.shared_outages import SharedOutages
from scheduler.cluster.shared_files import FOLDER, ROOT, Notes, read_notes, was_replaced, write_files
from scheduler.cluster.store import ClusterStore, cancel_unbegun, read_committed
from scheduler.cluster.workers.run_messages import run_of
from scheduler.cluster.workers.run_sender import RunSender
from scheduler.config.settings import CitizenSettings, EngineSettings
from scheduler.core.machines import Cluster
from scheduler.core.records import Recorder, RunQuery, RunRecord
from scheduler.engine.paid.run_costs import RunCosts
from scheduler.engine.remote_runs import Carrier
from scheduler.errors import PROGRAM, DatabaseAway, Owned, Unreadable
from scheduler.ownership.coordinator import Claim, LocalCoordinator
from scheduler.process.process_info import BOOT, Running, born
from scheduler.process.who import this_process
from scheduler.providers.outages import Outages
from scheduler.spending.account import AllCitizens
from scheduler.storage.file_copies import NO_COPIES, FileCopies
from scheduler.storage.shared_home import is_shared, shared_home
from scheduler.storage.state_store import Store
from scheduler.system.root_folder import root_folder

log = logging.getLogger("experience.engine")

_FREE = """
SELECT citizen, wanted, extract(epoch FROM clock_timestamp() - until)::float8, process
FROM experience.owners WHERE until < clock_timestamp() OR (machine = %s AND holder <> %s)
"""
LATER = 2.0  # seconds that a machine waits for each machine listed before it


@dataclass(slots=True)
class ClusterClaim:
    """The right to run a citizen by its lease; the home's lock keeps out other processes of this machine."""

    lease: Lease
    local: Claim
    store: Store
    recorder: Recorder
    leases: Leases
    copies: FileCopies
    handlers_in_process: Callable[[], int] = lambda: 0
    carrier: Carrier | None = None

    def in_place(self) -> bool:
        return self.lease.held and self.local.in_place()

    def over(self) -> str:
        return "its lease is over" if self.lease.lost else ""

    def counts(self, handlers: Callable[[], int]) -> None:
        self.handlers_in_process = handlers

    async def release(self) -> None:
        await self.leases.release(self.lease)
        await self.local.release()


class ClusterCoordinator:
    """Owns citizens with a home marked as shared through the database, and all others by their lock."""

    def __init__(
        self,
        local: LocalCoordinator,
        engine: EngineSettings,
        root: Path,
        look: Callable[[], None],
        let_go: Callable[[str, str, bool], None],
        accept: Accept,
        end: Callable[[], object] = lambda: os._exit(1),
    ) -> None:
        """`end` must end this process at once."""
        self.machine, self._root, self._look = engine.machine, root, look
        self._local, self._let_go = local, let_go
        self._database = Database(engine.url)
        self._guard = Guard(self._inside)
        ours = Running(os.getpid(), born(os.getpid()) or 0.0, local.clock.now(), BOOT)
        self._leases = Leases(self._database, engine.machine, ours, engine.failover, self._guard.renewed)
        self._writer = FencedWriter(self._database)
        self._sender = RunSender(self._database)
        self._accept = accept
        self._bus = Bus(self._database, self._leases.holder, self._serve, self._on_note, self._sender.ended)
        self._presence = Presence(
            self._database, self._leases.holder, engine.machine, engine.failover, local.clock.now, self._homes
        )
        self._overview: Cluster | None = None
        self._notes = Notes(self._database)
        noter = Noter(self._leases.holder, local.clock, engine.failover)
        self._outages = SharedOutages(self._database, noter)
        self._claims: dict[str, ClusterClaim] = {}
        self._end = end
        self._reading: set[asyncio.Task[None]] = set()
        self._known: dict[str, CitizenSettings] = {}  # shared citizens with a home on this machine
        self._begun = asyncio.Lock()

    async def acquire(self, citizen: CitizenSettings, role: str = "") -> Claim:
        try:
            home = await asyncio.to_thread(shared_home, citizen.home)
        except OSError as error:
            where, why = error.filename or citizen.home, error.strerror or error
            raise Unreadable(f"{where}: {why}; whether machines share it is not known") from error
        if home is None:
            return await self._local.acquire(citizen, role)
        if home.copied:
            fix = f"if it lives here from now on: {PROGRAM} engine join {citizen.name}"
            raise Owned(f"{citizen.name}: {citizen.home} is a copy of its home; {fix}")
        self._known[citizen.name] = citizen
        self._refuse_elsewhere(citizen, home.home_id)
        async with AsyncExitStack() as undo:
            local = await self._local.acquire(citizen, role, machine=self.machine)
            undo.push_async_callback(local.release)
            await self.guarded()
            lease = await self._leases.take(citizen.name, home.home_id)
            undo.push_async_callback(self._leases.release, lease)
            lease.replaced = partial(was_replaced, citizen.home / FOLDER, lease.server)
            if await asyncio.to_thread(lease.replaced):
                raise DatabaseAway(f"{citizen.name}: {old_primary(self._database.name)}; {RUN_BY_ANOTHER}")
            now = self._local.clock.now()
            await asyncio.to_thread(local.ownership.sign, citizen.home, now, role)
            await self._fetch(citizen.name, citizen.home / FOLDER, owned=False)
            tasks, costs = {task.name: task for task in citizen.tasks}, self._costs(citizen, lease)
            begun = await self._sender.take_over(lease, tasks, self._local.clock.now(), costs)
            committed = await read_committed(self._database, citizen.name, begun)
            await cancel_unbegun(self._database, citizen.name, tasks.values(), costs, committed.never_began)
            if not lease.held:  # lost in the meantime
                raise DatabaseAway(f"{citizen.name}: {too_slow(self._database, self._leases.seconds)}")
            undo.pop_all()
        lease.on_lost.append(partial(self._on_lost, citizen.name))
        lease.on_wanted = partial(self._on_wanted, citizen.name)
        store = ClusterStore(citizen.home, self._local.clock, lease, self._writer, self, committed)
        history = ClusterHistory(self._database, citizen.name, store, citizen.history, self.machine)
        carrier = self._sender.of(lease, store)
        copies = self._notes.of(citizen.name, lease)
        claim = ClusterClaim(lease, local, store, history, self._leases, copies, carrier=carrier)
        lease.on_lost.append(partial(self._end_later, claim))
        self._claims[citizen.name] = claim
        return claim

    def _costs(self, citizen: CitizenSettings, lease: Lease) -> RunCosts:
        """The account of a citizen whose scheduler does not exist yet."""
        home, add = citizen.home, self._notes.of(citizen.name, lease).add
        costs = RunCosts(citizen.name, home, self._local.clock, AllCitizens(home.parent), add)
        costs.account.rules = citizen.spending
        return costs

    async def guarded(self) -> None:
        """Return when the guard watches; without it nothing may be started."""
        async with self._begun:
            if not self._guard.alive:
                await asyncio.to_thread(self._guard.begin)
                self._leases.begin()
                self._presence.begin()
                self._bus.begin()

    def carried(self, process: Running) -> None:
        """Report a process that becomes a run to the guard: it must not outlive the lease."""
        self._guard.add(process)

    def begins_inside(self) -> None:
        """Report a handler that begins in this process: it must not outlive the lease, either."""
        self._guard.begins_inside()

    def _inside(self) -> int:
        return sum(claim.handlers_in_process() for claim in self._claims.values())

    def _end_later(self, claim: ClusterClaim) -> None:
        seconds = ENDING * self._leases.margin
        asyncio.get_running_loop().call_later(seconds, self._end_with, claim)

    def _end_with(self, claim: ClusterClaim) -> None:
        """End this process if handlers still run in it, before another machine may run the citizen."""
        if number := claim.handlers_in_process():
            ends = "a handler does not end" if number == 1 else f"{number} handlers do not end"
            log.critical(f"{ends}: this process does", extra={"citizen": claim.lease.citizen})
            self._end()
        self._guard.tell()

    async def free(self) -> Collection[str]:
        self._bus.begin()  # a freeze of all also concerns citizens that are not shared
        if self._outages.unsaved:
            self._on_note(ROOT)
        try:
            rows = await self._database.rows(_FREE, (self.machine, self._leases.holder))
        except DatabaseAway:
            return ()
        return [citizen for citizen, *row in rows if citizen in self._known and self._may_take(citizen, *row)]

    def stands_by(self) -> bool:
        return bool(self._known)

    def remote(self, citizen: CitizenSettings) -> "ClusterRemote | None":
        """The access to its owner on another machine and its records; None if it is not shared."""
        try:
            home = shared_home(citizen.home)
        except OSError:  # closed by another user or not marked as shared: its socket is the only way
            return None
        return home and ClusterRemote(self._bus, self._database, citizen.name, home.home_id, self.machine)

    def copies(self, citizen: CitizenSettings | None) -> FileCopies:
        if citizen is None:
            return self._notes.of(ROOT)
        return self._notes.of(citizen.name) if is_shared(citizen.home) else NO_COPIES

    def outages(self, root: Path) -> Outages:
        return self._outages

    def _on_note(self, citizen: str | None) -> None:
        """Write new notes from the database into the files of this citizen, or of all if None."""
        reading = asyncio.create_task(self._read(citizen), name="notes")
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)

    async def _read(self, citizen: str | None) -> None:
        names = [ROOT, *self._known] if citizen is None else [citizen]
        with contextlib.suppress(DatabaseAway):  # everything is read when it answers again
            for name in names:
                if name == ROOT:
                    await asyncio.to_thread(self._outages.refresh)
                    await self._fetch(ROOT, root_folder(self._root), owned=True)
                elif known := self._known.get(name):
                    claim = self._claims.get(name)
                    owned = claim is not None and not claim.lease.lost
                    await self._fetch(name, known.home / FOLDER, owned=owned)
        self._look()

    async def _fetch(self, citizen: str, folder: Path, *, owned: bool) -> None:
        """Write the notes in the database into the files; raises DatabaseAway."""
        notes, lines = await read_notes(self._database, citizen)
        try:
            await asyncio.to_thread(write_files, folder, notes, lines, owned)
        except OSError as error:
            where, why = error.filename or folder, error.strerror or error
            log.error(f"{where}: {why}; make it writable", extra={"citizen": citizen})

    async def overview(self) -> Cluster | None:
        now = self._local.clock.now()
        try:
            self._overview = await overview(self._database, self._leases.seconds, now)
        except DatabaseAway:
            before = self._overview or Cluster(self._database.name, self._leases.seconds)
            self._overview = replace(before, away_since=before.away_since or now)
        return self._overview

    async def move(self, citizen: str, machine: str) -> None:
        await move(self._database, citizen, machine)

    async def close(self) -> None:
        await self._sender.close()
        for reading in self._reading:
            reading.cancel()
        await asyncio.to_thread(self._notes.close)
        await self._presence.close()
        await self._bus.close()
        await self._writer.close()
        await self._leases.close()
        await asyncio.to_thread(self._guard.close)
        await self._database.close()
        await self._local.close()

    async def _serve(self, name: str, stream: Stream, asked_by: str) -> None:
        """Serve a client of another machine that asks for a citizen, or a worker that reports on a run."""
        run = run_of(name)
        await (self._accept(name, stream, asked_by) if run is None else self._sender.serve(run, stream))

    def _may_take(self, citizen: str, wanted: str, since: float, process: Mapping[str, Any]) -> bool:
        """Whether this machine may take the citizen, `since` seconds after the last lease ended."""
        settings = self._known[citizen]
        if since < 0:  # the lease has not ended, but its owner may be a dead process of this machine
            return wanted in ("", self.machine) and has_ended(process)
        if wanted and since < self._leases.seconds:
            return wanted == self.machine
        if not settings.machines:
            return True
        before = settings.machines.index(self.machine) if self.machine in settings.machines else None
        return before is not None and since >= before * LATER

    def _refuse_elsewhere(self, citizen: CitizenSettings, home_id: str) -> None:
        if citizen.machines and self.machine not in citizen.machines:
            raise Owned(f"{citizen.name} runs on {' or '.join(citizen.machines)}, this is {self.machine}")
        if not home_id:
            fix = f"restore it, or: {PROGRAM} engine leave {citizen.name}"
            raise Owned(f"{citizen.name}: its home-id is damaged; {fix}")

    def _homes(self) -> list[str]:
        """The names of the citizens that may run here."""
        known = self._known.values()
        return [each.name for each in known if not each.machines or self.machine in each.machines]

    def _on_wanted(self, citizen: str, machine: str) -> None:
        self._let_go(citizen, f"moves to {machine}", True)

    def _on_lost(self, citizen: str) -> None:
        why = self._leases.trouble or "another machine owns it"
        log.error(f"lease lost: {why}", extra={"citizen": citizen})
        self._let_go(citizen, why, False)


@dataclass(frozen=True, slots=True)
class ClusterRemote:
    """A citizen that another machine may run."""

    bus: Bus
    database: Database
    citizen: str
    home_id: str
    machine: str

    async def connect(self) -> Stream:
        """Return a stream to its owner; raises Disconnected, DatabaseAway."""
        return await self.bus.connect(self.citizen, self.home_id, f"{this_process()} on {self.machine}")

    async def runs(self, asked: RunQuery, known: Collection[str]) -> tuple[RunRecord, ...]:
        """Return its finished runs, with or without an owner; raises UnknownTask, DatabaseAway."""
        return await read_runs(self.database, self.citizen, asked, known)

    async def output(self, run: int) -> str:
        """Return the output of that run; raises UnknownRun, DatabaseAway."""
        return await read_output(self.database, self.citizen, run)
