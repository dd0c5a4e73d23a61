"""The open screens: a monitor for each browser tab, the data between the two, and the end of both."""

import asyncio
import json
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web
from textual_serve._binary_encode import DecodeError
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from scheduler.core.wording.text import clean

log = logging.getLogger("experience.serve")

ENVIRONMENT = {
    "TERM_PROGRAM": "textual",
    "TEXTUAL_COLOR_SYSTEM": "truecolor",
    "TEXTUAL_FPS": "20",  # a third of the usual: twenty tabs share one machine
    "TEXTUAL_DRIVER": "tui.serve.monitor:TabDriver",
}
SPARE_AFTER = 3.0  # seconds until the next spare monitor loads, after the first frame of this one
GRACE = 3.0  # seconds that a monitor gets to end
STDERR_KEPT = 2000  # bytes kept of a monitor's standard error
PING = 15.0  # seconds between two pings; a browser that does not answer one is gone
MESSAGE_LIMIT = 64 << 10  # bytes of a page's message
PACKET_LIMIT = 16 << 20  # bytes of a monitor's packet; a whole screen has some ten thousand
GREETING = b"__GANGLION__\n"  # the first line of a Textual app that a server drives
LINES_BEFORE = 10  # lines that may come before it
COLUMNS, ROWS = (20, 500), (4, 200)  # the smallest and largest screens


class EndReason(IntEnum):
    """Why a screen ended: the code that its page gets."""

    QUIT = 4000
    FULL = 4001
    IDLE = 4002
    BROKEN = 4003
    INVALID = WSCloseCode.POLICY_VIOLATION
    STOPPED = WSCloseCode.GOING_AWAY


class ProtocolError(ValueError):
    """An invalid message of a page, or an invalid packet of a monitor."""


@dataclass(frozen=True, slots=True)
class Limits:
    """At most `screens` at once; a screen ends after `idle` seconds without a message from its browser."""

    screens: int = 20
    idle: float = 12 * 3600.0


class ProcessPool:
    """Starts the monitors of tabs, and keeps one loaded for the next tab; `arguments` are the monitor's."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = tuple(arguments)
        self._spare: asyncio.Task[Process] | None = None
        self._closed = False

    def preload(self) -> None:
        """Load a monitor for the next browser."""
        if self._spare is None and not self._closed:
            self._spare = asyncio.create_task(self._start())

    async def get(self) -> Process:
        """A monitor that waits for its size."""
        spare, self._spare = self._spare, None
        asyncio.get_running_loop().call_later(SPARE_AFTER, self.preload)
        if spare and (process := await spare).returncode is None:
            return process
        return await self._start()

    async def close(self) -> None:
        """End the spare monitor; no other starts."""
        self._closed = True
        if self._spare:
            spare = await self._spare
            await _end(spare, asyncio.create_task(_tail(spare.stderr)))

    async def _start(self) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-m", "tui.serve.monitor", *self._arguments),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=os.environ | ENVIRONMENT,
            start_new_session=True,  # Ctrl+C at the server's terminal must not reach it
        )


class BrowserSession(AppService):
    """One tab and its monitor: textual-serve's service on a process of the pool, within limits."""

    def __init__(self, process: Process, socket: web.WebSocketResponse, downloads: DownloadManager) -> None:
        super().__init__(
            "",  # the process runs already, and without a shell
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=_nothing,  # the socket's code tells the page how it ended
            download_manager=downloads,
        )
        self._monitor, self._socket = process, socket
        self._stdin = process.stdin
        self._stderr_end = asyncio.create_task(_tail(process.stderr))

    async def connect(self, size: tuple[int, int], idle: float) -> EndReason:
        """Connect the tab with its monitor until one of them ends; then end the process."""
        self.stdin.write(b"%d %d\n" % size)
        both = [
            asyncio.create_task(self._forward_output()),
            asyncio.create_task(self._receive_messages(idle)),
        ]
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            await self._download_manager.cancel_app_downloads(self.app_service_id)
            await _end(self._monitor, self._stderr_end)

    def kill(self) -> None:
        _kill(self._monitor)

    async def _forward_output(self) -> EndReason:
        """Send the monitor's output to the page."""
        assert self._monitor.stdout is not None
        handlers = {b"D": self.on_data, b"M": self.on_meta, b"P": self.on_packed}
        try:
            await _wait_for_greeting(self._monitor.stdout)
            while True:
                kind, payload = await _packet(self._monitor.stdout)
                await handlers[kind](payload)
        except asyncio.IncompleteReadError:
            return EndReason.BROKEN if await self._monitor.wait() else EndReason.QUIT
        except ConnectionError:
            return EndReason.STOPPED
        except (ProtocolError, DecodeError) as error:
            log.warning(f"the monitor of a tab (pid {self._monitor.pid}): {error}")
            return EndReason.BROKEN

    async def on_meta(self, data: bytes) -> None:
        """Announce files to the browser, and nothing else: a page must not open a link from a task's text."""
        if json.loads(data).get("type") == "deliver_file_start":
            await super().on_meta(data)

    async def _receive_messages(self, idle: float) -> EndReason:
        """Handle what the page sends."""
        try:
            while (message := await self._socket.receive(idle)).type is WSMsgType.TEXT:
                await self.handle_message(message.data)
        except TimeoutError:
            return EndReason.IDLE
        except ProtocolError:
            return EndReason.INVALID
        return EndReason.STOPPED

    async def handle_message(self, message: str) -> None:
        """Pass a page's message to the monitor; raises ProtocolError for an invalid one."""
        match _parsed(message):
            case ["stdin", str(keys)]:
                await self.send_bytes(keys.encode("utf-8", "replace"))
            case ["resize", {"width": width, "height": height}]:
                await self.set_terminal_size(*_size(width, height))
            case ["focus"]:
                await self.focus()
            case ["blur"]:
                await self.blur()
            case ["ping", str()]:  # textual-serve's script measures the delay
                pass
            case _:
                raise ProtocolError("not a message of this page")


class Screens:
    """Every connected browser, each with its own monitor; `arguments` are the monitors'."""

    def __init__(self, arguments: Sequence[str], limits: Limits) -> None:
        self.pool, self._limits = ProcessPool(arguments), limits
        self.downloads = DownloadManager()
        self._sessions: set[BrowserSession] = set()
        self._sockets: set[web.WebSocketResponse] = set()

    def __len__(self) -> int:
        return len(self._sockets)

    async def connect(self, request: web.Request) -> web.WebSocketResponse:
        """Run a monitor for this browser until one of the two is gone."""
        socket = web.WebSocketResponse(heartbeat=PING, max_msg_size=MESSAGE_LIMIT)
        await socket.prepare(request)
        if len(self._sockets) >= self._limits.screens:
            await socket.close(code=EndReason.FULL, message=str(self._limits.screens).encode())
            return socket
        self._sockets.add(socket)
        try:
            await socket.close(code=await self._play(socket, size_of(request.query)))
        finally:
            self._sockets.discard(socket)
        return socket

    async def _play(self, socket: web.WebSocketResponse, size: tuple[int, int]) -> EndReason:
        session = BrowserSession(await self.pool.get(), socket, self.downloads)
        self._sessions.add(session)
        try:
            return await session.connect(size, self._limits.idle)
        finally:
            self._sessions.discard(session)

    async def stop(self) -> None:
        """Close every connection, and with it its monitor."""
        closing = [socket.close(code=EndReason.STOPPED) for socket in list(self._sockets)]
        await asyncio.gather(*closing, self.pool.close())

    def kill(self) -> None:
        """Kill every monitor at once."""
        for session in self._sessions:
            session.kill()


def size_of(query: Mapping[str, str]) -> tuple[int, int]:
    """Columns and rows as a page asks for them, within limits."""
    return _size(query.get("width", ""), query.get("height", ""))


def _size(width: Any, height: Any) -> tuple[int, int]:
    return _clamped(width, COLUMNS, 80), _clamped(height, ROWS, 24)


def _clamped(given: Any, limits: tuple[int, int], default: int) -> int:
    try:
        number = int(given)
    except (TypeError, ValueError, OverflowError):
        return default
    return min(max(number, limits[0]), limits[1])


def _parsed(message: str) -> Any:
    try:
        return json.loads(message)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("invalid JSON") from error


async def _wait_for_greeting(reader: asyncio.StreamReader) -> None:
    for _ in range(LINES_BEFORE):
        if (line := await reader.readline()) == GREETING:
            return
        if not line:
            break
    raise ProtocolError("it did not start")


async def _packet(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    if head[:1] not in b"DMP" or (size := int.from_bytes(head[1:], "big")) > PACKET_LIMIT:
        raise ProtocolError(f"an invalid packet: {head.hex()}")
    return head[:1], await reader.readexactly(size)


async def _end(process: Process, stderr: "asyncio.Task[str]") -> None:
    """End a monitor, and kill one that hangs; the last line of its standard error goes to the log."""
    assert process.stdin is not None
    process.stdin.close()  # its driver then ends it
    unread = asyncio.create_task(_tail(process.stdout))
    try:
        async with asyncio.timeout(GRACE):
            await process.wait()
    except TimeoutError:
        _kill(process)
        await process.wait()
    finally:
        unread.cancel()
    done, _ = await asyncio.wait({stderr}, timeout=1)
    if not done:  # a process that it started still holds its standard error
        stderr.cancel()
    elif words := stderr.result():
        log.warning(f"the monitor of a tab (pid {process.pid}) wrote: {clean(words.splitlines()[-1])}")


def _kill(process: Process) -> None:
    """Kill the process and everything that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def _tail(stream: asyncio.StreamReader | None) -> str:
    """The end of what a stream carries, once it has ended."""
    assert stream is not None
    read = b""
    while more := await stream.read(1 << 16):
        read = (read + more)[-STDERR_KEPT:]
    return read.decode("utf-8", "replace").strip()


async def _nothing() -> None: ...
