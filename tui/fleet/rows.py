"""A task as one line of its panel, the words below it as another."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from rich.segment import Segment

from scheduler.core.views import TaskStatus, TaskView
from tui.common import text as words
from tui.common.styles import CURSOR, HERE, MARKED, Styles
from tui.fleet.layout import Columns
from tui.fleet.notices import LEFT_BEHIND
from tui.glyphs import Glyphs


class RowState(NamedTuple):
    """All that may change in a line from one second to the next, and the line itself."""

    line: "Line"
    time: str = ""
    fill: int = 0
    light: int = 0


class Line(Protocol):
    """One line of one panel: `face` is cheap and compared each second, `paint` draws what it says.

    A `bare` line is a frame by itself, the others get one.
    """

    @property
    def bare(self) -> bool: ...

    @property
    def glyphs(self) -> Glyphs: ...

    def face(self, now: float, light: int) -> RowState: ...

    def paint(self, face: RowState, ink: Styles) -> list[Segment]: ...

    def dirty(self, old: RowState, new: RowState) -> int:
        """How many cells from the left have to be painted again; 0 for all."""
        ...


STYLES = {
    TaskStatus.OK: "ok",
    TaskStatus.WARNING: "warning",
    TaskStatus.FAILED: "failed",
    TaskStatus.NEVER: "faint",
    TaskStatus.NOT_SET_UP: "faint",
    TaskStatus.RUNNING: "running",
    TaskStatus.PAUSED: "faint",
}


class TaskLine:
    """State, name, countdown, how much of the interval is over, schedule, runs."""

    bare = False
    __slots__ = ("_columns", "_kept", "_name", "_state", "_tail", "_with_bar", "glyphs", "task")

    def __init__(self, task: TaskView, columns: Columns, glyphs: Glyphs) -> None:
        self.task, self._columns, self.glyphs = task, columns, glyphs
        self._state = state_words(task)
        self._kept: tuple[int, Styles, list[Segment], list[Segment]] | None = None
        self._name = words.fit(words.clean(task.name, glyphs.plain), columns.name, glyphs.ellipsis)
        self._tail, self._with_bar = self._tail_of_run(task)

    def face(self, now: float, light: int) -> RowState:
        task, steps = self.task, self._columns.bar * 2
        if task.running_since is not None:
            gone = now - task.running_since
            return RowState(self, words.elapsed(gone), int(steps * done(task, gone)), light)
        if self._state or task.due is None:
            return RowState(self, light=light)
        return RowState(self, words.countdown(task.due - now), int(steps * _over(task, now)), light)

    def dirty(self, old: RowState, new: RowState) -> int:
        edges = 2  # the frame and the mark left of the columns
        if old.light != new.light:
            return 0
        return edges + (self._columns.time_end if old.fill == new.fill else self._columns.bar_end)

    def paint(self, face: RowState, ink: Styles) -> list[Segment]:
        head, tail = self._still(face.light, ink)
        if self._state:
            return [*head, *tail]
        style = self._pace(face)
        time = Segment(face.time.rjust(words.TIME), ink.style(style, face.light))
        return [*head, time, *self._bar(face, ink), *tail]

    def _pace(self, face: RowState) -> str:
        if self.task.running_since is not None:
            return "running"
        return "warning" if face.time == "now" else "ink"

    def _still(self, light: int, ink: Styles) -> tuple[list[Segment], list[Segment]]:
        """What stays the same from second to second, left and right of the time and the bar."""
        if self._kept is None or self._kept[0] != light or self._kept[1] is not ink:
            self._kept = light, ink, self._head(light, ink), self._rest(light, ink)
        return self._kept[2], self._kept[3]

    def _head(self, light: int, ink: Styles) -> list[Segment]:
        task, glyphs = self.task, self.glyphs
        mark = glyphs.marked if light & MARKED else glyphs.cursor if light & CURSOR else " "
        edge = "marked" if light & MARKED else "here" if light & (CURSOR | HERE) else "frame"
        kind = STYLES[task.kind]
        name = "faint" if kind == "faint" and task.kind is not TaskStatus.NEVER else "ink"
        return [
            Segment(mark, ink.style(edge, light)),
            Segment(f"{glyphs.kind[task.kind]} ", ink.style(kind, light)),
            Segment(f"{self._name} ", ink.style(name, light)),
        ]

    def _rest(self, light: int, ink: Styles) -> list[Segment]:
        if self.task.running_since is not None:
            return [Segment(self._tail, ink.style("running", light))]
        return self._at_rest(light, ink) if self._state else self._facts(ink, light)

    def _at_rest(self, light: int, ink: Styles) -> list[Segment]:
        """What keeps the task from counting down, over the cells of the countdown and the bar."""
        columns = self._columns
        said = words.clean(self._state, self.glyphs.plain)
        if self.task.kind is TaskStatus.NOT_SET_UP:
            wide = columns.inner - columns.name - 3
            return [Segment(words.fit(said, wide, self.glyphs.ellipsis), ink.style("faint", light))]
        shown = words.fit(said, columns.bar_end - columns.name - 3, self.glyphs.ellipsis)
        style = "running" if self.task.queued else "faint"
        return [Segment(shown, ink.style(style, light)), *self._facts(ink, light)]

    def _bar(self, face: RowState, ink: Styles) -> list[Segment]:
        cells, running = self._columns.bar, self.task.running_since is not None
        if not cells or (running and not self._with_bar):
            return []
        full, half = divmod(face.fill, 2)
        glyphs, light = self.glyphs, face.light
        done = glyphs.full * full + (glyphs.half if half else "")
        return [
            Segment(f" {done}", ink.style("running" if running else "bar", light)),
            Segment(glyphs.track * (cells - len(done)), ink.style("track", light)),
        ]

    def _facts(self, ink: Styles, light: int) -> list[Segment]:
        task, columns = self.task, self._columns
        parts = []
        if columns.schedule:
            parts.append(_schedule(task.schedule, columns.schedule, self.glyphs).rjust(columns.schedule + 1))
        if columns.runs:
            parts.append(words.count(task.run_count).rjust(columns.runs + 1))
        return [Segment("".join(parts), ink.style("faint", light)), *self._result(ink, light)]

    def _result(self, ink: Styles, light: int) -> list[Segment]:
        columns = self._columns
        gap = columns.took + 1 if columns.took else 0
        took = self.task.last_duration
        lasted = words.took(took) if took is not None and gap else ""
        said = self.task.text if below(self.task) is None else ""
        text = f"  {self._text(said, columns.text - 1)}" if columns.text else ""
        return [Segment(lasted.rjust(gap) + text, ink.style("faint", light))]

    def _tail_of_run(self, task: TaskView) -> tuple[str, bool]:
        """How far a run is, in words, and whether there is room for a bar beside them."""
        if task.running_since is None:
            return "", False
        columns, text = self._columns, _progress(task)
        beside = columns.inner - columns.bar_end
        with_bar = columns.bar > 0 and beside > min(10, len(text))
        room = beside if with_bar else columns.inner - columns.time_end
        return (f" {self._text(text, room - 1)}" if room > 1 else " " * room), with_bar

    def _text(self, text: str, cells: int) -> str:
        return words.fit(words.clean(text, self.glyphs.plain), cells, self.glyphs.ellipsis)


class BelowLine:
    """What the last run had to say, below its task."""

    bare = False
    __slots__ = ("_count", "_style", "_text", "glyphs")

    def __init__(self, text: str, style: str, again: int, inner: int, glyphs: Glyphs) -> None:
        self._count = f" {glyphs.times}{again}" if again > 1 and inner > 24 else ""
        room = inner - 2 - len(self._count)
        self._style, self.glyphs = style, glyphs
        self._text = words.fit(words.clean(text, glyphs.plain), room, glyphs.ellipsis)

    def face(self, now: float, light: int) -> RowState:
        return RowState(self, light=light)

    def dirty(self, old: RowState, new: RowState) -> int:
        return 0

    def paint(self, face: RowState, ink: Styles) -> list[Segment]:
        style = ink.style(self._style, face.light)
        return [Segment(f"   {self._text}", style), Segment(self._count, ink.style("faint", face.light))]


def below(task: TaskView) -> tuple[str, str] | None:
    """The words below a task's row and their style, if it has any to say."""
    if task.note.startswith(LEFT_BEHIND):  # nothing runs before that has ended
        return task.note, "warning"
    if task.error is not None:
        return task.error.first_line or "failed without a word", "failed"
    if task.kind is TaskStatus.WARNING and task.text.strip():
        return task.text.strip().splitlines()[0], "warning"
    return (task.note, "warning") if task.note else None


def lines_of(tasks: Sequence[TaskView]) -> int:
    """How many lines these tasks take."""
    return sum(1 if below(task) is None else 2 for task in tasks)


def state_words(task: TaskView) -> str:
    """Why a task does not count down, or nothing if it does."""
    if task.running_since is not None:
        return ""
    if task.kind is TaskStatus.NOT_SET_UP:
        return f"not set up: {task.missing}" if task.missing else "not set up"
    if task.queued:
        return "queued"
    if task.kind is TaskStatus.PAUSED:
        return "paused" if task.enabled else "off"
    return "" if task.due is not None else "no next time"


def done(task: TaskView, gone: float) -> float:
    """How much of a run is over: by its own count, or else by its timeout."""
    progress = task.progress
    whole, part = (progress.total, progress.done) if progress and progress.total else (task.timeout, gone)
    return min(1.0, max(0.0, part / whole)) if whole > 0 else 0.0


def _over(task: TaskView, now: float) -> float:
    if task.due is None or now >= task.due:
        return 1.0
    start = task.since if task.since is not None else now
    return min(1.0, max(0.0, (now - start) / (task.due - start))) if start < task.due else 0.0


def _progress(task: TaskView) -> str:
    progress = task.progress
    if progress is None:
        return f"of {words.limit(task.timeout)}"
    share = f"{min(1.0, max(0.0, progress.done / progress.total)):.0%} " if progress.total > 0 else ""
    return f"{share}{progress.text}" or f"{progress.done:g}"


def _schedule(text: str, cells: int, glyphs: Glyphs) -> str:
    if len(text) <= cells:
        return words.clean(text, glyphs.plain)
    return "cron" if " " in text else words.shorten(words.clean(text, glyphs.plain), cells, glyphs.ellipsis)
