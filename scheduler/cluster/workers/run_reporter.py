"""The worker's end of a run's stream: reports to the run's owner and receives its requests."""

import asyncio
import contextlib
from typing import Any

from scheduler.cluster.bus import Bus, Stream
from scheduler.cluster.workers.run_messages import name_of, said, say
from scheduler.cluster.workers.run_rows import Claimed
from scheduler.cluster.workers.run_sender import HEARD
from scheduler.core.task import Outcome, Progress
from scheduler.core.views import OutputChunk
from scheduler.engine.run import RunHandle
from scheduler.executors.output import OutputReader
from scheduler.system.clock import elapsed

PACE = 0.1  # seconds in which output is gathered
SHORT = 0.1  # seconds; a shorter run needs no stream
AGAIN = 1.0  # seconds until a broken stream is opened again


class RunReporter:
    """Reports on one run until it has ended."""

    def __init__(self, bus: Bus, claimed: Claimed, handle: RunHandle, machine: str) -> None:
        self._bus, self._claimed, self._handle, self._machine = bus, claimed, handle, machine
        self._stream: Stream | None = None
        self._reader: OutputReader | None = None
        self._followed_until = 0.0
        self._progress: Progress | None = None
        self._work = asyncio.create_task(self._tell(), name=f"{handle.name}/line")

    def rest(self) -> list[OutputChunk]:
        """Return the output of an ended run that its owner has not seen; stops reporting output."""
        self._work.cancel()
        printed = self._handle.printed
        if printed is None:
            return []
        printed.close()
        reader = self._reader or OutputReader(printed)
        return reader.news(True)

    @property
    def tells(self) -> bool:
        """Whether the stream is open; without it only the row tells how the run ended."""
        return self._stream is not None and not self._stream.closed

    def end(self, raw: dict[str, Any] | None) -> None:
        """Send the end of the run, unless it was refused (None), and close the stream."""
        if self._stream and not self._stream.closed:
            if raw is not None:
                say(self._stream, ended=raw)
            self._stream.abort()

    async def _lay(self) -> Stream:
        name, holder = name_of(self._claimed.run), self._claimed.holder
        self._stream = await self._bus.reach(holder, "", name, f"worker on {self._machine}")
        return self._stream

    async def _tell(self) -> None:
        await asyncio.sleep(SHORT)
        while True:
            stream = await self._lay()
            say(stream, began=self._machine)
            hearing = asyncio.create_task(self._hear(stream), name=f"{self._handle.name}/asked")
            try:
                while not stream.closed:
                    self._tell_news(stream)
                    await asyncio.sleep(PACE)
            finally:
                hearing.cancel()
            await asyncio.sleep(AGAIN)

    def _tell_news(self, stream: Stream) -> None:
        handle = self._handle
        if handle.progress is not self._progress and handle.progress:
            self._progress = handle.progress
            say(stream, progress=[handle.progress.done, handle.progress.total, handle.progress.text])
        if elapsed() < self._followed_until and handle.printed is not None:
            self._reader = self._reader or OutputReader(handle.printed)
            for chunk in self._reader.news(False):
                say(stream, printed=[chunk.skipped, chunk.text])

    async def _hear(self, stream: Stream) -> None:
        with contextlib.suppress(ConnectionError):
            async for message in said(stream):
                if message.get("stop"):
                    self._handle.halt(Outcome.STOPPED)
                if message.get("follow"):
                    self._followed_until = elapsed() + HEARD
