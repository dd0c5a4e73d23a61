"""The state of the shared database now, and its problems, each with the fix."""

import asyncio
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scheduler.config.settings import EngineSettings, Settings
from scheduler.core.wording.text import plural
from scheduler.errors import PROGRAM

if TYPE_CHECKING:
    from scheduler.cluster.membership import OwnerRow
    from scheduler.cluster.workers.worker_status import QueueRow, WorkerRow

SLOW = 10  # answers that must fit into a lease; with fewer, taking up a citizen takes longer than a lease
MOST_SKEW = 1.0  # seconds between this machine's clock and the database's


@dataclass(frozen=True, slots=True)
class Seen:
    """The content of the database, the time of an answer, and the seconds by which this clock is ahead."""

    database: str
    failover: float
    took: float
    skew: float
    citizens: "list[OwnerRow]"
    queues: "list[QueueRow]"
    workers: "list[WorkerRow]"
    problems: list[str]

    @property
    def words(self) -> str:
        """Everything in one line."""
        here = [each for each in self.workers if each.left > 0]
        parts = (plural(len(self.citizens), "citizen"), plural(len(here), "worker"))
        return f"{self.database} answers in {1000 * self.took:.0f} ms: {', '.join(parts)}"


def look(settings: Settings, engine: EngineSettings) -> Seen:
    """Ask the database; raises NotInstalled, DatabaseAway. Blocks."""
    return asyncio.run(_look(settings, engine))


async def _look(settings: Settings, engine: EngineSettings) -> Seen:
    # Optional: PostgreSQL's client is installed only with the extra.
    from scheduler.cluster.database import Database, require_schema
    from scheduler.cluster.health import problems
    from scheduler.cluster.membership import clock_skew, owners
    from scheduler.cluster.workers.worker_status import queues, workers

    database = Database(engine.url)
    named = {task.queue for citizen in settings.citizens for task in citizen.tasks if task.queue}
    try:
        async with database.connection() as connection:
            await require_schema(connection, database)
        skew = await clock_skew(database, time.time())
        start = time.perf_counter()
        owned = await owners(database)
        answered = time.perf_counter() - start
        found = (owned, await queues(database, named), await workers(database), await problems(database))
        return Seen(database.name, engine.failover, answered, skew, *found)
    finally:
        await database.close()


def wrong(seen: Seen) -> Iterator[str]:
    """Yield a line for each problem that a person has to fix."""
    yield from seen.problems
    for each in seen.queues:
        if each.stuck:
            runs = "1 run waits" if each.waiting == 1 else f"{each.waiting} runs wait"
            fix = f"{PROGRAM} worker --queue {each.queue}"
            yield f"queue {each.queue}: {runs} and no worker is there; start one with: {fix}"
    if seen.took * SLOW > seen.failover:
        given, enough = f"{seen.failover:g}s", f"{math.ceil(seen.took * SLOW)}s"
        fix = f"see to the network, or raise failover to {enough}"
        yield f'{seen.database} takes {seen.took:.1f}s to answer, long for failover = "{given}": {fix}'
    if abs(seen.skew) > MOST_SKEW:
        where = "ahead of" if seen.skew > 0 else "behind"
        yield f"this clock is {abs(seen.skew):.1f}s {where} the database's; set it by NTP"
