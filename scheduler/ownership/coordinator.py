"""Decides whether this process may run a citizen, and keeps its states and runs: by the lock of its home."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from scheduler.config.settings import CitizenSettings
from scheduler.core.machines import Cluster
from scheduler.core.ports import FleetOptions
from scheduler.core.records import Recorder, RunQuery, RunRecord
from scheduler.engine.remote import Carrier
from scheduler.errors import PROGRAM, SchedulerError
from scheduler.ownership.stream import RemoteStream
from scheduler.process.threads import in_thread
from scheduler.storage.file_copies import NO_COPIES, FileCopies
from scheduler.storage.history_writer import PATIENCE, HistoryWriter
from scheduler.storage.lock import Ownership, acquire
from scheduler.storage.state_store import DiskStore, Store
from scheduler.system.clock import Clock

DISK_THREADS = 4


class Claim(Protocol):
    """The right to run one citizen, and where its states and runs are kept."""

    store: Store
    recorder: Recorder
    copies: FileCopies
    carrier: Carrier | None  # of runs that workers carry

    def counts(self, inside: Callable[[], int]) -> None:
        """`inside` says how many handlers of the citizen run in this process."""

    def in_place(self) -> bool:
        """Whether it still holds; may block, for any thread."""

    def over(self) -> str:
        """Why it has ended for good; empty if it may still hold."""

    async def release(self) -> None:
        """Let another process own the citizen."""


class Remote(Protocol):
    """A citizen that another machine may run: the way to its owner, and to its records."""

    async def connect(self) -> RemoteStream:
        """A stream to its owner; raises Disconnected where there is none."""

    async def runs(self, asked: RunQuery, known: Collection[str]) -> tuple[RunRecord, ...]: ...

    async def output(self, run: int) -> str: ...


class Coordinator(Protocol):
    """Gives out claims."""

    async def acquire(self, citizen: CitizenSettings, role: str = "") -> Claim:
        """Own the citizen, as what; raises Owned, naming who does, or Unreadable."""

    async def free(self) -> Collection[str]:
        """Citizens of other machines whose owners are gone: this process may acquire them now."""

    def remote(self, citizen: CitizenSettings) -> Remote | None:
        """The way to its owner on another machine; None if it belongs to this one."""

    def copies(self, citizen: CitizenSettings | None) -> FileCopies:
        """Where other machines read what a person says of it; None: of all citizens."""

    async def overview(self) -> Cluster | None:
        """The machines that share citizens; None if there is this one alone."""

    async def move(self, citizen: str, machine: str) -> None:
        """Let another machine run a shared citizen; raises SchedulerError."""

    def stands_by(self) -> bool:
        """Whether a citizen that another machine runs may come here later."""

    async def close(self) -> None: ...


@dataclass(slots=True)
class LocalClaim:
    """A home of this machine, by its lock."""

    ownership: Ownership
    store: Store
    recorder: Recorder
    copies: FileCopies = NO_COPIES
    carrier: Carrier | None = None

    def counts(self, inside: Callable[[], int]) -> None:
        """No other process can run it while they do."""

    def in_place(self) -> bool:
        return self.ownership.in_place()

    def over(self) -> str:
        return ""

    async def release(self) -> None:
        releasing = asyncio.ensure_future(in_thread(self.ownership.release, "release", lambda _: None))
        await asyncio.wait({releasing}, timeout=PATIENCE)  # no longer, if its disk hangs


class LocalCoordinator:
    """The homes of this machine: a lock, a state file and a history in each."""

    def __init__(self, options: FleetOptions, clock: Clock) -> None:
        self.clock = clock
        self.disk = ThreadPoolExecutor(DISK_THREADS, "disk")
        self._options = options
        self._history_writer = HistoryWriter()

    async def acquire(self, citizen: CitizenSettings, role: str = "", *, machine: str = "") -> LocalClaim:
        """`machine`: this one, of those that share the home; whoever has the lease, too, has to sign."""
        options, now, home = self._options, self.clock.now(), citizen.home
        as_root, service = options.own_as_root, options.service
        ownership = await asyncio.to_thread(
            acquire, home, now, as_root=as_root, service=service, role=role, machine=machine
        )
        store = DiskStore(home, self.clock, self.disk)
        return LocalClaim(ownership, store, self._history_writer.of(home, citizen.history))

    async def free(self) -> Collection[str]:
        return ()

    def remote(self, citizen: CitizenSettings) -> Remote | None:
        return None

    def copies(self, citizen: CitizenSettings | None) -> FileCopies:
        return NO_COPIES

    async def overview(self) -> Cluster | None:
        return None

    async def move(self, citizen: str, machine: str) -> None:
        raise SchedulerError(f"{citizen} is not shared; share it with: {PROGRAM} engine join {citizen}")

    def stands_by(self) -> bool:
        return False

    async def close(self) -> None:
        await self._history_writer.close()
        self.disk.shutdown(wait=False)
