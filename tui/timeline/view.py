"""A row per task along the axis of time: its past runs, and when it will run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual.binding import BindingType
from textual.events import Click, Resize
from textual.message import Message
from textual.strip import Strip

from scheduler.core.schedules.forecast import TimeGrid
from scheduler.core.views import TaskStatus
from tui.common import text as words
from tui.common.line_view import CursorView
from tui.common.styles import CURSOR, merged
from tui.common.task_ref import Place, TaskRef
from tui.fleet.panels.rows import STYLES, state_words
from tui.glyphs import Glyphs
from tui.keys import TIMELINE_KEYS
from tui.log.events import OUTCOMES
from tui.timeline.data import RunForecast

LEAST, MOST = 12, 34  # cells of a row's name
EDGE = 3  # cells around the name: mark, sign, gap
OFTEN = 0.5  # share of all cells: a task that runs in more of them gets a less striking style
Cell = tuple[str, str]  # what is drawn, and its style


class TimelineView(CursorView):
    """Draws the rows in sight with their forecasts."""

    BINDINGS: ClassVar[list[BindingType]] = [*TIMELINE_KEYS]

    @dataclass
    class Timed(Message):
        """The person wants the time cursor on this cell, which may lie beyond the edge."""

        cell: int

    class Resized(Message):
        """The axis has a different number of cells."""

    def __init__(self, glyphs: Glyphs, forecast_of: Callable[[Place], RunForecast | None]) -> None:
        super().__init__()
        self._glyphs, self._forecast_of = glyphs, forecast_of
        self._tasks: Sequence[TaskRef] = ()
        self._now = 0.0
        self._window = TimeGrid(0.0, 1.0, 1)
        self._guides: frozenset[int] = frozenset()
        self._name_width = LEAST
        self.time_cell = 0  # the cell that the time cursor is on

    # -------------------------------------------------------------- values come down

    def set_tasks(self, tasks: Sequence[TaskRef], now: float) -> None:
        """Draw these tasks as they are now; the cursor stays with its task."""
        held = self.under_cursor.row if self.under_cursor else None
        self._tasks, self._now = tasks, now
        longest = max((len(each.citizen) + 1 + len(each.task.name) for each in tasks), default=LEAST)
        self._name_width = min(longest, MOST, max(LEAST, self.room.width // 3))
        self.at = next((n for n, each in enumerate(tasks) if each.row == held), self.at)
        self.at = min(self.at, max(0, len(tasks) - 1))
        self.hold(len(tasks))
        self.refresh()

    def set_window(self, window: TimeGrid, guides: frozenset[int]) -> None:
        """Draw this window, with a faint line below each of the `guides`."""
        self._window, self._guides = window, guides
        self.time_cell = min(self.time_cell, window.cells - 1)
        self.refresh()

    @property
    def under_cursor(self) -> TaskRef | None:
        return self._tasks[self.at] if self.at < len(self._tasks) else None

    @property
    def axis_left(self) -> int:
        """The column where the axis begins."""
        return EDGE + self._name_width + 1

    @property
    def cells(self) -> int:
        """The length of the axis."""
        return max(1, self.room.width - self.axis_left - 1)

    def visible_rows(self) -> list[Place]:
        top = self.scroll_offset.y
        return [each.row for each in self._tasks[top : top + self.room.height]]

    # -------------------------------------------------------------- drawing

    def render_line(self, y: int) -> Strip:
        number, width, styles = y + self.scroll_offset.y, self.room.width, self.styles_now()
        if number >= len(self._tasks):
            none = "  no task to show" if not self._tasks and y == 1 else ""
            text = words.fit(none, width, self._glyphs.ellipsis)
            return self.finished(Strip([Segment(text, styles.style("faint"))], width))
        ref, light = self._tasks[number], CURSOR if number == self.at else 0
        segments = [*self._name_segments(ref, light), *self._axis_segments(ref, light)]
        return self.finished(Strip(segments).adjust_cell_length(width, styles.style("ink", light)))

    def _name_segments(self, ref: TaskRef, light: int) -> list[Segment]:
        styles, glyphs, kind = self.styles_now(), self._glyphs, ref.task.kind
        where = words.clean(f"{ref.citizen}/{ref.task.name}", glyphs.plain)
        citizen, slash, task = words.fit(where, self._name_width, glyphs.ellipsis).partition("/")
        quiet = kind in (TaskStatus.PAUSED, TaskStatus.NOT_SET_UP)
        return [
            Segment(glyphs.cursor if light else " ", styles.style("here", light)),
            Segment(f"{glyphs.kind[kind]} ", styles.style(STYLES[kind], light)),
            Segment(citizen + slash, styles.style("faint", light)),
            Segment(f"{task} ", styles.style("faint" if quiet else "ink", light)),
        ]

    def _axis_segments(self, ref: TaskRef, light: int) -> list[Segment]:
        styles = self.styles_now()
        cells = self._cells(ref)
        styled = [Segment(char, styles.style(style, light)) for char, style in cells]
        if 0 <= self.time_cell < len(styled):
            char, style = cells[self.time_cell]
            styled[self.time_cell] = Segment(char, styles.style(style, CURSOR))
        return list(merged(styled))

    def _cells(self, ref: TaskRef) -> list[Cell]:
        window, glyphs = self._window, self._glyphs
        cells: list[Cell] = [
            (glyphs.guide if n in self._guides else " ", "track") for n in range(window.cells)
        ]
        now = window.index(self._now)
        if 0 <= now < window.cells:
            cells[now] = (glyphs.down, "here")
        forecast = self._forecast_of(ref.row)
        if forecast is None:
            return cells
        self._draw_past(cells, ref, forecast, now)
        often = len(forecast.slots) > OFTEN * window.cells
        for when in forecast.slots:
            if max(0, now) <= (at := window.index(when)) < window.cells:
                cells[at] = (glyphs.slots if often else glyphs.slot, "bar" if often else "ok")
        idle = not forecast.slots and ref.task.kind is not TaskStatus.RUNNING
        if idle and (reason := state_words(ref.task)):
            for at, char in enumerate(words.clean(reason, glyphs.plain), max(0, now + 2)):
                if at < window.cells:
                    cells[at] = (char, "faint")
        return cells

    def _draw_past(self, cells: list[Cell], ref: TaskRef, forecast: RunForecast, now: int) -> None:
        glyphs = self._glyphs
        for run in reversed(forecast.runs):
            kind = OUTCOMES[run.outcome]
            self._draw_run(cells, run.started, run.finished, (glyphs.kind[kind], STYLES[kind]))
        since = ref.task.running_since
        if since is not None and now >= 0:
            self._draw_run(cells, since, self._now, (glyphs.kind[TaskStatus.RUNNING], "running"))

    def _draw_run(self, cells: list[Cell], since: float, until: float, sign: Cell) -> None:
        first, last = self._window.index(since), self._window.index(until)
        for at in range(max(0, first + 1), min(last, len(cells) - 1) + 1):
            if cells[at][1] in ("track", "here"):
                cells[at] = (self._glyphs.full, sign[1])
        if 0 <= first < len(cells):
            cells[first] = sign

    # -------------------------------------------------------------- keys and mouse

    def action_time(self, step: int) -> None:
        self.post_message(self.Timed(self.time_cell + step))

    def on_click(self, event: Click) -> None:
        super().on_click(event)
        if 0 <= event.x - self.axis_left < self._window.cells:
            self.post_message(self.Timed(event.x - self.axis_left))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.post_message(self.Moved())

    def on_resize(self, event: Resize) -> None:
        self.set_tasks(self._tasks, self._now)
        self.post_message(self.Resized())
