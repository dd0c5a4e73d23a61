"""Textual's driver for a tab: it ends with the server that drives it, however that one ends."""

import os
from threading import Timer

from textual import messages
from textual.drivers.web_driver import WebDriver

GRACE = 5.0  # seconds for an app that was told to end


class TabDriver(WebDriver):
    """Reads keys and orders from standard input; once that has ended nobody can see this screen."""

    def run_input_thread(self) -> None:
        super().run_input_thread()
        if self.exit_event.is_set():
            return  # the app is ending by itself
        last_resort = Timer(GRACE, os._exit, (1,))
        last_resort.daemon = True
        last_resort.start()
        self.send_message(messages.ExitApp())
