"""Where states live: in memory, or in a file that one write at a time keeps up with, off the loop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Protocol

from scheduler.core.state import TaskState
from scheduler.errors import Unreadable
from scheduler.storage.state_file import SETTLED, Behind, HalfWritten, OtherHand, StateFile, States, merged
from scheduler.system.clock import Clock, Timer

log = logging.getLogger("experience.store")

# Seconds until a change without a waiting caller is made durable: start and end of a short run share one
# fsync, and the write that a handler waits for comes first (p50 of its lateness: 3.0 ms without, 1.9 with).
SOON = 0.01
FIRST_RETRY, LAST_RETRY = 1.0, 30.0  # seconds between attempts at a save that fails

Adopt = Callable[[States, list[str]], None]


class Store(Protocol):
    """Where a scheduler's states live. `written` is None when there is nothing to wait for."""

    unsaved: str

    def load(self) -> tuple[States, list[str]]:
        """The last saved states, and a line for each thing in them that had to be dropped."""
        ...

    def begin(self, states: Callable[[], States], adopt: Adopt, notify: Callable[[], None]) -> None:
        """From now on save what `states` gives; `adopt` gets what another hand changed.

        `notify` is called whenever `unsaved` changes.
        """
        ...

    def differs(self) -> bool:
        """Whether another hand changed the states; may block, for any thread."""
        ...

    def changed(self) -> None: ...

    def written(self) -> Awaitable[object] | None:
        """Done when the newest states would survive the death of this process."""
        ...

    async def saved(self) -> bool:
        """True when the newest states are on disk, False when they cannot be."""
        ...

    async def close(self) -> None: ...


class MemoryStore:
    """States that die with the process: for tests, demos and measurements."""

    unsaved = ""

    def __init__(self, states: States | None = None) -> None:
        self._states = dict(states or {})

    def load(self) -> tuple[States, list[str]]:
        return self._states, []

    def begin(self, states: Callable[[], States], adopt: Adopt, notify: Callable[[], None]) -> None: ...

    def differs(self) -> bool:
        return False

    def changed(self) -> None: ...

    def written(self) -> None: ...

    async def saved(self) -> bool:
        return True

    async def close(self) -> None: ...


# ------------------------------------------------------------------ group commit on the loop


class DiskStore:
    """Saves a citizen's states: one write serves all changes that wait, and the loop never waits for a disk.

    Two lanes: `written` (rename without fsync, before a handler starts) is never held up by the fsync
    of `saved`.
    """

    def __init__(self, home: Path, clock: Clock, pool: Executor | None = None) -> None:
        self.unsaved = ""
        self.file = StateFile(home, clock.elapsed)
        self._clock, self._pool = clock, pool
        self._quick, self._durable = _Lane(self._write), _Lane(self._save)
        self._version = 0
        self._closed = False
        self._soon: asyncio.TimerHandle | None = None
        self._delay = FIRST_RETRY
        self._retry: Timer | None = None
        self._states: Callable[[], States] = dict
        self._adopt: Adopt = lambda states, notes: None
        self._notify: Callable[[], None] = lambda: None

    def load(self) -> tuple[States, list[str]]:
        return self.file.load()

    def begin(self, states: Callable[[], States], adopt: Adopt, notify: Callable[[], None]) -> None:
        self._states, self._adopt, self._notify = states, adopt, notify

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
        """Make what is pending durable, once; a disk that still refuses does not delay the end."""
        if self._retry:
            self._retry.cancel()
        await self.saved()
        while self._soon:  # something ended meanwhile
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
        patient = True
        while True:
            states, version = dict(self._states()), self._version
            try:
                await loop.run_in_executor(self._pool, self.file.save, states, version, durable)
            except Behind:
                await asyncio.sleep(0)
            except OtherHand as other:
                self._take_over(other)
            except HalfWritten as error:
                if not patient:
                    return self._failed(error)
                patient = False
                await self._pause(SETTLED)
            except (OSError, Unreadable) as error:
                return self._failed(error)
            else:
                self._say("")
                return True

    async def _pause(self, seconds: float) -> None:
        over = asyncio.Event()
        self._clock.call_later(seconds, over.set)
        await over.wait()

    def _failed(self, error: OSError | Unreadable) -> bool:
        log.warning("state not saved", extra={"path": str(self.file.path), "error": str(error)})
        self._say((isinstance(error, OSError) and error.strerror) or str(error))
        return False

    def _say(self, unsaved: str) -> None:
        if unsaved != self.unsaved:
            self.unsaved = unsaved
            self._notify()

    def _take_over(self, other: OtherHand) -> None:
        ours, nothing = self._states(), TaskState()
        changed = {
            name: merged(
                other.base.get(name, nothing), other.theirs.get(name, nothing), ours.get(name, nothing)
            )
            for name in other.theirs.keys() | other.base.keys()
        }
        self._version += 1
        self.file.merged(self._version)
        self._adopt({n: s for n, s in changed.items() if s != ours.get(n)}, other.notes)


class _Lane:
    """At most one piece of work under way; everyone who joins meanwhile shares the next."""

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
                    if not batch.done():  # or callers would wait for ever for work that broke
                        batch.set_result(False)
        finally:
            self._task = None
