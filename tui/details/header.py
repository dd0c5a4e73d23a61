"""The top of the details screen: the task, its state, the time, and the reason for the state."""

from textual.content import Content
from textual.widgets import Static

from scheduler.core.views import TaskStatus, TaskView
from tui.common.text import cells, clean, countdown, moment, of_limit, shorten, wall, wrapped
from tui.fleet.panels.contents import progress_words
from tui.fleet.panels.holding import held_words
from tui.fleet.panels.rows import STYLES
from tui.glyphs import Glyphs

WHY = 2  # lines, always: a longer sentence must not move what is below
SHADES = {"ok": "$ok", "warning": "$warn", "failed": "$bad", "running": "bold $run", "faint": "$faint"}


class Headline(Static):
    """One line that names the task, with the sentence about it below."""

    def __init__(self, glyphs: Glyphs, citizen: str, task: str, label: str = "") -> None:
        super().__init__(markup=False)
        self._glyphs, self._where, self._label = glyphs, f"{citizen}/{task}", label
        self._shown: tuple[TaskView | None, str, float, bool] = (None, "", 0.0, True)

    def show(self, task: TaskView | None, why: str, now: float, live: bool = True) -> None:
        """Show the task as of `now`, and the reason; not `live` if this is only the last known state."""
        self._shown = task, why, now, live
        rows = [self._title(task, now, live), *self._sentence(task, why, live)]
        self.update(Content("\n").join(rows), layout=False)

    def on_resize(self) -> None:
        self.show(*self._shown)

    def _title(self, task: TaskView | None, now: float, live: bool) -> Content:
        glyphs, width, clock = self._glyphs, self.app.size.width, f" {wall(now)} "
        number = f" #{task.number + 1}" if task and task.is_wake and task.number else ""  # current or next
        name = shorten(clean(self._where, glyphs.plain), max(8, width - 24), glyphs.ellipsis) + number
        left = Content.assemble(
            (f" {self._label} " if self._label else "", "$warn"),
            (f" {name} ", "bold $title"),
            *self._state(task, now, live),
        )
        room = width - cells(clock)
        if left.cell_length > room:
            return left.truncate(width)
        return Content.assemble(left, " " * (room - left.cell_length), (clock, "$faint"))

    def _state(self, task: TaskView | None, now: float, live: bool) -> tuple[tuple[str, str], ...]:
        if task is None:
            return ((" its scheduler has not shown it yet", "$faint"),)
        style = SHADES.get(STYLES[task.kind], "") if live else "$faint"
        said = f" {self._glyphs.kind[task.kind]} {_kind(task)}"
        if live and task.running_since is not None:
            gone = of_limit(now - task.running_since, task.timeout)
            return (f"{said} {gone}", style), (f"  {progress_words(task, self._glyphs)}", "")
        return (said, style), (f"  {_time(task, now) if live else 'not live'}", "")

    def _sentence(self, task: TaskView | None, why: str, live: bool) -> list[Content]:
        width, plain = max(1, self.app.size.width - 2), self._glyphs.plain
        rows = wrapped(clean(why, plain), width)
        if len(rows) > WHY:
            rows[WHY - 1 :] = [shorten(" ".join(rows[WHY - 1 :]), width, self._glyphs.ellipsis)]
        kind = task.kind if task else TaskStatus.OK
        shade = SHADES[STYLES[kind]] if kind in _TELLING else ""
        return [Content.styled(f" {row}", shade if live else "$warn") for row in rows]


HELD = (TaskStatus.WAITS, TaskStatus.OVER_BUDGET)
_TELLING = (TaskStatus.FAILED, TaskStatus.WARNING, TaskStatus.RUNNING)


def _kind(task: TaskView) -> str:
    if task.kind is TaskStatus.FAILED and task.outcome is not None and task.outcome.bad:
        return str(task.outcome)
    if task.queued:
        return "queued"
    if task.held and task.kind in HELD:
        return held_words(task.held)
    return "disabled" if task.kind is TaskStatus.PAUSED and not task.enabled else str(task.kind)


def _time(task: TaskView, now: float) -> str:
    """The next time, and the time until then."""
    if task.due is None or task.queued:
        return ""
    left = countdown(task.due - now)
    return "due now" if left == "now" else f"next {moment(task.due, now)} in {left}"
