"""The rows of runs that workers carry; each function is one statement, and the row decides.

A run waits, is claimed once by a worker whose owner still owns it, and ends by that claim alone. What a dead
worker had claimed is swept; a new owner drops what waits, and asks for the end of what runs.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.types.json import Jsonb

from scheduler.cluster.database import Connection
from scheduler.cluster.fence import Waiting, storable

if TYPE_CHECKING:
    from scheduler.cluster.remote.carrier import Knocker

_WAIT = """
INSERT INTO experience.remote (run, citizen, task, epoch, queue, digest, last_success, job)
SELECT * FROM jsonb_to_recordset(%s) AS r (run bigint, citizen text, task text, epoch bigint, queue text,
    digest text, last_success float8, job bigint)
"""
_CLAIM = """
WITH owner AS MATERIALIZED (
    SELECT o.citizen, o.holder FROM experience.owners o JOIN experience.remote q USING (citizen, epoch)
    WHERE q.run = %(run)s AND o.until > clock_timestamp() FOR SHARE OF o),
worker AS MATERIALIZED (
    SELECT id FROM experience.workers WHERE id = %(worker)s AND until > clock_timestamp() FOR SHARE)
UPDATE experience.remote q SET worker = worker.id
FROM owner, worker, experience.runs r
WHERE q.run = %(run)s AND NOT q.stop AND q.result IS NULL AND r.id = q.run AND r.outcome IS NULL
    AND (q.worker IS NULL OR q.worker = worker.id)  -- its own: the answer to its claim was lost
    AND NOT EXISTS (
        SELECT 1 FROM experience.remote x JOIN experience.workers w ON w.id = x.worker
        WHERE (x.citizen, x.task) = (q.citizen, q.task) AND x.run <> q.run AND x.result IS NULL
            AND w.until > clock_timestamp())
RETURNING q.run, q.citizen, q.task, q.digest, q.last_success, q.epoch, r.slot, r.attempt, r.trigger,
    owner.holder
"""
_FINISH = """
WITH ended AS (
    UPDATE experience.remote q SET result = %(result)s FROM experience.owners o
    WHERE q.run = %(run)s AND q.worker = %(worker)s AND q.result IS NULL
        AND (o.citizen, o.epoch) = (q.citizen, q.epoch)
    RETURNING q.run),
refused AS (
    DELETE FROM experience.remote WHERE run = %(run)s AND worker = %(worker)s AND result IS NULL
        AND NOT EXISTS (SELECT 1 FROM ended)),
again AS (  -- committed before, but the answer was lost
    SELECT run FROM experience.remote WHERE run = %(run)s AND worker = %(worker)s AND result IS NOT NULL)
SELECT run FROM ended UNION SELECT run FROM again
"""
_STOP = """
WITH dropped AS (
    DELETE FROM experience.remote WHERE run = %(run)s AND worker IS NULL RETURNING job),
gone AS (DELETE FROM procrastinate_jobs j USING dropped WHERE j.id = dropped.job AND j.status = 'todo'),
asked AS (UPDATE experience.remote SET stop = true WHERE run = %(run)s AND worker IS NOT NULL RETURNING run)
SELECT count(*) FROM asked
"""
_ASKED = "SELECT run, stop FROM experience.remote WHERE worker = %s AND result IS NULL"
_TAKE_OVER = """
WITH before AS (
    DELETE FROM experience.remote q WHERE q.citizen = %(citizen)s AND q.epoch < %(epoch)s
        AND (q.worker IS NULL OR q.result IS NOT NULL)
    RETURNING q.task, q.job, q.worker),
gone AS (DELETE FROM procrastinate_jobs j USING before WHERE j.id = before.job AND j.status = 'todo'),
asked AS (
    UPDATE experience.remote q SET stop = true WHERE q.citizen = %(citizen)s AND q.epoch < %(epoch)s
        AND q.worker IS NOT NULL AND q.result IS NULL
    RETURNING q.task, q.worker)
SELECT task FROM before WHERE worker IS NOT NULL UNION SELECT task FROM asked
"""
# A knock is lost with the worker that heard it, or that was too busy with another: knock again.
_KNOCKED_IN_VAIN = """
SELECT q.run, q.queue, q.citizen || '/' || q.task, j.priority, q.job
FROM experience.remote q LEFT JOIN procrastinate_jobs j ON j.id = q.job
WHERE q.run = ANY(%(runs)s) AND q.worker IS NULL AND j.status IS DISTINCT FROM 'todo'
    AND q.knocked < clock_timestamp() - make_interval(secs => %(patience)s)
FOR UPDATE OF q SKIP LOCKED
"""
# A job whose worker died when the run had ended is "doing" for ever, and its lock keeps the next one waiting.
_UNLOCK = """
DELETE FROM procrastinate_jobs j USING experience.remote q
WHERE q.run = ANY(%(runs)s) AND q.worker IS NULL
    AND q.knocked < clock_timestamp() - make_interval(secs => %(patience)s)
    AND j.lock = q.citizen || '/' || q.task AND j.status = 'doing' AND NOT EXISTS (
        SELECT 1 FROM experience.remote x WHERE x.job = j.id AND x.worker IS NOT NULL AND x.result IS NULL)
"""
_SWEEP = """
WITH dead AS (
    DELETE FROM experience.remote q WHERE q.worker IS NOT NULL AND q.result IS NULL
        AND q.citizen = ANY(%(citizens)s) AND NOT EXISTS (
            SELECT 1 FROM experience.workers w WHERE w.id = q.worker AND w.until > clock_timestamp())
    RETURNING q.job)
DELETE FROM procrastinate_jobs j USING dead WHERE j.id = dead.job
"""
_LOOK = """
SELECT q.run, w.machine, q.result, place.number, place.waiting, place.workers
FROM experience.remote q
LEFT JOIN experience.workers w ON w.id = q.worker
LEFT JOIN (
    SELECT run, row_number() OVER line AS number, count(*) OVER (PARTITION BY queue) AS waiting,
        (SELECT count(*) FROM experience.workers
         WHERE queue = ANY(queues) AND until > clock_timestamp()) AS workers
    FROM experience.remote WHERE worker IS NULL
    WINDOW line AS (PARTITION BY queue ORDER BY job)) AS place ON place.run = q.run
WHERE q.run = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run that this worker has to carry, and whom its owner is to be found by."""

    run: int
    citizen: str
    task: str
    digest: str
    last_success: float | None
    epoch: int
    slot: str
    attempt: int
    trigger: str
    holder: UUID

    @property
    def variables(self) -> dict[str, str]:
        """What its program passes on, as idempotency key and as fencing token."""
        slot = f"{self.citizen}/{self.task}/{self.slot}"
        return {"EXPERIENCE_SLOT": slot, "EXPERIENCE_EPOCH": str(self.epoch)}


@dataclass(frozen=True, slots=True)
class Sight:
    """A run as its owner finds it: waiting at a place in its queue, on a machine, or with a result."""

    machine: str | None
    result: dict[str, Any] | None
    place: int = 0
    waiting: int = 0
    workers: int = 0


@dataclass(frozen=True, slots=True)
class Knock:
    """A worker has to carry this run; those of one task come one after the other."""

    run: int
    queue: str
    about: str
    priority: int  # the highest first


@lru_cache(1)
def knocker() -> "Knocker":
    """Puts knocks into the queue; the first call takes most of a second: not on a loop."""
    from scheduler.cluster.remote.carrier import Knocker

    return Knocker()


async def wait(connection: Connection, runs: Sequence[Waiting]) -> None:
    """Let these runs wait for workers; in the transaction that puts them on record."""
    knocks = [Knock(each.run, each.queue, f"{each.citizen}/{each.task}", each.priority) for each in runs]
    jobs = await (await asyncio.to_thread(knocker)).knock(connection, knocks)
    rows = [{**asdict(each), "job": job} for each, job in zip(runs, jobs, strict=True)]
    await connection.execute(_WAIT, (Jsonb(rows),))


async def claim(connection: Connection, run: int, worker: UUID) -> Claimed | None:
    """The run, which no other worker carries from now on; None if it must not begin.

    Asked again, it is given again: a worker knows what it carries.
    """
    row = await (await connection.execute(_CLAIM, {"run": run, "worker": worker})).fetchone()
    return Claimed(*row) if row else None


async def finish(connection: Connection, run: int, worker: UUID, result: dict[str, Any]) -> bool:
    """Whether the result counts; not, if the run was written off, or its citizen has another owner."""
    values = {"run": run, "worker": worker, "result": Jsonb(storable(result))}
    return await (await connection.execute(_FINISH, values)).fetchone() is not None


async def asked(connection: Connection, worker: UUID) -> dict[int, bool]:
    """The runs that this worker has claimed, and whether each is to end; what is missing was written off."""
    rows = await (await connection.execute(_ASKED, (worker,))).fetchall()
    return {run: stop for run, stop in rows}


async def stop(connection: Connection, run: int) -> bool:
    """Drop the run if it waits; whether a worker has it, and was asked to end it."""
    row = await (await connection.execute(_STOP, {"run": run})).fetchone()
    return bool(row and row[0])


async def take_over(connection: Connection, citizen: str, epoch: int) -> frozenset[str]:
    """End what the owners before had begun elsewhere; the tasks of which a run did begin."""
    values = {"citizen": citizen, "epoch": epoch}
    rows = await (await connection.execute(_TAKE_OVER, values)).fetchall()
    return frozenset(task for (task,) in rows)


async def look(
    connection: Connection, runs: Collection[int], citizens: Collection[str], patience: float
) -> dict[int, Sight]:
    """What has become of these runs; of those that are missing the worker died, or they were written off.

    `patience` is how many seconds a knock that was heard may take to lead to a claim.
    """
    await connection.execute(_SWEEP, {"citizens": list(citizens)})
    async with connection.transaction():
        values = {"runs": list(runs), "patience": patience}
        await connection.execute(_UNLOCK, values)
        vain = await (await connection.execute(_KNOCKED_IN_VAIN, values)).fetchall()
        if vain:
            await _knock_again(connection, vain)
    rows = await (await connection.execute(_LOOK, (list(runs),))).fetchall()
    return {
        run: Sight(machine, result, *(each or 0 for each in more)) for run, machine, result, *more in rows
    }


async def _knock_again(connection: Connection, vain: Sequence[Any]) -> None:
    await connection.execute("DELETE FROM procrastinate_jobs WHERE id = ANY(%s)", ([row[4] for row in vain],))
    knocks = [Knock(run, queue, about, priority or 0) for run, queue, about, priority, _ in vain]
    jobs = await (await asyncio.to_thread(knocker)).knock(connection, knocks)
    for each, job in zip(knocks, jobs, strict=True):
        await connection.execute(
            "UPDATE experience.remote SET job = %s, knocked = clock_timestamp() WHERE run = %s",
            (job, each.run),
        )
