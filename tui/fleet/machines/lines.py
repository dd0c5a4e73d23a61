"""Panel lines about a citizen's machine: that it is silent, that the citizen moved, where it runs."""

from rich.segment import Segment

from scheduler.core.machines import Host
from scheduler.core.views import TaskStatus
from tui.common import text as words
from tui.common.styles import FADED, Styles, edge_style
from tui.fleet.machines.words import aside, is_news, seat, silence
from tui.fleet.notices import Notice
from tui.fleet.panels.rows import Line, RowState
from tui.glyphs import Glyphs


class SilenceLine(Line):
    """The time of the last known state; at the right, how long the machine has been silent."""

    def __init__(self, host: Host, inner: int, glyphs: Glyphs) -> None:
        super().__init__(glyphs)
        assert host.silent_since is not None
        self._since, self._inner = host.silent_since, inner
        self._text = words.clean(f"{glyphs.kind[TaskStatus.WARNING]} {silence(host)}", glyphs.plain)

    def state(self, now: float, light: int) -> RowState:
        return RowState(self, words.ago(now - self._since), light=light)

    def paint(self, state: RowState, styles: Styles) -> list[Segment]:
        end = f" {state.time}"
        said = words.fit(self._text, self._inner - words.cells(end), self.glyphs.ellipsis)
        return [Segment(f" {said}{end}", styles.style("warning", state.light & ~FADED))]


class MoveLine(Line):
    """That the citizen has just moved, with the time."""

    def __init__(self, host: Host, inner: int, glyphs: Glyphs) -> None:
        super().__init__(glyphs)
        sign, end = glyphs.kind[TaskStatus.RUNNING], f" {words.wall(host.moved_at)}"
        said = words.clean(f"{sign} moved from {host.moved_from} to {host.machine}", glyphs.plain)
        self._text = f" {words.fit(said, inner - len(end), glyphs.ellipsis)}{end}"

    def paint(self, state: RowState, styles: Styles) -> list[Segment]:
        return [Segment(self._text, styles.style("running", state.light))]


def banner(host: Host, now: float, inner: int, glyphs: Glyphs) -> list[Line]:
    """The lines about the machine above the rows."""
    if host.silent_since is not None:
        return [SilenceLine(host, inner, glyphs)]
    return [MoveLine(host, inner, glyphs)] if is_news(host, now) else []


class SeatLine(Line):
    """The bottom edge of a panel: the machine first, which is always shown, then what is wrong."""

    bare = True

    def __init__(self, host: Host, here: bool, notices: list[Notice], width: int, glyphs: Glyphs) -> None:
        super().__init__(glyphs)
        self._host, self._here, self._width = host, here, width
        self._wrong = notices[0] if notices else None

    def state(self, now: float, light: int) -> RowState:
        return RowState(self, "\n".join((*self._left(now), "", aside(self._host, now))), light=light)

    def _left(self, now: float) -> tuple[str, ...]:
        return seat(self._host, self._here, now)

    def paint(self, state: RowState, styles: Styles) -> list[Segment]:
        glyphs, room = self.glyphs, max(0, self._width - 6)
        *lefts, _, right = (self._clean(each) for each in state.time.split("\n"))
        left = next((each for each in lefts if words.cells(each) <= room), lefts[-1])
        left = words.shorten(left, room, glyphs.ellipsis)
        wrong = self._wrong_words(room - words.cells(left) - len(glyphs.dot))
        used = words.cells(left + wrong)
        end = f" {right} " if right and used + words.cells(right) + 4 <= room else ""
        frame, light = edge_style(styles, state.light), state.light & FADED
        silent = self._host.silent_since is not None
        line = glyphs.across * (self._width - 6 - used - words.cells(end))
        return [
            Segment(f"{glyphs.corners[2]}{glyphs.across} ", frame),
            Segment(left, styles.style("warning" if silent else "faint", 0 if silent else light)),
            Segment(wrong, styles.style(self._wrong.style if self._wrong else "faint", light)),
            Segment(f" {line}", frame),
            Segment(end, styles.style("faint", light)),
            Segment(f"{glyphs.across}{glyphs.corners[3]}", frame),
        ]

    def _wrong_words(self, room: int) -> str:
        if self._wrong is None or room < 8:
            return ""
        return self.glyphs.dot + words.shorten(self._clean(self._wrong.text), room, self.glyphs.ellipsis)

    def _clean(self, text: str) -> str:
        return words.clean(text.replace(" · ", self.glyphs.dot), self.glyphs.plain)
