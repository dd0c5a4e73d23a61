"""The first lines of a screen: counts over the fleet, and its worst problem."""

from collections.abc import Iterator

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from scheduler.core.machines import Cluster
from scheduler.core.views import TaskStatus
from tui.common import text as words
from tui.fleet.broken import meanwhile
from tui.fleet.machines.words import on_machines
from tui.fleet.money import money_words
from tui.fleet.notices import Severity
from tui.fleet.summary import FleetStatus, Problem
from tui.glyphs import Glyphs
from tui.keys import key_of

WIDE = 100  # cells from which the problem line uses full words
LINES_FOR_PROBLEM = 6  # lines of a terminal below which there is no problem line
Piece = tuple[str, str]  # text and style, as Content.assemble takes them


class StatusBar(Vertical):
    """Draws the status; the second line is shown only if something is wrong."""

    BLANK = True  # its lines cover it; otherwise Textual would draw its own below them at each frame

    def __init__(self, glyphs: Glyphs, label: str = "") -> None:
        super().__init__()
        self._glyphs, self._label = glyphs, label
        self._counts = Static(markup=False, id="counts")
        self._worst_line = Static(markup=False, id="trouble")
        self._drawn: tuple[list[Piece], list[Piece]] = ([], [])
        self._worst_line.display = False
        self.read_only = False

    def compose(self) -> ComposeResult:
        yield self._counts
        yield self._worst_line

    def show(self, status: FleetStatus, now: float) -> None:
        """Draw the status as of `now`, if it looks different."""
        width = self.app.size.width
        counts = counts_line(status, now, width, self._glyphs, self._label)
        edit = "" if self.read_only else key_of(self, "edit", "e")
        problem = problem_line(status, now, width, self._glyphs, edit)
        before, self._drawn = self._drawn, (counts, problem)
        for line, pieces, drawn in zip((self._counts, self._worst_line), self._drawn, before, strict=True):
            if pieces != drawn:
                line.update(Content.assemble(*pieces), layout=False)
        self._worst_line.display = bool(problem) and self.app.size.height >= LINES_FOR_PROBLEM


def counts_line(status: FleetStatus, now: float, width: int, glyphs: Glyphs, label: str = "") -> list[Piece]:
    """As much of the status as fits into `width` cells, with the time of day at the right."""
    groups = list(_groups(status, now, glyphs, label))
    clock = words.wall(now)
    left, kept = width - 1, set[int]()
    for index in _WEIGHT:
        cells = sum(words.cells(text) for text, _ in groups[index])
        if cells <= left - (len(clock) + 2 if index in _LESS else 0):
            kept.add(index)
            left -= cells
    pieces = [piece for index in sorted(kept) for piece in groups[index]]
    if left < len(clock) + 2:
        return pieces
    return [*pieces, (" " * (left - len(clock)), ""), (clock, "$faint")]


# Which groups stay when not all fit, by importance; those in _LESS matter less than the time of day.
_NAME, _LABEL, _CITIZENS, _TASKS, _RUNNING, _STATE, _SILENT = range(7)
_WAITS, _FROZEN, _OVER, _MONEY, _MONTH, _NEXT = range(7, 13)
_LESS = (_NEXT, _TASKS, _WAITS, _FROZEN, _OVER, _MONTH)
_WEIGHT = (_LABEL, _STATE, _SILENT, _NAME, _RUNNING, _MONEY, _CITIZENS, *_LESS)


def _groups(status: FleetStatus, now: float, glyphs: Glyphs, label: str) -> Iterator[list[Piece]]:
    """The groups of the line, in order."""
    yield [(" Experience", "bold $title")]
    yield [("  ", ""), (f" {label} ", "bold reverse $warn")] if label else []
    yield [(_size(status, glyphs), "$faint")]
    known = status.citizens and not (status.loading or status.cluster)
    yield [(f"{glyphs.dot}{words.plural(status.tasks, 'task')}", "$faint")] if known else []
    style = "$run" if status.running else "$faint"
    running = [(f"  {glyphs.kind[TaskStatus.RUNNING]} {status.running:,} running", style)]
    yield running if status.citizens or status.loading else []
    yield _state(status, glyphs)
    yield _silent(status.cluster, glyphs)
    waits = "waits" if status.waiting == 1 else "wait"
    yield _count(glyphs.kind[TaskStatus.WAITS], status.waiting, waits)
    yield _count(glyphs.kind[TaskStatus.PAUSED], status.frozen, "frozen")
    yield _count(glyphs.kind[TaskStatus.OVER_BUDGET], status.over, "over budget")
    yield from money_words(status.money, glyphs)
    next = [(f"  next {words.clean(status.next, glyphs.plain)} ", "$faint")]
    left = "" if status.due is None else words.countdown(status.due - now).rjust(len("00:00"))
    yield [] if status.due is None else [*next, (left, "$ink")]


def _count(sign: str, number: int, words: str) -> list[Piece]:
    """How many citizens are held back for this reason; empty for none."""
    return [(f"  {sign} {number:,} {words}", "$warn")] if number else []


def _state(status: FleetStatus, glyphs: Glyphs) -> list[Piece]:
    if status.broken and not status.failing:
        return [(f"  {glyphs.kind[TaskStatus.FAILED]} settings", "bold $bad")]
    if status.failing:
        return [(f"  {glyphs.kind[TaskStatus.FAILED]} {status.failing:,} failing", "bold $bad")]
    if status.warnings:
        many = words.plural(status.warnings, "warning")
        return [(f"  {glyphs.kind[TaskStatus.WARNING]} {many}", "$warn")]
    well = status.tasks and not status.problem_count
    return [(f"  {glyphs.kind[TaskStatus.OK]} all well", "$ok")] if well else []


def _silent(cluster: Cluster | None, glyphs: Glyphs) -> list[Piece]:
    if cluster is None or not cluster.silent:
        return []
    names = words.clean(", ".join(machine.name for machine in cluster.silent), glyphs.plain)
    return [(f"  {glyphs.kind[TaskStatus.WARNING]} {names} silent", "$warn")]


def _size(status: FleetStatus, glyphs: Glyphs) -> str:
    if status.loading:
        return f"  loading {'...' if glyphs.plain else '…'}"
    if not status.citizens:
        return "  no citizens"
    on = f" on {words.plural(on_machines(status.cluster), 'machine')}" if status.cluster else ""
    return f"  {words.plural(status.citizens, 'citizen')}{on}"


def problem_line(status: FleetStatus, now: float, width: int, glyphs: Glyphs, edit: str = "") -> list[Piece]:
    """The worst problem in one line, empty if all is well; `edit` is the key to edit settings."""
    problem = status.worst
    if problem is None:
        return []
    more = _aside(status, problem, width, edit)
    row = f"{glyphs.dot}{problem.again:,} in a row" if problem.again > 1 else ""
    hold = problem.weight >= (Severity.FROZEN,)
    mark = f" {glyphs.kind[problem.sign]} "
    style = "$warn" if hold or problem.sign is TaskStatus.WARNING else "$bad"
    room = width - words.cells(mark + row + more) - 1
    if room < 20:
        row, more, room = "", "", width - words.cells(mark) - 1
    said = words.shorten(words.clean(sentence(problem, now), glyphs.plain), room, glyphs.ellipsis)
    gap = " " * (room - words.cells(said) + 1)
    return [
        (mark, f"bold {style}"),
        (said, style),
        (row, "$faint"),
        *([(gap + more, "$faint")] if more else []),
    ]


def _aside(status: FleetStatus, problem: Problem, width: int, edit: str) -> str:
    """The number of other problems, or what to do about a single one."""
    others = status.problem_count - 1
    if others < 1:
        return f"{edit} edit " if edit and problem.editable else ""
    if status.place:
        return f"{status.place:,} of {status.problem_count:,} "
    return f"{others:,} more: n " if width >= WIDE else f"n +{others:,} "


def sentence(problem: Problem, now: float) -> str:
    """A problem as one sentence, not yet cleaned."""
    if not problem.where:
        return problem.text
    if problem.settings:
        return f"{problem.where}: {problem.text}; {meanwhile(problem.settings, now)}"
    if problem.since is None:
        joint = " " if problem.where == "scheduler" else ": "
        return f"{problem.where}{joint}{problem.text}"
    return f"{problem.where} failed {words.ago(now - problem.since)} ago: {problem.text}"
