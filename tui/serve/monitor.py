"""What runs behind a tab: a monitor that is loaded before its browser comes, which then hardly waits."""

import os
import sys
from contextlib import suppress
from importlib import import_module

# What the first frame and the first citizens need: half a second.
LOADED = ("scheduler.fleet", "textual.drivers.web_driver", "tui.app", "tui.serve.driver")


def main() -> None:
    """Wait for a line with columns and rows, then be the monitor; end where that line never comes."""
    for name in LOADED:
        import_module(name)
    with suppress(KeyboardInterrupt):
        if size := _line().split():
            os.environ["COLUMNS"], os.environ["ROWS"] = size
            from tui.__main__ import main as monitor

            monitor()


def _line() -> str:
    """Not a byte more is read: what follows is for the driver."""
    line = b""
    while (byte := os.read(sys.stdin.fileno(), 1)) not in (b"", b"\n"):
        line += byte
    return line.decode()


if __name__ == "__main__":
    main()
