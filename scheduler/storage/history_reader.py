"""Reads the history of a home (`runs.db`) without an owner, a lock or new files, and holds its schema."""

import errno
import json
import os
import sqlite3
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scheduler.core.costs import RunCost
from scheduler.core.records import FinishedRun, RunQuery, RunRecord
from scheduler.core.task import Outcome, Trigger
from scheduler.errors import UnknownRun, UnknownTask, Unreadable
from scheduler.process.who import Who
from scheduler.schema.json_codec import from_json, to_json
from scheduler.system.foreign_home import Refused, place

NAME = "runs.db"
VERSION = 2
OLDER = 1  # the version without facts
WRITE_AHEAD = "-wal"
LONGEST = 30.0  # seconds that a query may take
LARGEST = 2**63 - 1  # the largest integer in SQLite

# Output and tracebacks have their own table: a list of runs then reads a tenth of the pages, and they are
# deleted sooner. Failures have their own indexes: they are few, and people search for them.
# Facts, a JSON object, are what only few runs have: see RunFacts. A new one needs no new version.
SCHEMA = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task TEXT NOT NULL,
    started REAL NOT NULL,
    finished REAL NOT NULL,
    seconds REAL NOT NULL,
    outcome TEXT NOT NULL,
    trigger TEXT,
    attempt INTEGER NOT NULL,
    text TEXT NOT NULL,
    failed INTEGER NOT NULL,
    facts TEXT NOT NULL DEFAULT ''
);
CREATE INDEX runs_of_task ON runs (task, id);
CREATE INDEX failures ON runs (id) WHERE failed;
CREATE INDEX failures_of_task ON runs (task, id) WHERE failed;
CREATE TABLE outputs (
    run INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    task TEXT NOT NULL,
    output TEXT NOT NULL,
    traceback TEXT NOT NULL
);
CREATE INDEX outputs_of_task ON outputs (task, run);
"""
ADD_FACTS = "ALTER TABLE runs ADD COLUMN facts TEXT NOT NULL DEFAULT '';"
_COLUMNS = (
    "id, task, started, finished, seconds, outcome, trigger, attempt, text,"
    " EXISTS (SELECT 1 FROM outputs WHERE run = id), facts"
)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The values that only some runs have."""

    cost: RunCost | None = None
    who: Who | None = None
    stopped_by: Who | None = None
    why: str = ""
    machine: str = ""


NO_FACTS = RunFacts()


def runs(home: Path, asked: RunQuery, known: Collection[str]) -> tuple[RunRecord, ...]:
    """The runs that match, newest first; raises Unreadable.

    Raises UnknownTask for a task that is neither `known` nor in the history.
    """
    query, values = selection(asked)
    found = tuple(map(record_of, _rows(home, query, values)))
    if not found and asked.task is not None and asked.task not in known:
        ever, values = selection(RunQuery(asked.task, 1))
        if not _rows(home, ever, values):
            raise UnknownTask(asked.task, known)
    return found


def output(home: Path, run: int) -> str:
    """The output of the run, followed by its traceback; raises UnknownRun, Unreadable."""
    query = (
        "SELECT coalesce(output, ''), coalesce(traceback, '') FROM runs LEFT JOIN outputs ON run = id"
        " WHERE id = ?"
    )
    rows = _rows(home, query, (run,)) if 0 < run <= LARGEST else []
    if not rows:
        raise UnknownRun(run)
    return joined(*rows[0])


def joined(written: str, traceback: str) -> str:
    """The output of a run, followed by its traceback."""
    gap = "\n" if written and traceback and not written.endswith("\n") else ""
    return f"{written}{gap}{traceback}"


def selection(asked: RunQuery) -> tuple[str, tuple[Any, ...]]:
    """The SQL for this query, and its values; an index serves each of its forms."""
    where, values = ["id < ?"], [LARGEST if asked.before is None else min(asked.before, LARGEST)]
    if asked.task is not None:
        where.append("task = ?")
    if asked.failed:
        where.append("failed")
    query = f"SELECT {_COLUMNS} FROM runs WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?"
    task = () if asked.task is None else (asked.task,)
    return query, (*values, *task, min(asked.limit, LARGEST))


def address(path: Path, **how: object) -> str:
    """The URI of the database for SQLite."""
    return f"file:{quote(os.fsencode(path))}?" + "&".join(f"{name}={given}" for name, given in how.items())


def _rows(home: Path, query: str, values: tuple[Any, ...]) -> list[Any]:
    path = home / NAME
    try:
        if not stat.S_ISREG(_status(path).st_mode):  # a pipe would block
            raise Unreadable(f"{path} is not a file; move it away")
        with _open(path) as database:
            version = _version(path, database)
            if version == OLDER:
                query = query.replace(", facts FROM", ", '' FROM")
            return database.execute(query, values).fetchall() if version else []
    except FileNotFoundError:
        return []
    except (OSError, sqlite3.Error) as error:
        fix = "; make it readable" if isinstance(error, PermissionError) else ""
        raise Unreadable(f"{path}: {getattr(error, 'strerror', None) or error}{fix}") from error


def _version(path: Path, database: sqlite3.Connection) -> int:
    """The version of the tables; 0 until the owner has created them."""
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    if version in (VERSION, OLDER):
        return version
    if database.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise Unreadable(f"{path} was made by another program (version {version}); move it away")
    return 0


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    # Without a write-ahead log no process has it open: `immutable` keeps SQLite from creating files.
    alone = not path.with_name(path.name + WRITE_AHEAD).exists()
    where = address(path, mode="ro", **({"immutable": 1} if alone else {}))
    with closing(sqlite3.connect(where, uri=True, timeout=1.0)) as database:
        database.text_factory = lambda text: text.decode("utf-8", "replace")
        require_same_file(database, path)
        database.execute("PRAGMA trusted_schema = OFF")
        until = time.monotonic() + LONGEST  # whoever can write the home could store an endless view there
        database.set_progress_handler(lambda: time.monotonic() > until, 100_000)
        yield database


def require_same_file(database: sqlite3.Connection, path: Path) -> None:
    """Raise Refused if SQLite, which opens files by name, has followed a link to another file."""
    expected, texts = _status(path), database.text_factory
    database.text_factory = os.fsdecode  # a folder's name need not be text
    found = Path(database.execute("PRAGMA database_list").fetchone()[2]).lstat()
    database.text_factory = texts
    if (found.st_dev, found.st_ino) != (expected.st_dev, expected.st_ino):
        raise Refused("a link that another user made", path)


def _status(path: Path) -> os.stat_result:
    """The file's status, without opening it: closing a descriptor drops SQLite's locks in this process."""
    with place(path, follow=True) as at:
        found = at.status()
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        at.refuse_second_name(found)
        return found


def record_of(row: tuple[Any, ...]) -> RunRecord:
    """The run of a row of the table `runs`, with its columns in the order of RunRecord, then the facts."""
    run_id, task, started, finished, seconds, outcome, trigger, attempt, text, printed, rest = row
    facts = _facts_of(rest)
    return RunRecord(
        run_id,
        task,
        started,
        finished,
        seconds,
        Outcome(outcome),
        Trigger(trigger) if trigger else None,
        attempt,
        text,
        bool(printed),
        facts.cost,
        facts.who,
        facts.stopped_by,
        facts.why,
        facts.machine,
    )


def facts_text(run: FinishedRun | RunRecord) -> str:
    """The text for the column `facts`: empty where there are none, as for most runs."""
    facts = RunFacts(run.cost, run.who, run.stopped_by, run.why, run.machine)
    return "" if facts == NO_FACTS else json.dumps(to_json(facts))


def _facts_of(text: object) -> RunFacts:
    """The facts in this text, empty if it is invalid: whoever can write the home can write anything there."""
    try:
        return from_json(RunFacts, json.loads(text)) if text and isinstance(text, str) else NO_FACTS
    except (ValueError, RecursionError):
        return NO_FACTS
