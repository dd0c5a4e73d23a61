"""What is around the screen: the settings that it obeys, the terminal's title and its bell."""

from textual.app import App

from scheduler.core.ui_options import Monitor
from scheduler.core.views import Snapshot
from tui.fleet.notices import NewFailures
from tui.fleet.summary import FleetStatus
from tui.terminal.title import TerminalTitle, has_title, title
from tui.theme import named


class Surroundings:
    """Obeys the newest settings; `write` sends a sequence to the terminal itself."""

    def __init__(self, app: App[None], plain: bool) -> None:
        self._app, self._plain = app, plain
        self._monitor = Monitor()
        self._title, self._failures = TerminalTitle(), NewFailures()

    def obey(self, monitor: Monitor) -> None:
        """The screen is to be like this; what was chosen by hand stays until its setting changes."""
        before, self._monitor = self._monitor, monitor
        if monitor.keys != before.keys:
            self._app.set_keymap(dict(monitor.keys))
        if monitor.theme != before.theme and not self._app.no_color:
            self._app.theme = named(monitor.theme)
        if not monitor.title:
            self.leave()

    def tell(self, status: FleetStatus) -> None:
        """The title says how things stand."""
        if self._monitor.title and has_title():
            self._write(self._title.change(title(status, self._plain)))

    def take(self, snapshot: Snapshot) -> None:
        """The bell rings when something fails that did not, if that is wanted."""
        if self._failures.has_more(snapshot) and self._monitor.bell:
            self._app.bell()

    def leave(self) -> None:
        """The terminal's own title is back."""
        self._write(self._title.give_back())

    def _write(self, sequence: str) -> None:
        driver = self._app._driver  # what App.bell and App.copy_to_clipboard write through
        if sequence and driver is not None and not self._app.is_headless:
            driver.write(sequence)
