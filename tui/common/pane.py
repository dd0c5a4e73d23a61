"""A framed list of lines that scrolls inside its frame; only lines that look different are painted again."""

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.events import MouseScrollDown, MouseScrollUp, Resize
from textual.geometry import Region
from textual.strip import Strip

from tui.common.line_view import PaintedLine
from tui.common.styles import CURSOR, HERE, NAMES, Styles
from tui.common.text import cells, fit, shorten
from tui.glyphs import Glyphs
from tui.keys import PANE_KEYS

WHEEL = 3  # lines
LEAST_TITLE = 6  # cells that a title keeps beside what is said at its right


class StyledText(NamedTuple):
    """Clean text, and the name of its style in `ink` or a style of its own."""

    text: str
    style: str | Style = "ink"


class Row(NamedTuple):
    """One line inside the frame."""

    pieces: tuple[StyledText, ...] = ()
    light: int = 0


EMPTY = Row()


class Pane(PaintedLine, can_focus=True):
    """Draws the rows that `row` gives; what is in them and what they mean is up to the kinds of pane."""

    BINDINGS: ClassVar[list[BindingType]] = [*PANE_KEYS]

    def __init__(self, glyphs: Glyphs, title: str = "") -> None:
        super().__init__()
        self.glyphs, self.title = glyphs, title
        self.said: StyledText = StyledText("")  # at the right of the title
        self.top = 0
        self._drawn: dict[int, tuple[object, Strip]] = {}

    def read_ink(self) -> Styles:
        """The styles are looked up once for a whole screen of panes; only the paper is a pane's own."""
        screen, paper = self.screen, Style(bgcolor=self.rich_style.bgcolor)
        inks = {name: screen.get_component_rich_style(f"ink--{name}") for name in NAMES}
        return Styles({name: style if name == "cursor" else style + paper for name, style in inks.items()})

    # -------------------------------------------------------------- what a kind of pane says

    def count(self) -> int:
        """How many rows there are."""
        return 0

    def row(self, index: int) -> Row:
        """The row with this index, from nought."""
        return EMPTY

    def move(self, step: int) -> None:
        """The person wants to go so many rows down or up."""
        self.scroll(self.top + step)

    def roll(self, step: int) -> None:
        """The wheel was turned by so many rows."""
        self.scroll(self.top + step)

    # -------------------------------------------------------------- room

    @property
    def inside(self) -> int:
        """Rows inside the frame."""
        return max(0, self.size.height - 2)

    @property
    def inner(self) -> int:
        """Cells of a row."""
        return max(0, self.size.width - 4)

    @property
    def last(self) -> int:
        """The greatest `top` there can be."""
        return max(0, self.count() - self.inside)

    def scroll(self, top: int) -> None:
        """Show the rows from this one on."""
        self.top = min(max(0, top), self.last)
        self.sync()

    def on_resize(self, event: Resize) -> None:
        self.forget()
        self.resized()
        self.scroll(self.top)
        self.refresh()

    def resized(self) -> None:
        """There is more or less room than before."""

    # -------------------------------------------------------------- drawing

    def forget(self) -> None:
        self._drawn.clear()

    def sync(self) -> None:
        """Paint the lines that look different by now."""
        changed = []
        for y, (look, _) in list(self._drawn.items()):
            if (now := self._look(y)) != look:
                self._draw(y, now)
                changed.append(Region(0, y, self.size.width, 1))
        if changed:
            self.refresh(*changed)

    def render_line(self, y: int) -> Strip:
        drawn = self._drawn.get(y)
        return drawn[1] if drawn else self._draw(y, self._look(y))

    def on_focus(self) -> None:
        self.sync()

    def on_blur(self) -> None:
        self.sync()

    def _look(self, y: int) -> Row:
        height = self.size.height
        if y == 0:
            return self._top_line()
        if y >= height - 1:
            return self._bottom_line()
        index = self.top + y - 1
        row = self.row(index) if index < self.count() else EMPTY
        return Row(self._framed(row), row.light)

    def _frame(self) -> str:
        return "here" if self.has_focus else "frame"

    def _framed(self, row: Row) -> tuple[StyledText, ...]:
        down = StyledText(self.glyphs.down, self._frame())
        mark = StyledText(self.glyphs.cursor, "here") if row.light & CURSOR else StyledText(" ")
        return (down, mark, *padded(row.pieces, self.inner, self.glyphs), StyledText(" "), down)

    def _top_line(self) -> Row:
        glyphs, frame, width = self.glyphs, self._frame(), self.size.width
        said = self.said if cells(self.said.text) + LEAST_TITLE + 8 <= width else StyledText("")
        room = width - 6 - (cells(said.text) + 3 if said.text else 0)
        title = shorten(self.title, max(0, room), glyphs.ellipsis)
        line = glyphs.across * max(0, width - 5 - cells(title) - (cells(said.text) + 3 if said.text else 0))
        end = (StyledText(" "), said, StyledText(f" {glyphs.across}", frame)) if said.text else ()
        pieces = (StyledText(f"{glyphs.corners[0]}{glyphs.across} ", frame), StyledText(title, "title"))
        return Row((*pieces, StyledText(f" {line}", frame), *end, StyledText(glyphs.corners[1], frame)), HERE)

    def _bottom_line(self) -> Row:
        glyphs, frame, total = self.glyphs, self._frame(), self.count()
        place = (
            f"{self.top + 1}-{min(total, self.top + self.inside)} of {total}" if total > self.inside else ""
        )
        line = max(0, self.size.width - 2 - (len(place) + 3 if place else 0))
        said = (
            (StyledText(" "), StyledText(place, "faint"), StyledText(f" {glyphs.across}", frame))
            if place
            else ()
        )
        corner = StyledText(f"{glyphs.corners[2]}{glyphs.across * line}", frame)
        return Row((corner, *said, StyledText(glyphs.corners[3], frame)), HERE)

    def _draw(self, y: int, look: Row) -> Strip:
        ink, light = self.styles_now(), look.light & CURSOR
        framing = (0, len(look.pieces) - 1) if light else ()
        segments = [
            Segment(text, _styled(ink, style, 0 if index in framing else light))
            for index, (text, style) in enumerate(look.pieces)
        ]
        strip = Strip(segments).adjust_cell_length(self.size.width, ink.style("ink"))
        strip = self.finished(strip)
        self._drawn[y] = (look, strip)
        return strip

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


def _styled(ink: Styles, style: str | Style, light: int) -> Style:
    if isinstance(style, str):
        return ink.style(style, light)
    return ink.style("ink", light) + style
