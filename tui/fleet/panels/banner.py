"""Lines with the reason and end of a hold: above a frozen panel, and below a held row."""

from rich.segment import Segment

from scheduler.core.schedules.freeze import Freeze
from scheduler.core.views import TaskStatus
from scheduler.core.wording.spans import clock
from tui.common import text as words
from tui.common.styles import Styles
from tui.fleet.panels.holding import Below
from tui.fleet.panels.rows import INDENT, Line, RowState, TextLine
from tui.glyphs import Glyphs

DAY = 86400.0


class CountdownLine(Line):
    """Words, with the remaining time at the right."""

    def __init__(self, text: str, until: float | None, inner: int, glyphs: Glyphs) -> None:
        super().__init__(glyphs)
        self._until, self._inner = until, inner
        self._text = words.clean(text, glyphs.plain)

    def state(self, now: float, light: int) -> RowState:
        left = "" if self._until is None else words.countdown(self._until - now)
        return RowState(self, left, light=light)

    def paint(self, state: RowState, styles: Styles) -> list[Segment]:
        end = f" {state.time}" if state.time else ""
        said = words.fit(self._text, self._inner - words.cells(end), self.glyphs.ellipsis)
        return [Segment(f" {said}{end}", styles.style("warning", state.light))]


def banner(freeze: Freeze, inner: int, glyphs: Glyphs, *, whole: bool) -> list[Line]:
    """One line, and below it the reason if the `whole` banner fits."""
    why = words.clean(freeze.problem or freeze.why, glyphs.plain)
    if not (why and whole):
        return [_first(freeze, inner, glyphs)]
    short = words.shorten(why, max(0, inner - INDENT), glyphs.ellipsis)
    return [_first(freeze, inner, glyphs), TextLine(Below(short, "warning"), inner, glyphs)]


def _first(freeze: Freeze, inner: int, glyphs: Glyphs) -> Line:
    said = f"{glyphs.kind[TaskStatus.PAUSED]} {frozen_words(freeze)}"
    return CountdownLine(said, freeze.until, inner, glyphs)


def line_below(said: Below, inner: int, glyphs: Glyphs) -> Line:
    """The line for these words."""
    if said.until is None:
        return TextLine(said, inner, glyphs)
    return CountdownLine(" " * INDENT + said.text, said.until, inner, glyphs)


def frozen_words(freeze: Freeze) -> str:
    if freeze.problem:
        return "frozen: its freeze cannot be read"
    end = f" until {_end(freeze.until, freeze.since)}" if freeze.until is not None else ""
    by = f" by {freeze.by}" if freeze.by else ""
    return f"{'all ' if freeze.together else ''}frozen{end}{by}"


def _end(until: float, since: float) -> str:
    """The end of the freeze; within a day only the time, since the remaining time stands next to it."""
    return clock(until, "%H:%M") if until - since < DAY else words.moment(until, since)
