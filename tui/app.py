"""The application: passes snapshots down to the panels, and requests from keys up to the citizens."""

import asyncio
import gc
import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.events import DeliveryFailed, Event, Key, MouseDown, MouseUp, Paste
from textual.widgets import Input

from scheduler.core.editor import Editor
from scheduler.core.ports import Citizens, Control, FleetView
from scheduler.core.ui_options import Monitor
from scheduler.core.views import Heartbeat, Snapshot
from tui.actions.actions import Actions
from tui.common.filter_field import FilterField
from tui.common.footer import HINT, KeyBar
from tui.common.questions import quit_question
from tui.common.questions.question import Question
from tui.common.task_ref import Place, TaskRef
from tui.common.text import clean, wall
from tui.common.typed_ahead import TypedAhead
from tui.details.opener import DetailsOpener
from tui.editing.changes import SettingsChanges
from tui.fleet.navigation import ProblemNavigator
from tui.fleet.notices import lost
from tui.fleet.outages import OutageLine
from tui.fleet.page import Covered, Page
from tui.fleet.row_keys import CitizenAsked, Copied, FleetRows, SettingsAsked
from tui.fleet.status_bar import StatusBar
from tui.fleet.summary import FleetSummary
from tui.fleet_page.body import FleetBody
from tui.glyphs import ASCII, UNICODE
from tui.keys import APP_KEYS, TABLE_FIRST, key_of
from tui.lessons.no_citizens import NoCitizens
from tui.lessons.start_here import WIDE, Beginning
from tui.lessons.steps import tilde
from tui.log.events import EventLog
from tui.subscriptions import Subscriptions
from tui.terminal.clipboard import copyable, without_fonts
from tui.terminal.driver import forgiving
from tui.terminal.picture import save_picture
from tui.terminal.signals import end_on_signals
from tui.terminal.title import Surroundings
from tui.theme import ANSI, DARK, THEMES, Rules, defaults

if TYPE_CHECKING:
    from tui.terminal.chosen_theme import ChosenTheme

TURNS = 5  # turns of the loop until all widgets have requested their repaint
LINES_OF_TOAST = 3  # at most; with less room below the panels there is one, over the keys
HINT_SHOWN = 6.0  # seconds that the footer shows what was done
SETTLED = 5.0  # seconds until the first snapshots of all citizens have arrived
JUST_AFTER = 0.02  # seconds: ticks come right after a full second, so that due times do not flicker


class ExperienceApp(App[str]):
    """The monitor of a fleet; the title shows `label`, and `settings` is the path of the settings file."""

    TITLE = "Experience"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False  # tui/palette lists tasks, too, and cleans their names
    BINDINGS: ClassVar[list[BindingType]] = [*APP_KEYS]

    def __init__(
        self,
        fleet: Citizens,
        *,
        read_only: bool = False,
        ascii: bool = False,
        label: str = "",
        settings: str = "",
        editor: Callable[[], Editor] | None = None,
        beginning: Beginning | None = None,
        monitor: Monitor = Monitor(),  # noqa: B008  # frozen
        chosen: "ChosenTheme | None" = None,
    ) -> None:
        # Before the theme is set: only then does Textual drop colours instead of turning them grey.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self._fleet, self._settings = fleet, settings
        self._glyphs = glyphs = ASCII if ascii else UNICODE
        # Attributes, not queries: the last tick may come after the widgets are removed.
        self._label = " ".join(filter(None, [label, "READ ONLY" if read_only else ""]))
        self._status = StatusBar(glyphs, self._label)
        self._status.read_only = read_only
        self._none, self._keys = NoCitizens(glyphs, read_only), KeyBar(glyphs)
        self._hinted = self._keys  # the last key bar that showed a hint
        self._outages = OutageLine(glyphs)
        self._filter = FilterField()
        self._controls: dict[str, Control] = {}
        self._events = EventLog()
        self._changes = SettingsChanges(self, editor, fleet.clock.now, glyphs, self._tell)
        find, now = self._changes.excerpt, fleet.clock.now
        self._body = FleetBody(glyphs, read_only, self._events, self._controls, now, beginning, find)
        self._actions = Actions(self, fleet, self._controls, self._body.snapshot, glyphs)
        self._details = DetailsOpener(self, self._controls, glyphs, self._label)
        self._read_only = read_only
        self._view: FleetView | None = None
        self._summary = FleetSummary()
        self._summary.loading = True
        self._navigator = ProblemNavigator(self._summary)
        self._typed = TypedAhead(self, super().on_event)
        self._around = Surroundings(self, glyphs.plain, chosen)
        self._pulse: Heartbeat | None = None
        self._tick_waits = self._settled = False
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = ANSI.name if self.no_color else DARK.name
        self._around.apply(monitor)
        self._around.restore_theme()
        self.stylesheet = Rules(variables=self.get_css_variables())
        self.set_class(ascii, "-plain")

    def compose(self) -> ComposeResult:
        yield from (self._status, self._body, self._none, self._outages, self._filter, self._keys)

    def on_mount(self) -> None:
        self._show_lesson()
        self.tick()
        self.set_timer(1 - self._fleet.clock.now() % 1 + JUST_AFTER, self._start_ticking)
        followers = Subscriptions(self._fleet, self._update_fleet, self._update_snapshot)
        self.run_worker(followers.run(), group="follow")
        self.run_worker(self._typed.run(), group="keys")
        if self._around.problem:
            self._actions.toast(self._around.problem, "warning")
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        if not self.is_headless:
            end_on_signals(self)

    # -------------------------------------------------------------- snapshots to panels

    def _start_ticking(self) -> None:
        self.set_interval(1, self.tick)
        self.tick()

    def tick(self) -> None:
        """Once a second: update pulses of visible citizens, countdowns and the status."""
        self._tick_waits = False
        now, seen = self._fleet.clock.now(), self._body.in_sight()
        pulses = {name: self._controls[name].pulse() for name in seen if name in self._controls}
        self._pulse = max(pulses.values(), key=lambda pulse: pulse.age, default=None)
        self._details.beat(pulses, now)
        self._body.tick(now, pulses, self._summary.running)
        self._show_status()

    def _show_status(self) -> None:
        now = self._fleet.clock.now()
        status = self._navigator.shown(self._summary.status(self._pulse, now=now), self._body.board.cursor)
        self._status.show(status, now)
        self._outages.show(status.away)
        self._outages.beside(self._body.further)
        for page in self._pages():
            page.tick(status, now)
        self._around.show_status(status)
        self.on_fleet_rows_view_changed()
        few = self.size.width < WIDE and self._body.starts
        self._keys.lead(*self._first_keys(), alone=("details",) if few else ())

    def _first_keys(self) -> tuple[str, ...]:
        """The keys that the footer starts with when they differ from the usual ones."""
        panel = self._body.board.panel(self._body.board.cursor.citizen)
        if self._none.display and not self._read_only:
            return () if self._summary.loading else ("new-citizen", "edit", "palette")
        if panel and lost(panel.snapshot) and not self._read_only:
            return ("take-over",)
        return ("add", "edit", "wake", "palette") if self._body.starts else ()

    def _pages(self) -> list[Page]:
        return [screen for screen in self.screen_stack if isinstance(screen, Page)]

    def _update_fleet(self, view: FleetView) -> None:
        if not self._body.is_attached:
            return  # the app is ending, and no widget can be mounted
        before, self._view = self._view, view
        if before and replace(before, cluster=view.cluster) == view:  # happens each second in a cluster
            self._summary.set_cluster(view.cluster)
            self._body.set_cluster(view.cluster)
            self._tick_soon()
            return
        self._controls.clear()
        self._controls.update((control.citizen, control) for control in view.controls)
        self._summary.set_citizens(set(self._controls))
        self._summary.problems, self._summary.loading = view.problems, view.loading
        if not view.loading:
            self._around.apply(view.monitor)
            self._settle()
        self._summary.set_cluster(view.cluster)
        self._body.set_citizens(sorted(self._controls))
        self._body.set_cluster(view.cluster)
        self._body.set_problems("", view.problems)
        self._show_lesson()
        self._tick_soon()

    def _settle(self) -> None:
        """Freeze long-lived objects: otherwise a garbage collection with a thousand citizens takes 45 ms."""
        if not self._settled:
            self._settled = True
            self.set_timer(SETTLED, gc.freeze)

    def _update_snapshot(self, snapshot: Snapshot) -> None:
        if not self._body.is_attached:
            return
        first = self._summary.update_snapshot(snapshot)
        self._around.on_snapshot(snapshot)
        self._actions.take_over.on_snapshot(snapshot)
        self._body.update_snapshot(snapshot)
        self._details.on_snapshot(snapshot, self._fleet.clock.now())
        events = self._events.add_events(snapshot)
        if first or events or self._body.sees(snapshot.citizen):
            self._tick_soon()

    def _tick_soon(self) -> None:
        """Tick soon: one repaint for everything that arrives together."""
        if not self._tick_waits:
            self._tick_waits = True
            self.call_after_refresh(self.tick)

    def _show_lesson(self) -> None:
        lesson, view = self._none, self._view
        empty = not self._controls and not (view and view.problems)  # otherwise the problems come first
        if empty and (view is None or view.loading):
            lesson.wait()
        elif empty and view:
            self._body.count_jobs()
            plain, jobs = self._glyphs.plain, self._body.jobs
            main = clean(tilde(Path(view.file or self._settings or "experience.toml")), plain)
            lesson.show(clean(tilde(Path(view.root)), plain), main, jobs)
        if lesson.display != empty or self._body.display == empty:
            lesson.display, self._body.display = empty, not empty
            self.screen.set_focus(lesson if empty else self._body.rows)

    # -------------------------------------------------------------- requests to citizens

    def on_fleet_rows_asked(self, message: FleetRows.Asked) -> None:
        then = _nothing if message.sure else self._body.rows.unmark
        self._actions.request(message.verb, message.places, sure=message.sure, then=then)

    def on_citizen_asked(self, message: CitizenAsked) -> None:
        do = self._actions
        asked = {"wake": do.wake, "budget": do.budget, "move": self._move, "take over": do.take_over.ask}
        asked[message.what](message.citizen)

    def on_fleet_rows_stop_asked(self, message: FleetRows.StopAsked) -> None:
        views = [(place.citizen, view) for place in message.places if (view := self._body.board.view(place))]
        self._actions.stop(views, then=self._body.rows.unmark if message.marked else _nothing)

    def on_fleet_rows_freeze_asked(self, message: FleetRows.FreezeAsked) -> None:
        self._actions.freeze(message.citizens, then=self._body.rows.unmark)

    def _move(self, citizen: str) -> None:
        cluster = self._view.cluster if self._view else None
        self._actions.move(citizen, cluster.hosts.get(citizen) if cluster else None)

    # -------------------------------------------------------------- settings

    def on_settings_asked(self, message: SettingsAsked) -> None:
        body, problem = self._body, self._body.problem
        if message.what == "edit" and problem and message.place is None:
            self._changes.edit_problem(*problem)
        else:
            place = message.place or (Place() if self._none.display else body.board.cursor)
            self._changes.asked(message.what, place.citizen, body.board.view(place))

    def on_fleet_grid_arranged(self) -> None:
        """Allow longer messages while there are free lines below the panels."""
        roomy = self._body.rows is self._body.grid and self._body.grid.free >= LINES_OF_TOAST
        for bottom in self.screen_stack[:1]:  # none while the program ends
            bottom.set_class(roomy, "-roomy")
        self.on_fleet_rows_moved()

    def on_fleet_rows_moved(self) -> None:
        self._outages.beside(self._body.further)

    def on_fleet_body_changed(self) -> None:
        self._show_lesson()
        self._show_status()

    def on_fleet_body_said(self, message: FleetBody.Said) -> None:
        self._tell(message.text)

    def _tell(self, text: str, style: str = "$ok", seconds: float = HINT_SHOWN) -> None:
        """Show a line in place of the keys for a moment."""
        for bar in self.screen.query(KeyBar):
            bar.hint(clean(text, self._glyphs.plain), style, seconds)
            self._hinted = bar

    # -------------------------------------------------------------- filter

    def on_fleet_rows_find_asked(self) -> None:
        self._filter.open(self._body.board.filter.text)

    async def on_input_changed(self, event: Input.Changed) -> None:
        with self.batch_update():  # field and panels in one frame: a letter appears 28 ms sooner
            self._body.rows.apply_filter(event.value)
            for _ in range(TURNS):
                await asyncio.sleep(0)
        self.screen._on_timer_update()  # paint the delayed frame now; Textual has no public way

    def on_filter_field_left(self) -> None:
        self._body.focus_rows()
        self.on_fleet_rows_view_changed()

    def action_lower(self) -> None:
        """Show something else below the panels."""
        if not self._body.switch_lower():
            self._tell("the panels leave no room below them", "$warn", HINT)

    def action_table(self) -> None:
        """Switch from the panels to the table, or back."""
        self._body.switch()
        self._keys.prefer(*(TABLE_FIRST if self._body.shows_table else ()))
        self.on_fleet_grid_arranged()

    def on_fleet_rows_view_changed(self) -> None:
        """A change of view may also change which rows match."""
        self._keys.prefix(self._body.rows.view_words(typing=self._filter.has_class("-open")))

    # -------------------------------------------------------------- other screens

    def on_fleet_rows_opened(self, message: FleetRows.Opened) -> None:
        self._show_details(message.place)

    def _show_details(self, place: Place, at: float | None = None) -> None:
        panel, now = self._body.board.panel(place.citizen), self._fleet.clock.now()
        self._details.open(place, panel.snapshot if panel else None, now, self._read_only, at)

    def action_walk(self, step: int) -> None:
        """Move the cursor to the next problem, the worst first."""
        problem = self._navigator.step(self._body.board.cursor, step)
        if problem and problem.row:
            self._body.rows.go_to(problem.row)
        else:
            self._actions.toast("no problem here")
        self._show_status()

    def action_timeline(self) -> None:
        from tui.timeline.screen import Timeline

        now, tasks = self._fleet.clock.now, self._body.rows.tasks
        self._open(Timeline(tasks, self._controls.get, now, self._glyphs, self._label))

    def action_log(self) -> None:
        from tui.log.screen import Log

        while any(isinstance(each, Log) for each in self.screen_stack[:-1]):  # the log was left for details
            self.pop_screen()
        if not isinstance(self.screen, Log):
            self._open(Log(self._events, self._glyphs, self._label))

    def _open(self, page: Page) -> None:
        self.push_screen(page)
        self.call_after_refresh(self.tick)

    def _go_to(self, place: Place) -> None:
        """Return to the fleet, with the cursor on this place."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self._body.rows.go_to(place)

    def on_page_visit(self, message: Page.Visit) -> None:
        if message.place.task:
            self._body.rows.go_to(message.place)
            self._show_details(message.place, message.at)
        else:
            self._go_to(message.place)

    def on_copied(self, message: Copied) -> None:
        if message.text:
            self.copy_to_clipboard(copyable(message.text))
        self._actions.toast("copied" if message.text else "nothing to copy yet")

    # -------------------------------------------------------------- keys of the whole screen

    async def on_event(self, event: Event) -> None:
        if not isinstance(event, Key | Paste | MouseDown | MouseUp):
            await super().on_event(event)
        elif not event.is_forwarded:
            await self._typed.put(event)
        elif self.screen_stack:  # the app may be ending
            await super().on_event(event)

    async def on_key(self, event: Key) -> None:
        """Do what a key that no widget handled asks for; an unknown key leads to the help."""
        event.prevent_default()  # Textual's own handler does not report whether there was a binding
        self._hinted.forget_hint()
        if not await self._check_bindings(event.key):
            self._tell(f"{key_of(self, 'help', '?')} shows the keys", "$warn", HINT)

    def action_theme(self) -> None:
        if self.no_color:
            self._actions.toast("NO_COLOR is set: there is one theme")
        else:
            self._actions.toast(self._around.change_theme())

    def action_picture(self) -> None:
        """Save a picture of the screen: browsers download it, else it goes to the working folder or home."""
        picture = self.export_screenshot()
        if self.is_web:
            name = f"experience-{wall(self._fleet.clock.now()).replace(':', '')}.svg"
            self.deliver_text(io.StringIO(picture), save_filename=name)
            return
        try:
            path = save_picture(picture, self._fleet.clock.now(), (Path.cwd(), Path.home()))
        except (OSError, RuntimeError) as error:  # a folder that is gone, or no home
            self._actions.toast(f"the screenshot was not saved: {error}", "error")
        else:
            self._actions.toast(f"saved {path}")

    def on_delivery_complete(self) -> None:
        self._actions.toast("saved")

    def on_delivery_failed(self, event: DeliveryFailed) -> None:
        self._actions.toast(f"the screenshot was not saved: {event.exception}", "error")

    def action_help(self) -> None:
        from tui.palette.help import Help, entries

        where = "fleet" if len(self.screen_stack) == 1 else type(self.screen).__name__.lower()
        self.push_screen(Help(where, entries(self), self._glyphs), lambda entry: entry and entry.choose())

    def action_palette(self) -> None:
        from tui.palette.entries import everything
        from tui.palette.screen import Palette

        place = self._body.board.cursor
        view = self._body.board.view(place)
        here = TaskRef(place.citizen, view) if view else None
        entries = everything(self, self._body.rows.tasks(), self._go_to, self._body.start_here, here)
        self.push_screen(Palette(entries, self._glyphs), lambda entry: entry and entry.choose())

    async def action_quit(self) -> None:
        self.action_help_quit()

    def action_help_quit(self) -> None:
        """Quit, after a question while citizens run here; Textual calls this for ctrl+c."""
        leaving = quit_question.owned(self._body.board.snapshots())
        if not (leaving.citizens and self._fleet.can_hand_over) or isinstance(self.screen, Question):
            self.exit()
            return
        question = quit_question.question(leaving, self._fleet.clock.now(), self._glyphs)
        self.push_screen(question, self._leave)

    def _leave(self, answer: str | None) -> None:
        if answer in quit_question.ANSWERS:
            self.exit(quit_question.ANSWERS[answer])

    def on_unmount(self) -> None:
        self._around.leave()

    # -------------------------------------------------------------- appearance

    def get_default_screen(self) -> Covered:
        return Covered(id="_default")

    def get_driver_class(self) -> type[Driver]:
        return forgiving(super().get_driver_class())

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return defaults(self.current_theme)

    def get_key_display(self, binding: Binding) -> str:
        shown = super().get_key_display(binding)
        return shown if shown.isascii() or not self._glyphs.plain else binding.key

    def export_screenshot(self, *, title: str | None = None, simplify: bool = False) -> str:
        return without_fonts(super().export_screenshot(title=title, simplify=simplify))


def _nothing() -> None:
    """What to call first when there are no marks to clear."""
