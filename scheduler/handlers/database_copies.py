"""Copies of SQLite databases as they are at one moment, however busily they are written to."""

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from .backup_files import STAGED, Entry, Problem, own_folder
from .stoppable import Stop, go_on

PATIENCE = 5.0  # seconds for a database that somebody has locked
PAGES = 2048  # copied between two looks at whether we should stop
# Where a header counts its changes: a copy has a count of its own, and would differ in nothing else.
_COUNTS = ((24, 28), (92, 96))


def copy_databases(home: Path, databases: Iterable[Entry], problem: Problem, stop: Stop) -> dict[str, Path]:
    """What to back up in place of each database; those that cannot be copied are told to `problem`.

    A file that only begins like a database stands for itself.
    """
    clear(home)
    copies = {}
    for entry in databases:
        to = home / STAGED / entry.path
        own_folder(home)
        try:
            _copy(home / entry.path, to, entry.stat, stop)
        except (sqlite3.OperationalError, OSError) as error:
            if (home / entry.path).exists():
                problem(entry.path, str(getattr(error, "strerror", None) or error))
            to.unlink(missing_ok=True)
        except sqlite3.DatabaseError:
            to.unlink(missing_ok=True)
            copies[entry.path] = home / entry.path
        else:
            copies[entry.path] = to
    return copies


def clear(home: Path) -> None:
    """Remove the copies of this run, or of one that died."""
    if (home / STAGED).is_dir():
        shutil.rmtree(home / STAGED)


def _copy(source: Path, to: Path, found: os.stat_result, stop: Stop) -> None:
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    to.touch(mode=0o600)
    with closing(_opened(source)) as database, closing(sqlite3.connect(to)) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # after a power cut nobody wants it
        database.execute("BEGIN")
        database.execute("SELECT 1 FROM sqlite_master").fetchone()  # from here on we see one moment
        database.backup(copy, pages=PAGES, progress=lambda *_: go_on(stop))
    _as_counted(source, to)
    with suppress(PermissionError):  # somebody else's file that we may read
        os.chown(to, found.st_uid, found.st_gid)
    to.chmod(stat.S_IMODE(found.st_mode))
    os.utime(to, ns=(found.st_atime_ns, found.st_mtime_ns))


def _opened(source: Path) -> sqlite3.Connection:
    # A reader that may not write leaves -wal and -shm behind; one that may takes them along, but would also
    # move what is in a -wal that is there into the database, and that is its owner's affair.
    mode = "ro" if source.with_name(source.name + "-wal").exists() else "rw"
    return sqlite3.connect(
        f"file:{quote(os.fsencode(source))}?mode={mode}", uri=True, timeout=PATIENCE, isolation_level=None
    )


def _as_counted(source: Path, to: Path) -> None:
    """A copy of what did not change meanwhile is the same, byte for byte."""
    with source.open("rb") as original, to.open("r+b") as copy:
        header = original.read(100)
        for start, end in _COUNTS if len(header) == 100 else ():
            copy.seek(start)
            copy.write(header[start:end])
