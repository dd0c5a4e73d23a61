"""The table: only the rows in sight are drawn, and only those that look different are painted again."""

from collections.abc import Callable
from typing import ClassVar

from rich.segment import Segment
from textual.binding import BindingType
from textual.events import Click, Resize
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from scheduler.core.views import Snapshot
from tui.common import text as words
from tui.common.styles import CURSOR, MARKED, merged
from tui.common.task_ref import TaskRef
from tui.common.usual import Usual
from tui.fleet.arrangement import Filter
from tui.fleet.board import Board, Place
from tui.fleet.panels.rows import mark, recent_segments
from tui.fleet.row_keys import FleetRows
from tui.fleet.table.columns import EDGE, SORTABLE, Column, Moment, columns_for, says, sign
from tui.fleet.table.order import Order, Row, SortedBy
from tui.glyphs import Glyphs
from tui.keys import TABLE_KEYS, key_of

HEAD, FOOT = 1, 3  # lines around the rows: titles; a rule, and two about the row under the cursor
LOW = 14  # lines below which there is no room for a foot


class TaskTable(FleetRows, inherit_bindings=False):
    """Draws the rows of all tasks that the filter keeps, sorted by a column."""

    BINDINGS: ClassVar[list[BindingType]] = [*TABLE_KEYS]

    class Looked(Message):
        """Other rows are in sight."""

    def __init__(
        self,
        board: Board,
        glyphs: Glyphs,
        read_only: bool,
        usual: Callable[[Row], Usual | None],
        held: Callable[[str], str],
    ) -> None:
        super().__init__(board, glyphs, read_only)
        self.order = Order()
        self._usual, self._held = usual, held
        self._drawn: dict[int, tuple[tuple[Segment, ...], Strip]] = {}
        self._waits = False

    # -------------------------------------------------------------- values come down

    def fill(self) -> None:
        """Show the tasks that the filter keeps, and take the order anew."""
        self.order.fill(self.tasks())
        self._settle()

    def update_snapshot(self, snapshot: Snapshot) -> None:
        """Take the newest of a citizen, which the board has already."""
        panel = self.board.panel(snapshot.citizen)
        if panel is not None and self.order.update(snapshot.citizen, panel.tasks):
            self._settle()
        elif not self._waits and any(citizen == snapshot.citizen for citizen, _ in self.in_sight()):
            self._waits = True  # once for all snapshots that have arrived by then
            self.call_later(self._sync_late)

    def _sync_late(self) -> None:
        self._waits = False
        self.sync()

    def apply_filter(self, text: str) -> None:
        self.board.apply_filter(Filter(text))
        self.fill()
        self.post_message(self.ViewChanged())

    def tick(self, now: float) -> None:
        """Paint again what looks different at `now`."""
        self._now = now
        self.sync()

    def _settle(self) -> None:
        if self.order.at(self.row) is None and (first := self.order.ref(0)):
            self.board.cursor = Place(*first.row)
        self._make_room()
        self._reveal()
        self.refresh()
        self.post_message(self.Moved())

    # -------------------------------------------------------------- where things are

    @property
    def at(self) -> int:
        """The number of the row with the cursor."""
        return self.order.at(self.row) or 0

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

    def in_sight(self) -> list[Row]:
        """The rows on the screen."""
        return self.order.rows[self._top : self._top + self.inside]

    # -------------------------------------------------------------- drawing

    def sync(self) -> None:
        changed = []
        for y, (segments, _) in list(self._drawn.items()):
            now = self._segments(y)
            if now != segments:
                self._draw(y, now)
                changed.append(Region(0, y, self.size.width, 1))
        if changed:
            self.refresh(*changed)

    def forget(self) -> None:
        self._drawn.clear()

    def render_line(self, y: int) -> Strip:
        drawn = self._drawn.get(y)
        return drawn[1] if drawn else self._draw(y, self._segments(y))

    def _draw(self, y: int, segments: tuple[Segment, ...]) -> Strip:
        light = CURSOR if self._row_of(y) == self.at and self.order.rows else 0
        ink = self.styles_now().style("ink", light)
        strip = self.finished(Strip(list(merged(segments))).adjust_cell_length(self.size.width, ink))
        self._drawn[y] = segments, strip
        return strip

    def _row_of(self, y: int) -> int:
        """The row that is drawn on this line of the widget, -1 if none is."""
        return self._top + y - HEAD if HEAD <= y < HEAD + self.inside else -1

    def _segments(self, y: int) -> tuple[Segment, ...]:
        styles = self.styles_now()
        if y < HEAD:
            return tuple(Segment(text, styles.style(style)) for text, style in self._heads())
        number = self._row_of(y)
        if number >= 0:
            ref = self.order.ref(number)
            return self._row(ref, number == self.at) if ref else self._nothing(y)
        lines = self._about()
        index = y - HEAD - self.inside
        pieces = lines[index] if index < len(lines) else []
        return tuple(Segment(text, styles.style(style)) for text, style in pieces)

    def _columns(self) -> tuple[Column, ...]:
        return columns_for(self.room.width, self.order.longest)

    def _heads(self) -> list[tuple[str, str]]:
        by, glyphs = self.order.by, self._glyphs
        arrow = glyphs.sorted[by.reverse]
        pieces = [(" " * EDGE, "faint")]
        for column in self._columns():
            chosen = column.name == by.column.name or {column.name, by.column.name} == {"who", "citizen"}
            style, sign = ("title", arrow) if chosen else ("faint", " ")
            name = column.name
            if column.left:  # the mark has a cell of its own, so that heads do not move
                text = words.fit(f"{name} {sign}", column.cells)
            else:
                text = f"{sign}{name:>{column.cells - 1}}"
            pieces.append((" " * column.gap + text, style))
        return pieces

    def _row(self, ref: TaskRef, chosen: bool) -> tuple[Segment, ...]:
        styles, glyphs = self.styles_now(), self._glyphs
        marked = Place(*ref.row) in self.board.marked
        light = (CURSOR if chosen else 0) | (MARKED if marked else 0)
        at = self._moment()
        said, style = sign(ref, at)
        segments = [mark(glyphs, styles, light), Segment(f"{said} ", styles.style(style, light))]
        for column in self._columns():
            segments.append(Segment(" " * column.gap, styles.style("faint", light)))
            text, style = column.show(ref, at)
            if not style:
                segments += recent_segments(text, light, styles, glyphs)
                continue
            fitted = words.fit(text, column.cells, glyphs.ellipsis)
            shown = fitted if column.left else text.rjust(column.cells)
            segments.append(Segment(shown, styles.style(style, light)))
        return tuple(segments)

    def _moment(self) -> Moment:
        return Moment(self._now, self._glyphs, lambda ref: self._usual(ref.row), self._held)

    def _nothing(self, y: int) -> tuple[Segment, ...]:
        if y != HEAD + 1 or self.order.rows:
            return ()
        said = words.clean(self.board.filter.text, self._glyphs.plain)
        way_out = f"({key_of(self, 'clear', 'esc')} shows everything)"
        text = "  no task yet" if self.board.filter.all else f"  nothing matches {said}   {way_out}"
        return (Segment(text, self.styles_now().style("faint")),)

    def _about(self) -> list[list[tuple[str, str]]]:
        """What the row under the cursor cuts off."""
        if not self._foot:
            return []
        ref, glyphs, width = self.order.ref(self.at), self._glyphs, self.size.width
        rule = [(f" {glyphs.across * (width - 2)}", "frame")]
        if ref is None:
            return [rule]
        at, shown = self._moment(), len(self.order.rows)
        place = f"{self._top + 1}-{min(shown, self._top + self.inside)} of {shown}"
        said, style = says(ref, at)
        facts = glyphs.dot.join(self._facts(ref, at))
        name = words.clean(f"{ref.citizen}/{ref.task.name}", glyphs.plain)
        room = width - words.cells(name) - len(place) - 6
        first = [(f" {name}  ", "title"), (words.fit(facts, max(0, room), glyphs.ellipsis), "ink")]
        second = words.shorten(words.clean(said, glyphs.plain), max(0, width - 4), glyphs.ellipsis)
        return [rule, [*first, (f"  {place}", "faint")], [(f"   {second}", style)]]

    def _facts(self, ref: TaskRef, at: Moment) -> list[str]:
        task, glyphs = ref.task, self._glyphs
        every = words.clean(task.schedule, glyphs.plain)
        facts = [every if " " in every or every.startswith("@") else f"every {every}"]
        if task.due is not None and task.running_since is None:
            facts.append(f"next {words.moment(task.due, at.now)}")
        if task.error is not None and task.failures_in_a_row > 1:
            facts.append(f"{task.failures_in_a_row} failures in a row")
        if task.last_success is not None and task.error is not None:
            facts.append(f"last ok {words.ago(at.now - task.last_success)} ago")
        known, took = at.usual(ref), task.last_duration
        if known and took is not None and known.slow(took):
            facts.append(f"{words.took(took)} is slower than usual (p50 {words.took(known.p50)})")
        return facts

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.forget()
            self.refresh()
            self.post_message(self.Looked())

    def _make_room(self) -> None:
        self.hold(HEAD + len(self.order.rows) + self._foot)
        self.forget()

    def on_resize(self, event: Resize) -> None:
        self._make_room()
        if self.at < self.inside:
            self.scroll_to(y=0, animate=False, force=True)
        self._reveal()
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
            self.board.cursor = Place(*ref.row)
            self._reveal()
            self.sync()
            self.post_message(self.Moved())

    def go_to(self, place: Place) -> None:
        """The cursor to this task, in sight, whatever the filter hides."""
        if self.order.at((place.citizen, place.task)) is None and not self.board.filter.all:
            self.apply_filter("")
        row = (place.citizen, place.task)
        first = next((each for each in self.order.rows if each[0] == place.citizen), row)
        number = self.order.at(row if place.task else first)
        if number is not None:
            self._go(number)

    def action_move(self, how: str, step: int) -> None:
        """A row, all the way, or to the next citizen's rows."""
        if how == "vertical":
            self._go(self.at + step)
        elif how == "end":
            self._go(0 if step < 0 else len(self.order.rows) - 1)

    def action_page(self, step: int) -> None:
        """All rows in sight but one, which stays for the eye."""
        self._go(self.at + step * max(1, self.inside - 1))

    def action_sort(self) -> None:
        """By the next column."""
        names = [column for column in self._columns() if column.name in SORTABLE]
        at = next((n for n, each in enumerate(names) if each.name == self.order.by.column.name), -1)
        self._sort(SortedBy(names[(at + 1) % len(names)]))

    def action_reverse(self) -> None:
        """The other way round."""
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
        number = self._row_of(event.y)
        if 0 <= number < len(self.order.rows):
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
