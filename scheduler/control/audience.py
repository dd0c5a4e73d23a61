"""Everybody who watches one citizen through its socket: each snapshot is made once, and the newest wins."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from scheduler.control import messages as wire
from scheduler.core.views import Snapshot

log = logging.getLogger("experience.server")

FEW = 8  # clients served in one turn of the loop, at some 15 us each: a run that is due waits for no more
STUCK = 30.0  # seconds without taking a byte after which a client is let go


class Encoded(Protocol):
    """A scheduler as its audience needs it."""

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]: ...

    def snapshot(self) -> Snapshot: ...


class Subscriber:
    """One client that watches, and how much it has been shown."""

    __slots__ = ("shown", "taking", "told", "writer")

    def __init__(self, writer: asyncio.StreamWriter, told: int) -> None:
        self.writer, self.told = writer, told
        self.shown = -1
        self.taking: asyncio.Task[None] | None = None  # until it has taken what was sent before


class Broadcaster:
    """Shows the newest snapshot to all its seats; what is in between is never made for the slow ones."""

    def __init__(self, shown: Encoded) -> None:
        self._shown = shown
        self._seats: dict[Subscriber, None] = {}
        self._version = 0
        self._news = asyncio.Event()
        self._showing: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    def enter(self, writer: asyncio.StreamWriter, told: int) -> Subscriber:
        """Show this client the newest snapshot, with the events after `told`, and everything new."""
        seat = Subscriber(writer, told)
        self._seats[seat] = None
        if self._showing is None:
            self._unsubscribe = self._shown.subscribe(self._changed)
            self._showing = asyncio.create_task(self._show(), name="audience")
            self._showing.add_done_callback(_never_silent)
        self._news.set()
        return seat

    def leave(self, seat: Subscriber) -> None:
        """This client watches no more; with the last one nothing is listened to either."""
        del self._seats[seat]
        if seat.taking:
            seat.taking.cancel()
        if not self._seats and self._showing:
            self._unsubscribe()
            self._showing.cancel()
            self._showing = None

    def _changed(self) -> None:
        self._version += 1
        self._news.set()

    async def _show(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            version, snapshot = self._version, self._shown.snapshot()
            made: dict[int, bytes] = {}  # most clients were told the same until now
            late = [seat for seat in self._seats if seat.shown != version and seat.taking is None]
            for number, seat in enumerate(late, 1):
                if seat.told not in made:
                    made[seat.told] = wire.snapshot_message(snapshot, seat.told)
                self._hand(seat, made[seat.told])
                seat.shown = version
                seat.told = snapshot.events[-1].seq if snapshot.events else seat.told
                if number % FEW == 0:
                    await asyncio.sleep(0)

    def _hand(self, seat: Subscriber, message: bytes) -> None:
        """Send it; a client that does not take it whole gets the next one when it has."""
        seat.writer.write(message)
        if seat.writer.transport.get_write_buffer_size():
            seat.taking = asyncio.create_task(self._taken(seat))

    async def _taken(self, seat: Subscriber) -> None:
        try:
            await taken(seat.writer)
        except OSError:
            seat.writer.transport.abort()
            return
        seat.taking = None
        self._news.set()


def _never_silent(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("screens are not told any more", exc_info=error)


async def taken(writer: asyncio.StreamWriter) -> None:
    """Return when the client has taken what was sent; raises OSError when it does not, or has gone."""
    try:
        async with asyncio.timeout(STUCK):
            await writer.drain()
    except TimeoutError:
        raise ConnectionAbortedError("a client takes nothing") from None
