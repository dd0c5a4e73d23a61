"""Writes `runs.db` of one home: every call blocks, and may fail without any harm but a gap."""

import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from scheduler.core.records import FinishedRun
from scheduler.core.task import Retention
from scheduler.storage.history_reader import NAME, SCHEMA, VERSION, WRITE_AHEAD, address
from scheduler.system.files import quarantine

PATIENCE = 1.0  # seconds for somebody else's lock
LOOK_AFTER = 100  # runs of a task, after which it is looked at whether it has too many
AT_ONCE = 32  # rows in one statement
STEP = 500  # rows forgotten in one transaction
OUTPUTS_KEPT = 1000  # of each task: 64 MB at most
TEXT, TRACEBACK = 2000, 16 * 1024  # characters
CACHE = 256  # KiB of each open database
OPEN = 64  # databases at a time: each takes three descriptors
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

_INSERT = (
    "INSERT INTO runs (task, started, finished, seconds, outcome, trigger, attempt, text, failed) VALUES"
)
_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
_OUTPUT = "INSERT INTO outputs VALUES (?, ?, ?, ?)"


class NotRecorded(Exception):
    """Runs could not be written; the text says why."""


class HistoryFile:
    """The history of one home, opened when there is something to write; for one thread."""

    def __init__(self, home: Path) -> None:
        self.path = home / NAME
        self._database: sqlite3.Connection | None = None
        self._file = (0, 0)
        self._since: dict[str, int] = {}  # runs of each task since it was last looked through

    def add(self, runs: Sequence[FinishedRun], keep: Retention) -> Path | None:
        """Write the runs in one transaction and forget a few old ones; raises NotRecorded.

        A damaged database is moved aside, to the path that this gives, and a new one begun.
        """
        try:
            try:
                self._write(runs, keep)
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                    raise
                aside = self._move_aside()
                self._write(runs, keep)
                return aside
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise NotRecorded(f"{self.path}: {getattr(error, 'strerror', None) or error}") from error
        return None

    def close(self) -> None:
        database, self._database = self._database, None
        if database:
            with suppress(sqlite3.Error):
                database.close()

    # -------------------------------------------------------------- writing

    def _write(self, runs: Sequence[FinishedRun], keep: Retention) -> None:
        database = self._opened()
        with database:
            database.execute("BEGIN IMMEDIATE")
            _insert(database, runs)
            self._forget(database, runs, keep)

    def _forget(self, database: sqlite3.Connection, runs: Sequence[FinishedRun], keep: Retention) -> None:
        """Whatever is too many or too old goes, a little at a time."""
        for run in runs:
            self._since[run.task] = self._since.get(run.task, LOOK_AFTER) + 1
        slack = min(keep.runs // 100, LOOK_AFTER)
        tasks = {run.task for run in runs if self._since[run.task] > slack}
        for task in tasks:
            outputs = _beyond(database, "outputs", "run", task, min(keep.runs, OUTPUTS_KEPT))
            if _beyond(database, "runs", "id", task, keep.runs) + outputs < STEP:
                self._since[task] = 0
        if tasks:
            oldest = f"SELECT id FROM runs ORDER BY id LIMIT {STEP}"
            before = runs[-1].finished - keep.seconds
            database.execute(f"DELETE FROM runs WHERE id IN ({oldest}) AND finished < ?", (before,))

    # -------------------------------------------------------------- the file

    def _opened(self) -> sqlite3.Connection:
        if self._database and self._file != self._there():
            self.close()  # somebody removed or replaced the file
        if self._database is None:
            self._file = self._ours()
            self._database = _connected(self.path)
        return self._database

    def _there(self) -> tuple[int, int]:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_dev, found.st_ino

    def _ours(self) -> tuple[int, int]:
        """Make the file, ours alone, if there is none; a link here could name any file of ours."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o600)
        try:
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("is no file; move it away")
        return found.st_dev, found.st_ino

    def _move_aside(self) -> Path:
        self.close()
        aside = quarantine(self.path)
        log = self.path.with_name(self.path.name + WRITE_AHEAD)
        with suppress(FileNotFoundError):  # it belongs to the damaged one, and may help to mend that
            log.replace(aside.with_name(aside.name + WRITE_AHEAD))
        self.path.with_name(self.path.name + "-shm").unlink(missing_ok=True)
        return aside


class Row(NamedTuple):
    """A run, where it is to be written, and how much is kept there."""

    home: bytes  # the whole path, as the system has it
    keep: Retention
    run: FinishedRun


class Answer(NamedTuple):
    """How it went with the runs of one home."""

    home: bytes
    runs: int
    refused: str = ""  # why they are not written, if they are not
    aside: bytes = b""  # where a damaged history lies now


class HistoryFiles:
    """The histories of many homes, of which few are open at a time; for one thread."""

    def __init__(self) -> None:
        self._open: dict[bytes, HistoryFile] = {}  # the one that was used last is the last

    def add(self, rows: Iterable[Row]) -> Iterator[list[Answer]]:
        """Write them all, those of a home in one transaction; the answers come a few homes at a time."""
        by_home: dict[bytes, list[Row]] = {}
        for row in rows:
            by_home.setdefault(row.home, []).append(row)
        homes = iter(by_home.items())
        while some := list(islice(homes, OPEN)):
            yield [self._add(home, those) for home, those in some]

    def _add(self, home: bytes, rows: list[Row]) -> Answer:
        file = self._open.pop(home, None) or HistoryFile(Path(os.fsdecode(home)))
        self._open[home] = file
        try:
            aside = file.add([row.run for row in rows], rows[-1].keep)
        except NotRecorded as reason:
            return Answer(home, len(rows), str(reason))
        finally:
            if len(self._open) > OPEN:
                self.shut(next(iter(self._open)))
        return Answer(home, len(rows), aside=os.fsencode(aside) if aside else b"")

    def shut(self, home: bytes) -> None:
        """Nothing of this home is open any more."""
        if file := self._open.pop(home, None):
            file.close()

    def close(self) -> None:
        """Nothing is."""
        for home in list(self._open):
            self.shut(home)


def _connected(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(address(path, mode="rw"), uri=True, timeout=PATIENCE, isolation_level=None)
    try:
        _prepare(database)
    except (OSError, sqlite3.Error):
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection) -> None:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    made = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if made and version != VERSION:
        raise OSError(f"was made by another program (version {version}); move it away")
    if not made:  # nothing to lose yet: its fsyncs would hold up those of the state files
        database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA journal_mode = WAL")
    if not made:
        database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT")
    database.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the newest runs, no more
    database.execute("PRAGMA foreign_keys = ON")
    database.execute(f"PRAGMA cache_size = -{CACHE}")
    database.execute("PRAGMA journal_size_limit = 4194304")


def _insert(database: sqlite3.Connection, runs: Sequence[FinishedRun]) -> None:
    """All of the runs in few statements: around each one Python lets the scheduler's thread wait for it."""
    done = 0
    while done < len(runs):
        some = runs[done : done + _at_once(len(runs) - done)]
        rows = ", ".join([_ROW] * len(some))
        last = database.execute(f"{_INSERT} {rows}", [each for run in some for each in _row(run)]).lastrowid
        done += len(some)
        for number, run in enumerate(some, (last or 0) - len(some) + 1):
            _insert_output(database, number, run)


def _at_once(left: int) -> int:
    """A power of two, so that there are few different statements to prepare."""
    return min(1 << (left.bit_length() - 1), AT_ONCE)


def _row(run: FinishedRun) -> tuple[object, ...]:
    times = (run.started, run.finished, run.seconds)
    return (
        _text(run.task),
        *times,
        run.outcome,
        run.trigger,
        run.attempt,
        _text(run.text[:TEXT]),
        run.outcome.bad,
    )


def _insert_output(database: sqlite3.Connection, number: int, run: FinishedRun) -> None:
    written = run.output.text() if run.output and run.output.size else ""
    if written or run.traceback:
        traceback = run.traceback[-TRACEBACK:]  # its last lines say what was raised, and where
        database.execute(_OUTPUT, (number, run.task, _text(written), _text(traceback)))


def _beyond(database: sqlite3.Connection, table: str, number: str, task: str, keep: int) -> int:
    """Remove the oldest rows of the task beyond the newest `keep`; how many that were."""
    newest = f"SELECT {number} FROM {table} WHERE task = ? ORDER BY {number} DESC LIMIT 1 OFFSET ?"
    if (last := database.execute(newest, (task, keep)).fetchone()) is None:
        return 0
    oldest = f"SELECT {number} FROM {table} WHERE task = ? AND {number} <= ? ORDER BY {number} LIMIT {STEP}"
    gone = database.execute(f"DELETE FROM {table} WHERE {number} IN ({oldest})", (task, *last))
    return gone.rowcount


def _text(text: str) -> str:
    """As UTF-8 can hold it: a lone surrogate is spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()
