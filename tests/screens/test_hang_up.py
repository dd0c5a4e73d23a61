"""A terminal that is closed while much is painted ends the monitor, and leaves nothing behind."""

import errno
import os
import signal
from collections.abc import Iterator

import pytest
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.drivers.web_driver import WebDriver

from tests.fakes import until
from tests.screens.test_safety import Terminal
from tui.terminal.driver import Forgiving, forgiving


class Closed:
    """What a terminal is after it was closed."""

    def __init__(self, number: int = errno.EIO) -> None:
        self.number, self.asked = number, 0

    def write(self, text: str) -> int:
        self.asked += 1
        raise OSError(self.number, os.strerror(self.number))

    def flush(self) -> None:
        raise OSError(self.number, os.strerror(self.number))


@pytest.fixture
def thread() -> Iterator[tuple[Closed, WriterThread]]:
    closed = Closed()
    thread = WriterThread(Forgiving(closed))  # type: ignore[arg-type]
    thread.start()
    yield closed, thread
    thread.join(5)


def test_what_writes_to_it_goes_on_and_can_be_stopped(thread):
    closed, writer = thread
    for number in range(100):
        writer.write(f"frame {number}")
    writer.stop()
    assert not writer.is_alive() and closed.asked == 1


def test_other_errors_are_none_of_its_business():
    with pytest.raises(OSError, match="No space left"):
        Forgiving(Closed(errno.ENOSPC)).write("x")  # type: ignore[arg-type]


def test_only_a_terminals_own_driver_is_changed():
    assert forgiving(WebDriver) is WebDriver
    assert issubclass(forgiving(LinuxDriver), LinuxDriver)


async def test_a_terminal_that_is_closed_while_a_run_is_followed_ends_the_monitor():
    terminal = Terminal("-m", "tui", "--demo")
    await until(lambda: terminal.shows(b"aria"), "the demo is painted")
    terminal.press(b"\r")
    await until(lambda: terminal.shows(b"definition"), "the details are painted")
    terminal.press(b"f")
    terminal.close()  # the system sends SIGHUP, and SIGCONT, and Textual starts again
    try:
        await until(lambda: os.waitpid(terminal.pid, os.WNOHANG)[0], "it ends", seconds=15)
    except AssertionError:
        os.kill(terminal.pid, signal.SIGKILL)
        raise
