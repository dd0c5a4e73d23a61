"""The output of a run: keeps its first and last 32 KiB and streams it to readers on any loop."""

import asyncio
import codecs
import contextlib
import re
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import replace

from scheduler.core.secrets import NOTHING_SECRET, Masks
from scheduler.core.views import OutputChunk
from scheduler.errors import SchedulerError

KEEP = 32 * 1024
EVERY = 0.04  # seconds between chunks: a screen does not show more of them
LINE = 500  # characters of a line that are kept for a row

# Colours and cursor moves: otherwise "reset colours" would be the last line of many programs.
ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-OQ-WYZ`-~])"
)

LEFT_OUT = re.compile(r"^… [\d,]+ bytes left out …$", re.MULTILINE)


class OutputBuffer:
    """A bounded capture of bytes; several threads may write to it at once."""

    __slots__ = ("_closed", "_head", "_listeners", "_lock", "_parted", "_tail", "masks", "size")

    def __init__(self, masks: Masks = NOTHING_SECRET) -> None:
        self.size, self.masks = 0, masks
        self._closed = self._parted = False
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._head, self._tail = bytearray(), bytearray()
        # Re-entrant: a signal handler that prints may interrupt a write on the same thread.
        self._lock = threading.RLock()

    def write(self, data: bytes) -> None:
        with self._lock:
            self.size += len(data)
            room = 0 if self._parted else KEEP - len(self._head)
            self._head += data[:room]
            self._tail += data[max(room, len(data) - KEEP) :]
            if len(self._tail) > 2 * KEEP:  # rarely, so that many small writes stay linear
                del self._tail[:-KEEP]
        self._notify()

    def skip(self, size: int) -> None:
        """Count bytes that were lost on the way here; the tail starts over with the next bytes."""
        with self._lock:
            self.size += size
            self._parted = True
            self._tail.clear()

    def close(self) -> None:
        """End the output: readers get what is left, then finish."""
        self._closed = True
        self._notify()

    async def subscribe(self) -> AsyncGenerator[OutputChunk, None]:
        """The output so far, then more as it is written, until the buffer is closed.

        Yields at most once every EVERY seconds. Nothing is kept for a slow reader: bytes that the buffer has
        dropped are counted as skipped.
        """
        loop, changed, reader = asyncio.get_running_loop(), Signal(), OutputReader(self)
        with self._lock:
            self._listeners += (changed.set,)
        try:
            while True:
                changed.reset()
                closed = self._closed
                for chunk in reader.news(closed):
                    yield chunk
                if closed:
                    return
                earliest = loop.time() + EVERY
                await changed.wait()
                if not self._closed:
                    await asyncio.sleep(earliest - loop.time())
        finally:
            with self._lock:
                self._listeners = tuple(each for each in self._listeners if each != changed.set)

    @property
    def followed(self) -> bool:
        """Whether a reader is subscribed."""
        return bool(self._listeners)

    def _notify(self) -> None:
        for listener in self._listeners:
            listener()

    def after(self, position: int) -> tuple[int, bytes]:
        """The number of bytes lost from `position` on, and the bytes after them; may take two calls."""
        with self._lock:
            if position < len(self._head):
                return 0, bytes(self._head[position:])
            lost = max(0, self.size - len(self._tail) - position)
            return lost, bytes(self._tail[len(self._tail) - (self.size - position - lost) :])

    def text(self) -> str:
        """The whole output, or its two ends around a line that counts the missing bytes."""
        with self._lock:
            head, tail, size = bytes(self._head), bytes(self._tail[-KEEP:]), self.size
        missing = size - len(head) - len(tail)
        if not missing:  # joined first, since a character may span the seam
            return self.masks.hide((head + tail).decode("utf-8", "replace"))
        gap = f"\n… {missing:,} bytes left out …\n"  # LEFT_OUT finds it
        return gap.join(self.masks.hide(each.decode("utf-8", "replace")) for each in (head, tail))

    def first_line(self) -> str:
        """The first line that is not blank, without colours."""
        return _first_line(self.text().splitlines())

    def tail_line(self) -> str:
        """The last line that is not blank, without colours."""
        return _first_line(reversed(self.text().splitlines()))


class OutputReader:
    """A position in an output, and the text held back there: half a character, or the start of a secret."""

    def __init__(self, output: OutputBuffer) -> None:
        self._output, self._position, self._held = output, 0, ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def news(self, last: bool) -> list[OutputChunk]:
        """The chunks written since the last call; of too much, its two ends. `last`: hold nothing back."""
        found, size = [], self._output.size
        while self._position < size:
            skipped, data = self._output.after(self._position)
            self._position += skipped + len(data)
            found.append(self._chunk(skipped, data))
        if last and (rest := self._held + self._decoder.decode(b"", final=True)):
            found.append(OutputChunk(self._output.masks.hide(rest)))
        return [chunk for chunk in found if chunk.text or chunk.skipped]

    def _chunk(self, skipped: int, data: bytes) -> OutputChunk:
        if skipped:
            self._decoder.reset()
            self._held = ""
        masks, text = self._output.masks, self._held + self._decoder.decode(data)
        shown = len(text) - masks.held_back(text)
        self._held = text[shown:]
        return OutputChunk(masks.hide(text[:shown]), skipped)


def _first_line(lines: Iterable[str]) -> str:
    plain = (ESCAPES.sub("", line).strip() for line in lines)
    return next((line for line in plain if line), "")[:LINE]


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
        """Allow it to be set again; read what it announces only after this call."""
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
