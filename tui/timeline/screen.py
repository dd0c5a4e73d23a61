"""The timeline as a screen: window, zoom, time cursor, and the words above the rows."""

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

from scheduler.core.planning import TimeGrid
from scheduler.core.ports import Control
from tui.common import text as words
from tui.common.task_ref import TaskRef
from tui.fleet.board import Place
from tui.fleet.page import Page
from tui.fleet.summary import FleetStatus
from tui.glyphs import Glyphs
from tui.timeline.axis import DAY, ZOOMS, Label, labels, moment, window_for, zoom_words
from tui.timeline.data import TimelineData
from tui.timeline.view import TimelineView

TOGETHER = 0.04  # seconds to wait for more scrolling before owners are asked
AGAIN = 2.0  # seconds between two requests for the same rows
NAMED = 3  # tasks of a cell to name
CROWD, CROWDED = 3, 1.5  # tasks at once, and times the usual number, that stand out

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
        self._axis, self._crowd = Static(markup=False, classes="axis"), Static(markup=False, classes="axis")
        self._zoom, self._shift = DAY, 0.0
        self._labels: list[Label] = []
        self._asked_at, self._asked_of = 0.0, object()
        self._held = 0.0  # the time that the cursor is on, kept over every size and zoom

    def compose(self) -> ComposeResult:
        parts = iter(super().compose())
        yield from (next(parts), next(parts), self._axis, self._crowd, *parts)

    # -------------------------------------------------------------- values come down

    def tick(self, status: FleetStatus, now: float) -> None:
        super().tick(status, now)
        self.view.show(self._tasks(), now)
        if self._window(now) != self.data.window:
            self._look()
        elif self._state() != self._asked_of and abs(now - self._asked_at) >= AGAIN:
            self._ask()
        self._show_words()

    def _state(self) -> object:
        """What a forecast depends on: when it changes, the owners are asked again."""
        rows = set(self.view.in_sight())
        return [(s.row, s.task.due, s.task.run_count, s.task.kind) for s in self._tasks() if s.row in rows]

    def _window(self, now: float) -> TimeGrid:
        return window_for(now, ZOOMS[self._zoom], self.view.cells, self._shift)

    def _look(self, at: float | None = None) -> None:
        """Draw the window again, the time cursor on `at` or where it was."""
        now = self._now()
        self._held = at if at is not None else self._held or now
        window = self._window(now)
        self.data.look_at(window)
        self._labels = labels(window)
        self.view.time_at = min(max(0, window.index(self._held)), window.cells - 1)
        self.view.look_at(window, frozenset(label.cell for label in self._labels))
        self._ask()
        self._show_words()

    @work(exclusive=True, group="forecast")
    async def _ask(self) -> None:
        await asyncio.sleep(TOGETHER)
        rows = self.view.in_sight()
        self._asked_at, self._asked_of = self._now(), self._state()
        await self.data.ask(rows, self._asked_at)
        self.view.refresh()
        self._show_words()

    # -------------------------------------------------------------- words

    def _show_words(self) -> None:
        window, glyphs = self.data.window, self.glyphs
        when = window.start + self.view.time_at * window.cell
        here = [row for row in self.view.in_sight() if self.view.time_at in self.data.runs_at(row)]
        names = ", ".join("/".join(row) for row in here[:NAMED])
        more = f" and {len(here) - NAMED} more" if len(here) > NAMED else ""
        verb = "runs" if len(here) == 1 else "run"
        count = f"{words.plural(len(here), 'task')} in sight {verb} then" if here else "nothing runs then"
        detail = f": {words.clean(names, glyphs.plain)}{more}" if here else ""
        scale = f" {words.limit(window.cell)} a cell{glyphs.dot}{zoom_words(self._zoom)} ahead "
        self.set_heading(
            (" Timeline ", "bold $title"),
            (scale, "$faint"),
            (f" {moment(when)} ", "bold $run"),
            (f"{_away(when - self._now(), window.cell)}  ", "$faint"),
            (count + detail, "$ink"),
        )
        self._axis.update(self._axis_words(), layout=False)
        self._crowd.update(self._crowd_words(), layout=False)

    def _axis_words(self) -> Content:
        line, at = [(" " * self.view.left, "")], 0
        for label in self._labels:
            line.append((" " * (label.cell - at), ""))
            line.append((label.text, _style(label)))
            at = label.cell + len(label.text)
        return Content.assemble(*line)

    def _crowd_words(self) -> Content:
        """How many tasks in sight run in each cell, so that crowded times stand out."""
        crowd = Counter(cell for row in self.view.in_sight() for cell in {*self.data.runs_at(row)})
        counts = [crowd[cell] for cell in range(self.data.window.cells)]
        levels = self.glyphs.levels
        most = max(max(counts, default=0), len(levels))
        drawn = [levels[-(-count * len(levels) // most) - 1] if count else " " for count in counts]
        usual = median_high(filter(None, counts)) if any(counts) else 0
        title = words.fit("   load", self.view.left, self.glyphs.ellipsis)
        crowded = ["$warn" if count >= max(CROWD, CROWDED * usual) else "$bar" for count in counts]
        return Content.assemble((title, "$faint"), *zip(drawn, crowded, strict=True))

    # -------------------------------------------------------------- requests come up

    def on_timeline_view_timed(self, message: TimelineView.Timed) -> None:
        """The time cursor to this cell; beyond the edge the window moves."""
        window, cell = self.data.window, message.cell
        if not 0 <= cell < window.cells:
            step = 1 if cell > 0 else -1
            self._shift = max(0.0, self._shift + step * (window.cells // 4) * window.cell)
            self._look(window.start + (self.view.time_at + step + 0.5) * window.cell)
            return
        self.view.time_at, self._held = cell, window.start + (cell + 0.5) * window.cell
        self.view.refresh()
        self._show_words()

    def on_timeline_view_resized(self) -> None:
        self._look()

    def on_cursor_view_moved(self) -> None:
        if any(self.data.forecast(row) is None for row in self.view.in_sight()):
            self._ask()
        self._show_words()

    def action_zoom(self, step: int) -> None:
        self._zoom = min(max(0, self._zoom + step), len(ZOOMS) - 1)
        self._look()

    def action_now(self) -> None:
        self._shift = 0.0
        self._look(self._now())

    def on_timeline_view_chosen(self, message: TimelineView.Chosen) -> None:
        self.post_message(self.Visit(Place(*message.row)))


def _style(label: Label) -> str:
    return "bold $warn" if label.changed else "bold $title" if label.day else "$faint"


def _away(seconds: float, cell: float) -> str:
    if abs(seconds) < cell:
        return "now"
    span = words.limit(round(abs(seconds) / 60) * 60)
    return f"in {span}" if seconds > 0 else f"{span} ago"
