"""What can wait until starts have had their turn: a bounded number of things in each turn of the loop."""

import asyncio
from collections import deque
from typing import Any

# So many in so many seconds are not put off: a turn of the loop costs something, too.
AT_ONCE, WINDOW = 20, 0.001
SLICE = 16  # in one turn: of ten thousand tasks that are due at once, the last one starts twice as early
LONGEST = 0.25  # seconds that something may wait while starts go first
MANY = 256  # in one turn, of what has waited that long


class Afterwards:
    """Calls what it is given, in order: at once while there is little of it, else in later turns."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._since = 0.0  # the window's beginning; then since when something waits
        self._left = 0  # of the window

    def put(self, action: Any, *given: Any) -> None:
        """A function, and what it is called with."""
        if self._waiting:
            self._waiting.append((action, *given))
            return
        loop = asyncio.get_running_loop()
        if (now := loop.time()) - self._since > WINDOW:
            self._since, self._left = now, AT_ONCE
        if self._left:
            self._left -= 1
            action(*given)
        else:
            self._waiting.append((action, *given))
            loop.call_soon(self._some)

    def flush(self) -> None:
        """Call all of it now."""
        while self._waiting:
            self._next()

    def _some(self) -> None:
        loop = asyncio.get_running_loop()
        long = loop.time() - self._since > LONGEST
        try:
            for _ in range(min(MANY if long else SLICE, len(self._waiting))):
                self._next()
        finally:  # whatever one of them raised, the others have their turn
            if self._waiting:
                loop.call_soon(self._some)

    def _next(self) -> None:
        action, *given = self._waiting.popleft()
        action(*given)
