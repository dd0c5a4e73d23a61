"""Small files of homes in the database: freeze, wake notes and ledger move with the citizen.

A process that changes one also commits it here and notifies all machines, which update their own copies.
"""

import errno
import json
import os
import select
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import LiteralString

import psycopg

from scheduler.cluster.bus import CHANNEL, NOTE
from scheduler.cluster.database import Database, Served
from scheduler.cluster.leases import Lease
from scheduler.spending.ledger import LATE
from scheduler.spending.ledger import NAME as LEDGER
from scheduler.storage.file_copies import FREEZE, METADATA, WAKE_NOTE, NotCopied
from scheduler.storage.freeze_file import NAME as FREEZE_FILE
from scheduler.storage.wake_note import FILE as WAKE_FILE
from scheduler.system.files import read_file, read_json_for_update, replace_file
from scheduler.system.foreign_home import open_file

FOLDER = ".experience"
SERVER = "server"  # the file with the database server through which the citizen ran last
ROOT = ""  # stands for all citizens
MOST = 64 << 20  # bytes of a ledger, at most

_OWNER = """
WITH owner AS (
    SELECT 1 FROM experience.owners WHERE citizen = %(citizen)s
        AND (%(epoch)s::bigint IS NULL OR (epoch = %(epoch)s AND until > clock_timestamp()))
    UNION ALL SELECT 1 WHERE %(citizen)s = '' LIMIT 1),
"""
_TOLD = f"SELECT pg_notify('{CHANNEL}', '{NOTE} ' || %(citizen)s) FROM done"
_KEEP = (
    _OWNER
    + """done AS (INSERT INTO experience.notes AS n SELECT %(citizen)s, %(name)s, %(content)s FROM owner
    ON CONFLICT (citizen, name) DO UPDATE SET content = excluded.content RETURNING 1)
"""
    + _TOLD
)
ADD_LINE = (
    _OWNER
    + """done AS (INSERT INTO experience.spending (citizen, line) SELECT %(citizen)s, %(content)s FROM owner
    RETURNING 1)
"""
    + _TOLD
)


class Notes:
    """Writes notes, from any thread, on one connection that is opened when needed."""

    def __init__(self, database: Database) -> None:
        self._database, self._lock = database, threading.Lock()
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None

    def of(self, citizen: str, lease: Lease | None = None) -> "CopiesOf":
        """The copies of this citizen under this lease; without a lease, for changes by a person."""
        return CopiesOf(self, citizen, lease)

    def write(self, query: LiteralString, values: Mapping[str, object]) -> None:
        """Commit the query; raises NotCopied."""
        with self._lock:
            try:
                done = self._connected().execute(query, values).fetchall()
            except psycopg.Error as error:
                self._drop()
                raise NotCopied(errno.EIO, str(self._database.away(error))) from error
        if not done:
            raise NotCopied(errno.EPERM, "another machine runs this citizen, or none does")

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _connected(self) -> "psycopg.Connection[tuple[object, ...]]":
        if self._connection and _has_ended(self._connection):
            self._drop()
        if self._connection is None:
            self._connection = self._database.connect_blocking()
        return self._connection

    def _drop(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


class CopiesOf:
    """The copies of one citizen's files for other machines."""

    def __init__(self, notes: Notes, citizen: str, lease: Lease | None) -> None:
        self._notes, self._citizen, self._lease = notes, citizen, lease

    def keep(self, name: str, content: bytes) -> None:
        self._notes.write(_KEEP, self._values(content) | {"name": name})

    def add(self, line: bytes) -> None:
        self._notes.write(ADD_LINE, self._values(line))

    def _values(self, content: bytes) -> dict[str, object]:
        epoch = self._lease.epoch if self._lease else None
        return {"citizen": self._citizen, "epoch": epoch, "content": content.decode("utf-8", "replace")}


def _has_ended(connection: "psycopg.Connection[tuple[object, ...]]") -> bool:
    """Whether the server has closed the connection: an idle one gets no other input."""
    if connection.closed:
        return True
    said = select.poll()
    said.register(connection.fileno(), select.POLLIN)
    return bool(said.poll(0))


# ------------------------------------------------------------------ into the files


async def read_notes(database: Database, citizen: str) -> tuple[dict[str, str], list[str]]:
    """Return the notes by name and the lines of the ledger; raises DatabaseAway."""
    rows = await database.rows("SELECT name, content FROM experience.notes WHERE citizen = %s", (citizen,))
    lines = await database.rows(
        "SELECT line FROM experience.spending WHERE citizen = %s ORDER BY id", (citizen,)
    )
    return dict(rows), [line for (line,) in lines]


def was_replaced(folder: Path, server: str) -> bool:
    """Whether the citizen of this home has run through a later promoted server; if not, note this one.

    Machines that share a home may reach different servers if two of them take writes. Blocks.
    """
    with suppress(OSError):
        known = read_file(folder / SERVER, most=100) if (folder / SERVER).exists() else b""
        if Served.of(known.decode("ascii", "replace")).replaces(Served.of(server)):
            return True
        _replace(folder / SERVER, server.encode())
    return False


def write_files(folder: Path, notes: Mapping[str, str], lines: Iterable[str], owned: bool) -> None:
    """Write the notes and ledger lines into a home's own folder; blocks, raises OSError.

    If the citizen is `owned` here, files that its owner writes itself are left alone.
    """
    if FREEZE in notes:
        _replace(folder / FREEZE_FILE, notes[FREEZE].encode())
    if not owned:
        if WAKE_NOTE in notes:
            _replace(folder.parent / WAKE_FILE, notes[WAKE_NOTE].encode())
        if METADATA in notes:
            path = folder.parent / "metadata.json"
            known = {**read_json_for_update(path), **json.loads(notes[METADATA])}
            _replace(path, json.dumps(known, indent=2).encode())
    if wanted := [line for line in lines if not owned or '"lift"' in line or LATE in line]:
        add_lines(folder / LEDGER, wanted)


def add_lines(ledger: Path, lines: Iterable[str]) -> None:
    """Append the lines that the file lacks; even two processes at once add each line only once."""
    with _alone(ledger):
        with suppress(FileNotFoundError):
            have = Counter(read_file(ledger, most=MOST).decode("utf-8", "replace").splitlines())
            lines = [line for line in lines if not _taken(have, line)]
        if missing := list(lines):
            file = open_file(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, make=True)
            with open(file, "wb") as ledger_file:  # noqa: PTH123 - the mode is set at creation
                ledger_file.write("\n".join(["", *missing, ""]).encode())


def _taken(have: "Counter[str]", line: str) -> bool:
    have[line] -= 1
    return have[line] >= 0


@contextmanager
def _alone(ledger: Path) -> Iterator[None]:
    import fcntl

    file = open_file(ledger.with_name(f"{ledger.name}.lock"), os.O_RDWR | os.O_CREAT, make=True)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _replace(path: Path, content: bytes) -> None:
    with suppress(FileNotFoundError):
        if read_file(path) == content:
            return
    writer = f"{os.getpid()}-{threading.get_native_id()}"  # two processes may write the same notes at once
    replace_file(path, content, make=True, writer=writer)


def from_files(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Read the files of a citizen that joins; blocks, raises OSError."""
    found: dict[str, str] = {}
    for name, path in ((FREEZE, folder / FREEZE_FILE), (WAKE_NOTE, folder.parent / WAKE_FILE)):
        with suppress(FileNotFoundError):
            found[name] = read_file(path).decode("utf-8", "replace")
    metadata = read_json_for_update(folder.parent / "metadata.json")
    kept = {key: metadata[key] for key in ("last_wake", "wake_count") if key in metadata}
    if kept:
        found[METADATA] = json.dumps(kept)
    lines: list[str] = []
    with suppress(FileNotFoundError):
        lines = read_file(folder / LEDGER, most=MOST).decode("utf-8", "replace").splitlines()
    return found, [line for line in lines if line]
