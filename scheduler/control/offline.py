"""A citizen that can only be watched: from its files, or from its owner if only the group socket is open."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from scheduler.config.settings import CitizenSettings
from scheduler.control.home_costs import HomeCosts
from scheduler.control.home_snapshot import read_snapshot, wake_state_of, watched_since
from scheduler.control.wire.client import ObservableControl, RemoteControl, owner_at, require_answer
from scheduler.core.records import LISTED, MOST_LISTED, RunQuery, RunRecord
from scheduler.core.schedules.forecast import Slots, TimeGrid, forecast
from scheduler.core.schedules.freeze import Freeze
from scheduler.core.secrets import Masks
from scheduler.core.state import TaskState
from scheduler.core.task import WAKE, Task
from scheduler.core.views import OWNER_GONE, Heartbeat, OutputChunk, Snapshot
from scheduler.core.wording.description import TaskDetails, explain
from scheduler.errors import Managed, NotOurs, Owned, SchedulerError, UnknownTask
from scheduler.storage.freeze_file import HomeFreezes
from scheduler.storage.state_file import StateFile, States
from scheduler.system.clock import Clock
from scheduler.system.unix_socket import is_foreign

T = TypeVar("T")

OWNER_ENDED = f"{OWNER_GONE}: its owner ended"


def ask_owner(citizen: str, home: Path, question: Callable[[RemoteControl], Awaitable[T]]) -> T | None:
    """Return the owner's answer if the home is another user's; None if it is not, or if nothing answers."""
    if not is_foreign(home):
        return None

    async def ask() -> T | None:
        async with owner_at(citizen, home) as owner:
            return await question(owner) if owner else None

    return asyncio.run(ask())


class OfflineControl(ObservableControl):
    """A Control that reads a citizen's files and refuses every verb, with the reason or the owner.

    `reason` is why it is not owned here; `refused` is the owner's error if it does not let this user attach.
    """

    def __init__(
        self,
        settings: CitizenSettings,
        clock: Clock,
        reason: SchedulerError,
        refused: SchedulerError | None = None,
    ) -> None:
        super().__init__(Snapshot(settings.name, stale=str(refused or reason)))
        self._settings, self._clock, self.reason, self.refused = settings, clock, reason, refused
        self._costs = HomeCosts(settings)

    async def refresh(self) -> None:
        """Read the files again and notify the subscribers if anything has changed."""
        try:
            await require_answer(self._settings.home)
            snapshot = self._with_reason(await asyncio.to_thread(self._read))
        except SchedulerError as error:
            snapshot = Snapshot(self.citizen, stale=str(self.reason if self._settings.problems else error))
        if snapshot != self._snapshot:
            self._publish(snapshot)

    def _read(self) -> Snapshot:
        now = self._clock.now()
        return self._costs.shown_in(read_snapshot(self._settings, now), now)

    def _with_reason(self, snapshot: Snapshot) -> Snapshot:
        if self.refused:
            return replace(snapshot, stale=str(self.refused))
        if snapshot.owner:
            return snapshot
        gone = isinstance(self.reason, Owned) and not isinstance(self.reason, NotOurs | Managed)
        return replace(snapshot, stale=OWNER_ENDED if gone else str(self.reason))

    def pulse(self) -> Heartbeat:
        return Heartbeat()

    async def ask(self, result: type[T], method: str, **arguments: Any) -> T:
        """Refuse the request; the error names the owner, or the reason why the citizen is not owned here."""
        if self.refused:
            raise self.refused
        owner = self._snapshot.owner
        raise Owned(f"{self.citizen} is owned by {owner}") if owner else self.reason

    async def history(
        self, task: str | None = None, *, limit: int = LISTED, failed: bool = False, before: int | None = None
    ) -> tuple[RunRecord, ...]:
        from scheduler.storage import history_reader  # imports SQLite, which --status does not need

        query = RunQuery(task, min(limit, MOST_LISTED), failed, before)
        known = list(self._tasks)
        return await asyncio.to_thread(history_reader.runs, self._settings.home, query, known)

    async def output(self, run: int) -> str:
        from scheduler.storage import history_reader

        return await asyncio.to_thread(history_reader.output, self._settings.home, run)

    async def slots(self, tasks: Collection[str], window: TimeGrid) -> Slots:
        states, now = await self._states(), self._clock.now()
        floor = watched_since(self._settings.home, now)
        wanted = [
            (task, states.get(name, TaskState()), floor)
            for name, task in self._tasks.items()
            if name in tasks
        ]
        return await forecast(self.citizen, wanted, now, window, await self._freeze(now))

    async def explain(self, task: str) -> TaskDetails:
        known = self._tasks
        if task not in known:
            raise UnknownTask(task, known)
        state = (await self._states()).get(task, TaskState())
        now = self._clock.now()
        floor, masks = watched_since(self._settings.home, now), Masks(self._settings.hidden)
        return explain(self.citizen, known[task], state, now, floor, masks, await self._freeze(now))

    async def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]:
        await self.ask(OutputChunk, "follow", task=task)
        yield OutputChunk("")  # never reached: this makes the method a generator

    async def _freeze(self, now: float) -> Freeze | None:
        freezes = HomeFreezes(self._settings.home)
        return (await asyncio.to_thread(freezes.read, now)).now(now)

    @property
    def _tasks(self) -> dict[str, Task]:
        return {each.name: each for each in (self._settings.wake, *self._settings.tasks)}

    async def _states(self) -> States:
        settings, now = self._settings, self._clock.now()

        def read() -> States:
            states, _ = StateFile(settings.home).peek()
            return {**states, WAKE: wake_state_of(settings, states.get(WAKE), now)}

        return await asyncio.to_thread(read)
