"""When the garbage collector may look at what has lived for a while: in quiet moments, or when memory grows.

Python's own rule looks through the older objects again and again, for a second at a time when 70,000 tasks
run. Few of them are ever garbage: a run leaves no cycles, only its state and its events.
"""

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Any

LOOK = 5.0  # seconds between two looks at whether to collect
PAUSE = 60.0  # seconds between two collections that only a quiet moment asks for
GROWN, SHARE = 128 << 20, 0.5  # bytes, and part of what there was, that memory may grow by before it is time
BUSY = 0.25  # seconds between two collections; when they come faster, what is young is set aside unseen
MOMENT = 0.2  # seconds for which an answer about memory holds
YOUNG = 8  # collections of the youngest after which the next one would be of older objects, too


def freeze_memory() -> None:
    """What was loaded for good is left out of garbage collections."""
    gc.collect()
    gc.freeze()


def set_aside() -> None:
    """What has been loaded is left out of garbage collections, without looking through all of it first.

    For who must not be held up: a full collection takes 0.2 s when there are a thousand citizens.
    """
    gc.collect(1)
    gc.freeze()


class Sweeper:
    """Sets aside what has survived one collection, and looks through all of it now and then.

    `quiet_for` says in how many seconds something is due, `memory` how many bytes the process has.
    """

    def __init__(self, quiet_for: Callable[[], float], memory: Callable[[], int] | None = None) -> None:
        self._quiet_for, self._memory = quiet_for, memory or _resident()
        self._size = self._memory()
        self._swept, self._took = time.monotonic(), 0.1
        self._set_aside, self._collected_at = False, 0.0
        self._growing, self._asked = False, 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """From now on, on the running loop."""
        freeze_memory()
        gc.callbacks.append(self._collected)
        self._look_again()

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            gc.callbacks.remove(self._collected)

    def _collected(self, phase: str, found: dict[str, Any]) -> None:
        """Python collects, on any thread. While memory grows its own rule is the better one."""
        if phase == "start":
            now, before = time.monotonic(), self._collected_at
            self._collected_at = now
            wanted = now - before < BUSY and not found["generation"]
        else:
            wanted = gc.get_count()[1] > YOUNG
        if wanted and not self._grew():
            gc.freeze()
            self._set_aside = True

    def _grew(self) -> bool:
        """As of a moment ago: to ask how much there is takes longer than to collect what is young."""
        if (now := time.monotonic()) - self._asked > MOMENT:
            self._growing, self._asked = self._grown(), now
        return self._growing

    def _grown(self) -> bool:
        return self._memory() - self._size > max(GROWN, SHARE * self._size)

    def _look_again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)

    def _look(self) -> None:
        since = time.monotonic() - self._swept
        if self._grown() or (self._set_aside and since > PAUSE and self._quiet_for() > 2 * self._took):
            self._sweep()
        self._look_again()

    def _sweep(self) -> None:
        began, self._set_aside = time.monotonic(), False
        gc.unfreeze()
        freeze_memory()
        self._swept = time.monotonic()
        self._took, self._size = self._swept - began, self._memory()


def _resident() -> Callable[[], int]:
    """Asks how many bytes this process has in memory."""
    import psutil  # 10 ms that only a loop which runs for long pays

    process = psutil.Process()
    return lambda: int(process.memory_info().rss)
