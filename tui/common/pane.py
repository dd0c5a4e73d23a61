"""A framed list of rows that scrolls; only rows that look different are painted again."""

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.events import MouseScrollDown, MouseScrollUp, Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.common.line_view import PaintedLines
from tui.common.styles import CURSOR
from tui.common.text import cells, fit, shorten
from tui.glyphs import Glyphs
from tui.keys import PANE_KEYS

WHEEL = 3  # rows
LEAST = 8  # cells of a frame that are worth words at its right


class StyledText(NamedTuple):
    """Clean text, and the name of its style or a style of its own."""

    text: str
    style: str | Style = "ink"


class Row(NamedTuple):
    """One line inside the frame."""

    pieces: tuple[StyledText, ...] = ()
    light: int = 0


EMPTY = Row()


class Pane(PaintedLines, can_focus=True):
    """Draws the rows that `row` gives; their content and meaning are up to the kinds of pane."""

    BINDINGS: ClassVar[list[BindingType]] = [*PANE_KEYS]
    painted_like: Widget | None = None  # whose styles it has, if not its screen's

    def __init__(self, glyphs: Glyphs, title: str) -> None:
        super().__init__()
        self.glyphs, self.title, self.aside = glyphs, title, ""
        self.top = 0  # the first row in sight
        self._drawn: dict[int, tuple[Row, Strip]] = {}

    def entitle(self, title: str, aside: str = "") -> None:
        """Clean words for the frame above: at its left, and at its right where there is room."""
        self.title, self.aside = title, aside

    # -------------------------------------------------------------- for the kinds of pane

    def count(self) -> int:
        """The number of rows."""
        return 0

    def row(self, index: int) -> Row:
        """The row with this index, from 0."""
        return EMPTY

    def foot(self) -> tuple[str, str]:
        """Clean words for the frame below: at its left, and at its right."""
        return "", f"{self.top + 1}-{self.top + self.inside} of {self.count()}" if self.last else ""

    def move(self, step: int) -> None:
        """Go so many rows down, or up."""
        self.scroll_rows(self.top + step)

    def roll(self, step: int) -> None:
        """The wheel turns by so many rows."""
        self.scroll_rows(self.top + step)

    def resized(self) -> None:
        """There is more or less room than before."""

    # -------------------------------------------------------------- room

    @property
    def inside(self) -> int:
        """Rows in sight."""
        return max(0, self.size.height - 2)

    @property
    def inner(self) -> int:
        """Cells of a row, beside the frame and the cursor's sign."""
        return max(0, self.size.width - 3)

    @property
    def last(self) -> int:
        """The greatest `top` there can be."""
        return max(0, self.count() - self.inside)

    def scroll_rows(self, top: int) -> None:
        """Show the rows from this one on."""
        self.top = min(max(0, top), self.last)
        self.sync()

    def on_resize(self, event: Resize) -> None:
        self.forget()
        self.resized()
        self.scroll_rows(self.top)

    # -------------------------------------------------------------- drawing

    def sync(self) -> None:
        """Paint the lines that look different by now."""
        changed = [y for y, (row, _) in self._drawn.items() if self._look(y) != row]
        for y in changed:
            del self._drawn[y]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def forget(self) -> None:
        self._drawn.clear()

    def styles_source(self) -> Widget:
        return self.painted_like or self.screen  # 13 styles for each pane would take 20 ms

    def render_line(self, y: int) -> Strip:
        if y not in self._drawn:
            row = self._look(y)
            self._drawn[y] = row, self._strip(y, row)
        return self._drawn[y][1]

    def _strip(self, y: int, row: Row) -> Strip:
        styles = self.styles_now()
        segments = [
            Segment(
                text,
                styles.style(style, row.light)
                if isinstance(style, str)
                else styles.style("ink", row.light) + style,
            )
            for text, style in row.pieces
        ]
        if 0 < y <= self.inside:
            edge = Segment(self.glyphs.down, styles.style(self._frame()))
            segments = [edge, *segments, edge]
        strip = Strip(segments).adjust_cell_length(self.size.width, styles.style("ink"))
        return self.finished(strip, ansi=True)

    def _look(self, y: int) -> Row:
        """A line of the widget; beside a row stands the frame."""
        glyphs, index = self.glyphs, self.top + y - 1
        if y == 0:
            return self._edge(glyphs.corners[:2], StyledText(self.title, "title"), self.aside)
        if y > self.inside:
            left, right = self.foot()
            return self._edge(glyphs.corners[2:], StyledText(left, "faint"), right)
        row = self.row(index) if index < self.count() else EMPTY
        mark = StyledText(glyphs.cursor if row.light & CURSOR else " ", "here")
        return Row((mark, *padded(row.pieces, self.inner, glyphs)), row.light)

    def _edge(self, corners: str, left: StyledText, right: str) -> Row:
        """A line of the frame; what stands at its right gives way to what stands at its left."""
        across, frame, room = self.glyphs.across, self._frame(), max(0, self.size.width - 4)
        first = f" {shorten(left.text, max(0, room - 2), self.glyphs.ellipsis)} " if left.text else ""
        free = room - cells(first)
        last = f" {shorten(right, free - 3, self.glyphs.ellipsis)} " if right and free > LEAST else ""
        return Row(
            (
                StyledText(corners[0] + across, frame),
                StyledText(first, left.style),
                StyledText(across * (free - cells(last)), frame),
                StyledText(last, "faint"),
                StyledText(across + corners[1], frame),
            )
        )

    def _frame(self) -> str:
        return "here" if self.has_focus else "frame"

    # -------------------------------------------------------------- keys and wheel

    def action_move(self, step: int) -> None:
        self.move(step)

    def action_page(self, step: int) -> None:
        self.move(step * max(1, self.inside - 1))

    def action_end(self, step: int) -> None:
        self.move(step * max(1, self.count()))

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        event.prevent_default()
        self.roll(WHEEL)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        event.prevent_default()
        self.roll(-WHEEL)


def padded(pieces: Iterable[StyledText], width: int, glyphs: Glyphs) -> tuple[StyledText, ...]:
    """The pieces in exactly so many cells."""
    kept, left = [], width
    for text, style in pieces:
        wide = cells(text)
        if wide > left:
            kept.append(StyledText(fit(text, left, glyphs.ellipsis), style))
            return tuple(kept)
        kept.append(StyledText(text, style))
        left -= wide
    return (*kept, StyledText(" " * left))
