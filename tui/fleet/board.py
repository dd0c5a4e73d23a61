"""All panels in their order, and where everything is; works without a terminal."""

from collections.abc import Iterable, Mapping
from itertools import product

from scheduler.core.machines import Host
from scheduler.core.views import Snapshot, TaskView
from tui.common.task_ref import Place
from tui.fleet.arrangement import Filter, Order
from tui.fleet.panels.contents import FOLD, Density
from tui.fleet.panels.layout import Layout, arrange, columns_for, widths_for
from tui.fleet.panels.panel import Panel
from tui.fleet.panels.rows import RowState
from tui.glyphs import Glyphs

LOWEST = 4  # the fewest lines of a panel in a large fleet
# A row that needs scrolling is better than none: only a layout that then fits drops the fold.
DENSITIES = tuple(Density)


class Board:
    """The panels, their order, the cursor and the marked rows."""

    def __init__(self, glyphs: Glyphs) -> None:
        self._glyphs = glyphs
        self._panels: dict[str, Panel] = {}
        self.order: list[Panel] = []
        self.sorted_by = Order.NAME
        self.filter = Filter()
        self.marked: frozenset[Place] = frozenset()
        self.cursor = Place()
        self.shared = False  # whether several machines share citizens
        self._row = 0  # the cursor's row, to keep if its task goes away
        self._where: dict[str, int] = {}
        self._longest = (0, 0)  # task name, schedule
        self._size = (0, 0, 0)
        self._reserve: tuple[int, ...] = ()
        self.layout: Layout = arrange([], (0,))

    # -------------------------------------------------------------- what there is

    def set_citizens(self, names: Iterable[str]) -> None:
        """Show exactly these citizens; those that stay keep their snapshots."""
        self._panels = {name: self._panels.get(name) or Panel(name, self._glyphs) for name in names}
        self.marked = frozenset(place for place in self.marked if place.citizen in self._panels)
        self.sort(self.sorted_by)

    def update_snapshot(self, snapshot: Snapshot) -> bool:
        """Take the newest snapshot; True if panels have to move."""
        panel = self._panels.get(snapshot.citizen)
        if panel is None:
            return False
        moved = panel.update_snapshot(snapshot, self.filter)
        return moved or (not self.filter.all and bool(panel.tasks) != (snapshot.citizen in self._where))

    def set_hosts(self, hosts: Mapping[str, Host], now: float) -> bool:
        """Set the machines of all citizens; True if panels have to move."""
        self.shared = bool(hosts)
        moved = [panel.set_host(hosts.get(name), now) for name, panel in self._panels.items()]
        return any(moved)

    def panel(self, citizen: str) -> Panel | None:
        return self._panels.get(citizen)

    @property
    def empty(self) -> bool:
        return not self._panels

    @property
    def kept(self) -> str:
        """How many rows the filter keeps: `3 of 41`."""
        panels = self._panels.values()
        shown, rows = sum(len(panel.tasks) for panel in panels), sum(panel.total for panel in panels)
        return f"{shown:,} of {rows:,}"

    # -------------------------------------------------------------- order and room

    def sort(self, order: Order) -> None:
        """Sort the panels once in this order."""
        self.sorted_by = order
        panels = sorted(self._panels.values(), key=lambda panel: order.key(panel.citizen, panel.snapshot))
        self._panels = {panel.citizen: panel for panel in panels}
        self.apply_filter(self.filter)

    def apply_filter(self, keep: Filter) -> None:
        """Show only what the filter keeps."""
        self.filter = keep
        for panel in self._panels.values():
            panel.apply_filter(keep)
        self.arrange(*self._size)

    def arrange(self, width: int, height: int, bar: int = 0) -> None:
        """Lay the panels out for a screen of this size; a scrollbar takes `bar` cells if one is needed."""
        self._size = (width, height, bar)
        everything = self.filter.all
        self.order = [panel for panel in self._panels.values() if everything or panel.tasks]
        self._where = {panel.citizen: index for index, panel in enumerate(self.order)}
        longest = [panel.longest for panel in self._panels.values()] or [(0, 0)]
        self._longest = max(name for name, _ in longest), max(schedule for _, schedule in longest)
        columns = columns_for(len(self._panels), width)
        self.layout = self._reserving(width, height, columns) or self._densest(width, height, columns, bar)
        self._settle()

    def _reserving(self, width: int, height: int, columns: int) -> Layout | None:
        """The roomiest layout that leaves a reserve free; None if none fits or none is requested."""
        for kept, spread in product(self._reserve, (True, False)):
            self._spread(spread)
            for density in (Density.ROOMY, Density.NO_HEADS):
                layout = self._arranged(width, columns, density)
                if layout.height + kept <= height:
                    return layout
        return None

    def keep_free(self, *lines: int) -> None:
        """Keep lines free below the panels: the first of these numbers that fits; none for no reserve."""
        self._reserve = lines
        self._spread(False)
        self.arrange(*self._size)

    def _spread(self, spread: bool) -> None:
        for panel in self.order:
            panel.spread_out(spread)

    def _densest(self, width: int, height: int, columns: int, bar: int) -> Layout:
        """The layout that leaves out least and fits; if it must scroll anyway, a dense one with every row."""
        many = len(self.order) // columns * LOWEST > height  # trying would be pointless
        for density in () if many else DENSITIES:
            layout = self._arranged(width, columns, density)
            if layout.height <= height:
                return layout
        return self._arranged(width - bar, columns, Density.JOINED)

    def _arranged(self, width: int, columns: int, density: Density) -> Layout:
        widths = widths_for(width, columns)
        heights = [
            panel.shape(
                widths[index % columns],
                self._longest,
                density,
                joined=density >= Density.JOINED and index >= columns,
            )
            for index, panel in enumerate(self.order)
        ]
        return arrange(heights, widths)

    def _settle(self) -> None:
        """Move the cursor to a row that exists."""
        index = self._where.get(self.cursor.citizen)
        if index is None:
            self.move_to(0, 0)
        elif not any(row.name == self.cursor.task for row in self.order[index].rows):
            self.move_to(index, self._row)

    # -------------------------------------------------------------- the cursor

    @property
    def at(self) -> tuple[int, int]:
        """The panel and row of the cursor."""
        index = self._where.get(self.cursor.citizen, -1)
        if index < 0:
            return -1, -1
        rows = self.order[index].rows
        found = (number for number, row in enumerate(rows) if row.name == self.cursor.task)
        return index, next(found, 0)

    def move_to(self, panel: int, row: int) -> None:
        """Move the cursor to this row, or the nearest one."""
        if not self.order:
            return
        chosen = self.order[min(max(0, panel), len(self.order) - 1)]
        self._row = min(max(0, row), max(0, len(chosen.rows) - 1))
        self.cursor = Place(chosen.citizen, chosen.rows[self._row].name if chosen.rows else "")

    def show(self, place: Place) -> None:
        """Unfold the row that hides this task, if one does."""
        panel = self._panels.get(place.citizen)
        if panel and place.task not in [row.name for row in panel.rows]:
            panel.fold(False)

    def unfold(self) -> bool:
        """Unfold the row under the cursor, or fold it again; False if the row is a task."""
        panel = self._panels.get(self.cursor.citizen)
        if panel is None or self.cursor.task != FOLD:
            return False
        panel.fold(not panel.folded)
        return True

    def mark(self) -> None:
        """Mark the row under the cursor, or unmark it."""
        if self.cursor.task not in ("", FOLD):
            self.marked ^= {self.cursor}

    def chosen(self) -> tuple[Place, ...]:
        """The marked rows in screen order, or else the row under the cursor."""
        if not self.marked:
            return (self.cursor,) if self.cursor.task not in ("", FOLD) else ()
        return tuple(place for place in self.places() if place in self.marked)

    def places(self) -> list[Place]:
        """Every task, shown or not."""
        panels = self._panels.values()
        return [Place(p.citizen, task.name) for p in panels if p.snapshot for task in p.snapshot.tasks]

    def snapshots(self) -> list[Snapshot]:
        """The newest snapshot of each citizen."""
        return [panel.snapshot for panel in self._panels.values() if panel.snapshot]

    def view(self, place: Place) -> TaskView | None:
        panel = self._panels.get(place.citizen)
        return panel.snapshot.task(place.task) if panel and panel.snapshot else None

    # -------------------------------------------------------------- what is where

    def index_of(self, citizen: str) -> int | None:
        """The place of this citizen's panel in the order, if it is shown."""
        return self._where.get(citizen)

    def shows(self, citizen: str, top: int, height: int) -> bool:
        """Whether any line of this citizen's panel is within these lines."""
        index = self._where.get(citizen)
        return index is not None and self.layout.top(index) < top + height and top < self.layout.bottom(index)

    def below(self, bottom: int) -> int:
        """How many panels start at or below this line."""
        return max(0, len(self.order) - (self.layout.band_at(bottom - 1) + 1) * self.layout.columns)

    def between(self, top: int, height: int) -> list[Panel]:
        """The panels that have a line among these lines."""
        layout = self.layout
        first, last = layout.band_at(top), layout.band_at(top + max(0, height - 1))
        return self.order[max(0, first) * layout.columns : (last + 1) * layout.columns]

    def lines_of_cursor(self, height: int) -> tuple[int, int]:
        """The lines to scroll into sight: the cursor's whole panel if it fits into `height`, else its row."""
        index, row = self.at
        if index < 0:
            return 0, 0
        panel, top, bottom = self.order[index], self.layout.top(index), self.layout.bottom(index)
        if bottom - top <= height:
            return top, bottom - 1
        first = top if row == 0 else top + panel.row_line(row)
        last = bottom if row >= len(panel.rows) - 1 else top + panel.row_line(row + 1)
        return first, last - 1

    def states(self, y: int, now: float, cursor: tuple[int, int] | None = None) -> tuple[RowState, ...]:
        """The states of line `y`, from left to right; `cursor` is `at`, if the caller has it."""
        layout = self.layout
        if y >= layout.height:
            return ()
        band = layout.band_at(y)
        at, row = cursor or self.at
        line, height = y - layout.tops[band], layout.tops[band + 1] - layout.tops[band]
        states = []
        for index in layout.panels_in(band):
            panel = self.order[index]
            states.append(panel.state(line, height, now, row if index == at else -1, self.marked))
        return tuple(states)

    def row_at(self, x: int, y: int) -> tuple[int, int] | None:
        """The panel and row at these coordinates."""
        layout = self.layout
        band = layout.band_at(y)
        index = band * layout.columns + layout.column_at(x)
        if not 0 <= y < layout.height or index not in layout.panels_in(band):
            return None
        return index, self.order[index].row_at(y - layout.tops[band])
