"""The history of a citizen in the database: it survives the loss of a disk and is readable on any machine."""

import asyncio
from collections.abc import Collection
from typing import LiteralString

from scheduler.cluster.database import Database
from scheduler.cluster.fence import Ended
from scheduler.cluster.store import ClusterStore
from scheduler.core.records import FinishedRun, Notify, RunQuery, RunRecord
from scheduler.core.task import Outcome, Retention
from scheduler.errors import SchedulerError, UnknownRun, UnknownTask
from scheduler.storage.history_reader import facts_text, joined, record_of

PRUNE_AFTER = 100  # new runs of a task before its oldest are removed

COLUMNS: LiteralString = (
    "id, task, started, finished, seconds, outcome, trigger, attempt, text,"
    " output <> '' OR traceback <> '', facts"
)
_PRUNE = """
DELETE FROM experience.runs WHERE citizen = %(citizen)s AND task = %(task)s AND outcome IS NOT NULL AND (
    finished < %(oldest)s OR id < (SELECT id FROM experience.runs
        WHERE citizen = %(citizen)s AND task = %(task)s ORDER BY id DESC OFFSET %(most)s LIMIT 1))
"""


async def read_runs(
    database: Database, citizen: str, asked: RunQuery, known: Collection[str]
) -> tuple[RunRecord, ...]:
    """Return the finished runs that match, the newest first; raises UnknownTask, DatabaseAway."""
    values = {"citizen": citizen, "task": asked.task, "before": asked.before, "limit": asked.limit}
    rows = await database.rows(
        f"SELECT {COLUMNS} FROM experience.runs"
        " WHERE citizen = %(citizen)s AND outcome IS NOT NULL"
        " AND (%(task)s::text IS NULL OR task = %(task)s)"
        " AND (%(before)s::bigint IS NULL OR id < %(before)s)"
        + (" AND outcome IN ('failed', 'timed out', 'interrupted')" if asked.failed else "")
        + " ORDER BY id DESC LIMIT %(limit)s",
        values,
    )
    if not rows and asked.task is not None and asked.task not in known:
        raise UnknownTask(asked.task, known)
    return tuple(map(record_of, rows))


async def read_output(database: Database, citizen: str, run: int) -> str:
    """Return the output of the run and its traceback; raises UnknownRun, DatabaseAway."""
    rows = await database.rows(
        "SELECT output, traceback FROM experience.runs WHERE citizen = %s AND id = %s", (citizen, run)
    )
    if not rows:
        raise UnknownRun(run)
    return joined(*rows[0])


class ClusterHistory:
    """Records the runs of one citizen together with the states after them."""

    def __init__(
        self, database: Database, citizen: str, store: ClusterStore, keep: Retention, machine: str
    ) -> None:
        self.keep = keep
        self._database, self._citizen, self._store = database, citizen, store
        self._machine = machine
        self._notify: Notify = lambda kind, text: None
        self._packing: set[asyncio.Task[None]] = set()
        self._new: dict[str, int] = {}

    def begin(self, notify: Notify) -> None:
        self._notify = notify

    def record(self, run: FinishedRun) -> None:
        packing = self._store.packing[run.task] = asyncio.create_task(self._pack(run), name="history")
        self._packing.add(packing)
        packing.add_done_callback(self._packing.discard)

    async def runs(self, asked: RunQuery, known: Collection[str]) -> tuple[RunRecord, ...]:
        await self.close()
        return await read_runs(self._database, self._citizen, asked, known)

    async def output(self, run: int) -> str:
        return await read_output(self._database, self._citizen, run)

    async def close(self) -> None:
        if self._packing:
            await asyncio.wait(self._packing)
        await self._store.saved()

    async def _pack(self, run: FinishedRun) -> None:
        output = await asyncio.to_thread(run.output.text) if run.output and run.output.size else ""
        facts = facts_text(run._replace(machine=self._machine) if self._ran_here(run) else run)
        self._store.end(
            Ended(
                run.task, run.finished, run.seconds, run.outcome.value, run.text, output, run.traceback, facts
            )
        )
        self._new[run.task] = self._new.get(run.task, 0) + 1
        if self._new[run.task] >= PRUNE_AFTER:
            self._new[run.task] = 0
            await self._prune(run.task, run.finished)

    def _ran_here(self, run: FinishedRun) -> bool:
        """Whether the run began in this process, not on a worker or under an owner that died."""
        began = run.outcome is not Outcome.SKIPPED and run.trigger is not None
        return began and not self._store.is_remote(run.task)

    async def _prune(self, task: str, now: float) -> None:
        values = {
            "citizen": self._citizen,
            "task": task,
            "oldest": now - self.keep.seconds,
            "most": self.keep.runs,
        }
        try:
            async with self._database.connection() as connection:
                await connection.execute(_PRUNE, values)
        except SchedulerError as error:
            self._notify("history not pruned", str(error))
