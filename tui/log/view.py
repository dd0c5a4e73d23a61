"""The events of all citizens, the newest at the end; follows the newest until the cursor moves up."""

from collections.abc import Iterator
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.actions import SkipAction
from textual.binding import BindingType
from textual.events import Resize
from textual.strip import Strip

from scheduler.core.views import Event
from tui.common import text as words
from tui.common.line_view import CursorView
from tui.common.search import Search, spans
from tui.common.styles import CURSOR
from tui.fleet.arrangement import Filter
from tui.fleet.row_keys import Copied
from tui.glyphs import Glyphs
from tui.keys import LOG_KEYS, key_of
from tui.log.events import Day, Entry, EventLog, LogLine, LogLines, date, event_text, searched, where_of

LEAST, MOST = 12, 44  # cells for citizen and task
SHARE = 3  # the names take at most a third of the width


class LogView(CursorView):
    """Draws the lines of the log; `follows` while the cursor is on the last one."""

    BINDINGS: ClassVar[list[BindingType]] = [*LOG_KEYS]

    def __init__(self, log: EventLog, glyphs: Glyphs) -> None:
        super().__init__()
        self._log, self._glyphs = log, glyphs
        self._lines = LogLines(log)
        self._lost = log.lost
        self.follows = True
        self.search = Search()
        self._from = 0  # the line at which the search began
        self._filtered_from = 0  # the entry of the log at which the filter began

    # -------------------------------------------------------------- values come down

    def catch_up(self) -> None:
        """Show the new entries of the log."""
        cursor, before = self._line_at(self.at), self.at
        if not self._lines.catch_up():
            return
        lost, self._lost = self._log.lost - self._lost, self._log.lost
        if lost:  # the oldest were dropped: keep the same events in place on the screen
            self.at = self._lines.line_at_entry(max(0, cursor.index - lost if cursor else 0))
            if not self.follows:
                top = max(0, self.scroll_offset.y - (before - self.at))
                self.scroll_to(y=top, animate=False, force=True)
        self._resize_to_lines()

    def apply_filter(self, text: str) -> None:
        """Show only what the filter keeps; the cursor goes to the event where it began, or to one near it."""
        self._lines.apply_filter(Filter(text))
        self.at = self._lines.line_at_entry(self._filtered_from)
        self._resize_to_lines()
        self.reveal(self.at, self.at)

    def drop_filter(self) -> None:
        """Show everything; the cursor stays with its event."""
        self.begin_filter()
        self.apply_filter("")

    def begin_filter(self) -> None:
        """A filter is typed from now on: without it, the cursor comes back to its event."""
        if cursor := self._line_at(self.at):  # none where nothing matches
            self._filtered_from = cursor.index

    @property
    def filter(self) -> str:
        return self._lines.filter.text

    @property
    def shares(self) -> str:
        """How many of all events the filter keeps."""
        shown = sum(not isinstance(line.content, Day) for line in self._lines.lines)
        return f"{shown:,} of {len(self._log.entries):,}"

    @property
    def below(self) -> int:
        """How many lines are below the cursor."""
        return max(0, self.count - 1 - self.at)

    def _resize_to_lines(self) -> None:
        self.hold(len(self._lines.lines))
        self.at = max(0, self.count - 1 if self.follows else min(self.at, self.count - 1))
        if self.follows:
            self.scroll_to(y=self._last_top, animate=False, force=True)
        if self.search.text:
            self.search = self.search.among(self._searched()).back(self.at)
        self.refresh()
        self.post_message(self.Moved())

    # -------------------------------------------------------------- drawing

    def render_line(self, y: int) -> Strip:
        number, width, styles = y + self.scroll_offset.y, self.room.width, self.styles_now()
        line, light = self._line_at(number), CURSOR if number == self.at else 0
        if line is None:
            return self.finished(Strip([Segment(self._empty(y, width), styles.style("faint"))], width))
        mark = Segment(self._mark(number, light), styles.style("here", light))
        content = line.content
        pieces = self._day(content, width) if isinstance(content, Day) else self._entry(content, width)
        drawn = [Segment(*part) for part in self._lit(pieces, light)]
        return self.finished(Strip([mark, *drawn]).adjust_cell_length(width, styles.style("ink", light)))

    def _mark(self, number: int, light: int) -> str:
        glyphs = self._glyphs
        return glyphs.cursor if light else glyphs.hit if self.search.has(number) else " "

    def _lit(self, pieces: list[tuple[str, str]], light: int) -> Iterator[tuple[str, Style]]:
        """The pieces in their styles, with matches on the background of the cursor."""
        styles, needle = self.styles_now(), self.search.needle
        for text, style in pieces:
            at = 0
            for first, last in spans(text, needle):
                yield text[at:first], styles.style(style, light)
                yield text[first:last], styles.style(style, light | CURSOR)
                at = last
            yield text[at:], styles.style(style, light)

    def _day(self, day: Day, width: int) -> list[tuple[str, str]]:
        across = self._glyphs.across
        title = f" {across * 2} {date(day.time)} "
        return [(title + across * max(0, width - len(title) - 2), "frame")]

    def _entry(self, entry: Entry, width: int) -> list[tuple[str, str]]:
        glyphs = self._glyphs
        event = event_text(entry, glyphs)
        where = words.fit(words.clean(event.where, glyphs.plain), self._where_cells(width), glyphs.ellipsis)
        head = f" {words.wall(entry.time)}  "
        room = max(0, width - 1 - len(head) - 2 - words.cells(where) - 2 - 1)
        loud = event.style if event.style in ("failed", "warning") else ""
        citizen, slash, task = where.partition("/")
        return [
            (head, "faint"),
            (f"{event.sign} ", event.style),
            (citizen + slash, "faint" if slash else "ink"),
            (f"{task}  ", "title" if loud else "ink"),
            (
                words.shorten(event.text, room, glyphs.ellipsis),
                loud or ("ink" if event.style == "ok" else "faint"),
            ),
        ]

    def _where_cells(self, width: int) -> int:
        """Cells for the longest name so far: the column never gets narrower."""
        return min(max(LEAST, self._log.longest), MOST, max(LEAST, width // SHARE))

    def _empty(self, y: int, width: int) -> str:
        if y != 1 or self._lines.lines:
            return " " * width
        text, key = words.clean(self.filter, self._glyphs.plain), key_of(self, "clear", "esc")
        nothing = f"  nothing matches {text}   ({key} shows everything)" if text else "  no events yet"
        return words.fit(nothing, width, self._glyphs.ellipsis)

    def _line_at(self, number: int) -> LogLine | None:
        lines = self._lines.lines
        return lines[number] if 0 <= number < len(lines) else None

    # -------------------------------------------------------------- keys and mouse

    @property
    def _last_top(self) -> int:
        return max(0, self.count - self.room.height)

    @property
    def under_cursor(self) -> Entry | None:
        """The event under the cursor."""
        line = self._line_at(self.at)
        return line.content if line and not isinstance(line.content, Day) else None

    def go_to(self, number: int) -> None:
        """Move the cursor to this line and scroll to it; on the last line the log follows again."""
        self.follows = number >= self.count - 1
        super().go_to(number)

    def begin_search(self) -> None:
        """A search is typed from now on: hits are looked for from the cursor."""
        self._from = self.at

    def look_for(self, text: str) -> None:
        """Mark the lines with this text, and go to the last one before the line where the search began."""
        self.search = Search(text).among(self._searched()).back(self._from)
        self._go_to_hit(0)

    def action_hit(self, step: int) -> None:
        """Go to the next or previous match."""
        if not self.search.text:
            raise SkipAction  # like an unknown key
        self._go_to_hit(step)

    def _go_to_hit(self, step: int) -> None:
        self.search = self.search.step(step)
        if self.search.lines:
            self.go_to(self.search.chosen)
        self.refresh()
        self.post_message(self.Moved())

    def _searched(self) -> Iterator[tuple[int, str]]:
        lines = enumerate(self._lines.lines)
        return ((n, searched(line.content)) for n, line in lines if not isinstance(line.content, Day))

    def action_copy(self) -> None:
        entry = self.under_cursor
        if isinstance(entry, Event):
            text = entry.text or event_text(entry, self._glyphs).text
            self.post_message(Copied(f"{where_of(entry)}: {text}"))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self.follows and new_value < self._last_top:  # the wheel, or the scrollbar
            self.follows = False
            self.post_message(self.Moved())

    def on_resize(self, event: Resize) -> None:
        self._resize_to_lines()
