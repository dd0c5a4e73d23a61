"""The log screen: the view, its title and its filter field."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from scheduler.core.views import Event, TaskStatus
from tui.common.filter_field import FilterField
from tui.common.search import SearchBar
from tui.common.task_ref import Place
from tui.common.text import clean, plural
from tui.fleet.page import Page
from tui.fleet.summary import FleetStatus
from tui.glyphs import Glyphs
from tui.keys import key_of
from tui.log.events import EventLog
from tui.log.view import LogView

SEARCHED = "citizen, task, outcome or text; ! in front inverts; esc clears"


class Log(Page):
    """The log; the title shows whether it follows, or how many lines are below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "clear", "back", False, id="clear", tooltip="clear search, filter, then back"),
        Binding("l", "back", "close the log", False, id="log"),
    ]

    def __init__(self, log: EventLog, glyphs: Glyphs, label: str = "") -> None:
        self.view = LogView(log, glyphs)
        super().__init__(self.view, glyphs, label)
        self._log, self._filter, self._search = log, FilterField(SEARCHED), SearchBar()

    def compose(self) -> ComposeResult:
        yield from (self.status_bar, self._heading, self.body, self._filter, self._search, self.key_bar)

    def tick(self, status: FleetStatus, now: float) -> None:
        super().tick(status, now)
        self.view.catch_up()

    def on_cursor_view_moved(self) -> None:
        view, glyphs = self.view, self.glyphs
        keep = clean(view.filter, glyphs.plain)
        state, more = (f"{glyphs.kind[TaskStatus.RUNNING]} following ", "bold $ok"), ""
        if not view.follows:
            state = (f"{glyphs.kind[TaskStatus.PAUSED]} paused ", "bold $warn")
            key = key_of(self, "last", "G")
            more = f"{glyphs.dot.lstrip()}{view.below:,} below, {key} follows again "
        self.set_heading(
            (" Log ", "bold $title"),
            (f" {view.shares if keep else plural(view.count, 'line')} ", "$faint"),
            (f" only {keep} " if keep else "", "bold $warn"),
            (" ", ""),
            state,
            (more, "$faint"),
        )
        self._search.show(view.search.words if view.search.text else "")

    def on_cursor_view_chosen(self) -> None:
        """Show the task, and the run, of the event under the cursor."""
        if event := self.view.under_cursor:
            task = event.task if isinstance(event, Event) else ""
            self.post_message(self.Visit(Place(event.citizen, task), event.time if task else None))

    def action_search(self) -> None:
        self.view.begin_search()
        self._search.open(self.view.search.text)

    def on_search_bar_changed(self, message: SearchBar.Changed) -> None:
        self.view.look_for(message.text)

    def on_search_bar_left(self, message: SearchBar.Left) -> None:
        if not message.keep:
            self.view.look_for("")
        self.view.focus()

    def action_find(self) -> None:
        self.view.begin_filter()
        self._filter.open(self.view.filter)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.view.apply_filter(event.value)

    def on_filter_field_left(self) -> None:
        self.view.focus()

    def action_clear(self) -> None:
        if self.view.search.text:
            self._search.display = False
            self.view.look_for("")
        elif self.view.filter:
            self.view.drop_filter()
        else:
            self.action_back()
