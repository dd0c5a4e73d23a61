"""Write finished runs to the `runs.db` of each home, in batches, from one background thread."""

import asyncio
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from scheduler.core.records import FinishedRun, Notify, RunQuery, RunRecord
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
    output,
    require_same_file,
    runs,
)
from scheduler.system.files import file_id, quarantine
from scheduler.system.foreign_home import place, remove, rename

ROOM = 64 << 20  # bytes of runs that may wait to be written
ROW = 1024  # bytes counted for a run, in addition to its texts
GATHER = 0.5  # seconds of finished runs in one transaction
SHARE = 4  # after a slow write the pause is this many times as long
LONGEST = 10.0  # seconds: the longest pause
PATIENCE = 5.0  # seconds without progress after which a caller stops waiting for the disk
LOCK_PATIENCE = 1.0  # seconds to wait for another process's lock
COUNT_AFTER = 100  # new runs of a task before the writer counts all its runs
AT_ONCE = 32  # rows in one statement
STEP = 500  # rows deleted in one transaction
OUTPUTS_KEPT = 1000  # of each task: 64 MB at most
TEXT, TRACEBACK = 2000, 16 * 1024  # characters
CACHE = 256  # KiB of each open database
OPEN = 64  # databases open at the same time: each takes three descriptors
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

_INSERT = (
    "INSERT INTO runs (task, started, finished, seconds, outcome, trigger, attempt, text, failed, facts)"
    " VALUES"
)
_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_OUTPUT = "INSERT INTO outputs VALUES (?, ?, ?, ?)"

BEHIND = "more runs end than the disk can take"


class HistoryWriter:
    """A queue of finished runs and the thread that writes them; drops and counts runs beyond its room."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._queue: SimpleQueue[Item] = SimpleQueue()
        # Bytes. Each counter has one writing thread, so that a finished run needs no lock.
        self._queued = self._written = 0
        self._urgent = threading.Event()
        self._thread: threading.Thread | None = None
        self._open: dict[HistoryFile, None] = {}  # in order of their last use
        self._pause = GATHER

    def of(self, home: Path, keep: Retention) -> "HistoryRecorder":
        """The history of this home."""
        return HistoryRecorder(self, home, keep)

    def enqueue(self, recorder: "HistoryRecorder", run: FinishedRun) -> bool:
        """Queue the run; False if there is no room for it."""
        size = _size(run)
        if self._queued - self._written + size > self._room:
            return False
        self._queued += size
        self._queue.put(Row(recorder, run, size))
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="history", daemon=True)
            self._thread.start()
        return True

    def has_room(self) -> bool:
        """Whether at least half of the room is free."""
        return self._queued - self._written < self._room // 2

    async def flush(self, close: "HistoryFile | None" = None) -> None:
        """Wait until all queued runs are written, or the disk hangs; then close this file."""
        await self._wait_for(Mark(Future(), close))

    async def close(self) -> None:
        """Write all queued runs and end the thread."""
        await self._wait_for(Mark(Future(), end=True))

    async def _wait_for(self, mark: "Mark") -> None:
        if self._thread is None or not self._thread.is_alive():
            return
        self._queue.put(mark)
        self._urgent.set()
        reached, before = asyncio.wrap_future(mark.reached), -1
        while not reached.done() and before != self._written:
            before = self._written
            await asyncio.wait({reached}, timeout=PATIENCE)

    # -------------------------------------------------------------- in the thread

    def _work(self) -> None:
        ended = False
        while not ended:
            batch = self._get_batch()
            began = time.monotonic()
            self._write([item for item in batch if isinstance(item, Row)])
            self._pause = max(GATHER, min(LONGEST, SHARE * (time.monotonic() - began)))
            ended = self._resolve([item for item in batch if isinstance(item, Mark)])

    def _get_batch(self) -> "list[Item]":
        """Wait for an item, and a little longer for more."""
        first = self._queue.get()
        self._urgent.wait(self._pause)
        self._urgent.clear()
        return [first, *(self._queue.get() for _ in range(self._queue.qsize()))]

    def _write(self, rows: "Iterable[Row]") -> None:
        """Write the rows, one transaction for each home."""
        by_home: dict[HistoryRecorder, list[Row]] = {}
        for row in rows:
            by_home.setdefault(row.recorder, []).append(row)
        for recorder, batch in by_home.items():
            self._open.pop(recorder.file, None)
            self._open[recorder.file] = None
            recorder.write([row.run for row in batch])
            self._written += sum(row.size for row in batch)
            if len(self._open) > OPEN:
                self._close_file(next(iter(self._open)))

    def _resolve(self, marks: "Iterable[Mark]") -> bool:
        """Close the files of these marks and set their futures; True if one of the marks ends the thread."""
        for mark in marks:
            for file in list(self._open) if mark.end else filter(None, [mark.close]):
                self._close_file(file)
            mark.reached.set_result(None)
        return any(mark.end for mark in marks)

    def _close_file(self, file: "HistoryFile") -> None:
        self._open.pop(file, None)
        file.close()


class HistoryRecorder:
    """The Recorder of one citizen."""

    def __init__(self, writer: HistoryWriter, home: Path, keep: Retention) -> None:
        self.keep = keep
        self.file = HistoryFile(home)
        self._writer, self._home = writer, home
        self.lost = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self, notify: Notify) -> None:
        self._loop, self._notify = asyncio.get_running_loop(), notify

    def record(self, run: FinishedRun) -> None:
        if not self._writer.enqueue(self, run):
            self._count_lost(1, BEHIND)

    async def runs(self, asked: RunQuery, known: Collection[str]) -> tuple[RunRecord, ...]:
        await self._writer.flush()
        return await asyncio.to_thread(runs, self._home, asked, known)

    async def output(self, run: int) -> str:
        await self._writer.flush()
        return await asyncio.to_thread(output, self._home, run)

    async def close(self) -> None:
        await self._writer.flush(close=self.file)
        self._loop = None

    def write(self, runs: Sequence[FinishedRun]) -> None:
        """Called in the writer's thread."""
        try:
            aside = self.file.add(runs, self.keep)
        except NotRecorded as reason:
            self._call_on_loop(self._count_lost, len(runs), str(reason))
            return
        if aside:
            self._call_on_loop(self._notify, "history set aside", f"it was damaged; it is {aside} now")
        if self.lost and self._writer.has_room():
            self._call_on_loop(self._recovered)

    def _call_on_loop(self, action: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop has ended
            if self._loop:
                self._loop.call_soon_threadsafe(action, *arguments)

    def _count_lost(self, runs: int, reason: str) -> None:
        """Report the first loss; then only count, until runs are recorded again."""
        if not self.lost:
            self._notify("history not recorded", reason)
        self.lost += runs

    def _recovered(self) -> None:
        if self.lost:
            self._notify("history recorded again", f"{self.lost} runs are missing")
        self.lost = 0


class Row(NamedTuple):
    """A queued run."""

    recorder: HistoryRecorder
    run: FinishedRun
    size: int


class Mark(NamedTuple):
    """A place in the queue: `reached` is set when everything before it is written."""

    reached: "Future[None]"
    close: "HistoryFile | None" = None
    end: bool = False


Item = Row | Mark


def _size(run: FinishedRun) -> int:
    output = min(run.output.size, ROOM) if run.output else 0
    return ROW + len(run.text) + len(run.traceback) + output


# ------------------------------------------------------------------ one file


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
        """Create the file if it is missing, for the home's user alone; never through a link; its id."""
        with place(self.path) as at:
            descriptor = at.open(os.O_RDWR | os.O_CREAT)
        try:
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("is not a file; move it away")
        return status.st_dev, status.st_ino

    def _move_aside(self) -> Path:
        self.close()
        aside = quarantine(self.path)
        log = self.path.with_name(self.path.name + WRITE_AHEAD)
        with suppress(FileNotFoundError):  # part of the damaged database; may help to repair it
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
    if not exists:  # nothing to lose yet, and fsyncs would delay those of the state files
        database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA journal_mode = WAL")
    if not exists:
        database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT")
    elif version == OLDER:
        database.executescript(f"BEGIN IMMEDIATE; {ADD_FACTS} PRAGMA user_version = {VERSION}; COMMIT")
    database.execute("PRAGMA synchronous = NORMAL")  # a power cut may lose the newest runs, no more
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
    times, kind = (run.started, run.finished, run.seconds), (run.outcome, run.trigger, run.attempt)
    known = run.cost or run.who or run.stopped_by
    facts = facts_text(run) if known else ""
    return _text(run.task), *times, *kind, _text(run.text[:TEXT]), run.outcome.bad, facts


def _insert_output(database: sqlite3.Connection, number: int, run: FinishedRun) -> None:
    output = run.output.text() if run.output and run.output.size else ""
    if output or run.traceback:
        traceback = run.traceback[-TRACEBACK:]  # the last lines say what was raised, and where
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
