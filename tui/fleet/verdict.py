"""The bar at the top: is anything wrong, what runs now, what comes next."""

from collections.abc import Iterator

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from scheduler.core.views import TaskStatus
from tui.common import text as words
from tui.fleet.summary import FleetStatus, Problem
from tui.glyphs import Glyphs

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
