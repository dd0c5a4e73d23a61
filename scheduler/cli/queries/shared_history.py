"""The history of citizens that machines share: it is in their database, not in the home."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from scheduler.config.loader import load
from scheduler.core.records import RunQuery, RunRecord
from scheduler.storage.shared_home import is_shared

if TYPE_CHECKING:
    from scheduler.cluster.database import Database

T = TypeVar("T")


def shared_runs(
    config: Path | None, citizen: str, home: Path, asked: RunQuery, known: Collection[str]
) -> tuple[RunRecord, ...] | None:
    """The runs; None if the citizen is not shared. Raises UnknownTask, DatabaseAway."""

    async def read(database: "Database") -> tuple[RunRecord, ...]:
        from scheduler.cluster.history import read_runs

        return await read_runs(database, citizen, asked, known)

    return _read(config, home, read)


def shared_output(config: Path | None, citizen: str, home: Path, run: int) -> str | None:
    """What a run printed; None if the citizen is not shared. Raises UnknownRun, DatabaseAway."""

    async def read(database: "Database") -> str:
        from scheduler.cluster.history import read_output

        return await read_output(database, citizen, run)

    return _read(config, home, read)


def _read(config: Path | None, home: Path, read: "Callable[[Database], Awaitable[T]]") -> T | None:
    if not is_shared(home):
        return None
    engine = load(config=config).engine
    if engine is None:  # set on other machines only: this home's files are all there is
        return None
    return asyncio.run(_asked(engine.url, read))


async def _asked(url: str, read: "Callable[[Database], Awaitable[T]]") -> T:
    from scheduler.cluster.database import Database

    database = Database(url)
    try:
        return await read(database)
    finally:
        await database.close()
