"""What has to be said about a citizen as a whole, the worst first."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from scheduler.core.views import Heartbeat, Snapshot, TaskStatus

_FAR = re.compile(r"(?<!\S)(?:/[^/\s:]+)*/(?=[^/\s:]+/experience\.toml\b)")
LEFT_BEHIND = "waits for "  # how the note of a task begins whose last run left something behind
STALLED_AFTER = 2.0  # seconds without a turn of the scheduler's loop


class Severity(IntEnum):
    """How bad it is, the worst first."""

    STALLED = 0
    STALE = 1
    UNSAVED = 2
    PROBLEM = 3
    WAKE = 4
    FACT = 5


STYLES = {Severity.FACT: "faint", Severity.PROBLEM: "warning", Severity.WAKE: "warning"}


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence, not yet cleaned."""

    rank: Severity
    text: str

    @property
    def style(self) -> str:
        return STYLES.get(self.rank, "failed")


def notes(snapshot: Snapshot, pulse: Heartbeat | None = None) -> list[Notice]:
    """All there is to say, in the order of its weight."""
    return [*_wrongs(snapshot, pulse), *_facts(snapshot)]


def owned_here(snapshot: Snapshot | None) -> str:
    """What closing this screen means for a citizen; empty if it means nothing."""
    return "runs here: closing stops it" if snapshot and snapshot.owner == "here" else ""


def faded(snapshot: Snapshot, pulse: Heartbeat | None) -> bool:
    """Is what the screen shows perhaps not the truth any more?"""
    return bool(snapshot.stale) or stalled(pulse)


def stalled(pulse: Heartbeat | None) -> bool:
    return pulse is not None and pulse.age > STALLED_AFTER


def stall_words(pulse: Heartbeat) -> str:
    by = f" by {pulse.culprit}" if pulse.culprit else ""
    return f"stalled {int(pulse.age)} s{by}"


def _wrongs(snapshot: Snapshot, pulse: Heartbeat | None) -> Iterator[Notice]:
    if pulse is not None and stalled(pulse):
        yield Notice(Severity.STALLED, stall_words(pulse))
    if snapshot.stale:
        yield Notice(Severity.STALE, f"not live: {_near(snapshot.stale)}")
    if snapshot.unsaved:
        yield Notice(Severity.UNSAVED, f"not saved: {snapshot.unsaved}")
    for problem in snapshot.problems:
        yield Notice(Severity.PROBLEM, _near(problem))
    if snapshot.wake.error:
        yield Notice(Severity.WAKE, f"wake failed: {first_line(snapshot.wake.error)}")


def _facts(snapshot: Snapshot) -> Iterator[Notice]:
    owner = snapshot.owner
    if owner.startswith("attached"):
        yield Notice(Severity.FACT, owner)
    elif owner != "here":
        yield Notice(Severity.FACT, f"owned by {owner}" if owner else "nobody runs it")
    if snapshot.wake.note:
        yield Notice(Severity.FACT, snapshot.wake.note)
    missing = sum(task.kind is TaskStatus.NOT_SET_UP for task in snapshot.tasks)
    if missing > 1 and missing >= len(snapshot.tasks) / 2:
        yield Notice(Severity.FACT, f"{missing} tasks not set up: open one to see what to write")
    if not snapshot.wake.configured:
        yield Notice(Severity.FACT, "no wake command: wakes are only recorded")


def first_line(text: str) -> str:
    """The first line that says anything."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _near(text: str) -> str:
    """Of a settings file only its folder: what is wrong with it stands at the end, where there is no room."""
    return _FAR.sub("", text)
