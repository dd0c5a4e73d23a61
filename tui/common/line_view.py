"""Widgets that draw lines in styles by name, only those in sight."""

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
    """Draws lines as they are, in styles by name."""

    _ink: Styles | None = None

    def styles_now(self) -> Styles:
        """The styles of the theme that is on."""
        if self._ink is None:
            source = self.styles_source()
            self._ink = Styles.read(lambda name: source.get_component_rich_style(f"ink--{name}"))
        return self._ink

    def styles_source(self) -> Widget:
        """Whose component styles these are."""
        return self

    def finished(self, strip: Strip, ansi: bool = False) -> Strip:
        """What Textual's own path would do to it; a theme has no ANSI colours, a program has."""
        for line_filter in self.get_line_filters():
            if ansi or not isinstance(line_filter, ANSIToTruecolor):
                strip = strip.apply_filter(line_filter, self.background_colors[1])
        return strip

    def forget(self) -> None:
        """Nothing that was drawn before is right any more."""

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines as they are: without borders, links or selection Textual's own path is twice the work."""
        strips = [self.render_line(y) for y in crop.line_range]
        whole = crop.x == 0 and crop.width == self.size.width
        return strips if whole else [strip.crop(crop.x, crop.right) for strip in strips]

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._ink = None
        self.forget()


class LineView(ScrollView, PaintedLines, can_focus=True):
    """Draws only the lines in sight: its cost is that of the lines on screen."""

    COMPONENT_CLASSES: ClassVar[set[str]] = STYLES

    def hold(self, lines: int) -> None:
        """There are so many lines now. Nothing is laid out for that: the scrollbar is always there."""
        size = Size(self.room.width, lines)
        if size != self.virtual_size:
            self.set_reactive(ScrollView.virtual_size, size)
            self._scroll_update(size)

    @property
    def room(self) -> Size:
        """What there is beside the scrollbar."""
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
        """The cursor, or what is in sight, is elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0  # the line of the cursor

    @property
    def count(self) -> int:
        """How many lines there are."""
        return self.virtual_size.height

    def go_to(self, number: int) -> None:
        """The cursor to this line, in sight."""
        self.at = min(max(0, number), max(0, self.count - 1))
        self.reveal(self.at, self.at)
        self.refresh()
        self.post_message(self.Moved())

    def action_move(self, how: str, step: int) -> None:
        """A line, a screenful, or all the way."""
        page = max(1, self.room.height - 1)
        self.go_to(self.at + step * {"vertical": 1, "page": page, "end": self.count}[how])

    def action_choose(self) -> None:
        """What enter and a double click do."""

    def on_click(self, event: Click) -> None:
        number = event.y + self.scroll_offset.y
        if number < self.count:
            self.go_to(number)
            if event.chain > 1:
                self.action_choose()
