"""Stand-ins for what the outside world brings: time, and citizens to look at."""

import asyncio
import heapq
import os
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

from scheduler.clock import _Alarm

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()


async def settle(turns: int = 20) -> None:
    """Let everything that is ready on the loop happen."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(predicate: Callable[[], object], words: str, seconds: float = 8.0) -> None:
    """Return once `predicate` holds; real time, for tests with processes, threads and files."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not predicate():
        assert loop.time() < end, f"never came true: {words}"
        await asyncio.sleep(0.005)


class FakeClock:
    """Time stands still until a test advances it."""

    def __init__(self, start: float = NOON) -> None:
        self.wall, self.monotonic = start, 1000.0
        self._order = count()
        self._by_wall: list[tuple[float, int, _Alarm]] = []
        self._by_monotonic: list[tuple[float, int, _Alarm]] = []
        self._jumped: dict[int, Callable[[], None]] = {}

    def now(self) -> float:
        return self.wall

    def elapsed(self) -> float:
        return self.monotonic

    def call_at(self, when: float, callback: Callable[[], None]) -> _Alarm:
        return self._push(self._by_wall, when, callback)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> _Alarm:
        return self._push(self._by_monotonic, self.monotonic + seconds, callback)

    def on_jump(self, callback: Callable[[], None]) -> _Alarm:
        key = next(self._order)
        self._jumped[key] = callback
        return _Alarm(lambda: None, lambda: self._jumped.pop(key, None))

    def _push(self, heap: list, when: float, callback: Callable[[], None]) -> _Alarm:
        alarm = _Alarm(callback)
        heapq.heappush(heap, (when, next(self._order), alarm))
        return alarm

    async def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0) -> None:
        """Move on, waking every sleeper at its own moment and letting the loop settle between."""
        left = seconds + 60 * minutes + 3600 * hours
        await settle()
        while (step := self._next(left)) is not None:
            self.wall += step
            self.monotonic += step
            left -= step
            self._ring()
            await settle()
        self.wall += left
        self.monotonic += left
        await settle()

    async def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.wall += seconds
        for callback in list(self._jumped.values()):
            callback()
        self._ring()
        await settle()

    def _next(self, limit: float) -> float | None:
        for heap in (self._by_wall, self._by_monotonic):
            while heap and heap[0][2].callback is None:
                heapq.heappop(heap)
        waits = [heap[0][0] - now for heap, now in self._heaps() if heap]
        nearest = max(0.0, min(waits, default=limit + 1))
        return nearest if nearest <= limit else None

    def _heaps(self) -> list[tuple[list[tuple[float, int, _Alarm]], float]]:
        return [(self._by_wall, self.wall), (self._by_monotonic, self.monotonic)]

    def _ring(self) -> None:
        for heap, now in self._heaps():
            while heap and heap[0][0] <= now + 1e-9:
                alarm = heapq.heappop(heap)[2]
                if alarm.callback is not None:
                    alarm.callback()


def us() -> int:
    return os.getpid()
