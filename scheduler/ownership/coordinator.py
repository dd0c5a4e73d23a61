"""Decides by the lock of a home whether this process may run the citizen, and keeps its states and runs."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scheduler.config.settings import CitizenSettings
from scheduler.core.machines import Cluster
from scheduler.core.ports import FleetOptions
from scheduler.core.records import Recorder, RunQuery, RunRecord
from scheduler.engine.remote_runs import Carrier
from scheduler.errors import PROGRAM, SchedulerError
from scheduler.ownership.stream import RemoteStream
from scheduler.process.thread_pool import UnblockedPool
from scheduler.process.threads import in_thread
from scheduler.providers.outage_files import OutageFiles
from scheduler.providers.outages import Outages
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
    carrier: Carrier | None  # of runs that workers carry out

    def counts(self, handlers: Callable[[], int]) -> None:
        """Set `handlers`, which counts the citizen's handlers that run in this process."""

    def in_place(self) -> bool:
        """Whether the claim still holds; may block, for any thread."""

    def over(self) -> str:
        """Why the claim has ended for good; empty if it may still hold."""

    async def release(self) -> None:
        """Let another process own the citizen."""


class Remote(Protocol):
    """A citizen that another machine may run: the access to its owner and its records."""

    async def connect(self) -> RemoteStream:
        """Return a stream to its owner; raises Disconnected if there is none."""

    async def runs(self, asked: RunQuery, known: Collection[str]) -> tuple[RunRecord, ...]: ...

    async def output(self, run: int) -> str: ...


class Coordinator(Protocol):
    """Gives out claims."""

    async def acquire(self, citizen: CitizenSettings, role: str = "") -> Claim:
        """Own the citizen in this role; raises Owned, which names the owner, or Unreadable."""

    async def free(self) -> Collection[str]:
        """Return the citizens of silent machines that this process may acquire now."""

    def remote(self, citizen: CitizenSettings) -> Remote | None:
        """The access to its owner on another machine; None if the citizen belongs to this machine."""

    def copies(self, citizen: CitizenSettings | None) -> FileCopies:
        """Where other machines read the citizen's files (None: those about all citizens)."""

    def outages(self, root: Path) -> Outages:
        """The outages of the providers that citizens of this root name."""

    async def overview(self) -> Cluster | None:
        """Return the machines that share citizens; None if there is only this one."""

    async def move(self, citizen: str, machine: str) -> None:
        """Let another machine run a shared citizen; raises SchedulerError."""

    def stands_by(self) -> bool:
        """Whether this machine may later run a citizen that another machine runs now."""

    async def close(self) -> None: ...


@dataclass(slots=True)
class LocalClaim:
    """The right to run a citizen of this machine, by the lock of its home."""

    ownership: Ownership
    store: Store
    recorder: Recorder
    copies: FileCopies = NO_COPIES
    carrier: Carrier | None = None

    def counts(self, handlers: Callable[[], int]) -> None:
        """Nothing to do: no other process can take the lock while the handlers run."""

    def in_place(self) -> bool:
        return self.ownership.in_place()

    def over(self) -> str:
        return ""

    async def release(self) -> None:
        releasing = asyncio.ensure_future(in_thread(self.ownership.release, "release", lambda _: None))
        await asyncio.wait({releasing}, timeout=PATIENCE)  # no longer, in case its disk hangs


class LocalCoordinator:
    """The homes of this machine: a lock, a state file and a history in each."""

    def __init__(self, options: FleetOptions, clock: Clock) -> None:
        self.clock = clock
        self.disk = UnblockedPool(DISK_THREADS, "disk")
        self._options = options
        self._history_writer = HistoryWriter()

    async def acquire(self, citizen: CitizenSettings, role: str = "", *, machine: str = "") -> LocalClaim:
        """With this `machine` given, the lock is its own, and a lease decides who owns the home."""
        options, now, home = self._options, self.clock.now(), citizen.home
        as_root, service = options.own_as_root, options.service
        ownership = await asyncio.to_thread(
            acquire, home, now, as_root=as_root, service=service, role=role, machine=machine
        )
        store = DiskStore(home, self.clock, self.disk, ownership.in_place)
        return LocalClaim(ownership, store, self._history_writer.of(home, citizen.history))

    async def free(self) -> Collection[str]:
        return ()

    def remote(self, citizen: CitizenSettings) -> Remote | None:
        return None

    def copies(self, citizen: CitizenSettings | None) -> FileCopies:
        return NO_COPIES

    def outages(self, root: Path) -> Outages:
        return OutageFiles(root, self.clock)

    async def overview(self) -> Cluster | None:
        return None

    async def move(self, citizen: str, machine: str) -> None:
        raise SchedulerError(f"{citizen} is not shared; share it with: {PROGRAM} engine join {citizen}")

    def stands_by(self) -> bool:
        return False

    async def close(self) -> None:
        await self._history_writer.close()
        self.disk.shutdown(wait=False)
