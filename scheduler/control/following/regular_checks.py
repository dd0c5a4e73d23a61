"""Checks regularly what others change; the interval depends on the cost of a check."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

log = logging.getLogger("experience.fleet")
T = TypeVar("T")

CHECK_EVERY = 2.0  # seconds between two checks of settings, state files and homes of other owners
CHECK_SHARE = 2000  # each check may take 1/2000 of the time; one of a thousand homes takes 7 ms
LONGEST = 10.0  # seconds between two checks, however much they cost
HANGS = 1.0  # seconds after which a check waits no longer for another one, whose disk may hang

Check = Callable[[bool], Awaitable[float]]  # gets whether it was asked for; gives the seconds until the next


class RegularChecks:
    """The checks of one fleet, each in its own task."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._said: dict[Check, str] = {}  # why a check broke, until it succeeds again
        self._one_at_a_time = threading.Lock()

    def begin(self, check: Check, asked: asyncio.Event | None = None, *, first: float | None = None) -> None:
        """Repeat the check until `cancel`, at once when `asked` is set; the first after `first` seconds.

        A check that breaks is logged, and repeated after the same time as at first.
        """
        asked = asked or asyncio.Event()
        pause = pause_after(0) if first is None else first
        task = asyncio.create_task(self._repeat(check, asked, pause), name="check")
        task.add_done_callback(lambda task: self._broke(task, check, asked, pause))
        self._tasks.add(task)

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    async def _repeat(self, check: Check, asked: asyncio.Event, pause: float) -> None:
        while True:
            pause = await check(await _set_within(asked, pause))
            self._said.pop(check, None)

    def _broke(self, task: "asyncio.Task[None]", check: Check, asked: asyncio.Event, pause: float) -> None:
        if task.cancelled() or not (error := task.exception()) or task not in self._tasks:
            return
        self._tasks.remove(task)
        if self._said.get(check) != repr(error):
            self._said[check] = repr(error)
            log.error("a regular check broke and is repeated", exc_info=error)
        self.begin(check, asked, first=pause)

    async def timed(self, work: Callable[[], T]) -> tuple[T, float]:
        """Do the work in a thread; return its result and its processor seconds, which leave out waiting.

        Two at once would hand the interpreter to each other at every file, which doubles what both cost.
        """
        return await asyncio.to_thread(self._timed, work)

    def _timed(self, work: Callable[[], T]) -> tuple[T, float]:
        alone = self._one_at_a_time.acquire(timeout=HANGS)
        try:
            before = time.thread_time()
            return work(), time.thread_time() - before
        finally:
            if alone:
                self._one_at_a_time.release()


def pause_after(cost: float) -> float:
    """Seconds until the next check after one that cost this many seconds of processor time."""
    return min(max(CHECK_EVERY, CHECK_SHARE * cost), max(CHECK_EVERY, LONGEST))


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event is set within this time; clears it."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    was_set = event.is_set()
    event.clear()
    return was_set
