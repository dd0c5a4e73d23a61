"""Signals end the monitor in order: the terminal is given back as it was."""

import asyncio
import contextlib
import signal
from typing import Any

from textual.app import App


def end_on_signals(app: App[Any]) -> None:
    """SIGTERM and SIGHUP (the terminal was closed) are a wish to quit; Textual itself minds neither."""
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGHUP", "SIGINT"):
        with contextlib.suppress(NotImplementedError, AttributeError):  # Windows has other ways
            loop.add_signal_handler(getattr(signal, name), app.exit)
