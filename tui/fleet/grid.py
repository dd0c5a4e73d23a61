"""The grid of all panels: one widget that draws only the lines that are visible and have changed."""

import asyncio
from collections.abc import Callable, Mapping

from rich.segment import Segment
from textual.events import Click, Resize
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from scheduler.core.machines import Host
from scheduler.core.views import Heartbeat, Snapshot
from tui.common.styles import merged
from tui.common.task_ref import Place
from tui.common.text import fit
from tui.fleet import navigation
from tui.fleet.arrangement import Filter
from tui.fleet.board import Board
from tui.fleet.panels.contents import FOLD
from tui.fleet.panels.panel import paint
from tui.fleet.panels.rows import RowState
from tui.fleet.row_keys import FleetRows
from tui.glyphs import Glyphs

States = tuple[RowState, ...]
LEAST = 3  # lines to show that nothing matches
PAINTED = 0.02  # seconds to paint the cursor; other changes are painted later, or a key would wait for both


class FleetGrid(FleetRows):
    """Draws all panels."""

    class Arranged(Message):
        """The panels may need a different number of lines."""

    def __init__(self, glyphs: Glyphs, read_only: bool = False) -> None:
        super().__init__(Board(glyphs), glyphs, read_only)
        self._drawn: dict[int, tuple[States, Strip]] = {}
        self._late: Callable[[], None] | None = None
        self.beyond: Callable[[], bool] = lambda: False  # whether keys leave the last panel downwards

    # -------------------------------------------------------------- values come down

    def set_citizens(self, names: list[str]) -> None:
        """Show these citizens."""
        self._keeping(lambda: self.board.set_citizens(names))
        self.refresh_bindings()

    def update_snapshot(self, snapshot: Snapshot) -> None:
        """Take the newest snapshot; a panel out of sight is not drawn."""
        if self.board.update_snapshot(snapshot):
            self._soon(self._regrow)
        elif self.sees(snapshot.citizen):
            self._soon(self.sync)

    def set_hosts(self, hosts: Mapping[str, Host], now: float) -> None:
        """Set the machines of all citizens."""
        self._soon(self._regrow if self.board.set_hosts(hosts, now) else self.sync)

    def set_pulse(self, citizen: str, pulse: Heartbeat) -> None:
        """Take the pulse of a citizen's scheduler."""
        panel = self.board.panel(citizen)
        if panel and panel.set_pulse(pulse):
            self._soon(self.sync)

    def sees(self, citizen: str) -> bool:
        """Whether any line of this citizen's panel is on the screen."""
        return self.board.shows(citizen, self.scroll_offset.y, self.room.height)

    def in_sight(self) -> list[str]:
        """The citizens whose panels are on the screen."""
        return [panel.citizen for panel in self.board.between(self.scroll_offset.y, self.room.height)]

    def further(self) -> int:
        """How many panels are below the visible part."""
        return self.board.below(self.scroll_offset.y + self.room.height)

    def apply_filter(self, text: str) -> None:
        """Show only what the filter keeps."""
        self._keeping(lambda: self.board.apply_filter(Filter(text)))
        self._reveal()
        self.post_message(self.ViewChanged())

    # -------------------------------------------------------------- drawing

    def sync(self) -> None:
        """Repaint the visible lines that have changed."""
        at = self.board.at
        self._repaint(lambda line, drawn: self.board.states(line, self._now, at))

    def tick(self, now: float) -> None:
        """Repaint what looks different at `now`; whatever else changes a line calls `sync`."""
        self._now = now
        self._repaint(lambda line, drawn: tuple([each.line.state(now, each.light) for each in drawn]))

    def _repaint(self, look: Callable[[int, States], States]) -> None:
        """Repaint the visible lines whose states are not those that were drawn.

        The whole line: to cut it to what has changed takes longer than to write the rest.
        """
        changed, top = [], self.scroll_offset.y
        for y in range(self.room.height):
            drawn = self._drawn.get(y + top)
            if drawn is None:
                continue  # it is drawn soon anyway
            states = look(y + top, drawn[0])
            if states != drawn[0]:
                changed.append(Region(0, y, self.size.width, 1))
                self._draw(y + top, states)
        if changed:
            self.refresh(*changed)

    def render_line(self, y: int) -> Strip:
        return self.strip(y + self.scroll_offset.y)

    def strip(self, line: int) -> Strip:
        """The line as last drawn, or as it looks now."""
        drawn = self._drawn.get(line)
        return drawn[1] if drawn else self._draw(line, self.board.states(line, self._now))

    def _draw(self, line: int, states: States) -> Strip:
        # Without the scrollbar's cell: the compositor would cut a longer line in two.
        styles, width = self.styles_now(), self.size.width - self.styles.scrollbar_size_vertical
        segments = list(merged([segment for state in states for segment in paint(state, styles)]))
        cells = sum(self.board.layout.widths[: len(states)])
        if line == 1 and not self.board.order:
            segments, cells = [Segment(self._nothing(), styles.style("faint"))], width
        strip = self.finished(Strip(segments, cells).adjust_cell_length(width, styles.style("ink")))
        self._drawn[line] = (states, strip)
        return strip

    def _nothing(self) -> str:
        words = "" if self.board.filter.all else self.nothing_matches()
        return fit(words, self.size.width, self._glyphs.ellipsis)

    def forget(self) -> None:
        self._drawn.clear()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.sync()  # lines that scroll back into sight may be outdated

    # -------------------------------------------------------------- room

    @property
    def _space(self) -> tuple[int, int, int]:
        """Cells and lines for the panels, and the cells of a scrollbar if one is needed."""
        inside = self.parent  # anything else in it uses only what the panels leave
        lines = inside.size.height if isinstance(inside, Widget) else self.room.height
        return self.size.width, lines, 0 if self._glyphs.plain else 1

    @property
    def free(self) -> int:
        """The lines that the panels leave free."""
        return max(0, self._space[1] - max(LEAST, self.board.layout.height))

    def keep_free(self, *lines: int) -> None:
        """Keep lines free below the panels: the first of these numbers that fits."""
        self._keeping(lambda: self.board.keep_free(*lines))

    def on_resize(self, event: Resize) -> None:
        self._rearrange()
        self._reveal()

    def _rearrange(self) -> None:
        self._keeping(lambda: self.board.arrange(*self._space))

    def _regrow(self) -> None:
        """Make room for a panel whose height changed; next to a taller one nothing moves."""
        before, held = (self.board.layout, self.board.order), self._held()
        self.board.arrange(*self._space)
        if before == (self.board.layout, self.board.order):
            self.sync()
        else:
            self._lay_out(*held)

    def _keeping(self, change: Callable[[], None]) -> None:
        """Change the board while the panel in focus stays in place on the screen."""
        held = self._held()
        change()
        self._lay_out(*held)

    def _lay_out(self, held: str, above: int) -> None:
        self.forget()
        _, lines, bar = self._space
        bar *= self.board.layout.height > lines
        if self.styles.scrollbar_size_vertical != bar:
            self.styles.scrollbar_size_vertical = bar
        self.hold(self.board.layout.height)
        self.post_message(self.Arranged())
        where = self.board.index_of(held)
        if where is not None:
            self.scroll_to(y=self.board.layout.top(where) - above, animate=False)
        self.refresh()

    def _held(self) -> tuple[str, int]:
        """The panel to keep in place (the cursor's if visible), and how far below the edge it is."""
        board, names = self.board, self.in_sight()
        held = board.cursor.citizen if board.cursor.citizen in names else names[0] if names else ""
        index = board.index_of(held)
        return held, board.layout.top(index) - self.scroll_offset.y if index is not None else 0

    def _reveal(self) -> None:
        """Scroll the cursor into sight, with its panel if that fits."""
        self.reveal(*self.board.lines_of_cursor(self.room.height))

    def _soon(self, action: Callable[[], None]) -> None:
        """Run `action` once for all snapshots that have arrived by then; moving panels paints them, too."""
        if self._late is None:
            self.call_later(self._do_late)
        if self._late is None or action == self._regrow:
            self._late = action

    def _do_late(self) -> None:
        action, self._late = self._late, None
        if action:
            action()

    # -------------------------------------------------------------- keys and mouse

    def _go(self, panel: int, row: int) -> None:
        self.board.move_to(panel, row)
        self.sync()
        self._reveal()
        asyncio.get_running_loop().call_later(PAINTED, self.post_message, self.Moved())

    def go_to(self, place: Place) -> None:
        """Move the cursor to this task, in sight, even if the filter hides it."""
        view = self.board.view(place)
        hidden = view and not self.board.filter.wants(place.citizen, view)
        if hidden or self.board.index_of(place.citizen) is None:
            self.apply_filter("")
        index = self.board.index_of(place.citizen)
        if index is not None:
            self.board.move_to(index, 0)
            if view:
                self.board.show(place)
                self.board.cursor = place
            self._rearrange()
            self._reveal()

    def action_move(self, how: str, step: int) -> None:
        last = self.board.at[0] == len(self.board.order) - 1
        if how == "panel" and step > 0 and last and self.beyond():
            return
        if self.board.order:
            self._go(*getattr(navigation, how)(self.board, step))

    def action_page(self, step: int) -> None:
        self.action_move("page", step * max(1, self.room.height - 1))

    def on_click(self, event: Click) -> None:
        spot = self.board.row_at(event.x, event.y + self.scroll_offset.y)
        if spot is not None:
            again = spot == self.board.at
            self._go(*spot)
            if again:
                self.action_open()

    def action_open(self) -> None:
        if self.board.cursor.task == FOLD:
            self._keeping(self._unfold)
            self._reveal()
        elif self.board.cursor.task:
            self.post_message(self.Opened(self.board.cursor))

    def _unfold(self) -> None:
        self.board.unfold()
        self.board.arrange(*self._space)

    def action_sort(self) -> None:
        self.board.sort(self.board.sorted_by.next)
        self._rearrange()
        self._reveal()
        self.post_message(self.ViewChanged())
