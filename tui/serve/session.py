"""One browser tab's monitor: a process of its own that only attaches, and ends with the tab."""

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from scheduler.core.text import clean
from tui.serve import protocol as packets
from tui.serve.downloads import Deliveries

log = logging.getLogger("experience.serve")

Show = Callable[[bytes], Awaitable[None]]

ENVIRONMENT = {
    "TERM_PROGRAM": "textual",
    "TEXTUAL_COLOR_SYSTEM": "truecolor",
    "TEXTUAL_FPS": "20",  # a third of what it would be: twenty tabs on one machine paint what has changed
    "TEXTUAL_DRIVER": "tui.serve.driver:TabDriver",
}
POLITENESS = 10  # what a tab's priority is lowered by: tasks come first
SPARE_AFTER = 3.0  # seconds after which the next monitor is loaded: this one's first frame comes first
GRACE = 3.0  # seconds to end by itself
COMPLAINTS = 2000  # characters that are kept of what the process complains of


class BrowserSession:
    """A monitor that shows itself through `show`, from its start on."""

    def __init__(self, process: Process, show: Show) -> None:
        self._process, self._show = process, show
        self.deliveries = Deliveries(self.send)
        self._complaints = asyncio.create_task(self._hear())

    @property
    def pid(self) -> int:
        return self._process.pid

    async def run(self, say: Callable[[str], Awaitable[None]]) -> int:
        """Show the screen until the monitor ends: its exit code. `say` carries news for the page."""
        assert self._process.stdout is not None
        async for kind, payload in packets.packets(self._process.stdout):
            if kind == packets.DATA:
                await self._show(payload)
            elif kind == packets.META:
                if news := self.deliveries.announced(payload):
                    await say(news)
            elif kind == packets.PACKED:
                self.deliveries.arrived(payload)
        return await self._process.wait()

    async def send(self, packet: bytes) -> None:
        """Keys and orders for the monitor; one that has ended takes none."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(packet)
            await self._process.stdin.drain()

    async def end(self) -> None:
        """The process is gone when this returns; what it still paints goes nowhere."""
        self.deliveries.end()
        assert self._process.stdin is not None and self._process.stdout is not None
        if self._process.returncode is None:
            self._process.stdin.close()  # the driver ends the monitor then
            drained = asyncio.create_task(_swallow(self._process.stdout))
            try:
                async with asyncio.timeout(GRACE):
                    await self._process.wait()
            except TimeoutError:
                self.kill()
            finally:
                drained.cancel()
        await self._process.wait()
        await self._say_complaints()

    def kill(self) -> None:
        """End it at once, with all that it may have started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def _hear(self) -> str:
        assert self._process.stderr is not None
        heard = b""
        while words := await self._process.stderr.read(1 << 12):
            heard = (heard + words)[-COMPLAINTS:]
        return heard.decode("utf-8", "replace").strip()

    async def _say_complaints(self) -> None:
        done, _ = await asyncio.wait({self._complaints}, timeout=1)
        if not done:  # somebody it started has its standard error
            self._complaints.cancel()
        elif words := self._complaints.result():
            log.warning(f"a tab's monitor (pid {self.pid}) said: {clean(words.splitlines()[-1])}")


class ProcessPool:
    """Starts the monitors of tabs, and keeps one loaded for the next; `arguments` are the monitor's."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = tuple(arguments)
        self._spare: asyncio.Task[Process] | None = None
        self._closed = False

    def prepare(self) -> None:
        """Have a monitor ready when the next browser comes."""
        if self._spare is None and not self._closed:
            self._spare = asyncio.create_task(self._start())

    @asynccontextmanager
    async def opened(self, size: tuple[int, int], show: Show) -> AsyncIterator[BrowserSession]:
        """A monitor of this size for as long as the block lasts."""
        tab = BrowserSession(await self._take(), show)
        again = asyncio.get_running_loop().call_later(SPARE_AFTER, self.prepare)
        try:
            await tab.send(b"%d %d\n" % size)
            yield tab
        finally:
            again.cancel()
            self.prepare()
            await tab.end()

    async def close(self) -> None:
        """The one that nobody came for ends, too."""
        self._closed = True
        if self._spare:
            await BrowserSession(await self._spare, _nowhere).end()

    async def _take(self) -> Process:
        spare, self._spare = self._spare, None
        if spare and (process := await spare).returncode is None:
            return process
        return await self._start()

    async def _start(self) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-m", "tui.serve.monitor", *self._arguments),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=os.environ | ENVIRONMENT,
            start_new_session=True,  # Ctrl+C at the server's terminal is for the server
        )
        with suppress(ProcessLookupError):
            ours = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, process.pid, ours + POLITENESS)
        return process


async def _nowhere(screen: bytes) -> None: ...


async def _swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 16):
        pass
