"""The window title, the bell and the theme, according to the settings."""

import os
from typing import Any

from textual.app import App

from scheduler.core.ui_options import Monitor
from scheduler.core.views import Snapshot
from tui.fleet.notices import NewFailures
from tui.fleet.summary import FleetStatus
from tui.terminal.chosen_theme import ChosenTheme
from tui.theme import next_theme, setting_of, theme_name

# Terminals that can restore their old title do so at the end; the others end without one.
_KEEP, _GIVE_BACK = "\x1b[22;2t", "\x1b]2;\x07\x1b[23;2t"
_WITHOUT = ("linux", "dumb", "vt")  # terminals without a title


def title(status: FleetStatus, plain: bool) -> str:
    """A few words; numbers only, so no outside text reaches the terminal."""
    said = [f"{status.failing:,} failing"] if status.failing else []
    said += [f"{status.running:,} running"] if status.running else []
    return " - ".join([*said, "Experience"]) if plain else " · ".join([*said, "Experience"])


def has_title() -> bool:
    """Whether this terminal has a title."""
    return not os.environ.get("TERM", "").startswith(_WITHOUT)


class TerminalTitle:
    """The sequences that set the title and restore it."""

    def __init__(self) -> None:
        self._said = ""

    def change(self, words: str) -> str:
        """The sequence that sets this title; empty if it is already set."""
        if words == self._said:
            return ""
        keep, self._said = "" if self._said else _KEEP, words
        return f"{keep}\x1b]2;{words}\x07"

    def give_back(self) -> str:
        """The sequence that restores the old title; empty if it was never changed."""
        changed, self._said = bool(self._said), ""
        return _GIVE_BACK if changed else ""


class Surroundings:
    """Applies the newest settings to the app and its terminal."""

    def __init__(self, app: App[Any], plain: bool, chosen: ChosenTheme | None = None) -> None:
        self._app, self._plain, self._chosen = app, plain, chosen
        self._monitor, self.problem = Monitor(), ""  # why the chosen theme is not shown
        self._title, self._failures = TerminalTitle(), NewFailures()

    def apply(self, monitor: Monitor) -> None:
        """Apply what changed in the settings; a theme chosen by hand stays until its setting changes."""
        before, self._monitor = self._monitor, monitor
        if monitor.keys != before.keys:
            self._app.set_keymap(dict(monitor.keys))
        if monitor.theme != before.theme and not self._app.no_color:
            self._app.theme = theme_name(monitor.theme)
        if not monitor.title:
            self.leave()

    def restore_theme(self) -> None:
        """Show the theme that was chosen before this start."""
        if self._chosen and not self._app.no_color:
            theme, self.problem = self._chosen.read(self._monitor.theme)
            self._app.theme = theme_name(theme)

    def change_theme(self) -> str:
        """Show the next theme, and keep it for the next start; return the words to show."""
        self._app.theme = next_theme(self._app.theme, theme_name(self._monitor.theme))
        said = f"theme: {(theme := setting_of(self._app.theme))}"
        try:
            if self._chosen and not self._app.is_web:  # web users share that folder
                self._chosen.keep(theme, self._monitor.theme)
        except OSError as error:
            said += f"; the next start does not know it: {error}"
        return said

    def show_status(self, status: FleetStatus) -> None:
        """Show the counts in the title."""
        if self._monitor.title and has_title():
            self._write(self._title.change(title(status, self._plain)))

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Ring the bell for a new failure, if the settings say so."""
        if self._failures.has_more(snapshot) and self._monitor.bell:
            self._app.bell()

    def leave(self) -> None:
        """Give the terminal its own title back."""
        self._write(self._title.give_back())

    def _write(self, sequence: str) -> None:
        driver = self._app._driver  # App.bell and App.copy_to_clipboard use it, too
        if sequence and driver is not None and not self._app.is_headless:
            driver.write(sequence)
