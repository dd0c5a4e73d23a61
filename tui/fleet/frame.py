"""The lines around a panel's tasks: title and wake above, what has to be said below."""

from rich.segment import Segment

from scheduler.core.views import Snapshot, TaskStatus
from tui.common import text as words
from tui.common.styles import FADED, HERE, Styles
from tui.fleet.notices import Notice
from tui.fleet.rows import RowState
from tui.glyphs import Glyphs


class TopLine:
    """The citizen's name, how many of its tasks fail, and when it wakes."""

    bare = True
    __slots__ = ("_failing", "_name", "_wake", "_width", "glyphs")

    def __init__(self, citizen: str, snapshot: Snapshot | None, width: int, glyphs: Glyphs) -> None:
        self._name = words.shorten(words.clean(citizen, glyphs.plain), max(0, width - 6), glyphs.ellipsis)
        self._wake = snapshot.wake if snapshot else None
        failing = sum(task.error is not None for task in snapshot.tasks) if snapshot else 0
        self._failing = f"{glyphs.kind[TaskStatus.FAILED]} {failing}" if failing else ""
        self._width, self.glyphs = width, glyphs

    def face(self, now: float, light: int) -> RowState:
        wake = self._wake
        if wake is None:
            return RowState(self, light=light)
        if wake.running_since is not None:
            return RowState(self, words.elapsed(now - wake.running_since), light=light)
        return RowState(self, words.countdown(wake.due - now) if wake.due is not None else "", light=light)

    def dirty(self, old: RowState, new: RowState) -> int:
        return 0

    def paint(self, face: RowState, ink: Styles) -> list[Segment]:
        glyphs, light = self.glyphs, face.light & FADED
        frame = ink.style("here" if face.light & HERE else "frame", light)
        room = self._width - 6 - words.cells(self._name)
        wake, failing = self._fitting(face.time, room)
        line = glyphs.across * (room - len(wake) - len(failing))
        style = "running" if self._wake and self._wake.running_since is not None else "faint"
        return [
            Segment(f"{glyphs.corners[0]}{glyphs.across} ", frame),
            Segment(self._name, ink.style("title", light)),
            Segment(f" {line}", frame),
            Segment(failing, ink.style("failed", light)),
            Segment(wake, ink.style(style, light)),
            Segment(f"{glyphs.across}{glyphs.corners[1]}", frame),
        ]

    def _fitting(self, time: str, room: int) -> tuple[str, str]:
        """The longest words about the wake that leave the title alone, and the failing count."""
        failing = f" {self._failing} " if self._failing and len(self._failing) + 3 <= room else ""
        for wake in self._wake_words(time):
            if len(wake) + 2 + len(failing) < room:
                return f" {wake} " if wake else "", failing
        return "", failing

    def _wake_words(self, time: str) -> list[str]:
        wake = self._wake
        if wake is None:
            return []
        if wake.running_since is not None:
            return [f"wake #{wake.count + 1} running {time}", f"awake {time}"]
        if time:
            when = time if time == "now" else f"in {time}"
            return [f"wake #{wake.count + 1} {when}", f"wake {when}"]
        return [words.plural(wake.count, "wake")] if wake.count else []


class BottomLine:
    """What is wrong with the citizen, the worst first, and who owns it; `here` is said under the cursor."""

    bare = True
    __slots__ = ("_here", "_style", "_text", "_width", "glyphs")

    def __init__(self, said: list[Notice], here: str, width: int, glyphs: Glyphs) -> None:
        self._width, self.glyphs = width, glyphs
        texts = [words.clean(note.text, glyphs.plain) for note in said]
        self._text, self._here = self._fitting(texts), self._fitting([*texts, *([here] if here else [])])
        self._style = said[0].style if said else "faint"

    def _fitting(self, texts: list[str]) -> str:
        glyphs = self.glyphs
        return words.shorten(glyphs.dot.join(texts), max(0, self._width - 6), glyphs.ellipsis)

    def face(self, now: float, light: int) -> RowState:
        return RowState(self, light=light)

    def dirty(self, old: RowState, new: RowState) -> int:
        return 0

    def paint(self, face: RowState, ink: Styles) -> list[Segment]:
        glyphs, light = self.glyphs, face.light & FADED
        frame = ink.style("here" if face.light & HERE else "frame", light)
        text = self._here if face.light & HERE else self._text
        if not text:
            line = glyphs.across * (self._width - 2)
            return [Segment(f"{glyphs.corners[2]}{line}{glyphs.corners[3]}", frame)]
        line = glyphs.across * (self._width - 5 - words.cells(text))
        return [
            Segment(f"{glyphs.corners[2]}{glyphs.across} ", frame),
            Segment(text, ink.style(self._style, light)),
            Segment(f" {line}{glyphs.corners[3]}", frame),
        ]


class PlainLine:
    """Words inside a panel that has no task to show, or nothing at all."""

    bare = False
    __slots__ = ("_text", "glyphs")

    def __init__(self, text: str, inner: int, glyphs: Glyphs) -> None:
        self.glyphs = glyphs
        self._text = words.fit(words.clean(text, glyphs.plain), inner, glyphs.ellipsis)

    def face(self, now: float, light: int) -> RowState:
        return RowState(self, light=light)

    def dirty(self, old: RowState, new: RowState) -> int:
        return 0

    def paint(self, face: RowState, ink: Styles) -> list[Segment]:
        return [Segment(f" {self._text}", ink.style("faint", face.light))]
