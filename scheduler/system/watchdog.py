"""Detects from a thread that an event loop hangs, and which task blocks it."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable

LIMIT = 30.0  # seconds without a turn
BEAT = 1.0


class StallWatch:
    """Calls `stalled(culprit, seconds)` once when the loop hangs, `turns(...)` when it continues.

    Both are called on the watching thread.
    """

    def __init__(
        self, stalled: Callable[[str, float], None], turns: Callable[[str, float], None], limit: float = LIMIT
    ) -> None:
        self._stalled, self._turns, self._limit = stalled, turns, limit
        self._every = min(BEAT, limit / 4)
        self._stop = threading.Event()
        self._beat = time.monotonic()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch the running loop from now on; a second call changes nothing."""
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._turn()
            self._thread = threading.Thread(target=self._watch, name="stall", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _turn(self) -> None:
        self._beat = time.monotonic()
        if not self._stop.is_set():
            self._loop.call_later(self._every, self._turn)

    def _watch(self) -> None:
        looked, culprit, since = time.monotonic(), "", 0.0
        while not self._stop.wait(self._every):
            now = time.monotonic()
            if now - looked > self._limit / 2:  # this thread slept, too: the machine was suspended
                self._beat = max(self._beat, now)
            looked, age = now, now - self._beat
            if not since and age > self._limit:
                culprit, since = self._culprit(), self._beat
                self._stalled(culprit, age)
            elif since and age <= self._limit:
                self._turns(culprit, self._beat - since)
                since = 0.0

    def _culprit(self) -> str:
        """The task that runs on the loop now: runs are named citizen/task."""
        with contextlib.suppress(RuntimeError):
            current = asyncio.current_task(self._loop)
            return current.get_name() if current else ""
        return ""
