"""The owner's end of the socket: answers requests within limits that protect it from its clients."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from scheduler.control.wire import messages
from scheduler.control.wire.asker import Asker, OriginOf, RemoteAsker, outside
from scheduler.control.wire.connection_limits import CLIENTS, ConnectionLimits, Seat
from scheduler.control.wire.messages import METHODS, Method, ProtocolError, Request
from scheduler.core.views import OutputChunk, Snapshot
from scheduler.engine.event_bus import snapshots
from scheduler.errors import NotALoop, NotOurs, SchedulerError
from scheduler.ownership.stream import RemoteStream, Writer
from scheduler.schema.json_codec import to_json
from scheduler.system.files import file_id
from scheduler.system.hanging_disks import on_disk
from scheduler.system.log_once import CountedWarning
from scheduler.system.time_zones import local_zone_name
from scheduler.system.unix_socket import (
    Peer,
    bind,
    home_id,
    is_admitted,
    is_trusted,
    peer_of,
    prepare,
    remove,
)

log = logging.getLogger("experience.server")

REQUESTS = 32  # of one client at a time, including runs that it follows or waits for
MISTAKES = 8  # invalid requests after which the connection is closed
PACE = 0.005  # seconds between two requests of one client
STUCK = 30.0  # seconds without reading a byte after which a client is disconnected
READ_SIZE = 8 * 1024  # bytes read from a client at a time; asyncio would keep a buffer of 256 KB for each
# A new client costs 0.2 ms; asyncio would accept all waiting clients in one turn of the loop.
ACCEPTED, BACKLOG = 4, 512


class Served(Protocol):
    """What the server needs of a scheduler, besides the requests in METHODS."""

    citizen: str

    def snapshot(self) -> Snapshot: ...

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]: ...

    def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]: ...


def _not_stoppable() -> None:
    raise NotALoop("it is not to be stopped")


def _other_user() -> None:
    raise NotOurs("only the user who runs it may stop it")  # others could not start it again


@dataclass(frozen=True, slots=True)
class Process:
    """What a client may ask of the whole process; each call acts soon, or raises the reason why not."""

    stop: Callable[[], None] = _not_stoppable
    hand_over: Callable[[], None] = _not_stoppable


_OF_ANOTHER_USER = Process(_other_user, _other_user)


class Server:
    """Listens for one citizen at the socket of its home until closed."""

    def __init__(
        self,
        scheduler: Served,
        path: Path,
        home: Path,
        process: Process = Process(),  # frozen
        origin: OriginOf = outside,
    ) -> None:
        self.scheduler, self._path, self._home, self._process = scheduler, path, home, process
        self._origin = origin
        self._seats = ConnectionLimits()
        self._warn = CountedWarning(log, citizen=scheduler.citizen)
        self._clients: set[asyncio.Task[None]] = set()
        self._ended = False
        self._open: dict[Path, tuple[asyncio.Server, tuple[int, int] | None]] = {}
        self._shared: tuple[Path, int] | None = None
        self._user: int | None = None  # the home's user, which is not this process's own if root runs it
        self.encoder, self.exclusive = _SnapshotEncoder(), asyncio.Lock()

    @property
    def clients(self) -> int:
        """The number of connected clients."""
        return len(self._clients)

    async def open(self) -> None:
        """Listen from now on; raises OSError. Only the process that holds the lock may call this."""
        await self._listen(self._path, None)

    async def share(self, path: Path, group: int | None) -> None:
        """Open a second socket for the members of the group; raises OSError.

        The clients of an earlier group socket stay connected.
        """
        wanted = None if group is None else (path, group)
        if wanted and wanted == self._shared:
            return
        self._close(path)
        self._shared = None
        if group is not None:
            await self._listen(path, group)
            self._shared = wanted

    async def close(self) -> None:
        """Disconnect every client and remove the sockets."""
        self._ended = True
        for path in list(self._open):
            self._close(path)
        for client in self._clients:
            client.cancel()
        if self._clients:
            await asyncio.wait(self._clients)

    async def serve_remote(self, stream: RemoteStream, asked_by: str) -> None:
        """Serve a client of another machine while its stream lasts; its machine names it in `asked_by`."""
        asker, serving = RemoteAsker(asked_by), asyncio.current_task()
        assert serving
        self._clients.add(serving)  # it ends with this server, not only with the process
        try:
            if self._ended:  # the citizen is about to run elsewhere
                return
            stream.write(self._greeting())
            await _Client(self, stream.reader, stream, {}, _OF_ANOTHER_USER, asker).serve()
        except OSError:  # the client left
            pass
        finally:
            self._clients.discard(serving)
            stream.abort()

    def _greeting(self) -> bytes:
        greeting = messages.Greeting(
            messages.PROTOCOL, self.scheduler.citizen, os.getpid(), home_id(self._home), local_zone_name()
        )
        return messages.encode(method="hello", params=to_json(greeting))

    async def _listen(self, path: Path, group: int | None) -> None:
        listener = socket.socket(socket.AF_UNIX)
        try:
            on_disk(self._home, partial(prepare, path, group))
            self._user = bind(listener, path, group)
            identity = file_id(path)
            serve, limit = partial(self._serve, group), messages.LINE_LIMIT
            server = await asyncio.start_unix_server(serve, sock=listener, limit=limit, backlog=ACCEPTED)
            self._open[path] = server, identity
            listener.listen(BACKLOG)  # the kernel queues more than are accepted in a turn
        finally:
            if path not in self._open:  # it failed or was cancelled
                asyncio.get_running_loop().remove_reader(listener)
                listener.close()
                with suppress(OSError):
                    on_disk(self._home, partial(remove, path))

    def _close(self, path: Path) -> None:
        server, identity = self._open.pop(path, (None, None))
        if server:
            server.close()

        def clear() -> None:
            if identity is None or file_id(path) in (identity, None):  # otherwise another owner has bound it
                remove(path)

        with suppress(OSError):  # on a disk that hangs it stays: the next owner replaces it
            on_disk(self._home, clear)

    async def _serve(
        self, group: int | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            peer = peer_of(writer.get_extra_info("socket"))
            seat = Seat(task, is_trusted(peer, self._user))
            asker = Asker(self.scheduler.citizen, peer, self._origin)
            if self._greet(writer, peer, group, seat):
                process = self._process if is_trusted(peer) else _OF_ANOTHER_USER
                try:
                    await _Client(self, reader, writer, seat.requests, process, asker).serve()
                finally:
                    self._seats.leave(seat)
        except (OSError, asyncio.CancelledError):  # the client left, or the owner is closing
            pass
        finally:
            self._clients.discard(task)
            writer.transport.abort()  # close() would wait for a client that does not read

    def _greet(self, writer: asyncio.StreamWriter, peer: Peer | None, group: int | None, seat: Seat) -> bool:
        if not is_admitted(peer, group, self._user):
            self._warn("refused another user at the socket")
            return False
        if not self._seats.take(seat):
            self._warn("refused a client at the socket: all seats are taken")
            text = f"{CLIENTS} clients are attached to pid {os.getpid()}; close some of them"
            writer.write(messages.failure(None, messages.REFUSED, text))
            return False
        writer.write(self._greeting())
        return True


class _SnapshotEncoder:
    """Encodes a snapshot once for all clients that have received the same events."""

    def __init__(self) -> None:
        self._newest: tuple[Snapshot, int] | None = None
        self._encoded = ""

    def encode(self, snapshot: Snapshot, after: int) -> str:
        if (snapshot, after) != self._newest:
            self._encoded = messages.encoded(messages.without_events(snapshot, after))
            self._newest = snapshot, after
        return self._encoded


class _Client:
    """One connection, with a task for each of its requests."""

    def __init__(
        self,
        server: Server,
        reader: asyncio.StreamReader,
        writer: Writer,
        requests: dict[int, asyncio.Task[None]],
        process: Process,
        asker: Asker | RemoteAsker,
    ) -> None:
        self._scheduler, self._reader, self._writer = server.scheduler, reader, writer
        self._process, self._asker = process, asker
        self._encoder, self._exclusive = server.encoder, server.exclusive
        self._mistakes = 0
        self._requests = requests
        writer.transport.set_write_buffer_limits(high=0)  # drained: the client has read everything
        writer.transport.max_size = READ_SIZE  # type: ignore[attr-defined]  # of asyncio's own transports

    async def serve(self) -> None:
        """Start requests until the client leaves or has made too many mistakes."""
        try:
            while self._mistakes < MISTAKES:
                self._start(await self._reader.readuntil(b"\n"))
                await self._drained()
                await asyncio.sleep(PACE)
        except asyncio.IncompleteReadError:
            return
        except asyncio.LimitOverrunError:
            self._fail(None, messages.BAD_REQUEST, "a line too long for a request")
        finally:
            for task in self._requests.values():
                task.cancel()

    def _start(self, line: bytes) -> None:
        try:
            request = messages.request_from(line)
        except ProtocolError as error:
            self._mistakes += 1
            self._fail(None, messages.BAD_REQUEST, str(error))
            return
        try:
            method = METHODS[request.method]
            arguments = method.arguments(request.params)
        except (KeyError, ProtocolError):
            self._mistakes += 1
            text = f"no method {request.method[:40]!r} with these parameters"
            self._fail(request.id, messages.BAD_PARAMS, text)
            return
        if request.id in self._requests:
            self._fail(request.id, messages.REFUSED, f"id {request.id} is in use")
            return
        if len(self._requests) >= REQUESTS and request.method != "cancel":
            self._fail(request.id, messages.REFUSED, f"{REQUESTS} requests are under way already")
            return
        task = asyncio.create_task(self._answer(request, method, arguments))
        self._requests[request.id] = task
        task.add_done_callback(partial(self._ended, request.id))

    def _ended(self, number: int, task: "asyncio.Task[None]") -> None:
        del self._requests[number]
        if not task.cancelled() and (error := task.exception()):
            log.error("a request broke", exc_info=error)
            self._writer.transport.abort()

    async def _answer(self, request: Request, method: Method, arguments: Mapping[str, Any]) -> None:
        try:
            own = getattr(self, f"on_{request.method}", None)
            call = partial(own, request.id) if own else getattr(self._scheduler, request.method)
            asked = {"who": await self._asker.who()} if method.verb else {}
            async with self._exclusive if method.exclusive else nullcontext():
                value = await call(**arguments, **asked)
            self._writer.write(messages.result(request.id, value))
        except SchedulerError as error:
            self._writer.write(messages.refusal(request.id, error))
        except OSError:
            self._writer.transport.abort()

    def _fail(self, number: int | None, code: int, text: str) -> None:
        self._writer.write(messages.failure(number, code, text))

    async def _drained(self) -> None:
        """Return when the client has read everything sent; raises OSError if it reads nothing or has left."""
        try:
            async with asyncio.timeout(STUCK):
                await self._writer.drain()
        except TimeoutError:
            raise ConnectionAbortedError("a client reads nothing") from None

    # ------------------------------------------------------------------ requests that need the connection

    async def on_ping(self, number: int) -> None:
        """Answer: that is all the client needs."""

    async def on_stop(self, number: int) -> None:
        """End the process, or answer why not; the client waits until it has ended."""
        self._process.stop()

    async def on_hand_over(self, number: int) -> None:
        """Soon pass what this process runs to one in the background, or answer why not."""
        self._process.hand_over()

    async def on_cancel(self, number: int, id: int) -> None:
        if task := self._requests.get(id):
            task.cancel()

    async def on_watch(self, number: int, after: int = 0) -> None:
        """Send the newest snapshot after each change; a slow client skips those in between."""
        async with aclosing(snapshots(self._scheduler.subscribe, self._scheduler.snapshot)) as newest:
            async for snapshot in newest:
                self._writer.write(messages.item(number, self._encoder.encode(snapshot, after)))
                after = snapshot.events[-1].seq if snapshot.events else after
                await self._drained()

    async def on_follow(self, number: int, task: str) -> None:
        """Send what the run prints; a slow client skips some."""
        async with aclosing(self._scheduler.follow(task)) as chunks:
            async for chunk in chunks:
                self._writer.write(messages.item(number, messages.encoded(chunk)))
                await self._drained()
