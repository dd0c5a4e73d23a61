"""What a panel reports besides its tasks: the citizen's problems, its owner, its wake, new failures."""

from collections.abc import Iterator
from enum import IntEnum

from scheduler.core.state import first_line
from scheduler.core.task import WAKE
from scheduler.core.values import value
from scheduler.core.views import OWNER_GONE, Heartbeat, Snapshot
from tui.common.text import moment
from tui.fleet.broken import Broken, broken, near

RECORDED = "no wake command: wakes are only recorded"
ATTEMPT = "attempt "  # the start of a task's note while it waits for a retry
STALLED_AFTER = 2.0  # seconds of a stalled scheduler loop


class Severity(IntEnum):
    """The severity of a notice, the worst first."""

    STALLED = 0
    STALE = 1
    UNSAVED = 2
    PROBLEM = 3
    WAKE = 4
    FACT = 5
    FROZEN = 6  # a banner shows it; milder than a failure, but nothing runs
    HELD = 7  # a row waits for money or for a provider


STYLES = {Severity.FACT: "faint", Severity.PROBLEM: "warning", Severity.WAKE: "warning"}


@value
class Notice:
    """One sentence, not yet cleaned; `short` is used where there is little room."""

    rank: Severity
    text: str
    short: str = ""

    @property
    def style(self) -> str:
        return STYLES.get(self.rank, "failed")


def notices(snapshot: Snapshot, pulse: Heartbeat | None = None) -> list[Notice]:
    """All notices of a citizen, the worst first."""
    return [*_wrongs(snapshot, pulse), *_facts(snapshot)]


def faded(snapshot: Snapshot, pulse: Heartbeat | None) -> bool:
    """Whether the screen may show outdated values."""
    return bool(snapshot.stale) or stalled(pulse)


def stalled(pulse: Heartbeat | None) -> bool:
    return pulse is not None and pulse.age > STALLED_AFTER


def stall_words(pulse: Heartbeat) -> str:
    by = f" by {pulse.culprit}" if pulse.culprit else ""
    return f"stalled {int(pulse.age)} s{by}"


def _wrongs(snapshot: Snapshot, pulse: Heartbeat | None) -> Iterator[Notice]:
    if pulse is not None and stalled(pulse):
        yield Notice(Severity.STALLED, stall_words(pulse))
    wrong = broken(snapshot)
    if wrong:
        yield _of_settings(wrong, snapshot)
    elif snapshot.stale:
        yield _not_live(snapshot.stale.removeprefix(f"{snapshot.citizen}: "))
    if snapshot.unsaved:
        yield Notice(Severity.UNSAVED, f"not saved: {snapshot.unsaved}")
    for problem in snapshot.problems:
        if wrong is None or problem not in wrong.lines:
            yield Notice(Severity.PROBLEM, near(problem))
    error, row = snapshot.wake.error, snapshot.task(WAKE)
    if error and not (row and row.error and row.error.text == error):  # otherwise its row shows it
        said = first_line(error)
        yield Notice(Severity.WAKE, said if said.startswith("wake ") else f"wake failed: {said}")


def lost(snapshot: Snapshot | None) -> bool:
    """Whether the citizen's owner has died."""
    return snapshot is not None and snapshot.stale.startswith(OWNER_GONE)


def _not_live(reason: str) -> Notice:
    if reason.startswith(OWNER_GONE):
        return Notice(Severity.STALE, f"{reason}. O takes over", f"{OWNER_GONE}. O takes over")
    return Notice(Severity.STALE, f"not live: {near(reason)}")


def _of_settings(wrong: Broken, snapshot: Snapshot) -> Notice:
    """The notice for the frame of the panel; the problem lines are shown where there is room."""
    if wrong.since is not None:
        when = moment(wrong.since, snapshot.events[-1].time if snapshot.events else wrong.since)
        return Notice(Severity.PROBLEM, f"runs with the settings of {when}")
    return Notice(Severity.PROBLEM, "does not run: its settings are wrong")


def _facts(snapshot: Snapshot) -> Iterator[Notice]:
    owner = snapshot.owner
    if lost(snapshot) or broken(snapshot):  # already reported
        pass
    elif owner == "here":
        yield Notice(Severity.FACT, "runs here: closing stops it")
    elif owner.startswith("attached"):
        yield Notice(Severity.FACT, owner)
    else:
        yield Notice(Severity.FACT, f"owned by {owner}" if owner else "no process runs it")
    row = snapshot.task(WAKE)
    if snapshot.wake.note and not (row and row.note):
        yield Notice(Severity.FACT, snapshot.wake.note)
    if not snapshot.wake.configured:
        yield Notice(Severity.FACT, RECORDED, "no wake command")


class NewFailures:
    """Finds new failures by comparing snapshots; a failure in the first one is not new."""

    def __init__(self) -> None:
        self._failing: dict[str, frozenset[str]] = {}

    def has_more(self, snapshot: Snapshot) -> bool:
        """Whether a task fails now that did not fail in the previous snapshot."""
        failing = frozenset(task.name for task in snapshot.tasks if task.error is not None)
        before = self._failing.get(snapshot.citizen)
        self._failing[snapshot.citizen] = failing
        return before is not None and not failing <= before
