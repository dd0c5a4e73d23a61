"""The owner's end of the socket: snapshots out, verbs in; no client can hurt the owner or another client."""

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from scheduler.control import messages as wire
from scheduler.control.audience import Broadcaster, Encoded, Subscriber, taken
from scheduler.core.details import TaskDetails
from scheduler.core.records import LISTED, RunRecord
from scheduler.core.views import OutputChunk, Receipt
from scheduler.core.window import Slots, TimeGrid
from scheduler.errors import NotALoop, NotOurs, SchedulerError
from scheduler.system.files import file_id
from scheduler.system.unix_socket import Peer, admitted, bind, ours, peer_of, prepare, remove

log = logging.getLogger("experience.server")

CLIENTS = 256
MISTAKES = 8  # after so many lines that are no requests the connection is closed
PACE = 0.005  # seconds between two requests of one client: two hundred a second is more than any person
AT_EASE = (
    8  # so many clients may ask at that pace; with more it is slower for each: 1,600 requests a second in all
)
BITE = 8 * 1024  # bytes read from a client at a time: asyncio would take, and keep, 256 KB of each
FOLLOWED = 8  # runs that one client may follow at a time
# Each new client costs 0.2 ms: asyncio would take in as many in one turn of the loop as may wait at the door.
TAKEN_IN, WAITING = 4, 512


T = TypeVar("T")
Runs = tuple[RunRecord, ...]
Found = Runs | str | TaskDetails | Slots


class Served(Encoded, Protocol):
    """A scheduler as its server needs it."""

    citizen: str

    async def force(self, task: str, *, again: bool = False) -> Receipt: ...

    async def reset(self, task: str) -> Receipt: ...

    async def pause(self, task: str) -> Receipt: ...

    async def resume(self, task: str) -> Receipt: ...

    async def wake(self) -> Receipt: ...

    async def history(self, task: str | None, *, limit: int, failed: bool, before: int | None) -> Runs: ...

    async def output(self, run: int) -> str: ...

    async def explain(self, task: str) -> TaskDetails: ...

    async def slots(self, tasks: Collection[str], window: TimeGrid) -> Slots: ...

    def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]: ...


def _not_stopped() -> None:
    raise NotALoop("it is not to be stopped")


def _not_theirs() -> None:
    raise NotOurs("only the user who runs it may stop it")  # who could not start it again


class Server:
    """Listens for one citizen until closed."""

    def __init__(self, scheduler: Served, path: Path, stop: Callable[[], None] = _not_stopped) -> None:
        self._scheduler, self._path, self._stop = scheduler, path, stop
        self._clients: set[asyncio.Task[None]] = set()
        self._open: dict[Path, tuple[asyncio.Server, tuple[int, int] | None, int | None]] = {}
        self._shared: tuple[Path, int] | None = None
        self._turns, self._audience = Turns(), Broadcaster(scheduler)

    async def open(self) -> None:
        """Listen from now on; raises OSError. Only who holds the lock may call this."""
        await self._listen(self._path, None)

    async def share(self, path: Path, group: int | None) -> None:
        """Let the members of the group in, too, through a socket of their own; raises OSError.

        Those who came in through an earlier one stay.
        """
        wanted = None if group is None else (path, group)
        if wanted and wanted == self._shared:
            return
        self._shut(path)
        self._shared = None
        if group is not None:
            await self._listen(path, group)
            self._shared = wanted

    async def _listen(self, path: Path, group: int | None) -> None:
        door = socket.socket(socket.AF_UNIX)
        try:
            prepare(path, group)
            bind(door, path, group)
            there = file_id(path)
            met = partial(_Ended, partial(self._met, group))
            loop = asyncio.get_running_loop()
            listening = await loop.create_unix_server(met, sock=door, backlog=TAKEN_IN)
            self._open[path] = listening, there, group
            door.listen(WAITING)  # the kernel lets more wait than are taken in
        finally:
            if path not in self._open:  # also when who waits for this is cancelled
                asyncio.get_running_loop().remove_reader(door)
                door.close()
                remove(path)

    def in_place(self) -> bool:
        """Whether the sockets are still where others look for them."""
        return all(file_id(path) == there for path, (_, there, _) in self._open.items())

    async def reopen(self) -> None:
        """Listen anew where a socket was removed; raises OSError. Who came in before stays."""
        for path, (listening, there, group) in list(self._open.items()):
            if file_id(path) != there:
                del self._open[path]
                listening.close()
                await self._listen(path, group)

    def _shut(self, path: Path) -> None:
        there = None
        if path in self._open:
            listening, there, _ = self._open.pop(path)
            listening.close()
        if there is None or file_id(path) in (there, None):  # else it is another owner's
            remove(path)

    async def close(self) -> None:
        """Hang up on everybody and leave no socket behind."""
        for path in list(self._open):
            self._shut(path)
        for client in self._clients:
            client.cancel()
        if self._clients:
            await asyncio.wait(self._clients)

    async def _met(
        self, group: int | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        client = asyncio.current_task()
        assert client is not None
        self._clients.add(client)
        try:
            peer = peer_of(writer.get_extra_info("socket"))
            if self._welcome(writer, peer, group):
                stop = self._stop if ours(peer) else _not_theirs
                await _Client(self._scheduler, self._audience, reader, writer, self._turns, stop).serve()
        except (OSError, asyncio.CancelledError):  # gone, or the owner is closing
            pass
        finally:
            self._clients.discard(client)
            writer.transport.abort()  # a reader that is stuck would keep a polite close waiting
            # A transport holds a method of its own: it would wait for the collector.
            asyncio.get_running_loop().call_soon(vars(writer.transport).pop, "_read_ready_cb", None)

    def _welcome(self, writer: asyncio.StreamWriter, peer: Peer | None, group: int | None) -> bool:
        if not admitted(peer, group):
            log.warning("refused a stranger at the socket", extra={"citizen": self._scheduler.citizen})
            return False
        if len(self._clients) > CLIENTS:
            writer.write(wire.mistake(None, wire.REFUSED, f"{CLIENTS} clients are attached already"))
            return False
        hello = {"protocol": wire.PROTOCOL, "citizen": self._scheduler.citizen, "pid": os.getpid()}
        writer.write(wire.line({"method": "hello", "params": hello}))
        return True


class _Ended(asyncio.StreamReaderProtocol):
    """Streams that end without an error, however they end.

    An error would be kept, with the frames it went through, by what these hold: 40 KB that wait for the
    collector after each client that went away in the middle of an answer.
    """

    def __init__(self, met: Callable[..., Awaitable[None]]) -> None:
        super().__init__(asyncio.StreamReader(wire.LINE_LIMIT), met)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(None)


class Turns:
    """What all clients share, so that however many they are, they cost the owner so much and no more."""

    def __init__(self) -> None:
        self.reading, self.telling = asyncio.Lock(), asyncio.Lock()
        self._pausing = 0

    async def pause(self) -> None:
        """Between two requests of a client: the longer the more of them ask."""
        self._pausing += 1
        try:
            await asyncio.sleep(PACE * max(1.0, self._pausing / AT_EASE))
        finally:
            self._pausing -= 1


class _Client:
    """One connection: answers requests, with a task for each run it follows; the audience sends snapshots."""

    def __init__(
        self,
        scheduler: Served,
        audience: Broadcaster,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        turns: Turns,
        stop: Callable[[], None],
    ) -> None:
        self._scheduler, self._audience, self._turns = scheduler, audience, turns
        self._stop = stop
        self._reader, self._writer = reader, writer
        self._mistakes = 0
        self._seat: Subscriber | None = None
        self._following: dict[int | str, asyncio.Task[None]] = {}
        writer.transport.set_write_buffer_limits(high=0)  # "taken" means all of it
        writer.transport.max_size = BITE  # type: ignore[attr-defined]  # of asyncio's own transports

    async def serve(self) -> None:
        try:
            while self._mistakes < MISTAKES:
                try:
                    line = await self._reader.readuntil(b"\n")
                except asyncio.IncompleteReadError:
                    return
                except asyncio.LimitOverrunError:
                    self._writer.write(wire.mistake(None, wire.BAD_REQUEST, "a line too long for a request"))
                    return
                await self._answer(line)
                await taken(self._writer)
                await self._turns.pause()
        finally:
            if self._seat:
                self._audience.leave(self._seat)
            for task in self._following.values():
                task.cancel()

    async def _answer(self, line: bytes) -> None:
        request = _request(line)
        if request is None:
            self._mistakes += 1
            self._writer.write(wire.mistake(None, wire.BAD_REQUEST, "no JSON-RPC 2.0 request"))
            return
        request_id, method, params = request
        if method == "watch":
            self._watch(params.get("told", 0))
            self._writer.write(wire.line({"id": request_id, "result": {}}))
        elif method == "ping":
            self._writer.write(wire.line({"id": request_id, "result": {}}))
        elif method == "stop" and not params:
            self._writer.write(self._stopped(request_id))
        elif method == "follow" and params.keys() == {"task"} and isinstance(params["task"], str):
            self._follow(request_id, params["task"])
        elif method == "unfollow" and params.keys() == {"id"} and isinstance(params["id"], int | str):
            if task := self._following.pop(params["id"], None):
                task.cancel()
            self._writer.write(wire.line({"id": request_id, "result": {}}))
        else:
            self._writer.write(await self._verb(request_id, method, params))

    def _stopped(self, request_id: object) -> bytes:
        """The process ends, or says why not; its end is what the client waits for."""
        try:
            self._stop()
        except SchedulerError as error:
            return wire.refusal(request_id, error)
        return wire.line({"id": request_id, "result": {}})

    async def _verb(self, request_id: object, method: str, params: Mapping[str, Any]) -> bytes:
        call = self._call(method, params) or self._look_up(method, params)
        if call is None:
            self._mistakes += 1
            return wire.mistake(
                request_id, wire.BAD_PARAMS, f"no method {method[:40]!r} with these parameters"
            )
        try:
            return wire.line({"id": request_id, "result": wire.answer(await call)})
        except SchedulerError as error:
            return wire.refusal(request_id, error)

    def _call(self, method: str, params: Mapping[str, Any]) -> Awaitable[Receipt] | None:
        scheduler, task = self._scheduler, params.get("task")
        if method == "wake" and not params:
            return scheduler.wake()
        if not isinstance(task, str):
            return None
        if method == "force" and params.keys() <= {"task", "again"}:
            return scheduler.force(task, again=params.get("again") is True)
        verbs = {"reset": scheduler.reset, "pause": scheduler.pause, "resume": scheduler.resume}
        return verbs[method](task) if method in verbs and params.keys() == {"task"} else None

    def _look_up(self, method: str, params: Mapping[str, Any]) -> Awaitable[Found] | None:
        if method == "output" and params.keys() == {"run"} and _is_number(params["run"]):
            return self._alone(partial(self._scheduler.output, params["run"]))
        if method == "explain" and params.keys() == {"task"} and isinstance(params["task"], str):
            return self._alone(partial(self._scheduler.explain, params["task"]))
        if method == "slots" and (asked := wire.window_from(params)):
            return self._alone(partial(self._scheduler.slots, *asked))
        if method != "history" or not params.keys() <= {"task", "limit", "failed", "before"}:
            return None
        task, limit, before = params.get("task"), params.get("limit", LISTED), params.get("before")
        if not isinstance(task, str | None) or not _is_number(limit) or not _is_number(before or 0):
            return None
        failed = params.get("failed") is True
        history = partial(self._scheduler.history, task, limit=limit, failed=failed, before=before)
        return self._alone(history)

    async def _alone(self, look_up: Callable[[], Awaitable[T]]) -> T:
        """One at a time of all clients, at a pace: a look at the disk costs the owner a millisecond."""
        async with self._turns.reading:
            found = await look_up()
            await asyncio.sleep(PACE)
            return found

    def _watch(self, told: object) -> None:
        if self._seat is None:
            self._seat = self._audience.enter(self._writer, told if isinstance(told, int) else 0)

    def _follow(self, request_id: int | str, task: str) -> None:
        """The request is answered when there is nothing more to come; what was printed goes before that."""
        if len(self._following) >= FOLLOWED or request_id in self._following:
            text = f"{FOLLOWED} runs are followed already" if request_id not in self._following else "used id"
            self._writer.write(wire.mistake(request_id, wire.REFUSED, text))
            return
        telling = self._following[request_id] = asyncio.create_task(self._tell(request_id, task))
        telling.add_done_callback(lambda _: self._following.pop(request_id, None))

    async def _tell(self, request_id: int | str, task: str) -> None:
        """While a client is slow, or others have their turn, what is printed is skipped."""
        try:
            async with contextlib.aclosing(self._scheduler.follow(task)) as pieces:
                async for piece in pieces:
                    async with self._turns.telling:
                        self._writer.write(wire.piece_message(request_id, piece))
                        await asyncio.sleep(PACE)
                    await taken(self._writer)
            self._writer.write(wire.line({"id": request_id, "result": {}}))
        except SchedulerError as error:
            self._writer.write(wire.refusal(request_id, error))
        except OSError:
            self._writer.transport.abort()


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def _request(line: bytes) -> tuple[int | str, str, Mapping[str, Any]] | None:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return None
    request_id, method, params = message.get("id"), message.get("method"), message.get("params", {})
    if not isinstance(request_id, int | str) or not isinstance(method, str) or not isinstance(params, dict):
        return None
    return request_id, method, params
