"""One citizen's panel: its lines, made when they are first looked at."""

from collections.abc import Container

from rich.segment import Segment

from scheduler.core.views import Heartbeat, Snapshot, TaskView
from tui.common.styles import CURSOR, FADED, HERE, MARKED, Styles
from tui.fleet.arrangement import Filter, words_of
from tui.fleet.notices import LEFT_BEHIND, Notice, Severity, faded, notices, owned_here, stalled
from tui.fleet.panels.frame import BottomLine, TopLine
from tui.fleet.panels.layout import Columns, share
from tui.fleet.panels.rows import Line, RowState, TaskLine, TextLine, below, lines_of
from tui.glyphs import Glyphs

SETTINGS = "experience.toml"
NO_TASKS = f"no tasks yet: add [tasks.NAME] to its {SETTINGS}"


class Panel:
    """What a citizen's panel holds; a new snapshot costs no drawing."""

    def __init__(self, citizen: str, glyphs: Glyphs) -> None:
        self.citizen, self._glyphs = citizen, glyphs
        self.snapshot: Snapshot | None = None
        self.pulse: Heartbeat | None = None
        self.tasks: tuple[TaskView, ...] = ()
        self.height = 3
        self._width, self._longest = 0, (0, 0)
        self._columns = Columns(0, 0)
        self._lines: list[tuple[Line, int]] = []  # each line and the index of its task; empty until asked for
        self._rows: dict[str, TaskLine] = {}
        self._words = ""  # all that a filter may find in it
        self._blank = self._text("")

    def update_snapshot(self, snapshot: Snapshot, keep: Filter) -> bool:
        """Take the newest snapshot; True if the panel has another height now."""
        self.snapshot, self._words = snapshot, ""
        return self.apply_filter(keep)

    def apply_filter(self, keep: Filter) -> bool:
        """Choose the tasks to show; True if the panel has another height now."""
        tasks = self.snapshot.tasks if self.snapshot else ()
        if not (keep.all or keep.wants_all(self.citizen)):
            self._words = self._words or words_of(self.citizen, tasks)
            some = tasks if keep.may_want(self._words) else ()
            tasks = tuple(task for task in some if keep.wants(self.citizen, task))
        height = 2 + (lines_of(tasks) or 1)
        changed, self.height = height != self.height, height
        self.tasks, self._lines = tasks, []
        return changed

    def set_pulse(self, pulse: Heartbeat) -> None:
        """Take the scheduler's pulse."""
        before, self.pulse = self.pulse, pulse
        if stalled(pulse) or stalled(before):
            self._lines = []

    def widen(self, width: int, longest: tuple[int, int]) -> None:
        """Draw for so many cells; `longest` is the length of the longest task name, and schedule."""
        if (width, longest) != (self._width, self._longest):
            self._width, self._longest, self._lines = width, longest, []
            self._columns = share(width - 4, *longest)
            self._rows.clear()

    def row_line(self, index: int) -> int:
        """On which line of the panel the task with this index is."""
        return 1 + lines_of(self.tasks[:index])

    def task_at(self, line: int) -> int:
        """The index of the task that this line belongs to."""
        return self._drawn()[min(max(1, line), self.height - 2)][1]

    def state(self, line: int, height: int, now: float, row: int, marked: Container[str]) -> RowState:
        """What line `line` of `height` looks like now; `row` is the task with the cursor, or -1."""
        lines = self._drawn()
        last = len(lines) - 1
        # A panel beside a higher one has blank lines above its last.
        drawn, index = lines[-1] if line == height - 1 else lines[line] if line < last else (self._blank, -1)
        light = (FADED if self._faded else 0) | (HERE if row >= 0 else 0)
        if isinstance(drawn, TaskLine):
            light |= (CURSOR if index == row else 0) | (MARKED if drawn.task.name in marked else 0)
        return drawn.state(now, light)

    @property
    def _faded(self) -> bool:
        return self.snapshot is None or faded(self.snapshot, self.pulse)

    def _drawn(self) -> list[tuple[Line, int]]:
        """All lines, each with the index of its task: title, tasks, notices."""
        if not self._lines:
            snapshot, width, glyphs = self.snapshot, self._width, self._glyphs
            said = notices(snapshot, self.pulse) if snapshot else []
            top = TopLine(self.citizen, snapshot, width, glyphs)
            bottom = BottomLine(said, owned_here(snapshot), width, glyphs)
            body = self._body() or [(self._text(_instead_of_tasks(self.citizen, snapshot, said)), 0)]
            self._lines = [(top, 0), *body, (bottom, 0)]
            self._blank = self._text("")
        return self._lines

    def _body(self) -> list[tuple[Line, int]]:
        body: list[tuple[Line, int]] = []
        known, self._rows = self._rows, {}
        for index, task in enumerate(self.tasks):
            row = known.get(task.name)
            if (
                row is None or row.task != task
            ):  # else nothing about the task has changed, and nothing is painted
                row = TaskLine(task, self._columns, self._glyphs)
            self._rows[task.name] = row
            body.append((row, index))
            if words := below(task):
                again = task.failures_in_a_row if task.error and not task.note.startswith(LEFT_BEHIND) else 0
                body.append((self._text(*words, indent=2, again=again), index))
        return body

    def _text(self, text: str, style: str = "faint", indent: int = 0, again: int = 0) -> TextLine:
        return TextLine(text, self._columns.inner, self._glyphs, style, indent, again)


def _instead_of_tasks(citizen: str, snapshot: Snapshot | None, said: list[Notice]) -> str:
    """Why there are none, or what to type: the frame below has no room for all that is wrong."""
    if snapshot is None:
        return "waiting for its scheduler"
    broken = any(note.rank in (Severity.STALE, Severity.PROBLEM) and SETTINGS in note.text for note in said)
    return f"experience-tui check {citizen} shows what is wrong" if broken else NO_TASKS


def paint(state: RowState, styles: Styles) -> list[Segment]:
    """The cells of one line of a panel, its frame included."""
    if state.line.bare:
        return state.line.paint(state, styles)
    light = state.light
    frame = styles.style("here" if light & HERE else "frame", light & FADED)
    down = Segment(state.line.glyphs.down, frame)
    gap = Segment(" ", styles.style("ink", light) if light & CURSOR else frame)
    return [down, *state.line.paint(state, styles), gap, down]
