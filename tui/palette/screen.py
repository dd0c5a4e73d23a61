"""Everything that can be done or gone to, found by a few letters of its name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Click
from textual.message import Message
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Input

from tui.common.line_view import LineView
from tui.common.styles import CURSOR
from tui.common.text import cells, clean, fit, shorten
from tui.glyphs import Glyphs
from tui.palette.fuzzy import best

MOST = 200  # entries that are listed


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to choose: what it is called, what is said beside it, and what choosing it does."""

    label: str
    beside: str
    choose: Callable[[], object]

    @property
    def words(self) -> str:
        return self.label.casefold()


class Found(LineView, can_focus=False):
    """The entries that were found; one of them is chosen by moving to it."""

    class Picked(Message):
        """The person has clicked on the entry with the cursor."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._entries: Sequence[Entry] = ()
        self._at = 0

    def show(self, entries: Sequence[Entry]) -> None:
        """These entries, the cursor on the first."""
        self._entries, self._at = entries, 0
        self.hold(max(1, len(entries)))
        self.scroll_to(y=0, animate=False, force=True)
        self.refresh()

    @property
    def entry(self) -> Entry | None:
        return self._entries[self._at] if self._entries else None

    def move(self, step: int) -> None:
        """The cursor so many entries further on, in sight."""
        self._at = min(max(0, self._at + step), max(0, len(self._entries) - 1))
        top, height = self.scroll_offset.y, self.room.height
        if not top <= self._at < top + height:
            self.scroll_to(y=self._at if self._at < top else self._at - height + 1, animate=False, force=True)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        number, width, ink = y + self.scroll_offset.y, self.room.width, self.styles_now()
        if number >= len(self._entries):
            nothing = " nothing is called that" if number == 0 else ""
            return self.finished(Strip([Segment(fit(nothing, width), ink.style("faint"))], width))
        entry, light = self._entries[number], CURSOR if number == self._at else 0
        beside = shorten(clean(entry.beside, self._glyphs.plain), 24, self._glyphs.ellipsis)
        label = clean(entry.label, self._glyphs.plain)
        room = max(0, width - cells(beside) - 4)
        mark = self._glyphs.cursor if light else " "
        return self.finished(
            Strip(
                [
                    Segment(mark, ink.style("here", light)),
                    Segment(f" {fit(label, room, self._glyphs.ellipsis)} ", ink.style("ink", light)),
                    Segment(f"{beside} ", ink.style("faint", light)),
                ]
            ).adjust_cell_length(width, ink.style("ink", light))
        )

    def on_click(self, event: Click) -> None:
        number = event.y + self.scroll_offset.y
        if number < len(self._entries):
            self.move(number - self._at)
            self.post_message(self.Picked())


class Palette(ModalScreen[Entry]):
    """Gives back what was chosen, or nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "close"),
        Binding("down,ctrl+n", "move(1)", "next", show=False),
        Binding("up,ctrl+p", "move(-1)", "before", show=False),
        Binding("pagedown", "move(10)", "further on", show=False),
        Binding("pageup", "move(-10)", "further back", show=False),
    ]

    def __init__(self, entries: Sequence[Entry], glyphs: Glyphs) -> None:
        super().__init__()
        self._entries, self._found = entries, Found(glyphs)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Input(placeholder="what to do, or where to go", compact=True)
            yield self._found

    def on_mount(self) -> None:
        self._found.show(best("", self._entries, MOST))

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._found.show(best(event.value, self._entries, MOST))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._choose()

    def on_found_picked(self) -> None:
        self._choose()

    def _choose(self) -> None:
        if self._found.entry:
            self.dismiss(self._found.entry)

    def action_move(self, step: int) -> None:
        self._found.move(step)
