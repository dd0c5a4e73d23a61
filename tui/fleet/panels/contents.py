"""The rows of a panel, their order, and the lines below each."""

from collections.abc import Sequence
from enum import IntEnum

from scheduler.core.costs import Money
from scheduler.core.state import first_line
from scheduler.core.values import value
from scheduler.core.views import LEFT_BEHIND, STOPPING, TaskStatus, TaskView
from tui.common import text as words
from tui.fleet.notices import ATTEMPT
from tui.fleet.panels.holding import Below, held_lines, wake_lines
from tui.glyphs import Glyphs

WAKE = "wake"
FOLD = "+"  # the name of a row that stands for others; no task is named so


class Density(IntEnum):
    """What panels leave out to fit on the screen; each level includes those before it."""

    ROOMY = 0
    NO_HEADS = 1  # no column heads
    NO_REASONS = 2  # no lines below the wake
    NO_PROGRESS = 3
    SHORT_ERRORS = 4
    JOINED = 5  # the next panel's title closes this one
    NO_FOLD = 6


@value
class Fold:
    """The built-in tasks that need settings, as one row."""

    count: int
    open: bool = False
    name: str = FOLD

    @property
    def words(self) -> str:
        return f"{words.plural(self.count, 'built-in task')} need{'s' if self.count == 1 else ''} settings"


Row = TaskView | Fold


def ordered(tasks: Sequence[TaskView]) -> list[TaskView]:
    """The wake, then the person's own tasks, then built-in ones; last those that need settings."""
    return sorted(tasks, key=lambda task: (task.name != WAKE, task.builtin, _waits_for_settings(task)))


def rows_of(
    tasks: Sequence[TaskView], *, folded: bool, density: Density, spread: bool = False
) -> tuple[Row, ...]:
    """The rows of these `ordered` tasks; `folded` puts those that need settings into one row.

    `spread`: there is room for all, so nothing is folded.
    """
    hidden = [task for task in tasks if _waits_for_settings(task)]
    if not hidden or spread:
        return tuple(tasks)
    shown = tuple(task for task in tasks if not _waits_for_settings(task))
    if folded:
        return shown if density >= Density.NO_FOLD and shown else (*shown, Fold(len(hidden)))
    return (*shown, Fold(len(hidden), open=True), *hidden)


def below(
    task: TaskView, width: int, density: Density, glyphs: Glyphs, money: Money | None = None
) -> list[Below]:
    """The lines of `width` cells below a task's row; `money` is the citizen's."""
    said = _below(task, width, density, glyphs)
    if task.is_wake and density < Density.NO_REASONS:
        return [*said, *wake_lines(task, money, width, glyphs)]
    return said


def _below(task: TaskView, width: int, density: Density, glyphs: Glyphs) -> list[Below]:
    if task.held:
        return held_lines(task.held, width, glyphs) if density < Density.NO_REASONS else []
    if task.note.startswith(LEFT_BEHIND):  # it blocks the next run
        return _lines(task.note, "warning", width, density, glyphs)
    if task.running_since is not None:
        if task.note == STOPPING:
            return [_line(task.note, "warning", width, glyphs)]
        return _progress(task, width, density, glyphs)
    if task.error is not None:
        return [*_error(task, width, density, glyphs), *_attempt(task, width, density, glyphs)]
    if task.kind is TaskStatus.WARNING and task.text.strip():
        return _lines(first_line(task.text), "warning", width, density, glyphs)
    if task.note and not (task.queued or density >= Density.NO_REASONS):
        return [_line(task.note, "warning", width, glyphs)]
    return []


def progress_words(task: TaskView, glyphs: Glyphs) -> str:
    """The progress of a run, cleaned: `62% · 31 of 50 frames`; and whether the task is paused afterwards."""
    progress = task.progress
    said = ["paused after this run"] if task.paused_at is not None else []
    if progress is not None:
        share = progress.share
        number = f"{int(100 * share)}%" if share is not None else f"{progress.done:g}"
        said = [number, words.clean(progress.text, glyphs.plain), *said]
    return glyphs.dot.join(filter(None, said))


def _waits_for_settings(task: TaskView) -> bool:
    return task.builtin and task.kind is TaskStatus.NOT_SET_UP


def _progress(task: TaskView, width: int, density: Density, glyphs: Glyphs) -> list[Below]:
    where = f"on {words.clean(task.where, glyphs.plain)}" if task.where else ""
    said = glyphs.dot.join(filter(None, [where, progress_words(task, glyphs)]))
    if not said or density >= Density.NO_PROGRESS:
        return []
    return [Below(words.shorten(said, width, glyphs.ellipsis), "running")]


def _error(task: TaskView, width: int, density: Density, glyphs: Glyphs) -> list[Below]:
    said = (task.error.first_line if task.error else "") or "failed without a message"
    again = f"{glyphs.times}{task.failures_in_a_row}" if task.failures_in_a_row > 1 and width > 22 else ""
    *first, last = _lines(said, "failed", width, density, glyphs, len(again) + bool(again))
    return [*first, last._replace(end=again)]


def _attempt(task: TaskView, width: int, density: Density, glyphs: Glyphs) -> list[Below]:
    waits = task.note.startswith(ATTEMPT) and density < Density.SHORT_ERRORS
    return [_line(f"next: {task.note}", "faint", width, glyphs)] if waits else []


def _lines(text: str, style: str, width: int, density: Density, glyphs: Glyphs, kept: int = 0) -> list[Below]:
    """The text in as many lines as it may take; the last line leaves `kept` cells free."""
    clean, room = words.clean(text, glyphs.plain), max(1, width - kept)
    if words.cells(clean) <= room or density >= Density.SHORT_ERRORS:
        return [Below(words.shorten(clean, room, glyphs.ellipsis), style)]
    first, *rest = words.wrapped(clean, width)
    return [Below(first, style), Below(words.shorten(" ".join(rest), room, glyphs.ellipsis), style)]


def _line(text: str, style: str, width: int, glyphs: Glyphs) -> Below:
    return Below(words.shorten(words.clean(text, glyphs.plain), width, glyphs.ellipsis), style)
