"""The open screens: a monitor for each browser tab, what passes between the two, and how both end."""

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

from scheduler.core.text import clean

log = logging.getLogger("experience.serve")

ENVIRONMENT = {
    "TERM_PROGRAM": "textual",
    "TEXTUAL_COLOR_SYSTEM": "truecolor",
    "TEXTUAL_FPS": "20",  # a third of the usual: twenty tabs share one machine
    "TEXTUAL_DRIVER": "tui.serve.monitor:TabDriver",
}
SPARE_AFTER = 3.0  # seconds until the next spare monitor loads: the first frame of this one comes first
GRACE = 3.0  # seconds that a monitor gets to end
COMPLAINTS = 2000  # bytes kept of a monitor's standard error
PING = 15.0  # seconds between two pings; a browser that does not answer one is gone
LONGEST = 64 << 10  # bytes of a page's message
LARGEST = 16 << 20  # bytes of a monitor's packet; a whole screen has some ten thousand
GREETING = b"__GANGLION__\n"  # the first line of a Textual app that a server drives
CHATTER = 10  # lines that may come before it
COLUMNS, ROWS = (20, 500), (4, 200)  # the smallest and largest screens


class Over(IntEnum):
    """Why a screen ended: the code that its page gets."""

    QUIT = 4000
    FULL = 4001
    IDLE = 4002
    BROKEN = 4003
    NONSENSE = WSCloseCode.POLICY_VIOLATION
    STOPPED = WSCloseCode.GOING_AWAY


class ProtocolError(ValueError):
    """An invalid message of a page, or an invalid packet of a monitor."""


@dataclass(frozen=True, slots=True)
class Limits:
    """At most `screens` at once; a screen ends after `idle` seconds without a sign from its browser."""

    screens: int = 20
    idle: float = 12 * 3600.0


class ProcessPool:
    """Starts the monitors of tabs, and keeps one loaded for the next tab; `arguments` are the monitor's."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = tuple(arguments)
        self._spare: asyncio.Task[Process] | None = None
        self._closed = False

    def prepare(self) -> None:
        """Load a monitor for the next browser."""
        if self._spare is None and not self._closed:
            self._spare = asyncio.create_task(self._start())

    async def take(self) -> Process:
        """A monitor that waits for its size."""
        spare, self._spare = self._spare, None
        asyncio.get_running_loop().call_later(SPARE_AFTER, self.prepare)
        if spare and (process := await spare).returncode is None:
            return process
        return await self._start()

    async def close(self) -> None:
        """End the spare monitor, and start no other."""
        self._closed = True
        if self._spare:
            spare = await self._spare
            await _ended(spare, asyncio.create_task(_tail(spare.stderr)))

    async def _start(self) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-m", "tui.serve.monitor", *self._arguments),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=os.environ | ENVIRONMENT,
            start_new_session=True,  # Ctrl+C at the server's terminal is for the server
        )


class BrowserSession(AppService):
    """One tab and its monitor: textual-serve's service on a process of the pool, within limits."""

    def __init__(self, process: Process, socket: web.WebSocketResponse, downloads: DownloadManager) -> None:
        super().__init__(
            "",  # the process runs already, and without a shell
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=_nothing,  # the page learns of an end by the socket's code
            download_manager=downloads,
        )
        self._monitor, self._socket = process, socket
        self._stdin = process.stdin
        self._complaints = asyncio.create_task(_tail(process.stderr))

    async def play(self, size: tuple[int, int], idle: float) -> Over:
        """Connect the tab with its monitor until one of them ends; the process is gone after this."""
        self.stdin.write(b"%d %d\n" % size)
        both = [asyncio.create_task(self._paint()), asyncio.create_task(self._obey(idle))]
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            await self._download_manager.cancel_app_downloads(self.app_service_id)
            await _ended(self._monitor, self._complaints)

    def kill(self) -> None:
        _kill(self._monitor)

    async def _paint(self) -> Over:
        """Pass on what the monitor paints."""
        assert self._monitor.stdout is not None
        take = {b"D": self.on_data, b"M": self.on_meta, b"P": self.on_packed}
        try:
            await _greeted(self._monitor.stdout)
            while True:
                kind, payload = await _packet(self._monitor.stdout)
                await take[kind](payload)
        except asyncio.IncompleteReadError:
            return Over.BROKEN if await self._monitor.wait() else Over.QUIT
        except ConnectionError:
            return Over.STOPPED
        except (ProtocolError, DecodeError) as error:
            log.warning(f"the monitor of a tab (pid {self._monitor.pid}): {error}")
            return Over.BROKEN

    async def on_meta(self, data: bytes) -> None:
        """Announce files to the browser; nothing else: a page opens no link that a text names."""
        if json.loads(data).get("type") == "deliver_file_start":
            await super().on_meta(data)

    async def _obey(self, idle: float) -> Over:
        """Pass on what the page sends."""
        try:
            while (message := await self._socket.receive(idle)).type is WSMsgType.TEXT:
                await self.obey(message.data)
        except TimeoutError:
            return Over.IDLE
        except ProtocolError:
            return Over.NONSENSE
        return Over.STOPPED

    async def obey(self, message: str) -> None:
        """Do what a page's message asks; raises ProtocolError for an invalid one."""
        match _parsed(message):
            case ["stdin", str(keys)]:
                await self.send_bytes(keys.encode("utf-8", "replace"))
            case ["resize", {"width": width, "height": height}]:
                await self.set_terminal_size(*_size(width, height))
            case ["focus"]:
                await self.focus()
            case ["blur"]:
                await self.blur()
            case ["ping", str()]:  # textual-serve's script measures the delay and shows it nowhere
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
        """A monitor for this browser, until one of the two has gone."""
        socket = web.WebSocketResponse(heartbeat=PING, max_msg_size=LONGEST)
        await socket.prepare(request)
        if len(self._sockets) >= self._limits.screens:
            await socket.close(code=Over.FULL, message=str(self._limits.screens).encode())
            return socket
        self._sockets.add(socket)
        try:
            await socket.close(code=await self._play(socket, size_of(request.query)))
        finally:
            self._sockets.discard(socket)
        return socket

    async def _play(self, socket: web.WebSocketResponse, size: tuple[int, int]) -> Over:
        session = BrowserSession(await self.pool.take(), socket, self.downloads)
        self._sessions.add(session)
        try:
            return await session.play(size, self._limits.idle)
        finally:
            self._sessions.discard(session)

    async def stop(self) -> None:
        """Close every connection; the monitors end with them."""
        goodbyes = [socket.close(code=Over.STOPPED) for socket in list(self._sockets)]
        await asyncio.gather(*goodbyes, self.pool.close())

    def kill(self) -> None:
        """Leave no monitor, whatever its browser does."""
        for session in self._sessions:
            session.kill()


def size_of(query: Mapping[str, str]) -> tuple[int, int]:
    """Columns and rows as a page asks for them, within limits."""
    return _size(query.get("width", ""), query.get("height", ""))


def _size(width: Any, height: Any) -> tuple[int, int]:
    return _within(width, COLUMNS, 80), _within(height, ROWS, 24)


def _within(given: Any, limits: tuple[int, int], default: int) -> int:
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


async def _greeted(reader: asyncio.StreamReader) -> None:
    for _ in range(CHATTER):
        if (line := await reader.readline()) == GREETING:
            return
        if not line:
            break
    raise ProtocolError("it did not start")


async def _packet(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    if head[:1] not in b"DMP" or (size := int.from_bytes(head[1:], "big")) > LARGEST:
        raise ProtocolError(f"an invalid packet: {head.hex()}")
    return head[:1], await reader.readexactly(size)


async def _ended(process: Process, complaints: "asyncio.Task[str]") -> None:
    """End a monitor: by itself where it can, killed where it hangs; its last complaint goes to the log."""
    assert process.stdin is not None
    process.stdin.close()  # its driver ends it then
    unread = asyncio.create_task(_tail(process.stdout))
    try:
        async with asyncio.timeout(GRACE):
            await process.wait()
    except TimeoutError:
        _kill(process)
        await process.wait()
    finally:
        unread.cancel()
    done, _ = await asyncio.wait({complaints}, timeout=1)
    if not done:  # a process that it started has its standard error
        complaints.cancel()
    elif words := complaints.result():
        log.warning(f"the monitor of a tab (pid {process.pid}) wrote: {clean(words.splitlines()[-1])}")


def _kill(process: Process) -> None:
    """End it at once, with all that it may have started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def _tail(stream: asyncio.StreamReader | None) -> str:
    """The last words of a stream, once it has ended."""
    assert stream is not None
    read = b""
    while more := await stream.read(1 << 16):
        read = (read + more)[-COMPLAINTS:]
    return read.decode("utf-8", "replace").strip()


async def _nothing() -> None: ...
