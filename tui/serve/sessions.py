"""The open screens: how many there may be, what passes between each and its browser, how they end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum

from aiohttp import WSCloseCode, WSMsgType, web

from tui.serve import protocol as packets
from tui.serve.downloads import Delivery
from tui.serve.session import BrowserSession, ProcessPool

log = logging.getLogger("experience.serve")

HEARTBEAT = 15.0  # seconds between two pings; a browser that does not answer one is gone
LONGEST = 64 << 10  # bytes of a page's message


class Over(IntEnum):
    """Why a screen ended: the code that its page is told."""

    QUIT = 4000
    FULL = 4001
    IDLE = 4002
    BROKEN = 4003
    NONSENSE = WSCloseCode.POLICY_VIOLATION
    STOPPED = WSCloseCode.GOING_AWAY


@dataclass(frozen=True, slots=True)
class Limits:
    """At most so many screens, and none longer than `idle` seconds without a sign from its browser."""

    screens: int = 20
    idle: float = 12 * 3600.0


class Screens:
    """Every browser that is connected, each with a monitor of its own; `arguments` are the monitor's."""

    def __init__(self, arguments: Sequence[str], limits: Limits) -> None:
        self._pool, self._limits = ProcessPool(arguments), limits
        self._tabs: set[BrowserSession] = set()
        self._sockets: set[web.WebSocketResponse] = set()

    def __len__(self) -> int:
        return len(self._sockets)

    async def connect(self, request: web.Request) -> web.WebSocketResponse:
        """A monitor for this browser, until one of the two has gone."""
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT, max_msg_size=LONGEST)
        await socket.prepare(request)
        if len(self._sockets) >= self._limits.screens:
            await socket.close(code=Over.FULL, message=str(self._limits.screens).encode())
            return socket
        self._sockets.add(socket)
        try:
            over = await self._show(socket, packets.size_of(request.query))
            await socket.close(code=over)
        finally:
            self._sockets.discard(socket)
        return socket

    def delivery(self, key: str) -> tuple[Delivery, AsyncIterator[bytes]] | None:
        """A file that a monitor has for its browser."""
        for tab in self._tabs:
            if delivery := tab.deliveries.take(key):
                return delivery, tab.deliveries.content(delivery)
        return None

    def prepare(self) -> None:
        """Have a monitor ready when the first browser comes."""
        self._pool.prepare()

    async def stop(self) -> None:
        """Say goodbye to every browser; the monitors end with their connections."""
        goodbyes = [socket.close(code=Over.STOPPED) for socket in list(self._sockets)]
        await asyncio.gather(*goodbyes, self._pool.close())

    def kill(self) -> None:
        """No monitor is left, whatever its browser does."""
        for tab in self._tabs:
            tab.kill()

    async def _show(self, socket: web.WebSocketResponse, size: tuple[int, int]) -> Over:
        async with self._pool.opened(size, socket.send_bytes) as tab:
            self._tabs.add(tab)
            out = asyncio.create_task(self._out(tab, socket))
            come_in = asyncio.create_task(self._in(tab, socket))
            try:
                done, _ = await asyncio.wait({out, come_in}, return_when=asyncio.FIRST_COMPLETED)
                return done.pop().result()
            finally:
                self._tabs.discard(tab)
                await _cancelled(out, come_in)

    async def _out(self, tab: BrowserSession, socket: web.WebSocketResponse) -> Over:
        try:
            code = await tab.run(socket.send_str)
        except ConnectionError:
            return Over.STOPPED
        except packets.ProtocolError as error:
            log.warning(f"a tab's monitor (pid {tab.pid}): {error}")
            return Over.BROKEN
        return Over.BROKEN if code else Over.QUIT

    async def _in(self, tab: BrowserSession, socket: web.WebSocketResponse) -> Over:
        try:
            while (message := await socket.receive(self._limits.idle)).type is WSMsgType.TEXT:
                if packet := packets.for_monitor(message.data):
                    await tab.send(packet)
        except TimeoutError:
            return Over.IDLE
        except packets.ProtocolError:
            return Over.NONSENSE
        except ConnectionError:
            pass
        return Over.STOPPED


async def _cancelled(*tasks: "asyncio.Task[Over]") -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, ConnectionError):
            await task
