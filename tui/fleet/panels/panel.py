"""One citizen's panel: its rows, and its lines, created on first use."""

from collections.abc import Collection
from dataclasses import replace

from rich.segment import Segment

from scheduler.core.machines import Host
from scheduler.core.views import Heartbeat, Snapshot, TaskStatus, TaskView
from scheduler.errors import PROGRAM
from tui.common import text as words
from tui.common.styles import CURSOR, EDGE, FADED, HERE, LOST, MARKED, Styles, edge_style
from tui.common.task_ref import Place
from tui.common.text import wall
from tui.fleet.arrangement import Filter, words_of
from tui.fleet.broken import broken
from tui.fleet.machines import lines as machines
from tui.fleet.machines.words import is_news
from tui.fleet.notices import RECORDED, Notice, Severity, faded, lost, notices, stalled
from tui.fleet.panels.banner import banner, line_below
from tui.fleet.panels.contents import WAKE, Density, Fold, Row, below, ordered, rows_of
from tui.fleet.panels.frame import BottomLine, HeadsLine, TopLine
from tui.fleet.panels.holding import Below
from tui.fleet.panels.layout import Columns, share
from tui.fleet.panels.rows import INDENT, FoldLine, Line, RowState, TaskLine, TextLine
from tui.glyphs import Glyphs

SETTINGS = "experience.toml"
NO_COMMAND = "no command yet: it is recorded, nothing more", "no command yet: recorded only"
NO_TASKS = f"no tasks yet: add [tasks.NAME] to its {SETTINGS}"


class Panel:
    """The content of a citizen's panel; a new snapshot costs no drawing."""

    def __init__(self, citizen: str, glyphs: Glyphs) -> None:
        self.citizen, self._glyphs = citizen, glyphs
        self.snapshot: Snapshot | None = None
        self.pulse: Heartbeat | None = None
        self.host: Host | None = None  # where several machines share citizens
        self._moved = False  # whether the citizen moved a short while ago
        self._now = 0.0
        self._all: tuple[TaskView, ...] = ()  # in display order
        self.tasks: tuple[TaskView, ...] = ()  # those that the filter keeps
        self.rows: tuple[Row, ...] = ()
        self.longest = (0, 0)  # the longest task name, and schedule
        self.height = 3
        self.folded, self.spread = True, False
        self._filtered = False
        self._shape = (0, (0, 0), Density.ROOMY, False)  # width, longest texts, density, joined
        self._columns = Columns(0, 0)
        self._lines: list[tuple[Line, int]] = []  # each line with its row's index; empty until first used
        self._light = 0  # of all lines
        self._known: dict[str, TaskLine] = {}
        self._words = ""  # all words that a filter can match
        self._blank = self._text("")

    def update_snapshot(self, snapshot: Snapshot, keep: Filter) -> bool:
        """Take the newest snapshot; True if the panel now needs a different amount of room."""
        self.snapshot, self._words = snapshot, ""
        before, tasks = self.longest, snapshot.tasks
        self.longest = (
            max((len(task.name) for task in tasks), default=0),
            max((len(task.schedule) for task in tasks), default=0),
        )
        self._all, self.rows = tuple(ordered(tasks)), ()
        return self.apply_filter(keep) or before != self.longest

    @property
    def total(self) -> int:
        """How many tasks there are before filtering."""
        return len(self._all)

    def apply_filter(self, keep: Filter) -> bool:
        """Choose the tasks to show; True if this changes the panel's height."""
        self.tasks, self._filtered = self._kept(keep), not keep.all
        rows = self._chosen()
        # A letter that changes nothing here costs nothing; one that hides everything costs next to nothing.
        if (self._filtered and not rows) or (rows and rows == self.rows):
            return False
        return self._settle()

    def _kept(self, keep: Filter) -> tuple[TaskView, ...]:
        if keep.all or keep.wants_all(self.citizen):
            return self._all
        self._words = self._words or words_of(self.citizen, self._all)
        some = self._all if keep.may_want(self._words) else ()
        return tuple(task for task in some if keep.wants(self.citizen, task))

    def _chosen(self) -> tuple[Row, ...]:
        if self._filtered:
            return self.tasks
        return rows_of(self.tasks, folded=self.folded, density=self._shape[2], spread=self.spread)

    def fold(self, folded: bool) -> None:
        """Show the tasks that need settings as one row, or as one row each."""
        self.folded = folded
        self._settle()

    def spread_out(self, spread: bool) -> None:
        """Set whether there is room to show the tasks that need settings one by one."""
        if spread != self.spread:
            self.spread = spread
            self._settle()

    def set_pulse(self, pulse: Heartbeat) -> bool:
        """Take the scheduler's pulse; True if the panel may look different."""
        before, self.pulse = self.pulse, pulse
        if stalled(pulse) or stalled(before):
            self._lines = []
        return not self._lines

    def set_host(self, host: Host | None, now: float) -> bool:
        """Set the machine that runs the citizen; True if this changes the panel's height."""
        moved, self._now = host is not None and is_news(host, now), now
        if (host, moved) == (self.host, self._moved):
            return False
        self.host, self._moved = host, moved
        return self._settle()

    @property
    def silent(self) -> bool:
        """Whether the citizen's machine is silent, so that what runs is unknown."""
        return self.host is not None and self.host.silent_since is not None

    def shape(self, width: int, longest: tuple[int, int], density: Density, joined: bool = False) -> int:
        """Draw in this shape from now on; gives the number of lines that the panel needs.

        `longest` are the longest task name and schedule; `joined` to the panel above.
        """
        if (width, longest, density, joined) != self._shape:
            self._shape = width, longest, density, joined
            self._columns = share(width - 4, *longest)
            self._known.clear()
            self._settle()
        return self.height

    def _settle(self) -> bool:
        """Choose the rows and count the lines; True if their number changed."""
        density, self.rows = self._shape[2], self._chosen()
        lines = self._above + sum(map(self._lines_of, self.rows)) + len(self._news())
        height = 1 + max(1, lines) + (density < Density.JOINED)
        changed, self.height = height != self.height, height
        self._lines = []
        return changed

    @property
    def _heads(self) -> bool:
        return self._columns.heads and self._shape[2] < Density.NO_HEADS and bool(self.rows)

    @property
    def _brief(self) -> bool:
        """Whether rows must be self-contained, since no reasons stand below them."""
        return self._shape[2] >= Density.NO_REASONS

    @property
    def _above(self) -> int:
        """The lines above the first row."""
        return len(self._banner()) + self._heads

    def _banner(self) -> list[Line]:
        freeze, density = self.snapshot.freeze if self.snapshot else None, self._shape[2]
        inner, glyphs = self._columns.inner, self._glyphs
        lines = machines.banner(self.host, self._now, inner, glyphs) if self.host else []
        if freeze is not None:
            lines += banner(freeze, inner, glyphs, whole=density < Density.NO_REASONS)
        return lines

    def _lines_of(self, row: Row) -> int:
        if isinstance(row, Fold) or (row.kind is TaskStatus.OK and not (row.note or row.is_wake)):
            return 1
        return 1 + len(self._below(row))

    def _below(self, task: TaskView) -> list[Below]:
        if self.silent and task.running_since is not None:
            return [Below(f"was running since {wall(task.running_since)}", "faint")]
        money = self.snapshot.money if self.snapshot else None
        return below(task, max(0, self._columns.inner - INDENT), self._shape[2], self._glyphs, money)

    def _news(self) -> list[Notice]:
        """What is wrong with the citizen, if no frame below shows it."""
        if self.snapshot is None or self._shape[2] < Density.JOINED:
            return []
        return [note for note in self._wrongs(notices(self.snapshot)) if note.rank < Severity.FACT][:1]

    def _wrongs(self, said: list[Notice]) -> list[Notice]:
        """The notices to show: a silent machine's banner already reports old values."""
        return [note for note in said if not (self.silent and note.rank is Severity.STALE)]

    def row_line(self, index: int) -> int:
        """The line of the panel on which this row is."""
        return 1 + self._above + sum(map(self._lines_of, self.rows[:index]))

    def row_at(self, line: int) -> int:
        """The row that this line belongs to."""
        drawn = self._drawn()
        return drawn[min(max(1, line), len(drawn) - 1)][1]

    def state(self, line: int, height: int, now: float, row: int, marked: Collection[Place]) -> RowState:
        """The state of line `line` of `height`; `row` is the row with the cursor, or -1."""
        drawn, index = self._line(self._drawn(), line, height)
        light = self._light | (HERE if row >= 0 else 0)
        if drawn.name and index == row:
            light |= CURSOR
        if marked and drawn.name and Place(self.citizen, drawn.name) in marked:
            light |= MARKED
        return drawn.state(now, light)

    def _line(self, lines: list[tuple[Line, int]], line: int, height: int) -> tuple[Line, int]:
        """The line; a panel next to a taller one has blank lines above its last."""
        last = len(lines) - (self._shape[2] < Density.JOINED)
        if line < last:
            return lines[line]
        return lines[-1] if line == height - 1 and last < len(lines) else (self._blank, -1)

    def _drawn(self) -> list[tuple[Line, int]]:
        """All lines, each with the index of its row: title, rows, notices."""
        if not self._lines:
            snapshot, glyphs = self.snapshot, self._glyphs
            old = snapshot is None or self.silent or faded(snapshot, self.pulse)
            self._light = (FADED if old else 0) | (LOST if lost(snapshot) else 0)
            width, _, density, joined = self._shape
            said = self._wrongs(notices(snapshot, self.pulse)) if snapshot else []
            said = [note for note in said if self._is_news(note)]
            machine = self.host.machine if self.host and density >= Density.JOINED else ""
            top = TopLine(self.citizen, snapshot, width, glyphs, joined, machine)
            body = self._body() or [(self._text(_instead_of_tasks(self.citizen, snapshot, said)), 0)]
            self._lines = [(top, 0), *body]
            if density < Density.JOINED:
                if density >= Density.NO_REASONS or self.host:  # the owner is known, or shown with the host
                    said = [note for note in said if note.rank < Severity.FACT]
                self._lines.append((self._bottom(said), len(self.rows) - 1))
            self._blank = self._text("")
        return self._lines

    def _is_news(self, notice: Notice) -> bool:
        """Whether the notice adds anything to what the rows show."""
        said = bool(self._columns.text) and any(row.name == WAKE for row in self.rows)
        return not (said and notice.text == RECORDED)

    def _worded(self, row: Row) -> Row:
        """The row; a wake without a command shows that in place of its last text."""
        snapshot = self.snapshot
        if isinstance(row, Fold) or row.name != WAKE or snapshot is None or snapshot.wake.configured:
            return row
        long, short = NO_COMMAND
        return replace(row, text=long if len(long) <= self._columns.text else short)

    def _how_to_set_up(self) -> str:
        """What to do with the rows that need settings, when they stand one by one."""
        if not self.spread or all(task.kind is not TaskStatus.NOT_SET_UP for task in self.tasks):
            return ""
        glyphs = self._glyphs
        return f"{glyphs.enter} on a {glyphs.kind[TaskStatus.NOT_SET_UP]} row shows the lines to add"

    def _bottom(self, said: list[Notice]) -> Line:
        width, glyphs = self._shape[0], self._glyphs
        if self.host is None:
            aside = self._how_to_set_up() if self._shape[2] < Density.NO_REASONS else ""
            return BottomLine(said, width, glyphs, aside)
        here = self.snapshot is not None and self.snapshot.owner == "here" and not self.snapshot.stale
        return machines.SeatLine(self.host, here, said, width, glyphs)

    def _body(self) -> list[tuple[Line, int]]:
        body: list[tuple[Line, int]] = [(line, 0) for line in self._banner()]
        body += [(HeadsLine(self._columns, self._glyphs), 0)] if self._heads else []
        known, self._known = self._known, {}
        live = self.snapshot is not None and not self.snapshot.stale and not self.silent
        frozen = self.snapshot is not None and self.snapshot.freeze is not None
        for index, row in enumerate(map(self._worded, self.rows)):
            if isinstance(row, Fold):
                body.append((FoldLine(row, self._columns.inner, self._glyphs), index))
                continue
            line = known.get(row.name)
            if line is None or line.task != row or (line.live, line.frozen) != (live, frozen):
                line = TaskLine(row, self._columns, self._glyphs, live, frozen, self._brief)
            self._known[row.name] = line  # unchanged tasks are not painted again
            body.append((line, index))
            inner, glyphs = self._columns.inner, self._glyphs
            body += [(line_below(said, inner, glyphs), index) for said in self._below(row)]
        body += [(self._text(note.text, note.style), len(self.rows) - 1) for note in self._news()]
        return body

    def _text(self, text: str, style: str = "faint") -> TextLine:
        glyphs = self._glyphs
        return TextLine(Below(words.clean(text, glyphs.plain), style), self._columns.inner, glyphs, indent=0)


def _instead_of_tasks(citizen: str, snapshot: Snapshot | None, said: list[Notice]) -> str:
    """Why there are no tasks, or what to type; the frame below has no room for every error."""
    if snapshot is None:
        return "waiting for its scheduler"
    wrong = any(note.rank in (Severity.STALE, Severity.PROBLEM) and SETTINGS in note.text for note in said)
    if wrong or broken(snapshot):
        return f"{PROGRAM} check {citizen} shows what is wrong"
    unread = snapshot.stale and not snapshot.tasks
    return f"{PROGRAM} doctor shows what is wrong" if unread else NO_TASKS


def paint(state: RowState, styles: Styles) -> list[Segment]:
    """The cells of one line of a panel, its frame included."""
    if state.line.bare:
        return state.line.paint(state, styles)
    light = state.light
    frame = edge_style(styles, light & EDGE)
    down = Segment(state.line.glyphs.down, frame)
    gap = Segment(" ", styles.style("ink", light) if light & CURSOR else frame)
    return [down, *state.line.paint(state, styles), gap, down]
