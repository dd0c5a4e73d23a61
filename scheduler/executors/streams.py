"""What a run under way prints, on its way to whoever follows it: bounded, and in a few large pieces."""

import asyncio
import codecs
import contextlib
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

from scheduler.core.views import OutputChunk
from scheduler.errors import SchedulerError
from scheduler.executors.output import Output

EVERY = 0.04  # seconds from one piece to the next: more often is more than a screen shows
ROOM = 256 * 1024  # characters that may wait for a reader in another thread or process


class Signal:
    """Rung from any thread, as often as one likes; whoever waits for it on this loop wakes up once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._rung = False

    def ring(self) -> None:
        if not self._rung:
            self._rung = True
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                self._loop.call_soon_threadsafe(self._event.set)

    async def rung(self) -> None:
        await self._event.wait()

    def reset(self) -> None:
        """From now on it can be rung again; look at what it rings for after this."""
        self._event.clear()
        self._rung = False


async def pieces(output: Output, bell: Signal, over: Callable[[], bool]) -> AsyncGenerator[OutputChunk, None]:
    """All that is written to `output` until it is `over`; the bell rings when that is so, too.

    Nothing is kept for this reader: what the output has let go of meanwhile is skipped.
    """
    loop, reader = asyncio.get_running_loop(), _Reader(output)
    forget = output.tell(bell.ring)
    try:
        while True:
            bell.reset()
            ended = over()
            for piece in reader.news(ended):
                yield piece
            if ended:
                return
            earliest = loop.time() + EVERY
            await bell.rung()
            if not over():
                await asyncio.sleep(earliest - loop.time())
    finally:
        forget()


class _Reader:
    """A place in an output, and the half of a character that may lie before it."""

    def __init__(self, output: Output) -> None:
        self._output, self._position = output, 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def news(self, last: bool) -> list[OutputChunk]:
        """What was written since; its two ends where that is too much."""
        found, size = [], self._output.size
        while self._position < size:
            skipped, data = self._output.after(self._position)
            self._position += skipped + len(data)
            found.append(self._piece(skipped, data))
        if last and (rest := self._decoder.decode(b"", final=True)):
            found.append(OutputChunk(rest))
        return [piece for piece in found if piece.text or piece.skipped]

    def _piece(self, skipped: int, data: bytes) -> OutputChunk:
        if skipped:
            self._decoder.reset()
        return OutputChunk(self._decoder.decode(data), skipped)


class ChunkQueue:
    """Carries pieces to this loop from any thread; of what is not taken in time the oldest is skipped."""

    def __init__(self) -> None:
        self._signal = Signal()
        self._lock = threading.Lock()
        self._pieces: deque[OutputChunk] = deque()
        self._waiting = self._lost = 0
        self._over = False
        self._error: SchedulerError | None = None

    def put(self, piece: OutputChunk) -> None:
        with self._lock:
            self._pieces.append(piece)
            self._waiting += len(piece.text)
            while self._waiting > ROOM and len(self._pieces) > 1:
                oldest = self._pieces.popleft()
                self._waiting -= len(oldest.text)
                self._lost += oldest.skipped + len(oldest.text.encode())
        self._signal.ring()

    def end(self, error: SchedulerError | None = None) -> None:
        """Nothing more comes, for this reason if it is none of the run's."""
        self._error, self._over = error, True
        self._signal.ring()

    async def fill(self, source: AsyncGenerator[OutputChunk, None]) -> None:
        """Put in all that the source gives."""
        async with contextlib.aclosing(source):
            async for piece in source:
                self.put(piece)

    async def pieces(self) -> AsyncGenerator[OutputChunk, None]:
        """What was put in, until the end; raises what that was for."""
        while True:
            self._signal.reset()
            over = self._over
            while piece := self._take():
                yield piece
            if over:
                break
            await self._signal.rung()
        if self._error:
            raise self._error

    def _take(self) -> OutputChunk | None:
        with self._lock:
            if not self._pieces:
                return None
            piece, lost = self._pieces.popleft(), self._lost
            self._waiting -= len(piece.text)
            self._lost = 0
        return replace(piece, skipped=piece.skipped + lost) if lost else piece
