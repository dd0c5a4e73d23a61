"""A citizen as its files tell it, for those who may not or need not own it."""

import asyncio
from collections.abc import AsyncIterator, Callable

from .board import Subscribers, follow
from .errors import Owned, SchedulerError
from .model import Pulse, Receipt, Snapshot


class Onlooker:
    """A Control that only watches: whoever asks it for a verb is told who owns the citizen."""

    def __init__(self, citizen: str, look: Callable[[], Snapshot], refusal: SchedulerError) -> None:
        self.citizen = citizen
        self._look, self._refusal = look, refusal
        self._snapshot = Snapshot(citizen, stale=str(refusal))
        self._subscribers = Subscribers()

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

    def pulse(self) -> Pulse:
        return Pulse()

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

    def _refused(self) -> SchedulerError:
        owner = self._snapshot.owner
        return Owned(f"{self.citizen} is owned by {owner}") if owner else self._refusal
