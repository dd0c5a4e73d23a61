"""The timeline screen: window, zoom, time cursor, and the lines above the rows."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median_high
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from scheduler.core.ports import Control
from scheduler.core.schedules.forecast import TimeGrid
from scheduler.core.wording.text import first_few
from tui.common import text as words
from tui.common.task_ref import TaskRef
from tui.fleet.page import Page
from tui.fleet.summary import FleetStatus
from tui.glyphs import Glyphs
from tui.timeline.axis import DAY, ZOOMS, Label, labels, moment, window_for, zoom_words
from tui.timeline.data import TimelineData
from tui.timeline.view import TimelineView

ASK_DELAY = 0.04  # seconds to wait for more scrolling before owners are asked
ASK_EVERY = 2.0  # seconds between two requests for the same rows
NAMED = 3  # tasks of a cell to name
CROWD, CROWDED = 3, 1.5  # a cell stands out with at least so many tasks and so many times the usual number

Tasks = Callable[[], Sequence[TaskRef]]


class Timeline(Page):
    """Asks owners only about the rows in sight."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", False, id="clear", tooltip="back to the fleet"),
        Binding("t", "back", "close the timeline", False, id="timeline"),
    ]

    def __init__(
        self,
        tasks: Tasks,
        find: Callable[[str], Control | None],
        now: Callable[[], float],
        glyphs: Glyphs,
        label: str = "",
    ) -> None:
        self.data = TimelineData(find)
        self.view = TimelineView(glyphs, self.data.forecast)
        super().__init__(self.view, glyphs, label)
        self._tasks, self._now = tasks, now
        self._axis, self._load = Static(markup=False, classes="axis"), Static(markup=False, classes="axis")
        self._zoom, self._shift = DAY, 0.0
        self._labels: list[Label] = []
        self._asked_at, self._asked_for = 0.0, object()
        self._time = 0.0  # the time under the time cursor, whatever the size and zoom

    def compose(self) -> ComposeResult:
        parts = iter(super().compose())
        yield from (next(parts), next(parts), self._axis, self._load, *parts)

    # -------------------------------------------------------------- values come down

    def tick(self, status: FleetStatus, now: float) -> None:
        super().tick(status, now)
        self.view.set_tasks(self._tasks(), now)
        if self._window(now) != self.data.window:
            self._update_window()
        elif self._forecast_inputs() != self._asked_for and abs(now - self._asked_at) >= ASK_EVERY:
            self._ask()
        self._update_header()

    def _forecast_inputs(self) -> object:
        """What the forecasts depend on; when it changes, owners are asked again."""
        rows = set(self.view.visible_rows())
        return [(s.row, s.task.due, s.task.run_count, s.task.kind) for s in self._tasks() if s.row in rows]

    def _window(self, now: float) -> TimeGrid:
        return window_for(now, ZOOMS[self._zoom], self.view.cells, self._shift)

    def _update_window(self, at: float | None = None) -> None:
        """Move the window to the current size, zoom and shift, and the time cursor to `at` if given."""
        now = self._now()
        self._time = at if at is not None else self._time or now
        window = self._window(now)
        self.data.set_window(window)
        self._labels = labels(window)
        self.view.time_cell = min(max(0, window.index(self._time)), window.cells - 1)
        self.view.set_window(window, frozenset(label.cell for label in self._labels))
        self._ask()
        self._update_header()

    @work(exclusive=True, group="forecast")
    async def _ask(self) -> None:
        await asyncio.sleep(ASK_DELAY)
        rows = self.view.visible_rows()
        self._asked_at, self._asked_for = self._now(), self._forecast_inputs()
        await self.data.ask(rows, self._asked_at)
        self.view.refresh()
        self._update_header()

    # -------------------------------------------------------------- words

    def _update_header(self) -> None:
        window, glyphs = self.data.window, self.glyphs
        when = window.start + self.view.time_cell * window.cell
        running = [row for row in self.view.visible_rows() if self.view.time_cell in self.data.runs_at(row)]
        names = first_few(["/".join(row) for row in running], NAMED, ", ")
        verb = "runs" if len(running) == 1 else "run"
        count = (
            f"{words.plural(len(running), 'task')} in sight {verb} then" if running else "nothing runs then"
        )
        detail = f": {words.clean(names, glyphs.plain)}" if running else ""
        scale = f" {words.limit(window.cell)} a cell{glyphs.dot}{zoom_words(self._zoom)} ahead "
        self.set_heading(
            (" Timeline ", "bold $title"),
            (scale, "$faint"),
            (f" {moment(when)} ", "bold $run"),
            (f"{_relative(when - self._now(), window.cell)}  ", "$faint"),
            (count + detail, "$ink"),
        )
        self._axis.update(self._axis_line(), layout=False)
        self._load.update(self._load_line(), layout=False)

    def _axis_line(self) -> Content:
        line, at = [(" " * self.view.axis_left, "")], 0
        for label in self._labels:
            line.append((" " * (label.cell - at), ""))
            line.append((label.text, _style(label)))
            at = label.cell + len(label.text)
        return Content.assemble(*line)

    def _load_line(self) -> Content:
        """How many tasks in sight run in each cell; crowded ones stand out."""
        crowd = Counter(cell for row in self.view.visible_rows() for cell in {*self.data.runs_at(row)})
        counts = [crowd[cell] for cell in range(self.data.window.cells)]
        levels = self.glyphs.levels
        most = max(max(counts, default=0), len(levels))
        drawn = [levels[-(-count * len(levels) // most) - 1] if count else " " for count in counts]
        usual = median_high(filter(None, counts)) if any(counts) else 0
        title = words.fit("   load", self.view.axis_left, self.glyphs.ellipsis)
        crowded = ["$warn" if count >= max(CROWD, CROWDED * usual) else "$bar" for count in counts]
        return Content.assemble((title, "$faint"), *zip(drawn, crowded, strict=True))

    # -------------------------------------------------------------- requests come up

    def on_timeline_view_timed(self, message: TimelineView.Timed) -> None:
        """Move the time cursor to this cell, and the window if it lies beyond the edge."""
        window, cell = self.data.window, message.cell
        if not 0 <= cell < window.cells:
            step = 1 if cell > 0 else -1
            self._shift = max(0.0, self._shift + step * (window.cells // 4) * window.cell)
            self._update_window(window.start + (self.view.time_cell + step + 0.5) * window.cell)
            return
        self.view.time_cell, self._time = cell, window.start + (cell + 0.5) * window.cell
        self.view.refresh()
        self._update_header()

    def on_timeline_view_resized(self) -> None:
        self._update_window()

    def on_cursor_view_moved(self) -> None:
        if any(self.data.forecast(row) is None for row in self.view.visible_rows()):
            self._ask()
        self._update_header()

    def action_zoom(self, step: int) -> None:
        self._zoom = min(max(0, self._zoom + step), len(ZOOMS) - 1)
        self._update_window()

    def action_now(self) -> None:
        self._shift = 0.0
        self._update_window(self._now())

    def on_cursor_view_chosen(self) -> None:
        if ref := self.view.under_cursor:
            self.post_message(self.Visit(ref.row))


def _style(label: Label) -> str:
    return "bold $warn" if label.changed else "bold $title" if label.day else "$faint"


def _relative(seconds: float, cell: float) -> str:
    if abs(seconds) < cell:
        return "now"
    span = words.limit(round(abs(seconds) / 60) * 60)
    return f"in {span}" if seconds > 0 else f"{span} ago"
