"""Events as words and signs, for the log."""

from dataclasses import dataclass

from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Event, TaskStatus
from tui.common import text as words
from tui.fleet.notices import first_line
from tui.glyphs import Glyphs
from tui.log.events import Entry, Gap

LATE = 1.0  # seconds that are worth a word
LONGEST = 500  # characters of what a run said
OUTCOMES = {
    Outcome.OK: TaskStatus.OK,
    Outcome.WARNING: TaskStatus.WARNING,
    Outcome.FAILED: TaskStatus.FAILED,
    Outcome.TIMED_OUT: TaskStatus.FAILED,
    Outcome.INTERRUPTED: TaskStatus.FAILED,
    Outcome.SKIPPED: TaskStatus.NEVER,
}
HAPPENED = {"started": TaskStatus.RUNNING, "wake started": TaskStatus.RUNNING, "paused": TaskStatus.PAUSED}
BEGAN = {
    Trigger.SCHEDULE: "started",
    Trigger.FORCE: "forced",
    Trigger.WAKE: "started for the wake",
    Trigger.RETRY: "tried again",
    Trigger.CATCH_UP: "started to catch up",
}


@dataclass(frozen=True, slots=True)
class EventText:
    """One event: its sign, how that looks, whose it is, and what happened; cleaned."""

    sign: str
    style: str
    where: str
    text: str


def said(entry: Entry, glyphs: Glyphs) -> EventText:
    """The entry for the screen."""
    if isinstance(entry, Gap):
        return EventText(glyphs.dot.strip(), "warning", entry.citizen, f"{entry.skipped} skipped")
    kind = kind_of(entry)
    sign = glyphs.kind[kind] if kind else glyphs.dot.strip()
    return EventText(
        sign, STYLES.get(kind, "faint"), where_of(entry), words.clean(text_of(entry), glyphs.plain)
    )


def where_of(entry: Entry) -> str:
    """`citizen/task`, or only the citizen."""
    return f"{entry.citizen}/{entry.task}" if isinstance(entry, Event) and entry.task else entry.citizen


def text_of(event: Event) -> str:
    """What happened in one line, not yet cleaned."""
    more = first_line(event.text[:LONGEST])
    what = f"{_what(event)}: {more}" if more else _what(event)
    return f"{what}, {event.late:.1f} s late" if event.late and event.late >= LATE else what


def searched(entry: Entry) -> str:
    """All the words that a filter looks into."""
    if isinstance(entry, Gap):
        return f"{entry.citizen} skipped"
    trigger = entry.trigger.value if entry.trigger else ""
    return f"{where_of(entry)} {_what(entry)} {trigger} {entry.text[:LONGEST]}".casefold()


def _what(event: Event) -> str:
    if event.kind == "started" and event.trigger:
        return BEGAN[event.trigger]
    if event.outcome is None:
        return event.kind
    wake = "wake " if event.kind.startswith("wake") else ""
    took = f" in {words.took(event.duration)}" if event.duration is not None else ""
    return f"{wake}{event.outcome}{took}"


def kind_of(event: Event) -> TaskStatus | None:
    """The sign of a task whose last event this is; None for what is no state."""
    return OUTCOMES[event.outcome] if event.outcome else HAPPENED.get(event.kind)


STYLES: dict[TaskStatus | None, str] = {
    TaskStatus.OK: "ok",
    TaskStatus.WARNING: "warning",
    TaskStatus.FAILED: "failed",
    TaskStatus.RUNNING: "running",
}
