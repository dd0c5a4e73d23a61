"""What stands between the first lines and the keys: panels or a table, and below panels the lower part."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from textual import work
from textual.containers import Vertical

from scheduler.core.ports import Control
from scheduler.core.views import Heartbeat, Snapshot
from tui.common.task_ref import TaskRef
from tui.fleet.board import Board, Place
from tui.fleet.grid import FleetGrid
from tui.fleet.panels.banner import frozen_words
from tui.fleet.row_keys import FleetRows
from tui.glyphs import Glyphs
from tui.log.events import EventLog

if TYPE_CHECKING:
    from tui.details.lower import Lower
    from tui.fleet.table.usual import UsualTimes
    from tui.fleet.table.view import TaskTable

REST = 0.2  # seconds that the rows in sight rest before their history is asked for
Running = set[tuple[str, str]]  # citizen and task of what runs


class FleetBody(Vertical):
    """The rows of the fleet, however they are drawn; what is not shown at first is made when it is needed."""

    def __init__(
        self,
        glyphs: Glyphs,
        read_only: bool,
        log: EventLog,
        controls: Mapping[str, Control],
        now: Callable[[], float],
    ) -> None:
        self.grid = FleetGrid(glyphs, read_only)
        super().__init__(self.grid)
        self._glyphs, self._read_only = glyphs, read_only
        self._log, self._controls, self._clock = log, controls, now
        self._lower: Lower | None = None
        self._table: TaskTable | None = None
        self._usual: UsualTimes | None = None
        self._busy: Running = set()

    @property
    def board(self) -> Board:
        return self.grid.board

    @property
    def rows(self) -> FleetRows:
        """What is shown: panels or the table."""
        return self._table if self._shows_table and self._table else self.grid

    @property
    def _shows_table(self) -> bool:
        return self._table is not None and self._table.display

    def snapshot(self, citizen: str) -> Snapshot | None:
        """The newest of a citizen."""
        panel = self.board.panel(citizen)
        return panel.snapshot if panel else None

    def tasks(self) -> list[TaskRef]:
        """Every task that the filter keeps, in the order of the panels."""
        return self.grid.tasks()

    # -------------------------------------------------------------- values come down

    def set_citizens(self, names: list[str]) -> None:
        """Show these citizens."""
        self.grid.set_citizens(names)
        if self._table and self._shows_table:
            self._table.fill()

    def update_snapshot(self, snapshot: Snapshot) -> None:
        """Take the newest of a citizen."""
        self.grid.update_snapshot(snapshot)
        if self._usual:
            self._usual.update_snapshot(snapshot)
        if self._table and self._shows_table:
            self._table.update_snapshot(snapshot)

    def in_sight(self) -> Iterable[str]:
        """The citizens of which something is on the screen."""
        if self._table and self._shows_table:
            return dict.fromkeys(citizen for citizen, _ in self._table.in_sight())
        return self.grid.in_sight()

    def sees(self, citizen: str) -> bool:
        """Whether something of this citizen is on the screen."""
        return citizen in self.in_sight() if self._shows_table else self.grid.sees(citizen)

    def tick(self, now: float, pulses: Mapping[str, Heartbeat], running: Running) -> None:
        """Paint again what looks different at `now`."""
        for citizen, pulse in pulses.items():
            self.grid.set_pulse(citizen, pulse)
        self._busy = running
        if self._table and self._shows_table:
            self._table.tick(now)
            return
        self.grid.tick(now)
        if self._lower and self._lower.display and self._lower.is_mounted:
            self.on_fleet_rows_moved()
            self._lower.catch_up(running)

    def apply_filter(self, text: str) -> None:
        """Show only what the filter keeps."""
        self.rows.apply_filter(text)

    def go_to(self, place: Place) -> None:
        """The cursor to this task, in sight, whatever the filter hides."""
        self.rows.go_to(place)

    def focus_rows(self) -> None:
        """The keys are those of the rows."""
        self.screen.set_focus(self.rows)

    # -------------------------------------------------------------- the table

    def switch(self) -> None:
        """From the panels to the table, or back."""
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
            from tui.fleet.table.usual import UsualTimes  # 10 ms that the first frame does not wait for
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
        """Give the lines that the panels leave to events and output."""
        if not self.board.empty and not self._shows_table:
            self._made_lower().fit(self.grid.free)
            self.on_fleet_rows_moved()
            self._made_lower().catch_up(self._busy)

    def switch_lower(self) -> None:
        """Show something else below the panels."""
        self._made_lower().switch()
        self.fit_lower()

    def _made_lower(self) -> "Lower":
        if self._lower is None:
            from tui.details.lower import Lower

            self._lower = Lower(self._log, self._glyphs, self._controls.get, self._clock, like=self.grid)
            self.mount(self._lower)
        return self._lower

    def on_fleet_rows_moved(self) -> None:
        if self._lower and self._lower.display and self._lower.is_mounted:
            place = self.board.cursor
            self._lower.look_at(place, self.board.view(place))
