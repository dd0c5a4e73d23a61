"""A real program in a real terminal of its own, read by the test."""

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
_ESCAPES = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.")


class Terminal:
    """One end of a pseudo terminal; the program has the other."""

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self.process, self.descriptor = process, descriptor
        self.raw = b""

    @property
    def text(self) -> str:
        """Everything that was printed so far, without escape sequences."""
        self.read()
        return _ESCAPES.sub(b"", self.raw).decode("utf-8", "replace")

    def read(self) -> None:
        with suppress(BlockingIOError, OSError):
            while data := os.read(self.descriptor, 1 << 16):
                self.raw += data

    def type(self, keys: str) -> None:
        os.write(self.descriptor, keys.encode())

    def close(self) -> None:
        """Hang up, as closing a terminal's window does."""
        with suppress(OSError):
            os.close(self.descriptor)

    async def ended(self) -> int:
        """The exit code, once the program has ended."""
        while (code := self.process.poll()) is None:
            self.read()
            await asyncio.sleep(0.01)
        self.read()
        return code


@contextmanager
def opened(
    *arguments: str, environment: Mapping[str, str], columns: int = 120, rows: int = 40
) -> Iterator[Terminal]:
    """Python with these arguments as the session leader of a terminal; gone when the block ends."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm-256color", **environment},
        stdin=child,
        stdout=child,
        stderr=child,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(child)
    os.set_blocking(parent, False)
    terminal = Terminal(process, parent)
    try:
        yield terminal
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        terminal.close()
