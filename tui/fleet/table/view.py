"""Draws the table: only rows in sight, repainting only those that changed."""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from textual.binding import BindingType
from textual.events import Click, Resize
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from scheduler.core.views import Snapshot
from tui.common import text as words
from tui.common.styles import CURSOR, MARKED
from tui.common.task_ref import Place
from tui.common.usual_duration import Usual
from tui.fleet.arrangement import Filter
from tui.fleet.board import Board
from tui.fleet.row_keys import FleetRows
from tui.fleet.table.columns import EDGE, SAYS_COLUMN, SORTABLE, Moment, Piece, cells_of, columns_for
from tui.fleet.table.foot import about
from tui.fleet.table.order import Order, SortedBy
from tui.fleet.table.rows import Columns, RowCells, RowLook, row_cells, row_look
from tui.glyphs import Glyphs
from tui.keys import TABLE_KEYS

HEAD, FOOT = 1, 3  # lines around the rows: titles; a rule and two lines about the row under the cursor
LOW = 14  # lines below which there is no room for a foot


Look = RowLook | tuple[Piece, ...]


class Sight(NamedTuple):
    """What all lines share while they are drawn."""

    moment: Moment
    columns: Columns
    width: int  # cells of a line
    top: int  # the first row
    inside: int  # rows in sight
    at: int  # the row with the cursor


class Drawn(NamedTuple):
    """A line as last drawn: what it looked like, its cells if it is a row, and the strip."""

    look: Look
    cells: RowCells | None
    strip: Strip


class TaskTable(FleetRows, inherit_bindings=False):
    """Draws the rows of all tasks that the filter keeps, sorted by a column."""

    BINDINGS: ClassVar[list[BindingType]] = [*TABLE_KEYS]

    class Looked(Message):
        """Other rows came into sight."""

    def __init__(
        self,
        board: Board,
        glyphs: Glyphs,
        read_only: bool,
        usual: Callable[[Place], Usual | None],
        held: Callable[[str], str],
    ) -> None:
        super().__init__(board, glyphs, read_only)
        self.order = Order(held)
        self._usual, self._held = usual, held
        self._drawn: dict[int, Drawn] = {}
        self._below: tuple[Sight | None, list[list[Piece]]] = None, []
        self._waits = False

    # -------------------------------------------------------------- values come down

    def fill(self) -> None:
        """Show the tasks that the filter keeps, and sort them again."""
        self.order.fill(self.tasks())
        self._settle()

    def update_snapshot(self, snapshot: Snapshot) -> None:
        """Take a citizen's newest snapshot, which the board already has."""
        panel = self.board.panel(snapshot.citizen)
        if panel is not None and self.order.update(snapshot.citizen, panel.tasks):
            self._settle()
        elif not self._waits and any(citizen == snapshot.citizen for citizen, _ in self.in_sight()):
            self._waits = True  # once for all snapshots that arrive until then
            self.call_later(self._sync_late)

    def _sync_late(self) -> None:
        self._waits = False
        self.sync()

    def apply_filter(self, text: str) -> None:
        self.board.apply_filter(Filter(text))
        self.fill()
        self.post_message(self.ViewChanged())

    def _settle(self) -> None:
        if self.order.at(self.board.cursor) is None and (first := self.order.ref(0)):
            self.board.cursor = first.row
        self._make_room()
        self._reveal()
        self.refresh()

    # -------------------------------------------------------------- where things are

    @property
    def at(self) -> int:
        """The number of the row with the cursor."""
        return self.order.at(self.board.cursor) or 0

    @property
    def inside(self) -> int:
        """Rows in sight."""
        return max(1, self.room.height - HEAD - self._foot)

    @property
    def _foot(self) -> int:
        return FOOT if self.room.height >= LOW else 0

    @property
    def _top(self) -> int:
        return self.scroll_offset.y

    def in_sight(self) -> list[Place]:
        """The rows on the screen."""
        return self.order.rows[self._top : self._top + self.inside]

    # -------------------------------------------------------------- drawing

    def sync(self) -> None:
        """Repaint the lines that look different now."""
        sight, changed = self._sight(), []
        for y, drawn in list(self._drawn.items()):
            look = self._look(y, sight)
            if look != drawn.look:
                changed.append(Region(0, y, sight.width, 1))  # to cut it takes longer than to write it
                self._draw(y, look, sight)
        if changed:
            self.refresh(*changed)

    def forget(self) -> None:
        self._drawn.clear()

    def render_line(self, y: int) -> Strip:
        if y not in self._drawn:
            sight = self._sight()
            for each in range(y, max(y + 1, self.size.height)):  # what follows is missing, too
                if each not in self._drawn:
                    self._draw(each, self._look(each, sight), sight)
        return self._drawn[y].strip

    def _draw(self, y: int, look: Look, sight: Sight) -> None:
        styles, width, cells = self.styles_now(), sight.width, None
        if isinstance(look, RowLook):
            before = self._drawn.get(y)
            cells = row_cells(look, styles, width, sight.moment, before.cells if before else None)
            strip = Strip(cells.all, max(width, cells_of(look.columns)))  # to measure it would take longer
        else:
            strip = Strip(Segment(text, styles.style(style)) for text, style in look)
        strip = strip.adjust_cell_length(width, styles.style("ink"))
        self._drawn[y] = Drawn(look, cells, self.finished(strip))

    def _look(self, y: int, sight: Sight) -> Look:
        """All that decides what this line looks like."""
        if y < HEAD:
            return self._heads()
        if y >= HEAD + sight.inside:
            if self._below[0] is not sight:  # for its three lines at once
                self._below = sight, self._about(sight)
            lines = self._below[1]
            return tuple(lines[index]) if (index := y - HEAD - sight.inside) < len(lines) else ()
        number = sight.top + y - HEAD
        ref = self.order.ref(number)
        if ref is None:
            return self._nothing(y)
        light = CURSOR if number == sight.at else 0
        if (marked := self.board.marked) and ref.row in marked:
            light |= MARKED
        return row_look(ref, light, sight.columns, sight.moment)

    def _sight(self) -> Sight:
        moment = Moment(self._now, self._glyphs, lambda ref: self._usual(ref.row), self._held, self._machine)
        return Sight(moment, self._columns(), self.size.width, self._top, self.inside, self.at)

    def _columns(self) -> Columns:
        return columns_for(self.room.width, self.order.longest, self.board.shared)

    def _heads(self) -> tuple[Piece, ...]:
        by, glyphs = self.order.by, self._glyphs
        arrow = glyphs.sorted[by.reverse]
        pieces = [(" " * EDGE, "faint")]
        for column in self._columns():
            chosen = column.name == by.column.name or {column.name, by.column.name} == {"who", "citizen"}
            style, sign = ("title", arrow) if chosen else ("faint", " ")
            name = column.name
            if column.left:  # the mark has its own cell, so that heads do not move
                text = words.fit(f"{name} {sign}", column.cells)
            else:
                text = f"{sign}{name:>{column.cells - 1}}"
            pieces.append((" " * column.gap + text, style))
        return tuple(pieces)

    def _machine(self, citizen: str) -> str:
        panel = self.board.panel(citizen)
        return panel.host.machine if panel and panel.host else ""

    def _nothing(self, y: int) -> tuple[Piece, ...]:
        if y != HEAD + 1 or self.order.rows:
            return ()
        text = "  no task yet" if self.board.filter.all else self.nothing_matches()
        return ((text, "faint"),)

    def _about(self, sight: Sight) -> list[list[Piece]]:
        """The cut-off parts of the row under the cursor."""
        ref, glyphs, width = self.order.ref(sight.at), self._glyphs, self.size.width
        rule = [(f" {glyphs.across * (width - 2)}", "frame")]
        if ref is None:
            return [rule]
        shown = len(self.order.rows)
        last = min(shown, sight.top + sight.inside)
        place = f"{sight.top + 1:,}-{last:,} of {shown:,}" if sight.top or last < shown else ""
        says = any(column.name == SAYS_COLUMN.name for column in sight.columns)
        return [rule, *map(list, about(ref, sight.moment, width, place, says))]

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.forget()
            self.refresh()
            self.post_message(self.Looked())

    def _make_room(self) -> None:
        self.forget()
        self.hold(HEAD + len(self.order.rows) + self._foot)

    def on_resize(self, event: Resize) -> None:
        self._make_room()
        if self.at < self.inside:
            self.scroll_to(y=0, animate=False, force=True)
        self._reveal()
        self.refresh()  # it may have been painted before this, and what is forgotten does not tick
        self.post_message(self.Looked())

    # -------------------------------------------------------------- keys and mouse

    def _reveal(self) -> None:
        top, inside = self._top, self.inside
        if self.at < top:
            top = self.at
        elif self.at >= top + inside:
            top = self.at - inside + 1
        last = max(0, len(self.order.rows) - inside)
        self.scroll_to(y=min(top, last), animate=False, force=True)

    def _go(self, number: int) -> None:
        ref = self.order.ref(min(max(0, number), len(self.order.rows) - 1))
        if ref is not None:
            self.board.cursor = ref.row
            self._reveal()
            self.sync()

    def go_to(self, place: Place) -> None:
        """Move the cursor to this task, in sight, even if the filter hides it."""
        if self.order.at(place) is None and not self.board.filter.all:
            self.apply_filter("")
        first = next((each for each in self.order.rows if each.citizen == place.citizen), place)
        number = self.order.at(place if place.task else first)
        if number is not None:
            self._go(number)

    def action_move(self, how: str, step: int) -> None:
        """Move by a row, all the way, or to the next citizen's rows."""
        if how == "vertical":
            self._go(self.at + step)
        elif how == "end":
            self._go(0 if step < 0 else len(self.order.rows) - 1)
        elif how == "panel":
            rows, at = self.order.rows, self.at
            beyond = range(at + 1, len(rows)) if step > 0 else range(at - 1, -1, -1)
            self._go(next((n for n in beyond if rows[n].citizen != rows[at].citizen), at))

    def action_page(self, step: int) -> None:
        """Move by a screenful less one row, to keep the context."""
        self._go(self.at + step * max(1, self.inside - 1))

    def action_sort(self) -> None:
        """Sort by the next column."""
        names = [column for column in self._columns() if column.name in SORTABLE]
        at = next((n for n, each in enumerate(names) if each.name == self.order.by.column.name), -1)
        self._sort(SortedBy(names[(at + 1) % len(names)]))

    def action_reverse(self) -> None:
        """Reverse the order."""
        self._sort(SortedBy(self.order.by.column, not self.order.by.reverse))

    def _sort(self, by: SortedBy) -> None:
        self.order.sort(by)
        self._settle()
        self.post_message(self.ViewChanged())

    def action_open(self) -> None:
        if self.order.ref(self.at):
            self.post_message(self.Opened(self.board.cursor))

    def on_click(self, event: Click) -> None:
        if event.y < HEAD:
            self._click_head(event.x)
            return
        number = self._top + event.y - HEAD
        if event.y < HEAD + self.inside and number < len(self.order.rows):
            again = number == self.at
            self._go(number)
            if again:
                self.action_open()

    def _click_head(self, x: int) -> None:
        left = EDGE
        for column in self._columns():
            left += column.gap + column.cells
            if x < left:
                if column.name in SORTABLE:
                    same = column.name == self.order.by.column.name
                    self._sort(SortedBy(column, same and not self.order.by.reverse))
                return
