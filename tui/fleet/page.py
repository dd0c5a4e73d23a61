"""A full screen between the status and the keys; `esc` returns to the fleet."""

from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from tui.common.footer import KeyBar
from tui.common.task_ref import Place
from tui.common.text import cells, shorten
from tui.fleet.status_bar import StatusBar
from tui.fleet.summary import FleetStatus
from tui.glyphs import Glyphs


class Covered(Screen[None]):
    """A screen that its widgets cover: its own lines are not drawn below theirs at each frame."""

    BLANK = True


class Page(Covered):
    """Shows `body` below a title line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "back", "back", id="back", tooltip="back to the fleet")
    ]

    @dataclass
    class Visit(Message):
        """The person wants to see a citizen, or a task and its run that started or ended `at`."""

        place: Place
        at: float | None = None

    def __init__(self, body: Widget, glyphs: Glyphs, label: str = "") -> None:
        super().__init__()
        self.body, self.glyphs = body, glyphs
        self.status_bar, self.key_bar = StatusBar(glyphs, label), KeyBar(glyphs)
        self._heading = Static(markup=False, classes="heading")

    def compose(self) -> ComposeResult:
        yield from (self.status_bar, self._heading, self.body, self.key_bar)

    def on_mount(self) -> None:
        self.body.focus()

    def tick(self, status: FleetStatus, now: float) -> None:
        """Called once a second, and after changes."""
        self.status_bar.show(status, now)

    def set_heading(self, *pieces: tuple[str, str]) -> None:
        """Set the title line to these clean words with their styles; what does not fit is cut off."""
        room, kept = self.app.size.width, list[tuple[str, str]]()
        for text, style in pieces:
            kept.append((shorten(text, room, self.glyphs.ellipsis), style))
            room -= cells(kept[-1][0])
        self._heading.update(Content.assemble(*kept), layout=False)

    def action_back(self) -> None:
        self.dismiss()
