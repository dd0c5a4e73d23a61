"""A framed list of rows that scrolls; only rows that look different are painted again."""

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.content import Content
from textual.events import MouseScrollDown, MouseScrollUp, Resize
from textual.geometry import Region
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.common.line_view import LineView
from tui.common.styles import CURSOR
from tui.common.text import cells, fit, shorten
from tui.glyphs import Glyphs
from tui.keys import PANE_KEYS

WHEEL = 3  # rows


class StyledText(NamedTuple):
    """Clean text, and the name of its style or a style of its own."""

    text: str
    style: str | Style = "ink"


class Row(NamedTuple):
    """One line inside the frame."""

    pieces: tuple[StyledText, ...] = ()
    light: int = 0


EMPTY = Row()


class Pane(LineView, can_focus=True):
    """Draws the rows that `row` gives; their content and meaning are up to the kinds of pane."""

    BINDINGS: ClassVar[list[BindingType]] = [*PANE_KEYS]

    def __init__(self, glyphs: Glyphs, title: str) -> None:
        super().__init__()
        self.glyphs = glyphs
        self._drawn: dict[int, Row] = {}
        self._in_frame = self._place = ""
        self.entitle(title)

    def entitle(self, title: str, more: str = "") -> None:
        """Clean words for the frame."""
        self._framed = self.glyphs.dot.join(filter(None, (title, more)))
        words = shorten(self._framed, max(0, self.outer_size.width - 6), self.glyphs.ellipsis)
        if words != self._in_frame:  # a new title paints the whole pane
            self._in_frame, self.border_title = words, Content(words)

    # -------------------------------------------------------------- for the kinds of pane

    def count(self) -> int:
        """The number of rows."""
        return 0

    def row(self, index: int) -> Row:
        """The row with this index, from 0."""
        return EMPTY

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
    def top(self) -> int:
        """The first row in sight."""
        return self.scroll_offset.y

    @property
    def inside(self) -> int:
        """Rows in sight."""
        return self.room.height

    @property
    def inner(self) -> int:
        """Cells of a row, beside the cursor's sign."""
        return max(0, self.room.width - 1)

    @property
    def last(self) -> int:
        """The greatest `top` there can be."""
        return max(0, self.count() - self.inside)

    def scroll_rows(self, top: int) -> None:
        """Show the rows from this one on."""
        self.sync()
        self.scroll_to(y=min(max(0, top), self.last), animate=False, force=True)

    def on_resize(self, event: Resize) -> None:
        self.entitle(self._framed)
        self.resized()
        self.scroll_rows(self.top)

    # -------------------------------------------------------------- drawing

    def sync(self) -> None:
        """Paint the rows that look different by now."""
        self.hold(self.count())
        place = f"{self.top + 1}-{self.top + self.inside} of {self.count()}" if self.last else ""
        if place != self._place:
            self._place, self.border_subtitle = place, Content(place)
        changed = [y for y, row in self._drawn.items() if self._at(y) != row]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def forget(self) -> None:
        self._drawn.clear()

    def render_lines(self, crop: Region) -> list[Strip]:
        return ScrollView.render_lines(self, crop)  # with a frame

    def render_line(self, y: int) -> Strip:
        row, styles = self._at(y), self.styles_now()
        self._drawn[y] = row
        mark = StyledText(self.glyphs.cursor if row.light & CURSOR else " ", "here")
        segments = [
            Segment(
                text,
                styles.style(style, row.light)
                if isinstance(style, str)
                else styles.style("ink", row.light) + style,
            )
            for text, style in (mark, *padded(row.pieces, self.inner, self.glyphs))
        ]
        return Strip(segments).adjust_cell_length(self.room.width, styles.style("ink"))

    def _at(self, y: int) -> Row:
        index = self.top + y
        return self.row(index) if index < self.count() else EMPTY

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
