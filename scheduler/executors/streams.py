"""Carries output chunks to an event loop from any thread, bounded."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import replace

from scheduler.core.views import OutputChunk
from scheduler.errors import SchedulerError

ROOM = 256 * 1024  # characters that may wait for a reader in another thread or process


class Signal:
    """Set from any thread, any number of times; the loop that waits for it wakes up once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._is_set = False

    def set(self) -> None:
        if not self._is_set:
            self._is_set = True
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        await self._event.wait()

    def reset(self) -> None:
        """From now on it can be set again; read what it announces after this call."""
        self._event.clear()
        self._is_set = False


class ChunkQueue:
    """Carries chunks to this loop from any thread; when too much waits, the oldest is skipped."""

    def __init__(self) -> None:
        self._signal = Signal()
        self._lock = threading.Lock()
        self._chunks: deque[OutputChunk] = deque()
        self._waiting = self._lost = 0
        self._over = False
        self._error: SchedulerError | None = None

    def push(self, chunk: OutputChunk) -> None:
        with self._lock:
            self._chunks.append(chunk)
            self._waiting += len(chunk.text)
            while self._waiting > ROOM and len(self._chunks) > 1:
                oldest = self._chunks.popleft()
                self._waiting -= len(oldest.text)
                self._lost += oldest.skipped + len(oldest.text.encode())
        self._signal.set()

    def close(self, error: SchedulerError | None = None) -> None:
        """No more chunks; `error` is the reason if the run has not ended."""
        self._error, self._over = error, True
        self._signal.set()

    async def pump(self, source: AsyncGenerator[OutputChunk, None]) -> None:
        """Push everything from the source."""
        async with contextlib.aclosing(source):
            async for chunk in source:
                self.push(chunk)

    async def chunks(self) -> AsyncGenerator[OutputChunk, None]:
        """The chunks until the queue is closed; raises the error that closed it."""
        while True:
            self._signal.reset()
            over = self._over
            while chunk := self._take():
                yield chunk
            if over:
                break
            await self._signal.wait()
        if self._error:
            raise self._error

    def _take(self) -> OutputChunk | None:
        with self._lock:
            if not self._chunks:
                return None
            chunk, lost = self._chunks.popleft(), self._lost
            self._waiting -= len(chunk.text)
            self._lost = 0
        return replace(chunk, skipped=chunk.skipped + lost) if lost else chunk
