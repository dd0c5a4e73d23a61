"""Goes on when the terminal goes away, or a shell had it meanwhile: closing the monitor waits for neither."""

import errno
from contextlib import suppress
from typing import IO, Any

from textual.driver import Driver

GONE = {errno.EIO, errno.ENXIO, errno.EPIPE, errno.EBADF}


class Forgiving:
    """A file that discards writes once its terminal is gone; everything else goes to the file."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._gone = file, False

    def write(self, text: str) -> int:
        self._try(lambda: self._file.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._file.flush)

    def _try(self, action: Any) -> None:
        if self._gone:
            return
        try:
            action()
        except OSError as error:
            if error.errno not in GONE:
                raise
            self._gone = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def forgiving(driver: type[Driver]) -> type[Driver]:
    """This driver; for a Unix terminal, a version that survives the loss of the terminal.

    An error ends Textual's writer thread; its queue of 30 then fills up, and closing waits for room. On each
    SIGCONT Textual starts its threads again, also beside those that still read: of two only one is sure to
    end, and the process with it. The system sends that signal to a process whose terminal is closed, too.
    """
    if driver.__name__ != "LinuxDriver":
        return driver
    import termios

    from textual.drivers.linux_driver import LinuxDriver

    class Outliving(LinuxDriver):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            with suppress(AttributeError):  # a Textual version that keeps its file elsewhere
                self._file: Any = Forgiving(self._file)

        def _sigcont_application(self, *given: Any) -> None:
            if self._reads() and self._auto_restart and self._is_cooked():
                self.suspend_application_mode()
                self._must_signal_resume = True
            if not self._reads():
                super()._sigcont_application(*given)

        def _reads(self) -> bool:
            return self._key_thread is not None and self._key_thread.is_alive()

        def _is_cooked(self) -> bool:
            """Whether a shell has had the terminal since, and set it to whole lines."""
            with suppress(termios.error):
                return bool(termios.tcgetattr(self.fileno)[3] & termios.ICANON)
            return False

    return Outliving
