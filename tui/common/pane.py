"""A framed list of rows that scrolls; only rows that look different are painted again."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.actions import SkipAction
from textual.binding import BindingType
from textual.events import MouseScrollDown, MouseScrollUp, Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.common.line_view import PaintedLines
from tui.common.search import Search, SearchBar, spans
from tui.common.styles import CURSOR
from tui.common.text import cells, fit, shorten
from tui.glyphs import Glyphs
from tui.keys import PANE_KEYS

WHEEL = 3  # rows
LOW = 4  # lines of a pane below which there is no room for a head
LEAST = 8  # cells of the frame's right side below which it shows no words


class StyledText(NamedTuple):
    """Clean text, and the name of its style or a style of its own."""

    text: str
    style: str | Style = "ink"
    found: bool = False  # it matches the search


class Row(NamedTuple):
    """One line inside the frame."""

    pieces: tuple[StyledText, ...] = ()
    light: int = 0


EMPTY = Row()


def styled(*pieces: tuple[str, str | Style]) -> Row:
    """A row of clean words, each with the name of its style or a style of its own."""
    return Row(tuple(StyledText(*piece) for piece in pieces))


class Pane(PaintedLines, can_focus=True):
    """Draws the rows that `row` gives; subclasses decide their content and meaning."""

    BINDINGS: ClassVar[list[BindingType]] = [*PANE_KEYS]
    painted_like: Widget | None = None  # the widget whose styles it uses, if not its screen's

    def __init__(self, glyphs: Glyphs, title: str) -> None:
        super().__init__()
        self.glyphs, self.title, self.aside = glyphs, title, ""
        self.top = 0  # the first row in sight
        self._now = 0.0
        self.search = Search()
        self._search_line: SearchBar | None = None
        self._from = 0  # the row where the search begins
        self._drawn: dict[int, tuple[Row, Strip]] = {}

    def entitle(self, title: str, aside: str = "") -> None:
        """Set the clean words in the frame above: at its left, and at its right where there is room."""
        self.title, self.aside = title, aside

    def tick(self, now: float) -> None:
        """Repaint what looks different at `now`."""
        self._now = now
        self.sync()

    # -------------------------------------------------------------- for the kinds of pane

    def count(self) -> int:
        """The number of rows."""
        return 0

    def row(self, index: int) -> Row:
        """The row with this index, from 0."""
        return EMPTY

    def head(self) -> Row | None:
        """A row that stays above the others."""
        return None

    def foot(self) -> tuple[str, str]:
        """Clean words for the frame below: at its left, and at its right."""
        return "", f"{self.top + 1:,}-{self.top + self.inside:,} of {self.count():,}" if self.last else ""

    def move(self, step: int) -> None:
        """Move `step` rows down, or up."""
        self.scroll_rows(self.top + step)

    def roll(self, step: int) -> None:
        """Handle `step` rows of the mouse wheel."""
        self.scroll_rows(self.top + step)

    def resized(self) -> None:
        """There is more or less room than before."""

    def searched(self) -> Iterator[tuple[int, str]]:
        """Each line that a search covers: the number of its first row, and its text."""
        for number in range(self.count()):
            yield number, "".join(piece.text for piece in self.row(number).pieces)

    def to_hit(self, row: int) -> None:
        """Go to a hit of the search."""
        self.see(row)

    def first_seen(self) -> int:
        """The row from which a search looks for its first hit."""
        return self.top

    # -------------------------------------------------------------- room

    @property
    def inside(self) -> int:
        """Rows in sight."""
        return max(0, self.size.height - 2 - self.searching - self.above)

    @property
    def above(self) -> int:
        """The number of rows that stay above those that scroll."""
        return int(self.size.height > LOW and self.head() is not None)

    @property
    def searching(self) -> bool:
        """Whether the last line is the search field."""
        return self._search_line is not None and self._search_line.display

    @property
    def inner(self) -> int:
        """Cells of a row without the frame and the cursor's sign."""
        return max(0, self.size.width - 3)

    @property
    def last(self) -> int:
        """The greatest possible `top`."""
        return max(0, self.count() - self.inside)

    def scroll_rows(self, top: int) -> None:
        """Scroll so that `top` is the first row."""
        self.top = min(max(0, top), self.last)
        self.sync()

    def see(self, row: int) -> None:
        """Scroll this row into sight, with a few rows around it."""
        if not self.top <= row < self.top + self.inside:
            self.scroll_rows(row - self.inside // 2)
        self.sync()

    def on_resize(self, event: Resize) -> None:
        self._fit()

    def _fit(self) -> None:
        self.forget()
        self.resized()
        self.scroll_rows(self.top)
        self.refresh()

    # -------------------------------------------------------------- drawing

    def sync(self, lines: Iterable[int] | None = None) -> None:
        """Repaint the lines that look different now: all, or only these."""
        drawn = self._drawn if lines is None else self._drawn.keys() & lines
        changed = [y for y in drawn if self._look(y) != self._drawn[y][0]]
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
        segments = []
        for text, style, found in row.pieces:
            light = row.light | (CURSOR if found else 0)
            known = styles.style(style if isinstance(style, str) else "ink", light)
            segments.append(Segment(text, known if isinstance(style, str) else known + style))
        if 0 < y < self.size.height - 1:
            edge = Segment(self.glyphs.down, styles.style(self._frame()))
            segments = [edge, *segments, edge]
        strip = Strip(segments).adjust_cell_length(self.size.width, styles.style("ink"))
        return self.finished(strip, ansi=True)

    def _look(self, y: int) -> Row:
        """A line of the widget: a row between the sides of the frame."""
        glyphs, index = self.glyphs, self.top + y - 1 - self.above
        if y == 0:
            return self._edge(glyphs.corners[:2], StyledText(self.title, "title"), self.aside)
        if y >= self.size.height - 1:
            left, right = self.foot()
            return self._edge(glyphs.corners[2:], StyledText(left, "faint"), right)
        if y <= self.above:
            head = self.head() or EMPTY
            return Row((StyledText(" "), *padded(head.pieces, self.inner, glyphs)))
        row = self.row(index) if index < self.count() and y <= self.inside + self.above else EMPTY
        mark = StyledText(glyphs.cursor if row.light & CURSOR else self._hit(index), "here")
        pieces = shown_hits(row.pieces, self.search.needle) if self.search.text else row.pieces
        return Row((mark, *padded(pieces, self.inner, glyphs)), row.light)

    def _hit(self, index: int) -> str:
        """The sign of a row that matches the search."""
        if not self.search.has(index):
            return " "
        return self.glyphs.cursor if index == self.search.chosen else self.glyphs.hit

    def _edge(self, corners: str, left: StyledText, right: str) -> Row:
        """A line of the frame; the text on the right gives way to the text on the left."""
        across, frame, room = self.glyphs.across, self._frame(), max(0, self.size.width - 4)
        first = f" {shorten(left.text, max(0, room - 2), self.glyphs.ellipsis)} " if left.text else ""
        free = room - cells(first)
        last = f" {shorten(right, free - 3, self.glyphs.ellipsis)} " if right and free > LEAST else ""
        return styled(
            (corners[0] + across, frame),
            (first, left.style),
            (across * (free - cells(last)), frame),
            (last, "faint"),
            (across + corners[1], frame),
        )

    def _frame(self) -> str:
        return "here" if self.has_focus_within else "frame"

    # -------------------------------------------------------------- search

    async def action_search(self) -> None:
        """Open the search field in the last line."""
        if self._search_line is None:
            self._search_line = SearchBar()
            await self.mount(self._search_line)
        self._from = self.first_seen()
        self._search_line.open(self.search.text)
        self._fit()

    def on_search_bar_changed(self, message: SearchBar.Changed) -> None:
        message.stop()
        self.search = Search(message.text).among(self.searched()).near(self._from)
        self._show_hits()

    def on_search_bar_left(self, message: SearchBar.Left) -> None:
        message.stop()
        self.search = self.search if message.keep else Search()
        self.focus()
        self._fit()

    def clear_search(self) -> bool:
        """Clear the search; False if there was none."""
        if self._search_line is None or not self.searching:
            return False
        self._search_line.display, self.search = False, Search()
        self._fit()
        return True

    def search_again(self) -> None:
        """Repeat the search, since the lines have changed."""
        if self.search.text:
            self.search = self.search.among(self.searched())
            self._say_hits()

    def action_hit(self, step: int) -> None:
        if not self.search.text:
            raise SkipAction  # like an unknown key
        self.search = self.search.step(step)
        self._say_hits()
        if self.search.lines:
            self.to_hit(self.search.chosen)

    def _show_hits(self) -> None:
        self._say_hits()
        if self.search.lines:
            self.see(self.search.chosen)
        self.sync()

    def _say_hits(self) -> None:
        if self._search_line is not None:
            self._search_line.show(self.search.words if self.search.text else "")

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
    """The pieces in exactly `width` cells."""
    kept, left = list[StyledText](), width
    for piece in pieces:
        wide = cells(piece.text)
        if wide > left:
            kept.append(piece._replace(text=fit(piece.text, left, glyphs.ellipsis)))
            return tuple(kept)
        kept.append(piece)
        left -= wide
    return (*kept, StyledText(" " * left))


def shown_hits(pieces: Iterable[StyledText], needle: str) -> tuple[StyledText, ...]:
    """The same pieces, with each match of the search as a piece of its own."""
    given = tuple(pieces)
    hits = spans("".join(piece.text for piece in given), needle)
    if not hits:
        return given
    cuts = [edge for hit in hits for edge in hit]
    kept, start = list[StyledText](), 0
    for piece in given:
        end = start + len(piece.text)
        edges = [start, *(cut for cut in cuts if start < cut < end), end]
        for left, right in pairwise(edges):
            found = any(first <= left < last for first, last in hits)
            kept.append(StyledText(piece.text[left - start : right - start], piece.style, found))
        start = end
    return tuple(kept)
