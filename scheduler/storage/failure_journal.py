"""Tells a citizen's memory of runs that did not go well: in batches, off the loop, and bounded."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from scheduler.core.task import Outcome
from scheduler.core.views import Event
from scheduler.storage.memory import append_events
from scheduler.system.clock import Clock, Timer

log = logging.getLogger("experience.memory")

PAUSE = 2.0  # seconds in which more may come that goes into the same write
SHARE = 100  # a long day takes 0.1 s to write: that may cost a hundredth of the time
RETRY = 30.0  # seconds after a write that failed
WINDOW = 600.0  # seconds in which the same trouble of the same task is told once, and then counted
WAITING = 500  # events kept while they cannot be written
CLOSING = 5.0  # seconds that the last write may take
WIDTH = 500  # characters of what a run said

TYPES = {
    Outcome.FAILED: "task_failed",
    Outcome.TIMED_OUT: "task_timed_out",
    Outcome.INTERRUPTED: "task_interrupted",
    Outcome.WARNING: "task_warning",
    Outcome.SKIPPED: "task_skipped",
}

Entry = tuple[dict[str, Any], float]
Key = tuple[str, Outcome | None]


@dataclass(slots=True)
class Again:
    """The same trouble since it was last told: how often, and what was said at last."""

    timer: Timer
    since: float
    times: int = 0
    last: Event | None = None


class FailureJournal:
    """Takes events on the loop, at no more than the cost of a list, and writes them on a thread."""

    def __init__(self, citizen: str, home: Path, clock: Clock) -> None:
        self._citizen, self._home, self._clock = citizen, home, clock
        self._begun = self._closed = False
        self._early: list[Event] = []
        self._again: dict[Key, Again] = {}
        self._waiting: list[Entry] = []
        self._lost = 0
        self._pause = PAUSE
        self._timer: Timer | None = None
        self._writing: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """From now on write; also what came before there was a loop."""
        self._begun = True
        early, self._early = self._early, []
        for event in early:
            self.trouble(event)

    def trouble(self, event: Event) -> None:
        """A run did not go well: tell it, or count it if it was told a short while ago."""
        if not self._begun:
            self._early.append(event)
            return
        key = (event.task, event.outcome)
        if again := self._again.get(key):
            again.times, again.last = again.times + 1, event
            return
        timer = self._clock.call_later(WINDOW, partial(self._tell_again, key))
        self._again[key] = Again(timer, event.time)
        self._put(_entry(event))

    async def close(self) -> None:
        """Write what is left, once; a disk that refuses or hangs keeps nobody here."""
        self._closed = True
        for key, again in list(self._again.items()):
            again.timer.cancel()
            self._tell_again(key)
        if self._timer:
            self._timer.cancel()
        last = asyncio.create_task(self._last(), name=f"{self._citizen}/chronicle")
        _, late = await asyncio.wait({last}, timeout=CLOSING)
        if late:
            last.cancel()
            await asyncio.wait({last})
        if self._waiting:
            log.error("events not recorded", extra={"citizen": self._citizen, "events": len(self._waiting)})

    async def _last(self) -> None:
        if self._writing:
            await asyncio.wait({self._writing})
        if self._waiting:
            await self._write()

    def _tell_again(self, key: Key) -> None:
        again = self._again.pop(key)
        if again.last is not None:
            self._put(_entry(again.last, again))

    def _put(self, entry: Entry) -> None:
        self._waiting.append(entry)
        self._bound()
        if not (self._timer or self._writing or self._closed):
            self._later(self._pause)

    def _bound(self) -> None:
        if (over := len(self._waiting) - WAITING) > 0:
            del self._waiting[:over]
            self._lost += over

    def _later(self, seconds: float) -> None:
        self._timer = self._clock.call_later(seconds, self._start)

    def _start(self) -> None:
        self._timer = None
        self._writing = asyncio.create_task(self._write(), name=f"{self._citizen}/chronicle")
        self._writing.add_done_callback(self._written)

    def _written(self, writing: "asyncio.Task[None]") -> None:
        if not writing.cancelled() and (error := writing.exception()):
            log.error("events not recorded", exc_info=error, extra={"citizen": self._citizen})

    async def _write(self) -> None:
        batch, self._waiting = self._waiting, []
        began = self._clock.elapsed()
        try:
            await asyncio.to_thread(_write_all, self._home, batch)
            self._pause = max(PAUSE, SHARE * (self._clock.elapsed() - began))
        except OSError as error:
            self._pause = RETRY
            more = {"citizen": self._citizen, "error": str(error), "events": len(batch)}
            log.warning("events not recorded yet", extra=more)
        finally:
            # Here, not in a callback: what comes until that is called would wait for ever.
            self._writing = None
            self._waiting = batch + self._waiting  # what could not be written comes again
            self._bound()
        self._say_lost()
        if self._waiting and not self._closed:
            self._later(self._pause)

    def _say_lost(self) -> None:
        if self._lost:
            log.error("events lost", extra={"citizen": self._citizen, "events": self._lost})
            self._lost = 0


def _write_all(home: Path, batch: list[Entry]) -> None:
    """Empties `batch` day by day, so that what is written is not written again after an error."""
    while batch:
        del batch[: append_events(home, batch)]


def _entry(event: Event, again: Again | None = None) -> Entry:
    content = f"{event.task}: {event.text[:WIDTH]}"
    found: dict[str, Any] = {
        "type": TYPES.get(event.outcome or Outcome.FAILED, "task_failed"),
        "task": event.task,
        "outcome": event.outcome,
        "content": content,
    }
    if again:
        since = f"{datetime.fromtimestamp(again.since, UTC):%H:%M}"
        times = "once" if again.times == 1 else f"{again.times} times"
        found |= {"content": f"{content.splitlines()[0]} ({times} more since {since})", "times": again.times}
    return found, event.time
