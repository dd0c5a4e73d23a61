"""What runs behind a tab: a monitor that is loaded before its browser comes, which then hardly waits."""

import os
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

# What the first frame and the first citizens need: half a second.
LOADED = ("scheduler.control.fleet", "textual.drivers.web_driver", "tui.app", "tui.serve.driver")

AUTOGROUP = Path("/proc/self/autogroup")
POLITENESS = 10
ASKED, PAUSE = 20, 0.1  # the kernel takes ten such wishes a second of all ordinary users together


def main() -> None:
    """Wait for a line with columns and rows, then be the monitor; end where that line never comes."""
    _step_back()
    for name in LOADED:
        import_module(name)
    with suppress(KeyboardInterrupt):
        if size := _line().split():
            os.environ["COLUMNS"], os.environ["ROWS"] = size
            from tui.__main__ import main as monitor

            monitor()


def _step_back() -> None:
    """Linux shares the processor among sessions first: twenty of ours would come before the tasks' owner."""
    for _ in range(ASKED):
        try:
            AUTOGROUP.write_text(str(POLITENESS))
        except BlockingIOError:
            time.sleep(PAUSE)
        except OSError:  # another system, or a kernel without such groups
            return
        else:
            return


def _line() -> str:
    """Not a byte more is read: what follows is for the driver."""
    line = b""
    while (byte := os.read(sys.stdin.fileno(), 1)) not in (b"", b"\n"):
        line += byte
    return line.decode()


if __name__ == "__main__":
    main()
