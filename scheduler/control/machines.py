"""A citizen that another machine runs: steered over the bus, with records read from the database."""

from scheduler.config.settings import CitizenSettings
from scheduler.control.wire.client import Connection, RemoteControl
from scheduler.core.records import LISTED, MOST_LISTED, RunQuery, RunRecord
from scheduler.ownership.coordinator import Remote
from scheduler.system.clock import Clock
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
