"""Makes consistent copies of SQLite databases, even while they are written to."""

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from scheduler.handlers.net.cancellable import Stop, raise_if_stopped
from scheduler.handlers.offsite_backup.files import STAGED, Entry, Problem, first_bytes
from scheduler.system.foreign_home import closed_after, open_file, place

PATIENCE = 5.0  # seconds for a database that another process has locked
PAGES = 2048  # copied between two checks for a stop
# The change counters in a header: a copy has its own, and would differ in nothing else.
_COUNTS = ((24, 28), (92, 96))


def copy_databases(home: Path, databases: Iterable[Entry], problem: Problem, stop: Stop) -> dict[str, Path]:
    """The file to back up in place of each database; `problem` is called for those that cannot be copied.

    A file that only begins like a database is backed up itself.
    """
    clear(home)
    copies = {}
    for entry in databases:
        to = home / STAGED / entry.path
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
    """Remove the copies of this run, or of a dead one."""
    with suppress(FileNotFoundError), place(home / STAGED) as at:
        shutil.rmtree(at.name, dir_fd=at.folder)


def _copy(source: Path, to: Path, found: os.stat_result, stop: Stop) -> None:
    os.close(open_file(to, os.O_WRONLY | os.O_CREAT, make=True))
    if not (_is_at_rest(source) and _copied(source, to, "ro&immutable=1", stop) and _is_at_rest(source)):
        _copied(source, to, "ro" if _wal(source).exists() else "rw", stop)
    _as_counted(source, to)
    with closed_after(open_file(to, os.O_RDONLY)) as descriptor:
        with suppress(PermissionError):  # another user's file
            os.fchown(descriptor, found.st_uid, found.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(found.st_mode))
        os.utime(descriptor, ns=(found.st_atime_ns, found.st_mtime_ns))


def _is_at_rest(source: Path) -> bool:
    """Whether a database in write-ahead mode is at rest.

    Opening it as usual would make a -wal and a -shm file next to it, if only for a moment.
    """
    return first_bytes(source, 20)[18:] == b"\2\2" and not _wal(source).exists()


def _wal(source: Path) -> Path:
    return source.with_name(f"{source.name}-wal")


def _copied(source: Path, to: Path, mode: str, stop: Stop) -> bool:
    """Copy the database as of one moment; whether the file stayed unchanged, as `immutable` requires."""
    address = f"file:{quote(os.fsencode(source))}?mode={mode}"
    before = source.stat()
    opened = sqlite3.connect(address, uri=True, timeout=PATIENCE, isolation_level=None)
    with closing(opened) as database, closing(sqlite3.connect(to)) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # useless after a power cut anyway
        database.execute("BEGIN")
        database.execute("SELECT 1 FROM sqlite_master").fetchone()  # from here on all reads are of one moment
        database.backup(copy, pages=PAGES, progress=lambda *_: raise_if_stopped(stop))
    after = source.stat()
    return (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)


def _as_counted(source: Path, to: Path) -> None:
    """Give the copy the original's change counters, so that copies of an unchanged database are identical."""
    with (
        open(open_file(source, os.O_RDONLY), "rb") as original,  # noqa: PTH123 - a link is refused
        open(open_file(to, os.O_RDWR), "r+b") as copy,  # noqa: PTH123 - as above
    ):
        header = original.read(100)
        for start, end in _COUNTS if len(header) == 100 else ():
            copy.seek(start)
            copy.write(header[start:end])
