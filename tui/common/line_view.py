"""Widgets that draw styled lines, only those in sight."""

from typing import ClassVar

from textual.events import Click
from textual.filter import ANSIToTruecolor
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from tui.common.styles import NAMES, Styles

STYLES = {f"ink--{name}" for name in NAMES}  # what the source of the styles declares


class PaintedLines(Widget):
    """Draws lines as they are, in named styles."""

    _ink: Styles | None = None

    def styles_now(self) -> Styles:
        """The styles of the current theme."""
        if self._ink is None:
            source = self.styles_source()
            self._ink = Styles.read(lambda name: source.get_component_rich_style(f"ink--{name}"))
        return self._ink

    def styles_source(self) -> Widget:
        """The widget whose component styles are used."""
        return self

    def finished(self, strip: Strip, ansi: bool = False) -> Strip:
        """Apply the filters that Textual applies; ANSI colours come only from programs, not from a theme."""
        for line_filter in self.get_line_filters():
            if ansi or not isinstance(line_filter, ANSIToTruecolor):
                strip = strip.apply_filter(line_filter, self.background_colors[1])
        return strip

    def forget(self) -> None:
        """Drop everything that was drawn before."""

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines; Textual's own path, with borders, links and selection, takes twice as long."""
        strips = [self.render_line(y) for y in crop.line_range]
        whole = crop.x == 0 and crop.width == self.size.width
        return strips if whole else [strip.crop(crop.x, crop.right) for strip in strips]

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._ink = None
        self.forget()


class LineView(ScrollView, PaintedLines, can_focus=True):
    """Draws only the lines in sight, so the cost is that of the lines on screen."""

    COMPONENT_CLASSES: ClassVar[set[str]] = STYLES

    def hold(self, lines: int) -> None:
        """Set the number of lines. Nothing is laid out again, since the scrollbar is always there."""
        size = Size(self.room.width, lines)
        if size != self.virtual_size:
            self.set_reactive(ScrollView.virtual_size, size)
            self._scroll_update(size)

    @property
    def room(self) -> Size:
        """The area without the scrollbar."""
        return self.scrollable_content_region.size

    def reveal(self, first: int, last: int) -> None:
        """Scroll so that these lines are in sight, the first of them in any case."""
        top, height = self.scroll_offset.y, self.room.height
        if first < top:
            self.scroll_to(y=first, animate=False, force=True)
        elif last >= top + height:
            self.scroll_to(y=min(first, last - height + 1), animate=False, force=True)


class CursorView(LineView):
    """Lines with a cursor, which keys and the mouse move."""

    class Moved(Message):
        """The cursor moved, or the view scrolled."""

    class Chosen(Message):
        """The person wants to see what is under the cursor: by enter, or by a double click."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0  # the line of the cursor

    @property
    def count(self) -> int:
        """How many lines there are."""
        return self.virtual_size.height

    def go_to(self, number: int) -> None:
        """Move the cursor to this line and scroll it into sight."""
        self.at = min(max(0, number), max(0, self.count - 1))
        self.reveal(self.at, self.at)
        self.refresh()
        self.post_message(self.Moved())

    def action_move(self, how: str, step: int) -> None:
        """Move by a line, by a screenful, or all the way."""
        page = max(1, self.room.height - 1)
        self.go_to(self.at + step * {"vertical": 1, "page": page, "end": self.count}[how])

    def action_choose(self) -> None:
        self.post_message(self.Chosen())

    def on_click(self, event: Click) -> None:
        number = event.y + self.scroll_offset.y
        if number < self.count:
            self.go_to(number)
            if event.chain > 1:
                self.action_choose()
