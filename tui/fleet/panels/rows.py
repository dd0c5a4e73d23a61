"""A task as one line of its panel, and lines of text between the tasks."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.segment import Segment

from scheduler.core.views import TaskStatus, TaskView
from tui.common import text as words
from tui.common.styles import CURSOR, HERE, MARKED, Styles
from tui.fleet.notices import LEFT_BEHIND
from tui.fleet.panels.layout import Columns
from tui.glyphs import Glyphs

STYLES = {
    TaskStatus.OK: "ok",
    TaskStatus.WARNING: "warning",
    TaskStatus.FAILED: "failed",
    TaskStatus.NEVER: "faint",
    TaskStatus.NOT_SET_UP: "faint",
    TaskStatus.RUNNING: "running",
    TaskStatus.PAUSED: "faint",
    TaskStatus.STOPPED: "faint",
}

AWAKE = (TaskStatus.NEVER, TaskStatus.STOPPED)  # a faint sign, but it runs again


class RowState(NamedTuple):
    """All that may change in a line from one second to the next, and the line itself."""

    line: "Line"
    time: str = ""
    fill: int = 0
    light: int = 0


class Line:
    """One line of one panel: `state` is cheap and compared each second, `paint` draws it."""

    bare = False  # a bare line is a frame by itself, the others get one

    def __init__(self, glyphs: Glyphs) -> None:
        self.glyphs = glyphs

    def state(self, now: float, light: int) -> RowState:
        return RowState(self, light=light)

    def paint(self, state: RowState, styles: Styles) -> list[Segment]:
        raise NotImplementedError

    def changed_cells(self, old: RowState, new: RowState) -> int:
        """How many cells from the left have to be painted again; 0 for all."""
        return 0


class TextLine(Line):
    """Words below a task, or in place of the tasks; `again` counts how often they came."""

    def __init__(
        self, text: str, inner: int, glyphs: Glyphs, style: str = "faint", indent: int = 0, again: int = 0
    ) -> None:
        super().__init__(glyphs)
        self._style, self._indent = style, " " * (1 + indent)
        self._again = f" {glyphs.times}{again}" if again > 1 and inner > 24 else ""
        room = inner - indent - len(self._again)
        self._text = words.fit(words.clean(text, glyphs.plain), room, glyphs.ellipsis)

    def paint(self, state: RowState, styles: Styles) -> list[Segment]:
        style = styles.style(self._style, state.light)
        return [
            Segment(f"{self._indent}{self._text}", style),
            Segment(self._again, styles.style("faint", state.light)),
        ]


class TaskLine(Line):
    """State, name, countdown, how much of the interval is over, schedule, runs."""

    def __init__(self, task: TaskView, columns: Columns, glyphs: Glyphs) -> None:
        super().__init__(glyphs)
        self.task, self._columns = task, columns
        self._reason = words.clean(state_words(task), glyphs.plain)
        self._still: tuple[int, Styles, list[Segment], list[Segment]] | None = None
        self._running = task.running_since is not None
        self._progress, self._with_bar = self._progress_words() if self._running else ("", columns.bar > 0)

    def state(self, now: float, light: int) -> RowState:
        task, steps = self.task, self._columns.bar * 2
        if task.running_since is not None:
            gone = now - task.running_since
            return RowState(self, words.elapsed(gone), int(steps * done(task, gone)), light)
        if self._reason or task.due is None:
            return RowState(self, light=light)
        return RowState(self, words.countdown(task.due - now), int(steps * _over(task, now)), light)

    def changed_cells(self, old: RowState, new: RowState) -> int:
        edges = 2  # the frame and the mark left of the columns
        if old.light != new.light:
            return 0
        return edges + (self._columns.time_end if old.fill == new.fill else self._columns.bar_end)

    def paint(self, state: RowState, styles: Styles) -> list[Segment]:
        light = state.light
        # What stays the same from second to second is kept: an idle screen repaints only times and bars.
        if self._still is None or self._still[:2] != (light, styles):
            self._still = light, styles, self._head(light, styles), self._tail(light, styles)
        _, _, head, tail = self._still
        if self._reason:
            return [*head, *tail]
        style = "running" if self._running else "warning" if state.time == "now" else "ink"
        time = Segment(state.time.rjust(words.TIME), styles.style(style, light))
        return [*head, time, *self._bar(state, styles), *tail]

    def _head(self, light: int, styles: Styles) -> list[Segment]:
        task, glyphs = self.task, self.glyphs
        mark = glyphs.marked if light & MARKED else glyphs.cursor if light & CURSOR else " "
        edge = "marked" if light & MARKED else "here" if light & (CURSOR | HERE) else "frame"
        kind = STYLES[task.kind]
        name = "faint" if kind == "faint" and task.kind not in AWAKE else "ink"
        return [
            Segment(mark, styles.style(edge, light)),
            Segment(f"{glyphs.kind[task.kind]} ", styles.style(kind, light)),
            Segment(f"{self._fit(task.name, self._columns.name)} ", styles.style(name, light)),
        ]

    def _tail(self, light: int, styles: Styles) -> list[Segment]:
        if self._running:
            return [Segment(self._progress, styles.style("running", light))]
        facts = Segment(self._facts(), styles.style("faint", light))
        if not self._reason:
            return [facts]
        # The reason stands over the cells of the countdown and the bar.
        columns = self._columns
        start, style = columns.name + 3, "running" if self.task.queued else "faint"
        if self.task.kind is TaskStatus.NOT_SET_UP:
            return [Segment(self._fit(self._reason, columns.inner - start), styles.style("faint", light))]
        return [Segment(self._fit(self._reason, columns.bar_end - start), styles.style(style, light)), facts]

    def _bar(self, state: RowState, styles: Styles) -> list[Segment]:
        if not self._with_bar:
            return []
        full, half = divmod(state.fill, 2)
        glyphs, light = self.glyphs, state.light
        drawn = glyphs.full * full + (glyphs.half if half else "")
        return [
            Segment(f" {drawn}", styles.style("running" if self._running else "bar", light)),
            Segment(glyphs.track * (self._columns.bar - len(drawn)), styles.style("track", light)),
        ]

    def _facts(self) -> str:
        """Schedule, runs, how long the last one took, and what it said."""
        task, columns, facts = self.task, self._columns, ""
        if columns.schedule:
            facts += self._schedule().rjust(columns.schedule + 1)
        if columns.runs:
            facts += words.count(task.run_count).rjust(columns.runs + 1)
        if columns.took:
            took = words.took(task.last_duration) if task.last_duration is not None else ""
            facts += took.rjust(columns.took + 1)
        if columns.text:
            facts += f"  {self._fit(task.text if below(task) is None else '', columns.text - 1)}"
        return facts

    def _schedule(self) -> str:
        text, cells = self.task.schedule, self._columns.schedule
        clean = words.clean(text, self.glyphs.plain)
        if len(text) <= cells:
            return clean
        return "cron" if " " in text else words.shorten(clean, cells, self.glyphs.ellipsis)

    def _progress_words(self) -> tuple[str, bool]:
        """How far a run is, in words, and whether there is room for a bar beside them."""
        columns, text = self._columns, _progress(self.task)
        beside = columns.inner - columns.bar_end
        with_bar = columns.bar > 0 and beside > min(10, len(text))
        room = beside if with_bar else columns.inner - columns.time_end
        return (f" {self._fit(text, room - 1)}" if room > 1 else " " * room), with_bar

    def _fit(self, text: str, cells: int) -> str:
        return words.fit(words.clean(text, self.glyphs.plain), cells, self.glyphs.ellipsis)


def below(task: TaskView) -> tuple[str, str] | None:
    """The words below a task's row and their style, if there are any."""
    if task.note.startswith(LEFT_BEHIND):  # nothing runs before that has ended
        return task.note, "warning"
    if task.error is not None:
        return task.error.first_line or "failed without a message", "failed"
    if task.kind is TaskStatus.WARNING and task.text.strip():
        return task.text.strip().splitlines()[0], "warning"
    return (task.note, "warning") if task.note else None


def lines_of(tasks: Sequence[TaskView]) -> int:
    """How many lines these tasks take."""
    return sum(1 if below(task) is None else 2 for task in tasks)


def state_words(task: TaskView) -> str:
    """Why a task does not count down, empty if it does."""
    if task.running_since is not None:
        return ""
    if task.kind is TaskStatus.NOT_SET_UP:
        return f"not set up: {task.missing}" if task.missing else "not set up"
    if task.queued:
        return "queued"
    if task.kind is TaskStatus.PAUSED:
        return f"paused{_end(task)}" if task.enabled else "off"
    return "" if task.due is not None else "no next time"


def _end(task: TaskView) -> str:
    """Until when it is paused, with the day where that is not the one on which the pause began."""
    until = task.paused_until
    return "" if until is None else f" until {words.moment(until, task.paused_at or until)}"


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
