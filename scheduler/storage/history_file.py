"""The writing side of a home's `runs.db`: adds runs, deletes old ones, moves a damaged file aside."""

import os
import sqlite3
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from scheduler.core.records import FinishedRun
from scheduler.core.task import Retention
from scheduler.storage.history_reader import (
    ADD_FACTS,
    NAME,
    OLDER,
    SCHEMA,
    VERSION,
    WRITE_AHEAD,
    address,
    facts_text,
    require_same_file,
)
from scheduler.system.files import file_id, quarantine
from scheduler.system.foreign_home import closed_after, open_file, remove, rename

LOCK_PATIENCE = 1.0  # seconds to wait for another process's lock
COUNT_AFTER = 100  # new runs of a task before the writer counts all its runs
AT_ONCE = 32  # rows in one statement
STEP = 500  # rows deleted in one transaction
OUTPUTS_KEPT = 1000  # per task: 64 MB at most
TEXT, TRACEBACK = 2000, 16 * 1024  # characters
CACHE = 64  # KiB per open database: more would only keep what is read to delete old runs
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

_INSERT = (
    "INSERT INTO runs (task, started, finished, seconds, outcome, trigger, attempt, text, failed, facts)"
    " VALUES"
)
_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_OUTPUT = "INSERT INTO outputs VALUES (?, ?, ?, ?)"


class NotRecorded(Exception):
    """Runs could not be written; the text is the reason."""


class HistoryFile:
    """The history of one home, opened at the first write; used by one thread."""

    def __init__(self, home: Path) -> None:
        self.path = home / NAME
        self._database: sqlite3.Connection | None = None
        self._id: tuple[int, int] | None = None
        self._since: dict[str, int] = {}  # new runs of each task since its runs were counted

    def add(self, runs: Sequence[FinishedRun], keep: Retention) -> Path | None:
        """Write the runs in one transaction and delete a few old ones; raises NotRecorded.

        Moves a damaged database aside, starts a new one, and returns the path of the damaged one.
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
        except (OSError, ValueError, sqlite3.Error) as error:
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
        database = self._open()
        with database:
            database.execute("BEGIN IMMEDIATE")
            _insert(database, runs)
            self._prune(database, runs, keep)

    def _prune(self, database: sqlite3.Connection, runs: Sequence[FinishedRun], keep: Retention) -> None:
        """Delete runs beyond the limits of count and age, a few at a time."""
        for run in runs:
            self._since[run.task] = self._since.get(run.task, COUNT_AFTER) + 1
        slack = min(keep.runs // 100, COUNT_AFTER)
        tasks = {run.task for run in runs if self._since[run.task] > slack}
        for task in tasks:
            outputs = _delete_beyond(database, "outputs", "run", task, min(keep.runs, OUTPUTS_KEPT))
            if _delete_beyond(database, "runs", "id", task, keep.runs) + outputs < STEP:
                self._since[task] = 0
        if tasks:
            oldest = f"SELECT id FROM runs ORDER BY id LIMIT {STEP}"
            before = runs[-1].finished - keep.seconds
            database.execute(f"DELETE FROM runs WHERE id IN ({oldest}) AND finished < ?", (before,))

    # -------------------------------------------------------------- the file

    def _open(self) -> sqlite3.Connection:
        if self._database and self._id != file_id(self.path):
            self.close()  # the file was removed or replaced
        if self._database is None:
            self._id = self._ensure_file()
            self._database = _connect(self.path)
        return self._database

    def _ensure_file(self) -> tuple[int, int]:
        """Create the file if missing, for the home's user alone and never through a link; returns its id."""
        with closed_after(open_file(self.path, os.O_RDWR | os.O_CREAT, follow=False)) as file:
            status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("is not a file; move it away")
        return status.st_dev, status.st_ino

    def _move_aside(self) -> Path:
        self.close()
        aside = quarantine(self.path)
        log = self.path.with_name(self.path.name + WRITE_AHEAD)
        with suppress(FileNotFoundError):  # it belongs to the damaged database and may help to repair it
            rename(log, aside.name + WRITE_AHEAD)
        remove(self.path.with_name(self.path.name + "-shm"))
        return aside


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(
        address(path, mode="rw"), uri=True, timeout=LOCK_PATIENCE, isolation_level=None
    )
    try:
        require_same_file(database, path)
        _prepare(database)
    except (OSError, sqlite3.Error):
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection) -> None:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    exists = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if exists and version not in (VERSION, OLDER):
        raise OSError(f"was made by another program (version {version}); move it away")
    if not exists:  # nothing to lose yet, and an fsync would delay those of the state files
        database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA journal_mode = WAL")
    if not exists:
        database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT")
    elif version == OLDER:
        database.executescript(f"BEGIN IMMEDIATE; {ADD_FACTS} PRAGMA user_version = {VERSION}; COMMIT")
    database.execute("PRAGMA synchronous = NORMAL")  # a power cut may lose the newest runs only
    database.execute("PRAGMA foreign_keys = ON")
    database.execute(f"PRAGMA cache_size = -{CACHE}")
    database.execute("PRAGMA journal_size_limit = 4194304")


def _insert(database: sqlite3.Connection, runs: Sequence[FinishedRun]) -> None:
    """Insert the runs in few statements: each one makes the scheduler's thread wait for the interpreter."""
    done = 0
    while done < len(runs):
        some = runs[done : done + _at_once(len(runs) - done)]
        rows = ", ".join([_ROW] * len(some))
        last = database.execute(f"{_INSERT} {rows}", [each for run in some for each in _row(run)]).lastrowid
        done += len(some)
        for number, run in enumerate(some, (last or 0) - len(some) + 1):
            _insert_output(database, number, run)


def _at_once(left: int) -> int:
    """The number of rows for the next statement: a power of two, so that few statements are prepared."""
    return min(1 << (left.bit_length() - 1), AT_ONCE)


def _row(run: FinishedRun) -> tuple[object, ...]:
    times, kind = (run.started, run.finished, run.seconds), (run.outcome, run.trigger, run.attempt)
    known = run.cost or run.who or run.stopped_by or run.why or run.machine
    facts = facts_text(run) if known else ""
    return _text(run.task), *times, *kind, _text(run.text[:TEXT]), run.outcome.bad, facts


def _insert_output(database: sqlite3.Connection, number: int, run: FinishedRun) -> None:
    output = run.output.text() if run.output and run.output.size else ""
    if output or run.traceback:
        traceback = run.traceback[-TRACEBACK:]  # its end shows the error and where it was raised
        database.execute(_OUTPUT, (number, run.task, _text(output), _text(traceback)))


def _delete_beyond(database: sqlite3.Connection, table: str, number: str, task: str, keep: int) -> int:
    """Delete the oldest rows of the task beyond the newest `keep`; returns how many."""
    newest = f"SELECT {number} FROM {table} WHERE task = ? ORDER BY {number} DESC LIMIT 1 OFFSET ?"
    if (last := database.execute(newest, (task, keep)).fetchone()) is None:
        return 0
    oldest = f"SELECT {number} FROM {table} WHERE task = ? AND {number} <= ? ORDER BY {number} LIMIT {STEP}"
    return database.execute(f"DELETE FROM {table} WHERE {number} IN ({oldest})", (task, *last)).rowcount


def _text(text: str) -> str:
    """The text with lone surrogates escaped: UTF-8 cannot encode them."""
    return text.encode("utf-8", "backslashreplace").decode()
