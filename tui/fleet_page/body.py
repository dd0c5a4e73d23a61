"""Everything between the first lines and the keys: panels or a table, and the part below the panels."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual import work
from textual.containers import Vertical
from textual.message import Message

from scheduler.core.machines import Cluster
from scheduler.core.ports import Control
from scheduler.core.views import Heartbeat, Snapshot
from tui.common.text import plural
from tui.fleet.board import Board
from tui.fleet.broken import broken
from tui.fleet.grid import FleetGrid
from tui.fleet.panels.banner import frozen_words
from tui.fleet.row_keys import FleetRows
from tui.glyphs import Glyphs
from tui.keys import key_of
from tui.lessons.problems import Find, Wrong, WrongSettings
from tui.lessons.start_here import EVENTS, Beginning, StartHere, is_beginning
from tui.lessons.steps import Facts, tilde
from tui.log.events import EventLog

if TYPE_CHECKING:
    from tui.fleet.table.usual_durations import UsualTimes
    from tui.fleet.table.view import TaskTable
    from tui.fleet_page.lower_part import Lower

FILE = "experience.toml"
KEYS_TOLD = {"add": "a", "edit": "e", "wake": "w", "quit": "q"}  # by name: the defaults, unless rebound
REST = 0.2  # seconds without scrolling until the history of the visible rows is read
Running = set[tuple[str, str]]  # citizen and task of each run


class FleetBody(Vertical):
    """The rows of the fleet, in panels or a table; parts that are not visible at first are created later."""

    BLANK = True  # its children cover it; otherwise Textual would draw its lines below theirs at each frame

    class Changed(Message):
        """The first steps appeared or went away, or the number of lines that cron runs is known."""

    @dataclass
    class Said(Message):
        """A short note to show for a moment."""

        text: str

    def __init__(
        self,
        glyphs: Glyphs,
        read_only: bool,
        log: EventLog,
        controls: Mapping[str, Control],
        now: Callable[[], float],
        beginning: Beginning | None = None,
        find: Find = lambda citizen, problem: None,
    ) -> None:
        self.grid = FleetGrid(glyphs, read_only)
        super().__init__(self.grid)
        self._glyphs, self._read_only = glyphs, read_only
        self._log, self._controls, self._clock = log, controls, now
        self._lower: Lower | None = None
        self._table: TaskTable | None = None
        self._usual: UsualTimes | None = None
        self._busy: Running = set()
        self._beginning = beginning
        self._start: StartHere | None = None
        self._counted = False
        self.jobs = 0  # lines that cron runs for this user
        self._cluster: Cluster | None = None
        self.grid.beyond = self._to_lesson
        self._find = find
        self._wrong: WrongSettings | None = None
        self._broken: dict[str, tuple[str, ...]] = {}  # by citizen, "" for the main file

    @property
    def board(self) -> Board:
        return self.grid.board

    @property
    def rows(self) -> FleetRows:
        """The rows that are shown: panels or the table."""
        return self._table if self.shows_table and self._table else self.grid

    @property
    def shows_table(self) -> bool:
        return self._table is not None and self._table.display

    @property
    def further(self) -> str:
        """How many more panels are further down, and the key that leads to them."""
        more = 0 if self.shows_table else self.grid.further()
        key = key_of(self.grid, "page-down", "pgdn")
        return f"{plural(more, 'more citizen')}: {key}" if more else ""

    def snapshot(self, citizen: str) -> Snapshot | None:
        """The newest snapshot of a citizen."""
        panel = self.board.panel(citizen)
        return panel.snapshot if panel else None

    # -------------------------------------------------------------- values come down

    def set_citizens(self, names: list[str]) -> None:
        """Show these citizens."""
        self.grid.set_citizens(names)
        if self._table and self.shows_table:
            self._table.fill()

    def set_cluster(self, cluster: Cluster | None) -> None:
        """Set the machines that share citizens."""
        if cluster is self._cluster:
            return
        before, self._cluster = self._cluster, cluster
        self.grid.set_hosts(cluster.hosts if cluster else {}, self._clock())
        if (before is None) != (cluster is None):
            self.grid.refresh_bindings()
        if self._lower and self._lower.set_cluster(cluster):
            self.fit_lower()

    def update_snapshot(self, snapshot: Snapshot) -> None:
        """Take the newest snapshot of a citizen."""
        self.grid.update_snapshot(snapshot)
        wrong = broken(snapshot)
        self.set_problems(snapshot.citizen, wrong.lines if wrong else ())
        if self._beginning and not self._read_only:
            self._look_at_start()
        if self._usual:
            self._usual.update_snapshot(snapshot)
        if self._table and self.shows_table:
            self._table.update_snapshot(snapshot)

    def in_sight(self) -> Iterable[str]:
        """The citizens that are at least partly on the screen."""
        if self._table and self.shows_table:
            return dict.fromkeys(citizen for citizen, _ in self._table.in_sight())
        return self.grid.in_sight()

    def sees(self, citizen: str) -> bool:
        """Whether any part of this citizen is on the screen."""
        return citizen in self.in_sight() if self.shows_table else self.grid.sees(citizen)

    def tick(self, now: float, pulses: Mapping[str, Heartbeat], running: Running) -> None:
        """Repaint what looks different at `now`."""
        for citizen, pulse in pulses.items():
            self.grid.set_pulse(citizen, pulse)
        self._busy = running
        if self._table and self.shows_table:
            self._table.tick(now)
            return
        self.grid.tick(now)
        if self._lower and self._lower.display and self._lower.is_mounted:
            self.on_fleet_rows_moved()
            self._lower.catch_up(running)

    def focus_rows(self) -> None:
        """Give the rows the focus."""
        self.screen.set_focus(self.rows)

    # -------------------------------------------------------------- the table

    def switch(self) -> None:
        """Switch from the panels to the table, or back."""
        table = self._made_table()
        table.display = not table.display
        self.grid.display = not table.display
        if table.display:
            table.fill()
            table.tick(self._clock())
            if self._lower:
                self._lower.display = False
        else:
            self.grid.apply_filter(self.board.filter.text)
            self.grid.go_to(self.board.cursor)
            self.grid.tick(self._clock())
        self.focus_rows()

    def _made_table(self) -> "TaskTable":
        if self._table is None:
            # 10 ms that the first frame does not wait for
            from tui.fleet.table.usual_durations import UsualTimes
            from tui.fleet.table.view import TaskTable

            self._usual = UsualTimes(self._controls.get)
            glyphs, read_only = self._glyphs, self._read_only
            self._table = TaskTable(self.board, glyphs, read_only, self._usual.of, self._held)
            self._table.display = False
            self.mount(self._table)
        return self._table

    def _held(self, citizen: str) -> str:
        """Why nothing of this citizen runs; empty if it does."""
        snapshot = self.snapshot(citizen)
        if snapshot is None or snapshot.stale:
            return "not live" if snapshot else "waiting for its scheduler"
        return frozen_words(snapshot.freeze) if snapshot.freeze else ""

    def on_task_table_looked(self) -> None:
        self._ask_usual()

    @work(exclusive=True, group="usual")
    async def _ask_usual(self) -> None:
        await asyncio.sleep(REST)
        if self._table and self._usual:
            await self._usual.ask(self._table.in_sight())
            self._table.sync()

    # -------------------------------------------------------------- the lower part

    def on_fleet_grid_arranged(self) -> None:
        self.fit_lower()

    def fit_lower(self) -> None:
        """Give events and output the lines that the panels leave."""
        if not self.shows_table and self.is_attached:  # otherwise the app is ending
            free, before = self.grid.free, self.starts
            if self._wrong and self._wrong.display:
                free -= self._wrong.fit(free)
            if self._start:
                free -= self._start.fit(self.grid.size.width, free)
            if before != self.starts:
                self.post_message(self.Changed())
            self._made_lower().fit(free, EVENTS if self.starts else None)
            self.on_fleet_rows_moved()
            self._made_lower().catch_up(self._busy)

    def switch_lower(self) -> bool:
        """Show the next thing below the panels; whether there is room for it."""
        lower = self._made_lower()
        lower.switch()
        self.fit_lower()
        return lower.has_room

    # -------------------------------------------------------------- settings that are wrong

    def set_problems(self, citizen: str, lines: tuple[str, ...]) -> None:
        """Set what is wrong with the settings of this citizen, or with the main file for ""."""
        if lines == self._broken.get(citizen, ()):
            return
        self._broken[citizen] = lines
        if self._wrong is None:
            self._wrong = WrongSettings(self._glyphs, self._find, self._read_only)
            self._wrong.painted_like = self.grid
            self.mount(self._wrong, after=self.grid)
        first: dict[str, str] = {}  # the main file's problems appear with each citizen, too
        for name in sorted(self._broken):
            first |= {line: name for line in self._broken[name] if line not in first}
        wrong = [(name, line) for line, name in first.items()]
        self._wrong.show(wrong)
        self._wrong.display = bool(wrong)
        if self._wrong.has_focus and not wrong:
            self.focus_rows()
        self.fit_lower()

    @property
    def problem(self) -> Wrong | None:
        """The selected problem of the settings, if problems are shown."""
        return self._wrong.at_problem if self._wrong and self._wrong.display else None

    # -------------------------------------------------------------- the first steps

    @property
    def starts(self) -> bool:
        """Whether the first steps are shown."""
        return self._start is not None and self._start.display

    def _look_at_start(self) -> None:
        """Show the first steps until one of the person's own tasks has run, or they are hidden for good."""
        snapshots = self.board.snapshots()
        if not any(one.tasks for one in snapshots):
            return
        if self._beginning and is_beginning(snapshots):
            if self._start is None and not self._beginning.hidden:
                self.start_here()
        else:
            self._beginning = None
            self._remove_start()

    def start_here(self) -> None:
        """Show the first steps now."""
        if self._start is None and not self.shows_table:
            self._start = StartHere(self._glyphs, like=self.grid)
            self.mount(self._start, after=self.grid)
            self._teach()
            self.count_jobs()

    def _teach(self) -> None:
        """Fill in the first steps with current facts; the panels leave the room that they need."""
        start = self._start
        if start is None:
            return
        snapshots = self.board.snapshots()
        first = self.snapshot(self.board.cursor.citizen) or next(iter(snapshots), None)
        home = Path(first.home) if first and first.home else Path()
        keys = {name: key_of(self, name, usual) for name, usual in KEYS_TOLD.items()}
        start.facts = Facts(first.citizen if first else "opus", tilde(home / FILE), self.jobs, **keys)
        self.grid.keep_free(*start.wishes(self.size.width))

    def count_jobs(self) -> None:
        """Count, once, the lines that cron runs for this user."""
        if self._beginning and not self._counted:
            self._counted = True
            self._ask_cron(self._beginning)

    @work(group="crontab")
    async def _ask_cron(self, beginning: Beginning) -> None:
        self.jobs = await asyncio.to_thread(beginning.jobs)
        self._teach()
        self.post_message(self.Changed())

    def on_resize(self) -> None:
        self._teach()

    def _to_lesson(self) -> bool:
        """Whether the focus moves to what stands behind the last panel."""
        shown = self._wrong if self.problem else self._start.first if self._start and self.starts else None
        if shown:
            shown.focus()
        return shown is not None

    def on_lesson_left(self) -> None:
        self.focus_rows()

    def on_lesson_hidden(self) -> None:
        if not self.starts:
            return
        if self._beginning:
            with suppress(OSError):  # otherwise it is hidden only until the next start
                self._beginning.hide()
        self._beginning = None
        self._remove_start()
        self.post_message(self.Said(f"{key_of(self, 'palette', ':')} and start here show it again"))

    on_fleet_rows_nothing_to_clear = on_lesson_hidden

    def _remove_start(self) -> None:
        if self._start:
            self._start.remove()
            self._start = None
            self.post_message(self.Changed())
            self.focus_rows()
            self.grid.keep_free()

    def _made_lower(self) -> "Lower":
        if self._lower is None:
            from tui.fleet_page.lower_part import Lower

            self._lower = Lower(self._log, self._glyphs, self._controls, self._clock, like=self.grid)
            self._lower.set_cluster(self._cluster)
            self.mount(self._lower)
        return self._lower

    def on_fleet_rows_moved(self) -> None:
        if self._lower and self._lower.display and self._lower.is_mounted:
            place = self.board.cursor
            self._lower.look_at(place, self.board.view(place))
