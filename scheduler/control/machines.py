"""A citizen that another machine runs: steered over the bus, with records read from the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scheduler.config.settings import CitizenSettings
from scheduler.control.wire.client import Connection, RemoteControl, owner_at
from scheduler.core.records import LISTED, MOST_LISTED, RunQuery, RunRecord
from scheduler.errors import NoOwner
from scheduler.ownership.coordinator import Remote
from scheduler.system.clock import Clock, SystemClock
from scheduler.system.unix_socket import client_socket


class MachineControl(RemoteControl):
    """A Control for a shared citizen, wherever its owner is; history and output need no owner."""

    def __init__(self, settings: CitizenSettings, remote: Remote, clock: Clock) -> None:
        super().__init__(client_socket(settings.name, settings.home), clock, self._connect)
        self._remote = remote
        self._known = [task.name for task in settings.tasks]

    async def history(
        self, task: str | None = None, *, limit: int = LISTED, failed: bool = False, before: int | None = None
    ) -> tuple[RunRecord, ...]:
        asked = RunQuery(task, min(limit, MOST_LISTED), failed, before)
        return await self._remote.runs(asked, self._known)

    async def output(self, run: int) -> str:
        return await self._remote.output(run)

    def _gone(self) -> str:
        return f"{self._owner.partition(',')[0]} does not answer"  # the citizen may be moving

    async def _connect(self) -> Connection:
        return await Connection.over(await self._remote.connect(), self.citizen)


@asynccontextmanager
async def owner_on_any_machine(
    settings: CitizenSettings, remote: Remote | None
) -> AsyncIterator[RemoteControl | None]:
    """The citizen's owner for the length of the block, None if it has none; `remote` is its other way.

    Raises Disconnected if its owner does not answer, and DatabaseAway.
    """
    async with owner_at(settings.name, settings.home) as owner:
        if owner or remote is None:
            yield owner
            return
    clock = SystemClock()
    there: MachineControl | None = MachineControl(settings, remote, clock)
    try:
        assert there
        await there.start()
    except NoOwner:
        there = None
    try:
        yield there
    finally:
        if there:
            await there.stop()
        clock.close()
