"""What a process does to itself when it starts, and what it leaves as its starter had it."""

import contextlib
import signal
import sys
from collections.abc import Iterable

# Seconds that a computing thread may keep the interpreter while another thread wants it. With Python's own
# 5 ms a due run waits 23 ms instead of 7 for a repaint, and so does a key for a handler.
SWITCH_INTERVAL = 0.0005


def prepare_process() -> None:
    """Share the interpreter fairly, raise the limit of open files, keep exit codes; for the main thread."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    if sys.platform == "win32":
        return
    import resource

    # A lock and a socket for each citizen: the usual soft limit of 1,024 ends at five hundred of them.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses "infinity"
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # Inherited as ignored, SIGCHLD makes the kernel discard the exit codes of child processes.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def wanted_signals(*names: str) -> tuple[signal.Signals, ...]:
    """Those of these signals that a program may handle here: what the starter ignores stays ignored.

    `nohup` ignores SIGHUP, and a shell without job control SIGINT and SIGQUIT of what it starts with `&`.
    """
    numbers: Iterable[signal.Signals] = (getattr(signal, name) for name in names if hasattr(signal, name))
    return tuple(number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN)
