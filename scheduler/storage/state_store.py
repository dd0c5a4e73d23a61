"""Keeps the states of a citizen in memory or in a file, with one write at a time off the event loop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import NamedTuple

from scheduler.core.state import TaskState
from scheduler.core.task import Task
from scheduler.errors import Unreadable
from scheduler.process.process_info import Running
from scheduler.storage.state_file import (
    SETTLED,
    Behind,
    ChangedOutside,
    HalfWritten,
    StateFile,
    States,
    merged,
)
from scheduler.system.clock import Clock, Timer

log = logging.getLogger("experience.store")

# Seconds until a change without a waiting caller is made durable: start and end of a short run share one
# fsync, and the write that a handler waits for comes first (p50 of its lateness: 3.0 ms without, 1.9 with).
SOON = 0.01
FIRST_RETRY, LAST_RETRY = 1.0, 30.0  # seconds between attempts at a save that fails

Adopt = Callable[[States, list[str]], None]


class RunStart(NamedTuple):
    """A run that wants to begin, and the state of its task from then on; an interval task has no `slot`."""

    task: str
    slot: str
    attempt: int
    trigger: str
    started: float  # Unix seconds
    state: TaskState
    remote: Task | None = None  # the task, if a worker carries the run
    in_process: bool = False  # its handler runs in this process
    charge: str = ""  # the name under which its cost is counted


class Store:
    """Keeps states in memory only, for tests, demos and benchmarks; DiskStore saves them."""

    fenced = False  # `started` decides whether a run may begin, not only when
    unsaved = ""  # why the newest states are not on disk

    def __init__(self, states: States | None = None) -> None:
        self._saved = dict(states or {})

    def load(self) -> tuple[States, list[str]]:
        """The last saved states, and a line for each part that had to be dropped."""
        return self._saved, []

    def begin(self, states: Callable[[], States], adopt: Adopt, notify: Callable[[], None]) -> None:
        """From now on save what `states` returns; `adopt` gets the changes of another program.

        `notify` is called whenever `unsaved` changes.
        """

    def differs(self) -> bool:
        """Whether another program changed the states; may block, for any thread."""
        return False

    def changed(self) -> None:
        """The states have changed: save them soon."""

    def written(self) -> Awaitable[object] | None:
        """Done once the newest states would survive the death of this process; None if they already would."""
        return None

    async def started(self, start: RunStart) -> Mapping[str, str] | None:
        """Variables for the run, which is on record and may begin; None if it may not.

        Asked by the scheduler of a fenced store.
        """
        raise NotImplementedError

    def withdrawn(self, task: str) -> None:
        """Take the recorded run of this task back: it will not begin."""

    def carried(self, process: Running) -> None:
        """Note that this process carries a run; called for a fenced store before its program starts."""

    async def saved(self) -> bool:
        """True once the newest states are on disk, False if they cannot be saved."""
        return True

    async def close(self) -> None: ...


# ------------------------------------------------------------------ group commit on the loop


class DiskStore(Store):
    """Saves the states in a file: one write for all pending changes, and the loop never waits for a disk.

    Two lanes: the fsync of `saved` does not delay `written` (a rename alone, before a handler starts).
    """

    def __init__(
        self,
        home: Path,
        clock: Clock,
        pool: Executor | None = None,
        claimed: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__()
        self.file = StateFile(home, clock.elapsed, claimed)
        self._clock, self._pool = clock, pool
        self._quick, self._durable = _Lane(self._write), _Lane(self._save)
        self._version = 0
        self._closed = self._begun = False
        self._soon: asyncio.TimerHandle | None = None
        self._delay = FIRST_RETRY
        self._retry: Timer | None = None
        self._states: Callable[[], States] = dict
        self._adopt: Adopt = lambda states, notes: None
        self._notify: Callable[[], None] = lambda: None

    def load(self) -> tuple[States, list[str]]:
        return self.file.load()

    def begin(self, states: Callable[[], States], adopt: Adopt, notify: Callable[[], None]) -> None:
        self._states, self._adopt, self._notify, self._begun = states, adopt, notify, True

    def differs(self) -> bool:
        return self.file.differs()

    def changed(self) -> None:
        self._version += 1
        if not self._closed and self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(SOON, self._save_now)

    def written(self) -> Awaitable[bool]:
        return asyncio.shield(self._quick.join())

    async def saved(self) -> bool:
        return await asyncio.shield(self._save_now())

    async def close(self) -> None:
        """Make pending changes durable, trying once, so that a failing disk does not delay the exit.

        A store that closes before its states are loaded writes nothing.
        """
        if not self._begun:
            return
        if self._retry:
            self._retry.cancel()
        await self.saved()
        while self._soon:  # a run ended in the meantime
            await self.saved()
        self._closed = True
        if self._retry:
            self._retry.cancel()

    def _save_now(self) -> "asyncio.Future[bool]":
        if self._soon:
            self._soon.cancel()
            self._soon = None
        return self._durable.join()

    async def _write(self) -> bool:
        return await self._attempt(durable=False)

    async def _save(self) -> bool:
        saved = await self._attempt(durable=True)
        if saved:
            self._delay = FIRST_RETRY
        elif self._retry is None:
            self._retry = self._clock.call_later(self._delay, self._again)
            self._delay = min(2 * self._delay, LAST_RETRY)
        return saved

    def _again(self) -> None:
        self._retry = None
        self._durable.join()

    async def _attempt(self, durable: bool) -> bool:
        loop = asyncio.get_running_loop()
        retry = True
        while True:
            states, version = dict(self._states()), self._version
            try:
                await loop.run_in_executor(self._pool, self.file.save, states, version, durable)
            except Behind:
                await asyncio.sleep(0)
            except ChangedOutside as other:
                self._merge(other)
            except HalfWritten as error:
                if not retry:
                    return self._failed(error)
                retry = False
                await self._pause(SETTLED)
            except (OSError, Unreadable) as error:
                return self._failed(error)
            else:
                self._set_unsaved("")
                return True

    async def _pause(self, seconds: float) -> None:
        over = asyncio.Event()
        self._clock.call_later(seconds, over.set)
        await over.wait()

    def _failed(self, error: OSError | Unreadable) -> bool:
        self._set_unsaved((isinstance(error, OSError) and error.strerror) or str(error))
        return False

    def _set_unsaved(self, unsaved: str) -> None:
        """Set the reason why nothing is saved, "" if all is; log it when it changes."""
        if unsaved == self.unsaved:
            return
        if unsaved:
            log.warning("state not saved", extra={"path": str(self.file.path), "error": unsaved})
        else:
            log.info("state saved again", extra={"path": str(self.file.path)})
        self.unsaved = unsaved
        self._notify()

    def _merge(self, other: ChangedOutside) -> None:
        states, new = self._states(), TaskState()
        changed = {
            name: merged(other.base.get(name, new), other.theirs.get(name, new), states.get(name, new))
            for name in other.theirs.keys() | other.base.keys()
        }
        self._version += 1
        self.file.merged(self._version)
        self._adopt({n: s for n, s in changed.items() if s != states.get(n)}, other.notes)


class _Lane:
    """Does its work once at a time; all callers that join meanwhile share the next turn."""

    def __init__(self, work: Callable[[], Awaitable[bool]]) -> None:
        self._work = work
        self._next: asyncio.Future[bool] | None = None
        self._task: asyncio.Task[None] | None = None

    def join(self) -> asyncio.Future[bool]:
        if self._next is None:
            loop = asyncio.get_running_loop()
            self._next = loop.create_future()
            if self._task is None:
                self._task = loop.create_task(self._drain())
        return self._next

    async def _drain(self) -> None:
        try:
            while self._next is not None:
                batch, self._next = self._next, None
                try:
                    batch.set_result(await self._work())
                finally:
                    if not batch.done():  # the work raised: do not leave callers waiting
                        batch.set_result(False)
        finally:
            self._task = None
