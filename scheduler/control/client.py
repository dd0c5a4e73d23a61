"""A citizen that another process owns: its snapshots as they come, its verbs through the socket."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import uniform
from typing import Any

from scheduler.control import messages as wire
from scheduler.core.details import TaskDetails
from scheduler.core.records import LISTED, RunRecord
from scheduler.core.views import Heartbeat, OutputChunk, Receipt, Snapshot
from scheduler.core.window import Slots, TimeGrid
from scheduler.engine.event_bus import Subscribers, follow
from scheduler.errors import Disconnected, SchedulerError
from scheduler.executors.streams import ChunkQueue
from scheduler.system.clock import Clock
from scheduler.system.unix_socket import peer_of

PATIENCE = 10.0  # seconds for an answer; a save on a slow disk takes some
GREETING = 3.0  # seconds for the first line
# Seconds between two attempts to find the owner again, which become rarer: a thousand citizens whose owner is
# gone would otherwise keep the loop busy for as long as it is.
RETRY, RARELY = 0.5, 5.0
SLOWER = 1.3
STEP = (
    0.25  # seconds; not all citizens of one owner knock at once, but some do: each waking of the loop costs
)
PING_AFTER = 1.0  # seconds of silence after which the owner is asked whether it is there


class Connection:
    """One conversation with an owner; ends with Disconnected for everybody who waits."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pid: int) -> None:
        self.pid = pid
        self.peer = peer_of(writer.get_extra_info("socket"))
        self._reader, self._writer = reader, writer
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._spools: dict[int, ChunkQueue] = {}
        self.on_snapshot: Callable[[Any], None] = lambda raw: None
        self.on_word: Callable[[], None] = lambda: None
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def open(cls, path: Path) -> "Connection":
        """Raises Disconnected when nobody answers, or somebody who speaks another language."""
        try:
            reader, writer = await asyncio.open_unix_connection(sock=_knock(path), limit=wire.ANSWER_LIMIT)
        except OSError:
            raise Disconnected(f"nobody answers at {path}") from None
        try:
            async with asyncio.timeout(GREETING):
                hello = wire.heard(await reader.readuntil(b"\n"))
            return cls(reader, writer, _greeted(hello))
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            writer.transport.abort()
            raise Disconnected(f"what listens at {path} does not greet as an owner does") from None
        except Disconnected:
            writer.transport.abort()
            raise

    async def ask(self, method: str, **params: Any) -> Any:
        """The result of a request; raises what the owner refused it with, or Disconnected."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(wire.line({"id": number, "method": method, "params": params}))
            async with asyncio.timeout(PATIENCE):
                return await answer
        except (OSError, TimeoutError) as error:
            raise Disconnected(f"the owner (pid {self.pid}) does not answer") from error
        finally:
            self._answers.pop(number, None)

    async def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]:
        """What the owner tells of a run until it says that this was all; the answer comes at the end."""
        number, spool = next(self._numbers), ChunkQueue()
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda done: spool.end(_why(done)))
        self._spools[number] = spool
        try:
            self._writer.write(wire.line({"id": number, "method": "follow", "params": {"task": task}}))
            async for piece in spool.pieces():
                yield piece
        finally:
            del self._answers[number], self._spools[number]
            if not answer.done():
                unfollow = {"id": next(self._numbers), "method": "unfollow", "params": {"id": number}}
                self._writer.write(wire.line(unfollow))

    async def over(self) -> None:
        """Return when the owner has hung up."""
        await asyncio.wait({self._listening})

    def close(self) -> None:
        self._listening.cancel()
        self._writer.transport.abort()

    async def _listen(self) -> None:
        try:
            while message := await self._reader.readline():
                self.on_word()
                self._heard(wire.heard(message))
        except (OSError, ValueError, asyncio.LimitOverrunError, Disconnected):
            pass
        finally:
            self._writer.transport.abort()
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(Disconnected(f"the owner (pid {self.pid}) is gone"))

    def _heard(self, message: Any) -> None:
        if not isinstance(message, dict):
            return
        if message.get("method") == "snapshot":
            self.on_snapshot(message.get("params"))
            return
        if message.get("method") == "printed" and isinstance(params := message.get("params"), dict):
            if spool := self._spools.get(_number(params)):
                spool.put(wire.piece_from(params))
            return
        answer = self._answers.get(_number(message))
        if answer is None or answer.done():
            return
        if isinstance(message.get("error"), dict):
            answer.set_exception(wire.error_of(message["error"]))
        else:
            answer.set_result(message.get("result"))


def _knock(path: Path) -> socket.socket:
    """A connection to who listens there; raises OSError, which costs a tenth of what asyncio makes of it.

    The kernel decides at once about a Unix socket: this never blocks.
    """
    knocking = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        knocking.setblocking(False)
        knocking.connect(str(path))
    except OSError:
        knocking.close()
        raise
    return knocking


def rounded(pause: float, now: float) -> float:
    """Seconds until the first whole step after the pause."""
    return pause + STEP - (now + pause) % STEP


def _number(message: Mapping[str, Any]) -> int:
    """Which request it is about, 0 for none of ours."""
    number = message.get("id")
    return number if isinstance(number, int) else 0


def _why(answer: "asyncio.Future[Any]") -> SchedulerError | None:
    """What ended it, if that was not the run."""
    error = None if answer.cancelled() else answer.exception()
    return error if isinstance(error, SchedulerError) else None


def _greeted(hello: Any) -> int:
    """The pid of the owner; raises Disconnected for what is no greeting of our version."""
    if isinstance(hello, dict) and isinstance(hello.get("error"), dict):
        raise Disconnected(str(hello["error"].get("message", "refused")))
    params = hello.get("params") if isinstance(hello, dict) else None
    if not isinstance(params, dict) or hello.get("method") != "hello":
        raise Disconnected("what listens there is no owner of a citizen")
    if params.get("protocol") != wire.PROTOCOL:
        raise Disconnected(
            f"its owner (pid {params.get('pid')}) speaks version {params.get('protocol')} of the protocol, "
            f"this is version {wire.PROTOCOL}: restart the older of the two"
        )
    pid = params.get("pid", 0)
    return pid if isinstance(pid, int) else 0


class RemoteControl:
    """A Control for a citizen of another process; finds its owner again by itself."""

    def __init__(self, citizen: str, path: Path, clock: Clock) -> None:
        self.citizen = citizen
        self._path, self._clock = path, clock
        self._snapshot = Snapshot(citizen, owner="", stale="looking for its owner")
        self._owner = ""
        self._seen = asyncio.Event()
        self._subscribers = Subscribers()
        self._connection: Connection | None = None
        self._following: asyncio.Task[None] | None = None
        self._heard, self._asked = clock.elapsed(), 0.0
        self._pings: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Attach, and stay attached; raises Disconnected if there is nobody at first."""
        self._loop = asyncio.get_running_loop()
        await self._attach()
        self._following = asyncio.create_task(self._follow(), name=f"{self.citizen}/attached")

    async def stop(self) -> None:
        if self._following:
            self._following.cancel()
            await asyncio.wait({self._following})
        if self._connection:
            self._connection.close()

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back, on this loop, whenever there is a new snapshot; calling the result ends that."""
        return self._subscribers.add(callback)

    def watch(self) -> AsyncIterator[Snapshot]:
        return follow(self.subscribe, self.snapshot)

    def pulse(self) -> Heartbeat:
        """Asking is what keeps this fresh: an owner that nobody looks at is not pinged."""
        if self._connection is None:
            return Heartbeat()  # gone is said by the snapshot
        now = self._clock.elapsed()
        if self._asked > self._heard:
            return Heartbeat(now - self._asked)
        if now - self._heard > PING_AFTER:
            self._asked = now
            self._loop.call_soon_threadsafe(self._ping)
        return Heartbeat()

    async def force(self, task: str, *, again: bool = False) -> Receipt:
        return await self._verb("force", task=task, again=again)

    async def reset(self, task: str) -> Receipt:
        return await self._verb("reset", task=task)

    async def pause(self, task: str) -> Receipt:
        return await self._verb("pause", task=task)

    async def resume(self, task: str) -> Receipt:
        return await self._verb("resume", task=task)

    async def wake(self) -> Receipt:
        return await self._verb("wake")

    async def history(
        self, task: str | None = None, *, limit: int = LISTED, failed: bool = False, before: int | None = None
    ) -> tuple[RunRecord, ...]:
        answer = await self._ask("history", task=task, limit=limit, failed=failed, before=before)
        return wire.runs_from(answer)

    async def output(self, run: int) -> str:
        return wire.text_from(await self._ask("output", run=run))

    async def slots(self, tasks: Collection[str], window: TimeGrid) -> Slots:
        asked = {"tasks": list(tasks), "start": window.start, "cell": window.cell, "cells": window.cells}
        return wire.slots_from(await self._ask("slots", **asked))

    async def explain(self, task: str) -> TaskDetails:
        return wire.details_from(await self._ask("explain", task=task))

    async def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]:
        async with aclosing(self._connected().follow(task)) as pieces:
            async for piece in pieces:
                yield piece

    async def _verb(self, method: str, **params: Any) -> Receipt:
        return wire.receipt_from(await self._ask(method, **params))

    async def _ask(self, method: str, **params: Any) -> Any:
        return await self._connected().ask(method, **params)

    def _connected(self) -> Connection:
        if self._connection is None:
            raise Disconnected(f"{self.citizen}: {self._snapshot.stale or 'no owner answers'}")
        return self._connection

    def _ping(self) -> None:
        if self._connection:
            ping = asyncio.create_task(_unanswered(self._connection))
            self._pings.add(ping)  # the loop itself holds tasks weakly
            ping.add_done_callback(self._pings.discard)

    async def _attach(self) -> None:
        connection = await Connection.open(self._path)
        connection.on_snapshot, connection.on_word = self._take, self._hear
        if self._owner != f"pid {connection.pid}":
            self._owner = f"pid {connection.pid}"
            self._snapshot = replace(self._snapshot, events=())
        events = self._snapshot.events
        self._seen.clear()
        self._connection = connection
        try:
            await connection.ask("watch", told=events[-1].seq if events else 0)
            async with asyncio.timeout(PATIENCE):
                await self._seen.wait()
        except (SchedulerError, TimeoutError) as error:
            connection.close()
            self._connection = None
            raise Disconnected(f"the owner ({self._owner}) does not show its state") from error

    async def _follow(self) -> None:
        pause = RETRY
        while True:
            if self._connection:
                await self._connection.over()
                self._connection, pause = None, RETRY
                self._say_gone()
            with suppress(Disconnected):
                await self._attach()
                continue
            await asyncio.sleep(rounded(pause * uniform(0.8, 1.2), self._clock.elapsed()))
            pause = min(pause * SLOWER, RARELY)

    def _say_gone(self) -> None:
        self._snapshot = replace(self._snapshot, stale=f"its owner ({self._owner}) is gone")
        self._subscribers.tell()

    def _hear(self) -> None:
        self._heard = self._clock.elapsed()

    def _take(self, raw: Any) -> None:
        snapshot = wire.snapshot_from(raw, self._snapshot.events)
        self._snapshot = replace(snapshot, owner=f"attached, {self._owner}")
        self._seen.set()
        self._subscribers.tell()


async def _unanswered(connection: Connection) -> None:
    """Any line from the owner is a sign of life; a refusal is one, too."""
    with suppress(SchedulerError):
        await connection.ask("ping")
