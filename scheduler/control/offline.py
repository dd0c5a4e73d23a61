"""A citizen as its files tell it, for those who may not or need not own it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection
from pathlib import Path

from scheduler.core.details import TaskDetails
from scheduler.core.records import LISTED, MOST_LISTED, RunQuery, RunRecord
from scheduler.core.views import Heartbeat, OutputChunk, Receipt, Snapshot
from scheduler.core.window import Slots, TimeGrid
from scheduler.engine.event_bus import Subscribers, follow
from scheduler.errors import Owned, SchedulerError, UnknownTask
from scheduler.storage import history_reader as history


def _unknown(task: str) -> TaskDetails:
    raise UnknownTask(task, ())


async def _nothing(tasks: Collection[str], window: TimeGrid) -> Slots:
    return {}


class OfflineControl:
    """A Control that only watches: whoever asks it for a verb is told who owns the citizen."""

    def __init__(
        self,
        citizen: str,
        home: Path,
        look: Callable[[], Snapshot],
        refusal: SchedulerError,
        explain: Callable[[str], TaskDetails] = _unknown,
        foresee: Callable[[Collection[str], TimeGrid], Awaitable[Slots]] = _nothing,
    ) -> None:
        self.citizen, self._home, self._explain, self._foresee = citizen, home, explain, foresee
        self._look, self._refusal = look, refusal
        self._snapshot = Snapshot(citizen, stale=str(refusal))
        self._subscribers = Subscribers()

    @property
    def reason(self) -> SchedulerError:
        """Why the citizen is not ours."""
        return self._refusal

    @property
    def refusal(self) -> str:
        """Why the citizen is not ours, in a line."""
        return str(self._refusal)

    async def refresh(self) -> None:
        """Look again, and tell the watchers if anything is different."""
        try:
            snapshot = await asyncio.to_thread(self._look)
        except SchedulerError as error:
            snapshot = Snapshot(self.citizen, stale=str(error))
        if snapshot != self._snapshot:
            self._snapshot = snapshot
            self._subscribers.tell()

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back, on this loop, whenever there is a new snapshot; calling the result ends that."""
        return self._subscribers.add(callback)

    def watch(self) -> AsyncIterator[Snapshot]:
        return follow(self.subscribe, self.snapshot)

    def pulse(self) -> Heartbeat:
        return Heartbeat()

    async def force(self, task: str, *, again: bool = False) -> Receipt:
        raise self._refused()

    async def reset(self, task: str) -> Receipt:
        raise self._refused()

    async def pause(self, task: str) -> Receipt:
        raise self._refused()

    async def resume(self, task: str) -> Receipt:
        raise self._refused()

    async def wake(self) -> Receipt:
        raise self._refused()

    async def history(
        self, task: str | None = None, *, limit: int = LISTED, failed: bool = False, before: int | None = None
    ) -> tuple[RunRecord, ...]:
        asked = RunQuery(task, min(limit, MOST_LISTED), failed, before)
        known = [each.name for each in self._snapshot.tasks]
        return await asyncio.to_thread(history.runs, self._home, asked, known)

    async def output(self, run: int) -> str:
        return await asyncio.to_thread(history.output, self._home, run)

    async def slots(self, tasks: Collection[str], window: TimeGrid) -> Slots:
        return await self._foresee(tasks, window)

    async def explain(self, task: str) -> TaskDetails:
        return await asyncio.to_thread(self._explain, task)

    async def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]:
        raise self._refused()
        yield  # what makes it a generator

    def _refused(self) -> SchedulerError:
        owner = self._snapshot.owner
        return Owned(f"{self.citizen} is owned by {owner}") if owner else self._refusal
