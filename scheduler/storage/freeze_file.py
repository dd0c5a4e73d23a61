"""Freezes as files: one in a home and one for all citizens of a root, each with who, since when, until when.

Everything that starts a run reads them first. A file that cannot be read counts as a freeze, so that nothing
starts until a person has looked; one that another user wrote is ignored.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from scheduler.core.schedules.freeze import Freeze, FreezeNote, Freezes
from scheduler.schema.json_codec import InvalidJson, from_json, to_json
from scheduler.storage.file_copies import FREEZE, NO_COPIES, FileCopies
from scheduler.system.files import read_file, replace_file, require_home
from scheduler.system.foreign_home import Refused, closed_after, open_folder, other_user_of
from scheduler.system.hanging_disks import on_disk
from scheduler.system.root_folder import root_folder

NAME = "freeze.json"
LATEST = 1e11  # seconds, the year 5138
MOST = 64 << 10  # bytes; the file is read before each start, and all else waits
LONGEST_WHY, LONGEST_BY = 300, 60  # characters
PATIENCE, STEP = 2.0, 0.01  # seconds to wait for another writer, and between two tries
Stamp = tuple[int, ...] | None
Change = Callable[[FreezeNote], FreezeNote]


class FreezeFile:
    """The freezes of a citizen, or with `together` those of a root; every method may block."""

    def __init__(
        self,
        path: Path,
        *,
        together: bool = False,
        users: frozenset[int] = frozenset(),
        copies: FileCopies = NO_COPIES,
    ) -> None:
        self.path, self._together, self._users, self._copies = path, together, users, copies
        self._spelled = str(path)

    def stamp(self) -> Stamp:
        """A value that changes when the file does; None if there is none."""
        try:
            # Before every start, and in each check of all homes: four times as fast as Path.stat.
            found = os.stat(self._spelled)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return (error.errno or -1,)
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def read(self, now: float) -> tuple[FreezeNote, str]:
        """The note in the file, and its problem if any: the note is then a freeze, unless another user's."""
        try:
            content = read_file(self.path, only_ours=True, or_of=self._users, most=MOST)
            note = note_of(content)
            return replace(note, last=note.last and self._bounded(note.last)), ""
        except (FileNotFoundError, NotADirectoryError):
            return FreezeNote(), ""
        except Refused as error:
            return FreezeNote(), f"{self.path}: {error.strerror}"
        except OSError as error:
            problem = f"{self.path}: {error.strerror or error}"
        except (ValueError, RecursionError):
            problem = f"{self.path} is not readable as a freeze"
        problem = f"{problem}: to be safe nothing is started until it is thawed"
        return FreezeNote(Freeze(now, together=self._together, problem=problem)), problem

    def freeze(self, freeze: Freeze) -> None:
        """Record this freeze; raises OSError."""
        kept = replace(
            freeze, why=freeze.why[:LONGEST_WHY], by=freeze.by[:LONGEST_BY], together=self._together
        )
        self._update(lambda note: note.frozen(kept), freeze.since)

    def thaw(self, now: float) -> None:
        """Record that the freeze is over; raises OSError."""
        self._update(lambda note: note.thawed(now) if note.last else note, now)

    def believe(self, now: float) -> None:
        """Correct a freeze that begins in the future to begin now; raises OSError."""
        self._update(lambda note: replace(note, last=note.last.believed(now)) if note.last else note, now)

    def _update(self, change: Change, now: float) -> None:
        if not self._together:
            require_home(self.path.parent.parent)
        with self._alone():
            before, _ = self.read(now)
            after = change(before)
            if after != before:
                replace_file(self.path, _json(after), make=True, writer=_writer())
                self._copies.keep(FREEZE, _json(after))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Exclude other writers, but only for PATIENCE, since a freeze must not wait forever."""
        with open_folder(self.path.parent, make=True) as at:
            descriptor = at.open(os.O_RDONLY)
        with closed_after(descriptor):
            _lock(descriptor)
            yield

    def _bounded(self, last: Freeze) -> Freeze:
        why, by = last.why[:LONGEST_WHY], last.by[:LONGEST_BY]
        return replace(last, why=why, by=by, together=self._together, problem="")


class HomeFreezes:
    """The two freeze files that concern a citizen; a file is read again only when it has changed."""

    def __init__(self, home: Path, copies: FileCopies = NO_COPIES) -> None:
        self._home, self._copies = home, copies
        self._stamps: tuple[Stamp, ...] | None = None  # empty while its disk hangs
        self._known = Freezes()

    @cached_property
    def own(self) -> FreezeFile:
        """The citizen's own; blocks."""
        user = other_user_of(self._home)
        users = frozenset({user.uid} if user else ())
        return FreezeFile(self._home / ".experience" / NAME, users=users, copies=self._copies)

    @cached_property
    def root(self) -> FreezeFile:
        """The freeze of all citizens of the root; blocks."""
        return root_freeze(self._home.parent)

    def own_differs(self) -> bool:
        """Whether the citizen's own file has changed since it was read."""
        return not self._stamps or self._stamps[0] != self.own.stamp()

    def read(self, now: float) -> Freezes:
        """The present freezes; costs two stats if neither file has changed.

        A home whose disk does not answer counts as frozen: a start there would hang, too.
        """
        try:
            self._known, self._stamps = on_disk(self._home, lambda: self._read(now))
        except OSError as error:
            if self._stamps != ():
                frozen = FreezeNote(Freeze(now, problem=str(error)))
                self._known, self._stamps = Freezes(frozen, problems=(str(error),)), ()
        return self._known

    def _read(self, now: float) -> tuple[Freezes, tuple[Stamp, ...]]:
        stamps = self.own.stamp(), self.root.stamp()
        if stamps == self._stamps:
            return self._known, stamps
        own, root = self.own.read(now), self.root.read(now)
        return Freezes(own[0], root[0], tuple(problem for _, problem in (own, root) if problem)), stamps

    def believe(self, now: float) -> None:
        """Correct freezes that begin in the future to begin now; raises OSError."""
        for file in (self.own, self.root):
            note, _ = file.read(now)
            if note.last and note.last.since > now:
                file.believe(now)


class RootFreezeWatch:
    """Notices changes to the freeze of all citizens of a root, in one look for all of them."""

    def __init__(self, root: Path) -> None:
        """Blocks."""
        self._file = root_freeze(root)
        self._stamp = self._file.stamp()

    def changed(self) -> bool:
        """Whether the file has changed since the last call; blocks."""
        before, self._stamp = self._stamp, self._file.stamp()
        return self._stamp != before


def root_freeze(root: Path) -> FreezeFile:
    """The freeze of all citizens of this root; blocks."""
    return FreezeFile(root_folder(root) / NAME, together=True)


def note_of(content: str | bytes) -> FreezeNote:
    """The note in this JSON; raises ValueError."""
    note = from_json(FreezeNote, json.loads(content))
    ends = [(span.since, span.until) for span in note.past]
    if note.last:
        ends.append((note.last.since, LATEST if note.last.until is None else note.last.until))
    if any(not 0 <= since <= until <= LATEST for since, until in ends):
        raise InvalidJson("no times")
    return note


def _json(note: FreezeNote) -> bytes:
    return json.dumps(to_json(note), indent=1).encode() + b"\n"


def _writer() -> str:
    return f"{os.getpid()}-{threading.get_native_id()}"


def _lock(descriptor: int) -> None:
    with suppress(ImportError, OSError):  # Windows, or a file system without locks
        import fcntl

        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(STEP)
