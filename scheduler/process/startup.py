"""What a process does to itself when it starts, and what it leaves as its starter had it."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from scheduler.process.adopted import become_reaper
from scheduler.process.garbage_collection import collect_as_usual

# Seconds that a computing thread may keep the interpreter while another thread wants it. With Python's own
# 5 ms a due run waits 23 ms instead of 7 for a repaint, and so does a key for a handler.
SWITCH_INTERVAL = 0.0005


def _open_files() -> str:
    if sys.platform == "win32":
        return ""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return "unlimited" if soft == resource.RLIM_INFINITY else str(soft)


OPEN_FILES = _open_files()  # the soft limit that the starter set; what this process starts gets it back


def prepare_process() -> None:
    """For the main thread of a process that lives long, once its modules are loaded.

    Shares the interpreter, collects garbage, raises the limit of open files, keeps exit codes, adopts.
    """
    collect_as_usual()
    sys.setswitchinterval(SWITCH_INTERVAL)
    become_reaper()
    if sys.platform == "win32":
        return
    import resource

    # A lock and a socket for each citizen: the usual soft limit of 1,024 ends at five hundred of them.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses "infinity"
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # Inherited as ignored, SIGCHLD makes the kernel discard the exit codes of child processes.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def give_back_limits(pid: int) -> None:
    """Set this child's soft limit of open files to the starter's; Linux only, elsewhere it keeps ours."""
    if sys.platform == "linux":
        import resource

        soft = resource.RLIM_INFINITY if OPEN_FILES == "unlimited" else int(OPEN_FILES)
        with contextlib.suppress(ValueError, OSError):  # it has ended already
            _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, most))


def wanted_signals(*names: str) -> tuple[signal.Signals, ...]:
    """Those of these signals that a program may handle here: what the starter ignores stays ignored.

    `nohup` ignores SIGHUP, and a shell without job control SIGINT and SIGQUIT of what it starts with `&`.
    """
    numbers: Iterable[signal.Signals] = (getattr(signal, name) for name in names if hasattr(signal, name))
    return tuple(number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN)


def starters_environment() -> Mapping[str, str]:
    """The variables that the starter set: this process's, without what Python adds to them by itself."""
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
    """Text from a settings file such that a program gets its bytes, as they are in the file.

    System calls encode text as the locale says: under Latin-1 `€` cannot be one, `ü` is another.
    """
    return text if text.isascii() or _UTF8 else os.fsdecode(text.encode("utf-8", "surrogateescape"))


_UTF8 = sys.getfilesystemencoding() == "utf-8"
