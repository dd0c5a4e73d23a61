"""A citizen of another process, through the socket: its snapshots, and requests to its owner."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from random import uniform
from typing import Any, TypeVar

from scheduler.control.wire import messages
from scheduler.control.wire.greeting import check_user, checked_greeting, greeting_of
from scheduler.core.ports import RequestingControl
from scheduler.core.schedules.freeze import Freeze
from scheduler.core.views import OWNER_GONE, Heartbeat, OutputChunk, Snapshot
from scheduler.engine.event_bus import Subscribers, snapshots
from scheduler.errors import DatabaseAway, Disconnected, NotConfirmed, Refused, SchedulerError
from scheduler.executors.output import ChunkQueue
from scheduler.ownership.stream import RemoteStream, Writer
from scheduler.schema.json_codec import to_json
from scheduler.system.clock import Clock, SystemClock
from scheduler.system.hanging_disks import SILENT, hanging
from scheduler.system.unix_socket import HomeSocket, client_socket, peer_of

T = TypeVar("T")

ANSWER_TIMEOUT = 10.0  # seconds; a save on a slow disk takes a while
GREETING_TIMEOUT = 3.0  # seconds for the first line
# Seconds between two attempts to attach again, at first and at most: a thousand citizens whose owner has
# ended would otherwise keep the loop busy.
RETRY, RETRY_MAX, BACKOFF = 0.5, 5.0, 1.3
PING_AFTER = 1.0  # seconds of silence after which the owner is pinged


class Connection:
    """One connection to an owner; when it ends, every request raises Disconnected."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: Writer, greeting: messages.Greeting, machine: str = ""
    ) -> None:
        self.pid, self.zone, self._machine = greeting.pid, greeting.zone, machine
        socket = writer.get_extra_info("socket")
        self.peer = peer_of(socket) if socket else None  # for a peer on another machine there is no socket
        self._reader, self._writer = reader, writer
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._receivers: dict[int, Callable[[Any], None]] = {}
        self.on_message: Callable[[], None] = lambda: None
        self._listening = asyncio.create_task(self._listen())
        self._listening.add_done_callback(self._end)

    @classmethod
    async def open(cls, at: HomeSocket) -> "Connection":
        """Connect; raises Disconnected if nothing listens, Refused if the citizen's owner rejects this user.

        Nothing is sent to a listener that is not the owner of this home: an agent can put any socket there.
        """
        path, limit = at.path, messages.ANSWER_LIMIT
        await require_answer(at.home)
        try:
            reader, writer = await asyncio.open_unix_connection(str(path), limit=limit)
        except OSError:
            raise Disconnected(f"nothing listens at {path}") from None
        with ExitStack() as undo:
            undo.callback(writer.transport.abort)
            try:
                check_user(at, peer_of(writer.get_extra_info("socket")))
                async with asyncio.timeout(GREETING_TIMEOUT):
                    greeting = messages.decode(await reader.readuntil(b"\n"))
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
                raise Disconnected(f"what listens at {path} does not greet like an owner") from None
            connection = cls(reader, writer, checked_greeting(greeting, at))
            undo.pop_all()
            return connection

    @property
    def owner(self) -> str:
        return f"{self._machine}, pid {self.pid}" if self._machine else f"pid {self.pid}"

    @classmethod
    async def over(cls, stream: RemoteStream, citizen: str) -> "Connection":
        """Connect over a stream to the citizen's owner on another machine; raises Disconnected."""
        with ExitStack() as undo:
            undo.callback(stream.abort)
            try:
                async with asyncio.timeout(GREETING_TIMEOUT):
                    line = await stream.reader.readuntil(b"\n")
                greeting = greeting_of(messages.decode(line), citizen)
            except (asyncio.IncompleteReadError, TimeoutError, Disconnected):
                raise Disconnected(f"the owner of {citizen} on {stream.machine} does not answer") from None
            connection = cls(stream.reader, stream, greeting, stream.machine)
            undo.pop_all()
            return connection

    async def ask(self, method: str, *, timeout: float | None = ANSWER_TIMEOUT, **params: Any) -> Any:
        """Return the result of a request; raises the owner's refusal, or Disconnected."""
        number, answer = self._request(method, params)
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except (OSError, TimeoutError) as error:
            raise Disconnected(f"the owner (pid {self.pid}) does not answer") from error
        finally:
            del self._answers[number]

    async def watch(self, after: int, receive: Callable[[Any], None]) -> None:
        """Pass each snapshot to `receive`, the first before this returns; only with events after `after`."""
        first = asyncio.get_running_loop().create_future()

        def received(raw: Any) -> None:
            receive(raw)
            if not first.done():
                first.set_result(None)

        number, answer = self._request("watch", {"after": after})
        answer.add_done_callback(_error_of)
        self._receivers[number] = received
        await asyncio.wait({answer, first}, timeout=ANSWER_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        if not first.done():
            raise Disconnected(f"the owner (pid {self.pid}) does not show its state")

    async def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]:
        """Yield the output of a run until it has ended."""
        chunks = ChunkQueue()
        number, answer = self._request("follow", {"task": task})
        answer.add_done_callback(lambda done: chunks.close(_error_of(done)))
        self._receivers[number] = lambda raw: chunks.push(messages.typed(OutputChunk, raw))
        try:
            async for chunk in chunks.chunks():
                yield chunk
        finally:
            del self._answers[number], self._receivers[number]
            if not answer.done():
                self._send(next(self._numbers), "cancel", {"id": number})

    def ping(self) -> None:
        """Send a ping; any line from the owner calls `on_message`."""
        self._send(next(self._numbers), "ping", {})

    async def closed(self) -> None:
        """Return when the owner has disconnected."""
        await asyncio.wait({self._listening})

    def close(self) -> None:
        """Disconnect; what waits for an answer raises Disconnected."""
        self._listening.cancel()
        self._writer.transport.abort()

    def _request(self, method: str, params: Mapping[str, Any]) -> "tuple[int, asyncio.Future[Any]]":
        if self._listening.done():
            raise self._is_gone()
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._send(number, method, params)
        return number, answer

    def _send(self, number: int, method: str, params: Mapping[str, Any]) -> None:
        plain = {name: to_json(value) for name, value in params.items()}
        self._writer.write(messages.encode(id=number, method=method, params=plain))

    async def _listen(self) -> None:
        with suppress(OSError, ValueError, asyncio.LimitOverrunError, Disconnected):
            while line := await self._reader.readline():
                self.on_message()
                self._receive(messages.decode(line))

    def _end(self, listened: "asyncio.Task[None]") -> None:
        """Disconnect, whatever ended the listening, and end what waits for an answer."""
        self._writer.transport.abort()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(self._is_gone())

    def _is_gone(self) -> Disconnected:
        return Disconnected(f"the owner (pid {self.pid}) is gone")

    def _receive(self, message: Mapping[str, Any]) -> None:
        if message.get("method") == "item":
            item = messages.typed(messages.Item, message.get("params"))
            if receive := self._receivers.get(item.id):
                receive(item.value)
            return
        number = message.get("id")
        answer = self._answers.get(number) if isinstance(number, int) else None
        if answer is None or answer.done():
            return
        if isinstance(error := message.get("error"), dict):
            answer.set_exception(messages.error_from(error))
        else:
            answer.set_result(message.get("result"))


async def require_answer(home: Path) -> None:
    """Raise Disconnected if the disk of this home hangs: looking for a socket there would hang, too."""
    if await asyncio.to_thread(hanging, (str(home),)):
        raise Disconnected(f"{home}: {SILENT}")


Open = Callable[[], Awaitable[Connection]]


def _error_of(answer: "asyncio.Future[Any]") -> SchedulerError | None:
    """The error in place of the answer, if any."""
    error = None if answer.cancelled() else answer.exception()
    return error if isinstance(error, SchedulerError) else None


class ObservableControl(RequestingControl):
    """A Control on this loop that holds its newest snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.citizen = snapshot.citizen
        self._snapshot = snapshot
        self._subscribers = Subscribers()

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back on this loop for each new snapshot; call the result to unsubscribe."""
        return self._subscribers.add(callback)

    def watch(self) -> AsyncIterator[Snapshot]:
        return snapshots(self.subscribe, self.snapshot)

    def _publish(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._subscribers.notify()


class RemoteControl(ObservableControl):
    """A Control for a citizen of another process; attaches again when an owner is back."""

    def __init__(self, at: HomeSocket, clock: Clock, open: Open | None = None) -> None:
        """`open` connects to the owner in another way than by the home's socket."""
        super().__init__(Snapshot(at.citizen, owner="", stale="looking for its owner"))
        self._open, self._clock = open or partial(Connection.open, at), clock
        self._owner = ""
        self._connection: Connection | None = None
        self._attaching: asyncio.Task[None] | None = None
        self._last_message_at, self._pinged_at = clock.elapsed(), 0.0

    async def start(self) -> None:
        """Attach and stay attached; raises Disconnected if there is no owner now."""
        self._loop = asyncio.get_running_loop()
        await self._attach()
        self._attaching = asyncio.create_task(self._keep_attached(), name=f"{self.citizen}/attached")

    async def stop(self) -> None:
        if self._attaching:
            self._attaching.cancel()
            await asyncio.wait({self._attaching})
        if self._connection:
            self._connection.close()

    def pulse(self) -> Heartbeat:
        """Return the owner's heartbeat; also pings an owner that has been silent for a while."""
        if self._connection is None:
            return Heartbeat()  # the snapshot says that the owner is gone
        now = self._clock.elapsed()
        if self._pinged_at > self._last_message_at:
            return Heartbeat(now - self._pinged_at)
        if now - self._last_message_at > PING_AFTER:
            self._pinged_at = now
            self._loop.call_soon_threadsafe(self._ping)
        return Heartbeat()

    async def ask(self, result: type[T], method: str, **arguments: Any) -> T:
        timeout = None if method == "wait" else ANSWER_TIMEOUT
        connection = self._connected()
        try:
            answer = await connection.ask(method, timeout=timeout, **arguments)
        except Disconnected as error:
            if not messages.METHODS[method].verb:
                raise
            raise NotConfirmed(f"{self.citizen}: asked, not confirmed: {error}") from error
        return messages.typed(result, answer)

    async def look_at_freeze(self) -> Freeze | None:
        """Let the owner check whether it is frozen; raises SchedulerError if its version knows no freezes."""
        answer = await self._connected().ask("look_at_freeze")
        return None if answer is None else messages.typed(Freeze, answer)

    async def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]:
        async with aclosing(self._connected().follow(task)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _connected(self) -> Connection:
        if self._connection is None:
            raise Disconnected(f"{self.citizen}: {self._snapshot.stale or 'no owner answers'}")
        return self._connection

    def _ping(self) -> None:
        if self._connection:
            self._connection.ping()

    async def _attach(self) -> None:
        connection = await self._open()
        connection.on_message = self._on_message
        if self._owner != connection.owner:
            self._owner = connection.owner
            self._snapshot = replace(self._snapshot, events=())
        events = self._snapshot.events
        self._connection = connection  # before the first snapshot: a subscriber may send a request at once
        try:
            await connection.watch(events[-1].seq if events else 0, self._receive)
        except (Disconnected, asyncio.CancelledError):
            connection.close()
            self._connection = None
            raise

    async def _keep_attached(self) -> None:
        pause = RETRY
        while True:
            if self._connection:
                await self._connection.closed()
                self._connection, pause = None, RETRY
                self._publish(replace(self._snapshot, stale=self._gone()))
            try:
                await self._attach()
                continue
            except Refused as error:
                self._publish(replace(self._snapshot, stale=str(error)))
            except (Disconnected, DatabaseAway):
                pass
            await asyncio.sleep(pause * uniform(0.8, 1.2))
            pause = min(pause * BACKOFF, RETRY_MAX)

    def _gone(self) -> str:
        """Why the newest snapshot is out of date."""
        return f"{OWNER_GONE}: {self._owner.replace('pid', 'process')} ended"

    def _on_message(self) -> None:
        self._last_message_at = self._clock.elapsed()

    def _receive(self, raw: Any) -> None:
        snapshot = messages.with_events(messages.typed(Snapshot, raw), self._snapshot.events)
        zone = self._connection.zone if self._connection else ""
        self._publish(replace(snapshot, owner=f"attached, {self._owner}", zone=zone))


@asynccontextmanager
async def owner_at(citizen: str, home: Path) -> AsyncIterator[RemoteControl | None]:
    """The citizen's owner for the length of the block; None if nothing answers."""
    clock = SystemClock()
    owner: RemoteControl | None = None
    try:
        with suppress(Disconnected, OSError):
            found = RemoteControl(client_socket(citizen, home), clock)
            await found.start()
            owner = found
        yield owner
    finally:
        if owner:
            await owner.stop()
        clock.close()
