"""The workers, their runs, and the waiting runs of the queues, for screens and commands."""

from collections.abc import Collection
from dataclasses import dataclass

from scheduler.cluster.database import Database

_WORKERS = """
SELECT w.machine, (w.process->>'pid')::int, w.queues, w.concurrency,
    extract(epoch FROM w.until - clock_timestamp())::float8,
    array(SELECT q.citizen || '/' || q.task FROM experience.remote q
          WHERE q.worker = w.id AND q.result IS NULL ORDER BY q.run)
FROM experience.workers w
WHERE w.until > clock_timestamp() - interval '1 h' ORDER BY w.machine, 2
"""
_QUEUES = """
WITH named AS (
    SELECT unnest(%s::text[]) AS queue UNION SELECT queue FROM experience.remote
    UNION SELECT unnest(queues) FROM experience.workers WHERE until > clock_timestamp()),
line AS (
    SELECT DISTINCT ON (queue) queue, citizen || '/' || task AS name
    FROM experience.remote WHERE worker IS NULL ORDER BY queue, job)
SELECT n.queue,
    (SELECT count(*) FROM experience.workers w WHERE n.queue = ANY(w.queues) AND w.until > clock_timestamp()),
    count(q.run) FILTER (WHERE q.worker IS NOT NULL AND q.result IS NULL),
    count(q.run) FILTER (WHERE q.worker IS NULL),
    extract(epoch FROM clock_timestamp()) - min(r.started) FILTER (WHERE q.worker IS NULL),
    coalesce(line.name, '')
FROM named n LEFT JOIN experience.remote q USING (queue) LEFT JOIN experience.runs r ON r.id = q.run
LEFT JOIN line USING (queue)
GROUP BY n.queue, line.name ORDER BY n.queue
"""


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker; its lease has `left` seconds, negative if it fell silent."""

    machine: str
    pid: int | None
    queues: tuple[str, ...]
    concurrency: int
    left: float
    carries: tuple[str, ...]  # "opus/render"


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue: its workers, its running and waiting runs, and the seconds that the oldest has waited."""

    queue: str
    workers: int
    running: int
    waiting: int
    oldest: float | None
    first: str  # the next run, such as "opus/render"

    @property
    def stuck(self) -> bool:
        """Whether runs wait although there is no worker."""
        return bool(self.waiting and not self.workers)


async def workers(database: Database) -> list[WorkerRow]:
    """Return the workers, including those that fell silent in the last hour; raises DatabaseAway."""
    rows = await database.rows(_WORKERS)
    return [
        WorkerRow(machine, pid, tuple(queues), concurrency, left, tuple(carries))
        for machine, pid, queues, concurrency, left, carries in rows
    ]


async def queues(database: Database, named: Collection[str] = ()) -> list[QueueRow]:
    """Return these queues and all queues in use, by name; raises DatabaseAway."""
    rows = await database.rows(_QUEUES, (list(named),))
    return [
        QueueRow(queue, present, running, waiting, None if oldest is None else float(oldest), first)
        for queue, present, running, waiting, oldest, first in rows
    ]
