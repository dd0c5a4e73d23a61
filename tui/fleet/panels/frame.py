"""The lines around a panel's rows: title and wake above, the citizen's notices below."""

from rich.segment import Segment

from scheduler.core.views import Snapshot, TaskStatus
from tui.common import text as words
from tui.common.styles import FADED, Styles, edge_style
from tui.fleet.broken import broken
from tui.fleet.notices import Notice
from tui.fleet.panels.contents import WAKE
from tui.fleet.panels.layout import RECENT, Columns
from tui.fleet.panels.rows import Line, RowState
from tui.glyphs import Glyphs


class TopLine(Line):
    """The citizen's name, the number of failing tasks, and the time of its wake."""

    bare = True

    def __init__(
        self,
        citizen: str,
        snapshot: Snapshot | None,
        width: int,
        glyphs: Glyphs,
        joined: bool = False,
        machine: str = "",
    ) -> None:
        super().__init__(glyphs)
        self._ends = glyphs.joints if joined else glyphs.corners[:2]  # `joined` to the panel above
        self._name = words.shorten(words.clean(citizen, glyphs.plain), max(0, width - 6), glyphs.ellipsis)
        beside = words.clean(f"{glyphs.dot}{machine}", glyphs.plain) if machine else ""
        self._machine = beside if words.cells(self._name + beside) <= width - 6 else ""
        self._wake = snapshot.wake if snapshot else None
        self._ticks = snapshot is not None and snapshot.task(WAKE) is None and not snapshot.stale
        failing = sum(task.error is not None for task in snapshot.tasks) if snapshot else 0
        self._failing = f" {glyphs.kind[TaskStatus.FAILED]} {failing} " if failing else ""
        if snapshot and broken(snapshot):
            self._failing += f" {glyphs.kind[TaskStatus.FAILED]} settings "
        frozen = snapshot is not None and snapshot.freeze is not None
        held = (
            f"{glyphs.kind[TaskStatus.PAUSED]} frozen" if frozen else self._over(snapshot) if joined else ""
        )
        self._held = f" {held} " if held else ""
        self._ticks = self._ticks and not frozen
        self._room = width - 6 - words.cells(self._name + self._machine)

    def _over(self, snapshot: Snapshot | None) -> str:
        """That the wake is over budget, for a panel whose wake row may be scrolled out of sight."""
        row = snapshot.task(WAKE) if snapshot else None
        spent = row is not None and row.kind is TaskStatus.OVER_BUDGET
        return f"{self.glyphs.kind[TaskStatus.OVER_BUDGET]} over" if spent else ""

    def state(self, now: float, light: int) -> RowState:
        wake, time = self._wake, ""
        if wake is None or not self._ticks:  # the wake's row shows it
            return RowState(self, light=light)
        if wake.running_since is not None:
            time = words.elapsed(now - wake.running_since)
        elif wake.due is not None:
            time = words.countdown(wake.due - now)
        return RowState(self, time, light=light)

    def paint(self, state: RowState, styles: Styles) -> list[Segment]:
        glyphs, light = self.glyphs, state.light & FADED
        frame = edge_style(styles, state.light)
        wake, failing, held = self._fitting(state.time)
        line = glyphs.across * (self._room - len(wake) - len(failing) - len(held))
        running = state.time and self._wake and self._wake.running_since is not None
        return [
            Segment(f"{self._ends[0]}{glyphs.across} ", frame),
            Segment(self._name, styles.style("title", light)),
            Segment(self._machine, styles.style("faint", light)),
            Segment(f" {line}", frame),
            Segment(failing, styles.style("failed", light)),
            Segment(held, styles.style("warning", light)),
            Segment(wake, styles.style("running" if running else "faint", light)),
            Segment(f"{glyphs.across}{self._ends[1]}", frame),
        ]

    def _fitting(self, time: str) -> tuple[str, str, str]:
        """The longest words about the wake that leave room for the title; the failing count, and a hold."""
        failing = self._failing if len(self._failing) + 1 <= self._room else ""
        held = self._held if len(failing) + len(self._held) + 1 <= self._room else ""
        for wake in self._wake_words(time):
            if len(wake) + 2 + len(failing) + len(held) < self._room:
                return f" {wake} ", failing, held
        return "", failing, held

    def _wake_words(self, time: str) -> list[str]:
        wake = self._wake
        if wake is None or not (time or wake.count):
            return []
        if not time:
            return [f"wake #{wake.count + 1}", words.plural(wake.count, "wake")]
        if wake.running_since is not None:
            return [f"wake #{wake.count + 1} running {time}", f"awake {time}"]
        when = time if time == "now" else f"in {time}"
        return [f"wake #{wake.count + 1} {when}", f"wake {when}"]


class HeadsLine(Line):
    """The column heads."""

    def __init__(self, columns: Columns, glyphs: Glyphs) -> None:
        super().__init__(glyphs)
        heads = f"   {'task':<{columns.name + 1}}{'next':>{words.TIME}}" + " " * (
            columns.bar_end - columns.time_end
        )
        heads += "every".rjust(columns.schedule + 1)
        heads += f"  {'last ten':<{RECENT}}" if columns.recent else ""
        heads += "took".rjust(columns.took + 1)
        heads += "  what it said last" if columns.text else ""
        self._text = words.fit(heads, columns.inner + 1, glyphs.ellipsis)

    def paint(self, state: RowState, styles: Styles) -> list[Segment]:
        return [Segment(self._text, styles.style("faint", state.light))]


class BottomLine(Line):
    """The citizen's notices, the worst first."""

    bare = True

    def __init__(self, notices: list[Notice], width: int, glyphs: Glyphs, aside: str = "") -> None:
        super().__init__(glyphs)
        self._width, self._aside = width, aside
        self._text = _fitting(notices, max(0, width - 6), glyphs)
        self._style = notices[0].style if notices else "faint"

    def paint(self, state: RowState, styles: Styles) -> list[Segment]:
        glyphs = self.glyphs
        frame, text = edge_style(styles, state.light), self._text
        if not text:
            line = glyphs.across * (self._width - 2)
            return [Segment(f"{glyphs.corners[2]}{line}{glyphs.corners[3]}", frame)]
        free = self._width - 5 - words.cells(text)
        aside = f" {self._aside} " if self._aside and words.cells(self._aside) + 5 < free else ""
        return [
            Segment(f"{glyphs.corners[2]}{glyphs.across} ", frame),
            Segment(text, styles.style(self._style, state.light & FADED)),
            Segment(f" {glyphs.across * (free - words.cells(aside) - bool(aside))}", frame),
            Segment(aside, styles.style("faint", state.light & FADED)),
            Segment(f"{glyphs.across * bool(aside)}{glyphs.corners[3]}", frame),
        ]


def _fitting(notices: list[Notice], room: int, glyphs: Glyphs) -> str:
    """The worst notice in any case, then the others that fit in full."""
    said = ""
    for notice in notices:
        text = words.clean(notice.text, glyphs.plain)
        if not said:
            short = words.clean(notice.short, glyphs.plain) if words.cells(text) > room else ""
            said = words.shorten(short or text, room, glyphs.ellipsis)
            continue
        for each in (text, words.clean(notice.short, glyphs.plain)):
            if each and words.cells(said + glyphs.dot + each) <= room:
                said += glyphs.dot + each
                break
    return said
