"""Counts over the whole fleet, its worst problem, and the bar at the top that shows them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from scheduler.core.views import Heartbeat, Snapshot, TaskStatus, TaskView
from tui.common import text as words
from tui.fleet.notices import Severity, first_line, notes, stall_words, stalled
from tui.glyphs import Glyphs

Weight = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong, said whole; the lower its weight, the worse. `since` is when it failed.

    `row` is where to look at it: citizen and task; None for what is wrong with all.
    """

    weight: Weight
    where: str
    text: str
    since: float | None = None
    again: int = 0
    row: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Ratio:
    """What one citizen adds to the counts."""

    tasks: int = 0
    running: int = 0
    failing: int = 0
    warnings: int = 0
    next: tuple[float, str] = (float("inf"), "")
    troubles: int = 0
    worst: Problem | None = None


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """The fleet in one line."""

    citizens: int = 0
    tasks: int = 0
    running: int = 0
    failing: int = 0
    warnings: int = 0
    due: float | None = None
    next: str = ""
    worst: Problem | None = None
    troubles: int = 0
    loading: bool = False
    place: int = 0  # of the trouble among all, when it is one that was gone to


COUNTED = ("tasks", "running", "failing", "warnings", "troubles")


class FleetSummary:
    """The counts, kept up at the cost of the citizens that changed."""

    def __init__(self) -> None:
        self._snapshots: dict[str, Snapshot] = {}
        self._shares: dict[str, Ratio] = {}
        self._changed: set[str] = set()
        self._counts = dict.fromkeys(COUNTED, 0)
        self._worst: dict[str, Problem] = {}
        self._sum: FleetStatus | None = None
        self.problems: tuple[str, ...] = ()
        self.loading = False

    def citizens(self, names: set[str]) -> None:
        """These citizens and no others."""
        self._sum = None
        for gone in self._shares.keys() - names:
            self._replace(gone, None)
            self._snapshots.pop(gone, None)
            self._changed.discard(gone)
        for new in names - self._shares.keys():
            self._shares[new] = Ratio()

    def put(self, snapshot: Snapshot) -> bool:
        """Take the newest snapshot; True if it is the first of its citizen."""
        citizen = snapshot.citizen
        if citizen not in self._shares:
            return False
        first = citizen not in self._snapshots
        self._snapshots[citizen] = snapshot
        self._changed.add(citizen)
        return first

    def verdict(self, pulse: Heartbeat | None = None) -> FleetStatus:
        """The counts now; `pulse` is the slowest one seen."""
        if self._changed or self._sum is None:
            for citizen in self._changed:
                self._replace(citizen, share(self._snapshots[citizen]))
            self._changed.clear()
            self._sum = self._added_up()
        more = [Problem((Severity.PROBLEM,), "settings", problem) for problem in self.problems] + _stall(
            pulse
        )
        worst = [*more, *([self._sum.worst] if self._sum.worst else [])]
        return replace(
            self._sum,
            worst=min(worst, key=_weight, default=None),
            troubles=self._sum.troubles + len(more),
            loading=self.loading,
        )

    def troubles(self) -> list[Problem]:
        """All that is wrong, the worst first; costs what there is of it."""
        wrong = [name for name, share in self._shares.items() if share.troubles]
        found = [each for name in wrong for each in _troubles(self._snapshots[name])]
        return sorted(found, key=lambda trouble: (*trouble.weight, trouble.where))

    def _replace(self, citizen: str, new: Ratio | None) -> None:
        """Only what has changed is counted again: a thousand citizens cost as much as three."""
        old = self._shares.pop(citizen, _NOTHING)
        for name in COUNTED:
            self._counts[name] += getattr(new or _NOTHING, name) - getattr(old, name)
        self._worst.pop(citizen, None)
        if new:
            self._shares[citizen] = new
            if new.worst:
                self._worst[citizen] = new.worst

    def _added_up(self) -> FleetStatus:
        due, name = min((each.next for each in self._shares.values()), default=_NOTHING.next)
        return FleetStatus(
            citizens=len(self._shares),
            tasks=self._counts["tasks"],
            running=self._counts["running"],
            failing=self._counts["failing"],
            warnings=self._counts["warnings"],
            troubles=self._counts["troubles"],
            due=due if name else None,
            next=name,
            worst=min(self._worst.values(), key=_weight, default=None),
        )


_NOTHING = Ratio()


def _weight(trouble: Problem) -> Weight:
    return trouble.weight


def share(snapshot: Snapshot) -> Ratio:
    """What this citizen adds to the counts."""
    citizen, tasks = snapshot.citizen, snapshot.tasks
    live = () if snapshot.stale else tasks  # what nobody runs is neither under way nor next
    dues = ((task.due, f"{task.name}@{citizen}") for task in live if task.due is not None and not task.queued)
    troubles = _troubles(snapshot)
    return Ratio(
        tasks=len(tasks),
        running=sum(task.running_since is not None for task in live),
        failing=sum(task.error is not None for task in tasks),
        warnings=sum(task.kind is TaskStatus.WARNING for task in tasks),
        next=min(dues, default=(float("inf"), "")),
        troubles=len(troubles),
        worst=min(troubles, key=_weight, default=None),
    )


def _troubles(snapshot: Snapshot) -> list[Problem]:
    wrong = [note for note in notes(snapshot) if note.rank < Severity.FACT]
    whole = (snapshot.citizen, "")
    said = [Problem((note.rank,), snapshot.citizen, note.text, row=whole) for note in wrong]
    return said + [_failure(snapshot.citizen, task) for task in snapshot.tasks if task.error is not None]


def _failure(citizen: str, task: TaskView) -> Problem:
    """Among failures the longest row is the worst, then the newest."""
    error = task.error
    assert error is not None  # the caller chose it for that
    again = max(1, task.failures_in_a_row)
    text = first_line(error.text) or "without a word"
    weight, row = (Severity.FACT, -again, -error.time), (citizen, task.name)
    return Problem(weight, f"{citizen}/{task.name}", text, error.time, again, row)


def _stall(pulse: Heartbeat | None) -> list[Problem]:
    if pulse is None or not stalled(pulse):
        return []
    return [Problem((Severity.STALLED,), "scheduler", stall_words(pulse))]


ROOM_FOR_TROUBLE = 6  # lines of a terminal


Piece = tuple[str, str]  # text and style, as Content.assemble takes them


class VerdictBar(Vertical):
    """Draws a verdict; its second line is there only when something is wrong."""

    def __init__(self, glyphs: Glyphs, label: str = "") -> None:
        super().__init__()
        self._glyphs, self._label = glyphs, label
        self._counts = Static(markup=False, id="counts")
        self._trouble = Static(markup=False, id="trouble")
        self._drawn: tuple[list[Piece], list[Piece]] = ([], [])
        self._trouble.display = False

    def compose(self) -> ComposeResult:
        yield self._counts
        yield self._trouble

    def show(self, verdict: FleetStatus, now: float) -> None:
        """Draw the verdict as it is at `now`, if that looks any different."""
        width = self.app.size.width
        counts = counts_line(verdict, now, width, self._glyphs, self._label)
        trouble = trouble_line(verdict, now, width, self._glyphs)
        before, self._drawn = self._drawn, (counts, trouble)
        if counts != before[0]:
            self._counts.update(Content.assemble(*counts), layout=False)
        if trouble != before[1]:
            self._trouble.update(Content.assemble(*trouble), layout=False)
        told = bool(trouble) and self.app.size.height >= ROOM_FOR_TROUBLE
        if self._trouble.display != told:
            self._trouble.display = told


def counts_line(verdict: FleetStatus, now: float, width: int, glyphs: Glyphs, label: str = "") -> list[Piece]:
    """As much of the verdict as fits into `width` cells, the time of day at the right."""
    groups = [[(" Experience ", "bold $title")], *_groups(verdict, now, glyphs, label)]
    clock = words.wall(now)
    left, kept = width - 1, []
    for index in (i for i in _WEIGHT if groups[i]):
        cells = sum(words.cells(text) for text, _ in groups[index])
        if cells <= left - (len(clock) + 2 if index in _LESS else 0):
            kept.append(index)
            left -= cells
    pieces = [piece for index in sorted(kept) for piece in groups[index]]
    if left < len(clock) + 2:
        return pieces
    return [*pieces, (" " * (left - len(clock)), ""), (clock, "$faint")]


# Which groups of the line are kept when there is no room for all; _LESS matter less than the time of day.
_NAME, _LABEL, _SIZE, _RUNNING, _STATE, _NEXT = range(6)


_WEIGHT = (_LABEL, _STATE, _NAME, _RUNNING, _NEXT, _SIZE)


_LESS = (_NEXT, _SIZE)


def _groups(verdict: FleetStatus, now: float, glyphs: Glyphs, label: str) -> Iterator[list[Piece]]:
    """What belongs together, in the order of the line."""
    kind, running = glyphs.kind, verdict.running
    yield [(f" {label} ", "bold reverse $warn")] if label else []
    yield [(_size(verdict, glyphs), "$faint")]
    yield [(f"  {kind[TaskStatus.RUNNING]} {running} running ", "$run" if running else "$faint")]
    yield _state(verdict, glyphs)
    if verdict.due is None:
        yield []
    else:
        time = words.countdown(verdict.due - now).rjust(words.TIME)
        yield [(f"  next {words.clean(verdict.next, glyphs.plain)} ", "$faint"), (time, "$ink")]


def _state(verdict: FleetStatus, glyphs: Glyphs) -> list[Piece]:
    if verdict.failing:
        return [(f"  {glyphs.kind[TaskStatus.FAILED]} {verdict.failing} failing ", "bold $bad")]
    if verdict.warnings:
        many = words.plural(verdict.warnings, "warning")
        return [(f"  {glyphs.kind[TaskStatus.WARNING]} {many} ", "$warn")]
    well = verdict.tasks and not verdict.troubles
    return [(f"  {glyphs.kind[TaskStatus.OK]} all well ", "$ok")] if well else []


def _size(verdict: FleetStatus, glyphs: Glyphs) -> str:
    if verdict.loading:
        return f"  loading {'...' if glyphs.plain else '…'} "
    return f"  {words.plural(verdict.citizens, 'citizen')}{glyphs.dot}{words.plural(verdict.tasks, 'task')} "


def trouble_line(verdict: FleetStatus, now: float, width: int, glyphs: Glyphs) -> list[Piece]:
    """The worst trouble in one line, nothing if all is well."""
    trouble = verdict.worst
    if trouble is None:
        return []
    more = _more(verdict, glyphs)
    row = f"{glyphs.dot}{trouble.again} in a row" if trouble.again > 1 else ""
    mark = f" {glyphs.kind[TaskStatus.FAILED]} "
    room = width - words.cells(mark + row + more) - 1
    if room < 20:
        row, more, room = "", "", width - words.cells(mark) - 1
    said = words.shorten(words.clean(said_of(trouble, now), glyphs.plain), room, glyphs.ellipsis)
    return [(mark, "bold $bad"), (said, "$bad"), (row + more, "$faint")]


def _more(verdict: FleetStatus, glyphs: Glyphs) -> str:
    if verdict.troubles <= 1:
        return ""
    if verdict.place:
        return f"{glyphs.dot}{verdict.place} of {verdict.troubles}"
    return f"{glyphs.dot}{verdict.troubles - 1} more"


def said_of(trouble: Problem, now: float) -> str:
    """A trouble as one sentence, not yet cleaned."""
    if trouble.since is None:
        joint = " " if trouble.where == "scheduler" else ": "
        return f"{trouble.where}{joint}{trouble.text}"
    return f"{trouble.where} failed {words.span(now - trouble.since)} ago: {trouble.text}"
