"""The top of the details screen: which task, its state, the time, and why it is so."""

from scheduler.core.views import TaskStatus, TaskView
from tui.common.pane import EMPTY, Pane, Row, StyledText, padded
from tui.common.text import cells, clean, countdown, elapsed, limit, shorten, wall, wrapped
from tui.fleet.rows import STYLES
from tui.glyphs import Glyphs

WHY = 2  # lines: a sentence that grows must not move what is below


class Headline(Pane, can_focus=False):
    """One line that names the task, and the sentence about it below."""

    def __init__(self, glyphs: Glyphs, citizen: str, task: str, label: str = "") -> None:
        super().__init__(glyphs)
        self._where, self._label = f"{citizen}/{task}", label
        self._view: TaskView | None = None
        self._why = ""
        self._now, self._live = 0.0, True

    def show(self, task: TaskView | None, why: str, now: float, live: bool = True) -> None:
        """The task as it is at `now`, and why; not `live` when that is only what was known last."""
        self._view, self._why, self._now, self._live = task, why, now, live
        self.sync()

    def _look(self, y: int) -> Row:
        return self._title() if y == 0 else self._sentence(y - 1)

    def _title(self) -> Row:
        glyphs, width, clock = self.glyphs, self.size.width, wall(self._now)
        name = shorten(clean(self._where, glyphs.plain), max(8, width - 24), glyphs.ellipsis)
        label = (StyledText(f" {self._label} ", "marked"),) if self._label else ()
        left = (*label, StyledText(f" {name} ", "title"), *self._state())
        room = width - len(clock) - 2
        if sum(cells(piece.text) for piece in left) > room:
            return Row(padded(left, width, glyphs))
        return Row((*padded(left, room, glyphs), StyledText(f" {clock} ", "faint")))

    def _state(self) -> tuple[StyledText, ...]:
        task = self._view
        if task is None:
            return (StyledText(" its scheduler has not shown it yet", "faint"),)
        style = STYLES[task.kind] if self._live else "faint"
        kind = f" {self.glyphs.kind[task.kind]} {self._kind(task)}"
        return StyledText(kind, style), StyledText(f"  {self._time(task)}", "ink")

    def _kind(self, task: TaskView) -> str:
        if task.kind is TaskStatus.FAILED and task.outcome is not None and task.outcome.bad:
            return str(task.outcome)
        if task.queued:
            return "queued"
        return "off" if task.kind is TaskStatus.PAUSED and not task.enabled else str(task.kind)

    def _time(self, task: TaskView) -> str:
        """What counts: the time gone of a run, or the time to go."""
        if not self._live:
            return "not live"
        if task.running_since is not None:
            return f"{elapsed(self._now - task.running_since)} of {limit(task.timeout)}"
        if task.due is None or task.queued:
            return ""
        left = countdown(task.due - self._now)
        return "due now" if left == "now" else f"next in {left}"

    def _sentence(self, line: int) -> Row:
        width = max(1, self.size.width - 2)
        rows = wrapped(clean(self._why, self.glyphs.plain), width)
        if line >= len(rows) or line >= WHY:
            return EMPTY
        row = rows[line]
        if line == WHY - 1 and len(rows) > WHY:
            row = shorten(" ".join(rows[line:]), width, self.glyphs.ellipsis)
        return Row((StyledText(f" {row}", self._style()),))

    def _style(self) -> str:
        if not self._live:
            return "warning"
        kind = self._view.kind if self._view else TaskStatus.OK
        return {
            TaskStatus.FAILED: "failed",
            TaskStatus.WARNING: "warning",
            TaskStatus.RUNNING: "running",
        }.get(kind, "ink")
