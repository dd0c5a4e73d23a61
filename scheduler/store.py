"""background_tasks.json: read it, notice other hands in it, save it whole or not at all."""

import asyncio
import contextlib
import errno
import logging
import os
import stat
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Protocol

from .clock import Clock, SystemClock, Timer
from .codec import Document, decode, encode
from .errors import Unreadable
from .files import set_aside
from .model import TaskState

log = logging.getLogger("experience.store")

FILE_NAME = "background_tasks.json"
FIRST_RETRY, LAST_RETRY = 1.0, 30.0  # seconds between attempts at a save that fails
SETTLED = 1.0  # seconds after which a file that makes no sense is not one that somebody is still writing

States = Mapping[str, TaskState]
Adopt = Callable[[States, list[str]], None]


class Store(Protocol):
    """Where a scheduler's states live. `written` is None when there is nothing to wait for."""

    unsaved: str

    def load(self) -> tuple[States, list[str]]:
        """The last saved states, and a line for each thing in them that had to be dropped."""
        ...

    def begin(self, states: Callable[[], States], adopt: Adopt, told: Callable[[], None]) -> None:
        """From now on save what `states` gives; `adopt` gets what another hand changed.

        `told` is called whenever `unsaved` changes.
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

    def begin(self, states: Callable[[], States], adopt: Adopt, told: Callable[[], None]) -> None: ...

    def differs(self) -> bool:
        return False

    def changed(self) -> None: ...

    def written(self) -> None: ...

    async def saved(self) -> bool:
        return True

    async def close(self) -> None: ...


# ------------------------------------------------------------------ the file itself, blocking


class OtherHand(Exception):
    """The file changed since we last wrote it: what it says now, and what we had written."""

    def __init__(self, theirs: States, base: States, notes: list[str]) -> None:
        super().__init__()
        self.theirs, self.base, self.notes = theirs, base, notes


class Behind(Exception):
    """What another hand changed is not in these states yet; take them anew."""


class HalfWritten(OSError):
    """Another hand seems to be writing the file in place at this moment."""


class _NoStates(Exception):
    """What is in the file is no set of states: why, and which file it was."""

    def __init__(self, reason: ValueError, signature: "Signature") -> None:
        super().__init__(str(reason))
        self.signature = signature


Signature = tuple[int, ...]


@dataclass(frozen=True)
class _Content:
    """What the file held when we last read or wrote it; no signature means that there was none."""

    document: Document = field(default_factory=Document)
    text: str = ""
    signature: Signature | None = None
    dropped: tuple[str, ...] = ()


class StateFile:
    """One citizen's state file; its methods block and may be called from any thread."""

    def __init__(self, home: Path, elapsed: Callable[[], float] = SystemClock.elapsed) -> None:
        self.path = home / FILE_NAME
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._known = _Content()
        self._newest = self._floor = 0
        self._merging = False
        self._odd: tuple[Signature, float] | None = None

    def load(self) -> tuple[States, list[str]]:
        """The saved states; a file that is no state file is set aside. Raises Unreadable."""
        try:
            self._known = self._read()
        except _NoStates as error:
            return {}, [self._set_aside(error)]
        return self._known.document.states, list(self._known.dropped)

    def peek(self) -> tuple[States, list[str]]:
        """The same without touching anything, for those who only look."""
        try:
            content = self._read()
        except _NoStates as error:
            return {}, [f"{self.path}: cannot be read ({error}); its owner will move it aside"]
        return content.document.states, list(content.dropped)

    def differs(self) -> bool:
        """Whether another hand has changed the file since we last read or wrote it."""
        with contextlib.suppress(OSError):  # gone is not changed: what we know is written anew
            return _signature(self.path.stat()) != self._known.signature
        return False

    def merged(self, version: int) -> None:
        """From this version on the states hold what the last OtherHand told."""
        with self._lock:
            self._merging, self._floor = False, version

    def save(self, states: States, version: int, durable: bool) -> None:
        """Replace the file by `states`, unless a newer version is in place already.

        `durable` waits until a power cut could not undo it. Raises OSError when it cannot, OtherHand
        when the file was changed, Behind until `merged` was called after that.
        """
        document = replace(self._known.document, states=states)
        text = encode(document)
        partial = self.path.with_name(f".{FILE_NAME}.{'saving' if durable else 'starting'}")
        try:
            signature = self._write(partial, text, durable)
            with self._lock:
                overtaken = self._check(version)
                if not overtaken:
                    partial.replace(self.path)
                    self._newest, self._known = version, _Content(document, text, signature)
        finally:
            partial.unlink(missing_ok=True)  # still there only if it did not take the file's place
        if durable:
            if overtaken:  # by one that nobody made durable: under a steady load there is always one
                _sync(self.path)
            _sync(self.path.parent)

    def _check(self, version: int) -> bool:
        """Whether a newer version is in place; raises when another hand has to be heard first."""
        if self._merging or version < self._floor:
            raise Behind
        if self.differs():
            self._hear_other_hand()
        return version < self._newest

    def _hear_other_hand(self) -> None:
        base = decode(self._known.text)[0].states if self._known.text else {}  # times as the file has them
        try:
            found = self._read()
        except _NoStates as error:
            self._still_the_same(error)
            self._merging = True
            raise OtherHand(base, base, [self._set_aside(error)]) from None
        if found.signature is not None:
            self._known, self._merging = found, True
            raise OtherHand(found.document.states, base, list(found.dropped))

    def _still_the_same(self, error: _NoStates) -> None:
        """Raises HalfWritten, unless what is wrong with the file has been so for a while."""
        now = self._elapsed()
        if self._odd is None or self._odd[0] != error.signature:
            self._odd = (error.signature, now)
        if now - self._odd[1] < SETTLED:
            raise HalfWritten(errno.EBUSY, f"{self.path.name} is being written by another hand")

    def _write(self, partial: Path, text: str, durable: bool) -> Signature:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - the mode is set at creation
            self._like_before(descriptor)
            file.write(text)
            file.flush()
            if durable:
                os.fsync(descriptor)
            return _signature(os.fstat(descriptor))

    def _like_before(self, descriptor: int) -> None:
        """Who could read the file goes on to: root, too, leaves the home's user what is its own."""
        try:
            before = self.path.stat()
        except FileNotFoundError:
            before = self.path.parent.stat()
        else:
            os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
        with contextlib.suppress(PermissionError):
            os.fchown(descriptor, before.st_uid, before.st_gid)

    def _read(self) -> _Content:
        try:
            signature = _signature(self.path.stat())
            content = self.path.read_bytes()
        except FileNotFoundError:
            return _Content(replace(self._known.document, states={}))
        except OSError as error:
            raise Unreadable(
                f"{self.path}: {error.strerror}; make it readable, nothing was changed"
            ) from error
        try:
            text = content.decode("utf-8-sig")  # some editors begin every file with a mark
            document, dropped = decode(text)
        except ValueError as error:
            raise _NoStates(error, signature) from error
        return _Content(document, text, signature, tuple(f"{self.path}: dropped {line}" for line in dropped))

    def _set_aside(self, error: _NoStates) -> str:
        aside = set_aside(self.path)
        return f"{self.path} could not be read ({error}); kept as {aside.name}, starting afresh"


def merged(base: TaskState, theirs: TaskState, ours: TaskState) -> TaskState:
    """Our state with every field that another hand changed; what runs only its owner knows."""
    changes = {
        name: getattr(theirs, name) for name in _MERGEABLE if getattr(theirs, name) != getattr(base, name)
    }
    return replace(ours, **changes) if changes else ours


_MERGEABLE = [item.name for item in fields(TaskState) if item.name not in ("running", "orphan")]


def _signature(status: os.stat_result) -> Signature:
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def _sync(path: Path) -> None:
    """Make the file, or what the folder lists, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
        self._delay = FIRST_RETRY
        self._retry: Timer | None = None
        self._states: Callable[[], States] = dict
        self._adopt: Adopt = lambda states, notes: None
        self._told: Callable[[], None] = lambda: None

    def load(self) -> tuple[States, list[str]]:
        return self.file.load()

    def begin(self, states: Callable[[], States], adopt: Adopt, told: Callable[[], None]) -> None:
        self._states, self._adopt, self._told = states, adopt, told

    def differs(self) -> bool:
        return self.file.differs()

    def changed(self) -> None:
        self._version += 1
        self._durable.join()

    def written(self) -> Awaitable[bool]:
        return asyncio.shield(self._quick.join())

    async def saved(self) -> bool:
        return await asyncio.shield(self._durable.join())

    async def close(self) -> None:
        """Make what is pending durable, once; a disk that still refuses keeps nobody here."""
        if self._retry:
            self._retry.cancel()
        await self.saved()
        if self._retry:
            self._retry.cancel()

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
        self._say(str(error))
        return False

    def _say(self, unsaved: str) -> None:
        if unsaved != self.unsaved:
            self.unsaved = unsaved
            self._told()

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
                    if not batch.done():  # nobody may wait for ever for work that broke
                        batch.set_result(False)
        finally:
            self._task = None
