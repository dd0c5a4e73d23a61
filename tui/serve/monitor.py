"""The process behind a tab: a monitor that is loaded before its browser connects."""

import os
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Timer

from textual import messages
from textual.drivers.web_driver import WebDriver

PRELOADED = ("scheduler.control.fleet", "tui.app")  # what the first frame and the first citizens need
GRACE = 5.0  # seconds that the app gets to end
AUTOGROUP = Path("/proc/self/autogroup")
NICENESS = 10  # above the server's: tasks come first
TRIES, PAUSE = 20, 0.1  # the kernel accepts ten such writes a second from all ordinary users together


class TabDriver(WebDriver):
    """Textual's driver for a tab; it ends the app when its input ends, since its server is gone then."""

    def run_input_thread(self) -> None:
        super().run_input_thread()
        if self.exit_event.is_set():
            return  # the app ends by itself
        last_resort = Timer(GRACE, os._exit, (1,))
        last_resort.daemon = True
        last_resort.start()
        self.send_message(messages.ExitApp())


def main() -> None:
    """Wait for a line with columns and rows, then run the monitor; end if that line never comes."""
    _lower_priority()
    for name in PRELOADED:
        import_module(name)
    with suppress(KeyboardInterrupt):
        if size := _read_line().split():
            os.environ["COLUMNS"], os.environ["ROWS"] = size
            from tui.__main__ import main as monitor

            monitor()


def _lower_priority() -> None:
    """Lower the priority of this process, and of its session: Linux shares the CPU between sessions."""
    os.nice(NICENESS)
    for _ in range(TRIES):
        try:
            AUTOGROUP.write_text(str(NICENESS))
        except BlockingIOError:
            time.sleep(PAUSE)
        except OSError:  # another system, or a kernel without such groups
            return
        else:
            return


def _read_line() -> str:
    """The first line of the input, and not a byte more: the driver reads the rest."""
    line = b""
    while (byte := os.read(sys.stdin.fileno(), 1)) not in (b"", b"\n"):
        line += byte
    return line.decode()


if __name__ == "__main__":
    main()
