"""Wait for runs to start and to end."""

import asyncio
from collections.abc import Iterable

from scheduler.engine.job import Job
from scheduler.engine.run import RunHandle
from scheduler.system.clock import Clock


class RunWaiters:
    """The callers that wait for a run to start or to end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.waits: list[tuple[set[str], asyncio.Future[None]]] = []
        self.starts: dict[str, asyncio.Future[RunHandle | None]] = {}

    async def wait_for(self, names: Iterable[str], seconds: float | None) -> list[str]:
        """Wait at most `seconds`, if given, until each has finished once; return the names that have not."""
        left = set(names)
        if not left:
            return []
        done = asyncio.get_running_loop().create_future()
        wait = (left, done)
        self.waits.append(wait)
        timer = self._clock.call_later(seconds, lambda: _end(done)) if seconds is not None else None
        try:
            await done
        finally:
            self.waits.remove(wait)
            if timer:
                timer.cancel()
        return sorted(left)

    def finished(self, name: str) -> None:
        for left, done in self.waits:
            left.discard(name)
            if not left:
                _end(done)

    async def next_run(self, name: str) -> RunHandle | None:
        """Return the next run of a queued task once it starts; None if the task leaves the queue."""
        start = self.starts.setdefault(name, asyncio.get_running_loop().create_future())
        await asyncio.wait({start})  # several callers may wait for it, and one that leaves must not cancel it
        return start.result()

    def started(self, name: str, run: RunHandle | None) -> None:
        if start := self.starts.pop(name, None):
            start.set_result(run)

    def check_queued(self, job: Job) -> None:
        """End the waits for a task that neither runs nor is queued."""
        if (self.waits or self.starts) and not job.run and not job.waiting:
            self.finished(job.task.name)
            self.started(job.task.name, None)

    def give_up(self) -> None:
        """End all waits: no run starts or finishes any more."""
        for _, done in self.waits:
            _end(done)
        for name in list(self.starts):
            self.started(name, None)


def _end(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_result(None)
