"""A thread for what must never hold up a run: small errands, each in its lane, in order."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

log = logging.getLogger("experience.alerts")

LANES = 8
WAITING = 500  # errands; what comes beyond that is dropped and counted

Errand = Callable[[], Coroutine[Any, Any, None]]


class BackgroundWorker:
    """Runs coroutines on a loop of its own; `put` costs microseconds, from any thread."""

    def __init__(self, closing: Callable[[], Awaitable[None]] | None = None) -> None:
        self._closing = closing  # what the errands opened is closed on their own loop
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self._waiting = self._dropped = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lanes: dict[int, asyncio.Queue[Errand]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._finished = False

    def put(self, lane: str, errand: Errand) -> bool:
        """Do this soon, after what was put into the same lane before; False if too much waits already."""
        with self._lock:
            if self._finished or self._waiting >= WAITING:
                self._dropped += 1
                return False
            self._waiting += 1
            self._idle.clear()
            loop = self._started()
        loop.call_soon_threadsafe(self._take, hash(lane) % LANES, errand)
        return True

    def finish(self, seconds: float) -> None:
        """Wait so long for what is waiting, then end all that is left."""
        self._idle.wait(seconds)
        with self._lock:
            self._finished = True
            loop, thread, self._loop = self._loop, self._thread, None
        if loop and thread:
            asyncio.run_coroutine_threadsafe(self._end(loop), loop)
            thread.join(seconds)

    def stop_now(self) -> None:
        """Nobody waits for errands any more."""
        self._idle.set()

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._run, args=(self._loop,), name="alerts", daemon=True)
            self._thread.start()
        return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_forever()
        finally:
            loop.close()

    def _take(self, lane: int, errand: Errand) -> None:
        if lane not in self._lanes:
            self._lanes[lane] = asyncio.Queue()
            self._keep(self._serve(self._lanes[lane]))
        self._lanes[lane].put_nowait(errand)

    async def _serve(self, lane: "asyncio.Queue[Errand]") -> None:
        while True:
            # A task of its own: whatever one errand raises, the lane goes on.
            task = self._keep((await lane.get())())
            await asyncio.wait({task})
            if not task.cancelled() and (error := task.exception()):
                log.error("an alert or a ping went wrong", exc_info=error)
            self._done()

    def _keep(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _done(self) -> None:
        with self._lock:
            self._waiting -= 1
            dropped = self._dropped if self._waiting == 0 else 0
            if self._waiting == 0:
                self._dropped = 0
                self._idle.set()
        if dropped:
            log.warning(f"{dropped} alerts or pings dropped: their targets were too slow")

    async def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        left = set(self._tasks)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        if self._closing:
            await self._closing()
        loop.call_soon(loop.stop)
