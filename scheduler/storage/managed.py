"""The mark in a home that a service runs: while it is there, nobody but that service owns the home."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

FOLDER, MARK = ".experience", "managed"
LONGEST = 200  # bytes of a mark; ours have forty


class Unit(NamedTuple):
    """A unit of the service manager; `user` if it is that of the user's own one."""

    name: str
    user: bool = False

    def systemctl(self, verb: str) -> str:
        """The command that does `verb` to it."""
        return f"systemctl {'--user ' if self.user else ''}{verb} {self.name}"


def unit_of(citizen: str, user: bool = False) -> Unit:
    return Unit(f"experience-{citizen}", user)


def managed_by(home: Path) -> Unit | None:
    """The unit that runs this home, None if none does."""
    try:
        file = os.open(home / FOLDER / MARK, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe holds up
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        content = os.read(file, LONGEST)
    finally:
        os.close(file)
    name, _, manager = content.decode(errors="replace").strip().partition(" ")
    if not re.fullmatch(r"experience-[a-z][a-z0-9_-]{0,31}", name):
        name = f"experience-{home.name}"  # whoever damaged the mark did not make the home free
    return Unit(name, manager == "user")


def mark(home: Path, unit: Unit) -> None:
    """This unit runs the home from now on; raises OSError."""
    owner = home.stat()
    folder = _folder(home, (owner.st_uid, owner.st_gid))
    try:
        partial = f"{MARK}.partial"
        with suppress(FileNotFoundError):
            os.unlink(partial, dir_fd=folder)
        file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            os.write(file, f"{unit.name} {'user' if unit.user else 'system'}\n".encode())
            os.fchown(file, owner.st_uid, owner.st_gid)
        finally:
            os.close(file)
        os.replace(partial, MARK, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        os.close(folder)


def unmark(home: Path) -> bool:
    """The home is free again; whether it was marked. Raises OSError."""
    if managed_by(home) is None:
        return False
    folder = _open(home)
    try:
        os.unlink(MARK, dir_fd=folder)
    finally:
        os.close(folder)
    return True


def _folder(home: Path, owner: tuple[int, int]) -> int:
    """Our folder in the home, made if need be, for its owner."""
    made = not (home / FOLDER).exists()
    (home / FOLDER).mkdir(mode=0o700, exist_ok=True)
    folder = _open(home)
    if made:
        os.fchown(folder, *owner)
    return folder


def _open(home: Path) -> int:
    # Root may do this in a home that an agent can write: a link there must not lead it elsewhere.
    return os.open(home / FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
