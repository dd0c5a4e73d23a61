"""One citizen's panel: its lines, made when they are first looked at."""

from collections.abc import Container

from rich.segment import Segment

from scheduler.core.views import Heartbeat, Snapshot, TaskView
from tui.common.styles import CURSOR, FADED, HERE, MARKED, Styles
from tui.fleet.arrangement import Filter, words_of
from tui.fleet.frame import BottomLine, PlainLine, TopLine
from tui.fleet.layout import Columns, share
from tui.fleet.notices import LEFT_BEHIND, Notice, Severity, faded, notes, owned_here, stalled
from tui.fleet.rows import BelowLine, Line, RowState, TaskLine, below, lines_of
from tui.glyphs import Glyphs

SETTINGS = "experience.toml"
NO_TASKS = f"no tasks yet: [tasks.NAME] in its {SETTINGS} makes one"

Body = list[tuple[Line, int]]  # each line and the index of the task it belongs to
Made = tuple[TopLine, Body, BottomLine]


class Panel:
    """What a citizen's panel holds; a new snapshot costs no drawing."""

    def __init__(self, citizen: str, glyphs: Glyphs) -> None:
        self.citizen, self._glyphs = citizen, glyphs
        self.snapshot: Snapshot | None = None
        self.pulse: Heartbeat | None = None
        self.tasks: tuple[TaskView, ...] = ()
        self.height = 3
        self._width, self._wide = 0, (0, (0, 0))
        self._columns = Columns(0, 0)
        self._lines: Made | None = None
        self._rows: dict[str, TaskLine] = {}
        self._words = ""  # all that a filter may find in it
        self._blank = self._plain("")

    def show(self, snapshot: Snapshot, keep: Filter) -> bool:
        """Take the newest snapshot; True if the panel has another height now."""
        self.snapshot, self._lines, self._words = snapshot, None, ""
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
        self.tasks, self._lines = tasks, None
        return changed

    def beat(self, pulse: Heartbeat) -> bool:
        """Take the scheduler's pulse; True if that is to be seen."""
        before, self.pulse = self.pulse, pulse
        seen = stalled(pulse) or stalled(before)
        if seen:
            self._lines = None
        return seen

    def widen(self, width: int, longest: tuple[int, int]) -> None:
        """Draw for so many cells; `longest` is the length of the longest task name, and schedule."""
        if (width, longest) != self._wide:
            self._wide, self._width, self._lines = (width, longest), width, None
            self._columns = share(width - 4, *longest)
            self._rows.clear()
            self._blank = self._plain("")

    @property
    def faded(self) -> bool:
        return self.snapshot is None or faded(self.snapshot, self.pulse)

    def row_line(self, index: int) -> int:
        """On which line of the panel the task with this index is."""
        return 1 + lines_of(self.tasks[:index])

    def task_at(self, line: int) -> int:
        """The index of the task that this line belongs to."""
        body = self._made()[1]
        return body[min(max(0, line - 1), len(body) - 1)][1]

    def face(self, line: int, height: int, now: float, row: int, marked: Container[str]) -> RowState:
        """What line `line` of `height` looks like now; `row` is the task with the cursor, or -1."""
        top, body, bottom = self._made()
        light = (FADED if self.faded else 0) | (HERE if row >= 0 else 0)
        if line == 0:
            return top.face(now, light)
        if line == height - 1:
            return bottom.face(now, light)
        if line > len(body):
            return self._blank.face(now, light)
        drawn, index = body[line - 1]
        if isinstance(drawn, TaskLine):
            light |= (CURSOR if index == row else 0) | (MARKED if drawn.task.name in marked else 0)
        return drawn.face(now, light)

    def _made(self) -> Made:
        if self._lines is None:
            self._lines = self._make()
        return self._lines

    def _make(self) -> Made:
        snapshot, width, glyphs = self.snapshot, self._width, self._glyphs
        said = notes(snapshot, self.pulse) if snapshot else []
        body: Body = []
        for index, task in enumerate(self.tasks):
            body.append((self._row(task), index))
            if words := below(task):
                again = task.failures_in_a_row if task.error and not task.note.startswith(LEFT_BEHIND) else 0
                body.append((BelowLine(*words, again, self._columns.inner, glyphs), index))
        if not body:
            body = [(self._plain(_instead_of_tasks(self.citizen, snapshot, said)), 0)]
        self._rows = {line.task.name: line for line, _ in body if isinstance(line, TaskLine)}
        return (
            TopLine(self.citizen, snapshot, width, glyphs),
            body,
            BottomLine(said, owned_here(snapshot), width, glyphs),
        )

    def _row(self, task: TaskView) -> TaskLine:
        """The line of this task; the one drawn before if nothing about the task has changed."""
        known = self._rows.get(task.name)
        return known if known and known.task == task else TaskLine(task, self._columns, self._glyphs)

    def _plain(self, text: str) -> PlainLine:
        return PlainLine(text, self._columns.inner, self._glyphs)


def _instead_of_tasks(citizen: str, snapshot: Snapshot | None, said: list[Notice]) -> str:
    """Why there are none, or what to type: the frame below has no room for all that is wrong."""
    if snapshot is None:
        return "waiting for its scheduler"
    broken = any(note.rank in (Severity.STALE, Severity.PROBLEM) and SETTINGS in note.text for note in said)
    return f"experience-tui check {citizen} tells what is wrong" if broken else NO_TASKS


def paint(face: RowState, ink: Styles) -> list[Segment]:
    """The cells of one line of a panel, its frame included."""
    if face.line.bare:
        return face.line.paint(face, ink)
    light = face.light
    frame = ink.style("here" if light & HERE else "frame", light & FADED)
    down = Segment(face.line.glyphs.down, frame)
    gap = Segment(" ", ink.style("ink", light) if light & CURSOR else frame)
    return [down, *face.line.paint(face, ink), gap, down]
