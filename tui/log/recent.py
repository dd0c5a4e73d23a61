"""The newest events in a frame: ended runs and what people did; equal ones of a task share a line."""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass

from scheduler.core.task import Outcome
from scheduler.core.views import Event
from tui.common import text as words
from tui.common.pane import Pane, Row, styled
from tui.glyphs import Glyphs
from tui.keys import key_of
from tui.log.events import Entry, EventLog, EventText, event_text, where_of

LOOKED_AT = 1000  # entries, the newest
WHERE = (12, 22)  # cells for citizen and task, at least and at most while messages are shown
QUIET = (Outcome.OK, Outcome.SKIPPED)  # outcomes that share a line; each failure has its own
_NUMBER = re.compile(r"[0-9]+")

Started = Container[tuple[str, str]]  # citizen and task of what runs now


@dataclass(frozen=True, slots=True)
class Happened:
    """An event, and how often the same happened to its task in a row."""

    entry: Entry
    times: int = 1
    since: float = 0.0


def recent(entries: Sequence[Entry], count: int, running: Started) -> list[Happened]:
    """The last `count` lines, the newest last; a start is listed only while the run is under way."""
    found: list[Happened] = []
    last: dict[tuple[str, str], int] = {}  # per task: its line to extend, if the event before is the same
    for entry in reversed(entries[-LOOKED_AT:]):
        if isinstance(entry, Event) and entry.kind == "started" and not _runs(entry, running, last):
            continue
        row = _row(entry)
        at = last.get(row, -1)
        if at >= 0 and _same(entry, found[at].entry):
            found[at] = Happened(found[at].entry, found[at].times + 1, entry.time)
        elif len(found) < count:
            last[row] = len(found)
            found.append(Happened(entry))
        else:
            last[row] = -1
    return found[::-1]


def _row(entry: Entry) -> tuple[str, str]:
    return entry.citizen, entry.task if isinstance(entry, Event) else ""


def _runs(entry: Event, running: Started, last: dict[tuple[str, str], int]) -> bool:
    return _row(entry) in running and _row(entry) not in last


def _same(entry: Entry, later: Entry) -> bool:
    """Whether both events say the same, apart from numbers."""
    return (
        isinstance(entry, Event)
        and isinstance(later, Event)
        and entry.outcome in QUIET
        and not (entry.number or entry.cost)  # a wake has its own line, with a cost
        and (entry.outcome, entry.trigger) == (later.outcome, later.trigger)
        and _NUMBER.sub("", entry.text) == _NUMBER.sub("", later.text)
    )


class RecentEvents(Pane, can_focus=False):
    """The newest events, as many as fit."""

    def __init__(self, log: EventLog, glyphs: Glyphs) -> None:
        super().__init__(glyphs, "events")
        self._log = log
        self._busy: Started = ()
        self._lines: list[Happened] = []
        self._made_of: tuple[object, ...] = ()  # what decided the lines
        self._where = WHERE[0]

    def catch_up(self, running: Started) -> None:
        """Show new events; `running` is what runs."""
        self._busy, entries = running, self._log.entries
        made_of = (entries[:1], entries[-1:], len(entries), running, self.size)
        if made_of == self._made_of:
            return
        self._made_of = made_of
        self._lines = recent(entries, self.inside, running)
        longest = max((len(where_of(line.entry)) for line in self._lines), default=0)
        least, most = WHERE
        self._where = min(max(least, longest), max(most, self.inner // 4))
        self.sync()

    def resized(self) -> None:
        self.catch_up(self._busy)

    def count(self) -> int:
        return max(1, len(self._lines))

    def foot(self) -> tuple[str, str]:
        shown = f"{len(self._lines):,} of {len(self._log.entries):,}"
        return "newest last", f"{shown}: {key_of(self, 'log', 'l')} log" if self._lines else ""

    def row(self, index: int) -> Row:
        if not self._lines:
            return styled((" nothing has happened yet", "faint"))
        line, glyphs = self._lines[index], self.glyphs
        event = event_text(line.entry, glyphs)
        text = words_of(line, event)
        where = words.fit(words.clean(event.where, glyphs.plain), self._where, glyphs.ellipsis)
        room = self.inner - 8 - 2 - 2 - self._where - 2 - 1
        loud = event.style if event.style in ("failed", "warning") else "ink"
        return styled(
            (f"{words.wall(line.entry.time)}  ", "faint"),
            (f"{event.sign} ", event.style),
            (f"{where}  ", "ink"),
            (words.shorten(text, max(0, room), glyphs.ellipsis), loud),
        )


def words_of(line: Happened, event: EventText) -> str:
    """What happened, and how often: `ok 8 times since 13:23, last in 170ms: disk 61%`."""
    entry = line.entry
    if line.times == 1 or not isinstance(entry, Event):
        return event.text
    often = f"{entry.outcome} {line.times} times since {words.moment(line.since, entry.time)}"
    last = f", last in {words.took(entry.duration)}" if entry.duration is not None else ""
    _, colon, said = event.text.partition(": ")
    return f"{often}{last}{colon}{said}"
