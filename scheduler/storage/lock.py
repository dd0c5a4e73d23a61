"""Ownership of a home: its lock, the note that names the owner, the mark of the service that runs it."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from scheduler.errors import PROGRAM, Managed, NotOurs, Owned, Unreadable
from scheduler.process.process_info import BOOT, Running, alive, born
from scheduler.schema.json_codec import to_json
from scheduler.storage.shared_home import FOLDER, shared_home
from scheduler.storage.state_codec import running_from_json
from scheduler.system.files import file_id, read_json, replace_file
from scheduler.system.foreign_home import Refused, closed_after, make_folder, open_file, remove
from scheduler.system.unix_socket import home_id

if TYPE_CHECKING:
    from filelock import FileLock

OWNER, MARK = "owner.json", "managed"
MONITOR, LOOP = "monitor", "loop"  # roles of an owner
LONGEST = 200  # bytes read of a mark; a valid one has forty


def owner_of(home: Path) -> Running | None:
    """The living process that owns this home, None for a copied home's note; changes nothing."""
    note = read_json(home / FOLDER / OWNER, {})
    try:
        owner = running_from_json(note)
    except ValueError:
        return None
    return owner if alive(owner) and _is_about(note, home) else None


def role_of(home: Path) -> str:
    """The owner's role by its own note, such as MONITOR; for messages only, since the note can be forged."""
    role = read_json(home / FOLDER / OWNER, {}).get("role")
    return role if isinstance(role, str) else ""


def _is_about(note: Mapping[str, Any], home: Path) -> bool:
    """Whether path and id in the note are those of this home."""
    place = _place(home)
    return any(note.get(key, value) == value for key, value in place.items())  # older notes have neither


def _place(home: Path) -> dict[str, str]:
    return {"home": str(home.resolve()), "home_id": home_id(home)}


def abandoned(home: Path) -> bool:
    """Whether the last owner died without releasing this home, and no other has acquired it since."""
    return (home / FOLDER / OWNER).exists() and owner_of(home) is None


class Ownership:
    """A held lock, until `release` or the death of the process."""

    def __init__(self, lock: "FileLock", note: Path) -> None:
        self._lock, self._note, self._path = lock, note, lock.lock_file
        self._file = file_id(self._path)

    def in_place(self) -> bool:
        """Whether the lock file is still there: without it another process could acquire the home."""
        return self._file is not None and file_id(self._path) == self._file

    def sign(self, home: Path, now: float, role: str) -> None:
        """Write the note that names the owner, for people; only the lock counts."""
        owner = Running(os.getpid(), born(os.getpid()) or 0.0, now, BOOT)
        with suppress(OSError):
            note = {**to_json(owner), **_place(home), "role": role}
            replace_file(self._note, json.dumps(note).encode(), durable=False)

    def release(self) -> None:
        note = read_json(self._note, {})
        if self.in_place() and (note.get("pid"), note.get("boot")) == (os.getpid(), BOOT):
            with suppress(OSError):  # any other note is another owner's
                remove(self._note)
        self._lock.release()


def acquire(
    home: Path,
    now: float,
    *,
    as_root: bool = False,
    service: str = "",
    role: str = "",
    shared: bool = False,
    machine: str = "",
) -> Ownership:
    """Become the owner of `home`; raises Owned (by whom) or Unreadable (why it cannot be owned).

    `service` is this process's unit, if a service runs it; `role` is noted for `role_of`; `shared` allows a
    home that machines share. With `machine` the lock is that machine's own, because NFS keeps the lock of a
    frozen or dead machine: a lease decides who owns the home, and its holder signs the note.
    """
    name = f"lock.{machine}" if machine else "lock"
    from filelock import FileLock, Timeout  # 58 ms that only owners pay

    try:
        check_free(home, as_root=as_root, service=service, shared=shared or bool(machine))
        folder = home / FOLDER
        make_folder(folder)
        os.close(open_file(folder / name, os.O_RDWR | os.O_CREAT))  # so that it belongs to the home's user
        lock = FileLock(folder / name, mode=0o600, thread_local=False)
        lock.acquire(blocking=False)
    except Timeout:
        owner = owner_of(home)
        who = f"pid {owner.pid}" if owner else "another process"
        raise Owned(f"{home.name} is owned by {who}; end that one first, or look at it there") from None
    except OSError as error:
        where, why = error.filename or home, error.strerror or error
        fix = f"make {home} a folder you can write to, and {FOLDER} in it one, too"
        raise Unreadable(f"{where}: {why}; {fix}") from error
    ownership = Ownership(lock, folder / OWNER)
    if not machine:
        ownership.sign(home, now, role)
    return ownership


@contextmanager
def owning(home: Path, now: float, *, as_root: bool = False, shared: bool = False) -> Iterator[None]:
    """Own `home` for a while."""
    ownership = acquire(home, now, as_root=as_root, shared=shared)
    try:
        yield
    finally:
        ownership.release()


def check_free(home: Path, *, as_root: bool = False, service: str = "", shared: bool = False) -> None:
    """Raise Owned if this process may not own the home, whether it has an owner now or not."""
    _may_own(home, as_root)
    _not_managed(home, service)
    if not shared:
        _not_shared(home)


def _may_own(home: Path, as_root: bool) -> None:
    """Refuse another user's home: root must not run by accident what an agent can write."""
    owner, user = home.stat().st_uid, os.geteuid()
    if owner == user or (user == 0 and as_root):
        return
    how = "run as that user, or pass --own-as-root" if user == 0 else "run as that user"
    raise NotOurs(f"{home} belongs to user {owner}, this is user {user}: {how}")


def _not_managed(home: Path, service: str) -> None:
    """Refuse a home that another service manages: it looks free while that service restarts."""
    unit = managed_by(home)
    if unit and unit.name != service:
        raise Managed(f"{home.name} is run by {unit.name}.service; start it with {unit.systemctl('start')}")


def _not_shared(home: Path) -> None:
    """Refuse a home that machines share, since another machine may run the citizen now."""
    if found := shared_home(home):
        fix = f"set [engine] url here, or take it out with: {PROGRAM} engine leave {home.name}"
        raise Managed(f"{home.name} is run through {found.through}; {fix}")


# ------------------------------------------------------------------ homes that a service runs


class Unit(NamedTuple):
    """A systemd unit; `user`: of the user's own service manager."""

    name: str
    user: bool = False

    def systemctl(self, verb: str) -> str:
        """The command for this verb, such as `start`."""
        return f"systemctl {'--user ' if self.user else ''}{verb} {self.name}"


def unit_of(citizen: str, user: bool = False) -> Unit:
    return Unit(f"experience-{citizen}", user)


def managed_by(home: Path) -> Unit | None:
    """The systemd unit that runs this home, if any."""
    try:
        with closed_after(open_file(home / FOLDER / MARK, os.O_RDONLY)) as file:
            content = os.read(file, LONGEST)
    except (FileNotFoundError, NotADirectoryError):
        return None
    name, _, manager = content.decode(errors="replace").strip().partition(" ")
    if not re.fullmatch(r"experience-[a-z][a-z0-9_-]{0,31}", name):
        name = f"experience-{home.name}"  # a damaged mark does not make the home free
    return Unit(name, manager == "user")


def mark(home: Path, unit: Unit) -> None:
    """Record that this unit runs the home; raises OSError."""
    make_folder(home / FOLDER)
    _refuse_link(home)
    replace_file(home / FOLDER / MARK, f"{unit.name} {'user' if unit.user else 'system'}\n".encode())


def unmark(home: Path) -> bool:
    """Remove the mark; False if there was none. Raises OSError."""
    if managed_by(home) is None:
        return False
    _refuse_link(home)
    remove(home / FOLDER / MARK)
    return True


def _refuse_link(home: Path) -> None:
    """Refuse a folder that is a link: a mark elsewhere would not move with the home."""
    if (home / FOLDER).is_symlink():
        raise Refused("a link", home / FOLDER)
