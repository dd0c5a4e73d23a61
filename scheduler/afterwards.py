"""What can wait until starts have had their turn: a bounded number of things in each turn of the loop."""

import asyncio
from collections import deque
from typing import Any

SLICE = 32  # in one turn: of ten thousand tasks that are due at once, the last one starts twice as early
LONGEST = 0.25  # seconds that something may wait while starts go first
MANY = 256  # in one turn, of what has waited that long


class Afterwards:
    """Calls what it is given in a later turn of the loop, in order."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._soon = False
        self._waits_since = 0.0  # of the first that waits, or a little earlier

    def put(self, *call: Any) -> None:
        """A function, and what it is called with."""
        self._waiting.append(call)
        if not self._soon:
            loop = asyncio.get_running_loop()
            self._soon, self._waits_since = True, loop.time()
            loop.call_soon(self._some)

    def flush(self) -> None:
        """Call all of it now."""
        while self._waiting:
            self._next()

    def _some(self) -> None:
        loop = asyncio.get_running_loop()
        long = loop.time() - self._waits_since > LONGEST
        try:
            for _ in range(min(MANY if long else SLICE, len(self._waiting))):
                self._next()
        finally:  # whatever one of them raised, the others have their turn
            self._soon = bool(self._waiting)
            if self._soon:
                loop.call_soon(self._some)

    def _next(self) -> None:
        action, *given = self._waiting.popleft()
        action(*given)
