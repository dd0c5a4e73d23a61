"""The command palette: finds commands, citizens and tasks by a few letters."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui.common.text import cells, clean, fit, shorten
from tui.glyphs import Glyphs
from tui.palette.entries import Entry, best

MOST = 50  # entries listed at most
BESIDE = 24  # cells of the words next to a label


class Found(OptionList, can_focus=False):
    """The matching entries; keys go to the field above."""


class Palette(ModalScreen[Entry]):
    """Gives back the chosen entry, or nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "close"),
        *(
            Binding(keys, f"move('{way}')", way, show=False)
            for keys, way in (
                ("down,ctrl+n", "cursor_down"),
                ("up,ctrl+p", "cursor_up"),
                ("pagedown", "page_down"),
                ("pageup", "page_up"),
            )
        ),
    ]

    def __init__(self, entries: Sequence[Entry], glyphs: Glyphs) -> None:
        super().__init__()
        self.entries, self._glyphs = entries, glyphs
        self._listed: list[Entry] = []
        self._count = Static(markup=False, classes="count")
        self._list = Found(compact=True)
        self._field = Input(placeholder="type a command, citizen or task", compact=True)

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            with Horizontal():
                yield from (self._field, self._count)
            yield self._list
        box.border_title = "what to do, or where to go"
        box.border_subtitle = f"{self._glyphs.enter} do it   esc close"

    def on_resize(self) -> None:
        self.call_after_refresh(self._find)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._find()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._list.action_select()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._listed[event.option_index])

    def action_move(self, way: str) -> None:
        getattr(self._list, f"action_{way}")()

    def _find(self) -> None:
        self._listed, count = best(self._field.value, self.entries, MOST)
        self._count.update(f"{count:,} of {len(self.entries):,}")
        width = self._list.scrollable_content_region.width - 2
        options = [Option(self._line(entry, width)) for entry in self._listed]
        self._list.set_options(options or [Option(Content("nothing is called that"), disabled=True)])
        self._list.highlighted = 0 if options else None

    def _line(self, entry: Entry, width: int) -> Content:
        glyphs = self._glyphs
        beside = shorten(clean(entry.beside, glyphs.plain), BESIDE, glyphs.ellipsis)
        label = fit(clean(entry.label, glyphs.plain), max(0, width - cells(beside) - 1), glyphs.ellipsis)
        return Content.assemble(label, (f" {beside}", "$faint"))
