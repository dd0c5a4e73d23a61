"""The events of all citizens, the newest at the end; follows it until somebody looks further up."""

from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual.binding import BindingType
from textual.events import Click, Resize
from textual.message import Message
from textual.strip import Strip

from scheduler.core.views import Event
from tui.common import text as words
from tui.common.line_view import LineView
from tui.common.styles import CURSOR
from tui.fleet.arrangement import Filter
from tui.glyphs import Glyphs
from tui.keys import LOG_KEYS, key_of
from tui.log.events import Day, Entry, EventLog, LogLine, LogLines, day, said, where_of

LEAST, MOST = 12, 44  # cells for citizen and task
SHARE = 3  # of the width, at most a third


class LogView(LineView):
    """Draws the log's lines; knows which one the cursor is on, and whether it follows."""

    BINDINGS: ClassVar[list[BindingType]] = [*LOG_KEYS]

    class Moved(Message):
        """The cursor, the filter or what is below it is different now."""

    @dataclass
    class Chosen(Message):
        """The person wants to see the task, and the run, of this event."""

        event: Entry

    @dataclass
    class Copied(Message):
        """The person wants these words on the clipboard, not yet cleaned."""

        text: str

    class FindAsked(Message):
        """The person wants to type a filter."""

    def __init__(self, log: EventLog, glyphs: Glyphs) -> None:
        super().__init__()
        self._log, self._glyphs = log, glyphs
        self._lines = LogLines(log)
        self._cursor: LogLine | None = None
        self._at = 0  # the cursor's line
        self._lost = log.lost
        self.follows = True

    # -------------------------------------------------------------- values come down

    def catch_up(self) -> None:
        """Show what is new in the log."""
        shift = self._log.lost - self._lost
        if not self._lines.catch_up():
            return
        if shift:
            self._lost = self._log.lost
            self._forget_oldest(shift)
        self._grown()

    def apply_filter(self, text: str) -> None:
        """Show only what the filter keeps; the cursor stays with its event, or goes to one near it."""
        at = self._cursor.at if self._cursor else 0
        self._lines.apply_filter(Filter(text))
        self._put(self._lines.place_of(at))
        self._grown()

    @property
    def filter(self) -> str:
        return self._lines.keep.text

    @property
    def counted(self) -> tuple[int, int]:
        """How many lines there are, and how many of them are below the cursor."""
        count = len(self._lines.lines)
        return count, max(0, count - 1 - self._at)

    def _forget_oldest(self, shift: int) -> None:
        """The oldest have gone: the same events stay where they are on the screen."""
        old, at = self._at, self._cursor.at - shift if self._cursor else 0
        self._put(self._lines.place_of(max(0, at)))
        if not self.follows:
            top = max(0, self.scroll_offset.y - (old - self._at))
            self.scroll_to(y=top, animate=False, force=True)

    def _grown(self) -> None:
        self.hold(len(self._lines.lines))
        if self.follows:
            self._put(len(self._lines.lines) - 1)
            self.scroll_to(y=self._last_top, animate=False, force=True)
        self.refresh()
        self.post_message(self.Moved())

    # -------------------------------------------------------------- drawing

    def render_line(self, y: int) -> Strip:
        line = self._line_at(y + self.scroll_offset.y)
        width, ink = self.room.width, self.styles_now()
        if line is None:
            return self.finished(Strip([Segment(self._empty(y, width), ink.style("faint"))], width))
        light = CURSOR if line is self._cursor else 0
        segments = self._segments(line, light)
        return self.finished(Strip(segments).adjust_cell_length(width, ink.style("ink", light)))

    def _segments(self, line: LogLine, light: int) -> list[Segment]:
        ink, glyphs, width = self.styles_now(), self._glyphs, self.room.width
        mark = glyphs.cursor if light else " "
        if isinstance(line.what, Day):
            title = f" {glyphs.across * 2} {day(line.what.time)} "
            rule = glyphs.across * max(0, width - len(title) - 2)
            return [Segment(mark, ink.style("here", light)), Segment(title + rule, ink.style("frame", light))]
        event = said(line.what, glyphs)
        where = words.fit(words.clean(event.where, glyphs.plain), self._where_cells(width), glyphs.ellipsis)
        head = f" {words.wall(line.what.time)}  "
        room = max(0, width - 1 - len(head) - 2 - words.cells(where) - 2 - 1)
        text = words.shorten(event.text, room, glyphs.ellipsis)
        loud = event.style if event.style in ("failed", "warning") else ""
        citizen, slash, task = where.partition("/")
        return [
            Segment(mark, ink.style("here", light)),
            Segment(head, ink.style("faint", light)),
            Segment(f"{event.sign} ", ink.style(event.style, light)),
            Segment(citizen + slash, ink.style("faint" if slash else "ink", light)),
            Segment(f"{task}  ", ink.style("title" if loud else "ink", light)),
            Segment(text, ink.style(loud or ("ink" if event.style == "ok" else "faint"), light)),
        ]

    def _where_cells(self, width: int) -> int:
        """Wide enough for the longest name there has been: the column never gets narrower."""
        return min(max(LEAST, self._log.longest), MOST, max(LEAST, width // SHARE))

    def _empty(self, y: int, width: int) -> str:
        if y != 1 or self._lines.lines:
            return " " * width
        said = words.clean(self.filter, self._glyphs.plain)
        nothing = (
            f"  nothing matches {said}   ({key_of(self, 'clear', 'esc')} shows everything)"
            if said
            else "  nothing has happened yet"
        )
        return words.fit(nothing, width, self._glyphs.ellipsis)

    def _line_at(self, number: int) -> LogLine | None:
        lines = self._lines.lines
        return lines[number] if 0 <= number < len(lines) else None

    # -------------------------------------------------------------- keys and mouse

    @property
    def _last_top(self) -> int:
        return max(0, len(self._lines.lines) - self.room.height)

    def _put(self, number: int) -> None:
        self._at = min(max(0, number), max(0, len(self._lines.lines) - 1))
        self._cursor = self._line_at(self._at)

    def _go(self, number: int) -> None:
        """The cursor to this line, in sight; at the very end the log follows again."""
        self._put(number)
        self.follows = self._at >= len(self._lines.lines) - 1
        top, height = self.scroll_offset.y, self.room.height
        if self._at < top:
            self.scroll_to(y=self._at, animate=False, force=True)
        elif self._at >= top + height:
            self.scroll_to(y=self._at - height + 1, animate=False, force=True)
        self.refresh()
        self.post_message(self.Moved())

    def action_move(self, how: str, step: int) -> None:
        """A line, a screenful, or all the way."""
        page = max(1, self.room.height - 1)
        far = {"vertical": 1, "page": page, "end": len(self._lines.lines)}[how]
        self._go(self._at + step * far)

    def action_find(self) -> None:
        self.post_message(self.FindAsked())

    def action_choose(self) -> None:
        if self._cursor and not isinstance(self._cursor.what, Day):
            self.post_message(self.Chosen(self._cursor.what))

    def action_copy(self) -> None:
        what = self._cursor.what if self._cursor else None
        if isinstance(what, Event):
            said_of = what.text or said(what, self._glyphs).text
            self.post_message(self.Copied(f"{where_of(what)}: {said_of}"))

    def on_click(self, event: Click) -> None:
        number = event.y + self.scroll_offset.y
        if self._line_at(number):
            self._go(number)
            if event.chain > 1:
                self.action_choose()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self.follows and new_value < self._last_top:  # the wheel, or the scrollbar
            self.follows = False
            self.post_message(self.Moved())

    def on_resize(self, event: Resize) -> None:
        self._grown()
