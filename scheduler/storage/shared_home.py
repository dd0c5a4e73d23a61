"""The mark of a home that machines share through a database: the home's id and the database's address."""

import os
import re
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from scheduler.system.files import replace_file
from scheduler.system.foreign_home import closed_after, make_folder, open_file, remove

FOLDER = ".experience"
MARK = "home-id"
LONGEST = 400  # bytes read of a mark


class SharedHome(NamedTuple):
    """A home's id, the same on every machine that sees this folder, and the database's address."""

    home_id: str
    through: str
    inode: int
    copied: bool = False  # the mark was written for another folder


def shared_home(home: Path) -> SharedHome | None:
    """The mark of the home, None if it is not shared; a damaged mark has no id.

    Raises OSError if the mark is not a file, is another user's link, or lies in a home closed to this user.
    """
    try:
        with closed_after(open_file(home / FOLDER / MARK, os.O_RDONLY)) as file:
            content = os.read(file, LONGEST).decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    home_id, through, inode = (*content.split(), "", "", "")[:3]
    known = home_id if re.fullmatch(r"[0-9a-f-]{36}", home_id) else ""
    here = home.stat().st_ino
    return SharedHome(known, through, here, bool(inode) and inode != str(here))


def is_shared(home: Path) -> bool:
    """Whether machines share the home, as far as this user can tell."""
    try:
        return shared_home(home) is not None
    except OSError:  # closed by another user
        return False


def new_home_id() -> str:
    return str(uuid4())


def mark_shared(home: Path, home_id: str, through: str) -> None:
    """Mark the home, with its inode, which differs in a copy but not on shared storage. Raises OSError."""
    make_folder(home / FOLDER)
    replace_file(home / FOLDER / MARK, f"{home_id} {through} {home.stat().st_ino}\n".encode())


def unmark_shared(home: Path) -> None:
    """Remove the mark; raises OSError."""
    remove(home / FOLDER / MARK)
