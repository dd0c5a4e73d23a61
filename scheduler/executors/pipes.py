"""Our ends of a child's pipes: reading in bounded bites, and feeding without ever waiting."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable

# One bite per turn of the loop: a child that writes 200 MB/s must not make anybody else late.
BITE = 64 * 1024
UNHEARD = 16 << 20  # bytes that are read and forgotten for one that a run left in the background


class Reader:
    """Hands what arrives to `sink` until the other end closes; `ended` says so. Owns the descriptor."""

    def __init__(self, fd: int, sink: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._fd, self._sink = fd, sink
        try:
            self._loop.add_reader(fd, self._ready)
            os.set_blocking(fd, False)
        except NotImplementedError:  # Windows: its loop does not watch pipes
            threading.Thread(target=self._pump, daemon=True).start()

    def _ready(self) -> None:
        try:
            data = os.read(self._fd, BITE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._sink(data)
        else:
            self.close()

    def _pump(self) -> None:
        with contextlib.suppress(OSError):  # closed under us: nobody reads any more
            while data := os.read(self._fd, BITE):
                self._sink(data)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.close)

    def forget(self) -> None:
        """Read on, for a while, but tell nobody: whoever still writes would end at its next word."""
        left = UNHEARD

        def unheard(data: bytes) -> None:
            nonlocal left
            left -= len(data)
            if left < 0:
                self.close()

        self._sink = unheard

    def close(self) -> None:
        """Read no more; what is still in the pipe is lost."""
        if self.ended.done():
            return
        self.ended.set_result(None)
        with contextlib.suppress(NotImplementedError):
            self._loop.remove_reader(self._fd)
        os.close(self._fd)


class Feeder:
    """Writes bytes as the other end takes them, then closes. Owns the descriptor."""

    def __init__(self, fd: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd, self._left, self._watched = fd, memoryview(b""), False

    def feed(self, data: bytes) -> None:
        self._left = memoryview(data)
        try:
            self._loop.add_writer(self._fd, self._ready)
            os.set_blocking(self._fd, False)
        except NotImplementedError:  # Windows, see above
            threading.Thread(target=self._pump, daemon=True).start()

    def _ready(self) -> None:
        try:
            self._left = self._left[os.write(self._fd, self._left[:BITE]) :]
        except BlockingIOError:
            return
        except OSError:  # it reads no more, as it may
            self._left = self._left[:0]
        if not self._left:
            self.close()

    def _pump(self) -> None:
        with contextlib.suppress(OSError):
            while self._left:
                self._left = self._left[os.write(self._fd, self._left[:BITE]) :]
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.close)

    def close(self) -> None:
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        with contextlib.suppress(NotImplementedError):
            self._loop.remove_writer(fd)
        os.close(fd)
