"""The rows of runs for workers; each function is one statement, and the row decides.

A run waits, is claimed once by a worker while its owner owns it, and ends only under that claim. The claims
of a dead worker are removed; a new owner drops waiting runs and asks the others to end.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from scheduler.cluster.database import Connection
from scheduler.cluster.fence import fencing_variables, jobs, storable
from scheduler.cluster.shared_files import ADD_LINE
from scheduler.storage.freeze_file import note_of

# Each row is found by its key alone and compared afterwards. Plans are made while nothing waits: a join, or
# the index of rows without a result, would look as cheap, and read all that waits later.
_CLAIM = """
WITH knock AS MATERIALIZED ({knock}),
waits AS MATERIALIZED (SELECT * FROM experience.remote WHERE run = (SELECT run FROM knock)),
run AS MATERIALIZED (SELECT * FROM experience.runs WHERE id = (SELECT run FROM knock)),
owner AS MATERIALIZED (
    SELECT holder FROM experience.owners WHERE (citizen, epoch) = (SELECT citizen, epoch FROM waits)
        AND until > clock_timestamp() FOR KEY SHARE),
worker AS MATERIALIZED (
    SELECT id FROM experience.workers WHERE id = %(worker)s AND until > clock_timestamp() FOR SHARE),
others AS MATERIALIZED (  -- of earlier owners
    SELECT worker, result FROM experience.remote
    WHERE (citizen, task) = (SELECT citizen, task FROM waits) AND run <> (SELECT run FROM knock)),
claimed AS (
    UPDATE experience.remote q SET worker = %(worker)s
    WHERE q.run = (SELECT run FROM knock) AND NOT q.stop
        AND (q.worker IS NULL OR q.worker = %(worker)s)  -- its own: the answer to its claim was lost
        AND EXISTS (SELECT FROM owner) AND EXISTS (SELECT FROM worker)
        AND EXISTS (SELECT FROM waits WHERE result IS NULL) AND EXISTS (SELECT FROM run WHERE outcome IS NULL)
        AND NOT EXISTS (
            SELECT FROM experience.workers WHERE until > clock_timestamp()
                AND id = ANY(array(SELECT worker FROM others WHERE result IS NULL)))
    RETURNING q.run, q.citizen, q.task, q.digest, q.last_success, q.charge, q.epoch)
SELECT knock.run, claimed.*, run.slot, run.attempt, run.trigger, owner.holder, array(
    SELECT content FROM experience.notes WHERE name = 'freeze' AND citizen IN (claimed.citizen, ''))
FROM knock LEFT JOIN (claimed CROSS JOIN run CROSS JOIN owner) ON true
"""
_CLAIM_THIS = _CLAIM.format(knock="SELECT %(run)s::bigint AS run")
# The first job of these queues; it is gone with the claim.
_CLAIM_NEXT = _CLAIM.format(
    knock="""
    DELETE FROM procrastinate_jobs WHERE id = (
        SELECT id FROM procrastinate_jobs WHERE status = 'todo' AND queue_name = ANY(%(queues)s)
        ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING (args->>'run')::bigint AS run"""
)
_GIVE_BACK = """
UPDATE experience.remote SET worker = NULL, knocked = clock_timestamp()
WHERE run = %s AND worker = %s AND result IS NULL AND NOT stop
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
SELECT run FROM ended UNION ALL SELECT run FROM again
"""
_RESULTS = "SELECT run, result FROM experience.remote WHERE run = ANY(%s) AND result IS NOT NULL"
# First all jobs, then the rows, as a claim does: in the reverse order they would wait for each other.
_TAKE_BACK = """
WITH gone AS (
    DELETE FROM procrastinate_jobs j USING experience.remote q
    WHERE q.run = ANY(%(runs)s) AND q.worker IS NULL AND j.id = q.job AND j.status = 'todo' RETURNING j.id)
DELETE FROM experience.remote
WHERE run = ANY(%(runs)s) AND worker IS NULL AND (SELECT count(*) FROM gone) >= 0 RETURNING run
"""
_OPEN_CHARGES = "SELECT charge FROM experience.remote WHERE charge = ANY(%s)"
_STOP = """
WITH asked AS (
    UPDATE experience.remote SET stop = true WHERE run = %(run)s AND worker IS NOT NULL RETURNING run)
SELECT count(*) FROM asked
"""
_ASKED = "SELECT run, stop FROM experience.remote WHERE worker = %s AND result IS NULL"
_OWNS = """
SELECT 1 FROM experience.owners WHERE (citizen, epoch) = (%s, %s) AND until > clock_timestamp() FOR KEY SHARE
"""
_TAKE_OVER = """
WITH probes AS (  -- their owner, which would say how they went, is gone
    UPDATE experience.providers p SET run = '' FROM experience.remote q
    WHERE q.citizen = %(citizen)s AND q.epoch < %(epoch)s AND q.charge = p.run AND p.run <> ''),
before AS (
    DELETE FROM experience.remote q WHERE q.citizen = %(citizen)s AND q.epoch < %(epoch)s
        AND (q.worker IS NULL OR q.result IS NOT NULL)
    RETURNING q.task, q.job, q.worker IS NOT NULL AND q.result->>'began' IS DISTINCT FROM 'false' AS began),
gone AS (DELETE FROM procrastinate_jobs j USING before WHERE j.id = before.job AND j.status = 'todo'),
asked AS (
    UPDATE experience.remote q SET stop = true WHERE q.citizen = %(citizen)s AND q.epoch < %(epoch)s
        AND q.worker IS NOT NULL AND q.result IS NULL
    RETURNING q.task, q.worker)
SELECT task FROM before WHERE began UNION SELECT task FROM asked
"""
# Knock again: the worker could not claim the run while a run of an earlier owner had not ended.
_KNOCK_AGAIN = f"""
WITH vain AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY run) AS place, each.* FROM (
        SELECT q.run, q.queue, coalesce(j.priority, 0) AS priority, q.job
        FROM experience.remote q LEFT JOIN procrastinate_jobs j ON j.id = q.job
        WHERE q.run = ANY(%(runs)s) AND q.worker IS NULL AND j.status IS DISTINCT FROM 'todo'
            AND q.knocked < clock_timestamp() - make_interval(secs => %(patience)s)
        FOR UPDATE OF q SKIP LOCKED) AS each),
dropped AS (DELETE FROM procrastinate_jobs j USING vain WHERE j.id = vain.job),
jobs AS MATERIALIZED ({jobs("vain")})
UPDATE experience.remote q SET job = jobs.job, knocked = clock_timestamp()
FROM vain JOIN jobs USING (place) WHERE q.run = vain.run
"""
_SWEEP = """
DELETE FROM experience.remote q WHERE q.worker IS NOT NULL AND q.result IS NULL
    AND q.citizen = ANY(%(citizens)s) AND NOT EXISTS (
        SELECT 1 FROM experience.workers w WHERE w.id = q.worker AND w.until > clock_timestamp())
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
    """A run that this worker has to carry out, with the holder id of its owner."""

    run: int
    citizen: str
    task: str
    digest: str
    last_success: float | None
    charge: str  # the name of its cost in the owner's ledger
    epoch: int
    slot: str
    attempt: int
    trigger: str
    holder: UUID
    freezes: Sequence[str]  # the notes of freezes of the citizen, and of all

    def frozen(self, now: float) -> bool:
        """Whether the citizen is frozen; its owner would know, too, but may be away."""
        try:
            notes = [note_of(content) for content in self.freezes]
        except (ValueError, RecursionError):
            return True
        return any(note.last and note.last.holds(now) for note in notes)

    @property
    def variables(self) -> dict[str, str]:
        return fencing_variables(self.citizen, self.task, self.slot, self.epoch)


@dataclass(frozen=True, slots=True)
class Sight:
    """A run as its owner sees it: waiting at a place in its queue, on a machine, or with a result."""

    machine: str | None
    result: dict[str, Any] | None
    place: int = 0
    waiting: int = 0
    workers: int = 0


async def claim(connection: Connection, run: int, worker: UUID) -> Claimed | None:
    """Claim the run for this worker alone; return None if it must not begin.

    A second call gives it again: a worker knows which runs it carries.
    """
    row = await (await connection.execute(_CLAIM_THIS, {"run": run, "worker": worker})).fetchone()
    return Claimed(*row[1:]) if row and row[1] else None


async def claim_next(connection: Connection, queues: Collection[str], worker: UUID) -> Claimed | None:
    """Claim the next run of these queues in the statement that takes its knock; return None if none waits.

    Knocks of runs that must not begin are dropped.
    """
    values = {"queues": list(queues), "worker": worker}
    while row := await (await connection.execute(_CLAIM_NEXT, values)).fetchone():
        if row[1]:
            return Claimed(*row[1:])
    return None


async def give_back(connection: Connection, run: int, worker: UUID) -> None:
    """Return a claimed run that this worker does not begin: it waits again."""
    await connection.execute(_GIVE_BACK, (run, worker))


async def finish(
    connection: Connection, run: int, worker: UUID, result: dict[str, Any], channel: str = ""
) -> bool:
    """Record the result; return False if the run was written off or its citizen has another owner.

    If it counts, listeners on the channel are sent the number of the run.
    """
    values = {"run": run, "worker": worker, "result": Jsonb(storable(result))}
    counts = await (await connection.execute(_FINISH, values)).fetchone() is not None
    if counts and channel:  # apart: commits that notify wait for each other until they are on disk
        await connection.execute("SELECT pg_notify(%s, %s)", (channel, str(run)))
    return counts


async def results(connection: Connection, runs: Collection[int]) -> dict[int, dict[str, Any]]:
    """Return the recorded results of these runs."""
    return dict(await (await connection.execute(_RESULTS, (list(runs),))).fetchall())


async def open_charges(connection: Connection, charges: Collection[str]) -> frozenset[str]:
    """Return the charges whose runs still have rows: their owners will read their costs there."""
    rows = await (await connection.execute(_OPEN_CHARGES, (list(charges),))).fetchall()
    return frozenset(charge for (charge,) in rows)


async def tell_cost(connection: Connection, citizen: str, line: str) -> None:
    """Add the line to the citizen's ledger, whichever machine runs it."""
    await connection.execute(ADD_LINE, {"citizen": citizen, "epoch": None, "content": line})


async def asked(connection: Connection, worker: UUID) -> dict[int, bool]:
    """Return this worker's runs, and whether each must end; runs not listed were written off."""
    rows = await (await connection.execute(_ASKED, (worker,))).fetchall()
    return {run: stop for run, stop in rows}


async def take_back(connection: Connection, runs: Collection[int]) -> frozenset[int]:
    """Drop those of these runs that still wait, so that no worker begins them; return them."""
    rows = await (await connection.execute(_TAKE_BACK, {"runs": list(runs)})).fetchall()
    return frozenset(run for (run,) in rows)


async def stop(connection: Connection, run: int) -> bool:
    """Ask the worker that has the run to end it; return False if none has it."""
    row = await (await connection.execute(_STOP, {"run": run})).fetchone()
    return bool(row and row[0])


async def owns(connection: Connection, citizen: str, epoch: int) -> bool:
    """Whether the citizen has this epoch, now and until the transaction ends."""
    return await (await connection.execute(_OWNS, (citizen, epoch))).fetchone() is not None


async def take_over(connection: Connection, citizen: str, epoch: int) -> frozenset[str]:
    """End the runs of earlier owners on workers; return the tasks of which a run had begun."""
    values = {"citizen": citizen, "epoch": epoch}
    rows = await (await connection.execute(_TAKE_OVER, values)).fetchall()
    return frozenset(task for (task,) in rows)


async def look(
    connection: Connection, runs: Collection[int], citizens: Collection[str], patience: float
) -> dict[int, Sight]:
    """Return what became of these runs; missing ones were written off, or their worker died.

    `patience` is the seconds within which a knock must lead to a claim.
    """
    await connection.execute(_SWEEP, {"citizens": list(citizens)})
    await connection.execute(_KNOCK_AGAIN, {"runs": list(runs), "patience": patience})
    rows = await (await connection.execute(_LOOK, (list(runs),))).fetchall()
    return {
        run: Sight(machine, result, *(each or 0 for each in more)) for run, machine, result, *more in rows
    }
