"""The lines around a panel's tasks: title and wake above, notices of the citizen below."""

from rich.segment import Segment

from scheduler.core.views import Snapshot, TaskStatus
from tui.common import text as words
from tui.common.styles import FADED, HERE, Styles
from tui.fleet.notices import Notice
from tui.fleet.panels.rows import Line, RowState
from tui.glyphs import Glyphs


class TopLine(Line):
    """The citizen's name, how many of its tasks fail, and when it wakes."""

    bare = True

    def __init__(self, citizen: str, snapshot: Snapshot | None, width: int, glyphs: Glyphs) -> None:
        super().__init__(glyphs)
        self._name = words.shorten(words.clean(citizen, glyphs.plain), max(0, width - 6), glyphs.ellipsis)
        self._wake = snapshot.wake if snapshot else None
        failing = sum(task.error is not None for task in snapshot.tasks) if snapshot else 0
        self._failing = f" {glyphs.kind[TaskStatus.FAILED]} {failing} " if failing else ""
        self._room = width - 6 - words.cells(self._name)

    def state(self, now: float, light: int) -> RowState:
        wake, time = self._wake, ""
        if wake and wake.running_since is not None:
            time = words.elapsed(now - wake.running_since)
        elif wake and wake.due is not None:
            time = words.countdown(wake.due - now)
        return RowState(self, time, light=light)

    def paint(self, state: RowState, styles: Styles) -> list[Segment]:
        glyphs, light = self.glyphs, state.light & FADED
        frame = styles.style("here" if state.light & HERE else "frame", light)
        wake, failing = self._fitting(state.time)
        line = glyphs.across * (self._room - len(wake) - len(failing))
        running = self._wake and self._wake.running_since is not None
        return [
            Segment(f"{glyphs.corners[0]}{glyphs.across} ", frame),
            Segment(self._name, styles.style("title", light)),
            Segment(f" {line}", frame),
            Segment(failing, styles.style("failed", light)),
            Segment(wake, styles.style("running" if running else "faint", light)),
            Segment(f"{glyphs.across}{glyphs.corners[1]}", frame),
        ]

    def _fitting(self, time: str) -> tuple[str, str]:
        """The longest words about the wake that leave the title alone, and the failing count."""
        failing = self._failing if len(self._failing) + 1 <= self._room else ""
        for wake in self._wake_words(time):
            if len(wake) + 2 + len(failing) < self._room:
                return f" {wake} ", failing
        return "", failing

    def _wake_words(self, time: str) -> list[str]:
        wake = self._wake
        if wake is None or not (time or wake.count):
            return []
        if not time:
            return [words.plural(wake.count, "wake")]
        if wake.running_since is not None:
            return [f"wake #{wake.count + 1} running {time}", f"awake {time}"]
        when = time if time == "now" else f"in {time}"
        return [f"wake #{wake.count + 1} {when}", f"wake {when}"]


class BottomLine(Line):
    """The citizen's notices, the worst first; `here` is added under the cursor."""

    bare = True

    def __init__(self, notices: list[Notice], here: str, width: int, glyphs: Glyphs) -> None:
        super().__init__(glyphs)
        self._width = width
        texts = [words.clean(notice.text, glyphs.plain) for notice in notices]
        self._text, self._here = self._fitting(texts), self._fitting([*texts, *([here] if here else [])])
        self._style = notices[0].style if notices else "faint"

    def _fitting(self, texts: list[str]) -> str:
        glyphs = self.glyphs
        return words.shorten(glyphs.dot.join(texts), max(0, self._width - 6), glyphs.ellipsis)

    def paint(self, state: RowState, styles: Styles) -> list[Segment]:
        glyphs, light = self.glyphs, state.light & FADED
        frame = styles.style("here" if state.light & HERE else "frame", light)
        text = self._here if state.light & HERE else self._text
        if not text:
            line = glyphs.across * (self._width - 2)
            return [Segment(f"{glyphs.corners[2]}{line}{glyphs.corners[3]}", frame)]
        line = glyphs.across * (self._width - 5 - words.cells(text))
        return [
            Segment(f"{glyphs.corners[2]}{glyphs.across} ", frame),
            Segment(text, styles.style(self._style, light)),
            Segment(f" {line}{glyphs.corners[3]}", frame),
        ]
