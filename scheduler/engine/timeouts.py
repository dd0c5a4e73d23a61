"""Timeouts of runs: one timer for the earliest deadline, however many runs there are."""

import asyncio
from collections.abc import Callable, Iterable

from scheduler.core.schedules.schedule import NEVER
from scheduler.engine.run import RunHandle
from scheduler.system.clock import Clock, Timer

TURNS = 10  # turns of the loop within which the result of an ended run arrives


class RunTimeouts:
    """Calls `expired` for each run whose deadline (elapsed seconds) passes before its result arrives."""

    def __init__(
        self, clock: Clock, runs: Callable[[], Iterable[RunHandle]], expired: Callable[[RunHandle], None]
    ) -> None:
        self._clock, self._runs, self._expired = clock, runs, expired
        self._timer: Timer | None = None
        self._at = NEVER

    def watch(self, run: RunHandle, seconds: float) -> None:
        """Give the run this many seconds from now."""
        now = self._clock.elapsed()
        run.started_at = run.started_at or now
        run.deadline = now + seconds
        if run.deadline < self._at:
            self._arm(run.deadline)

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer, self._at = None, NEVER

    def _arm(self, at: float) -> None:
        self.stop()
        self._at = at
        self._timer = self._clock.call_later(max(0.0, at - self._clock.elapsed()), self._look)

    def _look(self, turns: int = TURNS) -> None:
        """Judge after some turns: after a stall deadlines have passed, but many runs have ended in time."""
        self.stop()
        if turns:
            self._at = -NEVER  # a new deadline must not postpone this
            self._timer = asyncio.get_running_loop().call_soon(self._look, turns - 1)
            return
        now = self._clock.elapsed()
        for run in [run for run in self._runs() if run.deadline <= now]:
            run.deadline = NEVER
            self._expired(run)
        nearest = min((run.deadline for run in self._runs()), default=NEVER)
        if nearest < NEVER:
            self._arm(nearest)
