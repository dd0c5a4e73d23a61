"""The window title, the bell and the theme, as the settings want them."""

import os

from textual.app import App

from scheduler.core.ui_options import Monitor
from scheduler.core.views import Snapshot
from tui.fleet.notices import NewFailures
from tui.fleet.summary import FleetStatus
from tui.theme import named

# The title that was there is kept by terminals that can, and given back at the end; the others show none.
_KEEP, _GIVE_BACK = "\x1b[22;2t", "\x1b]2;\x07\x1b[23;2t"
_WITHOUT = ("linux", "dumb", "vt")  # terminals without a title


def title(status: FleetStatus, plain: bool) -> str:
    """A few words; numbers only, so that nothing in them can be anybody else's."""
    said = [f"{status.failing} failing"] if status.failing else []
    said += [f"{status.running} running"] if status.running else []
    return " - ".join([*said, "Experience"]) if plain else " · ".join([*said, "Experience"])


def has_title() -> bool:
    """Does this terminal have one?"""
    return not os.environ.get("TERM", "").startswith(_WITHOUT)


class TerminalTitle:
    """What to write to the terminal so that its title is right."""

    def __init__(self) -> None:
        self._said = ""

    def change(self, words: str) -> str:
        """What makes this the title; nothing if it is already."""
        if words == self._said:
            return ""
        keep, self._said = "" if self._said else _KEEP, words
        return f"{keep}\x1b]2;{words}\x07"

    def give_back(self) -> str:
        """What brings the old title back; nothing if it was never changed."""
        changed, self._said = bool(self._said), ""
        return _GIVE_BACK if changed else ""


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

    def tell(self, verdict: FleetStatus) -> None:
        """The title says how things stand."""
        if self._monitor.title and has_title():
            self._write(self._title.change(title(verdict, self._plain)))

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
