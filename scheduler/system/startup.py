"""What this process needs of the system before it runs a thousand citizens."""

import contextlib
import signal
import sys

# Seconds that a thread which computes may keep the interpreter while another wants it. With Python's own
# 5 ms a run that is due waits for a repaint, and a key for a handler: 23 ms instead of 7 while one computes.
GIVE_UP = 0.0005


def prepare_process() -> None:
    """Threads that share fairly, room for open files, exit codes that are kept; for the main thread."""
    sys.setswitchinterval(GIVE_UP)
    if sys.platform == "win32":
        return
    import resource

    # A lock and a socket for each citizen: the usual soft limit of 1,024 ends at five hundred of them.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses "infinity"
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # Inherited as ignored, SIGCHLD would make the kernel throw the exit codes of our children away.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
