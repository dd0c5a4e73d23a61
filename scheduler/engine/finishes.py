"""Waiting until certain tasks have finished what they are at."""

import asyncio
from collections.abc import Iterable

from scheduler.system.clock import Clock


class CompletionWaiters:
    """Who waits for which tasks to finish."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waits: list[tuple[set[str], asyncio.Future[None]]] = []

    async def wait_for(self, names: Iterable[str], seconds: float | None) -> list[str]:
        """The names that have not finished once after `seconds`, if that is not None."""
        left = set(names)
        if not left:
            return []
        done = asyncio.get_running_loop().create_future()
        wait = (left, done)
        self._waits.append(wait)
        timer = self._clock.call_later(seconds, lambda: _end(done)) if seconds is not None else None
        try:
            await done
        finally:
            self._waits.remove(wait)
            if timer:
                timer.cancel()
        return sorted(left)

    def finished(self, name: str) -> None:
        for left, done in self._waits:
            left.discard(name)
            if not left:
                _end(done)

    def give_up(self) -> None:
        """Nothing finishes any more: everybody who waits is told so."""
        for _, done in self._waits:
            _end(done)


def _end(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_result(None)
