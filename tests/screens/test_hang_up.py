"""A terminal that is closed while much is painted ends the monitor, and leaves nothing behind."""

import errno
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.drivers.web_driver import WebDriver

from tests.each import each
from tests.fakes import until
from tests.screens.test_safety import Terminal
from tui.terminal.driver import Forgiving, forgiving

HELP = b"run the task now"


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


@pytest.fixture
async def demo() -> AsyncIterator[Terminal]:
    terminal = Terminal("-m", "tui", "--demo")
    await until(lambda: terminal.shows(b"aria"), "the demo is painted")
    yield terminal
    os.kill(terminal.pid, signal.SIGKILL)
    await until(terminal.ended, "it is gone")
    terminal.close()


def threads(terminal: Terminal) -> int:
    return len(list(Path(f"/proc/{terminal.pid}/task").iterdir()))


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
async def test_a_process_that_was_not_stopped_starts_nothing_again(demo):
    before = threads(demo)
    os.kill(demo.pid, signal.SIGCONT)
    demo.press(b"?")
    await until(lambda: demo.shows(HELP), "the key has been read")
    assert threads(demo) == before


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
@each("shell_had_it", [False, True])
async def test_what_was_stopped_from_outside_paints_and_reads_again(demo, shell_had_it):
    before = threads(demo)
    os.kill(demo.pid, signal.SIGSTOP)
    await until(lambda: os.waitpid(demo.pid, os.WUNTRACED | os.WNOHANG)[0], "it is stopped")
    if shell_had_it:
        demo.cook()
    demo.out = b""
    os.kill(demo.pid, signal.SIGCONT)
    await until(lambda: not demo.is_cooked(), "it has the terminal again")
    await until(lambda: demo.shows(b"aria") or not shell_had_it, "it is painted again")
    demo.press(b"?")
    await until(lambda: demo.shows(HELP), "the key has been read")
    assert threads(demo) == before
    demo.out = b""
    demo.press(b"?")
    await until(lambda: demo.shows(b"aria"), "the help is closed")


async def test_a_terminal_that_is_closed_while_a_run_is_followed_ends_the_monitor():
    terminal = Terminal("-m", "tui", "--demo")
    await until(lambda: terminal.shows(b"aria"), "the demo is painted")
    terminal.press(b"\r")
    await until(lambda: terminal.shows(b"definition"), "the details are painted")
    terminal.press(b"f")
    terminal.close()  # the system sends SIGHUP, and SIGCONT
    try:
        await until(lambda: os.waitpid(terminal.pid, os.WNOHANG)[0], "it ends", seconds=15)
    except AssertionError:
        os.kill(terminal.pid, signal.SIGKILL)
        raise
