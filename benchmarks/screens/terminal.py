"""A program in a terminal of its own: when it paints, what it costs, how long a key takes."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from benchmarks.child import HERE, MeasurementFailed
from benchmarks.memory import cpu_of, resident

SIZE = COLUMNS, ROWS = 120, 40
LIMIT = 30.0  # seconds for what happens at the start
IDLE = 0.03  # seconds of CPU in one second
PAUSE = 0.12  # seconds between two keys, at least
# Both programs repaint their countdowns just after each whole second: no key is pressed near that moment,
# so that the next output is the answer to the key.
QUIET = (0.2, 0.85)

_ASKED_MODE = re.compile(rb"\x1b\[\?(\d+)\$p")


class Terminal:
    """Starts `arguments` under this Python in a pty, and answers what terminals are asked."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        size: tuple[int, int] = SIZE,
    ) -> None:
        around = {**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        around.pop("NO_COLOR", None)
        self._started, self._painted = time.perf_counter(), b""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            _become([sys.executable, *arguments], around, size)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def shows(self, text: bytes) -> float:
        """Seconds from the start until this text was painted."""
        while text not in self._painted:
            output = self._read(LIMIT)
            if not output:
                raise MeasurementFailed(f"{text.decode()} was never painted")
            self._painted += output
        return time.perf_counter() - self._started

    def become_idle(self) -> None:
        """Wait until it has done whatever it does at its start."""
        self.watch(2)
        end = time.perf_counter() + LIMIT
        while time.perf_counter() < end:
            before = self.cpu()
            self.watch(1)
            if self.cpu() - before < IDLE:
                return

    def fileno(self) -> int:
        """To wait for many of them at once."""
        return self._fd

    def read(self) -> bytes:
        """What was painted since the last look; does not wait."""
        return self._read(0)

    def type(self, keys: bytes) -> None:
        """Press keys without waiting for an answer."""
        os.write(self._fd, keys)

    def watch(self, seconds: float) -> None:
        """Let time pass, reading all that is painted."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self._read(left)

    def key(self, key: bytes) -> float:
        """Milliseconds from a key to the first output after it."""
        self.watch(PAUSE)
        while not QUIET[0] < time.time() % 1 < QUIET[1]:
            self.watch(0.02)
        start = time.perf_counter()
        os.write(self._fd, key)
        if not self._read(5.0):
            raise MeasurementFailed(f"no answer to the key {key!r}")
        return 1e3 * (time.perf_counter() - start)

    def press(self, key: bytes) -> None:
        """A key whose answer is not waited for."""
        os.write(self._fd, key)

    def until(self, key: bytes, text: bytes) -> float:
        """Milliseconds from a key to this text, painted after it."""
        self.watch(PAUSE)
        start, painted = time.perf_counter(), b""
        os.write(self._fd, key)
        while text not in painted:
            output = self._read(5.0)
            if not output or time.perf_counter() - start > LIMIT:
                raise MeasurementFailed(f"{text.decode()} was never painted")
            painted = painted[-len(text) :] + output
        return 1e3 * (time.perf_counter() - start)

    def cpu(self) -> float:
        """Seconds of CPU that all its threads have used."""
        return cpu_of(self.pid)

    def resident(self) -> float:
        """Megabytes in memory."""
        return resident(self.pid) / 1e6

    def close(self) -> None:
        """Ask it to end, insist after a while."""
        for number, patience in ((signal.SIGTERM, 8.0), (signal.SIGKILL, 2.0)):
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
            end = time.perf_counter() + patience
            while time.perf_counter() < end:
                self._read(0.05)
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    os.close(self._fd)
                    return

    def _read(self, seconds: float) -> bytes:
        """What is painted next; nothing if that takes too long, or the program has ended."""
        if not select.select([self._fd], [], [], seconds)[0]:
            return b""
        try:
            output = os.read(self._fd, 1 << 20)
        except OSError:
            time.sleep(0.02)  # the other end is closed
            return b""
        self._answer(output)
        return output

    def _answer(self, output: bytes) -> None:
        answers = [b"\x1b[?%s;2$y" % mode for mode in _ASKED_MODE.findall(output)]
        if b"\x1b[6n" in output:
            answers.append(b"\x1b[1;1R")
        if b"\x1b[c" in output:
            answers.append(b"\x1b[?62;22c")
        if answers:
            os.write(self._fd, b"".join(answers))


def _become(command: list[str], environment: dict[str, str], size: tuple[int, int]) -> None:
    """Turn this new process into the program."""
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    os.chdir(HERE)
    os.execve(command[0], command, environment)
