"""Makes a busy process collect garbage in quiet moments, or when its memory grows.

Runs leave no cycles, but their states and events live on, and each collection looks through them: a tenth of
the time of 10,000 runs at once. With 70,000 tasks a full collection stops all runs for half a second.
"""

import gc
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import TimerHandle  # every command imports this module, few have a loop

USUAL = gc.get_threshold()
LOADING = 250_000  # objects: all modules make 90,000, and hardly any garbage

RUSH = 0.25  # seconds; while collections come faster, young objects are frozen unexamined
LOOK = 5.0  # seconds between two looks at whether to collect
PAUSE = 60.0  # seconds between two full collections that only a quiet moment asks for
GROWTH, SHARE = 128 << 20, 0.5  # memory may grow by so many bytes, and by this share of its last size
KNOWN = 0.2  # seconds for which a memory reading holds: taking one is slower than a young collection


def hold_collections() -> None:
    """Hardly collect while modules load: collections take a tenth of that time and find nothing."""
    gc.set_threshold(LOADING, *USUAL[1:])


def collect_as_usual() -> None:
    """Return to Python's own collections, which skip what is loaded by now."""
    gc.freeze()
    gc.set_threshold(*USUAL)


def freeze_memory() -> None:
    """Leave everything that is loaded now out of later garbage collections."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class GarbageCollector:
    """Decides when this process collects garbage while its loop runs."""

    def __init__(self) -> None:
        import psutil  # 10 ms that only a long-lived process pays

        self._process = psutil.Process()
        self._size = self._memory()
        self._collected = self._swept = time.monotonic()
        self._skipped = False
        self._grown, self._asked = False, 0.0
        self._timer: TimerHandle | None = None

    def start(self) -> None:
        """Begin on the running loop; what is loaded now is frozen."""
        freeze_memory()
        gc.callbacks.append(self._on_collection)
        self._look_later()

    def stop(self) -> None:
        """Return to Python's own collections."""
        if self._timer:
            self._timer.cancel()
            gc.callbacks.remove(self._on_collection)

    def _memory(self) -> int:
        return int(self._process.memory_info().rss)

    def _on_collection(self, phase: str, found: dict[str, Any]) -> None:
        """Called when Python collects, on any thread; while memory grows, Python's own rule is better."""
        if phase == "start":
            now, before = time.monotonic(), self._collected
            self._collected = now
            if now - before < RUSH and not self._has_grown(now):
                gc.freeze()
                self._skipped = True

    def _has_grown(self, now: float) -> bool:
        if now - self._asked > KNOWN:
            grown_by = self._memory() - self._size
            self._grown, self._asked = grown_by > max(GROWTH, SHARE * self._size), now
        return self._grown

    def _look_later(self) -> None:
        from asyncio import get_running_loop

        self._timer = get_running_loop().call_later(LOOK, self._look)

    def _look(self) -> None:
        self._look_later()
        now = time.monotonic()
        quiet = now - self._collected > RUSH and now - self._swept > PAUSE
        if self._has_grown(now) or (self._skipped and quiet):
            freeze_memory()
            self._swept, self._skipped, self._grown, self._size = now, False, False, self._memory()
