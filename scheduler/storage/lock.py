"""Who runs a citizen's tasks: the lock in its home, and the note that says which process holds it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from scheduler.core.json_codec import to_json
from scheduler.errors import Managed, NotOurs, Owned, Unreadable
from scheduler.storage.managed import managed_by
from scheduler.storage.state_codec import running_from_json
from scheduler.system.files import file_id, open_new, read_json
from scheduler.system.process_info import Running, alive, born

if TYPE_CHECKING:
    from filelock import FileLock

FOLDER = ".experience"
OWNER = "owner.json"


def owner_of(home: Path) -> Running | None:
    """The living process that owns this home, without touching anything."""
    try:
        owner = running_from_json(read_json(home / FOLDER / OWNER, {}))
    except (ValueError, KeyError, TypeError):
        return None
    return owner if alive(owner) else None


def abandoned(home: Path) -> bool:
    """Whether the last owner died without giving this home back, and nobody has taken it up since."""
    return (home / FOLDER / OWNER).exists() and owner_of(home) is None


class Ownership:
    """A held lock; `release` ends it, and so does the death of the process."""

    def __init__(self, lock: "FileLock", note: Path) -> None:
        self._lock, self._note = lock, note
        self._file = file_id(Path(lock.lock_file))

    def in_place(self) -> bool:
        """Whether the lock is still where others look for it: they may come in if its file was removed."""
        return self._file is not None and file_id(Path(self._lock.lock_file)) == self._file

    def settle(self) -> None:
        """It is ours all the same: some file systems give one file another number at each look."""
        self._file = file_id(Path(self._lock.lock_file))

    def release(self) -> None:
        if self.in_place():  # else the note may be another owner's
            with suppress(OSError):
                self._note.unlink(missing_ok=True)
        self._lock.release()


def acquire(home: Path, now: float, *, as_root: bool = False, service: str = "") -> Ownership:
    """Become the owner of `home`; raises Owned (by whom) or Unreadable (why it cannot be).

    `service` is the unit that this process is, if it is one.
    """
    from filelock import FileLock, Timeout  # 58 ms that only owners pay

    try:
        _may_own(home, as_root)
        _not_managed(home, service)
        folder = home / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = FileLock(folder / "lock", mode=0o600, thread_local=False)
        lock.acquire(blocking=False)
    except Timeout:
        owner = owner_of(home)
        who = f"pid {owner.pid}" if owner else "another process"
        raise Owned(f"{home.name} is owned by {who}; end that one first, or look at it there") from None
    except OSError as error:
        where, why = error.filename or home, error.strerror or error
        mend = f"make {home} a folder you can write to, and {FOLDER} in it one, too"
        raise Unreadable(f"{where}: {why}; {mend}") from error
    note = folder / OWNER
    _write_note(note, Running(os.getpid(), born(os.getpid()) or 0.0, now))
    return Ownership(lock, note)


@contextmanager
def owning(home: Path, now: float, *, as_root: bool = False) -> Iterator[None]:
    """Own `home` for a while."""
    ownership = acquire(home, now, as_root=as_root)
    try:
        yield
    finally:
        ownership.release()


def _may_own(home: Path, as_root: bool) -> None:
    """A root shell must not run what an agent can write: only homes of our own user are ours."""
    owner, we = home.stat().st_uid, os.geteuid()
    if owner == we or (we == 0 and as_root):
        return
    how = "run as that user, or pass --own-as-root" if we == 0 else "run as that user"
    raise NotOurs(f"{home} belongs to user {owner}, this is user {we}: {how}")


def _not_managed(home: Path, service: str) -> None:
    """While its service restarts, a managed home looks free, and is not."""
    unit = managed_by(home)
    if unit and unit.name != service:
        raise Managed(f"{home.name} is run by {unit.name}.service; start it with {unit.systemctl('start')}")


def _write_note(note: Path, owner: Running) -> None:
    """Best effort: the note only tells people which process it is, the lock is what counts."""
    partial = note.with_suffix(".partial")
    with suppress(OSError):
        with open(open_new(partial), "w", encoding="utf-8") as file:  # noqa: PTH123 - its mode is set at creation
            file.write(json.dumps(to_json(owner)))
        partial.replace(note)
