"""Prepares a process at its start, and gives its children the limits and variables of its starter."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from scheduler.process.adopted import become_reaper
from scheduler.process.garbage_collection import collect_as_usual

# Seconds that a computing thread may keep the interpreter while another thread wants it. With Python's 5 ms
# a due run waits 23 ms instead of 7 for a repaint, and a key press as long for a handler.
SWITCH_INTERVAL = 0.0005


def _open_files() -> str:
    if sys.platform == "win32":
        return ""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return "unlimited" if soft == resource.RLIM_INFINITY else str(soft)


OPEN_FILES = _open_files()  # the starter's soft limit, which child processes get back


def prepare_process() -> None:
    """Prepare a long-lived process, on its main thread, once its modules are loaded.

    Sets the switch interval, garbage collection, open file limit and SIGCHLD, and adopts orphans.
    """
    collect_as_usual()
    sys.setswitchinterval(SWITCH_INTERVAL)
    become_reaper()
    if sys.platform == "win32":
        return
    import resource

    # Each citizen takes a lock and a socket: the usual soft limit of 1,024 is used up by five hundred.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses "infinity"
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # Inherited as ignored, SIGCHLD makes the kernel discard the exit codes of child processes.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def give_back_limits(pid: int) -> None:
    """Set this child's soft limit of open files to the starter's; Linux only, elsewhere it stays raised."""
    if sys.platform == "linux":
        import resource

        soft = resource.RLIM_INFINITY if OPEN_FILES == "unlimited" else int(OPEN_FILES)
        with contextlib.suppress(ValueError, OSError):  # it has ended already
            _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, most))


def wanted_signals(*names: str) -> tuple[signal.Signals, ...]:
    """The given signals without those that the starter ignores, which stay ignored.

    `nohup` ignores SIGHUP; a shell without job control ignores SIGINT and SIGQUIT for jobs started with `&`.
    """
    numbers: Iterable[signal.Signals] = (getattr(signal, name) for name in names if hasattr(signal, name))
    return tuple(number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN)


def starters_environment() -> Mapping[str, str]:
    """This process's variables as the starter set them, without the one that Python may add."""
    if not _LOCALE_ADDED:
        return os.environ
    return {name: value for name, value in os.environ.items() if name != "LC_CTYPE"}


def _locale_added() -> bool:
    """Whether LC_CTYPE is Python's own: it sets one where the locale is C (PEP 538). Linux only."""
    with contextlib.suppress(OSError):
        given = Path("/proc/self/environ").read_bytes()
        return b"\0LC_CTYPE=" not in b"\0" + given
    return False


_LOCALE_ADDED = _locale_added()


def as_utf8(text: str) -> str:
    """The text, encoded so that a program gets the same bytes as in the settings file.

    System calls encode text by the locale: Latin-1 has no `€`, and another byte for `ü`.
    """
    return text if text.isascii() or _UTF8 else os.fsdecode(text.encode("utf-8", "surrogateescape"))


_UTF8 = sys.getfilesystemencoding() == "utf-8"
