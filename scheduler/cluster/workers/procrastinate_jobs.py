"""Procrastinate notifies workers; only this module imports it, since owners do not need it.

A job is only a knock: the transaction that claims its run removes it. Whether a run begins is decided
by its own row, so a lost, late or repeated knock does no harm.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from importlib.resources import files
from typing import Any

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException, ProcrastinateException
from procrastinate.jobs import Job, JobInserted, Status
from procrastinate.manager import JobManager, NotificationCallback, get_channel_for_queues
from psycopg.sql import SQL, Identifier
from psycopg_pool import PoolTimeout

from scheduler.cluster.database import OPTIONS, Database
from scheduler.cluster.fence import KNOCK
from scheduler.errors import DatabaseAway

POLL = 5.0  # seconds between two checks for jobs whose knock was not heard, as before it listened
LISTENS = 30.0  # seconds between two checks whether the connection that listens still exists
POOL = 2  # connections of a worker for Procrastinate's own signs of life
OPENS_WITHIN = 5.0  # seconds
QUIET = ("procrastinate", "psycopg.pool")  # loggers that print tracebacks; the worker logs one line
_INSERTED = JobInserted(type="job_inserted", job_id=0)  # which one does not matter: the next is claimed


def schema() -> str:
    """The SQL that creates Procrastinate's tables."""
    return (files("procrastinate.sql") / "schema.sql").read_text(encoding="utf-8")


class _Taken(JobManager):
    """Jobs that are removed when they are fetched; each stands for a run that has been claimed."""

    def __init__(
        self, connector: BaseConnector, database: Database, take: Callable[[], Awaitable[int | None]]
    ) -> None:
        super().__init__(connector)
        self._database, self._take = database, take
        self._knocks = 0

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        """Hear knocks; a thousand at once are read together, where Procrastinate begins a task for each."""
        connection = await self._database.connect()
        try:
            for channel in get_channel_for_queues(queues):
                await connection.execute(SQL("LISTEN {}").format(Identifier(channel)))
            while True:
                async for _ in connection.notifies(timeout=LISTENS):
                    self._knocks += 1
                    await on_notification(channel="", notification=_INSERTED)
                await connection.execute("SELECT 1")  # a connection that was cut says nothing
        finally:
            await connection.close()

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        run, before = None, -1
        while run is None and before != self._knocks:  # Procrastinate forgets knocks of meanwhile
            before = self._knocks
            run = await self._take()
        if run is None:
            return None
        return Job(id=run, queue="", lock=None, queueing_lock=None, task_name=KNOCK, task_kwargs={"run": run})

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None: ...


async def hear(
    database: Database,
    url: str,
    queues: Collection[str],
    concurrency: int,
    take: Callable[[], Awaitable[int | None]],
    carry: Callable[[int], Awaitable[None]],
) -> None:
    """Take a run at each knock and carry it, `concurrency` at a time; raises DatabaseAway."""
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    asyncio.get_running_loop().set_exception_handler(_unless_it_was_a_knock)
    connector = PsycopgConnector(
        conninfo=url,
        kwargs={"options": OPTIONS, "application_name": "experience worker"},
        min_size=1,
        max_size=POOL,
        timeout=OPENS_WITHIN,
        reconnect_timeout=OPENS_WITHIN,
    )
    app = App(connector=connector)
    app.job_manager = _Taken(connector, database, take)

    @app.task(name=KNOCK)
    async def knock(run: int) -> None:
        following: int | None = run
        while following is not None:  # one job of Procrastinate for all that wait
            await carry(following)
            following = await take()

    try:
        async with app.open_async():
            await app.run_worker_async(
                queues=list(queues),
                concurrency=concurrency,
                fetch_job_polling_interval=POLL,
                install_signal_handlers=False,
                shutdown_graceful_timeout=0.0,
            )
    except (ConnectorException, psycopg.Error, PoolTimeout) as error:
        raise DatabaseAway(f"no runs are taken: {_cause(error)}") from error


def _unless_it_was_a_knock(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Stay silent about jobs that could not be marked as done: the owners of their runs remove them."""
    if not isinstance(context.get("exception"), ProcrastinateException):
        loop.default_exception_handler(context)


def _cause(error: Exception) -> Exception:
    return error.__cause__ if isinstance(error.__cause__, psycopg.Error) else error
