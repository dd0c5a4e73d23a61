"""A background thread for slow side jobs such as alerts and pings; the jobs of a lane run in order."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any

log = logging.getLogger("experience.alerts")

LANES = 8
WAITING = 500  # jobs; more are dropped and counted

Job = Callable[[], Coroutine[Any, Any, None]]


class BackgroundWorker:
    """Runs coroutines on its own loop and thread, even while the scheduler's loop hangs."""

    def __init__(self, closing: Callable[[], Awaitable[None]] | None = None) -> None:
        self._closing = closing  # closes the connections of the jobs, on the same loop
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self._waiting = self._dropped = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lanes: dict[int, asyncio.Lock] = {}
        self._finished = False

    def enqueue(self, lane: str, job: Job) -> bool:
        """Run this job after the earlier ones of its lane; False if too many wait. For any thread."""
        with self._lock:
            if self._finished or self._waiting >= WAITING:
                self._dropped += 1
                return False
            self._waiting += 1
            self._idle.clear()
            done = asyncio.run_coroutine_threadsafe(self._run(hash(lane) % LANES, job), self._started())
        done.add_done_callback(self._done)
        return True

    def wait(self, seconds: float) -> None:
        """Return when all jobs are done, after at most this many seconds."""
        self._idle.wait(seconds)

    def finish(self, seconds: float) -> None:
        """Give waiting jobs this many seconds, then cancel the rest and end the thread."""
        self.wait(seconds)
        with self._lock:
            self._finished = True
            loop, self._loop = self._loop, None
        if loop and self._thread:
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join(seconds)

    def stop_now(self) -> None:
        """Make `wait` and `finish` stop waiting for jobs."""
        self._idle.set()

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._serve, args=(self._loop,), name="alerts", daemon=True
            )
            self._thread.start()
        return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_forever()
        loop.run_until_complete(self._close(asyncio.all_tasks(loop)))
        loop.close()

    async def _run(self, lane: int, job: Job) -> None:
        async with self._lanes.setdefault(lane, asyncio.Lock()):
            await job()

    async def _close(self, left: set[asyncio.Task[Any]]) -> None:
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if self._closing:
            await self._closing()
            await asyncio.sleep(0)  # transports close in the next turn of the loop

    def _done(self, job: Future[None]) -> None:
        if not job.cancelled() and (error := job.exception()):
            log.error("an alert or a ping failed", exc_info=error)
        with self._lock:
            self._waiting -= 1
            if self._waiting:
                return
            dropped, self._dropped = self._dropped, 0
        if dropped:
            log.warning(f"{dropped} alerts or pings dropped: their targets were too slow")
        self._idle.set()
