"""Writes under an epoch: states, starts and ends of runs are accepted only from the owner of the citizen.

All waiting changes go into one transaction, which locks the owners' epochs: a take-over (but not a renewal)
waits for writes under way and causes later ones to be refused, even those that a cut network delivers late.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, fields
from typing import Any, LiteralString

import psycopg
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from scheduler.cluster.database import ANSWER_WITHIN, Connection, Database
from scheduler.cluster.leases import Lease
from scheduler.errors import DatabaseAway

log = logging.getLogger("experience.engine")

_REFUSED = re.compile("[\0\ud800-\udfff]")
FROZEN = 1.0  # seconds after which the database ends a stalled write and releases its locks
FIRST_RETRY, LAST_RETRY = 0.1, 1.0  # seconds between attempts while the database is away

_OWNERS = """
WITH batch AS MATERIALIZED (SELECT * FROM jsonb_to_recordset(%(batch)s) AS each (
    citizen text, epoch bigint, task text, number bigint, slot text, attempt integer, trigger text,
    started float8, state jsonb, finished float8, seconds float8, outcome text, text text, output text,
    traceback text, facts text, withdrawn boolean, charge text, "order" jsonb)),
owner AS MATERIALIZED (
    SELECT citizen, epoch FROM experience.owners
    WHERE until > clock_timestamp() AND (citizen, epoch) IN (SELECT citizen, epoch FROM batch)
    ORDER BY citizen FOR KEY SHARE),
allowed AS (  -- no join: of one the planner expects a single row, and compares each of many with each
    SELECT * FROM batch b WHERE (SELECT true FROM owner o WHERE (o.citizen, o.epoch) = (b.citizen, b.epoch)))
"""
KNOCK = "experience.run"  # the name of Procrastinate's task


def jobs(source: LiteralString) -> LiteralString:
    """SQL that queues a job for each row (run, queue, priority, place) and returns job and place."""
    return f"""
SELECT job, place FROM unnest(procrastinate_defer_jobs_v1((
    SELECT array_agg((queue, '{KNOCK}', priority, NULL, NULL, jsonb_build_object('run', run), NULL)
        ::procrastinate_job_to_defer_v1 ORDER BY place)
    FROM {source}))) WITH ORDINALITY AS each (job, place)"""


_SAVE = """
INSERT INTO experience.states AS s (citizen, task, epoch, state)
SELECT citizen, task, epoch, state FROM {source} WHERE state IS NOT NULL
ON CONFLICT (citizen, task) DO UPDATE SET state = excluded.state, epoch = excluded.epoch
"""
# The open run, unless it began after this change was first sent, whose answer was lost.
_OF_THIS = """r.outcome IS NULL AND (r.citizen, r.task) = (a.citizen, a.task)
        AND r.number <= coalesce(a.number, r.number)"""
_ENDS = (
    _OWNERS
    + f""",
ended AS (
    UPDATE experience.runs r
    SET finished = a.finished, seconds = a.seconds, outcome = a.outcome, text = a.text, output = a.output,
        traceback = a.traceback, facts = a.facts
    FROM allowed a
    WHERE a.outcome IS NOT NULL AND {_OF_THIS}),
asked AS (  -- what a worker has not ended stays: it keeps the next run of the task from another one
    DELETE FROM experience.remote q USING allowed a, experience.runs r
    WHERE a.outcome IS NOT NULL AND (q.citizen, q.task, q.epoch) = (a.citizen, a.task, a.epoch)
        AND (q.worker IS NULL OR q.result IS NOT NULL) AND r.id = q.run AND {_OF_THIS}),
gone AS (
    DELETE FROM experience.runs r USING allowed a WHERE a.withdrawn AND {_OF_THIS}),
saved AS ({_SAVE.format(source="allowed")})
SELECT citizen, epoch FROM owner
"""
)
_STARTS = (
    _OWNERS
    + f""",
begun AS (
    INSERT INTO experience.runs (citizen, task, number, slot, attempt, epoch, trigger, started, charge)
    SELECT citizen, task, number, slot, attempt, epoch, trigger, started, charge FROM allowed
    ON CONFLICT DO NOTHING RETURNING citizen, task, id),
again AS (  -- committed before, but the answer was lost
    SELECT citizen, task, id FROM experience.runs JOIN allowed USING (citizen, task, number, epoch)
    WHERE experience.runs.outcome IS NULL),
ours AS (SELECT * FROM begun UNION SELECT * FROM again),
saved AS ({_SAVE.format(source="allowed JOIN ours USING (citizen, task)")}){{waiting}}
SELECT citizen, task, id FROM ours
"""
)
# Runs for workers wait here, each with a job that notifies a worker.
_WAITING = f""",
orders AS (
    SELECT row_number() OVER (ORDER BY id) AS place, id AS run, a.citizen, a.task, a.epoch, a.charge, o.*
    FROM begun JOIN allowed a USING (citizen, task),
        jsonb_to_record(a."order") AS o (
            queue text, digest text, priority integer, last_success float8)
    WHERE a."order" IS NOT NULL),
jobs AS MATERIALIZED ({jobs("orders")}),
waiting AS (
    INSERT INTO experience.remote (run, citizen, task, epoch, queue, digest, last_success, charge, job)
    SELECT run, citizen, task, epoch, queue, digest, last_success, charge, job
    FROM orders JOIN jobs USING (place))
"""
_STARTS_HERE, _STARTS = _STARTS.format(waiting=""), _STARTS.format(waiting=_WAITING)


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker has to know of a run that it may carry out; contains neither a command nor a secret."""

    queue: str
    digest: str  # digest of the definition
    priority: int  # highest first
    last_success: float | None


@dataclass(frozen=True, slots=True)
class Started:
    """A run that is to begin; its `number` is unique among the runs of its task, on all machines."""

    task: str
    number: int
    slot: str
    attempt: int
    trigger: str
    started: float  # Unix seconds
    state: Mapping[str, Any]  # the task's state from now on
    charge: str = ""  # the name of its cost in the ledger
    order: Order | None = None  # for workers, if one of them is to carry it out


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of the open run of a task, whose last run has this `number`; times in Unix seconds."""

    task: str
    finished: float
    seconds: float
    outcome: str
    text: str
    output: str = ""
    traceback: str = ""
    facts: str = ""
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The open run of a task has not begun and will not begin."""

    task: str
    number: int | None = None
    withdrawn: bool = True


@dataclass(frozen=True, slots=True)
class Saved:
    """A new state of a task."""

    task: str
    state: Mapping[str, Any]


Change = Started | Ended | Withdrawn | Saved


@dataclass(slots=True)
class _Asked:
    lease: Lease
    changes: Sequence[Change]
    answer: asyncio.Future[list[int]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def refuse(self) -> None:
        if not self.answer.done():
            self.answer.set_result([0] * len(self.changes))


Pair = tuple[_Asked, Change]


class FencedWriter:
    """Writes the changes of this process's schedulers, many at a time, on one connection."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._waiting: list[_Asked] = []
        self._task: asyncio.Task[None] | None = None
        self.trouble = ""  # why nothing new is started now
        self.on_trouble: set[Callable[[str], None]] = set()  # called when it changes

    async def write(self, lease: Lease, changes: Sequence[Change]) -> list[int]:
        """Return the row number for each start and 1 for each other change; 0 if it is not committed.

        Nothing is committed if this process does not own the citizen.
        A start is also refused if this or another run of the task began before. At most one `Saved` and one
        `Started` per task. Waits for a database that is away until the lease must be given up.
        """
        asked = _Asked(lease, changes)
        self._waiting.append(asked)
        if self._task is None:
            self._task = asyncio.create_task(self._drain(), name="fenced writes")
        return await asyncio.shield(asked.answer)

    async def close(self) -> None:
        """Write the waiting changes."""
        if self._task:
            await asyncio.wait({self._task})
        if self._connection:
            await self._connection.close()

    async def _drain(self) -> None:
        pause = FIRST_RETRY
        try:
            while batch := self._still_owned():
                try:
                    await self._commit(batch)
                    pause = FIRST_RETRY
                    self._say("")
                except (psycopg.DataError, psycopg.ProgrammingError) as error:  # a retry would fail, too
                    log.error("not written", extra={"error": str(error)})
                    for asked in batch:
                        asked.refuse()
                except (psycopg.Error, DatabaseAway, TimeoutError) as error:
                    away = error if isinstance(error, DatabaseAway) else self._database.away(error)
                    self._say(str(away))
                    if self._connection:
                        await self._connection.close()
                    self._connection = None
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LAST_RETRY)
        finally:
            self._task = None

    def _say(self, trouble: str) -> None:
        """Log once why nothing new is started, until it is again."""
        if bool(trouble) != bool(self.trouble):
            if trouble:
                log.warning(f"nothing new is started: {trouble}")
            self.trouble = trouble
            for hear in self.on_trouble:
                hear(trouble)

    def _still_owned(self) -> list[_Asked]:
        for asked in self._waiting:
            if not asked.lease.held:
                asked.refuse()
        self._waiting = [asked for asked in self._waiting if not asked.answer.done()]
        return list(self._waiting)

    async def _commit(self, batch: Sequence[_Asked]) -> None:
        if self._connection is None or self._connection.closed:
            self._connection = await self._database.connect(idle=FROZEN)
        rows = [(asked, change) for asked in batch for change in asked.changes]
        starts = [pair for pair in rows if isinstance(pair[1], Started)]
        others = [pair for pair in rows if not isinstance(pair[1], Started)]
        async with asyncio.timeout(ANSWER_WITHIN), AsyncExitStack() as stack:
            if starts and others:
                await stack.enter_async_context(self._connection.transaction())
            owned = {(citizen, epoch) for citizen, epoch in await self._ask(_ENDS, others)}
            begun = await self._begin(starts)
        if vain := [pair for pair in starts if _key(pair) not in begun and pair[0].lease.held]:
            begun |= await self._begin(vain)  # a start that was committed although its answer was lost
        for asked in batch:
            citizen = asked.lease.citizen
            if not asked.lease.held:  # lost by now, so nothing begins
                asked.refuse()
                continue
            asked.answer.set_result(
                [
                    begun.get((citizen, change.task), 0)
                    if isinstance(change, Started)
                    else int((citizen, asked.lease.epoch) in owned)
                    for change in asked.changes
                ]
            )

    async def _begin(self, starts: Sequence[Pair]) -> dict[tuple[str, str], int]:
        rows = await self._ask(_starts(starts), starts)
        return {(citizen, task): row for citizen, task, row in rows}

    async def _ask(self, query: LiteralString, rows: Sequence[Pair]) -> list[TupleRow]:
        if not rows or self._connection is None:
            return []
        return await (await self._connection.execute(query, {"batch": _as_json(rows)})).fetchall()


def _key(pair: Pair) -> tuple[str, str]:
    return pair[0].lease.citizen, pair[1].task


def _starts(rows: Iterable[Pair]) -> LiteralString:
    """The statement for starts: without Procrastinate's tables if no run is for a worker."""
    remote = any(isinstance(change, Started) and change.order for _, change in rows)
    return _STARTS if remote else _STARTS_HERE


def _as_json(rows: Iterable[Pair]) -> Jsonb:
    return Jsonb(
        [
            {"citizen": asked.lease.citizen, "epoch": asked.lease.epoch, **storable(_plain(change))}
            for asked, change in rows
        ]
    )


def _plain(value: Change | Order) -> dict[str, Any]:
    """The fields as a dict; `asdict` would copy the values, most of an owner's time for a run."""
    return {each.name: getattr(value, each.name) for each in fields(value)}


def fencing_variables(citizen: str, task: str, slot: str, epoch: int) -> dict[str, str]:
    """The variables that a program passes on as idempotency key and as fencing token."""
    return {"EXPERIENCE_SLOT": f"{citizen}/{task}/{slot}", "EXPERIENCE_EPOCH": str(epoch)}


def storable(value: Any) -> Any:
    """The value, with U+FFFD for the characters that PostgreSQL rejects."""
    if isinstance(value, str):
        return _REFUSED.sub("\ufffd", value)
    if isinstance(value, Order):
        value = _plain(value)
    if isinstance(value, Mapping):
        return {key: storable(each) for key, each in value.items()}
    return [storable(each) for each in value] if isinstance(value, list | tuple) else value
