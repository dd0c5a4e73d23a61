"""Ends the monitor in order on a signal: the terminal is restored; a second signal ends runs at once."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from textual.app import App

from scheduler.process.startup import wanted_signals

# A closed terminal sends SIGHUP; Textual handles none of them.
ENDING = ("SIGTERM", "SIGINT", "SIGHUP")


class Endings:
    """Handles signals from before the first frame until the last run has ended."""

    def __init__(self, stop_now: Callable[[], None] = lambda: None) -> None:
        self.leave: Callable[[], object] | None = None
        self._stop_now, self._asked = stop_now, 0
        self.hung_up = False  # the terminal is gone
        for number in wanted_signals(*ENDING):
            signal.signal(number, self)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._asked += 1
        self.hung_up = self.hung_up or (self._asked == 1 and number == getattr(signal, "SIGHUP", None))
        if self._asked > 1:
            self._stop_now()
        elif self.leave is None:  # nothing is on screen yet
            raise SystemExit(0)
        if self.leave is not None:
            with suppress(RuntimeError):  # the screen's loop has ended already
                self.leave()

    def screen_is_gone(self) -> None:
        """From now on any signal ends runs at once: there is no screen left to close."""
        self._asked = max(self._asked, 1)

    def wait_for_another(self, leave: Callable[[], object]) -> None:
        """From now on the next signal calls `leave`, and the one after it ends runs at once."""
        self._asked, self.leave = 0, leave


def end_on_signals(app: App[Any]) -> None:
    """From now on, signals close this app instead of ending the process."""
    loop = asyncio.get_running_loop()
    installed = (signal.getsignal(number) for number in wanted_signals(*ENDING))
    endings = next((each for each in installed if isinstance(each, Endings)), None) or Endings()
    endings.leave = lambda: loop.call_soon_threadsafe(app.exit)
