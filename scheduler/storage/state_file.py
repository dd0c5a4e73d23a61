"""Read, merge and atomically replace a citizen's background_tasks.json."""

import errno
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from scheduler.core.state import TaskState
from scheduler.errors import Unreadable
from scheduler.storage.state_codec import Document, decode, encode
from scheduler.system.clock import SystemClock
from scheduler.system.files import quarantine, read_file, write_partial
from scheduler.system.foreign_home import place, sync
from scheduler.system.hanging_disks import require_disk

FILE_NAME = "background_tasks.json"
SETTLED = 1.0  # an invalid file older than this many seconds is corrupt, not half-written

States = Mapping[str, TaskState]


class ChangedOutside(Exception):
    """Another program changed the file: its states now (`theirs`), and those last written here (`base`)."""

    def __init__(self, theirs: States, base: States, notes: list[str]) -> None:
        super().__init__()
        self.theirs, self.base, self.notes = theirs, base, notes


class Behind(Exception):
    """These states lack the changes of another program; save newer ones."""


class HalfWritten(OSError):
    """Another program seems to be writing the file in place right now."""


class _InvalidStates(Exception):
    """The file does not hold states: why, and which file it was."""

    def __init__(self, reason: ValueError, signature: "Signature") -> None:
        super().__init__(str(reason))
        self.signature = signature


Signature = tuple[int, ...]


@dataclass(frozen=True)
class _Content:
    """The content of the file when it was last read or written here; no signature: there was no file."""

    document: Document = field(default_factory=Document)
    text: str = ""
    signature: Signature | None = None
    dropped: tuple[str, ...] = ()


class StateFile:
    """One citizen's state file; its methods block and may be called from any thread.

    Its owner passes `claimed`: whether the lock of the home is in its place.
    """

    def __init__(
        self,
        home: Path,
        elapsed: Callable[[], float] = SystemClock.elapsed,
        claimed: Callable[[], bool] = lambda: True,
    ) -> None:
        self.path = home / FILE_NAME
        self._spelled = str(self.path)
        self._elapsed, self._claimed = elapsed, claimed
        self._lock = threading.Lock()
        self._known = _Content()
        self._newest = self._floor = 0
        self._merging = False
        self._odd: tuple[Signature, float] | None = None

    def load(self) -> tuple[States, list[str]]:
        """The saved states; moves an invalid state file aside. Raises Unreadable."""
        try:
            self._known = self._read()
        except _InvalidStates as error:
            return {}, [self._set_aside(error)]
        return self._known.document.states, list(self._known.dropped)

    def peek(self) -> tuple[States, list[str]]:
        """The same for readers, without moving the file."""
        try:
            content = self._read()
        except _InvalidStates as error:
            return {}, [f"{self.path}: cannot be read ({error}); its owner will move it aside"]
        return content.document.states, list(content.dropped)

    def differs(self) -> bool:
        """Whether another program has changed the file since it was last read or written here."""
        try:
            return _signature(os.stat(self._spelled)) != self._known.signature  # noqa: PTH116  # as in stamp
        except OSError:  # a removed file is not changed: it is written again
            return False

    def merged(self, version: int) -> None:
        """Note that from this version on the states contain the changes of the last ChangedOutside."""
        with self._lock:
            self._merging, self._floor = False, version

    def save(self, states: States, version: int, durable: bool) -> None:
        """Replace the file by `states`, unless a newer version is in place already.

        `durable` waits until a power cut cannot undo it. Raises OSError if the file cannot be written,
        ChangedOutside if another program changed it, and after that Behind until `merged` is called.
        """
        require_disk(self.path.parent)  # a save that hangs there takes a thread from other citizens
        document = replace(self._known.document, states=states)
        text = encode(document)
        with place(self.path, follow=True) as at:
            partial = at.beside(f".{FILE_NAME}.{'saving' if durable else 'starting'}")
            try:
                signature = _signature(write_partial(partial, at, text.encode(), durable=durable))
                with self._lock:
                    overtaken = self._check(version)
                    if not overtaken:
                        partial.replace(at)
                        self._newest, self._known = version, _Content(document, text, signature)
            finally:
                partial.remove()  # still there only if it did not take the file's place
            if durable:
                if overtaken:  # by a newer file that is not durable yet
                    sync(self.path)
                at.sync_folder()

    def _check(self, version: int) -> bool:
        """Whether a newer version is in place; raises if changes of another program must be merged first."""
        if self._known.signature and not (self.path.exists() or self._claimed()):
            raise FileNotFoundError(errno.ENOENT, "the home is empty; is its disk mounted?", str(self.path))
        if self._merging or version < self._floor:
            raise Behind
        if self.differs():
            self._raise_changes()
        return version < self._newest

    def _raise_changes(self) -> None:
        base = (
            decode(self._known.text)[0].states if self._known.text else {}
        )  # decoded, so that times are rounded as in the file
        try:
            content = self._read()
        except _InvalidStates as error:
            self._require_settled(error)
            self._merging = True
            raise ChangedOutside(base, base, [self._set_aside(error)]) from None
        if content.signature is not None:
            self._known, self._merging = content, True
            raise ChangedOutside(content.document.states, base, list(content.dropped))

    def _require_settled(self, error: _InvalidStates) -> None:
        """Raise HalfWritten, unless the file has been invalid in the same way for a while."""
        now = self._elapsed()
        if self._odd is None or self._odd[0] != error.signature:
            self._odd = (error.signature, now)
        if now - self._odd[1] < SETTLED:
            raise HalfWritten(errno.EBUSY, f"{self.path.name} is being written by another program")

    def _read(self) -> _Content:
        try:
            signature = _signature(self.path.stat())
            content = read_file(self.path)
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
            raise _InvalidStates(error, signature) from error
        return _Content(document, text, signature, tuple(f"{self.path}: dropped {line}" for line in dropped))

    def _set_aside(self, error: _InvalidStates) -> str:
        try:
            aside = quarantine(self.path)
        except OSError as denied:
            raise Unreadable(
                f"{self.path} is not a state file ({error}) and cannot be moved aside: {denied.strerror}"
            ) from denied
        return f"{self.path} could not be read ({error}); kept as {aside.name}, starting without it"


def merged(base: TaskState, theirs: TaskState, state: TaskState) -> TaskState:
    """The state with every field that another program changed, except what runs, which the owner knows."""
    changes = {
        name: getattr(theirs, name) for name in _MERGEABLE if getattr(theirs, name) != getattr(base, name)
    }
    if "last_run" in changes:  # now this decides what is due, not the slot of an earlier run
        changes.setdefault("slot", None)
    return state.changed(**changes) if changes else state


_MERGEABLE = [item.name for item in fields(TaskState) if item.name not in ("running", "orphan", "starting")]


def _signature(status: os.stat_result) -> Signature:
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
