"""The events of all citizens, in order of time: as text, and as the filtered lines of the log."""

import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import attrgetter

from scheduler.core.records import RunRecord
from scheduler.core.state import first_line
from scheduler.core.task import Outcome, Trigger
from scheduler.core.values import value
from scheduler.core.views import Event, Snapshot, TaskStatus, new_events
from scheduler.spending.money import price, tokens
from tui.common import text as words
from tui.fleet.arrangement import Filter
from tui.fleet.panels.rows import STYLES
from tui.glyphs import Glyphs

KEPT = 5000
SPARE = 500  # how far the log may exceed KEPT before the oldest are dropped together
LATE = 1.0  # seconds from which a late start is shown
TEXT_LIMIT = 500  # characters of a run's text
FREE = "$0.00"
OUTCOMES = {
    Outcome.OK: TaskStatus.OK,
    Outcome.WARNING: TaskStatus.WARNING,
    Outcome.FAILED: TaskStatus.FAILED,
    Outcome.TIMED_OUT: TaskStatus.FAILED,
    Outcome.INTERRUPTED: TaskStatus.FAILED,
    Outcome.STOPPED: TaskStatus.STOPPED,
    Outcome.SKIPPED: TaskStatus.NEVER,
    Outcome.REFUSED: TaskStatus.WAITS,
}
HOLDS = ("paused", "frozen")
KIND_STATUS = {
    "started": TaskStatus.RUNNING,
    **dict.fromkeys(("waits", "away"), TaskStatus.WAITS),
    "over budget": TaskStatus.OVER_BUDGET,
    "back": TaskStatus.OK,
    **dict.fromkeys(HOLDS, TaskStatus.PAUSED),
}
TRIGGER_WORDS = {
    Trigger.SCHEDULE: "started",
    Trigger.FORCE: "forced",
    Trigger.WAKE: "started for the wake",
    Trigger.RETRY: "started again",
    Trigger.CATCH_UP: "started to catch up",
    Trigger.URGENT: "started: something is urgent",
}


@value
class Gap:
    """Events of a citizen that this process missed."""

    time: float
    citizen: str
    skipped: int


Entry = Event | Gap


class EventLog:
    """Collects the new events of each snapshot; `changed_from` is the first entry that has changed.

    The reader sets `changed_from` to the number of entries once it has them all.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.changed_from = 0
        self.lost = 0  # number of oldest entries that were dropped
        self.longest = 0  # characters of the longest citizen and task
        self._last: dict[str, Event] = {}

    def add_events(self, snapshot: Snapshot) -> bool:
        """Add the new events; return whether there were any."""
        if not snapshot.events or snapshot.events[-1] is self._last.get(snapshot.citizen):
            return False
        fresh = self._new_entries(snapshot)
        for entry in fresh:
            place = bisect_right(self.entries, entry.time, key=attrgetter("time"))
            self.entries.insert(place, entry)
            self.changed_from = min(self.changed_from, place)
            self.longest = max(self.longest, len(where_of(entry)))
        if fresh:
            self._last[snapshot.citizen] = snapshot.events[-1]
            self._trim()
        return bool(fresh)

    def add_past(self, citizen: str, runs: Sequence[RunRecord], until: float) -> None:
        """Add the runs that ended before the first known event, or else before `until`."""
        known = (entry.time for entry in self.entries if entry.citizen == citizen)
        first = min((until, *known))
        past = [_ended(citizen, run) for run in runs if run.finished < first]
        if past:
            self.entries = sorted([*past, *self.entries], key=attrgetter("time"))
            self.changed_from = 0
            self.longest = max(self.longest, *map(len, map(where_of, past)))
            self._trim()

    def _new_entries(self, snapshot: Snapshot) -> list[Entry]:
        events, missing = new_events(snapshot.events, self._last.get(snapshot.citizen))
        gap = [Gap(events[0].time, snapshot.citizen, missing)] if missing else []
        return [*gap, *events]

    def _trim(self) -> None:
        if len(self.entries) > KEPT + SPARE:
            gone = len(self.entries) - KEPT
            del self.entries[:gone]
            self.lost, self.changed_from = self.lost + gone, 0


def _ended(citizen: str, run: RunRecord) -> Event:
    """The event for a run in the history."""
    took = None if run.outcome is Outcome.SKIPPED else run.seconds
    facts = (run.outcome, run.text, run.trigger, took, None, run.who, run.cost)
    return Event(0, run.finished, "finished", citizen, run.task, *facts)


@value
class EventText:
    """One event as clean text: its sign and style, the task, and what happened."""

    sign: str
    style: str
    where: str
    text: str


def event_text(entry: Entry, glyphs: Glyphs) -> EventText:
    """The entry for the screen."""
    if isinstance(entry, Gap):
        return EventText(glyphs.dot.strip(), "warning", entry.citizen, f"{entry.skipped} skipped")
    kind = kind_of(entry)
    sign, style = (glyphs.kind[kind], STYLES[kind]) if kind else (glyphs.dot.strip(), "faint")
    return EventText(sign, style, where_of(entry), words.clean(text_of(entry), glyphs.plain))


def where_of(entry: Entry) -> str:
    """The task, citizen or provider that the entry is about."""
    return entry.about if isinstance(entry, Event) else entry.citizen


def text_of(event: Event) -> str:
    """What happened in one line, not yet cleaned."""
    more = first_line(event.text[:TEXT_LIMIT])
    if event.trigger is Trigger.RETRY and event.outcome is None and more:
        return more  # `attempt 2 of 3`
    if event.outcome is None and more.startswith(event.kind):  # the text already contains it
        return more
    if event.outcome is Outcome.STOPPED and event.duration is not None:
        stopped, _, left = more.partition("; ")
        after = f"{stopped} after {words.took(event.duration)}{_cost(event)}"
        return f"{after}; {left}" if left else after
    if event.outcome is Outcome.REFUSED and event.duration is not None:
        refused, _, why = more.partition(": ")
        return f"{refused} in {words.took(event.duration)}{_cost(event)}" + (f": {why}" if why else "")
    holds = event.kind in HOLDS and more.startswith(("until ", "(by "))
    gap = " " if holds else ": "
    what = f"{_what_happened(event)}{gap}{more}" if more else _what_happened(event)
    return f"{what}, {words.took(event.late)} late" if event.late and event.late >= LATE else what


def searched(entry: Entry) -> str:
    """The text that a filter searches."""
    if isinstance(entry, Gap):
        return f"{entry.citizen} skipped"
    trigger = entry.trigger.value if entry.trigger else ""
    return f"{where_of(entry)} {_what_happened(entry)} {trigger} {entry.text[:TEXT_LIMIT]}".casefold()


def _what_happened(event: Event) -> str:
    by = f" by {event.who}" if event.who else ""
    if event.kind == "started" and event.trigger:
        return f"{TRIGGER_WORDS[event.trigger]}{by}"
    if event.outcome is None:
        return f"{event.kind}{by}"
    took = f" in {words.took(event.duration)}" if event.duration is not None else ""
    forced = f" ({asked_words(event.trigger)}{by})" if by else ""
    return f"{event.outcome}{took}{_cost(event)}{forced}"


def _cost(event: Event) -> str:
    """`, $0.61, 88.4k tok`; empty for a run without a cost."""
    amount = price(event.cost)
    return "".join(f", {each}" for each in (amount, tokens(event.cost)) if each and each != FREE)


def asked_words(trigger: Trigger | None) -> str:
    """What a person did to start the run."""
    return "forced" if trigger is Trigger.FORCE else "asked for"


def kind_of(event: Event) -> TaskStatus | None:
    """The state of a task after this event; None for other events."""
    return OUTCOMES[event.outcome] if event.outcome else KIND_STATUS.get(event.kind)


@value
class Day:
    """A heading: the events below it happened on this day."""

    time: float


@value
class LogLine:
    """One line, and the index of its entry in the log."""

    content: Entry | Day
    index: int


class LogLines:
    """The lines of a log; a change rebuilds only the lines after it."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.lines: list[LogLine] = []
        self.filter = Filter()
        self._built = False

    def apply_filter(self, chosen: Filter) -> None:
        """Show only what the filter keeps."""
        self.filter = chosen
        self._rebuild(0)

    def catch_up(self) -> bool:
        """Add the log's new entries; return whether there were any."""
        log = self._log
        first = log.changed_from if self._built else 0
        behind = first < len(log.entries)
        if behind:
            self._rebuild(first)
            log.changed_from, self._built = len(log.entries), True
        return behind

    def line_at_entry(self, index: int) -> int:
        """The first line at or after this entry of the log."""
        return bisect_left(self.lines, index, key=lambda line: line.index)

    def _rebuild(self, first: int) -> None:
        del self.lines[self.line_at_entry(first) :]
        if self.lines and isinstance(self.lines[-1].content, Day):
            self.lines.pop()  # no event follows it any more
        last = date(self.lines[-1].content.time) if self.lines else ""
        for index, entry in enumerate(self._log.entries[first:], first):
            if not self.filter.all and not self.filter.finds(searched(entry)):
                continue
            if (today := date(entry.time)) != last:
                last = today
                self.lines.append(LogLine(Day(entry.time), index))
            self.lines.append(LogLine(entry, index))


def date(when: float) -> str:
    """The day as shown in the heading above its events."""
    return time.strftime("%a %d %b %Y", time.localtime(when))
