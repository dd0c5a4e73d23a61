"""The bar at the top: is anything wrong, what runs now, what comes next."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from scheduler.model import Kind
from tui import format as words
from tui.glyphs import Glyphs
from tui.tally import Trouble, Verdict

Piece = tuple[str, str]  # text and style, as Content.assemble takes them


class VerdictBar(Vertical):
    """Draws a verdict; its second line is there only when something is wrong."""

    def __init__(self, glyphs: Glyphs, label: str = "") -> None:
        super().__init__()
        self._glyphs, self._label = glyphs, label
        self._counts = Static(markup=False, id="counts")
        self._trouble = Static(markup=False, id="trouble")
        self._drawn: tuple[list[Piece], list[Piece]] = ([], [])

    def compose(self) -> ComposeResult:
        yield self._counts
        yield self._trouble

    def on_mount(self) -> None:
        self._trouble.display = False

    def show(self, verdict: Verdict, now: float) -> None:
        """Draw the verdict as it is at `now`, if that looks any different."""
        width = self.app.size.width
        counts = counts_line(verdict, now, width, self._glyphs, self._label)
        trouble = trouble_line(verdict, now, width, self._glyphs)
        before, self._drawn = self._drawn, (counts, trouble)
        if counts != before[0]:
            self._counts.update(Content.assemble(*counts), layout=False)
        if trouble != before[1]:
            self._trouble.update(Content.assemble(*trouble), layout=False)
            self._trouble.display = bool(trouble)


def counts_line(verdict: Verdict, now: float, width: int, glyphs: Glyphs, label: str = "") -> list[Piece]:
    """As much of the verdict as fits into `width` cells, the time of day at the right."""
    pieces: list[Piece] = []
    left = width - 1
    clock = words.wall(now)
    for text, style, least in _wanted(verdict, now, glyphs, label):
        room = left - (len(clock) + 2 if least else 0)
        if text and words.cells(text) <= room:
            pieces.append((text, style))
            left -= words.cells(text)
    if left < len(clock) + 2:
        return pieces
    return [*pieces, (" " * (left - len(clock)), ""), (clock, "$faint")]


def _wanted(verdict: Verdict, now: float, glyphs: Glyphs, label: str) -> list[tuple[str, str, bool]]:
    """Text, style, and whether the time of day matters more; in the order of the line."""
    wide = [
        (" Experience ", "bold $title", False),
        (f" {label} " if label else "", "bold reverse $warn", False),
        (_size(verdict, glyphs), "$faint", True),
    ]
    return [*wide, *_doing(verdict, now, glyphs)]


def _size(verdict: Verdict, glyphs: Glyphs) -> str:
    if verdict.loading:
        return f"  loading {'...' if glyphs.plain else '…'} "
    return f"  {words.plural(verdict.citizens, 'citizen')}{glyphs.dot}{words.plural(verdict.tasks, 'task')} "


def _doing(verdict: Verdict, now: float, glyphs: Glyphs) -> list[tuple[str, str, bool]]:
    kind = glyphs.kind
    running, failing = verdict.running, verdict.failing
    parts = [(f"  {kind[Kind.RUNNING]} {running} running ", "$run" if running else "$faint", False)]
    if failing:
        parts.append((f"  {kind[Kind.FAILED]} {failing} failing ", "bold $bad", False))
    elif verdict.tasks:
        parts.append((f"  {kind[Kind.OK]} all well ", "$ok", True))
    if verdict.due is not None:
        parts.append((f"  next {words.clean(verdict.next, glyphs.plain)} ", "$faint", True))
        parts.append((words.countdown(verdict.due - now).rjust(words.TIME), "$ink", True))
    return parts


def trouble_line(verdict: Verdict, now: float, width: int, glyphs: Glyphs) -> list[Piece]:
    """The worst trouble in one line, nothing if all is well."""
    trouble = verdict.worst
    if trouble is None:
        return []
    more = f"{glyphs.dot}{verdict.troubles - 1} more" if verdict.troubles > 1 else ""
    row = f"{glyphs.dot}{trouble.again} in a row" if trouble.again > 1 else ""
    mark = f" {glyphs.kind[Kind.FAILED]} "
    room = width - words.cells(mark + row + more) - 1
    if room < 20:
        row, more, room = "", "", width - words.cells(mark) - 1
    said = words.shorten(words.clean(said_of(trouble, now), glyphs.plain), room, glyphs.ellipsis)
    return [(mark, "bold $bad"), (said, "$bad"), (row + more, "$faint")]


def said_of(trouble: Trouble, now: float) -> str:
    """A trouble as one sentence, not yet cleaned."""
    if trouble.since is None:
        joint = " " if trouble.where == "scheduler" else ": "
        return f"{trouble.where}{joint}{trouble.text}"
    return f"{trouble.where} failed {words.span(now - trouble.since)} ago: {trouble.text}"
