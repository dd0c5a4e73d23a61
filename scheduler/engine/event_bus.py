"""The event bus of one citizen: its newest events, and subscribers for runs and for changes."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from itertools import count
from logging import INFO, WARNING
from typing import Any, TypeVar

from scheduler.core.costs import RunCost
from scheduler.core.ports import Listener
from scheduler.core.records import FinishedRun
from scheduler.core.task import WAKE, Outcome, Trigger
from scheduler.core.views import Event
from scheduler.process.who import Who
from scheduler.system.clock import Clock

log = logging.getLogger("experience")

T = TypeVar("T")

OK = Outcome.OK
SHOW_EVERY = 0.03  # seconds between two calls, so that a burst of runs causes one repaint
EVENTS_KEPT = 200


class Subscribers(dict[int, Callable[[], None]]):
    """Callbacks on this loop; a plain dict, since every run checks whether it is empty."""

    def __init__(self) -> None:
        super().__init__()
        self._keys = count()

    def add(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back from now on; call the result to unsubscribe."""
        key = next(self._keys)
        self[key] = callback

        def forget() -> None:
            self.pop(key, None)

        return forget

    def notify(self) -> None:
        for callback in list(self.values()):
            callback()


async def snapshots(
    subscribe: Callable[[Callable[[], None]], Callable[[], None]], newest: Callable[[], T]
) -> AsyncGenerator[T, None]:
    """Yield the newest value at once and again after each change; a slow reader skips some."""
    changed = asyncio.Event()
    forget = subscribe(changed.set)
    try:
        while True:
            yield newest()
            await changed.wait()
            changed.clear()
    finally:
        forget()


def _ignore(_: object) -> None: ...


class EventBus:
    """Keeps the newest events; calls subscribers for each run, and at most every 30 ms for any change."""

    def __init__(self, citizen: str, clock: Clock) -> None:
        self._citizen, self._clock = citizen, clock
        self._events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._noted: deque[tuple[Any, ...]] = deque(maxlen=EVENTS_KEPT)
        self._seq = 0
        self._subscribers = Subscribers()
        self._pending = False
        self._shown_at = 0.0
        self.trouble: Callable[[Event], None] = _ignore  # called with each run that did not end well
        self.record: Callable[[FinishedRun], None] = _ignore  # called with each run that ended
        self.listeners: tuple[Listener, ...] = ()  # called when a run starts and when it ends

    def events(self) -> tuple[Event, ...]:
        """The newest events, the newest last; they are built only here, since few are ever read."""
        self._events.extend(map(self._event, self._noted))
        self._noted.clear()
        return tuple(self._events)

    def _event(self, noted: tuple[Any, ...]) -> Event:
        seq, at, kind, *facts = noted
        return Event(seq, at, kind, self._citizen, *facts)

    def add_event(
        self,
        kind: str,
        task: str = "",
        outcome: Outcome | None = None,
        text: str = "",
        trigger: Trigger | None = None,
        duration: float | None = None,
        late: float | None = None,
        who: Who | None = None,
        cost: RunCost | None = None,
        number: int = 0,
        provider: str = "",
    ) -> None:
        """Keep and log an event."""
        self._seq = seq = self._seq + 1
        at = self._clock.now()
        noted = (seq, at, kind, task, outcome, text, trigger, duration, late, who, cost, number, provider)
        self._noted.append(noted)
        if outcome is not None and outcome is not OK and kind == "finished" and task != WAKE:
            self.trouble(self._event(noted))  # a wake has its own event in the memory
        if log.isEnabledFor(INFO):
            level = WARNING if outcome and outcome.bad else INFO
            log.log(level, kind, extra={"event": self._event(noted)})

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back on this loop after changes; call the result to unsubscribe."""
        return self._subscribers.add(callback)

    def notify(self) -> None:
        """Tell subscribers that something changed; nearly free without any."""
        if self._pending or not self._subscribers:
            return
        self._pending = True
        loop = asyncio.get_running_loop()
        wait = self._shown_at + SHOW_EVERY - loop.time()
        if wait <= 0:
            loop.call_soon(self._flush)
        else:
            loop.call_later(wait, self._flush)

    def _flush(self) -> None:
        self._pending = False
        self._shown_at = asyncio.get_running_loop().time()
        self._subscribers.notify()
