"""What the screen reports beside the tasks: problems of a citizen, new failures, help for an empty fleet."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from textual.content import Content

from scheduler.core.ports import FleetView
from scheduler.core.views import Heartbeat, Snapshot, TaskStatus
from tui.common.text import clean

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


def notices(snapshot: Snapshot, pulse: Heartbeat | None = None) -> list[Notice]:
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


EXAMPLE = """\
[citizens.opus.tasks.hello]
every = "5m"
command = ["date"]
"""


Piece = str | tuple[str, str]


def lesson(view: FleetView | None, settings: str, plain: bool, keys: tuple[str, str] = ("?", "q")) -> Content:
    """Words for a fleet without citizens; `settings` is the file, where the view does not know it.

    `keys` are those that help and quit.
    """
    if view is None or view.loading:
        return Content.from_text("loading ..." if plain else "loading …", markup=False)
    home, file = clean(f"{view.root or 'ROOT'}/opus", plain), clean(view.file or settings, plain)
    help, quit = ((key, "bold $run") for key in keys)
    ways = (help, " shows the keys, ", quit, " quits.")
    return Content.assemble(*_mend(view, plain), *_begin(home, file), *ways)


def _mend(view: FleetView, plain: bool) -> Iterator[Piece]:
    if view.problems:
        yield ("The settings want mending\n\n", "bold $title")
        yield from ((f"    {clean(problem, plain)}\n", "$bad") for problem in view.problems)
        yield from ("\n", ("experience-tui check", "$run"), " tells all of it. Save the file: ")
        yield "it is taken up while this screen runs.\n\n"


def _begin(home: str, file: str) -> Iterator[Piece]:
    yield ("No citizens yet\n\n", "bold $title")
    yield from (
        "A citizen is a name in ",
        (file or "the settings file (experience.toml)", "$ink"),
        ", such as\n\n",
    )
    yield from ((f"    {line}\n", "$run") for line in EXAMPLE.splitlines())
    yield "\nor a folder with an experience.toml (or background_tasks.json), such as\n\n"
    yield (f"    mkdir -p {shlex.quote(home)}\n", "$run")
    yield (f"    touch {shlex.quote(f'{home}/experience.toml')}\n", "$run")
    yield "\nEither is taken up while this screen runs. "


class NewFailures:
    """Compares each snapshot with the one before; what failed when it was first seen is not new."""

    def __init__(self) -> None:
        self._failing: dict[str, frozenset[str]] = {}

    def has_more(self, snapshot: Snapshot) -> bool:
        """Does a task of this citizen fail that did not when it was last looked at?"""
        failing = frozenset(task.name for task in snapshot.tasks if task.error is not None)
        before = self._failing.get(snapshot.citizen)
        self._failing[snapshot.citizen] = failing
        return before is not None and not failing <= before
