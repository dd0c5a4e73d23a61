"""Writes failed runs and other events to a citizen's raw memory: memory/raw/YYYY/MM/DD.json."""

import asyncio
import json
import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

from scheduler.core.task import Outcome
from scheduler.core.views import Event
from scheduler.system.clock import Clock, Timer
from scheduler.system.files import NotDurable, NotRegular, quarantine, read_file, require_home, write_json

log = logging.getLogger("experience.memory")

PAUSE = 2.0  # seconds for which events are gathered into one write
SHARE = 100  # writing takes at most one hundredth of the time (the file of a long day: 0.1 s)
RETRY = 30.0  # seconds after a failed write
WAITING = 500  # events kept in memory while they cannot be written
CLOSING = 5.0  # seconds for the last write
WIDTH = 500  # characters of a run's text
PER_DAY = 5000  # events kept per day; one more event counts the rest
MORE = "not_kept"  # the type of that last event

TYPES = {
    Outcome.FAILED: "task_failed",
    Outcome.TIMED_OUT: "task_timed_out",
    Outcome.INTERRUPTED: "task_interrupted",
    Outcome.WARNING: "task_warning",
    Outcome.STOPPED: "task_stopped",
    Outcome.SKIPPED: "task_skipped",
    Outcome.REFUSED: "task_refused",
}

Entry = tuple[dict[str, Any], float]  # an event and its time

_writing = threading.Lock()  # several threads add to the same file


class FailureJournal:
    """Collects events on the loop, at the cost of a list entry, and writes them in a thread."""

    def __init__(self, citizen: str, home: Path, clock: Clock) -> None:
        self._citizen, self._home, self._clock = citizen, home, clock
        self._begun = self._closed = False
        self._waiting: list[Entry] = []
        self._lost = 0
        self._failing = False
        self._pause = PAUSE
        self._timer: Timer | None = None
        self._write_task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start writing, including events that arrived before the loop ran."""
        self._begun = True
        self._schedule()

    def trouble(self, event: Event) -> None:
        """Record a run that did not succeed."""
        self._waiting.append((_entry(event), event.time))
        self._bound()
        self._schedule()

    async def close(self) -> None:
        """Write pending events, trying once, so that a failing or hanging disk does not delay the exit."""
        self._closed = True
        if self._timer:
            self._timer.cancel()
        last = asyncio.create_task(self._last(), name=f"{self._citizen}/failure journal")
        _, late = await asyncio.wait({last}, timeout=CLOSING)
        if late:
            last.cancel()
            await asyncio.wait({last})
        if self._waiting:
            log.error("events not recorded", extra={"citizen": self._citizen, "events": len(self._waiting)})

    async def _last(self) -> None:
        if self._write_task:
            await asyncio.wait({self._write_task})
        if self._waiting:
            await self._write()

    def _schedule(self) -> None:
        if self._waiting and self._begun and not (self._timer or self._write_task or self._closed):
            self._timer = self._clock.call_later(self._pause, self._start)

    def _start(self) -> None:
        self._timer = None
        self._write_task = asyncio.create_task(self._write(), name=f"{self._citizen}/failure journal")

    async def _write(self) -> None:
        batch, self._waiting = self._waiting, []
        began = self._clock.elapsed()
        try:
            await asyncio.to_thread(write_events, self._home, batch)
            self._pause = max(PAUSE, SHARE * (self._clock.elapsed() - began))
            if self._failing:
                log.info("events recorded again", extra={"citizen": self._citizen})
            self._failing = False
        except OSError as error:
            self._pause = RETRY
            if not self._failing:  # logged once, however often it is tried
                log.warning("events not recorded yet", extra={"citizen": self._citizen, "error": str(error)})
            self._failing = True
        finally:
            # Not in a done callback: an event that arrives before it would never be written.
            self._write_task = None
            self._waiting = batch + self._waiting  # the rest of the batch is tried again
            self._bound()
        if self._lost:
            log.error("events lost", extra={"citizen": self._citizen, "events": self._lost})
            self._lost = 0
        self._schedule()

    def _bound(self) -> None:
        if (over := len(self._waiting) - WAITING) > 0:
            del self._waiting[:over]
            self._lost += over


def _entry(event: Event) -> dict[str, Any]:
    return {
        "type": TYPES.get(event.outcome or Outcome.FAILED, "task_failed"),
        "task": event.task,
        "outcome": event.outcome,
        "content": f"{event.task}: {event.text[:WIDTH]}",
    }


# ------------------------------------------------------------------ the file of a day


@dataclass(frozen=True, slots=True)
class Day:
    """The events of a raw file, and how many of its entries are not events."""

    events: tuple[dict[str, Any], ...]
    odd: int = 0


class NoDay(ValueError):
    """The file does not hold events; the text is the reason."""


def parse_day(content: bytes) -> Day:
    """The events in a raw file, a list or v2's object with `events`; raises NoDay."""
    try:
        entries = _entries(json.loads(content))
    except (ValueError, RecursionError) as error:
        raise NoDay("invalid JSON") from error
    if not isinstance(entries, list):
        raise NoDay("not a list of events")
    events = tuple(entry for entry in entries if isinstance(entry, dict))
    return Day(events, len(entries) - len(events))


def write_events(home: Path, batch: list[Entry]) -> None:
    """Write `batch` day by day, removing what is written, so that an error repeats no event."""
    while batch:
        del batch[: append_events(home, batch)]


def append_event(home: Path, event: dict[str, Any], at: float) -> None:
    """Add `event` to the day of `at` (UTC), with its time; raises OSError if that cannot be saved.

    A file that cannot be read is moved aside, never overwritten.
    """
    append_events(home, [(event, at)])


def append_events(home: Path, events: Sequence[Entry]) -> int:
    """Add the leading events of one day, each with its time; returns how many."""
    moments = [datetime.fromtimestamp(at, UTC) for _, at in events]
    same = list(takewhile(lambda moment: moment.date() == moments[0].date(), moments))
    path = home / "memory" / "raw" / f"{same[0]:%Y/%m/%d}.json"
    require_home(home)
    with _writing:
        content = _for_update(path)
        kept = _entries(content)  # v2 wrote some days as an object, whose other keys stay
        for moment, (event, _) in zip(same, events, strict=False):
            _add(kept, {"time": moment.isoformat(timespec="seconds"), **event})
        with suppress(NotDurable):  # they are there: another attempt would record them twice
            write_json(path, content)
    return len(same)


def _entries(content: Any) -> Any:
    return content.get("events") if isinstance(content, dict) else content


def _for_update(path: Path) -> Any:
    try:
        content = json.loads(read_file(path))
        if isinstance(_entries(content), list):
            return content
    except FileNotFoundError:
        return []
    except (NotRegular, IsADirectoryError, ValueError, RecursionError):
        pass  # moved aside, like any other file without events
    quarantine(path)
    return []


def _add(events: list[Any], event: dict[str, Any]) -> None:
    if len(events) < PER_DAY:
        events.append(event)
        return
    last = events[-1]
    if not isinstance(last, dict) or last.get("type") != MORE:
        last = {"type": MORE, "count": 0}
        events.append(last)
    last["count"] += 1
    last["time"] = event["time"]
